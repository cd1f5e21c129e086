/*
 * test_cpu.c
 *		Does every bit that a level needs count?
 *
 * No CPU at hand lacks each bit in turn, and an emulator offers few of the
 * combinations, so the predicates of ek_cpu.c are given made-up CPUs.  They
 * are private to that file, which is therefore included.
 */
#define ek_cpu_supports ek_cpu_supports_of_test
#define ek_cpu_has_vnni ek_cpu_has_vnni_of_test

#include "ek_cpu.c"

#include "tap.h"

#ifdef EK_HAVE_X86

/* A CPU that has everything, less some bits. */
static cpu_features
cpu_without(unsigned xcr0, unsigned leaf1_ecx, unsigned leaf7_ebx)
{
	return (cpu_features) {~xcr0, ~leaf1_ecx, ~leaf7_ebx, ~0u};
}

static void
expect(const char *lacking, cpu_features cpu, bool avx2, bool avx512)
{
	tap_ok(runs_avx2(&cpu) == avx2 && runs_avx512(&cpu) == avx512,
		   "without %s: %s", lacking,
		   avx512 ? "AVX2 and AVX-512 run" : avx2 ? "AVX2 runs" : "neither runs");
}

/* The bit numbers are those of the CPU's manual, not those of ek_cpu.c. */
static void
test_predicates(void)
{
	expect("nothing that matters", cpu_without(0, 0, 0), true, true);
	expect("SSE state", cpu_without(1u << 1, 0, 0), false, false);
	expect("AVX state", cpu_without(1u << 2, 0, 0), false, false);
	expect("mask register state", cpu_without(1u << 5, 0, 0), true, false);
	expect("upper zmm state", cpu_without(1u << 6, 0, 0), true, false);
	expect("zmm16 to zmm31 state", cpu_without(1u << 7, 0, 0), true, false);
	expect("FMA", cpu_without(0, 1u << 12, 0), false, false);
	expect("AVX", cpu_without(0, 1u << 28, 0), false, false);
	expect("AVX2", cpu_without(0, 0, 1u << 5), false, false);
	expect("AVX512F", cpu_without(0, 0, 1u << 16), true, false);
	expect("AVX512DQ", cpu_without(0, 0, 1u << 17), true, false);
	expect("AVX512BW", cpu_without(0, 0, 1u << 30), true, false);
	expect("AVX512VL", cpu_without(0, 0, 1u << 31), true, false);
	expect("AVX512CD, which no kernel uses", cpu_without(0, 0, 1u << 28), true, true);
	expect("any feature", (cpu_features) {0, 0, 0, 0}, false, false);
	tap_ok(!ek_cpu_has_vnni() || ek_cpu_supports(EK_LEVEL_AVX512),
		   "VNNI is not used without AVX-512");
}

#else

static void
test_predicates(void)
{
	tap_skip("not an x86-64");
}

#endif

int
main(void)
{
	test_predicates();
	return tap_finish();
}
