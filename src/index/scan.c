/*
 * scan.c
 *		Rows in order of the bounds of their distances.
 *
 * A scan is not told how many rows are wanted.  It returns entries one by one,
 * by ascending key, where the key of an entry is the larger of its coarse and
 * its fine bound, ties by number; the executor computes true distances and
 * holds back what may still be beaten.
 *
 * collect: one pass over the coarse codes keeps the entries with the smallest
 * coarse bounds, as many as there is room for, in a heap.  The rest have
 * bounds of at least `horizon`.
 * refine: the smallest in the heap, if its bound is coarse, gets its key from
 * its fine code and goes back; if it has its key, it is returned.  This reads
 * the fewest fine codes that any order could (Seidl and Kriegel, Optimal
 * Multi-Step k-Nearest Neighbor Search, 1998).
 *
 * When the smallest key passes the horizon, there is another pass with more
 * room, which starts afresh and leaves out what has been returned, by its key.
 * Room ends at the budget, engramk.arena_size.  From there on each pass keeps
 * the smallest keys, not bounds, beyond the last that was returned: slower,
 * but it gets to the end of any table.
 *
 * NULLs come last.  A freed entry that is used again during a scan holds a row
 * that the scan's snapshot cannot see, so it does no harm to return it.
 */
#include "postgres.h"

#include <math.h>

#include "access/relscan.h"
#include "catalog/pg_type.h"
#include "lib/binaryheap.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "utils/float.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "base/scratch.h"
#include "base/stats.h"
#include "index/index.h"
#include "vector/vector.h"

/* What the first pass keeps: enough for most queries, and quick to order. */
#define FIRST_CANDIDATES	2048
#define GROWTH				8

typedef struct candidate
{
	double		bound;
	double		norm;			/* 0 for a zero vector */
	uint32		entry;
	ItemPointerData tid;
	bool		has_key;		/* bound is the key */
} candidate;

/* What the budget pays for a candidate: itself, and its place in the heap. */
#define CANDIDATE_BYTES		(sizeof(candidate) + sizeof(Datum))

/* Where the order stands: everything up to here has been returned. */
typedef struct position
{
	double		key;
	uint32		entry;
} position;

typedef enum scan_phase
{
	PHASE_ORDERED,
	PHASE_LIST,					/* all vectors: there is nothing to order by */
	PHASE_EARLY_NULLS,
	PHASE_NULLS,
	PHASE_END
} scan_phase;

typedef struct scan_state
{
	/* set by begin */
	MemoryContext context;		/* of everything below; reset by rescan */

	/* set by rescan */
	bool		fresh;			/* no row has been asked for */
	scan_phase	phase;
	bool		null_query;
	ek_meta		meta;
	ek_geometry geometry;
	ek_coded_query *query;
	uint32		capacity;		/* candidates that the budget holds */
	BlockNumber heap_blocks;	/* of the table, when last asked */

	/* changes with each row */
	candidate  *candidates;
	uint32		room;			/* in candidates, for this pass; 0 before the first */
	uint32		count;
	binaryheap *heap;
	position	horizon;		/* the first bound that this pass left out */
	bool		complete;		/* it left out nothing */
	position	returned;
	bool		any_returned;
	uint32		next;			/* entry or pointer, when listing */
	ek_index_counts counts;		/* not yet in the statistics */
	bool		by_key;			/* this pass reads every fine code */
	Buffer		fine_buffer;	/* pinned, or invalid: the last fine page */
	bool		fine_locked;
	Buffer		fine_ahead;		/* pinned, or invalid: the pages that a pass */
	Buffer		coarse_ahead;	/* comes to next */
} scan_state;

static inline bool
before(double a_key, uint32 a_entry, double b_key, uint32 b_entry)
{
	return a_key < b_key || (a_key == b_key && a_entry < b_entry);
}

static int
compare_candidates(Datum a, Datum b, void *arg pg_attribute_unused())
{
	candidate  *x = (candidate *) DatumGetPointer(a);
	candidate  *y = (candidate *) DatumGetPointer(b);

	/* binaryheap has the largest on top; the smallest is wanted there */
	if (before(x->bound, x->entry, y->bound, y->entry))
		return 1;
	return before(y->bound, y->entry, x->bound, x->entry) ? -1 : 0;
}

