/*
 * check.c
 *		Is every certificate of an index true, and has every row its entry?
 *
 * The check walks every page with a share lock at a time, as amcheck does, and
 * so runs beside everything else; it derives the codes of every row again from
 * the table and compares.  Then it reads the table and looks for rows that have
 * no entry.
 *
 * Both ways it is about the rows that one snapshot sees, which is taken before
 * the first page is read.  VACUUM leaves them and their entries alone as long
 * as the snapshot is there, entries never move, and the entries of rows that
 * come later point to what the snapshot does not see.  So what others do
 * meanwhile is never mistaken for damage.
 *
 * Expressions and predicates of an index are code of the table's owner, so the
 * check runs them as that owner, whoever asked for it.
 */
#include "postgres.h"

#include <math.h>

#include "access/relation.h"
#include "access/table.h"
#include "access/tableam.h"
#include "catalog/index.h"
#include "common/hashfn.h"
#include "executor/executor.h"
#include "lib/bloomfilter.h"
#include "miscadmin.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "index/index.h"
#include "vector/vector.h"

PG_FUNCTION_INFO_V1(ek_sql_index_check);

typedef struct check_state
{
	/* set by begin_check */
	Relation	index;
	const ek_vector_type *type;
	Relation	heap;
	Snapshot	snapshot;
	const ek_cache *cache;
	ek_encoder *encoders[EK_MOST_BASES];	/* of each basis of the cache, once used */
	ek_encoder *encoder;		/* of the entry that is being checked */
	IndexInfo  *info;
	EState	   *estate;
	ExprState  *predicate;
	TupleTableSlot *slot;
	IndexFetchTableData *fetch;
	BlockNumber heap_blocks;	/* when last asked */
	MemoryContext lasting;
	MemoryContext scratch;		/* of one entry */
	uint64		seed;			/* of hashes of pointers */

	/* changes with each entry and row */
	bloom_filter *indexed;		/* pointers to rows that have an entry */
	int64		checked;		/* entries of rows that the snapshot sees */
	int64		rows;			/* that it sees in the table */
	uint64		unmatched;		/* hashes of entries' pointers, less those of rows */
} check_state;

/* One entry, copied from its pages. */
typedef struct entry_copy
{
	bool		early;			/* a NULL from before the first vector */
	uint32		number;			/* of an early NULL: on its page */
	BlockNumber block;
	ek_entry_state state;
	ItemPointerData tid;
	double		norm;
	float		coarse_norm;	/* format 2 */
	float		coarse_scale;
	float		coarse_residual;
	float		tail;
	float		slack;			/* format 3, of its page */
	uint8		coarse[EK_MAX_COARSE_DIMS];	/* in format 1 they are signed */
	ek_certificate fine;
	int8	   *fine_codes;
	uint64		filters[EK_MOST_FILTERS];	/* not of an early NULL, which has none */
} entry_copy;

static void
complain(const check_state *state, const entry_copy *entry, const char *what)
{
	ek_raise_corrupted_block(state->index, entry->block,
							 psprintf("%s %u, of row (%u,%u), %s",
									  entry->early ? "early NULL" : "entry", entry->number,
									  ItemPointerGetBlockNumberNoCheck(&entry->tid),
									  ItemPointerGetOffsetNumberNoCheck(&entry->tid), what));
}

static bool
residual_covers(const double *values, int n, float scale, const int8 *codes, float residual)
{
	double		length2 = 0.0;

	if (!isfinite(residual))
		return false;

	for (int i = 0; i < n; i++)
	{
		double		difference = values[i] - (double) scale * codes[i];

		if (codes[i] == INT8_MIN)
			return false;
		length2 += difference * difference;
	}
	return residual >= sqrt(length2);
}

static bool
fine_covers(const float *vector, int dims, double norm, const entry_copy *entry)
{
	double	   *unit = palloc(sizeof(double) * dims);

	for (int i = 0; i < dims; i++)
		unit[i] = vector[i] / norm;
	return residual_covers(unit, dims, entry->fine.scale, entry->fine_codes, entry->fine.residual);
}

