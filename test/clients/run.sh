#!/bin/sh
# The drivers that people use, each against a server with this build: what they
# send and read as vectors, and whether the index serves it; and the clients of
# pgvector, each with an index of engramk where it would make one of pgvector's.  After
# either, every example of its document: docs/clients.md, docs/pgvector.md.
#
#	test/with-cluster.sh test/clients/run.sh [FILE]...
#
# Default: every driver, every client of pgvector, and both documents.  The Python drivers,
# JDBC and Rails are those of Debian (test/install-packages.sh test); those of Node.js come
# from npm, into a temporary directory, and are skipped if npm does not reach its registry.
# The clients of pgvector are skipped where the server has no pgvector.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
scratch=$(mktemp -d /tmp/engramk.XXXXXX)
trap 'rm -rf "$scratch"' EXIT
trap 'exit 130' INT TERM

# Installs what a package.json names beside the tests, which look for modules there, and
# says where; says nothing if npm does not reach its registry.
install_modules()
{
	modules=$scratch/$(basename "$1" .json)
	mkdir "$modules"
	cp "$here"/*.mjs "$modules"
	cp "$1" "$modules/package.json"
	if (cd "$modules" && npm install --no-audit --no-fund --no-package-lock --ignore-scripts \
		--prefer-offline --fetch-retries=1 --fetch-retry-mintimeout=1000) >"$scratch/npm" 2>&1; then
		echo "$modules"
	elif ! grep -Eq 'ENOTFOUND|EAI_AGAIN|ECONN|ETIMEDOUT|ENETUNREACH|EHOSTUNREACH' "$scratch/npm"; then
		cat "$scratch/npm" >&2
		return 1
	fi
}

# JDBC knows no environment of libpq.
url_of()
{
	echo "jdbc:postgresql://$PGHOST:$PGPORT/$1?user=$PGUSER"
}

# run_tests DATABASE SETUP TRUTH FILE...
run_tests()
{
	database=$1
	setup=$2
	psql -X -q -A -t -d postgres -c "CREATE DATABASE $database"
	psql -X -q -d "$database" -f "$here/$setup"
	psql -X -q -A -t -d "$database" -f "$here/$3" >"$scratch/truth"
	shift 3
	env PGDATABASE="$database" TRUTH="$scratch/truth" JDBC_URL="$(url_of "$database")" \
		NODE_TESTS="$NODE_TESTS" prove --exec "$here/start.sh" "$@"
}

drivers()
{
	NODE_TESTS=$(install_modules "$here/package.json")
	run_tests clients setup.sql truth.sql "$@"
}

has_pgvector()
{
	[ "$(psql -X -A -t -d postgres -c "SELECT count(*) FROM pg_available_extensions WHERE name = 'vector'")" -eq 1 ]
}

clients_of_pgvector()
{
	if ! has_pgvector; then
		echo "The clients of pgvector are skipped: this server has no pgvector."
		return
	fi
	NODE_TESTS=$(install_modules "$here/pgvector_package.json")
	run_tests pgvector_clients pgvector_setup.sql pgvector_truth.sql "$@"
}

# With the modules of the tests before it.
document()
{
	mkdir -p "$scratch/keep"
	env KEEP="$scratch/keep" JDBC_URL="$(url_of shop)" NODE_TESTS="$NODE_TESTS" \
		perl "$top/test/documents/execute.pl" "$1"
}

if [ $# -gt 0 ]; then
	case $(basename "$1") in
		pgvector_*) clients_of_pgvector "$@" ;;
		*) drivers "$@" ;;
	esac
	exit
fi
drivers "$here"/*_driver.py "$here"/*_driver.mjs "$here"/*Driver.java
document "$top/docs/clients.md"
clients_of_pgvector "$here"/pgvector_*_client.*
document "$top/docs/pgvector.md"
