/*
 * arena.h
 *		Scratch memory for the length of one call.
 *
 * arena: the scratch memory of this backend, engramk.arena_size large.
 * overflow: a request that did not fit it.
 *
 * A function opens the arena after it has its arguments, detoasted, in hand
 * and closes it before it returns.  It must not run SPI, the executor or
 * anybody's function in between, so there is never more than one user, and
 * opening always starts from zero; whatever an error left behind is gone then.
 */
#ifndef EK_ARENA_H
#define EK_ARENA_H

/* Since the backend began; bytes where not said otherwise. */
typedef struct ek_arena_counters
{
	uint64		resets;			/* calls that opened the arena */
	uint64		overflows;		/* requests that did not fit */
	uint64		overflow_bytes;
	uint64		high_water;		/* most that one call asked for */
	uint64		refused;		/* overflows that raised an error */
	uint64		capacity;		/* 0 before the first use */
} ek_arena_counters;

extern void ek_arena_open(void);
extern void ek_arena_close(void);

/*
 * `size` bytes, aligned to EK_ALIGNMENT, not cleared, valid until the arena is
 * closed.  What does not fit comes from the current memory context, or raises
 * an error if engramk.arena_overflow says so; either way it is counted.
 */
extern void *ek_arena_alloc(Size size);

/*
 * Counts memory that outlives a call, and so is not taken from the arena but
 * has a budget of its own, as large: `used` bytes, and whether it was too small.
 */
extern void ek_arena_count_budget(Size used, bool exceeded);

/*
 * For before such memory exceeds its budget for the first time: counts it or,
 * if engramk.arena_overflow says so, raises the error of an overflow.
 */
extern void ek_arena_exceed_budget(Size wanted);

extern ek_arena_counters ek_arena_read_counters(void);

/* The most that one call has asked for since this was last asked; 0 if none did. */
extern uint64 ek_arena_take_high_water(void);

#endif							/* EK_ARENA_H */