static double
length_of(const double *values, int n)
{
	double		length2 = 0.0;

	for (int i = 0; i < n; i++)
		length2 += values[i] * values[i];
	return sqrt(length2);
}

static void
check_coarse_1(check_state *state, const entry_copy *entry)
{
	const double *projected = state->encoder->projected;
	const int	n = state->encoder->basis->coarse_dims;
	const double length = length_of(projected, n);

	if (entry->state == EK_ENTRY_ZERO)
	{
		if (entry->coarse_scale != 0.0f || entry->coarse_residual != 0.0f || entry->tail != 0.0f)
			complain(state, entry, "has a certificate, though its vector has no direction");
		return;
	}
	if (!residual_covers(projected, n, entry->coarse_scale, (const int8 *) entry->coarse,
						 entry->coarse_residual))
		complain(state, entry, "has a coarse code that is further off than it says");
	if (!isfinite(entry->tail) ||
		!(entry->tail >= sqrt(Max(0.0, 1.0 - length * length))))
		complain(state, entry, "has a tail that is longer than it says");
}

/* Does its residual cover a vector with these coordinates and this tail? */
static bool
coarse_covers(const ek_encoder *encoder, const entry_copy *entry, double tail2, double slack)
{
	double		length2 = tail2;

	for (int i = 0; i < encoder->basis->coarse_dims; i++)
	{
		const ek_coordinate *c = &encoder->basis->coordinates[i];
		const double x = c->mean +
			(entry->coarse[i] - ((1 << c->bits) - 1) / 2.0) * c->step;
		const double rest = (encoder->projected[i] - x) / c->weight;

		length2 += rest * rest;
	}
	return entry->coarse_residual >= sqrt(length2) + slack;
}

/* What an entry's fine code stands for, of which its coarse code may be. */
static bool
covers_fine_code(check_state *state, const entry_copy *entry)
{
	const int	dims = state->cache->geometry.dims;
	const double scale = entry->fine.scale;
	double		length2 = 0.0;
	double		slack = 0.0;
	double		projected;

	if (state->encoder->basis->coarse_dims > 0 && state->encoder->basis->header->usual_weight > 0.0f)
		slack = (double) entry->fine.residual / state->encoder->basis->header->usual_weight;
	if (!(entry->slack >= entry->fine.residual))
		return false;
	for (int i = 0; i < dims; i++)
		length2 += scale * entry->fine_codes[i] * scale * entry->fine_codes[i];
	ek_recode(state->encoder, entry->state, entry->norm, &entry->fine, entry->fine_codes);
	projected = length_of(state->encoder->projected, state->encoder->basis->coarse_dims);
	return coarse_covers(state->encoder, entry, entry->state == EK_ENTRY_ZERO ? 0.0 :
						 Max(0.0, length2 - projected * projected), slack);
}

/* Of a zero vector, coordinates and tail are zero. */
static void
check_coarse(check_state *state, const entry_copy *entry)
{
	const double length = length_of(state->encoder->projected, state->encoder->basis->coarse_dims);
	const double tail2 = entry->state == EK_ENTRY_ZERO ? 0.0 : Max(0.0, 1.0 - length * length);

	if (!coarse_covers(state->encoder, entry, tail2, 0.0) && !covers_fine_code(state, entry))
		complain(state, entry, "has a coarse code that is further off than it says");
}

/* The certificate of an entry against the vector it is about. */
static void
check_certificate(check_state *state, const entry_copy *entry, const float *vector)
{
	const ek_encoded *expected = ek_encode(state->encoder, vector);
	const double norm = expected->norm;

	if (entry->state != expected->state)
		complain(state, entry, "is not of the kind of its vector");
	if (entry->norm != expected->norm)
		complain(state, entry, "has another norm than its vector");
	if (state->cache->geometry.format == EK_FORMAT_1)
		check_coarse_1(state, entry);
	else
	{
		if (memcmp(&entry->coarse_norm, &expected->coarse_norm, sizeof(float)) != 0)
			complain(state, entry, "has another norm beside its coarse code than its vector");
		check_coarse(state, entry);
	}
	if (entry->state == EK_ENTRY_VECTOR &&
		!fine_covers(vector, state->cache->geometry.dims, norm, entry))
		complain(state, entry, "has a fine code that is further off than it says");
}

