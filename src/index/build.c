/*
 * build.c
 *		Building an index: a sample, a basis, and one pass over the table.
 *
 * Nobody else sees the index, so pages are written in place and WAL-logged as
 * whole pages at the end.
 *
 * Deleted rows that older snapshots may still see are indexed like others.
 * Those whose vectors do not go with the vectors of today are left out, and
 * PostgreSQL is told to keep older snapshots away from the index.
 */
#include "postgres.h"

#include <math.h>

#include "access/tableam.h"
#include "access/xloginsert.h"
#include "catalog/index.h"
#include "commands/progress.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "utils/memutils.h"

#include "index/index.h"
#include "vector/compute.h"
#include "vector/vector.h"

/* The phases that pg_stat_progress_create_index shows. */
#define PHASE_SAMPLE	2
#define PHASE_BASIS		3
#define PHASE_LOAD		4

typedef struct build_state
{
	Relation	index;
	const ek_vector_type *type;
	IndexInfo  *info;
	MemoryContext scratch;		/* of one vector; reset for each */
	MemoryContext lasting;
	ek_meta		empty;			/* the metapage, before there is anything */

	ek_sample	sample;

	/* loading */
	uint32		dims;
	ek_cache   *cache;			/* NULL before the first vector */
	ek_encoder *encoder;
	uint32		entries;
	uint32		vectors;		/* of these, those that are no NULLs */
	double		residuals;		/* their sum */
	BlockNumber end;			/* of the index */
	double		heap_tuples;
	uint32		null_pages;
	uint64		early_nulls;
	uint64		filters[EK_MOST_FILTERS];	/* of the row that is stored */
	Buffer		nulls;			/* these four are pinned, or invalid */
	Buffer		coarse;
	Buffer		fine;
	Buffer		filter;
} build_state;

char *
ek_build_phase_name(int64 phase)
{
	switch (phase)
	{
		case PROGRESS_CREATEIDX_SUBPHASE_INITIALIZE:
			return "initializing";
		case PHASE_SAMPLE:
			return "sampling vectors";
		case PHASE_BASIS:
			return "finding the basis";
		case PHASE_LOAD:
			return "loading vectors";
		default:
			return NULL;
	}
}

static void
show_phase(int64 phase)
{
	pgstat_progress_update_param(PROGRESS_CREATEIDX_SUBPHASE, phase);
}

/*
 * The pages
 */

static Page
begin_write(Buffer buffer)
{
	LockBuffer(buffer, BUFFER_LOCK_EXCLUSIVE);
	return BufferGetPage(buffer);
}

static void
end_write(Buffer buffer)
{
	MarkBufferDirty(buffer);
	LockBuffer(buffer, BUFFER_LOCK_UNLOCK);
}

/* Seals a page only now: it would be done once for each of its entries. */
static void
release(Buffer *buffer)
{
	if (BufferIsValid(*buffer))
	{
		ek_page_seal(begin_write(*buffer));
		end_write(*buffer);
		ReleaseBuffer(*buffer);
	}
	*buffer = InvalidBuffer;
}

/* The buffer for pages of a kind that entries have. */
static Buffer *
buffer_for(build_state *state, ek_page_kind kind)
{
	if (kind == EK_PAGE_FILTER)
		return &state->filter;
	return kind == EK_PAGE_COARSE ? &state->coarse : &state->fine;
}

/* A new page, pinned; whatever was pinned there before is released. */
static void
append_page(build_state *state, Buffer *buffer, ek_page_kind kind)
{
	release(buffer);
	*buffer = ek_extend(state->index);
	state->end++;
	ek_page_init(BufferGetPage(*buffer), kind,
				 state->cache ? &state->cache->geometry : NULL);
	end_write(*buffer);
}

