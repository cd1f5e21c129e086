/*
 * arena.h
 *		Scratch memory for the length of one call.
 *
 * arena: the scratch memory of this backend, engramk.arena_size large.
 *
 * A function opens the arena after it has its arguments, detoasted, in hand
 * and closes it before it returns.  It must not run SPI, the executor or
 * anybody's function in between, so there is never more than one user, and
 * opening always starts from zero; whatever an error left behind is gone then.
 */
#ifndef EK_ARENA_H
#define EK_ARENA_H

extern void ek_arena_open(void);
extern void ek_arena_close(void);

/*
 * `size` bytes, aligned to EK_ALIGNMENT, not cleared, valid until the arena is
 * closed.  What does not fit comes from the current memory context, or raises
 * an error if engramk.arena_overflow says so; either way it is counted.
 */
extern void *ek_arena_alloc(Size size);

/* Bytes that it has taken up; 0 before the first use. */
extern Size ek_arena_capacity(void);

#endif							/* EK_ARENA_H */
