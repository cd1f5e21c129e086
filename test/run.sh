#!/bin/sh
# Everything that `make test` checks, in less than ten minutes of a machine with two
# cores: what is longer is in test/run-long.sh.  The build must be up to date.
#
#	[SUITES_AT_ONCE=N] test/run.sh
#
# One more than there are cores, unless told, since every suite waits now and then; 1
# shows each as it goes.
cd "$(dirname "$0")/.." || exit
# shellcheck source=test/suites.sh
. test/suites.sh

: "${SUITES_AT_ONCE:=$(($(nproc) + 1))}"
[ "$SUITES_AT_ONCE" -eq 1 ] || suites_beside "$SUITES_AT_ONCE"

# less of what happens at random than each of them has by itself
export CROWD_SECONDS=2 FILTERS_CRASHES=1 FILTERS_SECONDS=2 FREE_SPACE_MAPS=6 RECODE_SECONDS=2 \
	RECODE_STOPS=2

# whoever makes a server first leaves a new cluster for the others
export ENGRAMK_NEW_CLUSTER="$suites/cluster"

# the longest first, so that none is left alone at the end
suite "packages: built, installed and removed" env PACKAGES_BRIEFLY=1 test/packages/run.sh
suite "index: what may happen to it, standby, crashes, vacuum, damaged and forged pages" index_suites 2 20 8 30
suite "SQL: pg_regress" regress
suite "every command of the documents" env DOCUMENTS_BRIEFLY=1 test/documents/run.sh
suite "what goes wrong in production, in short" test/reliability/run.sh
suite "kernels: levels, sanitizers, NEON and an old CPU" make -s -C test/unit check-briefly
suite "several servers: fan-outs, postgres_fdw, the ways back" test/servers/run.sh
suite "drivers, ORMs, clients of pgvector, and every example of their documents" test/with-cluster.sh test/clients/run.sh
# five seconds are for a machine that has nothing else to do: make drill
suite "the ways back, in short" env CLIENTS=6 RATE=200 CYCLES=1 RTO=60 test/drill/run.sh
suite "lint, without the static analyzer" env LINT_BRIEFLY=1 test/lint.sh
suite "fuzzing, briefly" make -s -C test/fuzz check RUNS=50000 LIMIT=8
suite "the zip for PGXN" test/packages/dist.sh
suite "SQL: several sessions, reloads and crashes" test/t/run.sh
suite "pgvector: crowds, standby, crashes, dumps" pgvector_suites
suite "index of pgvector's vector" index_of_type vector 6 filter_columns index_norms index_large
suite "index of pgvector's halfvec" index_of_type halfvec 6 filter_columns index_large
suite "monitoring: rules, dashboards, live Prometheus" test/monitoring/run.sh
suite "index: right while it changes" test/with-cluster.sh test/index/churn.sh 10
suite "index of format 2: SQL" with_format_2 index_regress_briefly
suite "index of format 1: SQL" with_format_1 index_regress_briefly
suite "SQL: pgTAP" test/with-cluster.sh pg_prove --quiet test/pgtap/*.sql
suite "pgvector: SQL" pgvector_regress
suite "index: races between sessions" test/with-cluster.sh test/index/isolation.sh
suite "layers and symbols" test/check-layers.sh
suites_end
