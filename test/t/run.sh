#!/bin/sh
# Runs the tests that need a server of their own: restarts, reloads, crashes
# and several sessions at once.
#
#	test/t/run.sh [FILE.pl]...
#
# Each file starts its own servers with PostgreSQL::Test, in a temporary
# directory and with this build of engramk installed beside, never into, the
# PostgreSQL.  The build must be up to date.  May be called by root, although
# a server refuses to run as root.
#
# Honours PG_CONFIG, and ENGRAMK_TEST_PERL: where PostgreSQL::Test is if that
# PostgreSQL was installed without it (src/test/perl of its sources).
set -eu

PG_CONFIG=${PG_CONFIG:-pg_config}
here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
bindir=$("$PG_CONFIG" --bindir)
pgxs=$(dirname "$("$PG_CONFIG" --pgxs)")/../..
perl=${ENGRAMK_TEST_PERL:-$pgxs/src/test/perl}

if [ ! -e "$perl/PostgreSQL/Test/Cluster.pm" ]; then
	echo "$0: no PostgreSQL::Test in $perl; set ENGRAMK_TEST_PERL" >&2
	exit 2
fi

scratch=$(mktemp -d /tmp/engramk.XXXXXX)
trap 'rm -rf "$scratch"' EXIT
trap 'exit 130' INT TERM
chmod 755 "$scratch"

make -s -C "$top" install DESTDIR="$scratch/install" PG_CONFIG="$PG_CONFIG" >/dev/null
chmod -R a+rX "$scratch/install"

# Another user may not be able to read the sources, nor write beside them.
cp -R "$here" "$scratch/t"
cp -R "$perl" "$scratch/perl"
mkdir "$scratch/log"
chmod -R a+rX "$scratch/t" "$scratch/perl"
chmod 777 "$scratch/log"

# Where the servers look for the extension: Debian's patch, or 18 and later.
# LOAD and preloading by the bare name go by dynamic_library_path everywhere.
{
	case $bindir in
		/usr/lib/postgresql/*)
			echo "extension_destdir = '$scratch/install'" ;;
		*)
			echo "extension_control_path = '$scratch/install$("$PG_CONFIG" --sharedir):\$system'" ;;
	esac
	echo "dynamic_library_path = '$scratch/install$("$PG_CONFIG" --pkglibdir):\$libdir'"
} >"$scratch/extension.conf"

if [ $# -eq 0 ]; then
	set -- "$here"/*.pl
fi
for file in "$@"; do
	cp -R "$(dirname "$file")/." "$scratch/t"
	set -- "$@" "t/$(basename "$file")"
	shift
done

as_server=""
if [ "$(id -u)" -eq 0 ]; then
	as_server="runuser -u ${ENGRAMK_SERVER_USER:-postgres} --"
fi
cd "$scratch"
status=0
# shellcheck disable=SC2086 # the user's name holds no white space
$as_server env TMPDIR=/tmp LANG=C.UTF-8 TEMP_CONFIG="$scratch/extension.conf" \
	PATH="$bindir:$PATH" PG_REGRESS="$pgxs/src/test/regress/pg_regress" \
	TESTDIR="$scratch/log" TESTDATADIR="$scratch/log/tmp_check" TESTLOGDIR="$scratch/log/tmp_check/log" \
	prove -I "$scratch/perl" -I "$scratch/t" "$@" || status=$?

# The servers' own words are what explains a failure.
if [ "$status" -ne 0 ] && [ -n "${ENGRAMK_KEEP_LOGS:-}" ]; then
	rm -rf "$ENGRAMK_KEEP_LOGS"
	cp -R "$scratch/log/tmp_check/log" "$ENGRAMK_KEEP_LOGS"
	echo "logs are in $ENGRAMK_KEEP_LOGS" >&2
fi
exit "$status"
