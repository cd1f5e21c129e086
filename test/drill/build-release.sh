#!/bin/sh
# Builds the library of a released version from the history of the project: the
# newest commit whose engramk.control has it as default_version, and that has no
# script yet to the version after it, which would be in preparation.
#
#	test/drill/build-release.sh VERSION DIRECTORY
#
# Leaves DIRECTORY/engramk.so, or fails and says why in one line.
set -eu

PG_CONFIG=${PG_CONFIG:-pg_config}
version=$1
directory=$2
cd "$(dirname "$0")/../.."

if ! git rev-parse --verify --quiet HEAD >/dev/null 2>&1; then
	echo "this is not a checkout with the history of the project" >&2
	exit 1
fi

for commit in $(git rev-list --first-parent HEAD); do
	if git show "$commit:engramk.control" 2>/dev/null | grep -q "^default_version = '$version'" &&
		! git ls-tree --name-only "$commit" sql/ | grep -qF "/engramk--$version--"; then
		break
	fi
	commit=
done
if [ -z "${commit:-}" ]; then
	echo "no commit of version $version is in this checkout" >&2
	exit 1
fi

mkdir -p "$directory"
git archive "$commit" | tar x -C "$directory"
# the bitcode for JIT is not needed, and takes longest
make -s -C "$directory" PG_CONFIG="$PG_CONFIG" with_llvm=no engramk.so >"$directory/build.log" 2>&1 || {
	cp "$directory/build.log" /dev/stderr
	exit 1
}
