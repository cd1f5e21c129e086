/*
 * scan.c
 *		Rows in order of the bounds of their distances.
 *
 * A scan is not told how many rows are wanted.  It returns entries one by one,
 * by ascending key, where the key of an entry is the larger of its coarse and
 * its fine bound; the executor computes true distances and holds back what may
 * still be beaten.
 *
 * collect: one pass over the coarse codes, a sample of the pages first, keeps
 * the entries with the smallest coarse bounds, as many as there is room for.  The
 * rest have bounds of at least `horizon`.
 * refine: the next of them, by coarse bound, gets its key from its fine code and
 * goes to a heap.  What is on top of the heap is returned when no entry that has
 * no key yet has a smaller bound.  This reads the fewest fine codes that any
 * order could (Seidl and Kriegel, Optimal Multi-Step k-Nearest Neighbor Search,
 * 1998).
 *
 * When everything within the horizon is returned, there is another pass, which starts
 * afresh and leaves out what has been returned.  If the one before has found enough keys
 * by then, and yet no end of smaller bounds, the query is a hard one: bounds tell little
 * of it.  Then a pass reads the fine code of every entry whose coarse bound is below one
 * of these keys, in order of pages, and keeps the smallest keys.  Else it has more room.
 * Room ends at the budget, engramk.arena_size; from there on passes are by keys, too,
 * and get to the end of any table.
 *
 * In format 3 coarse codes may be exchanged while a scan runs.  A bound is true
 * whatever basis it is from, and what was returned is known by its entry, which never
 * moves.  Where a page has no coarse codes, fine codes take their place in a pass.
 *
 * NULLs come last.  A freed entry that is used again during a scan holds a row
 * that the scan's snapshot cannot see, so it does no harm to return it.
 */
#include "postgres.h"

#include <math.h>

#include "access/parallel.h"
#include "access/relscan.h"
#include "catalog/pg_type.h"
#include "lib/binaryheap.h"
#include "miscadmin.h"
#include "nodes/bitmapset.h"
#include "pgstat.h"
#include "port/pg_bitutils.h"
#include "utils/float.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "base/scratch.h"
#include "base/stats.h"
#include "index/index.h"
#include "vector/compute.h"
#include "vector/vector.h"

/*
 * What the first pass has room for: enough for most queries; or so many times what the
 * build expects of a query, or such a share of the entries.  Candidates that are not
 * needed cost little, for they are never put in order; another pass costs a pass.
 */
#define FIRST_CANDIDATES	1024
#define EXPECTED_TIMES		8
#define FIRST_SHARE			64
#define GROWTH				8

/*
 * A pass by keys is for so many rows, or so many times what has been returned.  It costs
 * a pass over coarse codes, and fewer fine codes the fewer rows it is for.
 */
#define LEAST_KEYS			256
#define MORE_KEYS			2

/*
 * With fewer fine codes a row than these, bounds tell enough, and more room is better: the
 * thousand nearest words take 9 ms then, and 11 by keys.
 */
#define CODES_OF_HARD_ROW	64
#define KEYS_OF_A_TRIAL		(4 * LEAST_KEYS)

/* Rows whose fine codes are asked for before they are read, in a pass by keys. */
#define ROWS_AHEAD			8

/*
 * A pass looks at a sample of its pages first, so many of them, which tells what
 * bound the candidates of the rest will have.  Without, it keeps three times as
 * many for a while as it needs in the end, and half of its time goes into choosing
 * among them.  Of a small share it keeps at least the second number.
 */
#define SAMPLE_PAGES		64
#define LEAST_KEPT			((uint64) 64)

/*
 * So many candidates are put in order, and their fine codes asked for, at once; of the
 * disk, more of them.
 */
#define BATCH				16
#define BATCH_OF_DISK		128

/*
 * If one of so many pages of a pass is in no buffer, it is cold: it goes through the
 * pages in order, without a sample, and asks for so many ahead.
 */
#define PROBED_PAGES		16
#define PAGES_AHEAD			512

/* Divisions that are remembered while candidates are put in order. */
#define MOST_PIVOTS			64

/*
 * What a pass orders entries by, smaller first: a bound of the distance; or, in
 * format 2 and unless the pass is by keys, less what the kernel says, which is a
 * float.
 */
typedef struct candidate
{
	double		rank;
	uint32		entry;
} candidate;

/* An entry whose fine code has been read. */
typedef struct refined
{
	double		key;
	uint32		entry;
	ItemPointerData tid;
} refined;

typedef struct page_visit
{
	uint32		page;
	BlockNumber block;
	uint32		allowed;		/* of the room, by then */
	const uint16 *passing;		/* its entries that pass, see ek_pass_groups; NULL: all */
	uint32		groups;			/* in which some do */
	uint32		entries;		/* how many do */
} page_visit;

/* What the budget pays for a candidate: itself, and its place in the heap. */
#define CANDIDATE_BYTES		(sizeof(candidate) + sizeof(refined) + sizeof(Datum))

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
	ek_work_limit limit;		/* infinite, unless somebody says otherwise */

	/* set by rescan */
	bool		stopped;		/* by the limit: there may have been more */
	bool		fresh;			/* no row has been asked for */
	bool		null_query;
	bool		without_nulls;
	bool		without_vectors;
	const ek_vector_type *type;
	double		listed;			/* what is said of the distance of all vectors */
	bool		shared_out;		/* among processes: the pages are our own */
	scan_phase	phase;
	float		least_bound;	/* of what may be within the radius, by the kernel; or -infinite */
	double		radius;			/* nothing further away is wanted; or infinite */
	double		cost;			/* until now */
	ek_meta		meta;
	ek_geometry geometry;
	ek_coded_query *query;
	ek_conditions *conditions;	/* of filters; NULL without */
	uint16	   *passing;		/* a bit for each entry that passes them, of the sections */
	Bitmapset  *swept;			/* whose filter codes have been looked at */
	ek_live_pages pages;		/* coarse pages that a pass visits */
	uint32		capacity;		/* candidates that the budget holds */
	BlockNumber heap_blocks;	/* of the table, when last asked */

	/* changes with each pass */
	candidate  *candidates;
	uint32		room;			/* in candidates, for this pass; 0 before the first */
	uint32		allowed;		/* of the room, so far: more as the pass goes on */
	uint32		count;
	candidate	horizon;		/* the first that this pass left out */
	double		cut;			/* candidates of a higher rank are outside the radius */
	float		threshold;		/* the same as the horizon, or the cut, for the kernel */
	bool		complete;		/* it left out nothing */
	bool		by_key;			/* it reads every fine code */
	bool		cold;			/* most of what it reads is on disk */
	bool		is_waiting;		/* is there a page to visit when the next one is known? */
	uint32		asked;			/* pages of the pass, of the disk */
	candidate  *due;			/* of a page, whose fine codes are read in a pass by keys */
	float	   *bounds;			/* of the entries of a page, and for each group a */
	uint16	   *masks;			/* bit for each that is within the horizon */
	page_visit	waiting;		/* that page */

	/* changes with each row */
	uint32		ordered;		/* of the candidates, the first are in order */
	uint32		pivots[MOST_PIVOTS];	/* what is before one is not after what follows */
	int			pivot_count;
	uint32		next;			/* candidate to refine; or entry or pointer, when listing */
	uint32		listed_end;		/* of what is listed of a coarse page */
	refined    *refined;
	uint32		refined_count;
	binaryheap *heap;
	Bitmapset  *returned;		/* entries, if there may be another pass */
	ek_index_counts counts;		/* not yet in the statistics */
	Buffer		fine_buffer;	/* pinned, or invalid: the last fine page */
	bool		fine_locked;
	Buffer		filter_buffer;	/* and the last filter page */
	BlockNumber filters_begin;	/* of filter pages that the disk was asked for */
	BlockNumber filters_end;
} scan_state;

static inline bool
before(const candidate *a, const candidate *b)
{
	return a->rank < b->rank || (a->rank == b->rank && a->entry < b->entry);
}

