#!/bin/sh
#
# run.sh DIRECTORY TARGET [LIBFUZZER-ARGUMENT]...
#		Runs DIRECTORY/fuzz_TARGET: one line if all went well, else its output.
#		It begins with seeds/TARGET_*, inputs that found something once.
set -eu

directory=$1
target=$2
shift 2
log=$directory/fuzz_$target.log
seeds=$(find "$(dirname "$0")/seeds" -name "${target}_*" | sort | paste -sd, -)

if "$directory/fuzz_$target" -artifact_prefix="$directory/" \
	-print_final_stats=1 ${seeds:+"-seed_inputs=$seeds"} "$@" >"$log" 2>&1; then
	echo "fuzz_$target: nothing found in" \
		"$(sed -n 's/^stat::number_of_executed_units: *//p' "$log") runs"
else
	cat "$log"
	exit 1
fi
