#!/bin/sh
# Is this build slower than the last release?  Measures both in one run on this
# machine, in turns, and fails if it is.
#
#	bench/check.sh				against the version before this one
#	RELEASE=COMMIT bench/check.sh
#
# The release is built from the newest commit whose engramk.control says the
# version that the newest upgrade script begins at.  Three contestants take
# turns: this build, this build once more, and the release.  What the first two
# differ by is noise.  A ratio is the median, over the rounds, of the ratios of
# turns in the same round.  Something is too slow if
#	this build / release  >  1 + LIMIT + noise
# where noise is what nine in ten of the measurements made in the same way differ
# from themselves at most.  What is too slow is measured once more, to be sure;
# what is too slow twice fails.
#
# LIMIT is 0.05.  SQL_ROUNDS (31) and ROUNDS (61, of the kernels) trade time for
# precision.  The build must be up to date.  Honours PG_CONFIG.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/.." && pwd)
PG_CONFIG=${PG_CONFIG:-pg_config}
export PG_CONFIG
LIMIT=${LIMIT:-0.05}
SQL_ROUNDS=${SQL_ROUNDS:-31}

die()
{
	echo "bench/check.sh: $*" >&2
	exit 2
}

# ---- the release ----

# "1.0" in a tree that upgrades from 1.0 to its default version.
previous_version()
{
	current=$(sed -n "s/^default_version = '\(.*\)'/\1/p" "$top/engramk.control")
	for script in "$top"/sql/engramk--*--"$current".sql; do
		[ -e "$script" ] || die "no script upgrades to $current"
		basename "$script" | sed -E 's/^engramk--(.*)--.*/\1/'
	done
}

newest_commit_of()
{
	for commit in $(git -C "$top" rev-list --date-order HEAD -- engramk.control sql); do
		# what follows a version on its branch is that version still
		for candidate in $commit $(git -C "$top" rev-parse --verify -q "$commit^"); do
			if git -C "$top" show "$candidate:engramk.control" 2>/dev/null |
				grep -qx "default_version = '$1'" &&
				! git -C "$top" ls-tree --name-only "$candidate" sql/ | grep -qF "/engramk--$1--"; then
				echo "$candidate"
				return
			fi
		done
	done
	die "no commit of version $1: is this a shallow clone?  Set RELEASE"
}

build_release()
{
	mkdir "$CHECK_DIR/release"
	git -C "$top" archive "$1" | tar x -C "$CHECK_DIR/release"
	make -s -j2 -C "$CHECK_DIR/release" all >"$CHECK_DIR/release.log" 2>&1 || {
		cat "$CHECK_DIR/release.log" >&2
		die "commit $1 does not build"
	}
}

# ---- kernels ----

# Compiled as PostgreSQL compiles the extension, without what only says where
# the packager built it.
kernel_flags()
{
	"$PG_CONFIG" --cflags | tr ' ' '\n' |
		grep -vE '^(-g|-ffile-prefix-map=.*|-fdebug-prefix-map=.*|-flto.*|-ffat-lto-objects)$' |
		tr '\n' ' '
	echo "-ffp-contract=off -std=gnu11 -D_GNU_SOURCE -fPIC"
}

