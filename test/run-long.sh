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
echo "== the index, at length"
test/with-cluster.sh psql -X -q -v ON_ERROR_STOP=1 -f test/index/bloat.sql
test/with-cluster.sh test/index/churn.sh 180
INDEX_CRASHES=50 DAMAGED_INDEXES=1000 FORGED_INDEXES=1000 test/t/run.sh test/index/crash.pl \
	test/index/damage.pl test/index/forge.pl
