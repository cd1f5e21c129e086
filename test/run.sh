#!/bin/sh
# Everything that `make test` checks.  The build must be up to date.
cd "$(dirname "$0")/.." || exit
# shellcheck source=test/suites.sh
. test/suites.sh

# These need no server, or roots of their own.
kernels()
{
	suite "layers and symbols" test/check-layers.sh
	suite "lint" test/lint.sh
	suite "kernels: levels, sanitizers, NEON and an old CPU" make -s -C test/unit check-all
	suite "fuzzing, briefly" make -s -C test/fuzz check
	suite "packages: installed, upgraded and taken back under load" env PACKAGES_BRIEFLY=1 test/packages/run.sh
	suite "the zip for PGXN" test/packages/dist.sh
}

beside kernels
suite "SQL: pg_regress" regress
suite "SQL: several sessions, reloads and crashes" test/t/run.sh
suite "SQL: pgTAP" test/with-cluster.sh pg_prove --quiet test/pgtap/*.sql
suite "drivers, ORMs, clients of pgvector, and every example of their documents" test/with-cluster.sh test/clients/run.sh
suite "monitoring: rules, dashboards, live Prometheus" test/monitoring/run.sh
suite "what goes wrong in production, in short" test/reliability/run.sh
# five seconds are for a machine that has nothing else to do: make drill
suite "the ways back, in short" env CYCLES=3 RTO=60 test/drill/run.sh
suite "every command of the documents" test/documents/run.sh
suite "pgvector: SQL" pgvector_regress
suite "pgvector: crowds, standby, crashes, dumps" pgvector_suites
suite "several servers: fan-outs, postgres_fdw, the ways back" test/servers/run.sh
suite "index: races between sessions" test/with-cluster.sh test/index/isolation.sh
suite "index: right while it changes" test/with-cluster.sh test/index/churn.sh 10
suite "index: what may happen to it, standby, crashes, vacuum, damaged and forged pages" index_suites 3 40 15 60
suite "index of pgvector's vector" index_of_type vector 6 filter_columns index_norms index_large
suite "index of pgvector's halfvec" index_of_type halfvec 6 filter_columns index_large
suite "index of format 2: SQL" with_format_2 index_regress
suite "index of format 1: SQL" with_format_1 index_regress
suites_end
