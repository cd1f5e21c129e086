#!/bin/sh
# Several sessions in a given order: the specifications in test/specs, with
# PostgreSQL's isolation tester.  libpq's variables say where the server is:
#
#	test/with-cluster.sh test/index/isolation.sh [NAME]...
set -eu
cd "$(dirname "$0")/../.."

PG_CONFIG=${PG_CONFIG:-pg_config}
tester=$(dirname "$("$PG_CONFIG" --pgxs)")/../test/isolation
output=$(mktemp -d /tmp/engramk.isolation.XXXXXX)
trap 'rm -rf "$output"' EXIT

# shellcheck disable=SC2046 # names hold no white space
[ $# -gt 0 ] || set -- $(basename -s .spec -a test/specs/*.spec)
"$tester/pg_isolation_regress" --bindir="$("$PG_CONFIG" --bindir)" --dbname=isolation_engramk \
	--inputdir=test --outputdir="$output" --load-extension=engramk "$@" || {
	cat "$output/regression.diffs"
	exit 1
}
