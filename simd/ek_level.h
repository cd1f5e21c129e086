/*
 * ek_level.h
 *		What the files of the levels share; private to simd/.
 */
#ifndef EK_LEVEL_H
#define EK_LEVEL_H

#include <stdint.h>

#include "ek_simd.h"

extern const ek_kernels ek_kernels_scalar;

#if defined(__x86_64__)
#define EK_HAVE_X86 1
extern const ek_kernels ek_kernels_avx2;
extern const ek_kernels ek_kernels_avx512;
extern const ek_kernels ek_kernels_avx512vnni;
#elif defined(__aarch64__)
#define EK_HAVE_NEON 1
extern const ek_kernels ek_kernels_neon;
#endif

/* Rows that follow each other are asked for so far ahead. */
#define EK_PREFETCH_BYTES	6144

/*
 * Adding it and taking it off again rounds a double to the nearest integer, to
 * the even one of two, at every level alike: from 2^52 on, doubles are integers.
 */
#define EK_ROUNDING_SHIFT	0x1.8p52

/*
 * So many steps of coarse codes, times one byte of each weight, may be added up
 * in pairs of 16 bits: 4 * 2 * 2 * 15 * 128 and 10 * 4 * 2 * 3 * 128 are 30720.
 */
#define EK_STEPS4_IN_16_BITS	4
#define EK_STEPS2_IN_16_BITS	10

static inline const float *
ek_row(const ek_rows *rows, size_t dims, size_t r)
{
	return rows->first + r * dims;
}

/*
 * Where to prefetch from while row r is read.  The address may lie past the
 * last row: a prefetch never faults, and it is computed as an integer because
 * a pointer must not go there.
 */
static inline uintptr_t
ek_row_ahead(const ek_rows *rows, size_t dims, size_t r)
{
	return (uintptr_t) (rows->first + r * dims) +
		(uintptr_t) (rows->ahead != 0 ? rows->ahead : EK_PREFETCH_BYTES);
}

/*
 * Into the second cache, not the first.  On AMD's Zen 4, which has more loads of
 * the second under way, rows of 768 elements take three quarters of the time with
 * that, and a pass over scattered pages two thirds; on Intel's Sapphire Rapids it
 * made no difference.
 */
static inline void
ek_prefetch_address(uintptr_t address)
{
	__builtin_prefetch((const void *) address, 0, 2);
}

/*
 * Of what comes after the last whole lanes of a row, too: a line that nobody asks
 * for is waited for.
 */
static inline void
ek_prefetch(uintptr_t ahead, size_t i)
{
	ek_prefetch_address(ahead + i * sizeof(float));
}

/* The same for what lies so far from something that is read now. */
static inline void
ek_prefetch_ahead(const void *now, ptrdiff_t ahead)
{
	ek_prefetch_address((uintptr_t) now + (uintptr_t) ahead);
}

#endif							/* EK_LEVEL_H */
