#!/bin/sh
# Builds the library of a released version from the history of the project.
#
#	test/drill/build-release.sh VERSION DIRECTORY [NAME=VALUE]...
#
# Leaves DIRECTORY/engramk.so, made with these variables, or fails and says why in
# one line.
set -eu

PG_CONFIG=${PG_CONFIG:-pg_config}
version=$1
directory=$2
shift 2

"$(dirname "$0")/release-sources.sh" "$version" "$directory"
# the bitcode for JIT is not needed, and takes longest
make -s -C "$directory" PG_CONFIG="$PG_CONFIG" with_llvm=no "$@" engramk.so >"$directory/build.log" 2>&1 || {
	cp "$directory/build.log" /dev/stderr
	exit 1
}
