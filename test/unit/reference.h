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

#endif							/* REFERENCE_H */
