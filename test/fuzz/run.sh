#!/bin/sh
#
# run.sh DIRECTORY TARGET [LIBFUZZER-ARGUMENT]...
#		Runs DIRECTORY/fuzz_TARGET: one line if all went well, else its output.
set -eu

directory=$1
target=$2
shift 2
log=$directory/fuzz_$target.log

if "$directory/fuzz_$target" -artifact_prefix="$directory/" \
	-print_final_stats=1 "$@" >"$log" 2>&1; then
	echo "fuzz_$target: nothing found in" \
		"$(sed -n 's/^stat::number_of_executed_units: *//p' "$log") runs"
else
	cat "$log"
	exit 1
fi
