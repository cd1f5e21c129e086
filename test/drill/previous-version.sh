#!/bin/sh
# Prints the version that the present one can be taken back to: its only
# downgrade script says.
set -eu
cd "$(dirname "$0")/../.."

current=$(sed -n "s/^default_version = '\(.*\)'/\1/p" engramk.control)
set -- sql/downgrades/engramk--"$current"--*.sql
previous=${1#sql/downgrades/engramk--"$current"--}
echo "${previous%.sql}"
