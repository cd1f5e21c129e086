/*
 * bounds.h
 *		Vectors, queries and an index made from bytes, and whether its bounds hold.
 */
#ifndef BOUNDS_H
#define BOUNDS_H

#include <stddef.h>
#include <stdint.h>

#include "base/metric.h"

typedef enum bound_kind
{
	BOUND_COARSE_1,
	BOUND_COARSE_2,
	BOUND_COARSE_3,
	BOUND_COARSE_5,				/* in floats */
	BOUND_RECODED,				/* a coarse code of a fine code */
	BOUND_INSTEAD,				/* of the fine code, as of a coarse code */
	BOUND_FINE
} bound_kind;

#define BOUND_KIND_COUNT	7

/* What was compared so far. */
typedef struct bound_tally
{
	uint64_t	pairs;			/* of a query and an entry */
	uint64_t	bounds;
	uint64_t	void_bounds;	/* that say nothing: infinite, or not a number */

	/*
	 * How far a bound was below what the operator computes, at least: of cosines
	 * as it is, of inner products by the product of the norms, of L2 by the
	 * distance.  Bounds of 0 and zero vectors are left out.
	 */
	double		least[BOUND_KIND_COUNT][EK_INDEXED_METRIC_COUNT];
} bound_tally;

extern bound_tally new_tally(void);

/* How large scenes are, at most. */
typedef struct bound_limits
{
	unsigned	queries;
	unsigned	groups;			/* of entries */
	int			basis;			/* coordinates^2 * dimensions */
} bound_limits;

/*
 * Makes a scene of the bytes, and aborts with its numbers if a bound is above what
 * the operator computes.
 */
extern void check_bounds(const uint8_t *bytes, size_t size, const bound_limits *limits,
						 bound_tally *tally);

#endif							/* BOUNDS_H */
