#!/bin/sh
# What `make test-long` checks beyond `make test`: the same promises, for
# longer.  The build must be up to date.  FUZZ_SECONDS is for each fuzzer.
cd "$(dirname "$0")/.." || exit
# shellcheck source=test/suites.sh
. test/suites.sh

suite "memory: ten million calls of each kind" \
	test/with-cluster.sh psql -X -q -v ON_ERROR_STOP=1 -f test/long/memory.sql
suite "lint, with the static analyzer" test/lint.sh
suite "kernels: levels, sanitizers, NEON and an old CPU, at length" make -s -C test/unit check-all
suite "fuzzing, at length" make -s -C test/fuzz long SECONDS="${FUZZ_SECONDS:-600}"
suite "what goes wrong in production, at length" test/reliability/run-long.sh
suite "the drill" test/drill/run.sh
suite "every command of the documents, with every older library" test/documents/run.sh
suite "packages: the same bytes again, autopkgtest, and the drill" test/packages/run.sh
suite "index: what its check finds in a large one" \
	test/with-cluster.sh psql -X -q -v ON_ERROR_STOP=1 -f test/long/check.sql
suite "index: its size after many deletes" \
	test/with-cluster.sh psql -X -q -v ON_ERROR_STOP=1 -f test/index/bloat.sql
suite "index: right while it changes, at length" test/with-cluster.sh test/index/churn.sh 180
suite "index: crashes, damaged and forged pages, at length" \
	env INDEX_CRASHES=50 DAMAGED_INDEXES=1000 FORGED_INDEXES=1000 FREE_SPACE_MAPS=100 \
	test/t/run.sh test/index/crash.pl test/index/damage.pl test/index/forge.pl test/index/free_space.pl
suite "index of format 2: SQL" with_format_2 index_regress
suite "index of format 2: races between sessions" with_format_2 index_races
suite "index of format 2: right while it changes" with_format_2 test/with-cluster.sh test/index/churn.sh 60
suite "index of format 2: standby, crashes, damaged and forged pages" with_format_2 index_suites 20 300 300
suite "index: whatever may happen to it, at random" env MODEL_RUNS="${MODEL_RUNS:-1000}" test/t/run.sh test/index/model.pl
suite "index: while VACUUM goes over to another basis, at length" \
	env RECODE_CRASHES=40 RECODE_STOPS=60 RECODE_SECONDS=60 CROWD_SECONDS=120 \
	test/t/run.sh test/index/recode.pl test/index/recode_standby.pl test/index/crowd.pl
suite "index: filter columns while everything else happens, at length" \
	env FILTERS_SECONDS=60 FILTERS_CRASHES=20 test/t/run.sh test/index/filters.pl
for type in 'real[]' vector halfvec; do
	suite "index of $type: ten thousand hostile queries for each metric" of_type_if_there "$type" \
		test/with-cluster.sh -o test.vector_type="$type" psql -X -q -v ON_ERROR_STOP=1 -f test/long/types.sql
done
for type in vector halfvec; do
	suite "index of pgvector's $type: whatever may happen to it, at random" \
		index_of_type $type "${MODEL_RUNS:-1000}" filter_columns index index_large
	suite "index of pgvector's $type: standby, crashes, and while VACUUM goes over to another basis" \
		of_type_if_there $type env VECTOR_TYPE=$type test/t/run.sh test/index/crash.pl test/index/standby.pl test/index/vacuum.pl \
		test/index/recode.pl test/index/recode_standby.pl test/index/crowd.pl test/index/filters.pl
done
suite "index of format 1: SQL" with_format_1 index_regress
suite "index of format 1: races between sessions" with_format_1 index_races
suite "index of format 1: right while it changes" with_format_1 test/with-cluster.sh test/index/churn.sh 60
suite "index of format 1: standby, crashes, damaged and forged pages" with_format_1 index_suites 20 300 300
suites_end