static bool
was_returned(const scan_state *state, double key, uint32 entry)
{
	return state->any_returned &&
		!before(state->returned.key, state->returned.entry, key, entry);
}

static void
release(Buffer *buffer)
{
	if (BufferIsValid(*buffer))
		ReleaseBuffer(*buffer);
	*buffer = InvalidBuffer;
}

/* A pass by keys keeps the fine page locked as long as it stays on a page. */
static void
unlock(scan_state *state)
{
	if (state->fine_locked)
		LockBuffer(state->fine_buffer, BUFFER_LOCK_UNLOCK);
	state->fine_locked = false;
}

static void
unpin(IndexScanDesc scan)
{
	scan_state *state = scan->opaque;

	unlock(state);
	release(&state->fine_buffer);
	release(&state->fine_ahead);
	release(&state->coarse_ahead);
}

/*
 * A pass goes from page to page, and pages lie anywhere in shared buffers.  So
 * the next one is looked up early, and asked for piece by piece while this one
 * is worked on: without, a pass waits for memory half of its time.
 */
static Buffer
step_to(Relation index, Buffer *ahead, BlockNumber block, BlockNumber next)
{
	Buffer		buffer = *ahead;

	if (!BufferIsValid(buffer) || BufferGetBlockNumber(buffer) != block)
	{
		release(ahead);
		buffer = ReadBuffer(index, block);
	}
	*ahead = BlockNumberIsValid(next) ? ReadBuffer(index, next) : InvalidBuffer;
	return buffer;
}

static inline void
ask_for(Buffer ahead, const char *here, Page page, Size bytes)
{
	const char *there;

	if (!BufferIsValid(ahead))
		return;
	there = (const char *) BufferGetPage(ahead) + (here - (const char *) page);
	for (Size i = 0; i < bytes; i += PG_CACHE_LINE_SIZE / 2)
		__builtin_prefetch(there + i);
}

/*
 * Candidates
 */

static void
swap(candidate *a, candidate *b)
{
	candidate	c = *a;

	*a = *b;
	*b = c;
}

/* Moves the `keep` smallest of `count` to the front (Hoare's quickselect). */
static void
select_smallest(candidate *c, uint32 count, uint32 keep)
{
	int64		low = 0;
	int64		high = (int64) count - 1;

	while (low < high)
	{
		candidate	pivot = c[(low + high) / 2];
		int64		i = low;
		int64		j = high;

		while (i <= j)
		{
			while (before(c[i].bound, c[i].entry, pivot.bound, pivot.entry))
				i++;
			while (before(pivot.bound, pivot.entry, c[j].bound, c[j].entry))
				j--;
			if (i <= j)
				swap(&c[i++], &c[j--]);
		}
		if ((int64) keep <= j)
			high = j;
		else if ((int64) keep >= i)
			low = i;
		else
			return;
	}
}

/* Halves what is kept; what goes moves the horizon. */
static void
make_room(scan_state *state)
{
	uint32		keep = state->room / 2;

	select_smallest(state->candidates, state->count, keep);
	for (uint32 i = keep; i < state->count; i++)
	{
		candidate  *c = &state->candidates[i];

		if (state->complete ||
			before(c->bound, c->entry, state->horizon.key, state->horizon.entry))
			state->horizon = (position)
		{
			c->bound, c->entry
		};
		state->complete = false;
	}
	state->count = keep;
}

/* Could an entry with this bound be among those that this pass keeps? */
static inline bool
within_horizon(const scan_state *state, double bound, uint32 entry)
{
	return state->complete ||
		before(bound, entry, state->horizon.key, state->horizon.entry);
}

static void
keep(scan_state *state, const candidate *c)
{
	if (state->count == state->room)
		make_room(state);
	if (within_horizon(state, c->bound, c->entry))
		state->candidates[state->count++] = *c;
}

/* The fine page that a pass comes to after this entry's, if this is one. */
static BlockNumber
next_fine_block(const scan_state *state, uint32 entry, const ek_place *place)
{
	uint32		next = entry + (state->geometry.fine_per_page - place->fine_slot);

	if (!state->by_key || next >= state->meta.entries)
		return InvalidBlockNumber;
	return ek_place_of(&state->geometry, next).fine_block;
}