static void
append_basis(build_state *state)
{
	Buffer		buffer = InvalidBuffer;

	for (uint32 number = 0; number < state->cache->meta.basis_pages; number++)
	{
		append_page(state, &buffer, EK_PAGE_BASIS);
		ek_store_basis(state->cache, number, begin_write(buffer));
		end_write(buffer);
	}
	release(&buffer);
}

/* A table with fewer vectors than this has not told yet what it is going to hold. */
#define TELLING_VECTORS	10000

/*
 * Some more than the best codes of now take, for those of vectors that come later; but
 * pages with much room are many, and all of them are read.
 */
static uint32
room_for_codes(const ek_meta *meta, int best)
{
	const int	usual = ek_usual_steps(meta->dims);

	if (best == 0 || meta->tried < TELLING_VECTORS)
		return (uint32) Max(best, usual);
	return (uint32) Max(best, Min(usual, best + best / 4 + 1));
}

/* What the metapage says of the basis, if there is one. */
static void
describe_basis(ek_meta *meta, const ek_basis *basis)
{
	const uint32 per_page = ek_bytes_per_page();
	const Size	bytes = ek_basis_bytes((ek_format) meta->format, basis->coarse_dims, meta->dims);

	meta->basis_pages = (uint32) ((bytes + per_page - 1) / per_page);
	if (meta->format < EK_FORMAT_3)
	{
		meta->coarse_dims = (uint8) basis->coarse_dims;
		meta->steps4 = (uint8) basis->steps4;
		meta->steps2 = (uint8) basis->steps2;
		meta->basis_id = meta->format == EK_FORMAT_2 && basis->coarse_dims > 0 ? EK_FIRST_BASIS : 0;
		return;
	}
	meta->steps = room_for_codes(meta, basis->steps4 + basis->steps2);
	if (basis->coarse_dims == 0)
		return;
	meta->basis_pages = ek_slot_pages(meta->dims);
	meta->current = EK_FIRST_BASIS;
	meta->slots[0] = (ek_basis_slot)
	{
		.id = EK_FIRST_BASIS,
			.block = 1 + meta->null_pages,
			.coarse_dims = (uint8) basis->coarse_dims,
			.steps4 = (uint8) basis->steps4,
			.steps2 = (uint8) basis->steps2
	};
}

/* From a sample, which may be empty, to metapage and basis. */
static ek_cache *
make_cache(build_state *state, uint32 dims)
{
	ek_meta		meta = state->empty;
	ek_basis   *basis = ek_basis_create(dims);
	ek_cache   *cache;

	meta.dims = dims;
	meta.null_pages = state->null_pages;
	meta.sampled = (uint32) state->sample.count;
	meta.tried = (uint32) Min(state->sample.expected, (double) PG_UINT32_MAX);
	ek_find_basis(&state->sample, (ek_format) meta.format, EK_MAX_STEPS, basis);
	describe_basis(&meta, basis);
	meta.first_block = 1 + meta.null_pages + meta.basis_pages;
	cache = ek_cache_create(state->lasting, &meta, 0);
	ek_cache_fill(cache, basis);
	return cache;
}

