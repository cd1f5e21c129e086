/*
 * neighbours.h
 *		The k nearest of what was offered, ties by id.
 */
#ifndef EK_NEIGHBOURS_H
#define EK_NEIGHBOURS_H

#include "utils/palloc.h"

/* A bigint or a uuid, as unsigned numbers that sort as it does. */
typedef struct ek_id
{
	uint64		high;
	uint64		low;
} ek_id;

#define EK_SIGN_BIT		(UINT64CONST(1) << 63)

static inline ek_id
ek_id_of_bigint(int64 id)
{
	return (ek_id)
	{
		.high = (uint64) id ^ EK_SIGN_BIT,.low = 0
	};
}

static inline int64
ek_bigint_of_id(ek_id id)
{
	return (int64) (id.high ^ EK_SIGN_BIT);
}

typedef struct ek_neighbour
{
	double		distance;
	ek_id		id;
} ek_neighbour;

static inline int
ek_compare_ids(ek_id a, ek_id b)
{
	if (a.high != b.high)
		return a.high < b.high ? -1 : 1;
	if (a.low != b.low)
		return a.low < b.low ? -1 : 1;
	return 0;
}

/*
 * Below 0 if `a` is nearer: by distance, ties by id.  A total order but for neighbours
 * that are the same in both.
 */
static inline int
ek_compare_neighbours(const ek_neighbour *a, const ek_neighbour *b)
{
	if (a->distance != b->distance)
		return a->distance < b->distance ? -1 : 1;
	return ek_compare_ids(a->id, b->id);
}

/*
 * A binary heap with the farthest kept neighbour on top.  It grows as it
 * fills, since k may be far above the number of neighbours there are.
 */
typedef struct ek_neighbours
{
	ek_neighbour *heap;
	int			count;
	int			capacity;
} ek_neighbours;

static inline bool
ek_same_id(ek_id a, ek_id b)
{
	return a.high == b.high && a.low == b.low;
}

/*
 * Keeps the neighbour if it is among the k nearest so far.  Returns by how
 * many bytes the heap grew, in `context`; *kept says whether it was kept.
 */
extern Size ek_neighbours_offer(ek_neighbours *neighbours, int k, ek_neighbour neighbour,
								MemoryContext context, bool *kept);

/*
 * Sorts the heap, farthest first; it can still be offered to after that.  Looks
 * for interrupts.
 */
extern void ek_neighbours_sort(ek_neighbours *neighbours);

/* The neighbour of this rank, from 1, once sorted. */
static inline const ek_neighbour *
ek_neighbour_of_rank(const ek_neighbours *neighbours, int rank)
{
	return &neighbours->heap[neighbours->count - rank];
}

#endif							/* EK_NEIGHBOURS_H */
