/*
 * insert_2.c
 *		One more entry, in the first two formats.
 *
 * The metapage is locked for as long as it takes: it says which entry is next.
 * An insert changes it, a coarse page and a fine page in one WAL record.
 *
 * Whoever waits for the metapage cannot be interrupted, nor can its holder.  So
 * what is done meanwhile has a limit: a few pages to look for a free entry, one
 * stretch to add.
 */
#include "postgres.h"

#include "index/index.h"

/* Pages that an insert looks for a free entry on. */
#define FREE_SEARCH_PAGES	16

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
		ek_add_page(index, ek_kind_of(geometry, block), geometry);
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

static void
insert_entry(Relation index, Buffer meta_buffer, const ek_encoder *encoder,
			 ItemPointer tid)
{
	ek_meta		meta = ek_copy_meta(BufferGetPage(meta_buffer));
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
			ek_raise_full(index);
		place = ek_place_of(&geometry, entry);
		ensure_pages(index, &geometry, &place);
		if (place.group == 0 && place.lane == 0)
			ek_ensure_kind(index, place.coarse_block, EK_PAGE_COARSE, &geometry);
		if (place.fine_slot == 0)
			ek_ensure_kind(index, place.fine_block, EK_PAGE_FINE, &geometry);
		meta.entries++;
	}

	place = ek_place_of(&geometry, entry);
	coarse = ek_read_page(index, place.coarse_block, BUFFER_LOCK_EXCLUSIVE, EK_PAGE_COARSE,
						  &geometry);
	fine = ek_read_page(index, place.fine_block, BUFFER_LOCK_EXCLUSIVE, EK_PAGE_FINE,
						&geometry);

	state = GenericXLogStart(index);
	meta_page = GenericXLogRegisterBuffer(state, meta_buffer, 0);
	memcpy(ek_meta_on(meta_page), &meta, ek_meta_size(geometry.format));
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

void
ek_insert_2(Relation index, const ek_encoder *encoder, ItemPointer tid)
{
	Buffer		meta_buffer = ek_read_page(index, EK_META_BLOCK, BUFFER_LOCK_EXCLUSIVE,
										   EK_PAGE_META, NULL);

	insert_entry(index, meta_buffer, encoder, tid);
	UnlockReleaseBuffer(meta_buffer);
}
