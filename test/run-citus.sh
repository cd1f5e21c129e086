#!/bin/sh
# What `make test-citus` checks: engramk on a cluster of Citus.  Skipped, with a line
# that says so, where there is no Citus; CONTRIBUTING.md says how to have it.  The
# build must be up to date.
cd "$(dirname "$0")/.." || exit
# shellcheck source=test/suites.sh
. test/suites.sh

suite "Citus: every form of a query, and of a table" citus_suite queries
suite "Citus: moves, splits, a node down, simd off on all nodes" citus_suite operations
suite "Citus: upgrades and the ways back, node by node" citus_upgrades
suite "Citus: every command of its document" citus_suite document
suites_end
