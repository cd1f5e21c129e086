/*
 * arena.c
 *		Scratch memory for the length of one call: a bump allocator.
 *
 * It cannot free or resize a piece, it cannot be shared or nested, and it
 * never grows: its size is a promise to whoever sized the server.  In return
 * an allocation is an addition and a comparison.  There is one arena a
 * backend, in a memory context of its own, so pg_backend_memory_contexts
 * shows it as "engramk arena".  A change of engramk.arena_size takes effect
 * when the arena is next opened.
 *
 * The common path stands in ek_arena_open() and ek_arena_alloc(); what is rare
 * is kept out of line, so that those two stay small.
 */
#include "postgres.h"

#include "utils/memutils.h"

#include "base/arena.h"
#include "base/scratch.h"
#include "simd/ek_simd.h"

/* Heads a piece of memory that did not fit, until the arena is closed. */
typedef struct overflow_piece
{
	struct overflow_piece *next;
} overflow_piece;

static struct
{
	MemoryContext context;		/* holds the block; NULL before first use */
	char	   *block;			/* as allocated */
	char	   *begin;			/* aligned to EK_ALIGNMENT */
	Size		used;			/* bytes handed out since opened */
	Size		wanted;			/* the same, and what did not fit */
	overflow_piece *overflow;	/* pieces of the open call */
	Size		capacity;		/* 0 before first use */
} arena;

/* Takes up the memory.  If there is none, the arena is left empty but sound. */
static pg_noinline void
take_up(void)
{
	if (arena.context == NULL)
		arena.context = AllocSetContextCreate(TopMemoryContext,
											  "engramk arena",
											  ALLOCSET_SMALL_SIZES);
	arena.capacity = 0;
	arena.block = NULL;
	MemoryContextReset(arena.context);

	arena.block = MemoryContextAllocHuge(arena.context,
										 ek_scratch_size() + EK_ALIGNMENT);
	arena.begin = (char *) TYPEALIGN(EK_ALIGNMENT, arena.block);
	arena.capacity = ek_scratch_size();
}

/* The rare end of ek_arena_alloc(). */
static pg_noinline void *
allocate_overflow(Size size)
{
	overflow_piece *piece;

	ek_scratch_overflow(arena.wanted, size);
	piece = MemoryContextAllocHuge(CurrentMemoryContext,
								   sizeof(overflow_piece) + EK_ALIGNMENT + size);
	piece->next = arena.overflow;
	arena.overflow = piece;
	return (void *) TYPEALIGN(EK_ALIGNMENT, piece + 1);
}

void
ek_arena_open(void)
{
	if (unlikely(arena.capacity != ek_scratch_size()))
		take_up();
	arena.used = 0;
	arena.wanted = 0;

	/* pieces that an error left went with their memory context */
	arena.overflow = NULL;
	ek_scratch_count_reset();
}

void *
ek_arena_alloc(Size size)
{
	char	   *piece = arena.begin + arena.used;

	size = TYPEALIGN(EK_ALIGNMENT, size);
	arena.wanted += size;
	ek_scratch_want(arena.wanted);

	if (unlikely(size > arena.capacity - arena.used))
		return allocate_overflow(size);
	arena.used += size;
	return piece;
}

void
ek_arena_close(void)
{
	while (unlikely(arena.overflow != NULL))
	{
		overflow_piece *piece = arena.overflow;

		arena.overflow = piece->next;
		pfree(piece);
	}
}

Size
ek_arena_capacity(void)
{
	return arena.capacity;
}
