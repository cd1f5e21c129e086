/*
 * neighbours.c
 *		The k nearest of what was offered, ties by id.
 *
 * The result does not depend on the order of offering, see ek_compare_neighbours().
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/memutils.h"

#include "nearest/neighbours.h"

#define FIRST_CAPACITY	16

static inline bool
nearer(const ek_neighbour *a, const ek_neighbour *b)
{
	return ek_compare_neighbours(a, b) < 0;
}

static void
sift_up(ek_neighbour *heap, int i, ek_neighbour neighbour)
{
	while (i > 0 && nearer(&heap[(i - 1) / 2], &neighbour))
	{
		heap[i] = heap[(i - 1) / 2];
		i = (i - 1) / 2;
	}
	heap[i] = neighbour;
}

/* Puts `neighbour` where the top was. */
static void
sift_down(ek_neighbour *heap, int count, ek_neighbour neighbour)
{
	int			i = 0;

	/* in 64 bits, since twice a count need not fit an int */
	for (int64 child = 1; child < count; child = 2 * (int64) i + 1)
	{
		if (child + 1 < count && nearer(&heap[child], &heap[child + 1]))
			child++;
		if (nearer(&heap[child], &neighbour))
			break;
		heap[i] = heap[child];
		i = (int) child;
	}
	heap[i] = neighbour;
}

static Size
grow(ek_neighbours *neighbours, int k, MemoryContext context)
{
	int			capacity = (int) Min((int64) k, Max((int64) FIRST_CAPACITY,
													2 * (int64) neighbours->capacity));
	Size		size = sizeof(ek_neighbour) * (Size) capacity;
	Size		before = sizeof(ek_neighbour) * (Size) neighbours->capacity;

	if (neighbours->heap == NULL)
		neighbours->heap = MemoryContextAllocHuge(context, size);
	else
		neighbours->heap = repalloc_huge(neighbours->heap, size);
	neighbours->capacity = capacity;
	return size - before;
}

Size
ek_neighbours_offer(ek_neighbours *neighbours, int k, ek_neighbour neighbour,
					MemoryContext context, bool *kept)
{
	Size		grown = 0;

	*kept = true;
	if (neighbours->count < k)
	{
		if (neighbours->count == neighbours->capacity)
			grown = grow(neighbours, k, context);
		sift_up(neighbours->heap, neighbours->count++, neighbour);
	}
	else if (nearer(&neighbour, &neighbours->heap[0]))
		sift_down(neighbours->heap, neighbours->count, neighbour);
	else
		*kept = false;
	return grown;
}

/* Farthest first, an array is a heap as well. */
#define ST_SORT sort_farthest_first
#define ST_ELEMENT_TYPE ek_neighbour
#define ST_COMPARE(a, b) ek_compare_neighbours(b, a)
#define ST_SCOPE static
#define ST_CHECK_FOR_INTERRUPTS
#define ST_DEFINE
#include "lib/sort_template.h"

void
ek_neighbours_sort(ek_neighbours *neighbours)
{
	if (neighbours->count > 1)
		sort_farthest_first(neighbours->heap, neighbours->count);
}