/*
 * What a lane holds.  Its bound means nothing unless that is a vector; then it
 * is a number, or the certificate is none.
 */
static inline ek_entry_state
state_of(IndexScanDesc scan, const ek_group *group, uint32 entry, double bound)
{
	const scan_state *state = scan->opaque;
	const ek_entry_state kind = (ek_entry_state) group->state[entry % EK_LANES];

	if (kind > EK_ENTRY_NULL)
		ek_raise_corrupted_block(scan->indexRelation,
								 ek_place_of(&state->geometry, entry).coarse_block,
								 "an entry is of no known kind");
	if ((kind == EK_ENTRY_VECTOR || kind == EK_ENTRY_ZERO) && isnan(bound))
		ek_raise_corrupted_block(scan->indexRelation,
								 ek_place_of(&state->geometry, entry).coarse_block,
								 "the certificate of an entry is not a number");
	return kind;
}

/*
 * The larger of the coarse and the fine bound.  The last fine page stays
 * pinned, since the next is often the same.
 */
static double
read_key(IndexScanDesc scan, const candidate *c)
{
	scan_state *state = scan->opaque;
	ek_place	place = ek_place_of(&state->geometry, c->entry);
	ek_fine    *fine;
	double		bound;

	if (BufferIsValid(state->fine_buffer) &&
		BufferGetBlockNumber(state->fine_buffer) != place.fine_block)
	{
		unlock(state);
		release(&state->fine_buffer);
	}
	if (!BufferIsValid(state->fine_buffer))
		state->fine_buffer = step_to(scan->indexRelation, &state->fine_ahead,
									 place.fine_block, next_fine_block(state, c->entry, &place));
	if (!state->fine_locked)
	{
		LockBuffer(state->fine_buffer, BUFFER_LOCK_SHARE);
		state->fine_locked = true;
		ek_require_page(scan->indexRelation, state->fine_buffer, EK_PAGE_FINE,
						&state->geometry);
	}
	fine = ek_fine_on(&state->geometry, BufferGetPage(state->fine_buffer), place.fine_slot);
	ask_for(state->fine_ahead, (char *) fine, BufferGetPage(state->fine_buffer),
			state->geometry.fine_size);
	bound = ek_bound_fine(state->query, &state->geometry, fine, ek_fine_codes(fine), c->norm);
	if (isnan(bound))
		ek_raise_corrupted_block(scan->indexRelation, place.fine_block,
								 "the certificate of an entry is not a number");
	state->counts.fine_codes++;
	return Max(bound, c->bound);
}

/* What is not a number is not beyond: somebody should look at it. */
static bool
all_beyond(const double *bounds, double key)
{
	int			within = 0;

	for (int lane = 0; lane < EK_LANES; lane++)
		within |= !(bounds[lane] > key);
	return within == 0;
}

/* The candidates of a group, given the bounds of its lanes. */
static void
collect_group(IndexScanDesc scan, ek_group *group, uint32 first, uint32 lanes,
			  const double *bounds)
{
	scan_state *state = scan->opaque;

	/* most groups have nothing to offer */
	if (!state->complete && all_beyond(bounds, state->horizon.key))
		return;

	for (uint32 lane = 0; lane < lanes; lane++)
	{
		const ek_entry_state kind = state_of(scan, group, first + lane, bounds[lane]);
		candidate	c;

		if (!within_horizon(state, bounds[lane], first + lane))
			continue;
		if (kind != EK_ENTRY_VECTOR && kind != EK_ENTRY_ZERO)
			continue;

		c.bound = bounds[lane];
		c.norm = group->norm[lane];
		c.entry = first + lane;
		c.tid = group->tid[lane];
		/* of a zero vector everything is known */
		c.has_key = kind == EK_ENTRY_ZERO;
		if (state->by_key && !c.has_key)
		{
			c.bound = read_key(scan, &c);
			c.has_key = true;
		}
		if (c.has_key && was_returned(state, c.bound, c.entry))
			continue;
		keep(state, &c);
	}
}

