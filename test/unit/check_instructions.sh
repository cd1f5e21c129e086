#!/bin/sh
#
# check_instructions.sh DIRECTORY
#		Can the objects of simd/ in DIRECTORY be run by every x86-64 CPU?
#
# Only the kernels may hold instructions that old CPUs lack: VEX-encoded ones
# in ek_avx2.o, those and EVEX-encoded ones in ek_avx512.o.  And no function
# for L2 or for bounds may hold a fused multiply-add.  Prints TAP.
set -eu

directory=$1
here=$(dirname "$0")
tested=0
failed=0

ok_if_empty() {
	tested=$((tested + 1))
	if [ -z "$2" ]; then
		echo "ok $tested - $1"
	else
		echo "not ok $tested - $1"
		echo "$2" | sed 's/^/# /' >&2
		failed=1
	fi
}

ok_unless_empty() {
	if [ -n "$2" ]; then
		ok_if_empty "$1" ""
	else
		ok_if_empty "$1" "found nothing"
	fi
}

set --
for object in "$directory"/ek_*.o; do
	case $object in
		*/ek_avx2.o | */ek_avx512.o) ;;
		*) set -- "$@" "$object" ;;
	esac
done

ok_if_empty "no VEX or EVEX instruction outside the kernel objects" \
	"$("$here/vex_functions.sh" "$@")"
ok_if_empty "no EVEX instruction in ek_avx2.o" \
	"$("$here/vex_functions.sh" --evex "$directory/ek_avx2.o")"
ok_unless_empty "VEX instructions are recognised: ek_avx2.o has them" \
	"$("$here/vex_functions.sh" "$directory/ek_avx2.o")"
ok_unless_empty "EVEX instructions are recognised: ek_avx512.o has them" \
	"$("$here/vex_functions.sh" --evex "$directory/ek_avx512.o")"

# The code of the functions of a level whose names match a pattern.
code_of() {
	objdump --disassemble --no-show-raw-insn "$directory/ek_$1.o" |
	sed -n "/<$2>:\$/,/^\$/p"
}

for level in avx2 avx512; do
	ok_unless_empty "the functions for L2 of $level are found" \
		"$(code_of $level 'ek_l2_.*' | grep vsubpd)"
	ok_if_empty "L2 of $level holds no fused multiply-add" \
		"$(code_of $level 'ek_l2_.*' | grep -E 'vfn?m' || true)"
	ok_unless_empty "the functions for bounds of $level are found" \
		"$(code_of $level 'ek_bound_groups_.*' | grep vaddps)"
	ok_if_empty "bounds of $level hold no fused multiply-add" \
		"$(code_of $level 'ek_bound_.*' | grep -E 'vfn?m' || true)"
	ok_unless_empty "fused multiply-adds are recognised: dot of $level has them" \
		"$(code_of $level 'ek_dot_.*' | grep -E 'vfn?m')"
done

echo "1..$tested"
exit $failed
