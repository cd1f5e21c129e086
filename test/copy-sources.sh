#!/bin/sh
# Copies the sources, without what was built from them, into a new directory,
# to be built there in another way.
#
#	test/copy-sources.sh DIRECTORY
set -eu

mkdir "$1"
tar c -C "$(dirname "$0")/.." --exclude .git --exclude '*.o' --exclude '*.bc' --exclude '*.so' \
	--exclude build --exclude results . | tar x -C "$1"