static uint64
hash_of(const check_state *state, ItemPointer tid)
{
	return hash_bytes_extended((unsigned char *) tid, sizeof(*tid), state->seed);
}

static void
check_filters(const check_state *state, const entry_copy *entry, const Datum *values,
			  const bool *is_null)
{
	uint64		expected[EK_MOST_FILTERS];

	if (entry->early)
		return;
	ek_encode_filters(state->index, values, is_null, expected);
	for (uint32 i = 0; i < state->cache->geometry.filters; i++)
	{
		if (entry->filters[i] != expected[i])
			complain(state, entry, "has another code of a filter than its row");
	}
}

/* The row, if the snapshot sees it, and what the index should say of it. */
static void
check_against_heap(check_state *state, entry_copy *entry)
{
	ItemPointerData tid = entry->tid;	/* the fetch moves it along a HOT chain */
	ExprContext *context = GetPerTupleExprContext(state->estate);
	bool		call_again = false;
	bool		all_dead = false;
	Datum		values[INDEX_MAX_KEYS];
	bool		is_null[INDEX_MAX_KEYS];

	if (!ek_tid_is_possible(state->heap, &tid, &state->heap_blocks))
		complain(state, entry, "points to where the table has no rows");
	if (!table_index_fetch_tuple(state->fetch, &tid, state->snapshot, state->slot,
								 &call_again, &all_dead))
		return;

	ResetExprContext(context);
	context->ecxt_scantuple = state->slot;
	if (!ExecQual(state->predicate, context))
		complain(state, entry, "is of a row that the predicate leaves out");
	FormIndexDatum(state->info, state->slot, state->estate, values, is_null);
	check_filters(state, entry, values, is_null);
	if (is_null[0] != (entry->state == EK_ENTRY_NULL))
		complain(state, entry, "is NULL where its row is not, or the other way round");
	if (!is_null[0])
	{
		ek_vector	vector = state->type->get(values[0]);

		if (vector.dims != state->cache->geometry.dims)
			complain(state, entry, "has another number of dimensions than its vector");
		check_certificate(state, entry, vector.values);
	}
	ExecClearTuple(state->slot);

	bloom_add_element(state->indexed, (unsigned char *) &entry->tid, sizeof(entry->tid));
	state->unmatched += hash_of(state, &entry->tid);
	state->checked++;
}

static void
copy_coarse_1(const ek_geometry *geometry, const ek_basis *basis, Page page,
			  const ek_place *place, entry_copy *entry)
{
	ek_group   *group = ek_group_on(geometry, page, place->group);
	int8	   *packed = ek_group_codes(group) + (Size) 4 * place->lane;

	entry->coarse_scale = group->scale[place->lane];
	entry->coarse_residual = group->residual[place->lane];
	entry->tail = group->tail[place->lane];
	for (int i = 0; i < basis->coarse_dims; i += 4, packed += EK_PACKED_STEP)
		memcpy(entry->coarse + i, packed, 4);
}

static void
copy_row(const ek_entry_row *row, BlockNumber block, entry_copy *entry)
{
	entry->block = block;
	entry->state = (ek_entry_state) *row->state;
	entry->tid = *row->tid;
	entry->norm = *row->norm;
}

/* The encoder for a basis, or NULL if that has come since. */
static ek_encoder *
encoder_for(check_state *state, uint32 basis_id)
{
	const ek_basis *basis = ek_cache_basis(state->cache, basis_id);
	ek_encoder **encoder;

	if (basis == NULL)
		return NULL;
	encoder = &state->encoders[basis - state->cache->bases];
	if (*encoder == NULL)
	{
		MemoryContext caller = MemoryContextSwitchTo(state->lasting);

		*encoder = ek_encoder_create(&state->cache->geometry, basis);
		MemoryContextSwitchTo(caller);
	}
	return *encoder;
}

