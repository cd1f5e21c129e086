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
top=$(cd "$here/../.." && pwd)
scratch=$(mktemp -d /tmp/engramk.XXXXXX)
trap 'rm -rf "$scratch"' EXIT
trap 'exit 130' INT TERM

# Modules are looked for beside the file that imports them.
NODE_TESTS=$scratch/node
mkdir "$NODE_TESTS"
cp "$here"/package.json "$here"/*.mjs "$NODE_TESTS"
if ! (cd "$NODE_TESTS" && npm install --no-audit --no-fund --no-package-lock --ignore-scripts \
	--prefer-offline --fetch-retries=1) >"$scratch/npm" 2>&1; then
	if ! grep -Eq 'ENOTFOUND|EAI_AGAIN|ECONN|ETIMEDOUT|ENETUNREACH|EHOSTUNREACH' "$scratch/npm"; then
		cat "$scratch/npm"
		exit 1
	fi
	NODE_TESTS=
fi

# JDBC knows no environment of libpq.
url_of()
{
	echo "jdbc:postgresql://$PGHOST:$PGPORT/$1?user=$PGUSER"
}

drivers()
{
	psql -X -q -d postgres -c 'CREATE DATABASE clients'
	psql -X -q -d clients -f "$here/setup.sql"
	psql -X -q -A -t -d clients -f "$here/truth.sql" >"$scratch/truth"
	env PGDATABASE=clients TRUTH="$scratch/truth" JDBC_URL="$(url_of clients)" \
		NODE_TESTS="$NODE_TESTS" prove --exec "$here/start.sh" "$@"
}

document()
{
	mkdir "$scratch/keep"
	env KEEP="$scratch/keep" JDBC_URL="$(url_of shop)" NODE_TESTS="$NODE_TESTS" \
		perl "$top/test/documents/execute.pl" "$top/docs/clients.md"
}

if [ $# -gt 0 ]; then
	drivers "$@"
else
	drivers "$here"/*_driver.py "$here"/*_driver.mjs "$here"/*Driver.java
	document
fi
