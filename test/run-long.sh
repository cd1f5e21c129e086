#!/bin/sh
# What `make test-long` checks beyond `make test`: the same promises, for
# longer.  The build must be up to date.  FUZZ_SECONDS is for each fuzzer.
set -eu
cd "$(dirname "$0")/.."

echo "== memory: ten million calls of each kind"
test/with-cluster.sh psql -X -q -v ON_ERROR_STOP=1 -f test/long/memory.sql
echo "== fuzzing, at length"
make -s -C test/fuzz long SECONDS="${FUZZ_SECONDS:-600}"
echo "== what goes wrong in production, at length"
test/reliability/run-long.sh
echo "== the drill"
test/drill/run.sh
