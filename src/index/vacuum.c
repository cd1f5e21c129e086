/*
 * vacuum.c
 *		Freeing the entries of dead rows.
 *
 * An entry is freed where it stands and used again by a later insert; a live
 * entry never moves, for a running scan would miss it.  A scan that holds the
 * pointer of a freed entry finds nothing visible behind it.
 */
#include "postgres.h"

#include "commands/vacuum.h"
#include "miscadmin.h"

#include "index/index.h"

typedef struct vacuum_state
{
	IndexVacuumInfo *info;
	IndexBulkDeleteResult *stats;
	IndexBulkDeleteCallback callback;
	void	   *callback_state;
	uint32		free;			/* entries, those of earlier vacuums included */
	uint32		first_free;
} vacuum_state;

/*
 * VACUUM has a ring of buffers of its own, so that it does not drive out what
 * others use.
 */
static Buffer
lock_page(vacuum_state *state, BlockNumber block, ek_page_kind kind,
		  const ek_geometry *geometry)
{
	IndexVacuumInfo *info = state->info;
	Buffer		buffer = ReadBufferExtended(info->index, MAIN_FORKNUM, block, RBM_NORMAL,
											info->strategy);

	LockBuffer(buffer, BUFFER_LOCK_EXCLUSIVE);
	ek_require_page(info->index, buffer, kind, geometry);
	return buffer;
}

static void
finish(Buffer buffer, Page page, GenericXLogState *xlog, bool changed)
{
	if (changed)
	{
		ek_page_seal(page);
		GenericXLogFinish(xlog);
	}
	else
		GenericXLogAbort(xlog);
	UnlockReleaseBuffer(buffer);
}

static void
count_free(vacuum_state *state, uint32 entry)
{
	if (state->free++ == 0)
		state->first_free = entry;
}

/*
 * Is the row of an entry dead?  Counts what it is, and what it becomes.
 */
static bool
is_dead(vacuum_state *state, BlockNumber block, const ek_entry_row *row, uint32 entry)
{
	if (*row->state == EK_ENTRY_FREE)
	{
		count_free(state, entry);
		return false;
	}
	if (*row->state > EK_ENTRY_NULL)
		ek_raise_corrupted_block(state->info->index, block, "an entry is of no known kind");
	if (!ItemPointerIsValid(row->tid))
		ek_raise_corrupted_block(state->info->index, block, "an entry points nowhere");
	if (!state->callback(row->tid, state->callback_state))
	{
		state->stats->num_index_tuples += 1;
		return false;
	}
	state->stats->tuples_removed += 1;
	count_free(state, entry);
	return true;
}

/*
 * Frees the dead entries of one page of rows.  In format 2 their codes are on
 * another page, and must not survive any more: nobody is to look for them.
 */
static void
vacuum_row_page(vacuum_state *state, const ek_geometry *geometry, const ek_row_page *rows,
				uint32 end)
{
	Relation	index = state->info->index;
	const ek_place place = ek_place_of(geometry, rows->first);
	const bool	apart = rows->block != place.coarse_block;
	Buffer		coarse = apart ? lock_page(state, place.coarse_block, EK_PAGE_COARSE, geometry) :
		InvalidBuffer;
	Buffer		buffer = lock_page(state, rows->block, rows->kind, geometry);
	GenericXLogState *xlog = GenericXLogStart(index);
	Page		page = GenericXLogRegisterBuffer(xlog, buffer, 0);
	Page		coarse_page = NULL;
	bool		changed = false;

	for (uint32 entry = rows->first; entry < end; entry++)
	{
		const ek_place at = ek_place_of(geometry, entry);
		const ek_entry_row row = ek_row_on(geometry, page, &at);

		if (!is_dead(state, rows->block, &row, entry))
			continue;
		*row.state = EK_ENTRY_FREE;
		changed = true;
		if (apart && coarse_page == NULL)
			coarse_page = GenericXLogRegisterBuffer(xlog, coarse, 0);
		if (apart)
			ek_forget_coarse(geometry, coarse_page, &at);
	}

	if (coarse_page != NULL)
		ek_page_seal(coarse_page);
	finish(buffer, page, xlog, changed);
	if (apart)
		UnlockReleaseBuffer(coarse);
}

