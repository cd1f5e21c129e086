#!/bin/sh
# What goes wrong in production, in short: part of `make test`.  Each script
# says what it protects, and starts servers of its own.
set -eu
cd "$(dirname "$0")"

status=0
for script in fault crash statistics "cancel 30000000" "errors 20000" arena memory "reload 100 8" dump hostile; do
	echo "-- $script"
	# shellcheck disable=SC2086 # a script and its arguments
	set -- $script
	name=$1
	shift
	"./$name.sh" "$@" || status=1
done
exit "$status"
