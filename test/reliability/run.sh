#!/bin/sh
# What goes wrong in production, in short: part of `make test`.  Each script
# says what it protects, and starts servers of its own.
set -eu
cd "$(dirname "$0")"

status=0
for script in fault crash cancel errors arena memory reload dump hostile; do
	echo "-- $script"
	"./$script.sh" || status=1
done
exit "$status"