/* VACUUM may find another basis meanwhile. */
static void
read_bases_again(check_state *state)
{
	MemoryContext caller = MemoryContextSwitchTo(state->lasting);

	ek_cache_forget(state->index);
	state->cache = ek_cache_copy(state->index);
	memset(state->encoders, 0, sizeof(state->encoders));
	for (int i = 0; i < state->cache->basis_count; i++)
	{
		const ek_basis *basis = &state->cache->bases[i];

		if (!ek_basis_is_correct(basis->rows, basis->coarse_dims, (int) state->cache->meta.dims))
			ek_raise_corrupted(state->index, "The basis stretches vectors");
	}
	MemoryContextSwitchTo(caller);
}

/* A coarse page, locked, and the encoder of its basis in state->encoder. */
static Buffer
lock_coarse_page(check_state *state, BlockNumber block)
{
	for (int tries = 0; tries < EK_MOST_TRIES; tries++)
	{
		Buffer		buffer = ek_read_page(state->index, block, BUFFER_LOCK_SHARE, EK_PAGE_COARSE,
										  &state->cache->geometry);

		state->encoder = encoder_for(state, ek_page_opaque_of(BufferGetPage(buffer))->count);
		if (state->encoder != NULL)
			return buffer;
		UnlockReleaseBuffer(buffer);
		read_bases_again(state);
	}
	ek_raise_corrupted_block(state->index, block, "its codes are in a basis that is not there");
}

static void
copy_rest(check_state *state, const ek_place *place, Page coarse, Page fine, entry_copy *entry)
{
	const ek_geometry *geometry = &state->cache->geometry;
	const ek_basis *basis = state->encoder->basis;
	ek_certificate *certificate = ek_fine_on(geometry, fine, place->fine_slot);

	if (geometry->format == EK_FORMAT_1)
		copy_coarse_1(geometry, basis, coarse, place, entry);
	else
		ek_fetch_coarse(geometry, basis, coarse, place, entry->coarse, &entry->coarse_residual,
						&entry->coarse_norm);
	entry->slack = geometry->format >= EK_FORMAT_3 ? ek_coarse_header_on(coarse)->slack : 0.0f;
	entry->fine = *certificate;
	entry->fine_codes = palloc(geometry->dims);
	memcpy(entry->fine_codes, ek_fine_codes(certificate), geometry->dims);
}

/* What the coarse page of format 3 says an entry is must be what its fine page says. */
static void
check_kind(const check_state *state, const entry_copy *entry, ek_entry_state coarse)
{
	const ek_entry_state fine = entry->state == EK_ENTRY_ZERO ? EK_ENTRY_VECTOR : entry->state;

	if (coarse != fine)
		complain(state, entry, "is not of the kind that its coarse page says");
}

static void
copy_filters(const check_state *state, const ek_place *place, entry_copy *entry)
{
	const ek_geometry *geometry = &state->cache->geometry;
	Buffer		buffer;

	if (geometry->filters == 0)
		return;
	buffer = ek_read_page(state->index, place->filter_block, BUFFER_LOCK_SHARE, EK_PAGE_FILTER, geometry);
	ek_fetch_filters(geometry, BufferGetPage(buffer), place, entry->filters);
	UnlockReleaseBuffer(buffer);
}

/*
 * Copies an entry; false if it is free.  All of its pages are locked together, or
 * somebody might free it and use it again in between.
 */
