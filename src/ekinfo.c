/*
 * ekinfo.c
 *		Looking into an engramk index: what it holds, what its scans did, and
 *		whether every certificate in it is true.
 *
 * The check walks every page with a share lock at a time, as amcheck does, and
 * so runs beside everything else; it derives the codes of every row again from
 * the table and compares.
 *
 * Expressions and predicates of an index are code of the table's owner, so the
 * check runs them as that owner, whoever asked for it.
 */
#include "postgres.h"

#include <float.h>
#include <math.h>

#include "access/genam.h"
#include "access/relation.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xlog.h"
#include "catalog/index.h"
#include "catalog/pg_am.h"
#include "executor/executor.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "ekam.h"
#include "level.h"
#include "stat_functions.h"
#include "stats.h"

PG_FUNCTION_INFO_V1(ek_sql_index_info);
PG_FUNCTION_INFO_V1(ek_sql_index_counts);
PG_FUNCTION_INFO_V1(ek_sql_index_check);

/*
 * The index, with a share lock.  Raises an error unless it is one of ours and
 * the user may read the table.
 */
static Relation
open_index(Oid oid)
{
	Relation	index = relation_open(oid, AccessShareLock);
	AclResult	allowed;

	if (index->rd_rel->relkind != RELKIND_INDEX ||
		index->rd_indam == NULL || index->rd_indam->ambuild != ek_build)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" is not an engramk index", RelationGetRelationName(index))));
	if (RELATION_IS_OTHER_TEMP(index))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot access temporary indexes of other sessions")));
	/* there it has no pages, not even the first */
	if (RecoveryInProgress() && !RelationIsPermanent(index))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot access temporary or unlogged relations during recovery")));

	allowed = pg_class_aclcheck(index->rd_index->indrelid, GetUserId(), ACL_SELECT);
	if (allowed != ACLCHECK_OK)
		aclcheck_error(allowed, OBJECT_TABLE, get_rel_name(index->rd_index->indrelid));
	return index;
}

/*
 * engram_index_info(index regclass)
 * returns record (dimensions integer, vectors bigint, dead bigint,
 *				   bytes_per_vector double precision, basis integer,
 *				   coarse_bits integer, sampled integer, pages bigint)
 *
 * vectors counts entries in use, NULLs among them unless they came before the
 * first vector; dead counts those that wait to be used again.
 */
Datum
ek_sql_index_info(PG_FUNCTION_ARGS)
{
	Relation	index = open_index(PG_GETARG_OID(0));
	ek_meta		meta = ek_read_meta(index);
	BlockNumber pages = RelationGetNumberOfBlocks(index);
	uint32		used = meta.entries - meta.free_entries;
	Datum		values[8] = {
		Int32GetDatum((int32) meta.dims),
		Int64GetDatum(used),
		Int64GetDatum(meta.free_entries),
		Float8GetDatum(used == 0 ? 0.0 : (double) pages * BLCKSZ / used),
		Int32GetDatum((int32) meta.coarse_dims),
		Int32GetDatum(meta.coarse_dims == 0 ? 0 : 8),
		Int32GetDatum((int32) meta.sampled),
		Int64GetDatum(pages)
	};

	relation_close(index, AccessShareLock);
	PG_RETURN_DATUM(ek_make_single_row(fcinfo, values));
}

/*
 * engram_stat_get_index(index oid)
 * returns record (scans bigint, passes bigint, coarse_codes bigint,
 *				   fine_codes bigint, reranked bigint)
 *
 * Since stats_reset; zeros for an index that has not been scanned.
 */
Datum
ek_sql_index_counts(PG_FUNCTION_ARGS)
{
	ek_index_counts counts = ek_index_stats_read(PG_GETARG_OID(0));
	Datum		values[5] = {
		Int64GetDatum((int64) counts.scans),
		Int64GetDatum((int64) counts.passes),
		Int64GetDatum((int64) counts.coarse_codes),
		Int64GetDatum((int64) counts.fine_codes),
		Int64GetDatum((int64) counts.returned)
	};

	PG_RETURN_DATUM(ek_make_single_row(fcinfo, values));
}

