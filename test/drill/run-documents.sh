#!/bin/sh
# Executes the commands of documents, so that none can rot.
#
#	test/drill/run-documents.sh [DOCUMENT.md]...
#
# Default: docs/operations.md and docs/rollback.md.  Each document has a
# throwaway server of its own, prepared by documents.sql; see documents.pl for
# what is executed.  The build must be up to date.
set -eu

PG_CONFIG=${PG_CONFIG:-pg_config}
export PG_CONFIG
here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
[ $# -gt 0 ] || set -- "$top/docs/operations.md" "$top/docs/rollback.md"

# What an administrator has kept: the libraries of the versions.
KEEP=$(mktemp -d /tmp/engramk.XXXXXX)
export KEEP
trap 'rm -rf "$KEEP"' EXIT
trap 'exit 130' INT TERM
previous=$("$here/previous-version.sh")
if "$here/build-release.sh" "$previous" "$KEEP/release" 2>"$KEEP/why"; then
	cp "$KEEP/release/engramk.so" "$KEEP/engramk-$previous.so"
else
	echo "This build stands in for the library of $previous: $(cat "$KEEP/why")."
	cp "$top/engramk.so" "$KEEP/engramk-$previous.so"
fi

for document in "$@"; do
	"$top/test/with-cluster.sh" perl "$here/documents.pl" "$document"
done