static bool
copy_entry(check_state *state, uint32 number, entry_copy *entry)
{
	const ek_geometry *geometry = &state->cache->geometry;
	const ek_place place = ek_place_of(geometry, number);
	const uint32 on_page = number % geometry->coarse_per_page;
	Buffer		coarse = lock_coarse_page(state, place.coarse_block);
	const bool	apart = geometry->format != EK_FORMAT_1;
	const ek_entry_state kind = geometry->format < EK_FORMAT_3 ? EK_ENTRY_VECTOR :
		ek_coarse_state(geometry, BufferGetPage(coarse), on_page);
	Buffer		fine;
	ek_entry_row row;

	/* scans read the codes of free entries, too */
	copy_filters(state, &place, entry);
	/* what has never been used may have no fine page */
	if (kind == EK_ENTRY_FREE && on_page >= ek_coarse_header_on(BufferGetPage(coarse))->begun)
	{
		UnlockReleaseBuffer(coarse);
		return false;
	}
	fine = ek_read_page(state->index, place.fine_block, BUFFER_LOCK_SHARE, EK_PAGE_FINE, geometry);
	row = ek_row_on(geometry, BufferGetPage(apart ? fine : coarse), &place);
	entry->number = number;
	copy_row(&row, apart ? place.fine_block : place.coarse_block, entry);
	copy_rest(state, &place, BufferGetPage(coarse), BufferGetPage(fine), entry);
	UnlockReleaseBuffer(fine);
	UnlockReleaseBuffer(coarse);

	if (entry->state > EK_ENTRY_NULL)
		complain(state, entry, "is of no known kind");
	if (geometry->format >= EK_FORMAT_3)
		check_kind(state, entry, kind);
	return entry->state != EK_ENTRY_FREE;
}

static void
check_entries(check_state *state)
{
	const uint32 entries = state->cache->meta.entries;

	for (uint32 number = 0; number < entries; number++)
	{
		MemoryContext caller = MemoryContextSwitchTo(state->scratch);
		entry_copy	entry = {.early = false};

		CHECK_FOR_INTERRUPTS();
		if (copy_entry(state, number, &entry))
			check_against_heap(state, &entry);
		MemoryContextSwitchTo(caller);
		MemoryContextReset(state->scratch);
	}
}

/*
 * What a coarse page of format 3 says of itself, and the map of it.  The map is read
 * with the metapage locked, which nobody begins to use an empty page without.
 */
static void
check_header(check_state *state, uint32 number)
{
	const ek_geometry *geometry = &state->cache->geometry;
	const BlockNumber block = ek_coarse_block(geometry, number);
	const uint32 section = number / EK_SECTION;
	Buffer		meta = ek_read_page(state->index, EK_META_BLOCK, BUFFER_LOCK_SHARE, EK_PAGE_META, NULL);
	Buffer		buffer = ek_read_page(state->index, block, BUFFER_LOCK_SHARE, EK_PAGE_COARSE, geometry);
	const ek_coarse_header header = *ek_coarse_header_on(BufferGetPage(buffer));
	const bool	hidden = section < ek_mapped_sections(geometry->format) &&
		ek_is_empty_section(ek_map_on(BufferGetPage(meta)), section);
	uint32		begun = 0;
	uint32		vectors = 0;
	uint32		nulls = 0;

	for (uint32 i = 0; i < geometry->coarse_per_page; i++)
	{
		const ek_entry_state kind = ek_coarse_state(geometry, BufferGetPage(buffer), i);

		vectors += kind == EK_ENTRY_VECTOR;
		nulls += kind == EK_ENTRY_NULL;
		begun = kind == EK_ENTRY_FREE ? begun : i + 1;
	}
	UnlockReleaseBuffer(buffer);
	UnlockReleaseBuffer(meta);

	if (header.number != number)
		ek_raise_corrupted_block(state->index, block, "the page has the number of another one");
	if (header.vectors != vectors || header.nulls != nulls || header.begun < begun ||
		header.begun > geometry->coarse_per_page)
		ek_raise_corrupted_block(state->index, block, "the page counts other entries than it has");
	if (!(header.slack >= 0.0f))
		ek_raise_corrupted_block(state->index, block, "the page takes from distances what it should add");
	if (hidden && vectors + nulls > 0)
		ek_raise_corrupted_block(state->index, block, "the page is in use, and the metapage says that it is not");
}

