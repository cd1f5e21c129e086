#!/bin/sh
# Runs the tests with several servers.
#
#	test/servers/run.sh [FILE.pl]...
#
# As test/t/run.sh, which see.  Those of the ways back need the library of the
# previous version, which is built from the commit that released it; without the
# history of the project they do without, and say so.
set -eu

PG_CONFIG=${PG_CONFIG:-pg_config}
here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
release=$(mktemp -d /tmp/engramk.XXXXXX)
trap 'rm -rf "$release"' EXIT
trap 'exit 130' INT TERM
# shellcheck source=test/drill/versions.sh
. "$top/test/drill/versions.sh"
# nobody measures here
build_old_library "$release/old" PROFILE=-O0
chmod -R a+rX "$release"
export PG_CONFIG

[ $# -gt 0 ] || set -- "$here"/*.pl
"$top/test/t/run.sh" "$@"