build_kernels()
{
	# shellcheck disable=SC2046 # flags are meant to be split
	cc $(kernel_flags) -shared -Wl,-Bsymbolic -I"$2/simd" -I"$here" \
		-o "$CHECK_DIR/$1.so" "$here/check_shim.c" "$2"/simd/*.c -lm
}

measure_kernels()
{
	"$CHECK_DIR/check_kernels" "$CHECK_DIR/new.so" "$CHECK_DIR/again.so" "$CHECK_DIR/old.so"
}

# ---- SQL ----

# One turn in a new session of the server $1.
turn()
{
	psql -X -q -A -t -d "$1" -c "SELECT turn_$2($3)"
}

# The same columns as check_kernels prints.
measure_sql()
{
	for work in "operator 40" "pairs 40" "batch 100" "topk 100"; do
		name=${work% *}
		times=${work#* }
		round=0
		while [ "$round" -lt "$SQL_ROUNDS" ]; do
			new=$(turn "$NEW_SERVER" "$name" "$times")
			old=$(turn "$OLD_SERVER" "$name" "$times")
			again=$(turn "$NEW_SERVER" "$name" "$times")
			echo "$new $again $old"
			round=$((round + 1))
		done | awk -v name="sql $name 768" '
			function median(values, n,    i, j, v)
			{
				for (i = 2; i <= n; i++) {
					v = values[i]
					for (j = i - 1; j > 0 && values[j] > v; j--)
						values[j + 1] = values[j]
					values[j + 1] = v
				}
				return values[int((n + 1) / 2)]
			}
			{ ratio[NR] = $1 / $3; noise[NR] = $2 / $1 }
			END { printf "%s\t%.4f\t%.4f\n", name, median(ratio, NR), median(noise, NR) }'
	done
}

# ---- judgement ----

# Reads measurements, prints a table, and writes to $1 the names of what is too
# slow.
judge()
{
	awk -F'\t' -v limit="$LIMIT" -v out="$1" -v title="$2" '
		{ name[NR] = $1; ratio[NR] = $2; self[NR] = $3
		  noises[NR] = $3 > 1 ? $3 - 1 : 1 - $3
		  sum += log($2) }
		function sort(values, n,    i, j, v)
		{
			for (i = 2; i <= n; i++) {
				v = values[i]
				for (j = i - 1; j > 0 && values[j] > v; j--)
					values[j + 1] = values[j]
				values[j + 1] = v
			}
		}
		END {
			sort(noises, NR)
			noise = noises[int(0.9 * NR + 0.999)]
			printf "" > out
			printf "\n%s: this build / release, and this build / itself\n", title
			for (i = 1; i <= NR; i++) {
				slow = ratio[i] > 1 + limit + noise
				printf "%-34s %7.3f %7.3f%s\n", name[i], ratio[i], self[i], slow ? "  too slow" : ""
				if (slow)
					print name[i] > out
			}
			printf "all together %.3f; noise %.1f%%, so up to %.3f is allowed\n",
				exp(sum / NR), 100 * noise, 1 + limit + noise
		}'
}

# Measures with $1; what is too slow both times is left in the file $2.slow.
check()
{
	$1 >"$CHECK_DIR/$2.tsv"
	judge "$CHECK_DIR/$2.slow" "$2" <"$CHECK_DIR/$2.tsv"
	[ -s "$CHECK_DIR/$2.slow" ] || return 0
	echo "Once more, to be sure."
	mv "$CHECK_DIR/$2.slow" "$CHECK_DIR/$2.first"
	$1 >"$CHECK_DIR/$2.tsv"
	judge "$CHECK_DIR/$2.second" "$2" <"$CHECK_DIR/$2.tsv"
	grep -Fx -f "$CHECK_DIR/$2.first" "$CHECK_DIR/$2.second" >"$CHECK_DIR/$2.slow" || true
}

# ---- the run ----

in_servers()
{
	psql -X -q -v ON_ERROR_STOP=1 -d "$NEW_SERVER" -f "$here/check_turn.sql"
	psql -X -q -v ON_ERROR_STOP=1 -d "$OLD_SERVER" -f "$here/check_turn.sql"
	check measure_kernels kernels
	check measure_sql SQL
	cat "$CHECK_DIR/kernels.slow" "$CHECK_DIR/SQL.slow" >"$CHECK_DIR/slow"
	if [ -s "$CHECK_DIR/slow" ]; then
		printf '\nSlower than the release, twice:\n'
		sed 's/^/    /' "$CHECK_DIR/slow"
		return 1
	fi
	printf '\nNothing is slower than the release.\n'
}

# How to reach the server that the environment points at.
this_server()
{
	echo "host=${PGHOST:-} port=${PGPORT:-} user=${PGUSER:-} password=${PGPASSWORD:-} dbname=postgres"
}

# Servers inside each other: the outer one runs the release.
case ${1:-} in
	"") ;;
	--beside-old)
		CHECK_DIR=$2 OLD_SERVER=$(this_server)
		export CHECK_DIR OLD_SERVER
		exec env -u PGHOST -u PGPORT -u PGUSER -u PGPASSWORD -u PGSYSCONFDIR -u PG_CLUSTER_CONF_ROOT \
			"$top/test/with-cluster.sh" -o jit=off -o autovacuum=off "$0" --beside-both ;;
	--beside-both)
		NEW_SERVER=$(this_server)
		in_servers
		exit ;;
	*)
		die "usage: $0" ;;
esac

CHECK_DIR=$(mktemp -d /tmp/engramk.XXXXXX)
trap 'rm -rf "$CHECK_DIR"' EXIT
trap 'exit 130' INT TERM
chmod 755 "$CHECK_DIR"

version=$(previous_version)
release=${RELEASE:-$(newest_commit_of "$version")}
[ -n "$release" ] || exit 2
echo "Against version $version, commit $(git -C "$top" rev-parse --short "$release")."
build_release "$release"
build_kernels new "$top"
cp "$CHECK_DIR/new.so" "$CHECK_DIR/again.so"
build_kernels old "$CHECK_DIR/release"
# shellcheck disable=SC2046 # flags are meant to be split
cc $(kernel_flags) -o "$CHECK_DIR/check_kernels" "$here/check_kernels.c" -ldl

"$CHECK_DIR/release/test/with-cluster.sh" -o jit=off -o autovacuum=off "$0" --beside-old "$CHECK_DIR"