static void
check_headers(check_state *state)
{
	const ek_cache *cache = state->cache;
	const uint32 pages = cache->meta.dims == 0 ? 0 : ek_coarse_pages(&cache->meta, &cache->geometry);

	for (uint32 number = 0; cache->geometry.format >= EK_FORMAT_3 && number < pages; number++)
	{
		CHECK_FOR_INTERRUPTS();
		check_header(state, number);
	}
}

/* Copies the pointers of a page of early NULLs; returns how many. */
static uint32
copy_early_nulls(check_state *state, BlockNumber block, ItemPointer tids)
{
	Buffer		buffer = ek_read_page(state->index, block, BUFFER_LOCK_SHARE, EK_PAGE_NULLS, NULL);
	Page		page = BufferGetPage(buffer);
	uint32		count = ek_page_opaque_of(page)->count;

	if (count > ek_tids_per_page())
		ek_raise_corrupted_block(state->index, block, "it counts more pointers than a page holds");
	memcpy(tids, ek_page_tids(page), sizeof(ItemPointerData) * count);
	UnlockReleaseBuffer(buffer);
	return count;
}

/* What VACUUM leaves where an early NULL was */
static bool
is_gap(ItemPointer tid)
{
	return !ItemPointerIsValid(tid) &&
		!BlockNumberIsValid(ItemPointerGetBlockNumberNoCheck(tid));
}

static void
check_early_nulls(check_state *state)
{
	ItemPointer tids = palloc(sizeof(ItemPointerData) * ek_tids_per_page());

	for (BlockNumber block = 1; block <= state->cache->meta.null_pages; block++)
	{
		const uint32 count = copy_early_nulls(state, block, tids);

		for (uint32 i = 0; i < count; i++)
		{
			entry_copy	entry = {
				.early = true,
				.number = i,
				.block = block,
				.state = EK_ENTRY_NULL,
				.tid = tids[i]
			};

			CHECK_FOR_INTERRUPTS();
			if (!is_gap(&tids[i]))
				check_against_heap(state, &entry);
		}
	}
	pfree(tids);
}

/* For each row of the table that belongs into the index. */
static void
check_row(Relation index, ItemPointer tid, Datum *values pg_attribute_unused(),
		  bool *isnull pg_attribute_unused(), bool alive pg_attribute_unused(), void *arg)
{
	check_state *state = arg;

	if (bloom_lacks_element(state->indexed, (unsigned char *) tid, sizeof(*tid)))
		ek_raise_corrupted(index, psprintf("Row (%u,%u) has no entry",
										   ItemPointerGetBlockNumber(tid),
										   ItemPointerGetOffsetNumber(tid)));
	state->unmatched -= hash_of(state, tid);
	state->rows++;
}

/*
 * Reads the table as the first scan of CREATE INDEX CONCURRENTLY does: it finds
 * the rows that a snapshot sees, those of HOT chains by their first pointers.
 *
 * A row without an entry escapes the filter once in a hundred times, or more
 * often where memory is short.  Then the numbers differ, as they do if a row
 * has two entries; or, if both are so, the sums of hashes.
 */
static void
check_rows(check_state *state)
{
	IndexInfo  *info = BuildIndexInfo(state->index);
	TableScanDesc scan = table_beginscan_strat(state->heap, state->snapshot, 0, NULL, true, true);

	info->ii_Concurrent = true;
	table_index_build_scan(state->heap, state->index, info, true, false, check_row, state, scan);
	if (state->rows != state->checked)
		ek_raise_corrupted(state->index,
						   psprintf("There are %lld entries for %lld rows",
									(long long) state->checked, (long long) state->rows));
	if (state->unmatched != 0)
		ek_raise_corrupted(state->index, "A row has two entries, and another has none");
}

/*
 * The snapshot of a transaction may be older than the index, and see rows as
 * they were before a HOT update that the index came after.
 */
static void
require_usable_snapshot(const check_state *state)
{
	Relation	index = state->index;

	if (IsolationUsesXactSnapshot() && index->rd_index->indcheckxmin &&
		!TransactionIdPrecedes(HeapTupleHeaderGetXmin(index->rd_indextuple->t_data),
							   state->snapshot->xmin))
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("index \"%s\" cannot be checked with the snapshot of this transaction",
						RelationGetRelationName(index))));
}