static void
collect_page(IndexScanDesc scan, uint32 page, uint32 pages)
{
	scan_state *state = scan->opaque;
	const ek_geometry *geometry = &state->geometry;
	uint32		first = page * geometry->coarse_per_page;
	uint32		count = Min(geometry->coarse_per_page, state->meta.entries - first);
	BlockNumber next = page + 1 < pages ? ek_coarse_block(geometry, page + 1) : InvalidBlockNumber;
	Buffer		buffer = step_to(scan->indexRelation, &state->coarse_ahead,
								 ek_coarse_block(geometry, page), next);

	LockBuffer(buffer, BUFFER_LOCK_SHARE);
	ek_require_page(scan->indexRelation, buffer, EK_PAGE_COARSE, geometry);
	ek_test_for_old_snapshot(scan->xs_snapshot, scan->indexRelation, BufferGetPage(buffer));
	for (uint32 i = 0; i < count; i += EK_LANES)
	{
		ek_group   *group = ek_group_on(geometry, BufferGetPage(buffer), i / EK_LANES);
		double		bounds[EK_LANES];

		ask_for(state->coarse_ahead, (char *) group, BufferGetPage(buffer),
				geometry->group_size);
		ek_bound_group(state->query, geometry, group, bounds);
		collect_group(scan, group, first + i, Min(EK_LANES, count - i), bounds);
	}
	unlock(state);
	UnlockReleaseBuffer(buffer);
	state->counts.coarse_codes += count;
}

/*
 * The next pass.  By bounds first, with more room each time; by keys when the
 * budget is used up, or if there are no coarse codes to tell entries apart.
 */
static void
collect(IndexScanDesc scan)
{
	scan_state *state = scan->opaque;
	MemoryContext caller = MemoryContextSwitchTo(state->context);
	uint32		pages = (state->meta.entries + state->geometry.coarse_per_page - 1) /
		state->geometry.coarse_per_page;

	state->by_key = state->geometry.coarse_dims == 0 || state->room == state->capacity;
	if (state->room < state->capacity)
	{
		state->room = state->room == 0 ? FIRST_CANDIDATES : state->room * GROWTH;
		state->room = Min(state->room, state->capacity);
		if (state->candidates != NULL)
		{
			pfree(state->candidates);
			binaryheap_free(state->heap);
		}
		state->candidates = MemoryContextAllocHuge(state->context,
												   sizeof(candidate) * (Size) state->room);
		state->heap = binaryheap_allocate((int) state->room, compare_candidates, NULL);
	}

	state->count = 0;
	state->complete = true;
	for (uint32 page = 0; page < pages; page++)
	{
		CHECK_FOR_INTERRUPTS();
		collect_page(scan, page, pages);
	}
	state->by_key = false;
	state->counts.passes++;

	binaryheap_reset(state->heap);
	for (uint32 i = 0; i < state->count; i++)
		binaryheap_add_unordered(state->heap, PointerGetDatum(&state->candidates[i]));
	binaryheap_build(state->heap);
	MemoryContextSwitchTo(caller);
}

/*
 * The entry with the smallest key that has not been returned, or NULL if there
 * is none.
 */
static const candidate *
next_candidate(IndexScanDesc scan)
{
	scan_state *state = scan->opaque;

	if (state->meta.entries == 0)
		return NULL;
	if (state->room == 0)
		collect(scan);

	for (;;)
	{
		candidate  *c;

		CHECK_FOR_INTERRUPTS();
		c = binaryheap_empty(state->heap) ? NULL :
			(candidate *) DatumGetPointer(binaryheap_first(state->heap));
		if (c == NULL || !within_horizon(state, c->bound, c->entry))
		{
			if (state->complete)
				return NULL;
			collect(scan);
			continue;
		}
		if (c->has_key)
		{
			binaryheap_remove_first(state->heap);
			state->returned = (position)
			{
				c->bound, c->entry
			};
			state->any_returned = true;
			return c;
		}

		c->bound = read_key(scan, c);
		unlock(state);
		c->has_key = true;
		if (was_returned(state, c->bound, c->entry))
			binaryheap_remove_first(state->heap);
		else
			binaryheap_replace_first(state->heap, PointerGetDatum(c));
	}
}

/*
 * Lists
 */

