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
#include "base/guc.h"
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
	ek_arena_counters counters;
	uint64		high_water;		/* since it was last taken */
} arena;

static Size
configured_size(void)
{
	return (Size) ek_arena_size * 1024;
}

static inline void
raise_high_water(Size wanted)
{
	if (wanted <= arena.high_water)
		return;
	arena.high_water = wanted;
	arena.counters.high_water = Max(arena.counters.high_water, wanted);
}

/* Takes up the memory.  If there is none, the arena is left empty but sound. */
static pg_noinline void
take_up(void)
{
	if (arena.context == NULL)
		arena.context = AllocSetContextCreate(TopMemoryContext,
											  "engramk arena",
											  ALLOCSET_SMALL_SIZES);
	arena.counters.capacity = 0;
	arena.block = NULL;
	MemoryContextReset(arena.context);

	arena.block = MemoryContextAllocHuge(arena.context,
										 configured_size() + EK_ALIGNMENT);
	arena.begin = (char *) TYPEALIGN(EK_ALIGNMENT, arena.block);
	arena.counters.capacity = configured_size();
}

/* Counts an overflow, or raises its error if that is what the user wants. */
static void
note_overflow(Size wanted, Size excess)
{
	arena.counters.overflows++;
	arena.counters.overflow_bytes += excess;

	if (ek_arena_overflow == EK_ARENA_ERROR)
	{
		arena.counters.refused++;
		ereport(ERROR,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("arena of %d kB cannot hold %zu bytes",
						ek_arena_size, wanted),
				 errhint("Increase \"engramk.arena_size\", or set \"engramk.arena_overflow\" to \"fallback\".")));
	}
}

/* The rare end of ek_arena_alloc(). */
static pg_noinline void *
allocate_overflow(Size size)
{
	overflow_piece *piece;

	note_overflow(arena.wanted, size);
	piece = MemoryContextAllocHuge(CurrentMemoryContext,
								   sizeof(overflow_piece) + EK_ALIGNMENT + size);
	piece->next = arena.overflow;
	arena.overflow = piece;
	return (void *) TYPEALIGN(EK_ALIGNMENT, piece + 1);
}

void
ek_arena_open(void)
{
	if (unlikely(arena.counters.capacity != configured_size()))
		take_up();
	arena.used = 0;
	arena.wanted = 0;

	/* pieces that an error left went with their memory context */
	arena.overflow = NULL;
	arena.counters.resets++;
}

void *
ek_arena_alloc(Size size)
{
	char	   *piece = arena.begin + arena.used;

	size = TYPEALIGN(EK_ALIGNMENT, size);
	arena.wanted += size;
	raise_high_water(arena.wanted);

	if (unlikely(size > arena.counters.capacity - arena.used))
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

void
ek_arena_count_budget(Size used, bool exceeded)
{
	arena.counters.resets++;
	raise_high_water(used);
	if (exceeded)
		arena.counters.overflows++;
}

void
ek_arena_exceed_budget(Size wanted)
{
	raise_high_water(wanted);
	note_overflow(wanted, wanted - configured_size());
}

ek_arena_counters
ek_arena_read_counters(void)
{
	return arena.counters;
}

uint64
ek_arena_take_high_water(void)
{
	uint64		taken = arena.high_water;

	arena.high_water = 0;
	return taken;
}
