/*
 * topk.c
 *		The k best of what was offered, ties by ordinal.
 *
 * Most of what is offered to a long list is worse than the worst kept: one
 * comparison decides.  Ordinals are unique, so the order is total and the
 * result does not depend on the order of offering.
 */
#include "postgres.h"

#include "miscadmin.h"

#include "nearest/topk.h"

static inline bool
better(ek_match a, ek_match b)
{
	if (a.similarity != b.similarity)
		return a.similarity > b.similarity;
	return a.ordinal < b.ordinal;
}

static void
sift_up(ek_match *heap, int i, ek_match match)
{
	while (i > 0 && better(heap[(i - 1) / 2], match))
	{
		heap[i] = heap[(i - 1) / 2];
		i = (i - 1) / 2;
	}
	heap[i] = match;
}

/* Puts `match` where the top was, in a heap of `count`. */
static void
sift_down(ek_match *heap, int count, ek_match match)
{
	int			i = 0;

	/* in 64 bits, since twice an array's length need not fit an int */
	for (int64 child = 1; child < count; child = 2 * (int64) i + 1)
	{
		if (child + 1 < count && better(heap[child], heap[child + 1]))
			child++;
		if (better(heap[child], match))
			break;
		heap[i] = heap[child];
		i = (int) child;
	}
	heap[i] = match;
}

void
ek_topk_offer(ek_topk *topk, double similarity, int ordinal)
{
	ek_match	match = {similarity, ordinal};

	if (topk->count < topk->k)
		sift_up(topk->matches, topk->count++, match);
	else if (better(match, topk->matches[0]))
		sift_down(topk->matches, topk->count, match);
}

void
ek_topk_sort(ek_topk *topk)
{
	for (int last = topk->count - 1; last > 0; last--)
	{
		ek_match	worst = topk->matches[0];

		CHECK_FOR_INTERRUPTS();
		sift_down(topk->matches, last, topk->matches[last]);
		topk->matches[last] = worst;
	}
}
