#!/bin/sh
# Protects against reading or writing where one must not, in a real backend: the
# regression tests run in a server under valgrind, and it finds nothing in the
# library.  Those tests that only repeat the same paths many times are left out.
#
# valgrind's CPU has no AVX-512, so that level is not used here; the unit tests
# run it under AddressSanitizer, which the server of Debian does not start under.
# shellcheck source=test/reliability/server.sh
. "$(dirname "$0")/server.sh"

make_server valgrind 'jit = off' 'autovacuum = off'
mkdir "$scratch/reports"
chmod 777 "$scratch/reports"
as_server valgrind --quiet --trace-children=yes --num-callers=20 --log-file="$scratch/reports/%p" \
	"$bindir/postgres" -D "$data" >"$data.run/log" 2>&1 &
wait_for_server
make -s -C "$top" installcheck REGRESS="arrays errors operators prepared plans stat stat_verify states aggregates" >"$scratch/installcheck" 2>&1 || true
note "$(grep -cE '^(test |ok |not ok )' "$scratch/installcheck") tests ran, $(find "$scratch/reports" -type f | wc -l) processes"
is "valgrind reports nothing with a frame in engramk" \
	"$(grep -h -B12 -A12 'engramk\.so' "$scratch"/reports/* | head -60)" ''
is "no crash" "$(grep -c 'terminated by signal' "$data.run/log" || true)" 0
