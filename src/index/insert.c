/*
 * insert.c
 *		One more entry.
 *
 * The metapage is locked for as long as it takes: it says which entry is next.
 * An insert changes it, a coarse page and a fine page in one WAL record.
 *
 * Whoever waits for the metapage cannot be interrupted, nor can its holder.  So
 * what is done meanwhile has a limit: a few pages to look for a free entry, one
 * stretch to add.
 */
#include "postgres.h"

#include "utils/memutils.h"

#include "base/stats.h"
#include "index/index.h"
#include "vector/vector.h"

/* Pages that an insert looks for a free entry on. */
#define FREE_SEARCH_PAGES	16

const float *
ek_indexed_vector(Relation index, Datum value, uint32 *dims)
{
	ek_vector	vector = ek_vector_get(value);

	if (vector.dims > EK_INDEX_MAX_DIMS)
	{
		ek_stats_count_error(EK_ERROR_OTHER);
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("an engramk index holds vectors with at most %d dimensions, not %d",
						EK_INDEX_MAX_DIMS, vector.dims)));
	}
	if (*dims == 0)
		*dims = (uint32) vector.dims;
	if ((uint32) vector.dims != *dims)
	{
		ek_stats_count_error(EK_ERROR_DIMENSIONS);
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("index \"%s\" holds vectors with %u dimensions, not %d",
						RelationGetRelationName(index), *dims, vector.dims)));
	}
	return vector.values;
}

static void
raise_full(Relation index)
{
	ereport(ERROR,
			(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
			 errmsg("index \"%s\" is full", RelationGetRelationName(index))));
}

/* Formats a page that stands at the end of the relation, in its own record. */
static void
add_page(Relation index, ek_page_kind kind, const ek_geometry *geometry)
{
	Buffer		buffer = ek_extend(index);
	GenericXLogState *state = GenericXLogStart(index);
	Page		page = GenericXLogRegisterBuffer(state, buffer, GENERIC_XLOG_FULL_IMAGE);

	ek_page_init(page, kind, geometry);
	GenericXLogFinish(state);
	UnlockReleaseBuffer(buffer);
}

/*
 * Makes the pages of an entry exist: at most the coarse pages of a stretch and
 * one fine page, since those of the entry before it are there.  A crash in
 * between leaves pages behind that the next insert finds.
 */
static void
ensure_pages(Relation index, const ek_geometry *geometry, const ek_place *place)
{
	BlockNumber blocks = RelationGetNumberOfBlocks(index);

	for (BlockNumber block = blocks; block <= place->fine_block; block++)
		add_page(index, ek_kind_of(geometry, block), geometry);
}

/*
 * Before the first use of a page: an insert that was interrupted may have left
 * it unformatted, or formatted for something that never came to be.
 */
static void
ensure_kind(Relation index, BlockNumber block, ek_page_kind kind,
			const ek_geometry *geometry)
{
	Buffer		buffer = ReadBuffer(index, block);

	LockBuffer(buffer, BUFFER_LOCK_EXCLUSIVE);
	if (!ek_page_is(BufferGetPage(buffer), kind))
	{
		GenericXLogState *state = GenericXLogStart(index);

		ek_page_init(GenericXLogRegisterBuffer(state, buffer, GENERIC_XLOG_FULL_IMAGE),
					 kind, geometry);
		GenericXLogFinish(state);
	}
	UnlockReleaseBuffer(buffer);
}

/*
 * A free entry from the hint on, or meta->entries if there is none nearby.
 * Moves the hint past what is in use: the next insert goes on from there.
 */
static uint32
find_free(Relation index, const ek_geometry *geometry, ek_meta *meta)
{
	for (int pages = 0; pages < FREE_SEARCH_PAGES && meta->free_hint < meta->entries; pages++)
	{
		const ek_row_page rows = ek_row_page_of(geometry, meta->free_hint);
		const uint32 end = Min(rows.end, meta->entries);
		Buffer		buffer = ek_read_page(index, rows.block, BUFFER_LOCK_SHARE, rows.kind, geometry);

		while (meta->free_hint < end)
		{
			const ek_place place = ek_place_of(geometry, meta->free_hint++);

			if (*ek_row_on(geometry, BufferGetPage(buffer), &place).state == EK_ENTRY_FREE)
			{
				UnlockReleaseBuffer(buffer);
				meta->free_entries--;
				return meta->free_hint - 1;
			}
		}
		UnlockReleaseBuffer(buffer);
	}

	/* to the end: there are none, whatever vacuum has counted */
	if (meta->free_hint == meta->entries)
		meta->free_entries = 0;
	return meta->entries;
}

/* A NULL, when no vector has come yet. */
static void
insert_early_null(Relation index, Buffer meta_buffer, ItemPointer tid)
{
	ek_meta		meta = *ek_meta_on(BufferGetPage(meta_buffer));
	GenericXLogState *state;
	Buffer		buffer = InvalidBuffer;
	Page		page;
	ek_page_opaque *opaque;

	if (meta.null_pages > 0)
	{
		buffer = ek_read_page(index, meta.null_pages, BUFFER_LOCK_EXCLUSIVE, EK_PAGE_NULLS, NULL);
		if (ek_page_opaque_of(BufferGetPage(buffer))->count >= ek_tids_per_page())
		{
			UnlockReleaseBuffer(buffer);
			buffer = InvalidBuffer;
		}
	}
	if (!BufferIsValid(buffer))
	{
		meta.null_pages++;
		if (RelationGetNumberOfBlocks(index) <= meta.null_pages)
			add_page(index, EK_PAGE_NULLS, NULL);
		ensure_kind(index, meta.null_pages, EK_PAGE_NULLS, NULL);
		buffer = ek_read_page(index, meta.null_pages, BUFFER_LOCK_EXCLUSIVE, EK_PAGE_NULLS, NULL);
	}

	state = GenericXLogStart(index);
	page = GenericXLogRegisterBuffer(state, meta_buffer, 0);
	ek_meta_on(page)->null_pages = meta.null_pages;
	ek_page_seal(page);
	page = GenericXLogRegisterBuffer(state, buffer, 0);
	opaque = ek_page_opaque_of(page);
	ek_page_tids(page)[opaque->count++] = *tid;
	ek_page_seal(page);
	GenericXLogFinish(state);
	UnlockReleaseBuffer(buffer);
}

