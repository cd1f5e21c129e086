#!/bin/sh
# Runs the tests that need servers of their own: restarts, reloads, crashes and
# several sessions at once.
#
#	test/t/run.sh [FILE.pl]...
#
# Each file starts its servers with PostgreSQL::Test, in a temporary directory
# and with the copy of PostgreSQL that test/server.sh makes.  The build must be
# up to date.  May be called by root, although a server refuses to run as root.
#
# Honours PG_CONFIG, and ENGRAMK_TEST_PERL: where PostgreSQL::Test is if that
# PostgreSQL was installed without it (src/test/perl of its sources).
# ENGRAMK_KEEP_LOGS is a directory for the servers' logs of a run that failed.
here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
# shellcheck source=test/server.sh
. "$top/test/server.sh"

pgxs=$(dirname "$("$PG_CONFIG" --pgxs)")/../..
perl=${ENGRAMK_TEST_PERL:-$pgxs/src/test/perl}
if [ ! -e "$perl/PostgreSQL/Test/Cluster.pm" ]; then
	echo "$0: no PostgreSQL::Test in $perl; set ENGRAMK_TEST_PERL" >&2
	exit 2
fi
install_build

# Another user may not be able to read the sources, nor write beside them.
cp -R "$here" "$scratch/t"
cp -R "$perl" "$scratch/perl"
mkdir "$scratch/log"
chmod -R a+rX "$scratch/t" "$scratch/perl"
chmod 777 "$scratch/log"

if [ $# -eq 0 ]; then
	set -- "$here"/*.pl
fi
for file in "$@"; do
	cp -R "$(dirname "$file")/." "$scratch/t"
	set -- "$@" "t/$(basename "$file")"
	shift
done

cd "$scratch"
status=0
as_server env TMPDIR=/tmp LANG=C.UTF-8 PG_REGRESS="$pgxs/src/test/regress/pg_regress" \
	TESTDIR="$scratch/log" TESTDATADIR="$scratch/log/tmp_check" TESTLOGDIR="$scratch/log/tmp_check/log" \
	prove -I "$scratch/perl" -I "$scratch/t" "$@" || status=$?

# The servers' own words are what explains a failure.
if [ "$status" -ne 0 ] && [ -n "${ENGRAMK_KEEP_LOGS:-}" ]; then
	rm -rf "$ENGRAMK_KEEP_LOGS"
	cp -R "$scratch/log/tmp_check/log" "$ENGRAMK_KEEP_LOGS"
	echo "logs are in $ENGRAMK_KEEP_LOGS" >&2
fi
exit "$status"
