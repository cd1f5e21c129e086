#!/bin/sh
# Protects against reading or writing where one must not, in a real backend: the
# regression tests run in a server under valgrind, and it finds nothing in the
# library.  Those tests that only repeat the same paths many times are left out.
#
# valgrind's CPU has no AVX-512, so that level is not used here; the unit tests
# run it under AddressSanitizer, which the server of Debian does not start under.
top=$(cd "$(dirname "$0")/../.." && pwd)
# shellcheck source=test/server.sh
. "$top/test/server.sh"

make_server valgrind 'jit = off' 'autovacuum = off'
mkdir "$scratch/reports"
chmod 777 "$scratch/reports"
as_server valgrind --quiet --trace-children=yes --num-callers=20 --log-file="$scratch/reports/%p" \
	"$bindir/postgres" -D "$data" >"$data.run/log" 2>&1 &
wait_for_server
tests="aggregates arrays errors index_queries operators prepared plans stat stat_verify states"
make -s -C "$top" installcheck REGRESS="$tests" >"$scratch/installcheck" 2>&1 || true
as_server "$bindir/pg_ctl" -D "$data" -m fast -s -w stop
# Under valgrind a test may differ where it shows a level; that it ran is what counts.
is "every test ran" "$(grep -cE '^(test [a-z_]+ +\.\.\.|(not )?ok [0-9])' "$scratch/installcheck")" "$(echo "$tests" | wc -w)"
is "none of them lost its server" \
	"$(grep -l 'server closed the connection' "$top/regression.diffs" 2>/dev/null || true)" ''
is "every backend was watched" \
	"$([ "$(find "$scratch/reports" -type f | wc -l)" -gt "$(echo "$tests" | wc -w)" ] && echo yes)" yes
is "valgrind reports nothing with a frame in engramk" \
	"$(grep -h -B12 -A12 'engramk\.so' "$scratch"/reports/* | head -60)" ''
is "no crash" "$(grep -c 'terminated by signal' "$data.run/log" || true)" 0