/* The first vector settles the number of dimensions. */
static void
settle_dimensions(Relation index, Buffer meta_buffer, uint32 dims)
{
	GenericXLogState *state = GenericXLogStart(index);
	Page		page = GenericXLogRegisterBuffer(state, meta_buffer, 0);
	ek_meta    *meta = ek_meta_on(page);

	meta->dims = dims;
	meta->first_block = meta->null_pages + 1;
	ek_page_seal(page);
	GenericXLogFinish(state);
}

static void
insert_entry(Relation index, Buffer meta_buffer, const ek_encoder *encoder,
			 ItemPointer tid)
{
	ek_meta		meta = *ek_meta_on(BufferGetPage(meta_buffer));
	ek_geometry geometry = ek_geometry_of(&meta);
	uint32		entry = meta.entries;
	ek_place	place;
	GenericXLogState *state;
	Buffer		coarse;
	Buffer		fine;
	Page		meta_page;
	Page		coarse_page;
	Page		fine_page;

	if (meta.free_entries > 0)
		entry = find_free(index, &geometry, &meta);
	if (entry == meta.entries)
	{
		if (meta.entries >= ek_most_entries(&geometry))
			raise_full(index);
		place = ek_place_of(&geometry, entry);
		ensure_pages(index, &geometry, &place);
		if (place.group == 0 && place.lane == 0)
			ensure_kind(index, place.coarse_block, EK_PAGE_COARSE, &geometry);
		if (place.fine_slot == 0)
			ensure_kind(index, place.fine_block, EK_PAGE_FINE, &geometry);
		meta.entries++;
	}

	place = ek_place_of(&geometry, entry);
	coarse = ek_read_page(index, place.coarse_block, BUFFER_LOCK_EXCLUSIVE, EK_PAGE_COARSE,
						  &geometry);
	fine = ek_read_page(index, place.fine_block, BUFFER_LOCK_EXCLUSIVE, EK_PAGE_FINE,
						&geometry);

	state = GenericXLogStart(index);
	meta_page = GenericXLogRegisterBuffer(state, meta_buffer, 0);
	*ek_meta_on(meta_page) = meta;
	coarse_page = GenericXLogRegisterBuffer(state, coarse, 0);
	fine_page = GenericXLogRegisterBuffer(state, fine, 0);
	ek_encoded_store(encoder, coarse_page, fine_page, &place, tid);
	ek_page_seal(meta_page);
	ek_page_seal(coarse_page);
	ek_page_seal(fine_page);
	GenericXLogFinish(state);

	UnlockReleaseBuffer(fine);
	UnlockReleaseBuffer(coarse);
}

/*
 * Before the number of dimensions is known: the first vector settles it, if
 * nobody else has done so meanwhile.  A NULL is stored as long as it is not,
 * and then the answer is true.
 */
static bool
insert_early(Relation index, bool isnull, uint32 dims, ItemPointer tid)
{
	Buffer		meta_buffer = ek_read_page(index, EK_META_BLOCK,
										   BUFFER_LOCK_EXCLUSIVE, EK_PAGE_META, NULL);
	bool		unsettled = ek_meta_on(BufferGetPage(meta_buffer))->dims == 0;

	if (unsettled && isnull)
		insert_early_null(index, meta_buffer, tid);
	else if (unsettled)
		settle_dimensions(index, meta_buffer, dims);
	UnlockReleaseBuffer(meta_buffer);
	return unsettled && isnull;
}

/* Encodes before it locks: the metapage is what all inserts wait for. */
static void
insert_value(Relation index, Datum value, bool isnull, ItemPointer tid)
{
	uint32		dims = ek_cache_get(index)->meta.dims;
	const bool	early = dims == 0;
	const float *vector = isnull ? NULL : ek_indexed_vector(index, value, &dims);
	ek_encoder *encoder;
	Buffer		meta_buffer;

	if (early)
	{
		if (insert_early(index, isnull, dims, tid))
			return;
		dims = ek_cache_get(index)->meta.dims;
		if (!isnull)
			vector = ek_indexed_vector(index, value, &dims);
	}

	encoder = ek_encoder_create(ek_cache_get(index));
	if (isnull)
		ek_encode_null(encoder);
	else
		ek_encode(encoder, vector);

	meta_buffer = ek_read_page(index, EK_META_BLOCK, BUFFER_LOCK_EXCLUSIVE, EK_PAGE_META, NULL);
	insert_entry(index, meta_buffer, encoder, tid);
	UnlockReleaseBuffer(meta_buffer);
}

bool
ek_insert(Relation index, Datum *values, bool *isnull, ItemPointer tid,
		  Relation heap pg_attribute_unused(),
		  IndexUniqueCheck unique pg_attribute_unused(),
		  bool unchanged pg_attribute_unused(),
		  IndexInfo *info pg_attribute_unused())
{
	MemoryContext scratch = AllocSetContextCreate(CurrentMemoryContext,
												  "engramk insert",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(scratch);

	insert_value(index, values[0], isnull[0], tid);

	MemoryContextSwitchTo(caller);
	MemoryContextDelete(scratch);
	return false;
}
