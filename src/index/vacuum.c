/*
 * vacuum.c
 *		Freeing the entries of dead rows.
 *
 * An entry is freed where it stands and used again by a later insert; a live
 * entry never moves, for a running scan would miss it.  A scan that holds the
 * pointer of a freed entry finds nothing visible behind it.
 *
 * In format 3 the free space map learns of what is free, and the map on the metapage
 * of sections that are empty.  Those that were empty before are not read at all: what
 * was inserted since is no row that this vacuum found dead.
 */
#include "postgres.h"

#include "commands/vacuum.h"
#include "miscadmin.h"
#include "storage/freespace.h"

#include "index/index.h"

typedef struct vacuum_state
{
	IndexVacuumInfo *info;
	IndexBulkDeleteResult *stats;
	IndexBulkDeleteCallback callback;
	void	   *callback_state;
	uint32		free;			/* entries, those of earlier vacuums included; */
	uint32		first_free;		/* formats 1 and 2 */
} vacuum_state;

/*
 * VACUUM has a ring of buffers of its own, so that it does not drive out what
 * others use.
 */
static Buffer
lock_block(vacuum_state *state, BlockNumber block)
{
	IndexVacuumInfo *info = state->info;
	Buffer		buffer = ReadBufferExtended(info->index, MAIN_FORKNUM, block, RBM_NORMAL,
											info->strategy);

	LockBuffer(buffer, BUFFER_LOCK_EXCLUSIVE);
	return buffer;
}