/* The next entry that is NULL or, if `nulls` is false, a vector. */
static bool
next_listed(IndexScanDesc scan, bool nulls, ItemPointer tid)
{
	scan_state *state = scan->opaque;
	const ek_geometry *geometry = &state->geometry;

	while (state->next < state->meta.entries)
	{
		uint32		page = state->next / geometry->coarse_per_page;
		uint32		end = Min((page + 1) * geometry->coarse_per_page, state->meta.entries);
		Buffer		buffer;

		CHECK_FOR_INTERRUPTS();
		buffer = ek_read_page(scan->indexRelation, ek_coarse_block(geometry, page),
							  BUFFER_LOCK_SHARE, EK_PAGE_COARSE, geometry);
		ek_test_for_old_snapshot(scan->xs_snapshot, scan->indexRelation, BufferGetPage(buffer));
		while (state->next < end)
		{
			uint32		i = state->next++ % geometry->coarse_per_page;
			ek_group   *group = ek_group_on(geometry, BufferGetPage(buffer), i / EK_LANES);
			ek_entry_state kind = state_of(scan, group, state->next - 1, 0.0);

			if (kind != EK_ENTRY_FREE && (kind == EK_ENTRY_NULL) == nulls)
			{
				*tid = group->tid[i % EK_LANES];
				UnlockReleaseBuffer(buffer);
				return true;
			}
		}
		UnlockReleaseBuffer(buffer);
	}
	return false;
}

static bool
next_early_null(IndexScanDesc scan, ItemPointer tid)
{
	scan_state *state = scan->opaque;
	const uint32 per_page = ek_tids_per_page();

	while (state->next / per_page < state->meta.null_pages)
	{
		Buffer		buffer;
		Page		page;
		uint32		count;
		uint32		i = state->next % per_page;

		CHECK_FOR_INTERRUPTS();
		buffer = ek_read_page(scan->indexRelation, 1 + state->next / per_page,
							  BUFFER_LOCK_SHARE, EK_PAGE_NULLS, NULL);
		page = BufferGetPage(buffer);
		ek_test_for_old_snapshot(scan->xs_snapshot, scan->indexRelation, page);
		count = Min(ek_page_opaque_of(page)->count, per_page);
		while (i < count && !ItemPointerIsValid(ek_page_tids(page) + i))
			i++;
		if (i < count)
			*tid = ek_page_tids(page)[i];
		UnlockReleaseBuffer(buffer);

		state->next = (i < count) ? state->next - state->next % per_page + i + 1 :
			(state->next / per_page + 1) * per_page;
		if (i < count)
			return true;
	}
	return false;
}

/*
 * The verbs
 */

IndexScanDesc
ek_scan_begin(Relation index, int keys, int orderbys)
{
	IndexScanDesc scan = RelationGetIndexScan(index, keys, orderbys);
	scan_state *state = palloc0(sizeof(scan_state));

	state->context = AllocSetContextCreate(CurrentMemoryContext, "engramk scan",
										   ALLOCSET_DEFAULT_SIZES);
	scan->xs_orderbyvals = palloc0(sizeof(Datum) * Max(orderbys, 1));
	scan->xs_orderbynulls = palloc0(sizeof(bool) * Max(orderbys, 1));
	scan->opaque = state;
	return scan;
}

/* What this scan counted goes where it can be seen. */
static void
publish(IndexScanDesc scan)
{
	scan_state *state = scan->opaque;

	if (state->counts.scans == 0)
		return;
	ek_budget_count(state->room * CANDIDATE_BYTES,
					state->room == state->capacity && !state->complete);
	ek_index_stats_add(RelationGetRelid(scan->indexRelation), &state->counts);
	memset(&state->counts, 0, sizeof(state->counts));
}

static void
forget(IndexScanDesc scan)
{
	scan_state *state = scan->opaque;
	MemoryContext context = state->context;

	publish(scan);
	unpin(scan);
	MemoryContextReset(context);
	memset(state, 0, sizeof(scan_state));
	state->context = context;
}

void
ek_scan_rescan(IndexScanDesc scan, ScanKey keys pg_attribute_unused(),
			   int nkeys pg_attribute_unused(), ScanKey orderbys, int norderbys)
{
	scan_state *state = scan->opaque;

	if (orderbys != NULL && norderbys > 0)
		memmove(scan->orderByData, orderbys, sizeof(ScanKeyData) * norderbys);
	forget(scan);
	state->phase = PHASE_END;
	state->fresh = true;
}