static void
begin_check(check_state *state)
{
	const ek_meta *meta;

	state->lasting = CurrentMemoryContext;
	state->snapshot = RegisterSnapshot(GetTransactionSnapshot());
	require_usable_snapshot(state);
	/* what this session saw sound before need not be so now */
	read_bases_again(state);
	meta = &state->cache->meta;
	state->info = BuildIndexInfo(state->index);
	state->estate = CreateExecutorState();
	state->predicate = ExecPrepareQual(state->info->ii_Predicate, state->estate);
	state->slot = table_slot_create(state->heap, NULL);
	state->fetch = table_index_fetch_begin(state->heap);
	state->scratch = AllocSetContextCreate(CurrentMemoryContext, "engramk check",
										   ALLOCSET_DEFAULT_SIZES);
	/* another one each time: a row that escaped the filter once will not again */
	state->seed = (uint64) GetCurrentTimestamp();
	state->indexed = bloom_create((int64) meta->entries +
								  (int64) meta->null_pages * ek_tids_per_page() + 1,
								  maintenance_work_mem, state->seed);
}

static void
end_check(check_state *state)
{
	bloom_free(state->indexed);
	MemoryContextDelete(state->scratch);
	table_index_fetch_end(state->fetch);
	ExecDropSingleTupleTableSlot(state->slot);
	FreeExecutorState(state->estate);
	UnregisterSnapshot(state->snapshot);
}

static int64
check_index(Relation heap, Relation index)
{
	check_state state = {.index = index,.type = ek_type_of(index),.heap = heap};

	begin_check(&state);
	check_early_nulls(&state);
	check_headers(&state);
	check_entries(&state);
	check_rows(&state);
	end_check(&state);
	return state.checked;
}

/*
 * What the owner's code could do to somebody else, a superuser perhaps, is
 * ruled out in the way of CREATE INDEX and amcheck.
 */
static int64
check_as_owner(Relation heap, Relation index)
{
	Oid			user;
	int			security;
	int			settings;
	int64		checked;

	GetUserIdAndSecContext(&user, &security);
	SetUserIdAndSecContext(heap->rd_rel->relowner,
						   security | SECURITY_RESTRICTED_OPERATION);
	settings = NewGUCNestLevel();
	ek_restrict_search_path();

	checked = check_index(heap, index);

	AtEOXact_GUC(false, settings);
	SetUserIdAndSecContext(user, security);
	return checked;
}

/*
 * engram_index_check(index regclass) returns bigint
 *
 * Raises an error at the first thing that is wrong.  Returns how many rows it
 * has compared with their entries: as many as there are.  A cluster's coordinator has
 * none, and its own index says nothing about the shards; so that is said.
 *
 * The table is locked before the index, as everybody else does, DROP INDEX
 * among them.
 */
Datum
ek_sql_index_check(PG_FUNCTION_ARGS)
{
	Oid			oid = PG_GETARG_OID(0);
	Oid			heap_oid = IndexGetRelation(oid, true);
	Relation	heap = OidIsValid(heap_oid) ? table_open(heap_oid, AccessShareLock) : NULL;
	Relation	index = ek_open_index(oid);
	int64		checked;

	/* before the lock it may have been dropped, and its number used again */
	if (heap == NULL || index->rd_index->indrelid != heap_oid)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("could not open the table of index \"%s\"",
						RelationGetRelationName(index))));
	if (!index->rd_index->indisvalid)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("index \"%s\" is not valid", RelationGetRelationName(index))));

	checked = check_as_owner(heap, index);
	if (checked == 0)
		ereport(NOTICE,
				(errmsg("index \"%s\" has no rows to check", RelationGetRelationName(index)),
				 errhint("If the rows of the table are on other servers, check its indexes there.")));
	relation_close(index, AccessShareLock);
	table_close(heap, AccessShareLock);
	PG_RETURN_INT64(checked);
}
