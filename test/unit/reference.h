/*
 * reference.h
 *		The arithmetic contract, written down a second time.
 *
 * Slow and obvious, from the words of ek_simd.h alone: it shares no code with
 * simd/.  Every intermediate result goes through a volatile double, so no
 * compiler, whatever its flags, can fuse two operations, reorder them, or
 * make vectors of them.
 */
#ifndef REFERENCE_H
#define REFERENCE_H

#include "support.h"

/* Cosine's three sums are filled in from dot and the norms. */
extern pair_sums reference_sums(const float *a, const float *b, size_t n);

/* What a group is compared by, in 64 bits and then in floats. */
extern void reference_bounds(const groups *groups, float *bounds, uint16_t *masks);

/* No groups are more than this. */
#define REFERENCE_MAX_GROUPS	8

/*
 * Does a level give these?  It writes to `bounds` and `masks`, and nothing comes
 * of asking for memory `ahead`.
 */
extern bool bounds_are_right(const ek_kernels *kernels, const groups *groups,
							 ptrdiff_t ahead, float *bounds, uint16_t *masks);

#endif							/* REFERENCE_H */
