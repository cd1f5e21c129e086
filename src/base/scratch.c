/*
 * scratch.c
 *		What scratch memory was asked for, and what becomes of too large a request.
 */
#include "postgres.h"

#include "base/guc.h"
#include "base/scratch.h"

uint64		ek_scratch_high_water = 0;

static ek_scratch_counts counts;

Size
ek_scratch_size(void)
{
	return (Size) ek_arena_size * 1024;
}

void
ek_scratch_raise_high_water(Size wanted)
{
	ek_scratch_high_water = wanted;
	counts.high_water = Max(counts.high_water, wanted);
}

void
ek_scratch_count_reset(void)
{
	counts.resets++;
}

void
ek_scratch_overflow(Size wanted, Size excess)
{
	counts.overflows++;
	counts.overflow_bytes += excess;

	if (ek_arena_overflow == EK_ARENA_ERROR)
	{
		counts.refused++;
		ereport(ERROR,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("arena of %d kB cannot hold %zu bytes",
						ek_arena_size, wanted),
				 errhint("Increase \"engramk.arena_size\", or set \"engramk.arena_overflow\" to \"fallback\".")));
	}
}

ek_scratch_counts
ek_scratch_read(void)
{
	return counts;
}

uint64
ek_scratch_take_high_water(void)
{
	uint64		taken = ek_scratch_high_water;

	ek_scratch_high_water = 0;
	return taken;
}

void
ek_budget_count(Size used, bool exceeded)
{
	ek_scratch_count_reset();
	ek_scratch_want(used);
	if (exceeded)
		counts.overflows++;
}

void
ek_budget_exceed(Size wanted)
{
	ek_scratch_want(wanted);
	ek_scratch_overflow(wanted, wanted - ek_scratch_size());
}
