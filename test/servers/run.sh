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
ENGRAMK_NEW_VERSION=$(sed -n "s/^default_version = '\(.*\)'/\1/p" "$top/engramk.control")
ENGRAMK_OLD_VERSION=$("$top/test/drill/previous-version.sh")

release=$(mktemp -d /tmp/engramk.XXXXXX)
trap 'rm -rf "$release"' EXIT
trap 'exit 130' INT TERM
ENGRAMK_OLD_LIBRARY=$release/engramk.so ENGRAMK_NO_OLD_LIBRARY=
"$top/test/drill/build-release.sh" "$ENGRAMK_OLD_VERSION" "$release" 2>"$release/why" ||
	ENGRAMK_NO_OLD_LIBRARY=$(cat "$release/why")
chmod a+rx "$release"
export PG_CONFIG ENGRAMK_NEW_VERSION ENGRAMK_OLD_VERSION ENGRAMK_OLD_LIBRARY ENGRAMK_NO_OLD_LIBRARY

[ $# -gt 0 ] || set -- "$here"/*.pl
"$top/test/t/run.sh" "$@"