/*
 * The check
 */

typedef struct check_state
{
	Relation	index;
	Relation	heap;
	IndexInfo  *info;
	EState	   *estate;
	TupleTableSlot *slot;
	Snapshot	snapshot;
	const ek_basis *basis;
	MemoryContext scratch;
	int64		checked;
} check_state;

/* One entry, copied from its pages. */
typedef struct entry_copy
{
	uint32		number;
	BlockNumber block;
	ek_entry_state state;
	ItemPointerData tid;
	double		norm;
	float		coarse_scale;
	float		coarse_residual;
	float		tail;
	int8		coarse[EK_MAX_COARSE_DIMS];
	ek_fine		fine;
	int8	   *fine_codes;
} entry_copy;

static void
complain(const check_state *state, const entry_copy *entry, const char *what)
{
	ek_raise_corrupted(state->index, entry->block,
					   psprintf("entry %u, of row (%u,%u), %s", entry->number,
								ItemPointerGetBlockNumberNoCheck(&entry->tid),
								ItemPointerGetOffsetNumberNoCheck(&entry->tid), what));
}

static bool
residual_covers(const double *values, int n, float scale, const int8 *codes, float residual)
{
	double		length2 = 0.0;

	for (int i = 0; i < n; i++)
	{
		double		difference = values[i] - (double) scale * codes[i];

		if (codes[i] == INT8_MIN)
			return false;
		length2 += difference * difference;
	}
	return residual >= sqrt(length2);
}

/* The certificate of an entry against the vector it is about. */
static void
check_certificate(check_state *state, const entry_copy *entry, const float *vector)
{
	ek_encoder *encoder = ek_encoder_create(state->basis);
	const ek_encoded *expected = ek_encode(encoder, vector);
	const int	dims = state->basis->geometry.dims;
	const int	coarse_dims = state->basis->geometry.coarse_dims;
	double		length2 = 0.0;

	if (entry->state != expected->state)
		complain(state, entry, "is not of the kind of its vector");
	if (entry->norm != expected->norm)
		complain(state, entry, "has another norm than its vector");
	if (entry->state == EK_ENTRY_ZERO)
		return;

	for (int i = 0; i < coarse_dims; i++)
		length2 += encoder->projected[i] * encoder->projected[i];
	if (!residual_covers(encoder->projected, coarse_dims, entry->coarse_scale,
						 entry->coarse, entry->coarse_residual))
		complain(state, entry, "has a coarse code that is further off than it says");
	if (!(entry->tail >= sqrt(Max(0.0, 1.0 - length2))))
		complain(state, entry, "has a tail that is longer than it says");
	if (!residual_covers(encoder->widened, dims, entry->fine.scale,
						 entry->fine_codes, entry->fine.residual))
		complain(state, entry, "has a fine code that is further off than it says");
}

static void
check_against_heap(check_state *state, entry_copy *entry)
{
	IndexFetchTableData *fetch = table_index_fetch_begin(state->heap);
	bool		call_again = false;
	bool		all_dead = false;
	Datum		value;
	bool		is_null;

	if (table_index_fetch_tuple(fetch, &entry->tid, state->snapshot, state->slot,
								&call_again, &all_dead))
	{
		uint32		dims = state->basis->meta.dims;

		ResetPerTupleExprContext(state->estate);
		GetPerTupleExprContext(state->estate)->ecxt_scantuple = state->slot;
		FormIndexDatum(state->info, state->slot, state->estate, &value, &is_null);
		if (is_null != (entry->state == EK_ENTRY_NULL))
			complain(state, entry, "is NULL where its row is not, or the other way round");
		if (!is_null)
			check_certificate(state, entry, ek_indexed_vector(state->index, value, &dims));
		state->checked++;
	}
	ExecClearTuple(state->slot);
	table_index_fetch_end(fetch);
}

