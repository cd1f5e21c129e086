/*
 * ek_cpu.c
 *		Which levels do the CPU and the operating system run?
 *
 * An instruction set can be used when the CPU has it *and* the operating
 * system saves its registers, which XCR0 tells; a virtual machine may offer
 * the first without the second.  So XCR0 is asked before the CPU's bits.
 *
 * Nothing is cached here: the caller asks once, when the library is loaded.
 */
#include "ek_level.h"

#ifdef EK_HAVE_X86

#include <cpuid.h>

/* CPUID leaf 1, ECX */
#define CPUID1_ECX_FMA			(1u << 12)
#define CPUID1_ECX_OSXSAVE		(1u << 27)
#define CPUID1_ECX_AVX			(1u << 28)

/* CPUID leaf 7, sub-leaf 0, EBX */
#define CPUID7_EBX_AVX2			(1u << 5)
#define CPUID7_EBX_AVX512F		(1u << 16)
#define CPUID7_EBX_AVX512DQ		(1u << 17)
#define CPUID7_EBX_AVX512BW		(1u << 30)
#define CPUID7_EBX_AVX512VL		(1u << 31)

/* CPUID leaf 7, sub-leaf 0, ECX */
#define CPUID7_ECX_AVX512VNNI	(1u << 11)

/* XCR0: xmm and ymm; and with them the mask registers and both zmm parts */
#define XCR0_YMM				0x06u
#define XCR0_ZMM				0xe6u

typedef struct cpu_features
{
	unsigned	xcr0;
	unsigned	leaf1_ecx;
	unsigned	leaf7_ebx;
	unsigned	leaf7_ecx;
} cpu_features;

static inline bool
all_set(unsigned bits, unsigned wanted)
{
	return (bits & wanted) == wanted;
}

/* The instruction itself, since _xgetbv() wants a target of its own. */
static unsigned
read_xcr0(void)
{
	unsigned	low;
	unsigned	high;

	__asm__ volatile ("xgetbv" : "=a" (low), "=d" (high) : "c" (0));
	(void) high;
	return low;
}

static cpu_features
read_cpu_features(void)
{
	cpu_features features = {0, 0, 0, 0};
	unsigned	eax;
	unsigned	ebx;
	unsigned	ecx;
	unsigned	edx;

	if (!__get_cpuid(1, &eax, &ebx, &ecx, &edx) ||
		!all_set(ecx, CPUID1_ECX_OSXSAVE))
		return features;
	features.leaf1_ecx = ecx;
	features.xcr0 = read_xcr0();
	if (__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx))
	{
		features.leaf7_ebx = ebx;
		features.leaf7_ecx = ecx;
	}
	return features;
}

static bool
runs_avx2(const cpu_features *cpu)
{
	return all_set(cpu->xcr0, XCR0_YMM) &&
		all_set(cpu->leaf1_ecx, CPUID1_ECX_AVX | CPUID1_ECX_FMA) &&
		all_set(cpu->leaf7_ebx, CPUID7_EBX_AVX2);
}

static bool
runs_avx512(const cpu_features *cpu)
{
	return runs_avx2(cpu) &&
		all_set(cpu->xcr0, XCR0_ZMM) &&
		all_set(cpu->leaf7_ebx,
				CPUID7_EBX_AVX512F | CPUID7_EBX_AVX512DQ |
				CPUID7_EBX_AVX512BW | CPUID7_EBX_AVX512VL);
}

bool
ek_cpu_supports(ek_level level)
{
	cpu_features cpu = read_cpu_features();

	switch (level)
	{
		case EK_LEVEL_SCALAR:
			return true;
		case EK_LEVEL_AVX2:
			return runs_avx2(&cpu);
		case EK_LEVEL_AVX512:
			return runs_avx512(&cpu);
		case EK_LEVEL_NEON:
			break;
	}
	return false;
}

bool
ek_cpu_has_vnni(void)
{
	cpu_features cpu = read_cpu_features();

	return runs_avx512(&cpu) && all_set(cpu.leaf7_ecx, CPUID7_ECX_AVX512VNNI);
}

#else

bool
ek_cpu_supports(ek_level level)
{
#ifdef EK_HAVE_NEON
	/* double-precision NEON is part of every aarch64 */
	if (level == EK_LEVEL_NEON)
		return true;
#endif
	return level == EK_LEVEL_SCALAR;
}

bool
ek_cpu_has_vnni(void)
{
	return false;
}

#endif							/* EK_HAVE_X86 */
