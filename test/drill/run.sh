#!/bin/sh
# Walks every way back under load, in a throwaway server, and prints how long
# each took and what became of the queries meanwhile.
#
#	[RTO=SECONDS] [CYCLES=N] [CLIENTS=N] [RATE=N] test/drill/run.sh
#
# Fails if a way took longer than RTO seconds (default 5), a query failed or
# gave another answer, or something was left in the catalogs.  CYCLES (default
# 100) is how often the version goes down and up, CLIENTS (default 20) how many
# sessions stay meanwhile, and RATE (default as many as they can) how many queries
# a second they ask.  The build must be up to date.
#
# The library of the previous version is built from the commit that released
# it; without the history of the project that way is skipped, and said so.
set -eu

PG_CONFIG=${PG_CONFIG:-pg_config}
export PG_CONFIG RTO="${RTO:-5}" CYCLES="${CYCLES:-100}" CLIENTS="${CLIENTS:-20}" RATE="${RATE:-}"
here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)

scratch=$(mktemp -d /tmp/engramk.XXXXXX)
trap 'rm -rf "$scratch"' EXIT
trap 'exit 130' INT TERM

# shellcheck source=test/drill/versions.sh
. "$top/test/drill/versions.sh"
build_old_library "$scratch/release"
export DRILL_SCRATCH="$scratch"

"$top/test/with-cluster.sh" perl "$here/drill.pl"
