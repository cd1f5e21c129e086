# shellcheck shell=sh
# Runs suites of tests, whatever becomes of each, and says at the end what became
# of them.  Scripts source it, call suite for each, and finish with suites_end,
# which is their exit status.
#
# One suite runs after another and is seen as it goes; or, after suites_beside,
# several at once, and what each prints comes in one piece when it has ended.
# Suites write nothing beside the sources but in build/, each under a name of its
# own there, and servers are of one suite: so none meets another.
set -u

suites=$(mktemp -d /tmp/engramk.XXXXXX)
: >"$suites/table"
suites_at_once=1
suites_begun=0
suites_ended=0
trap 'rm -rf "$suites"' EXIT
trap 'exit 130' INT TERM

# The status of a suite that lacks what it tests with, and says so.
skipped=77

# Has so many suites run at once.
suites_beside()
{
	suites_at_once=$1
	mkfifo "$suites/ended"
	exec 3<>"$suites/ended"
	# what they have begun is of this group of processes, and cleans up after itself
	trap 'trap "" TERM; kill -TERM 0; wait; exit 130' INT TERM
}

# suite NAME COMMAND [ARGUMENT]...
suite()
{
	if [ "$suites_at_once" -eq 1 ]; then
		run_suite "$@"
		return
	fi
	[ $((suites_begun - suites_ended)) -lt "$suites_at_once" ] || wait_for_suite
	suites_begun=$((suites_begun + 1))
	echo "-- begun: $1"
	{
		run_suite "$@" >"$suites/$suites_begun" 2>&1 3>&-
		echo $suites_begun >&3
	} &
}

run_suite()
{
	name=$1
	shift
	echo "== $name"
	began=$(date +%s)
	("$@")
	case $? in
		0) result=passed ;;
		"$skipped") result=skipped ;;
		*)
			result=FAILED
			echo "== FAILED: $name" >&2 ;;
	esac
	printf '%-84s %s %5d s\n' "$name" "$result" $(($(date +%s) - began)) >>"$suites/table"
}

# Whichever ends next
wait_for_suite()
{
	read -r ended <&3
	cat "$suites/$ended"
	suites_ended=$((suites_ended + 1))
}

suites_end()
{
	while [ "$suites_ended" -lt "$suites_begun" ]; do
		wait_for_suite
	done
	failed=$(grep -c ' FAILED ' "$suites/table")
	echo
	cat "$suites/table"
	echo "$(grep -c ' passed ' "$suites/table") passed, $failed failed, $(grep -c ' skipped ' "$suites/table") skipped"
	[ "$failed" -eq 0 ]
}

# Runs a test with an older version.
with_version()
{
	(
		export ENGRAMK_DEFAULT_VERSION="$1"
		shift
		"$@"
	)
}

# With the last one that builds indexes of format 1, or of format 2
with_format_1()
{
	with_version 1.4 "$@"
}

with_format_2()
{
	with_version 1.5 "$@"
}

# The names of these files, but of tests that change the format themselves
of_one_format()
{
	basename -a "$@" | sed 's/\.[^.]*$//' | grep -v -e formats -e filters
}

# What starts servers of its own: so many crashes, damaged and forged indexes, and
# forgeries of those that have names, or all of them.
index_suites()
{
	env INDEX_CRASHES="$1" DAMAGED_INDEXES="$2" FORGED_INDEXES="$3" ${4:+FORGED_NAMED="$4"} \
		test/t/run.sh test/index/*.pl
}

# installcheck of a directory, all of it or what is named, with the differences in the
# output; of the type VECTOR_TYPE, where tests know it.
installcheck()
(
	directory=$1
	shift
	results=$(mktemp -d /tmp/engramk.XXXXXX)
	trap 'rm -rf "$results"' EXIT
	trap 'exit 130' INT TERM
	# where pg_regress writes is where it looks first
	ln -s "$(realpath "$directory/expected")" "$results/expected"
	# its snapshots would keep dead rows, which tests count
	test/with-cluster.sh -o autovacuum=off -o test.vector_type="${VECTOR_TYPE:-real[]}" \
		env EXTRA_REGRESS_OPTS="--outputdir=$results" make -s -C "$directory" installcheck ${1:+REGRESS="$*"} || {
		cat "$results/regression.diffs"
		exit 1
	}
)

regress()
{
	installcheck . "$@"
}

# Is extension $1, called $2, where the servers of these tests find it?
has_extension()
{
	control=$("${PG_CONFIG:-pg_config}" --sharedir)/extension/$1.control
	for directory in "" ${EXTENSION_DESTDIRS:-}; do
		[ ! -e "$directory$control" ] || return 0
	done
	echo "SKIPPED, there is no $2: install it, or name its DESTDIR in EXTENSION_DESTDIRS" >&2
	return 1
}

has_pgvector()
{
	has_extension vector pgvector
}

# A test on a cluster of Citus, beside the documents that one of them is about
citus_suite()
{
	has_extension citus Citus || return $skipped
	(
		beside=$(mktemp -d /tmp/engramk.XXXXXX)
		trap 'rm -rf "$beside"' EXIT
		cp -R test/citus/. test/documents/Document.pm docs/*.md "$beside"
		test/t/run.sh "$beside/$1.pl"
	)
}

# The same with the library of the previous version, which is built from the history
citus_upgrades()
{
	has_extension citus Citus || return $skipped
	(
		release=$(mktemp -d /tmp/engramk.XXXXXX)
		trap 'rm -rf "$release"' EXIT
		# shellcheck source=test/drill/versions.sh
		. test/drill/versions.sh
		build_old_library "$release/old"
		if [ -n "$ENGRAMK_NO_OLD_LIBRARY" ]; then
			echo "SKIPPED: $ENGRAMK_NO_OLD_LIBRARY"
			exit $skipped
		fi
		chmod -R a+rX "$release"
		citus_suite upgrades
	)
}

# What a user of pgvector relies on, all of it or what is named
pgvector_regress()
{
	has_pgvector || return $skipped
	installcheck test/pgvector "$@"
}

pgvector_suites()
{
	has_pgvector || return $skipped
	test/t/run.sh test/pgvector/*.pl
}

# Runs a test for a type, if the servers of these tests have it.
of_type_if_there()
{
	[ "$1" = 'real[]' ] || has_pgvector || return $skipped
	shift
	"$@"
}

# What is tested of the index for a type of pgvector, beside real[]: so many runs of the
# model, and what is named of pg_regress.
index_of_type()
{
	has_pgvector || return $skipped
	type=$1
	runs=$2
	shift 2
	(
		export VECTOR_TYPE="$type"
		regress "$@"
	) && env VECTOR_TYPE="$type" MODEL_RUNS="$runs" test/t/run.sh test/index/model.pl
}

# shellcheck disable=SC2046 # names hold no white space
index_regress()
{
	regress $(of_one_format test/sql/index*.sql)
}

# The same without what takes as long as the rest together
# shellcheck disable=SC2046
index_regress_briefly()
{
	regress $(of_one_format test/sql/index*.sql | grep -vx index)
}

# shellcheck disable=SC2046
index_races()
{
	test/with-cluster.sh test/index/isolation.sh $(of_one_format test/specs/*.spec)
}