/*
 * The query is encoded when the first row is asked for, not before: a scan
 * that is never run should not raise the errors of its query.
 */
static void
start(IndexScanDesc scan)
{
	scan_state *state = scan->opaque;
	MemoryContext caller = MemoryContextSwitchTo(state->context);
	ScanKey		orderby = scan->orderByData;
	ek_vector	vector;

	if (scan->numberOfOrderBys != 1)
		elog(ERROR, "an engramk index is scanned for one order only");
	/* others may see the rows of entries that are used again meanwhile */
	if (!IsMVCCSnapshot(scan->xs_snapshot))
		elog(ERROR, "an engramk index is scanned with MVCC snapshots only");

	state->fresh = false;
	state->counts.scans = 1;
	state->meta = ek_read_meta(scan->indexRelation);
	if (state->meta.dims != 0)
		state->geometry = ek_geometry_of(&state->meta);
	state->capacity = (uint32) (ek_scratch_size() / CANDIDATE_BYTES);
	state->null_query = (orderby->sk_flags & SK_ISNULL) != 0;
	state->phase = PHASE_LIST;

	/*
	 * A query that the operator refuses is left to the operator: it gets every
	 * row, and raises its own error at the first that it can see.
	 */
	if (!state->null_query && state->meta.entries > 0 &&
		ek_vector_is_valid(orderby->sk_argument))
	{
		vector = ek_vector_get(orderby->sk_argument);
		if ((uint32) vector.dims == state->meta.dims)
		{
			state->query = ek_encode_query(ek_cache_get(scan->indexRelation),
										   (ek_metric) orderby->sk_strategy,
										   vector.values);
			state->phase = PHASE_ORDERED;
		}
	}
	pgstat_count_index_scan(scan->indexRelation);
#if PG_VERSION_NUM >= 180000
	if (scan->instrument != NULL)
		scan->instrument->nsearches++;
#endif
	MemoryContextSwitchTo(caller);
}

static bool
return_row(IndexScanDesc scan, ItemPointer tid, bool is_null, double bound)
{
	scan_state *state = scan->opaque;

	if (!ek_tid_is_possible(scan->heapRelation, tid, &state->heap_blocks))
		ek_raise_corrupted(scan->indexRelation,
						   psprintf("An entry points to (%u,%u), where the table has no rows",
									ItemPointerGetBlockNumberNoCheck(tid),
									ItemPointerGetOffsetNumberNoCheck(tid)));
	scan->xs_heaptid = *tid;
	scan->xs_recheck = false;
	scan->xs_recheckorderby = true;
	scan->xs_orderbyvals[0] = Float8GetDatum(is_null ? 0.0 : bound);
	scan->xs_orderbynulls[0] = is_null;
	state->counts.returned++;
	return true;
}

bool
ek_scan_next(IndexScanDesc scan, ScanDirection direction)
{
	scan_state *state = scan->opaque;
	ItemPointerData tid;

	if (!ScanDirectionIsForward(direction))
		elog(ERROR, "an engramk index cannot be scanned backward");
	if (state->fresh)
		start(scan);

	if (state->phase == PHASE_ORDERED)
	{
		const candidate *c = next_candidate(scan);

		if (c != NULL)
		{
			tid = c->tid;
			return return_row(scan, &tid, false, c->bound);
		}
		state->phase = PHASE_EARLY_NULLS;
	}
	if (state->phase == PHASE_LIST)
	{
		if (next_listed(scan, false, &tid))
			return return_row(scan, &tid, state->null_query, -get_float8_infinity());
		state->phase = PHASE_EARLY_NULLS;
		state->next = 0;
	}
	if (state->phase == PHASE_EARLY_NULLS)
	{
		if (next_early_null(scan, &tid))
			return return_row(scan, &tid, true, 0.0);
		state->phase = PHASE_NULLS;
		state->next = 0;
	}
	if (state->phase == PHASE_NULLS)
	{
		if (next_listed(scan, true, &tid))
			return return_row(scan, &tid, true, 0.0);
		state->phase = PHASE_END;
	}
	return false;
}

void
ek_scan_end(IndexScanDesc scan)
{
	scan_state *state = scan->opaque;

	forget(scan);
	MemoryContextDelete(state->context);
	pfree(state);
}
