#!/bin/sh
# Puts the sources of a released version into a directory, from the history of
# the project: the newest commit whose engramk.control has it as
# default_version, and that has no script yet to the version after it, which
# would be in preparation.
#
#	test/drill/release-sources.sh VERSION DIRECTORY
#
# Makes DIRECTORY, or fails and says why in one line.
set -eu

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
		mkdir -p "$directory"
		git archive "$commit" | tar x -C "$directory"
		exit
	fi
done
echo "no commit of version $version is in this checkout" >&2
exit 1