/* Copies an entry; false if it is free. */
static bool
copy_entry(check_state *state, uint32 number, entry_copy *entry)
{
	const ek_geometry *geometry = &state->basis->geometry;
	ek_place	place = ek_place_of(geometry, number);
	Buffer		buffer = ek_read_page(state->index, place.coarse_block,
									  BUFFER_LOCK_SHARE, EK_PAGE_COARSE);
	ek_group   *group = ek_group_on(geometry, BufferGetPage(buffer), place.group);
	int8	   *packed = ek_group_codes(group) + (Size) 4 * place.lane;
	ek_fine    *fine;

	entry->number = number;
	entry->block = place.coarse_block;
	entry->state = (ek_entry_state) group->state[place.lane];
	entry->tid = group->tid[place.lane];
	entry->norm = group->norm[place.lane];
	entry->coarse_scale = group->scale[place.lane];
	entry->coarse_residual = group->residual[place.lane];
	entry->tail = group->tail[place.lane];
	for (int i = 0; i < geometry->coarse_dims; i += 4, packed += EK_PACKED_STEP)
		memcpy(entry->coarse + i, packed, 4);
	UnlockReleaseBuffer(buffer);

	if (entry->state == EK_ENTRY_FREE)
		return false;
	if (entry->state > EK_ENTRY_NULL)
		complain(state, entry, "is of no known kind");
	if (!ItemPointerIsValid(&entry->tid))
		complain(state, entry, "points nowhere");

	buffer = ek_read_page(state->index, place.fine_block, BUFFER_LOCK_SHARE, EK_PAGE_FINE);
	fine = ek_fine_on(geometry, BufferGetPage(buffer), place.fine_slot);
	entry->fine = *fine;
	entry->fine_codes = palloc(geometry->dims);
	memcpy(entry->fine_codes, ek_fine_codes(fine), geometry->dims);
	UnlockReleaseBuffer(buffer);
	return true;
}

static void
check_entries(check_state *state)
{
	const uint32 entries = ek_read_meta(state->index).entries;

	for (uint32 number = 0; number < entries; number++)
	{
		MemoryContext caller = MemoryContextSwitchTo(state->scratch);
		entry_copy	entry;

		CHECK_FOR_INTERRUPTS();
		if (copy_entry(state, number, &entry))
			check_against_heap(state, &entry);
		MemoryContextSwitchTo(caller);
		MemoryContextReset(state->scratch);
	}
}

static void
check_early_nulls(check_state *state, uint32 pages)
{
	for (BlockNumber block = 1; block <= pages; block++)
	{
		Buffer		buffer = ek_read_page(state->index, block, BUFFER_LOCK_SHARE, EK_PAGE_NULLS);

		if (ek_page_opaque_of(BufferGetPage(buffer))->count > ek_tids_per_page())
			ek_raise_corrupted(state->index, block, "it counts more pointers than a page holds");
		UnlockReleaseBuffer(buffer);
	}
}

static int64
check_index(Relation heap, Relation index)
{
	check_state state = {.index = index,.heap = heap};
	ek_meta		meta = ek_read_meta(index);

	check_early_nulls(&state, meta.null_pages);
	if (meta.dims != 0)
	{
		state.basis = ek_copy_basis(index);
		if (!ek_basis_is_correct(state.basis->rows, (int) meta.coarse_dims, (int) meta.dims))
			ek_raise_corrupted(index, meta.first_block, "the basis stretches vectors");
		state.info = BuildIndexInfo(index);
		state.estate = CreateExecutorState();
		state.slot = table_slot_create(heap, NULL);
		state.snapshot = RegisterSnapshot(GetTransactionSnapshot());
		state.scratch = AllocSetContextCreate(CurrentMemoryContext, "engramk check",
											  ALLOCSET_DEFAULT_SIZES);
		check_entries(&state);
		UnregisterSnapshot(state.snapshot);
		ExecDropSingleTupleTableSlot(state.slot);
		FreeExecutorState(state.estate);
	}
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
 * has compared with their entries.
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
	Relation	index = open_index(oid);
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
	relation_close(index, AccessShareLock);
	table_close(heap, AccessShareLock);
	PG_RETURN_INT64(checked);
}
