#!/bin/sh
# The drivers that people use, each against a server with this build: what they
# send and read as vectors, and whether the index serves it.  Then every example of
# docs/clients.md.
#
#	test/with-cluster.sh test/clients/run.sh [FILE]...
#
# Default: every driver, and the document.  The Python drivers, JDBC and Rails are
# those of Debian (test/install-packages.sh test); those of Node.js come from npm,
# into a temporary directory, and are skipped if npm does not reach its registry.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
scratch=$(mktemp -d /tmp/engramk.XXXXXX)
trap 'rm -rf "$scratch"' EXIT
trap 'exit 130' INT TERM

# Modules are looked for beside the file that imports them.
NODE_TESTS=$scratch/node
NODE_SKIPPED=
mkdir "$NODE_TESTS"
cp "$here"/package.json "$here"/*.mjs "$NODE_TESTS"
if ! (cd "$NODE_TESTS" && npm install --no-audit --no-fund --no-package-lock --ignore-scripts \
	--prefer-offline --fetch-retries=1) >"$scratch/npm" 2>&1; then
	if ! grep -Eq 'ENOTFOUND|EAI_AGAIN|ECONN|ETIMEDOUT|ENETUNREACH|EHOSTUNREACH' "$scratch/npm"; then
		cat "$scratch/npm"
		exit 1
	fi
	NODE_SKIPPED="npm does not reach its registry"
fi

# JDBC knows no environment of libpq.
JDBC_URL=
case $PGHOST in
	/*) ;;
	*) JDBC_URL="jdbc:postgresql://$PGHOST:$PGPORT/$PGDATABASE?user=$PGUSER&password=${PGPASSWORD:-}" ;;
esac

TRUTH=$scratch/truth
export TRUTH NODE_TESTS NODE_SKIPPED JDBC_URL
psql -X -q -f "$here/setup.sql"
psql -X -q -A -t -f "$here/truth.sql" >"$TRUTH"

if [ $# -gt 0 ]; then
	prove --exec "$here/start.sh" "$@"
fi
prove --exec "$here/start.sh" "$here"/*_driver.py "$here"/*_driver.mjs "$here"/*Driver.java