/* With the number of dimensions known, and perhaps a sample of the vectors. */
static void
settle_basis(build_state *state, uint32 dims)
{
	MemoryContext work = AllocSetContextCreate(state->lasting, "engramk basis",
											   ALLOCSET_DEFAULT_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(work);

	show_phase(PHASE_BASIS);
	state->dims = dims;
	state->cache = make_cache(state, dims);
	MemoryContextSwitchTo(state->lasting);
	MemoryContextDelete(work);

	state->encoder = ek_encoder_create(&state->cache->geometry, ek_cache_current(state->cache));
	release(&state->nulls);
	append_basis(state);
	show_phase(PHASE_LOAD);
	MemoryContextSwitchTo(caller);
}

static void
store_early_null(build_state *state, ItemPointer tid)
{
	Page		page;

	if (state->early_nulls++ % ek_tids_per_page() == 0)
	{
		append_page(state, &state->nulls, EK_PAGE_NULLS);
		state->null_pages++;
	}
	page = begin_write(state->nulls);
	ek_page_tids(page)[ek_page_opaque_of(page)->count++] = *tid;
	end_write(state->nulls);
}

static void
go_to_page(build_state *state, Buffer *buffer, BlockNumber block)
{
	if (BufferIsValid(*buffer) && BufferGetBlockNumber(*buffer) == block)
		return;
	release(buffer);
	*buffer = ReadBuffer(state->index, block);
}

/*
 * No page stays locked between two tuples: getting the next one may run an
 * index expression, and should be possible to interrupt.
 */
static void
store_entry(build_state *state, ItemPointer tid)
{
	const ek_geometry *geometry = &state->cache->geometry;
	const uint32 number = state->entries++;
	ek_place	place = ek_place_of(geometry, number);

	/* a new stretch begins with all of its filter and coarse pages */
	while (state->end <= place.fine_block)
	{
		const ek_page_kind kind = ek_kind_of(geometry, state->end);

		append_page(state, buffer_for(state, kind), kind);
	}
	go_to_page(state, &state->coarse, place.coarse_block);
	go_to_page(state, &state->fine, place.fine_block);

	ek_encoded_store(state->encoder, begin_write(state->coarse), begin_write(state->fine),
					 &place, tid);
	if (geometry->format >= EK_FORMAT_3)
		ek_coarse_header_on(BufferGetPage(state->coarse))->number = number / geometry->coarse_per_page;
	end_write(state->fine);
	end_write(state->coarse);
	if (geometry->filters > 0)
	{
		go_to_page(state, &state->filter, place.filter_block);
		ek_store_filters(geometry, state->filters, begin_write(state->filter), &place);
		end_write(state->filter);
	}
}

/* Could this vector be stored beside those that are? */
static bool
fits(const build_state *state, Datum value)
{
	uint32		dims;

	if (!state->type->is_valid(value))
		return false;
	dims = (uint32) state->type->get(value).dims;
	return dims == state->dims || (state->dims == 0 && dims <= EK_INDEX_MAX_DIMS);
}

static void
store_value(build_state *state, Datum value, bool isnull, ItemPointer tid)
{
	state->heap_tuples += 1;
	if (!isnull)
	{
		uint32		dims = state->dims;
		const float *vector = ek_indexed_vector(state->index, state->type, value, &dims);

		if (state->cache == NULL)
			settle_basis(state, dims);
		state->vectors++;
		state->residuals += ek_known_residual(ek_encode(state->encoder, vector)->coarse_residual);
		store_entry(state, tid);
	}
	else if (state->cache == NULL)
		store_early_null(state, tid);
	else
	{
		ek_encode_null(state->encoder);
		store_entry(state, tid);
	}
}

static void
load_tuple(Relation index, ItemPointer tid, Datum *values,
		   bool *isnull, bool alive, void *arg)
{
	build_state *state = arg;
	MemoryContext caller = MemoryContextSwitchTo(state->scratch);

	if (!alive && !isnull[0] && !fits(state, values[0]))
		state->info->ii_BrokenHotChain = true;
	else
	{
		ek_encode_filters(index, values, isnull, state->filters);
		store_value(state, values[0], isnull[0], tid);
	}
	MemoryContextSwitchTo(caller);
	MemoryContextReset(state->scratch);
}

/* All entries of the last page are there; those that are free are for inserts to find. */
static void
round_up_entries(build_state *state, ek_meta *meta)
{
	const ek_geometry *g;

	meta->free_hint = 0;
	if (state->cache == NULL || state->entries == 0)
		return;
	g = &state->cache->geometry;
	meta->entries = ek_coarse_pages(meta, g) * g->coarse_per_page;
	meta->tried = state->vectors;
	meta->tried_residual = (float) (state->residuals / Max(state->vectors, 1));
	if (meta->entries > state->entries)
		ek_record_free(state->index, ek_place_of(g, meta->entries - 1).coarse_block,
					   state->entries % g->coarse_per_page, g);
}

static void
write_meta(build_state *state)
{
	Buffer		buffer = ReadBuffer(state->index, EK_META_BLOCK);
	ek_meta    *meta = ek_meta_on(begin_write(buffer));

	if (state->cache != NULL)
		memcpy(meta, &state->cache->meta, ek_meta_size((ek_format) meta->format));
	meta->null_pages = state->null_pages;
	meta->entries = state->entries;
	meta->free_hint = state->entries;
	if (meta->format >= EK_FORMAT_3)
		round_up_entries(state, meta);
	ek_page_seal(BufferGetPage(buffer));
	end_write(buffer);
	ReleaseBuffer(buffer);
}

/* Of an index that has nothing yet. */
static ek_meta
empty_meta(Relation index)
{
	ek_meta		meta = {.magic = EK_INDEX_MAGIC,.format = ek_format_to_build(index)};

	if (ek_type_of(index)->typmod_is_dims)
		ek_require_possible_dims(TupleDescAttr(RelationGetDescr(index), 0)->atttypmod);
	ek_describe_columns(index, &meta);
	return meta;
}

IndexBuildResult *
ek_build(Relation heap, Relation index, IndexInfo *info)
{
	IndexBuildResult *result = palloc0(sizeof(IndexBuildResult));
	build_state state = {.index = index,.type = ek_type_of(index),.info = info};
	Buffer		buffer;

	if (info->ii_ExclusionOps != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("an engramk index cannot enforce an exclusion constraint")));
	if (RelationGetNumberOfBlocks(index) != 0)
		elog(ERROR, "index \"%s\" already contains data", RelationGetRelationName(index));
	state.empty = empty_meta(index);

	state.lasting = AllocSetContextCreate(CurrentMemoryContext, "engramk build",
										  ALLOCSET_DEFAULT_SIZES);
	state.scratch = AllocSetContextCreate(state.lasting, "engramk build vector",
										  ALLOCSET_DEFAULT_SIZES);

	buffer = ek_extend(index);
	ek_meta_init(BufferGetPage(buffer), &state.empty);
	end_write(buffer);
	ReleaseBuffer(buffer);
	state.end = 1;

	show_phase(PHASE_SAMPLE);
	ek_sample_table(heap, index, info, (ek_format) state.empty.format, state.lasting, &state.sample);
	if (state.sample.dims > 0)
		settle_basis(&state, (uint32) state.sample.dims);
	show_phase(PHASE_LOAD);
	result->heap_tuples = table_index_build_scan(heap, index, info, true, true,
												 load_tuple, &state, NULL);
	release(&state.nulls);
	release(&state.coarse);
	release(&state.fine);
	release(&state.filter);
	write_meta(&state);
	if (RelationNeedsWAL(index))
		log_newpage_range(index, MAIN_FORKNUM, 0, RelationGetNumberOfBlocks(index), true);

	result->index_tuples = state.heap_tuples;
	MemoryContextDelete(state.lasting);
	return result;
}

/*
 * The init fork of an unlogged index.  Generic WAL leaves unlogged relations
 * out, but their init forks must be logged.
 */
void
ek_build_empty(Relation index)
{
	const ek_meta empty = empty_meta(index);
	Buffer		buffer = ReadBufferExtended(index, INIT_FORKNUM, P_NEW, RBM_NORMAL, NULL);

	LockBuffer(buffer, BUFFER_LOCK_EXCLUSIVE);
	START_CRIT_SECTION();
	ek_meta_init(BufferGetPage(buffer), &empty);
	MarkBufferDirty(buffer);
	log_newpage_buffer(buffer, true);
	END_CRIT_SECTION();
	UnlockReleaseBuffer(buffer);
}
