/*
 * ek_dispatch.c
 *		The list of levels.  Only this file names their tables.
 */
#include "ek_level.h"

const ek_level ek_level_priority[EK_LEVEL_COUNT] = {
	EK_LEVEL_AVX512,
	EK_LEVEL_AVX2,
	EK_LEVEL_NEON,
	EK_LEVEL_SCALAR
};

const char *
ek_level_name(ek_level level)
{
	switch (level)
	{
		case EK_LEVEL_SCALAR:
			break;
		case EK_LEVEL_NEON:
			return "neon";
		case EK_LEVEL_AVX2:
			return "avx2";
		case EK_LEVEL_AVX512:
			return "avx512";
	}
	return "scalar";
}

const ek_kernels *
ek_level_kernels(ek_level level)
{
	switch (level)
	{
		case EK_LEVEL_SCALAR:
			return &ek_kernels_scalar;
#ifdef EK_HAVE_X86
		case EK_LEVEL_AVX2:
			return &ek_kernels_avx2;
		case EK_LEVEL_AVX512:
			return ek_cpu_has_vnni() ? &ek_kernels_avx512vnni : &ek_kernels_avx512;
#endif
#ifdef EK_HAVE_NEON
		case EK_LEVEL_NEON:
			return &ek_kernels_neon;
#endif
		default:
			return NULL;
	}
}
