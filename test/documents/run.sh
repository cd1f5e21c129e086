#!/bin/sh
# Executes the commands of the documents, so that none can rot, and looks for
# blocks, links and names that would escape it.
#
#	test/documents/run.sh [DOCUMENT.md]...
#
# Default: every document, and the demo.  Each has a throwaway server of its own;
# see Document.pm for what is executed.  VERBOSE=1 shows the output.
# DOCUMENTS_BRIEFLY: of older libraries only the previous version's is built, and
# this build stands in for the others.  The build must be up to date.
set -eu

PG_CONFIG=${PG_CONFIG:-pg_config}
export PG_CONFIG
cd "$(dirname "$0")/../.."
demo=
if [ $# -eq 0 ]; then
	demo=docs/demo/demo.sh
	set -- README.md CONTRIBUTING.md docs/*.md docs/*/*.md
fi

status=0
perl test/documents/check.pl "$@" || status=1
escapes=$(perl test/documents/check.pl test/documents/escapes.md | wc -l)
if [ "$escapes" -ne 10 ]; then
	echo "check.pl finds $escapes of the 10 escapes in escapes.md"
	status=1
fi
perl test/documents/check-reference.pl || status=1

# What an administrator has kept: the libraries of the versions that are named.
KEEP=$(mktemp -d /tmp/engramk.XXXXXX)
export KEEP
trap 'rm -rf "$KEEP"' EXIT
trap 'exit 130' INT TERM
# shellcheck source=test/drill/versions.sh
. test/drill/versions.sh
versions=$(cat "$@" | sed -n 's/.*engramk-\([0-9.]*\)\.so.*/\1/p' | sort -u)

# Without optimising, which takes half of the time: nobody measures here.
keep_library()
{
	if [ -n "${DOCUMENTS_BRIEFLY:-}" ] && [ "$1" != "$ENGRAMK_OLD_VERSION" ]; then
		cp engramk.so "$KEEP/engramk-$1.so"
	elif test/drill/build-release.sh "$1" "$KEEP/$1" PROFILE=-O0 2>"$KEEP/why"; then
		cp "$KEEP/$1/engramk.so" "$KEEP/engramk-$1.so"
	else
		echo "This build stands in for the library of $1: $(cat "$KEEP/why")."
		cp engramk.so "$KEEP/engramk-$1.so"
	fi
}

for version in $versions; do
	[ "$version" = "$ENGRAMK_NEW_VERSION" ] || keep_library "$version"
done

for document in "$@"; do
	test/with-cluster.sh perl test/documents/execute.pl "$document" || status=1
done
if [ -n "$demo" ]; then
	if test/with-cluster.sh "$demo" >"$KEEP/demo" 2>&1; then
		echo "$demo: runs"
	else
		cat "$KEEP/demo"
		status=1
	fi
fi
exit $status
