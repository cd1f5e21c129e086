/*
 * scratch.h
 *		What scratch memory was asked for, and what becomes of too large a request.
 *
 * Memory for the length of one call is the arena's.  Memory that outlives a call,
 * that of a scan, a join or an aggregate, lives in a context of its own, and has a
 * budget: as much as the arena.  Both are counted here.
 *
 * overflow: a request that did not fit the arena or the budget.
 */
#ifndef EK_SCRATCH_H
#define EK_SCRATCH_H

#include "utils/memutils.h"

#include "simd/ek_simd.h"

/* Of any size, as kernels want it, and all zeros.  It goes with its context. */
static inline void *
ek_alloc_aligned(MemoryContext context, Size size)
{
	return (void *) TYPEALIGN(EK_ALIGNMENT,
							  MemoryContextAllocExtended(context, size + EK_ALIGNMENT,
														 MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO));
}

/* Since the backend began; bytes where not said otherwise. */
typedef struct ek_scratch_counts
{
	uint64		resets;			/* calls that opened the arena, and budgets */
	uint64		overflows;		/* requests that did not fit */
	uint64		overflow_bytes;
	uint64		high_water;		/* most that one call asked for */
	uint64		refused;		/* overflows that raised an error */
} ek_scratch_counts;

/* engramk.arena_size in bytes: of the arena, and of each budget. */
extern Size ek_scratch_size(void);

extern void ek_scratch_count_reset(void);

/* Counts an overflow or, if engramk.arena_overflow says so, raises its error. */
extern void ek_scratch_overflow(Size wanted, Size excess);

extern ek_scratch_counts ek_scratch_read(void);

/* The most that one call has asked for since this was last asked; 0 if none did. */
extern uint64 ek_scratch_take_high_water(void);

/* Counts a budget: `used` bytes of it, and whether it was too small. */
extern void ek_budget_count(Size used, bool exceeded);

/* For before a budget is exceeded for the first time: an overflow. */
extern void ek_budget_exceed(Size wanted);

/* This backend's: all that was asked for at once since it was last taken. */
extern uint64 ek_scratch_high_water;
extern void ek_scratch_raise_high_water(Size wanted);

static inline void
ek_scratch_want(Size wanted)
{
	if (unlikely(wanted > ek_scratch_high_water))
		ek_scratch_raise_high_water(wanted);
}

#endif							/* EK_SCRATCH_H */
