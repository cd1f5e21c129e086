#!/bin/sh
#
# vex_functions.sh [--evex] OBJECT...
#		Names the functions that hold VEX- or EVEX-encoded instructions.
#
# A CPU without AVX knows none of them.  They are told by their bytes, not by
# their names: in 64-bit code a first byte of c4 or c5 (VEX) or 62 (EVEX) can
# mean nothing else, and only segment and address-size prefixes may precede
# it.  With --evex only the EVEX-encoded ones count, which need AVX-512.
#
# Prints one "OBJECT FUNCTION" a line, nothing if there are none.
set -eu

first='c4|c5|62'
if [ "${1-}" = --evex ]; then
	first=62
	shift
fi

for object in "$@"; do
	# -w: all the bytes of an instruction on its own line
	objdump --disassemble --wide --show-raw-insn "$object" |
	awk -F '\t' -v object="$object" -v first="^(${first})\$" '
		/^[0-9a-f]+ <.*>:$/ {
			name = $0
			sub(/^[0-9a-f]+ </, "", name)
			sub(/>:$/, "", name)
		}
		NF >= 3 {
			count = split($2, bytes, " ")
			i = 1
			while (i < count && bytes[i] ~ /^(26|2e|36|3e|64|65|67)$/)
				i++
			if (bytes[i] ~ first && !(name in reported)) {
				reported[name] = 1
				print object, name
			}
		}'
done
