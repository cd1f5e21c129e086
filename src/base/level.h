/*
 * level.h
 *		Which kernels this backend computes with.
 */
#ifndef EK_SRC_LEVEL_H
#define EK_SRC_LEVEL_H

#include "base/compat.h"
#include "simd/ek_simd.h"

/*
 * The kernels in use.  They change when engramk.simd does, between statements,
 * or when a level is withdrawn.  NULL if not even scalar passed its self-test.
 */
extern const ek_kernels *ek_active_kernels;

/*
 * Called with the level each time another one is in use, by a process that shows
 * it to others; NULL where nobody does.
 */
extern void (*ek_level_observer) (ek_level level);

/* Proves every level that the CPU supports.  Once, before ek_level_use*(). */
extern void ek_level_init(void);

/* Supported by the CPU and the operating system, and proven? */
extern bool ek_level_usable(ek_level level);

/* The best usable level. */
extern void ek_level_use_best(void);

/* This level or, if it is not usable, the next best. */
extern void ek_level_use(ek_level level);

/*
 * Never again in this backend: it gave another result than scalar.  Warns, and
 * the next best takes over.
 */
extern void ek_level_withdraw(ek_level level);

pg_noreturn extern void ek_level_raise_none(void);

/* What every SQL function computes with. */
static inline const ek_kernels *
ek_kernels_in_use(void)
{
	if (unlikely(ek_active_kernels == NULL))
		ek_level_raise_none();
	return ek_active_kernels;
}

#endif							/* EK_SRC_LEVEL_H */