static Buffer
lock_page(vacuum_state *state, BlockNumber block, ek_page_kind kind,
		  const ek_geometry *geometry)
{
	Buffer		buffer = lock_block(state, block);

	ek_require_page(state->info->index, buffer, kind, geometry);
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

/* By what the coarse page says, which is what it has counted. */
static void
uncount(const ek_geometry *geometry, Page coarse, const ek_place *place)
{
	ek_coarse_header *header = ek_coarse_header_on(coarse);
	const ek_entry_state state = ek_coarse_state(geometry, coarse, place->group * EK_LANES + place->lane);

	if (state == EK_ENTRY_NULL)
		header->nulls--;
	else if (state == EK_ENTRY_VECTOR)
		header->vectors--;
}

/*
 * Frees the dead entries of one page of rows.  From format 2 on their codes are on
 * another page, and must not survive any more: nobody is to look for them.  That page
 * comes first in the record, too: a standby locks in the order of the record, and a
 * scan there may have the coarse page and wait for the other one.
 */
static void
vacuum_rows(vacuum_state *state, const ek_geometry *geometry, const ek_row_page *rows,
			uint32 end, Buffer coarse)
{
	Relation	index = state->info->index;
	const bool	apart = BufferIsValid(coarse);
	Buffer		buffer = lock_block(state, rows->block);
	GenericXLogState *xlog;
	Page		page;
	Page		coarse_page = NULL;
	bool		changed = false;

	if (!ek_require_used_page(index, buffer, rows->kind, geometry))
	{
		UnlockReleaseBuffer(buffer);
		return;
	}
	xlog = GenericXLogStart(index);
	if (apart)
		coarse_page = GenericXLogRegisterBuffer(xlog, coarse, 0);
	page = GenericXLogRegisterBuffer(xlog, buffer, 0);
	for (uint32 entry = rows->first; entry < end; entry++)
	{
		const ek_place at = ek_place_of(geometry, entry);
		const ek_entry_row row = ek_row_on(geometry, page, &at);

		if (!is_dead(state, rows->block, &row, entry))
			continue;
		changed = true;
		if (geometry->format >= EK_FORMAT_3)
			uncount(geometry, coarse_page, &at);
		if (apart)
			ek_forget_coarse(geometry, coarse_page, &at);
		*row.state = EK_ENTRY_FREE;
	}

	if (apart && changed)
		ek_page_seal(coarse_page);
	finish(buffer, page, xlog, changed);
}

static void
vacuum_row_page(vacuum_state *state, const ek_geometry *geometry, const ek_row_page *rows,
				uint32 end)
{
	const ek_place place = ek_place_of(geometry, rows->first);
	Buffer		coarse;

	if (geometry->format == EK_FORMAT_1)
	{
		vacuum_rows(state, geometry, rows, end, InvalidBuffer);
		return;
	}
	coarse = lock_page(state, place.coarse_block, EK_PAGE_COARSE, geometry);
	vacuum_rows(state, geometry, rows, end, coarse);
	UnlockReleaseBuffer(coarse);
}

/*
 * Format 3
 */

static uint32
entries_in_use(Buffer coarse)
{
	const ek_coarse_header *header = ek_coarse_header_on(BufferGetPage(coarse));

	return header->vectors + header->nulls;
}

/*
 * Each page is looked for once.  The coarse page is locked while one of its fine pages
 * is, and not in between, when VACUUM may have to wait.  A fine page that no entry ever
 * used may be zeros, or not there.  Returns how many entries are in use afterwards.
 */
static uint32
vacuum_coarse_page(vacuum_state *state, const ek_geometry *geometry, uint32 number)
{
	Relation	index = state->info->index;
	const BlockNumber blocks = RelationGetNumberOfBlocks(index);
	const BlockNumber block = ek_coarse_block(geometry, number);
	const uint32 end = (number + 1) * geometry->coarse_per_page;
	Buffer		coarse = lock_page(state, block, EK_PAGE_COARSE, geometry);
	uint32		in_use = entries_in_use(coarse);

	for (uint32 entry = number * geometry->coarse_per_page; entry < end && in_use > 0;)
	{
		const ek_row_page rows = ek_row_page_of(geometry, entry);

		if (rows.block < blocks)
			vacuum_rows(state, geometry, &rows, rows.end, coarse);
		LockBuffer(coarse, BUFFER_LOCK_UNLOCK);
		ek_vacuum_delay_point();
		LockBuffer(coarse, BUFFER_LOCK_EXCLUSIVE);
		entry = rows.end;
	}
	in_use = entries_in_use(coarse);
	UnlockReleaseBuffer(coarse);
	RecordPageWithFreeSpace(index, block, ek_free_space(in_use, geometry));
	return in_use;
}

/* A section is empty if its pages are, while nobody can begin to use one. */
static void
mark_if_empty(vacuum_state *state, const ek_geometry *geometry, uint32 section)
{
	Relation	index = state->info->index;
	Buffer		buffer = ek_read_page(index, EK_META_BLOCK, BUFFER_LOCK_EXCLUSIVE, EK_PAGE_META,
									  NULL);
	uint32		in_use = 0;
	GenericXLogState *xlog;
	Page		page;

	for (uint32 i = 0; i < EK_SECTION && in_use == 0; i++)
	{
		Buffer		coarse = lock_page(state, ek_coarse_block(geometry, section * EK_SECTION + i),
									   EK_PAGE_COARSE, geometry);

		in_use = entries_in_use(coarse);
		UnlockReleaseBuffer(coarse);
	}
	if (in_use == 0)
	{
		xlog = GenericXLogStart(index);
		page = GenericXLogRegisterBuffer(xlog, buffer, 0);
		ek_map_on(page)[section / 8] |= (uint8) (1 << section % 8);
		ek_page_seal(page);
		GenericXLogFinish(xlog);
	}
	UnlockReleaseBuffer(buffer);
}

static void
vacuum_section(vacuum_state *state, const ek_geometry *geometry, uint32 section, uint32 pages)
{
	const uint32 first = section * EK_SECTION;
	const uint32 end = Min(first + EK_SECTION, pages);
	uint32		in_use = 0;

	for (uint32 number = first; number < end; number++)
		in_use += vacuum_coarse_page(state, geometry, number);
	if (in_use == 0 && end == first + EK_SECTION && section < ek_mapped_sections(geometry->format))
		mark_if_empty(state, geometry, section);
}

/* A crash may have taken what the free space map had of an empty section. */
static void
record_empty_sections(vacuum_state *state, const ek_geometry *geometry, uint32 section, uint32 end)
{
	for (uint32 number = section * EK_SECTION; number < end * EK_SECTION; number++)
	{
		CHECK_FOR_INTERRUPTS();
		RecordPageWithFreeSpace(state->info->index, ek_coarse_block(geometry, number),
								ek_free_space(0, geometry));
	}
}

static void
vacuum_entries_3(vacuum_state *state, const ek_meta *meta)
{
	const ek_geometry geometry = ek_geometry_of(meta);
	const ek_live_pages live = ek_find_live_pages(state->info->index, meta, &geometry);
	const uint32 pages = ek_coarse_pages(meta, &geometry);
	uint32		next = 0;

	for (uint32 i = 0; i < live.count; i += EK_SECTION)
	{
		const uint32 section = ek_live_page(&live, i) / EK_SECTION;

		record_empty_sections(state, &geometry, next, section);
		vacuum_section(state, &geometry, section, pages);
		next = section + 1;
	}
	FreeSpaceMapVacuum(state->info->index);
}

static void
vacuum_entries(vacuum_state *state, const ek_meta *meta)
{
	const ek_geometry geometry = ek_geometry_of(meta);

	for (uint32 entry = 0; entry < meta->entries;)
	{
		const ek_row_page rows = ek_row_page_of(&geometry, entry);

		ek_vacuum_delay_point();
		vacuum_row_page(state, &geometry, &rows, Min(rows.end, meta->entries));
		entry = rows.end;
	}
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
	if (meta.entries > 0 && meta.format >= EK_FORMAT_3)
		vacuum_entries_3(&state, &meta);
	else if (meta.entries > 0)
	{
		vacuum_entries(&state, &meta);
		publish_free(&state);
	}
	state.stats->num_pages = RelationGetNumberOfBlocks(info->index);
	return state.stats;
}

/*
 * What a vacuum does whether there were dead rows or not: it looks after the basis.
 * The entries of an index that did not have to be cleaned are as many as the rows.
 */
IndexBulkDeleteResult *
ek_vacuum_cleanup(IndexVacuumInfo *info, IndexBulkDeleteResult *stats)
{
	if (info->analyze_only)
		return stats;
	ek_learn(info->index, info->strategy);
	if (stats != NULL)
		return stats;

	stats = palloc0(sizeof(IndexBulkDeleteResult));
	stats->num_pages = RelationGetNumberOfBlocks(info->index);
	stats->num_index_tuples = info->num_heap_tuples;
	stats->estimated_count = true;
	return stats;
}
