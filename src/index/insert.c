/*
 * insert.c
 *		One more entry.
 *
 * In format 3, many sessions insert at once, each on a coarse page of its own if there
 * is one: the page that it used last, one that the free space map knows, or a new one,
 * for which alone it locks the metapage.  An insert looks for a free entry on the
 * coarse page, and changes that and a fine page in one WAL record.
 *
 * The free space map has a value for each coarse page with room.  It is a hint, as
 * everywhere in PostgreSQL: a crash may take it away, and VACUUM makes it anew.
 *
 * The map of empty sections on the metapage must be true.  So whoever inserts into a
 * page where no entry is in use does so with the metapage locked.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "storage/freespace.h"
#include "utils/memutils.h"

#include "base/stats.h"
#include "index/index.h"
#include "vector/vector.h"

/* Pages in use by others that a session tries before it adds one for itself. */
#define BUSY_PAGES	3

void
ek_require_possible_dims(int dims)
{
	if (dims <= EK_INDEX_MAX_DIMS)
		return;
	ek_stats_count_error(EK_ERROR_OTHER);
	ereport(ERROR,
			(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
			 errmsg("an engramk index holds vectors with at most %d dimensions, not %d",
					EK_INDEX_MAX_DIMS, dims)));
}

const float *
ek_indexed_vector(Relation index, const ek_vector_type *type, Datum value, uint32 *dims)
{
	const ek_vector vector = type->get(value);

	ek_require_possible_dims(vector.dims);
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

/* A NULL, when no vector has come yet. */
static void
insert_early_null(Relation index, Buffer meta_buffer, ItemPointer tid)
{
	ek_meta		meta = ek_copy_meta(BufferGetPage(meta_buffer));
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
			ek_add_page(index, EK_PAGE_NULLS, NULL);
		ek_ensure_kind(index, meta.null_pages, EK_PAGE_NULLS, NULL);
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
	if (meta->format >= EK_FORMAT_3)
		meta->steps = (uint32) ek_usual_steps(dims);
	ek_page_seal(page);
	GenericXLogFinish(state);
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

/*
 * Format 3: a page with room
 */

/* The map counts in bytes, up to those of a page. */
Size
ek_free_space(uint32 in_use, const ek_geometry *geometry)
{
	const uint32 all = geometry->coarse_per_page;
	const Size	least = BLCKSZ / 128;

	return in_use >= all ? 0 : Max(least, (Size) (all - in_use) * (BLCKSZ / 2) / all);
}

void
ek_record_free(Relation index, BlockNumber block, uint32 in_use, const ek_geometry *geometry)
{
	RecordPageWithFreeSpace(index, block, ek_free_space(in_use, geometry));
	FreeSpaceMapVacuumRange(index, block, block + 1);
}

static inline bool
has_room(const ek_geometry *geometry, const ek_coarse_header *header)
{
	return header->vectors + header->nulls < geometry->coarse_per_page;
}

/*
 * The filter pages that begin with entries of a coarse page.  Scans read them as soon as
 * the metapage counts it.
 */
static void
add_filter_pages(Relation index, const ek_geometry *geometry, uint32 coarse_page)
{
	const uint32 first = coarse_page * geometry->coarse_per_page;

	for (uint32 i = 0; geometry->filters > 0 && i < geometry->coarse_per_page; i += EK_LANES)
	{
		const ek_place place = ek_place_of(geometry, first + i);

		if (place.filter_slot == 0)
			ek_ensure_kind(index, place.filter_block, EK_PAGE_FILTER, geometry);
	}
}

/* In one record the page, and the metapage that counts it.  Blocks exist before that. */
static BlockNumber
add_coarse_page(Relation index)
{
	Buffer		meta_buffer = ek_read_page(index, EK_META_BLOCK, BUFFER_LOCK_EXCLUSIVE,
										   EK_PAGE_META, NULL);
	ek_meta		meta = ek_copy_meta(BufferGetPage(meta_buffer));
	const ek_geometry geometry = ek_geometry_of(&meta);
	const uint32 number = ek_coarse_pages(&meta, &geometry);
	ek_place	last;
	GenericXLogState *state;
	Buffer		buffer;
	Page		page;

	if (meta.entries >= ek_most_entries(&geometry))
		ek_raise_full(index);
	meta.entries += geometry.coarse_per_page;
	last = ek_place_of(&geometry, meta.entries - 1);
	ek_extend_to(index, last.fine_block);
	add_filter_pages(index, &geometry, number);
	buffer = ReadBuffer(index, last.coarse_block);
	LockBuffer(buffer, BUFFER_LOCK_EXCLUSIVE);

	state = GenericXLogStart(index);
	page = GenericXLogRegisterBuffer(state, meta_buffer, 0);
	ek_meta_on(page)->entries = meta.entries;
	ek_page_seal(page);
	page = GenericXLogRegisterBuffer(state, buffer, GENERIC_XLOG_FULL_IMAGE);
	ek_page_init(page, EK_PAGE_COARSE, &geometry);
	ek_coarse_header_on(page)->number = number;
	ek_page_seal(page);
	GenericXLogFinish(state);
	UnlockReleaseBuffer(buffer);
	UnlockReleaseBuffer(meta_buffer);

	ek_record_free(index, last.coarse_block, 0, &geometry);
	return last.coarse_block;
}

/* Is this the block that a coarse page with its number is on, as far as is known? */
static bool
is_in_place(const ek_geometry *geometry, uint32 known_pages, const ek_coarse_header *header,
			BlockNumber block)
{
	return header->number >= known_pages || ek_coarse_block(geometry, header->number) == block;
}

/*
 * A coarse page, locked, or an invalid buffer if others have it.  The free space map
 * may name a block that is no coarse page, or none at all.
 */
static Buffer
lock_if_coarse(Relation index, const ek_geometry *geometry, uint32 known_pages,
			   BlockNumber block, bool *coarse)
{
	Buffer		buffer;

	*coarse = block >= geometry->first_block && ek_block_exists(index, block);
	if (!*coarse)
		return InvalidBuffer;
	buffer = ek_pin(index, block);
	if (!ConditionalLockBuffer(buffer))
	{
		ReleaseBuffer(buffer);
		return InvalidBuffer;
	}
	*coarse = ek_page_is(BufferGetPage(buffer), EK_PAGE_COARSE) &&
		is_in_place(geometry, known_pages, ek_coarse_header_on(BufferGetPage(buffer)), block);
	if (*coarse)
	{
		ek_require_page(index, buffer, EK_PAGE_COARSE, geometry);
		return buffer;
	}
	UnlockReleaseBuffer(buffer);
	return InvalidBuffer;
}

/* The coarse page that this session is to insert into, locked, and with room. */
static Buffer
lock_page_with_room(Relation index, const ek_geometry *geometry, uint32 known_pages)
{
	BlockNumber block = ek_cache_known(index)->target;

	for (int busy = 0;;)
	{
		bool		coarse;
		Buffer		buffer;

		if (block == 0)
			block = GetPageWithFreeSpace(index, 1);
		if (block == InvalidBlockNumber || busy > BUSY_PAGES)
			block = add_coarse_page(index);
		buffer = lock_if_coarse(index, geometry, known_pages, block, &coarse);
		if (BufferIsValid(buffer) &&
			has_room(geometry, ek_coarse_header_on(BufferGetPage(buffer))))
		{
			ek_cache_set_target(index, block);
			return buffer;
		}
		if (BufferIsValid(buffer))
			UnlockReleaseBuffer(buffer);
		if (BufferIsValid(buffer) || !coarse)
			RecordPageWithFreeSpace(index, block, 0);
		else
			busy++;
		block = 0;
		CHECK_FOR_INTERRUPTS();
	}
}

/*
 * From format 3 on: the entry
 */

typedef struct new_entry
{
	const float *vector;		/* or NULL */
	const uint64 *filters;
	ItemPointer tid;
} new_entry;

/* A free entry of a page that has room. */
static uint32
find_free(Relation index, const ek_geometry *geometry, Buffer buffer)
{
	const Page	page = BufferGetPage(buffer);

	for (uint32 i = 0; i < geometry->coarse_per_page; i++)
	{
		if (ek_coarse_state(geometry, page, i) == EK_ENTRY_FREE)
			return i;
	}
	ek_raise_corrupted_block(index, BufferGetBlockNumber(buffer), "it counts fewer entries than it has");
}

/* The fine page of an entry, and whether it is zeros because none of its own was ever used. */
static Buffer
lock_fine_page(Relation index, const ek_geometry *geometry, BlockNumber block, bool *is_new)
{
	Buffer		buffer;

	/* a crash may have taken it away, before it was used */
	if (!ek_block_exists(index, block))
		ek_extend_to(index, block);
	buffer = ek_pin(index, block);
	LockBuffer(buffer, BUFFER_LOCK_EXCLUSIVE);
	*is_new = !ek_require_used_page(index, buffer, EK_PAGE_FINE, geometry);
	return buffer;
}

static Buffer
lock_filter_page(Relation index, const ek_geometry *geometry, BlockNumber block)
{
	Buffer		buffer = ek_pin(index, block);

	LockBuffer(buffer, BUFFER_LOCK_EXCLUSIVE);
	ek_require_page(index, buffer, EK_PAGE_FILTER, geometry);
	return buffer;
}

/* The entry, on a coarse page that is locked and has room. */
static void
store_entry(Relation index, const ek_geometry *geometry, Buffer coarse, const new_entry *entry,
			const ek_encoder *encoder)
{
	const ek_coarse_header *header = ek_coarse_header_on(BufferGetPage(coarse));
	const uint32 on_page = find_free(index, geometry, coarse);
	const ek_place place = ek_place_of(geometry, header->number * geometry->coarse_per_page + on_page);
	ek_entry_pages pages = {.coarse = coarse,.filter = InvalidBuffer};

	pages.fine = lock_fine_page(index, geometry, place.fine_block, &pages.fine_is_new);
	if (pages.fine_is_new && header->begun > on_page - place.fine_slot)
		ek_raise_corrupted_block(index, place.fine_block, "the page is empty, but for entries that have been used");
	if (geometry->filters > 0)
		pages.filter = lock_filter_page(index, geometry, place.filter_block);
	ek_store_logged(index, encoder, entry->filters, &pages, &place, entry->tid);
	if (BufferIsValid(pages.filter))
		UnlockReleaseBuffer(pages.filter);
	UnlockReleaseBuffer(pages.fine);
}

/* The metapage, locked, with a map on which the section of a page is not empty. */
static Buffer
lock_mapped(Relation index, const ek_geometry *geometry, uint32 coarse_page)
{
	const uint32 section = coarse_page / EK_SECTION;
	Buffer		buffer = ek_read_page(index, EK_META_BLOCK, BUFFER_LOCK_SHARE, EK_PAGE_META, NULL);
	GenericXLogState *state;
	Page		page;

	if (section >= ek_mapped_sections(geometry->format) ||
		!ek_is_empty_section(ek_map_on(BufferGetPage(buffer)), section))
		return buffer;
	LockBuffer(buffer, BUFFER_LOCK_UNLOCK);
	LockBuffer(buffer, BUFFER_LOCK_EXCLUSIVE);
	state = GenericXLogStart(index);
	page = GenericXLogRegisterBuffer(state, buffer, 0);
	ek_map_on(page)[section / 8] &= (uint8) ~(1 << section % 8);
	ek_page_seal(page);
	GenericXLogFinish(state);
	return buffer;
}

typedef enum attempt
{
	STORED,
	FULL,						/* others were faster */
	OTHER_BASIS,				/* the page has codes of another one */
	UNKNOWN_PAGE				/* it has come since this session read the metapage */
} attempt;

/* What a page says of itself that did not take an entry. */
typedef struct refusal
{
	uint32		basis_id;
	uint32		number;
	BlockNumber block;
} refusal;

static attempt
try_to_store(Relation index, const new_entry *entry, const ek_encoder *encoder, refusal *why)
{
	const ek_geometry *geometry = &encoder->geometry;
	const uint32 known_pages = ek_coarse_pages(&ek_cache_known(index)->meta, geometry);
	Buffer		coarse = lock_page_with_room(index, geometry, known_pages);
	const ek_coarse_header *header = ek_coarse_header_on(BufferGetPage(coarse));
	Buffer		meta = InvalidBuffer;
	attempt		result = STORED;

	if (header->vectors + header->nulls == 0)
	{
		const uint32 number = header->number;

		/* the metapage comes first; somebody may come in between */
		LockBuffer(coarse, BUFFER_LOCK_UNLOCK);
		meta = lock_mapped(index, geometry, number);
		LockBuffer(coarse, BUFFER_LOCK_EXCLUSIVE);
	}

	*why = (refusal)
	{
		.basis_id = ek_page_opaque_of(BufferGetPage(coarse))->count,
			.number = header->number,
			.block = BufferGetBlockNumber(coarse)
	};
	if (why->number >= known_pages)
		result = UNKNOWN_PAGE;
	else if (why->basis_id != encoder->basis->id)
		result = OTHER_BASIS;
	else if (!has_room(geometry, header))
		result = FULL;
	else
		store_entry(index, geometry, coarse, entry, encoder);
	UnlockReleaseBuffer(coarse);
	if (BufferIsValid(meta))
		UnlockReleaseBuffer(meta);
	return result;
}

static ek_encoder *
encode(const ek_cache *cache, const ek_basis *basis, const float *vector)
{
	ek_encoder *encoder = ek_encoder_create(&cache->geometry, basis);

	if (vector == NULL)
		ek_encode_null(encoder);
	else
		ek_encode(encoder, vector);
	return encoder;
}

/* An insert need not know how long the index is by now, which takes a system call. */
static const ek_cache *
settled_cache(Relation index)
{
	const ek_cache *known = ek_cache_known(index);

	return known != NULL && known->meta.dims != 0 ? known : ek_cache_get(index);
}

/* The metapage has it by now, or it is not true. */
static const ek_cache *
catch_up(Relation index, const refusal *why)
{
	const ek_meta meta = ek_read_meta(index);
	const ek_cache *cache;

	ek_cache_refresh(index, &meta);
	cache = ek_cache_get(index);
	if (why->number >= ek_coarse_pages(&cache->meta, &cache->geometry))
		ek_raise_corrupted_block(index, why->block, "the page has the number of none");
	return cache;
}

/*
 * Encodes before it locks, in the basis that new pages have; and again if the page
 * has another one, or this session does not know yet of what has come since.
 */
static void
insert_3(Relation index, const new_entry *entry)
{
	const ek_cache *cache = settled_cache(index);
	const ek_basis *basis = ek_cache_current(cache);

	for (int tries = 0;;)
	{
		refusal		why;
		const attempt result = try_to_store(index, entry, encode(cache, basis, entry->vector), &why);

		if (result == STORED)
			return;
		CHECK_FOR_INTERRUPTS();
		if (result == UNKNOWN_PAGE || ek_cache_basis(cache, why.basis_id) == NULL)
			cache = catch_up(index, &why);
		basis = ek_cache_basis(cache, why.basis_id);
		/* it has gone again, and so has its last page */
		if (basis == NULL && ++tries == EK_MOST_TRIES)
			ek_raise_corrupted_block(index, why.block, "its codes are in a basis that is not there");
		if (basis == NULL)
			basis = ek_cache_current(cache);
	}
}

static void
insert_value(Relation index, Datum value, bool isnull, const uint64 *filters, ItemPointer tid)
{
	uint32		dims = settled_cache(index)->meta.dims;
	const bool	early = dims == 0;
	const ek_vector_type *type = ek_type_of(index);
	const float *vector = isnull ? NULL : ek_indexed_vector(index, type, value, &dims);
	const ek_cache *cache;

	if (early)
	{
		if (insert_early(index, isnull, dims, tid))
			return;
		dims = ek_cache_get(index)->meta.dims;
		if (!isnull)
			vector = ek_indexed_vector(index, type, value, &dims);
	}

	cache = settled_cache(index);
	if (cache->geometry.format >= EK_FORMAT_3)
		insert_3(index, &(new_entry) {.vector = vector,.filters = filters,.tid = tid});
	else
		ek_insert_2(index, encode(cache, ek_cache_current(cache), vector), tid);
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
	uint64		filters[EK_MOST_FILTERS];

	ek_encode_filters(index, values, isnull, filters);
	insert_value(index, values[0], isnull[0], filters, tid);

	MemoryContextSwitchTo(caller);
	MemoryContextDelete(scratch);
	return false;
}