/* An early NULL that is dead leaves a gap, for a running scan counts places. */
static void
vacuum_nulls_page(vacuum_state *state, BlockNumber block)
{
	Buffer		buffer = lock_page(state, block, EK_PAGE_NULLS, NULL);
	GenericXLogState *xlog = GenericXLogStart(state->info->index);
	Page		page = GenericXLogRegisterBuffer(xlog, buffer, 0);
	ek_page_opaque *opaque = ek_page_opaque_of(page);
	uint32		count = Min(opaque->count, ek_tids_per_page());
	bool		changed = false;

	for (uint32 i = 0; i < count; i++)
	{
		ItemPointer tid = ek_page_tids(page) + i;

		if (!ItemPointerIsValid(tid))
			continue;
		if (state->callback(tid, state->callback_state))
		{
			ItemPointerSetInvalid(tid);
			state->stats->tuples_removed += 1;
			changed = true;
		}
		else
			state->stats->num_index_tuples += 1;
	}
	finish(buffer, page, xlog, changed);
}

/*
 * Tells inserts where to look.  The number is that of all free entries, since
 * an earlier vacuum may have been interrupted before it came here; one that is
 * too large, because inserts have used some meanwhile, does no harm.
 */
static void
publish_free(vacuum_state *state)
{
	Relation	index = state->info->index;
	Buffer		buffer;
	GenericXLogState *xlog;
	Page		page;
	ek_meta    *meta;

	if (state->free == 0)
		return;
	buffer = ek_read_page(index, EK_META_BLOCK, BUFFER_LOCK_EXCLUSIVE, EK_PAGE_META, NULL);
	xlog = GenericXLogStart(index);
	page = GenericXLogRegisterBuffer(xlog, buffer, 0);
	meta = ek_meta_on(page);
	meta->free_entries = Min(state->free, meta->entries);
	meta->free_hint = Min(meta->free_hint, state->first_free);
	ek_page_seal(page);
	GenericXLogFinish(xlog);
	UnlockReleaseBuffer(buffer);
}

IndexBulkDeleteResult *
ek_bulk_delete(IndexVacuumInfo *info, IndexBulkDeleteResult *stats,
			   IndexBulkDeleteCallback callback, void *callback_state)
{
	ek_meta		meta = ek_read_meta(info->index);
	vacuum_state state = {
		.info = info,
		.stats = stats ? stats : palloc0(sizeof(IndexBulkDeleteResult)),
		.callback = callback,
		.callback_state = callback_state
	};

	state.stats->num_index_tuples = 0;
	for (BlockNumber block = 1; block <= meta.null_pages; block++)
	{
		ek_vacuum_delay_point();
		vacuum_nulls_page(&state, block);
	}
	if (meta.entries > 0)
	{
		ek_geometry geometry = ek_geometry_of(&meta);

		for (uint32 entry = 0; entry < meta.entries;)
		{
			const ek_row_page rows = ek_row_page_of(&geometry, entry);

			ek_vacuum_delay_point();
			vacuum_row_page(&state, &geometry, &rows, Min(rows.end, meta.entries));
			entry = rows.end;
		}
	}
	publish_free(&state);
	state.stats->num_pages = RelationGetNumberOfBlocks(info->index);
	return state.stats;
}

/* The entries of an index that vacuum did not have to clean. */
IndexBulkDeleteResult *
ek_vacuum_cleanup(IndexVacuumInfo *info, IndexBulkDeleteResult *stats)
{
	if (info->analyze_only || stats != NULL)
		return stats;

	stats = palloc0(sizeof(IndexBulkDeleteResult));
	stats->num_pages = RelationGetNumberOfBlocks(info->index);
	stats->num_index_tuples = info->num_heap_tuples;
	stats->estimated_count = true;
	return stats;
}