static int
compare_refined(Datum a, Datum b, void *arg pg_attribute_unused())
{
	const refined *x = (refined *) DatumGetPointer(a);
	const refined *y = (refined *) DatumGetPointer(b);

	/* binaryheap has the largest on top; the smallest is wanted there */
	if (x->key != y->key)
		return x->key < y->key ? 1 : -1;
	return x->entry < y->entry ? 1 : -1;
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
unpin_fine(scan_state *state)
{
	unlock(state);
	if (BufferIsValid(state->fine_buffer))
		ReleaseBuffer(state->fine_buffer);
	state->fine_buffer = InvalidBuffer;
}

static void
unpin(scan_state *state)
{
	unpin_fine(state);
	if (BufferIsValid(state->filter_buffer))
		ReleaseBuffer(state->filter_buffer);
	state->filter_buffer = InvalidBuffer;
}

/* The bound that a rank stands for. */
static inline double
bound_of(const scan_state *state, double rank)
{
	if (state->by_key || state->geometry.format == EK_FORMAT_1)
		return rank;
	return ek_distance_of(state->query, -rank);
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

/*
 * Divides c[low] to c[high - 1], two at least (Hoare): those before the result are
 * not after those from there on, and neither part is empty.
 */
static uint32
divide(candidate *c, uint32 low, uint32 high)
{
	const candidate pivot = c[low + (high - low - 1) / 2];
	int64		i = (int64) low - 1;
	int64		j = high;

	for (;;)
	{
		do
			i++;
		while (before(&c[i], &pivot));
		do
			j--;
		while (before(&pivot, &c[j]));
		if (i >= j)
			return (uint32) (j + 1);
		swap(&c[i], &c[j]);
	}
}

/* Moves the `keep` smallest of `count` to the front. */
static void
select_smallest(candidate *c, uint32 count, uint32 keep)
{
	uint32		low = 0;
	uint32		high = count;

	while (high - low > 1)
	{
		const uint32 middle = divide(c, low, high);

		if (keep < middle)
			high = middle;
		else if (keep > middle)
			low = middle;
		else
			return;
	}
}

/* Floats in their order, from -infinity to infinity. */
#define INFINITE_NUMBER		0x7f800000

static float
float_number(int32 number)
{
	const uint32 bits = (uint32) abs(number);
	float		value;

	memcpy(&value, &bits, sizeof(value));
	return number < 0 ? -value : value;
}

/* The least that the kernel can say of what is within a distance: it is more for what is nearer. */
static float
least_bound_within(const ek_coded_query *query, double distance)
{
	int64		low = -INFINITE_NUMBER;
	int64		high = INFINITE_NUMBER;

	while (low < high)
	{
		const int64 middle = (low + high) >> 1;

		if (ek_distance_of(query, float_number((int32) middle)) > distance)
			low = middle + 1;
		else
			high = middle;
	}
	return float_number((int32) low);
}

/* Could an entry be among those that this pass keeps? */
static inline bool
within_horizon(const scan_state *state, const candidate *c)
{
	return c->rank <= state->cut && (state->complete || before(c, &state->horizon));
}

/* What the kernel says at least of what is within the horizon. */
static void
set_threshold(scan_state *state)
{
	if (state->geometry.format == EK_FORMAT_1)
		return;
	if (state->by_key)
		state->threshold = least_bound_within(state->query, Min(state->horizon.rank, state->radius));
	else
		state->threshold = (float) -state->horizon.rank;
}

/* Halves what is kept; what goes moves the horizon. */
static void
make_room(scan_state *state)
{
	const uint32 keep = state->allowed / 2;

	select_smallest(state->candidates, state->count, keep);
	for (uint32 i = keep; i < state->count; i++)
	{
		if (within_horizon(state, &state->candidates[i]))
			state->horizon = state->candidates[i];
		state->complete = false;
	}
	state->count = keep;
	set_threshold(state);
}

static void
keep(scan_state *state, double rank, uint32 entry)
{
	const candidate c = {rank, entry};

	if (state->count >= state->allowed)
		make_room(state);
	if (within_horizon(state, &c))
		state->candidates[state->count++] = c;
}

/*
 * Fine codes
 */

/* Asks memory for the row and the fine code in a place, on this block. */
static inline void
ask_for_row(IndexScanDesc scan, BlockNumber block, const ek_place *place)
{
	const Size	size = ((const scan_state *) scan->opaque)->geometry.fine_size;

	ek_ask_for(scan->indexRelation, block, MAXALIGN(SizeOfPageHeaderData) + place->fine_slot * size, size);
}

/* The fine page of an entry, locked: often the last one.  NULL for zeros: nobody has used it. */
static Page
lock_if_used(IndexScanDesc scan, BlockNumber block)
{
	scan_state *state = scan->opaque;
	Page		page;

	if (BufferIsValid(state->fine_buffer) &&
		BufferGetBlockNumber(state->fine_buffer) != block)
		unpin_fine(state);
	if (!BufferIsValid(state->fine_buffer))
		state->fine_buffer = ek_pin(scan->indexRelation, block);
	if (!state->fine_locked)
	{
		LockBuffer(state->fine_buffer, BUFFER_LOCK_SHARE);
		state->fine_locked = true;
		(void) ek_require_used_page(scan->indexRelation, state->fine_buffer, EK_PAGE_FINE,
									&state->geometry);
	}
	page = BufferGetPage(state->fine_buffer);
	return PageIsNew(page) ? NULL : page;
}

static Page
lock_fine_page(IndexScanDesc scan, BlockNumber block)
{
	const Page	page = lock_if_used(scan, block);

	if (page == NULL)
		ek_raise_corrupted_block(scan->indexRelation, block, "the page is empty, but for entries that are in use");
	return page;
}

static ek_entry_state
state_of(IndexScanDesc scan, const ek_entry_row *row, BlockNumber block)
{
	if (*row->state > EK_ENTRY_NULL)
		ek_raise_corrupted_block(scan->indexRelation, block, "an entry is of no known kind");
	return (ek_entry_state) *row->state;
}

/* An upper limit of the cosine. */
static double
cosine_by_fine_code(IndexScanDesc scan, Page page, const ek_place *place)
{
	scan_state *state = scan->opaque;
	ek_certificate *fine = ek_fine_on(&state->geometry, page, place->fine_slot);
	const double cosine = ek_fine_cosine(state->query, &state->geometry, fine,
										 ek_fine_codes(fine));

	if (isnan(cosine))
		ek_raise_corrupted_block(scan->indexRelation, place->fine_block,
								 "the certificate of an entry is not a number");
	state->counts.fine_codes++;
	return cosine;
}

static double
bound_by_fine_code(IndexScanDesc scan, Page page, const ek_place *place, double norm)
{
	scan_state *state = scan->opaque;
	const double bound = ek_distance_bound(state->query, norm,
										   cosine_by_fine_code(scan, page, place));

	if (isnan(bound))
		ek_raise_corrupted_block(scan->indexRelation, place->fine_block,
								 "the certificate of an entry is not a number");
	return bound;
}

/*
 * Fills in what the fine code of an entry says, whose row and coarse bound these
 * are; false if that is no vector.
 */
static bool
refine_row(IndexScanDesc scan, const ek_entry_row *row, const ek_place *place,
		   ek_entry_state kind, double bound, refined *result)
{
	const double norm = *row->norm;
	double		fine;

	/* a zero vector has a fine code, too: zeros */
	if (kind != EK_ENTRY_VECTOR && kind != EK_ENTRY_ZERO)
		return false;
	result->tid = *row->tid;
	fine = bound_by_fine_code(scan, lock_fine_page(scan, place->fine_block), place, norm);
	result->key = Max(bound, fine);
	return true;
}

/*
 * The same for any entry.  In format 1 its row is on its coarse page, which is
 * looked at first.
 */
static bool
refine(IndexScanDesc scan, uint32 entry, double bound, refined *result)
{
	scan_state *state = scan->opaque;
	const ek_geometry *geometry = &state->geometry;
	const ek_place place = ek_place_of(geometry, entry);
	ek_entry_row row;
	Buffer		coarse;
	bool		done;

	if (bms_is_member((int) entry, state->returned))
		return false;
	result->entry = entry;
	if (geometry->format != EK_FORMAT_1)
	{
		row = ek_row_on(geometry, lock_fine_page(scan, place.fine_block), &place);
		return refine_row(scan, &row, &place, state_of(scan, &row, place.fine_block), bound,
						  result);
	}
	coarse = ek_read_page(scan->indexRelation, place.coarse_block, BUFFER_LOCK_SHARE,
						  EK_PAGE_COARSE, geometry);
	row = ek_row_on(geometry, BufferGetPage(coarse), &place);
	done = refine_row(scan, &row, &place, state_of(scan, &row, place.coarse_block), bound, result);
	unlock(state);
	UnlockReleaseBuffer(coarse);
	return done;
}

/*
 * Filters
 */

/* The filter page of an entry, locked: often the last one. */
static Page
lock_filter_page(IndexScanDesc scan, BlockNumber block)
{
	scan_state *state = scan->opaque;

	if (BufferIsValid(state->filter_buffer) && BufferGetBlockNumber(state->filter_buffer) != block)
	{
		ReleaseBuffer(state->filter_buffer);
		state->filter_buffer = InvalidBuffer;
	}
	if (!BufferIsValid(state->filter_buffer))
		state->filter_buffer = ek_pin(scan->indexRelation, block);
	LockBuffer(state->filter_buffer, BUFFER_LOCK_SHARE);
	ek_require_page(scan->indexRelation, state->filter_buffer, EK_PAGE_FILTER, &state->geometry);
	return BufferGetPage(state->filter_buffer);
}

/* Asks the disk for the filter pages from this one on, if that has not been done. */
static void
read_filters_ahead(IndexScanDesc scan, const ek_place *place)
{
	scan_state *state = scan->opaque;
	/* coarse pages come after them */
	const BlockNumber count = Min(EK_SECTION, place->coarse_block - place->filter_block);

	if (place->filter_block >= state->filters_begin && place->filter_block < state->filters_end)
		return;
	state->filters_begin = place->filter_block;
	state->filters_end = place->filter_block + count;
	if (ek_may_read_ahead(scan->indexRelation) &&
		!ek_is_buffered(scan->indexRelation, place->filter_block))
		ek_read_ahead(scan->indexRelation, place->filter_block, count);
}

/* Entries whose filter codes follow one another on a page, from one on, at most so many. */
static uint32
entries_in_a_row(const ek_geometry *g, uint32 entry, const ek_place *place, uint32 most)
{
	const uint32 end = ek_next_stretch(g, entry / g->coarse_per_page + 1) * g->coarse_per_page;

	return Min(Min(g->filter_per_page - place->filter_slot, end - entry), most);
}

/* Finds out which entries of a section pass, once. */
static void
sweep_section(IndexScanDesc scan, uint32 section)
{
	scan_state *state = scan->opaque;
	const ek_geometry *g = &state->geometry;
	const uint32 per_section = EK_SECTION * g->coarse_per_page;
	const uint32 end = Min((section + 1) * per_section, state->meta.entries);
	MemoryContext caller;
	uint32		count;

	if (bms_is_member((int) section, state->swept))
		return;
	for (uint32 entry = section * per_section; entry < end; entry += count)
	{
		const ek_place place = ek_place_of(g, entry);
		Page		page;

		read_filters_ahead(scan, &place);
		page = lock_filter_page(scan, place.filter_block);
		count = entries_in_a_row(g, entry, &place, end - entry);
		ek_pass_groups(g, state->conditions, page, place.filter_slot, count / EK_LANES,
					   ek_distance_to(scan->indexRelation, place.filter_block + 1, page),
					   state->passing + entry / EK_LANES);
		LockBuffer(state->filter_buffer, BUFFER_LOCK_UNLOCK);
		state->counts.filtered += count;
		CHECK_FOR_INTERRUPTS();
	}
	caller = MemoryContextSwitchTo(state->context);
	state->swept = bms_add_member(state->swept, (int) section);
	MemoryContextSwitchTo(caller);
}

/* Fills in which entries of a page pass; false if none does. */
static bool
find_passing(const scan_state *state, page_visit *visit)
{
	const Size	per_page = state->geometry.groups_per_page;
	uint32		any = 0;

	visit->groups = state->geometry.groups_per_page;
	visit->entries = state->geometry.coarse_per_page;
	if (state->conditions == NULL)
		return true;
	visit->passing = state->passing + visit->page * per_page;
	visit->groups = visit->entries = 0;
	for (uint32 group = 0; group < per_page; group++)
		any |= visit->passing[group];
	/* which most pages are spared, if few pass */
	if (any == 0)
		return false;
	for (uint32 group = 0; group < per_page; group++)
	{
		visit->groups += visit->passing[group] != 0;
		visit->entries += (uint32) pg_popcount32(visit->passing[group]);
	}
	return true;
}

/* From here on passes visit the pages where something passes, and no others. */
static void
choose_pages(scan_state *state)
{
	uint32	   *chosen = MemoryContextAlloc(state->context, sizeof(uint32) * Max(state->pages.count, 1));
	uint32		count = 0;

	for (uint32 i = 0; i < state->pages.count; i++)
	{
		page_visit	visit = {.page = ek_live_page(&state->pages, i)};

		if (!find_passing(state, &visit))
			continue;
		chosen[count++] = visit.page;
		state->counts.passed += visit.entries;
	}
	state->pages = (ek_live_pages) {.count = count,.chosen = chosen};
}

/* The sections of the pages that a pass visits; */
static void
sweep(IndexScanDesc scan)
{
	scan_state *state = scan->opaque;

	if (state->conditions == NULL || state->pages.chosen != NULL)
		return;
	for (uint32 i = 0; i < state->pages.count; i += EK_SECTION)
		sweep_section(scan, ek_live_page(&state->pages, i) / EK_SECTION);
	choose_pages(state);
}

/* or all of them, for a process of several that lists what all have. */
static void
sweep_all(IndexScanDesc scan)
{
	scan_state *state = scan->opaque;
	const uint32 pages = state->meta.dims == 0 ? 0 : ek_coarse_pages(&state->meta, &state->geometry);

	for (uint32 page = 0; state->conditions != NULL && page < pages; page += EK_SECTION)
		sweep_section(scan, page / EK_SECTION);
}

static inline bool
passes(const uint16 *passing, uint32 on_page)
{
	return passing == NULL || (passing[on_page / EK_LANES] >> on_page % EK_LANES & 1) != 0;
}

/*
 * A pass
 */

/* What a lane of format 1 holds; its bound means nothing unless it is a vector. */
static bool
is_candidate_1(IndexScanDesc scan, ek_group *group, uint32 entry, double bound)
{
	scan_state *state = scan->opaque;
	const ek_place place = ek_place_of(&state->geometry, entry);
	const ek_entry_row row = {.state = &group->state[place.lane]};
	const ek_entry_state kind = state_of(scan, &row, place.coarse_block);

	if (kind != EK_ENTRY_VECTOR && kind != EK_ENTRY_ZERO)
		return false;
	if (isnan(bound))
		ek_raise_corrupted_block(scan->indexRelation, place.coarse_block,
								 "the certificate of an entry is not a number");
	return true;
}

/* What is not a number is not beyond: somebody should look at it. */
static bool
all_beyond(const double *bounds, double rank)
{
	int			within = 0;

	for (int lane = 0; lane < EK_LANES; lane++)
		within |= !(bounds[lane] > rank);
	return within == 0;
}

static void
collect_groups_1(IndexScanDesc scan, Page page, uint32 first, uint32 count)
{
	scan_state *state = scan->opaque;

	for (uint32 i = 0; i < count; i += EK_LANES)
	{
		ek_group   *group = ek_group_on(&state->geometry, page, i / EK_LANES);
		double		bounds[EK_LANES];

		ek_bound_group_1(state->query, group, bounds);
		/* most groups have nothing to offer */
		if (!state->complete && all_beyond(bounds, state->horizon.rank))
			continue;
		for (uint32 lane = 0; lane < Min(EK_LANES, count - i); lane++)
		{
			if (is_candidate_1(scan, group, first + i + lane, bounds[lane]))
				keep(state, bounds[lane], first + i + lane);
		}
	}
}

/* Bounds and masks of some groups of a page from format 2 on, from the first one on. */
static void
bound_groups(scan_state *state, const ek_coarse_query *coarse, Page page, uint32 group,
			 uint32 groups, ptrdiff_t ahead)
{
	const ek_geometry *g = &state->geometry;
	const Size	first = (Size) group * EK_LANES;
	const bool	with_norms = state->query->metric != EK_METRIC_COSINE;
	const float slack = g->format >= EK_FORMAT_3 ? ek_coarse_header_on(page)->slack : 0.0f;
	const ek_bound_query bound = ek_bound_on_page(coarse, slack, state->threshold);

	ek_compute_bound_groups(&bound, ek_codes_on(page) + group * coarse->group_size,
							ek_residuals_on(g, page) + first,
							with_norms ? ek_norms_on(g, page) + first : NULL,
							groups, ahead, state->bounds, state->masks);
}

/* What is not a number says nothing: any cosine is possible. */
static inline float
known_bound(float bound)
{
	return isnan(bound) ? INFINITY : bound;
}

/* The kernel's masks tell apart most groups, which have nothing to offer. */
static inline void
collect_group(scan_state *state, const float *bounds, uint32 mask, uint32 first, uint32 count)
{
	for (; mask != 0; mask &= mask - 1)
	{
		const uint32 i = pg_rightmost_one_pos32(mask);
		const float bound = known_bound(bounds[i]);

		if (i < count && bound != -INFINITY)
			keep(state, -bound, first + i);
	}
}

static void
collect_groups(scan_state *state, const ek_coarse_query *coarse, Page page,
			   const page_visit *visit, uint32 count, ptrdiff_t ahead)
{
	const uint32 first = visit->page * state->geometry.coarse_per_page;
	const uint32 groups = (count + EK_LANES - 1) / EK_LANES;

	bound_groups(state, coarse, page, 0, groups, ahead);
	for (uint32 group = 0; group < groups; group++)
		collect_group(state, state->bounds + (Size) group * EK_LANES,
					  state->masks[group] & (visit->passing == NULL ? PG_UINT16_MAX : visit->passing[group]),
					  first + group * EK_LANES, count - group * EK_LANES);
}

/* From a group on, where the next groups begin in which an entry passes, and end. */
static uint32
next_passing(const page_visit *visit, uint32 group, uint32 groups, uint32 *end)
{
	while (group < groups && visit->passing[group] == 0)
		group++;
	for (*end = group; *end < groups && visit->passing[*end] != 0; (*end)++)
		;
	return group;
}

/* Groups in which no entry passes are not read. */
static void
collect_passing(scan_state *state, const ek_coarse_query *coarse, Page page,
				const page_visit *visit, uint32 count)
{
	const uint32 first = visit->page * state->geometry.coarse_per_page;
	const uint32 groups = (count + EK_LANES - 1) / EK_LANES;
	uint32		end;

	for (uint32 begin = next_passing(visit, 0, groups, &end); begin < groups;
		 begin = next_passing(visit, end, groups, &end))
	{
		bound_groups(state, coarse, page, begin, end - begin, 0);
		for (uint32 group = begin; group < end; group++)
			collect_group(state, state->bounds + (Size) (group - begin) * EK_LANES,
						  state->masks[group - begin] & visit->passing[group],
						  first + group * EK_LANES, count - group * EK_LANES);
	}
}

/* Of a page that is visited next, the codes that will be read, if it is like this one. */
static void
ask_for_passing(IndexScanDesc scan, const ek_coarse_query *coarse, Page page,
				const page_visit *next)
{
	const scan_state *state = scan->opaque;
	const ek_geometry *g = &state->geometry;
	const Size	codes = (Size) ((const char *) ek_codes_on(page) - (const char *) page);
	uint32		end;

	ek_ask_for(scan->indexRelation, next->block,
			   (Size) ((const char *) ek_residuals_on(g, page) - (const char *) page),
			   sizeof(uint16) * g->coarse_per_page);
	for (uint32 begin = next_passing(next, 0, g->groups_per_page, &end); begin < g->groups_per_page;
		 begin = next_passing(next, end, g->groups_per_page, &end))
		ek_ask_for(scan->indexRelation, next->block, codes + begin * coarse->group_size,
				   (end - begin) * coarse->group_size);
}

/* Where half of the groups have something that passes, the whole page is read: it comes faster. */
static inline bool
is_dense(const scan_state *state, const page_visit *visit)
{
	return visit->groups * 2 >= state->geometry.groups_per_page;
}

/* In a pass by coarse codes, by what the kernel would say of a fine code. */
static void
keep_by_fine_code(IndexScanDesc scan, Page page, const ek_place *place, uint32 entry)
{
	scan_state *state = scan->opaque;
	const double norm = *ek_row_on(&state->geometry, page, place).norm;

	keep(state, -known_bound(ek_kernel_bound(state->query, norm, cosine_by_fine_code(scan, page, place))),
		 entry);
}

/* A page without coarse codes, from format 3 on. */
static void
collect_fine_codes(IndexScanDesc scan, Page page, const page_visit *visit, uint32 count)
{
	scan_state *state = scan->opaque;
	const uint32 first = visit->page * state->geometry.coarse_per_page;

	for (uint32 i = 0; i < count; i++)
	{
		const ek_place place = ek_place_of(&state->geometry, first + i);

		if (!passes(visit->passing, i) ||
			ek_coarse_state(&state->geometry, page, i) != EK_ENTRY_VECTOR)
			continue;
		keep_by_fine_code(scan, lock_fine_page(scan, place.fine_block), &place, first + i);
	}
	unlock(state);
}

/*
 * Of so few entries of a page, fine codes are read at once: each is a fifth of a group of
 * coarse codes.
 */
#define FEW_ENTRIES			4

static inline bool
has_few(const scan_state *state, const page_visit *visit)
{
	return visit->passing != NULL && visit->entries <= FEW_ENTRIES && !state->by_key;
}

static void
collect_row(IndexScanDesc scan, uint32 entry)
{
	scan_state *state = scan->opaque;
	const ek_place place = ek_place_of(&state->geometry, entry);
	Page		page;
	ek_entry_row row;
	ek_entry_state kind;

	/* of what was never used, all codes are those of NULL */
	if (!ek_block_exists(scan->indexRelation, place.fine_block))
		return;
	page = lock_if_used(scan, place.fine_block);
	if (page == NULL)
		return;
	ek_test_for_old_snapshot(scan->xs_snapshot, scan->indexRelation, page);
	row = ek_row_on(&state->geometry, page, &place);
	kind = state_of(scan, &row, place.fine_block);
	if (kind == EK_ENTRY_VECTOR || kind == EK_ENTRY_ZERO)
		keep_by_fine_code(scan, page, &place, entry);
}

static void
collect_few(IndexScanDesc scan, const page_visit *visit)
{
	scan_state *state = scan->opaque;
	const ek_geometry *geometry = &state->geometry;

	for (uint32 group = 0; group < geometry->groups_per_page; group++)
	{
		for (uint32 mask = visit->passing[group]; mask != 0; mask &= mask - 1)
			collect_row(scan, visit->page * geometry->coarse_per_page + group * EK_LANES +
						pg_rightmost_one_pos32(mask));
	}
	unlock(state);
}

static void
ask_for_few(IndexScanDesc scan, const page_visit *visit)
{
	const ek_geometry *geometry = &((scan_state *) scan->opaque)->geometry;

	for (uint32 group = 0; group < geometry->groups_per_page; group++)
	{
		for (uint32 mask = visit->passing[group]; mask != 0; mask &= mask - 1)
		{
			const ek_place place = ek_place_of(geometry, visit->page * geometry->coarse_per_page +
											   group * EK_LANES + pg_rightmost_one_pos32(mask));

			ask_for_row(scan, place.fine_block, &place);
		}
	}
}

/* The place of an entry of a page, of whose first entry this is the place. */
static inline ek_place
place_on_page(const ek_geometry *geometry, const ek_place *first, uint32 entry)
{
	const uint32 on_page = entry % geometry->coarse_per_page;
	ek_place	place = *first;

	if (geometry->format == EK_FORMAT_1)
		return ek_place_of(geometry, entry);
	place.fine_block += on_page / geometry->fine_per_page;
	place.fine_slot = on_page % geometry->fine_per_page;
	return place;
}

static void
keep_by_key(IndexScanDesc scan, Page page, const ek_place *place, uint32 entry, double bound)
{
	scan_state *state = scan->opaque;
	ek_entry_row row;
	refined		r;

	if (state->geometry.format != EK_FORMAT_1)
		page = lock_fine_page(scan, place->fine_block);
	row = ek_row_on(&state->geometry, page, place);
	if (refine_row(scan, &row, place, state_of(scan, &row, place->fine_block), bound, &r))
		keep(state, r.key, entry);
}

/* What is no vector may have no fine page. */
static inline bool
is_due(const scan_state *state, Page page, uint32 entry)
{
	const ek_geometry *geometry = &state->geometry;

	return (geometry->format < EK_FORMAT_3 ||
			ek_coarse_state(geometry, page, entry % geometry->coarse_per_page) == EK_ENTRY_VECTOR) &&
		!bms_is_member((int) entry, state->returned);
}

/* Without coarse codes that the kernel knows: all, or what format 1 has of bounds. */
static uint32
find_due_of_group(scan_state *state, Page page, uint32 group, uint32 mask, uint32 first, uint32 due)
{
	double		bounds[EK_LANES] = {0};

	if (state->geometry.format == EK_FORMAT_1)
		ek_bound_group_1(state->query, ek_group_on(&state->geometry, page, group), bounds);
	for (; mask != 0; mask &= mask - 1)
	{
		const int	lane = pg_rightmost_one_pos32(mask);
		const candidate at_least = {
			state->geometry.format == EK_FORMAT_1 ? bounds[lane] : -INFINITY, first + lane
		};

		if (within_horizon(state, &at_least) && is_due(state, page, at_least.entry))
			state->due[due++] = at_least;
	}
	return due;
}

/*
 * Entries of a page whose fine codes are read, in their order; returns how many.  Where
 * the kernel tells, a bound is not worth a number of its own beside that of a fine code:
 * a key may be smaller then than a bound that left its entry out before, but the distance
 * is not.
 */
static uint32
find_due(scan_state *state, const ek_coarse_query *coarse, Page page, const page_visit *visit,
		 uint32 count)
{
	const uint32 first = visit->page * state->geometry.coarse_per_page;
	const uint32 groups = (count + EK_LANES - 1) / EK_LANES;
	const bool	by_kernel = coarse->has_coarse && state->geometry.format != EK_FORMAT_1;
	uint32		due = 0;

	if (by_kernel)
		bound_groups(state, coarse, page, 0, groups, 0);
	for (uint32 group = 0; group < groups; group++)
	{
		uint32		mask = visit->passing == NULL ? PG_UINT16_MAX : visit->passing[group];

		if (count - group * EK_LANES < EK_LANES)
			mask &= (1u << (count - group * EK_LANES)) - 1;
		if (!by_kernel)
		{
			due = find_due_of_group(state, page, group, mask, first + group * EK_LANES, due);
			continue;
		}
		for (mask &= state->masks[group]; mask != 0; mask &= mask - 1)
		{
			const uint32 entry = first + group * EK_LANES + pg_rightmost_one_pos32(mask);

			if (is_due(state, page, entry))
				state->due[due++] = (candidate) {-INFINITY, entry};
		}
	}
	return due;
}

static void
collect_keys(IndexScanDesc scan, const ek_coarse_query *coarse, Page page,
			 const page_visit *visit, uint32 count)
{
	scan_state *state = scan->opaque;
	const ek_geometry *geometry = &state->geometry;
	const ek_place first = ek_place_of(geometry, visit->page * geometry->coarse_per_page);
	const uint32 due = find_due(state, coarse, page, visit, count);
	uint32		asked = 0;

	for (uint32 i = 0; i < due; i++)
	{
		const candidate *at_least = &state->due[i];
		const ek_place place = place_on_page(geometry, &first, at_least->entry);

		for (; asked < Min(i + ROWS_AHEAD, due); asked++)
		{
			const ek_place ahead = place_on_page(geometry, &first, state->due[asked].entry);

			ask_for_row(scan, ahead.fine_block, &ahead);
		}
		keep_by_key(scan, page, &place, at_least->entry, at_least->rank);
	}
	unlock(state);
}

/* The query in the basis of a page, or NULL if that has come since. */
static const ek_coarse_query *
query_for(const scan_state *state, Page page)
{
	const uint32 basis_id = ek_page_opaque_of(page)->count;

	for (int i = 0; i < state->query->coarse_count; i++)
	{
		if (state->query->coarse[i].basis_id == basis_id)
			return &state->query->coarse[i];
	}
	return NULL;
}

/* Bases may come while the scan runs, and old ones go. */
static void
learn_bases(IndexScanDesc scan)
{
	ek_cache_forget(scan->indexRelation);
	ek_encode_query_again(ek_cache_get(scan->indexRelation),
						  ((scan_state *) scan->opaque)->query);
}

/* A coarse page, locked, whose basis is known. */
static Buffer
lock_coarse_page(IndexScanDesc scan, BlockNumber block)
{
	scan_state *state = scan->opaque;

	for (int tries = 0; tries < EK_MOST_TRIES; tries++)
	{
		Buffer		buffer = ek_read_page(scan->indexRelation, block, BUFFER_LOCK_SHARE,
										  EK_PAGE_COARSE, &state->geometry);

		if (query_for(state, BufferGetPage(buffer)) != NULL)
			return buffer;
		UnlockReleaseBuffer(buffer);
		learn_bases(scan);
	}
	ek_raise_corrupted_block(scan->indexRelation, block, "its codes are in a basis that is not there");
}

/* How many entries of a coarse page may be in use. */
static uint32
entries_of(IndexScanDesc scan, Buffer buffer, uint32 first)
{
	const scan_state *state = scan->opaque;
	const uint32 per_page = state->geometry.coarse_per_page;
	const ek_coarse_header *header = ek_coarse_header_on(BufferGetPage(buffer));

	if (state->geometry.format < EK_FORMAT_3)
		return Min(per_page, state->meta.entries - first);
	if (header->begun > per_page || header->vectors > header->begun || !(header->slack >= 0.0f))
		ek_raise_corrupted_block(scan->indexRelation, BufferGetBlockNumber(buffer),
								 "its header says what is impossible");
	return header->begun;
}

/* The page that comes after it, if there is one, is asked for meanwhile. */
static void
collect_page(IndexScanDesc scan, const page_visit *visit, const page_visit *next)
{
	scan_state *state = scan->opaque;
	const ek_geometry *geometry = &state->geometry;
	const uint32 first = visit->page * geometry->coarse_per_page;
	Buffer		buffer;
	Page		page;
	const ek_coarse_query *coarse;
	uint32		count;
	uint32		vectors;

	state->allowed = visit->allowed;
	if (has_few(state, visit))
	{
		collect_few(scan, visit);
		return;
	}
	/* a session's first pass would wait for each page */
	ek_find(scan->indexRelation, next->block);
	buffer = lock_coarse_page(scan, visit->block);
	page = BufferGetPage(buffer);
	coarse = query_for(state, page);
	count = entries_of(scan, buffer, first);
	vectors = geometry->format < EK_FORMAT_3 ? count : ek_coarse_header_on(page)->vectors;

	ek_test_for_old_snapshot(scan->xs_snapshot, scan->indexRelation, page);
	if (has_few(state, next) || is_dense(state, next) || !coarse->has_coarse)
		ek_ask_for(scan->indexRelation, next->block, 0, 0);
	else
		ask_for_passing(scan, coarse, page, next);
	if (vectors == 0)
	{
		/* an empty page is not worth more than its header */
	}
	else if (state->by_key)
		collect_keys(scan, coarse, page, visit, count);
	else if (geometry->format == EK_FORMAT_1)
		collect_groups_1(scan, page, first, count);
	else if (!coarse->has_coarse)
		collect_fine_codes(scan, page, visit, count);
	else if (!is_dense(state, visit))
		collect_passing(state, coarse, page, visit, count);
	else
		collect_groups(state, coarse, page, visit, count, !is_dense(state, next) ? 0 :
					   ek_distance_to(scan->indexRelation, next->block, page));
	UnlockReleaseBuffer(buffer);
	state->counts.coarse_codes += vectors;
}

/* Which page comes when: every `step`-th first, then the others. */
static page_visit
visit_of(const scan_state *state, uint32 turn, uint32 step, uint32 pages)
{
	const uint32 sampled = (pages + step - 1) / step;
	const uint32 others = Max(step, 2) - 1; /* after each that is sampled */
	const uint32 other = turn - sampled;
	const uint32 page = ek_live_page(&state->pages, turn < sampled ? turn * step :
								   other / others * step + other % others + 1);

	return (page_visit) {.page = page};
}

/*
 * A page's turn has come, if any of its entries passes.  It is visited when the next one
 * is known, which is asked for meanwhile.
 */
static void
take_turn(IndexScanDesc scan, page_visit visit, uint32 allowed)
{
	scan_state *state = scan->opaque;

	visit.allowed = allowed;
	if (!find_passing(state, &visit))
		return;
	visit.block = ek_coarse_block(&state->geometry, visit.page);
	if (has_few(state, &visit))
		ask_for_few(scan, &visit);
	if (state->is_waiting)
		collect_page(scan, &state->waiting, &visit);
	state->waiting = visit;
	state->is_waiting = true;
}

static void
end_pass(IndexScanDesc scan)
{
	scan_state *state = scan->opaque;

	if (state->is_waiting)
		collect_page(scan, &state->waiting, &state->waiting);
	state->is_waiting = false;
}

static int
compare_sections(const void *a, const void *b)
{
	const uint32 x = *(const uint32 *) a;
	const uint32 y = *(const uint32 *) b;

	return x < y ? -1 : x > y;
}

static bool
is_live(const ek_live_pages *pages, uint32 section)
{
	const uint32 count = (pages->count + EK_SECTION - 1) / EK_SECTION;

	return pages->sections == NULL ||
		bsearch(&section, pages->sections, count, sizeof(uint32), compare_sections) != NULL;
}

/* What passes of a page of the pass, which something does. */
static page_visit
visit_in_turn(const scan_state *state, uint32 turn)
{
	page_visit	visit = {.page = ek_live_page(&state->pages, turn)};

	(void) find_passing(state, &visit);
	visit.block = ek_coarse_block(&state->geometry, visit.page);
	return visit;
}

/* A block that is read in this turn. */
static BlockNumber
block_in_turn(const scan_state *state, uint32 turn)
{
	const page_visit visit = visit_in_turn(state, turn);
	uint32		group = 0;

	if (!has_few(state, &visit))
		return visit.block;
	while (visit.passing[group] == 0)
		group++;
	return ek_place_of(&state->geometry, visit.page * state->geometry.coarse_per_page + group * EK_LANES +
					   pg_rightmost_one_pos32(visit.passing[group])).fine_block;
}

/* Is what is read in one of so many turns in no buffer, from one on? */
static bool
lacks_buffers(IndexScanDesc scan, uint32 first, uint32 count, uint32 probes)
{
	for (uint32 i = 0; i < probes; i++)
	{
		const uint32 turn = first + (uint32) ((uint64) i * count / probes);

		if (!ek_is_buffered(scan->indexRelation, block_in_turn(scan->opaque, turn)))
			return true;
	}
	return false;
}

static bool
is_cold(IndexScanDesc scan)
{
	const scan_state *state = scan->opaque;

	return state->pages.count > 0 && ek_may_read_ahead(scan->indexRelation) &&
		lacks_buffers(scan, 0, state->pages.count, PROBED_PAGES);
}

/* In how many turns, from one on, pages are read that follow one another on disk. */
static uint32
pages_in_a_row(const scan_state *state, uint32 first)
{
	const uint32 most = Min(EK_SECTION, state->pages.count - first);
	const BlockNumber block = ek_coarse_block(&state->geometry, ek_live_page(&state->pages, first));
	uint32		count = 1;

	/* blocks ascend with pages, so none is missing in between */
	if (state->conditions == NULL &&
		ek_coarse_block(&state->geometry, ek_live_page(&state->pages, first + most - 1)) ==
		block + most - 1)
		return most;
	while (count < most && block + count == block_in_turn(state, first + count))
		count++;
	return count;
}

/* Of a page of which few entries pass, the disk is asked for their fine codes. */
static void
read_few_ahead(IndexScanDesc scan, const page_visit *visit)
{
	const ek_geometry *geometry = &((scan_state *) scan->opaque)->geometry;
	BlockNumber last = InvalidBlockNumber;

	for (uint32 group = 0; group < geometry->groups_per_page; group++)
	{
		for (uint32 mask = visit->passing[group]; mask != 0; mask &= mask - 1)
		{
			const BlockNumber block = ek_place_of(geometry, visit->page * geometry->coarse_per_page +
												  group * EK_LANES + pg_rightmost_one_pos32(mask)).fine_block;

			if (block != last && !ek_is_buffered(scan->indexRelation, block))
				ek_read_ahead(scan->indexRelation, block, 1);
			last = block;
		}
	}
}

/* Asks the disk for what comes soon, unless it seems to be in buffers. */
static void
ask_for_pages(IndexScanDesc scan, uint32 turn)
{
	scan_state *state = scan->opaque;

	while (state->asked < state->pages.count && state->asked < turn + PAGES_AHEAD)
	{
		const uint32 first = state->asked;
		const page_visit visit = visit_in_turn(state, first);
		uint32		count = 1;

		if (has_few(state, &visit))
			read_few_ahead(scan, &visit);
		else
		{
			count = pages_in_a_row(state, first);
			if (lacks_buffers(scan, first, count, Min(count, 4)))
				ek_read_ahead(scan->indexRelation, visit.block, count);
		}
		state->asked += count;
	}
}

/* After a sample, a pass has as much room as its share of the pages. */
static uint32
room_for(const scan_state *state, uint32 seen, uint32 step, uint32 pages)
{
	const uint64 share = 2 * LEAST_KEPT + (uint64) state->room * seen / pages;

	return step == 1 ? state->room : (uint32) Min(share, state->room);
}

static bool
has_coarse_codes(const scan_state *state)
{
	bool		has_coarse = false;

	for (int i = 0; i < state->query->coarse_count; i++)
		has_coarse |= state->query->coarse[i].has_coarse;
	return has_coarse;
}

/* How many rows the next pass is for. */
static uint64
wanted_keys(const scan_state *state)
{
	return Max(LEAST_KEYS, MORE_KEYS * state->counts.returned);
}

/* Where coarse bounds tell entries apart, a pass that keeps few reads few fine codes. */
static uint32
room_for_keys(const scan_state *state)
{
	return has_coarse_codes(state) ? (uint32) Min(state->room, GROWTH * wanted_keys(state)) : state->room;
}

/*
 * The first pass of a process of a parallel scan: of the sections that it takes, which
 * are all that it has from then on.  Of the room it uses its share of the pages.
 */
static void
collect_sections(IndexScanDesc scan)
{
	scan_state *state = scan->opaque;
	const ek_live_pages all = state->pages;
	const uint32 per_section = EK_SECTION;
	const uint32 pages = ek_coarse_pages(&state->meta, &state->geometry);
	const uint32 sections = (pages + per_section - 1) / per_section;
	uint32		seen = 0;
	uint32		taken = 0;
	uint32		section;

	state->shared_out = true;
	state->cold = is_cold(scan);
	state->pages = (ek_live_pages) {.sections = palloc(sizeof(uint32) * Max(sections, 1))};
	while (ek_take_section(scan, sections, &section))
	{
		const uint32 end = Min((section + 1) * per_section, pages);

		if (!is_live(&all, section))
			continue;
		state->pages.sections[taken++] = section;
		state->pages.count += end - section * per_section;
		if (state->conditions != NULL)
			sweep_section(scan, section);
		for (uint32 page = section * per_section; page < end; page++)
		{
			CHECK_FOR_INTERRUPTS();
			take_turn(scan, (page_visit) {.page = page}, room_for(state, ++seen, 2, all.count));
		}
	}
	end_pass(scan);
	qsort(state->pages.sections, taken, sizeof(uint32), compare_sections);
}

/* By keys, fine pages are read too, in their order, and coarse pages in theirs. */
static void
collect_pages(IndexScanDesc scan)
{
	scan_state *state = scan->opaque;
	uint32		pages;
	uint32		step;

	sweep(scan);
	state->cold = is_cold(scan);
	state->asked = 0;
	pages = state->pages.count;
	step = state->by_key || state->cold ? 1 : Max(pages / SAMPLE_PAGES, 1);
	for (uint32 turn = 0; turn < pages; turn++)
	{
		CHECK_FOR_INTERRUPTS();
		if (state->cold)
			ask_for_pages(scan, turn);
		take_turn(scan, visit_of(state, turn, step, pages), state->by_key ? room_for_keys(state) :
				  room_for(state, turn + 1, step, pages));
	}
	end_pass(scan);
}

static uint32
expected_room(const ek_basis *basis)
{
	const uint64 expected = (uint64) EXPECTED_TIMES * basis->header->survivors;

	return (uint32) Min(Max(expected, FIRST_CANDIDATES), PG_INT32_MAX);
}

static uint32
first_room(IndexScanDesc scan)
{
	const ek_cache *cache = ek_cache_get(scan->indexRelation);
	const ek_basis *basis = ek_cache_current(cache);

	return cache->geometry.format == EK_FORMAT_1 || basis->coarse_dims == 0 ? FIRST_CANDIDATES :
		Max(expected_room(basis), cache->meta.entries / FIRST_SHARE);
}

Size
ek_scan_bytes(const ek_basis *basis)
{
	return expected_room(basis) * CANDIDATE_BYTES;
}

/* With more room than before, up to the budget. */
static void
make_more_room(IndexScanDesc scan)
{
	scan_state *state = scan->opaque;

	state->room = Min(state->room == 0 ? first_room(scan) : state->room * (uint64) GROWTH,
					  state->capacity);
	if (state->candidates != NULL)
	{
		pfree(state->candidates);
		pfree(state->refined);
		binaryheap_free(state->heap);
	}
	state->candidates = MemoryContextAllocHuge(state->context,
											   sizeof(candidate) * (Size) state->room);
	state->refined = MemoryContextAllocHuge(state->context,
											sizeof(refined) * (Size) state->room);
	state->heap = binaryheap_allocate((int) state->room, compare_refined, NULL);
}

/* Can no pass be but by keys? */
static bool
has_to_be_by_key(const scan_state *state)
{
	return !has_coarse_codes(state) || state->room == state->capacity;
}

static double
pass_cost(const scan_state *state)
{
	return has_to_be_by_key(state) ? state->limit.key_pass : state->limit.pass;
}

/* A key below which there are as many rows as are wanted; infinite if too few are known. */
static double
known_key(const scan_state *state)
{
	const uint32 known = state->room == 0 ? 0 : (uint32) state->heap->bh_size;
	const uint64 wanted = wanted_keys(state);
	candidate  *keys;
	double		key = -INFINITY;

	if (known < wanted || state->geometry.format == EK_FORMAT_1 ||
		state->counts.fine_codes < CODES_OF_HARD_ROW * state->counts.returned)
		return INFINITY;
	keys = palloc(sizeof(candidate) * known);
	for (uint32 i = 0; i < known; i++)
	{
		const refined *r = (const refined *) DatumGetPointer(state->heap->bh_nodes[i]);

		keys[i] = (candidate) {r->key, r->entry};
	}
	select_smallest(keys, known, (uint32) wanted);
	for (uint32 i = 0; i < wanted; i++)
		key = Max(key, keys[i].rank);
	pfree(keys);
	return key;
}

/*
 * The next pass.  By coarse bounds first, with more room each time; by keys when the
 * query is a hard one, when the budget is used up, or if there are no coarse codes to
 * tell entries apart.
 */
static void
collect(IndexScanDesc scan)
{
	scan_state *state = scan->opaque;
	MemoryContext caller = MemoryContextSwitchTo(state->context);
	const uint32 per_page = state->geometry.coarse_per_page;
	const double key = known_key(state);

	state->cost += pass_cost(state);
	state->by_key |= has_to_be_by_key(state) || key < INFINITY;
	if (state->bounds == NULL)
	{
		state->due = palloc(sizeof(candidate) * per_page);
		state->bounds = palloc(sizeof(float) * per_page);
		state->masks = palloc(sizeof(uint16) * (per_page / EK_LANES));
	}
	if (state->room < state->capacity && (!state->by_key || room_for_keys(state) == state->room))
		make_more_room(scan);

	state->count = state->ordered = state->next = state->refined_count = 0;
	state->pivot_count = 0;
	state->complete = key == INFINITY;
	state->horizon = (candidate) {key, PG_UINT32_MAX};
	state->cut = state->by_key || state->geometry.format == EK_FORMAT_1 ? state->radius :
		-state->least_bound;
	state->threshold = state->least_bound;
	if (key < INFINITY)
		set_threshold(state);
	binaryheap_reset(state->heap);
	if (ek_is_parallel(scan) && !state->shared_out)
		collect_sections(scan);
	else
		collect_pages(scan);
	state->counts.passes++;
	MemoryContextSwitchTo(caller);
}

/*
 * The order of what was collected
 */

/*
 * Puts the next candidate in order, and remembers how the rest has been divided
 * (Paredes and Navarro, Optimal Incremental Sorting, 2006).
 */
static const candidate *
order_next(scan_state *state)
{
	const uint32 first = state->ordered;

	if (state->pivot_count == 0)
		state->pivots[state->pivot_count++] = state->count;
	while (state->pivots[state->pivot_count - 1] > first + 1)
	{
		const uint32 end = state->pivots[state->pivot_count - 1];
		const uint32 middle = divide(state->candidates, first, end);

		/* with no room to remember, a part is divided again later */
		if (state->pivot_count == MOST_PIVOTS)
			state->pivot_count = 1;
		state->pivots[state->pivot_count++] = middle;
	}
	state->pivot_count--;
	return &state->candidates[state->ordered++];
}

/* Puts the next few candidates in order; their fine codes are soon wanted. */
static void
order_some(IndexScanDesc scan)
{
	scan_state *state = scan->opaque;
	const uint32 end = Min(state->ordered + (state->cold ? BATCH_OF_DISK : BATCH), state->count);

	while (state->ordered < end)
	{
		const candidate *c = order_next(state);
		const ek_place place = ek_place_of(&state->geometry, c->entry);

		ask_for_row(scan, place.fine_block, &place);
		if (state->cold)
			PrefetchBuffer(scan->indexRelation, MAIN_FORKNUM, place.fine_block);
	}
}

/* The next candidate gets its key. */
static void
refine_next(IndexScanDesc scan)
{
	scan_state *state = scan->opaque;
	const candidate *c = &state->candidates[state->next++];
	refined    *r = &state->refined[state->refined_count];

	state->cost += state->limit.survivor;

	if (refine(scan, c->entry, bound_of(state, c->rank), r))
	{
		state->refined_count++;
		binaryheap_add(state->heap, PointerGetDatum(r));
	}
	unlock(state);
}

/* No entry that has no key yet has a bound below this. */
static double
least_unrefined(IndexScanDesc scan)
{
	scan_state *state = scan->opaque;

	if (state->next < state->count)
	{
		if (state->next == state->ordered)
			order_some(scan);
		return bound_of(state, state->candidates[state->next].rank);
	}
	return state->complete ? INFINITY : bound_of(state, state->horizon.rank);
}

/* May the scan cost so much more?  If not, it ends here. */
static inline bool
may_go_on(scan_state *state, double more)
{
	if (state->cost + more > state->limit.most)
		state->stopped = true;
	return !state->stopped;
}

/* Another pass, if there may be one, leaves it out. */
static void
remember_returned(scan_state *state, uint32 entry)
{
	MemoryContext caller;

	if (state->complete)
		return;
	caller = MemoryContextSwitchTo(state->context);
	state->returned = bms_add_member(state->returned, (int) entry);
	MemoryContextSwitchTo(caller);
}

/*
 * When many have keys, and even the smallest is beyond the horizon, the rest of this pass
 * will hardly have what can be returned.
 */
static bool
is_hopeless(const scan_state *state, const refined *top)
{
	return !state->by_key && !state->complete && state->geometry.format != EK_FORMAT_1 &&
		top != NULL && state->refined_count >= KEYS_OF_A_TRIAL &&
		(uint64) state->heap->bh_size >= wanted_keys(state) && top->key > bound_of(state, state->horizon.rank);
}

/*
 * The entry with the smallest key that has not been returned, or NULL if there
 * is none.
 */
static const refined *
next_refined(IndexScanDesc scan)
{
	scan_state *state = scan->opaque;

	if (state->meta.entries == 0)
		return NULL;
	if (state->room == 0)
		collect(scan);

	for (;;)
	{
		const double least = least_unrefined(scan);
		const refined *top = binaryheap_empty(state->heap) ? NULL :
			(refined *) DatumGetPointer(binaryheap_first(state->heap));

		CHECK_FOR_INTERRUPTS();
		if (top != NULL && top->key <= least)
		{
			if (top->key > state->radius)
				return NULL;
			binaryheap_remove_first(state->heap);
			remember_returned(state, top->entry);
			return top;
		}
		if (!may_go_on(state, 0.0))
			return NULL;
		if (state->next < state->count && !is_hopeless(state, top))
			refine_next(scan);
		else if (state->complete || !may_go_on(state, pass_cost(state)))
			return NULL;
		else
			collect(scan);
	}
}

/*
 * Lists
 */

/* Up to which entry a coarse page may have what is listed.  In the first formats nobody knows. */
static uint32
listed_until(IndexScanDesc scan, uint32 coarse_page, bool nulls)
{
	scan_state *state = scan->opaque;
	const uint32 per_page = state->geometry.coarse_per_page;
	const uint32 first = coarse_page * per_page;
	Buffer		buffer;
	ek_coarse_header header;
	page_visit	visit = {.page = coarse_page};

	if (!find_passing(state, &visit))
		return first;
	if (state->geometry.format < EK_FORMAT_3)
		return first + per_page;
	buffer = ek_read_page(scan->indexRelation, ek_coarse_block(&state->geometry, coarse_page),
						  BUFFER_LOCK_SHARE, EK_PAGE_COARSE, &state->geometry);
	header = *ek_coarse_header_on(BufferGetPage(buffer));
	UnlockReleaseBuffer(buffer);
	return first + ((nulls ? header.nulls : header.vectors) > 0 ? Min(header.begun, per_page) : 0);
}

/* The next entry of a page that is NULL or, if `nulls` is false, a vector. */
static bool
next_on_page(IndexScanDesc scan, Page page, const ek_row_page *rows, bool nulls,
			 ItemPointer tid)
{
	scan_state *state = scan->opaque;
	const uint32 end = Min(Min(rows->end, state->listed_end), state->meta.entries);

	while (state->next < end)
	{
		const uint32 entry = state->next++;
		const ek_place place = ek_place_of(&state->geometry, entry);
		const ek_entry_row row = ek_row_on(&state->geometry, page, &place);
		const ek_entry_state kind = state_of(scan, &row, rows->block);

		if (kind != EK_ENTRY_FREE && (kind == EK_ENTRY_NULL) == nulls && passes(state->passing, entry))
		{
			*tid = *row.tid;
			return true;
		}
	}
	return false;
}

static bool
next_listed(IndexScanDesc scan, bool nulls, ItemPointer tid)
{
	scan_state *state = scan->opaque;
	const uint32 per_page = state->geometry.coarse_per_page;

	if (state->next == 0)
		sweep_all(scan);
	while (state->next < state->meta.entries)
	{
		const ek_row_page rows = ek_row_page_of(&state->geometry, state->next);
		Buffer		buffer;
		bool		found;

		CHECK_FOR_INTERRUPTS();
		if (state->next % per_page == 0)
			state->listed_end = listed_until(scan, state->next / per_page, nulls);
		if (state->next >= state->listed_end)
		{
			state->next += Min(per_page - state->next % per_page, state->meta.entries - state->next);
			continue;
		}
		buffer = ek_read_page(scan->indexRelation, rows.block, BUFFER_LOCK_SHARE, rows.kind,
							  &state->geometry);
		ek_test_for_old_snapshot(scan->xs_snapshot, scan->indexRelation, BufferGetPage(buffer));
		found = next_on_page(scan, BufferGetPage(buffer), &rows, nulls, tid);
		UnlockReleaseBuffer(buffer);
		if (found)
			return true;
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
	state->limit.most = INFINITY;
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

	publish(scan);
	unpin(state);
	MemoryContextReset(state->context);
	*state = (scan_state)
	{
		.context = state->context, .limit = state->limit
	};
}

void
ek_scan_rescan(IndexScanDesc scan, ScanKey keys, int nkeys, ScanKey orderbys, int norderbys)
{
	scan_state *state = scan->opaque;

	if (keys != NULL && nkeys > 0)
		memmove(scan->keyData, keys, sizeof(ScanKeyData) * nkeys);
	if (orderbys != NULL && norderbys > 0)
		memmove(scan->orderByData, orderbys, sizeof(ScanKeyData) * norderbys);
	forget(scan);
	state->phase = PHASE_END;
	state->fresh = true;
}

/*
 * A worker has seen nothing yet, and checksums are more than half of its part of a
 * pass.  It belongs to the leader's session, which may have looked at them before.
 */
static void
share_checks(IndexScanDesc scan)
{
	const scan_state *state = scan->opaque;
	const bool	is_leader = !IsParallelWorker();
	uint32		count;

	(void) ek_cache_get(scan->indexRelation);
	if (!is_leader && !ek_is_vouched(scan))
		return;
	for (uint32 first = 0; first < state->pages.count; first += count)
	{
		const BlockNumber block = ek_coarse_block(&state->geometry,
												  ek_live_page(&state->pages, first));

		count = pages_in_a_row(state, first);
		for (BlockNumber i = block; i < block + count; i++)
		{
			if (!is_leader)
				ek_set_verified(scan->indexRelation, i);
			else if (!ek_is_verified(scan->indexRelation, i))
				return;
		}
	}
	if (is_leader)
		ek_vouch(scan);
}

/* What rows are near to, in this metric; 0 for none: nothing is said of that. */
typedef struct target
{
	ek_metric	metric;
	bool		is_null;
	Datum		vector;
} target;

static bool
is_same_vector(const ek_vector_type *type, Datum a, Datum b)
{
	ek_vector	x;
	ek_vector	y;

	if (!type->is_valid(a) || !type->is_valid(b))
		return false;
	x = type->get(a);
	y = type->get(b);
	return x.dims == y.dims && memcmp(x.values, y.values, sizeof(float) * x.dims) == 0;
}

/* By the functions of a radius a zero vector is as far from all others as one at right angles. */
#define DISTANCE_OF_ZERO	1.0

static bool
has_zeros_within(const scan_state *state, ek_metric metric, double radius)
{
	return state->geometry.arithmetic == EK_SUMS_IN_FLOAT && metric == EK_METRIC_COSINE &&
		radius >= DISTANCE_OF_ZERO;
}

/*
 * A radius about what rows are put in order by limits the scan, and if there is no order
 * it gives one.  About anything else, it is for the executor.
 */
static void
start_radius(scan_state *state, const ScanKeyData *key, target *to)
{
	const ek_metric metric = (ek_metric) (key->sk_strategy - EK_RADIUS_STRATEGY(0));
	Datum		center;
	double		radius;

	state->without_nulls = true;
	if ((key->sk_flags & SK_ISNULL) || !ek_ball_of(key->sk_argument, &center, &radius))
	{
		state->without_vectors = true;
		return;
	}
	if (to->metric == 0)
		*to = (target) {.metric = metric,.vector = center};
	if (!isnan(radius) && metric == to->metric && !to->is_null && !has_zeros_within(state, metric, radius) &&
		is_same_vector(state->type, center, to->vector))
		state->radius = Min(state->radius, radius);
}

/* Of the vector itself, an index is asked whether it is NULL, or within a radius. */
static void
start_conditions(IndexScanDesc scan, target *to)
{
	scan_state *state = scan->opaque;
	const uint32 groups = state->meta.entries / EK_LANES;

	state->radius = INFINITY;
	for (int i = 0; i < scan->numberOfKeys; i++)
	{
		const ScanKeyData *key = &scan->keyData[i];

		if (key->sk_attno != 1)
			continue;
		/* of several balls, the executor knows */
		if (key->sk_flags & (SK_SEARCHNOTNULL | SK_SEARCHARRAY))
			state->without_nulls = true;
		else if (key->sk_flags & SK_SEARCHNULL)
			state->without_vectors = true;
		else
			start_radius(state, key, to);
	}
	if (state->geometry.filters == 0 || scan->numberOfKeys == 0)
		return;
	state->conditions = ek_conditions_create(scan);
	state->passing = palloc0(sizeof(uint16) * Max(groups, 1));
}

/*
 * Rows in order of their distance, if there can be one.  A query that the operator refuses
 * is left to the operator: it gets every row, and raises its own error at the first that
 * it can see.
 */
static void
start_order(IndexScanDesc scan, const target *to)
{
	scan_state *state = scan->opaque;
	ek_vector	vector;
	double		norm;

	if (!state->type->is_valid(to->vector))
		return;
	vector = state->type->get(to->vector);
	if ((uint32) vector.dims != state->meta.dims)
		return;
	state->query = ek_encode_query(ek_cache_get(scan->indexRelation), to->metric, vector.values);
	norm = state->query->norm;
	if (state->geometry.arithmetic == EK_SUMS_IN_FLOAT && to->metric == EK_METRIC_COSINE &&
		(norm == 0.0 || ek_is_beyond_floats(state->geometry.arithmetic, norm)))
	{
		/* nothing has a distance from zeros */
		if (norm == 0.0)
			state->listed = get_float8_nan();
		return;
	}
	state->least_bound = least_bound_within(state->query, state->radius);
	state->phase = PHASE_ORDERED;
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
	target		to = {0};

	if (scan->numberOfOrderBys > 1)
		elog(ERROR, "an engramk index is scanned for one order only");
	/* others may see the rows of entries that are used again meanwhile */
	if (!IsMVCCSnapshot(scan->xs_snapshot))
		elog(ERROR, "an engramk index is scanned with MVCC snapshots only");

	state->fresh = false;
	state->type = ek_type_of(scan->indexRelation);
	state->counts.scans = 1;
	state->meta = ek_agree_on_meta(scan);
	if (state->meta.dims != 0)
	{
		state->geometry = ek_geometry_of(&state->meta);
		state->pages = ek_find_live_pages(scan->indexRelation, &state->meta, &state->geometry);
		if (ek_is_parallel(scan))
			share_checks(scan);
	}
	state->capacity = (uint32) (ek_scratch_size() / CANDIDATE_BYTES);
	if (scan->numberOfOrderBys > 0)
		to = (target)
		{
			.metric = (ek_metric) scan->orderByData->sk_strategy,
				.is_null = (scan->orderByData->sk_flags & SK_ISNULL) != 0,
				.vector = scan->orderByData->sk_argument
		};
	start_conditions(scan, &to);
	state->null_query = to.metric == 0 || to.is_null;
	state->phase = PHASE_LIST;
	state->listed = -INFINITY;
	state->least_bound = -INFINITY;
	if (state->without_vectors)
		state->phase = state->without_nulls ? PHASE_END : PHASE_EARLY_NULLS;
	else if (!state->null_query && state->meta.entries > 0)
		start_order(scan, &to);
	if (state->phase != PHASE_ORDERED && !ek_take_rest(scan))
		state->phase = PHASE_END;
	pgstat_count_index_scan(scan->indexRelation);
#if PG_VERSION_NUM >= 180000
	if (scan->instrument != NULL)
		scan->instrument->nsearches++;
#endif
	MemoryContextSwitchTo(caller);
}

/* What is beyond all distances has none: it is not a number, which PostgreSQL puts after them. */
static inline double
bound_of_key(double key)
{
	return key == INFINITY ? get_float8_nan() : key;
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
	scan->xs_recheck = scan->numberOfKeys > 0;
	scan->xs_recheckorderby = true;
	scan->xs_orderbyvals[0] = Float8GetDatum(is_null ? 0.0 : bound);
	scan->xs_orderbynulls[0] = is_null;
	state->counts.returned++;
	state->cost += state->limit.visit;
	return true;
}

void
ek_scan_limit(IndexScanDesc scan, const ek_work_limit *limit)
{
	((scan_state *) scan->opaque)->limit = *limit;
}

bool
ek_scan_stopped(IndexScanDesc scan)
{
	return ((scan_state *) scan->opaque)->stopped;
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
	if (!may_go_on(state, 0.0))
		return false;

	if (state->phase == PHASE_ORDERED)
	{
		const refined *r = next_refined(scan);

		if (r != NULL)
		{
			tid = r->tid;
			return return_row(scan, &tid, false, bound_of_key(r->key));
		}
		if (state->stopped)
			return false;
		unpin(state);
		state->next = 0;
		state->phase = !state->without_nulls && ek_take_rest(scan) ? PHASE_EARLY_NULLS : PHASE_END;
	}
	if (state->phase == PHASE_LIST)
	{
		if (next_listed(scan, false, &tid))
			return return_row(scan, &tid, state->null_query, state->listed);
		state->phase = state->without_nulls ? PHASE_END : PHASE_EARLY_NULLS;
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
