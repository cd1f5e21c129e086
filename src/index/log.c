/*
 * log.c
 *		One more entry, on its pages and in the write-ahead log.
 *
 * Generic WAL would find out what has changed: it copies each page, twice, and compares
 * them byte by byte, which took a third of what an insert costs.  Here it is known
 * beforehand.  What is written is a record of generic WAL, which only it replays: for
 * each page the changed regions, each as its offset, its length and its bytes; or, for
 * a new page, its image.
 */
#include "postgres.h"

#include "access/xloginsert.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"

#include "index/index.h"

/* What precedes the bytes of a region in a record: see applyPageRedo(). */
typedef struct region
{
	OffsetNumber offset;
	OffsetNumber length;
} region;

/* The regions of a page, in their own memory. */
typedef struct delta
{
	const char *page;
	char	   *end;
	char		bytes[BLCKSZ];
} delta;

StaticAssertDecl(SizeOfPageHeaderData >= 3 * sizeof(region) + sizeof(LocationIndex),
				 "the regions of a fine page that has one entry do not fit");

static void
add_region(delta *d, const void *begin, Size length)
{
	const region r = {
		.offset = (OffsetNumber) ((const char *) begin - d->page),
		.length = (OffsetNumber) length
	};

	memcpy(d->end, &r, sizeof(r));
	memcpy(d->end + sizeof(r), begin, length);
	d->end += sizeof(r) + length;
}

static void
begin_delta(delta *d, Page page)
{
	d->page = page;
	d->end = d->bytes;
	/* the seal, and what else is there */
	add_region(d, ek_page_opaque_of(page), sizeof(ek_page_opaque));
}

static void
find_coarse_changes(delta *d, const ek_encoder *encoder, Page page, const ek_place *place)
{
	const ek_geometry *geometry = &encoder->geometry;
	const ek_basis *basis = encoder->basis;
	const uint32 on_page = place->group * EK_LANES + place->lane;
	const uint8 *codes = ek_codes_on(page) + place->group * basis->group_size;

	begin_delta(d, page);
	add_region(d, ek_coarse_header_on(page), sizeof(ek_coarse_header));
	for (int step = 0; step < basis->steps4 + basis->steps2; step++)
		add_region(d, codes + step * EK_STEP_BYTES + (Size) 4 * place->lane, 4);
	add_region(d, ek_residuals_on(geometry, page) + on_page, sizeof(uint16));
	add_region(d, ek_norms_on(geometry, page) + on_page, sizeof(float));
}

static void
find_fine_changes(delta *d, const ek_geometry *geometry, Page page, const ek_place *place)
{
	begin_delta(d, page);
	add_region(d, &((PageHeader) page)->pd_lower, sizeof(LocationIndex));
	add_region(d, ek_page_bytes(page) + place->fine_slot * geometry->fine_size, geometry->fine_size);
}

static void
find_filter_changes(delta *d, const ek_geometry *geometry, Page page, const ek_place *place)
{
	begin_delta(d, page);
	for (uint32 i = 0; i < geometry->filters; i++)
	{
		const uint32 *codes = ek_filter_codes_on(geometry, page, i) + place->filter_slot;

		/* of eight bytes, the two halves are apart */
		add_region(d, codes, sizeof(uint32));
		if (geometry->filter_bytes[i] == sizeof(uint64))
			add_region(d, codes + geometry->filter_per_page, sizeof(uint32));
	}
}

static void
register_delta(uint8 id, Buffer buffer, delta *d)
{
	XLogRegisterBuffer(id, buffer, REGBUF_STANDARD);
	XLogRegisterBufData(id, d->bytes, (int) (d->end - d->bytes));
}

static void
register_new(uint8 id, Buffer buffer)
{
	XLogRegisterBuffer(id, buffer, REGBUF_FORCE_IMAGE | REGBUF_STANDARD);
}

/* What is new is formatted now: until then it may stay as it is. */
static void
store(const ek_encoder *encoder, const uint64 *filters, const ek_entry_pages *pages,
	  const ek_place *place, ItemPointer tid)
{
	const ek_geometry *geometry = &encoder->geometry;

	if (pages->fine_is_new)
		ek_page_init(BufferGetPage(pages->fine), EK_PAGE_FINE, geometry);
	ek_encoded_store(encoder, BufferGetPage(pages->coarse), BufferGetPage(pages->fine), place, tid);
	ek_page_seal(BufferGetPage(pages->coarse));
	ek_page_seal(BufferGetPage(pages->fine));
	MarkBufferDirty(pages->coarse);
	MarkBufferDirty(pages->fine);
	if (!BufferIsValid(pages->filter))
		return;
	ek_store_filters(geometry, filters, BufferGetPage(pages->filter), place);
	ek_page_seal(BufferGetPage(pages->filter));
	MarkBufferDirty(pages->filter);
}

void
ek_store_logged(Relation index, const ek_encoder *encoder, const uint64 *filters,
				const ek_entry_pages *pages, const ek_place *place, ItemPointer tid)
{
	const ek_geometry *geometry = &encoder->geometry;
	const Page	coarse = BufferGetPage(pages->coarse);
	const Page	fine = BufferGetPage(pages->fine);
	const bool	has_filter = BufferIsValid(pages->filter);
	delta		deltas[3];
	XLogRecPtr	end;

	START_CRIT_SECTION();
	store(encoder, filters, pages, place, tid);
	if (RelationNeedsWAL(index))
	{
		XLogBeginInsert();
		find_coarse_changes(&deltas[0], encoder, coarse, place);
		register_delta(0, pages->coarse, &deltas[0]);
		if (pages->fine_is_new)
			register_new(1, pages->fine);
		else
		{
			find_fine_changes(&deltas[1], geometry, fine, place);
			register_delta(1, pages->fine, &deltas[1]);
		}
		if (has_filter)
		{
			find_filter_changes(&deltas[2], geometry, BufferGetPage(pages->filter), place);
			register_delta(2, pages->filter, &deltas[2]);
		}
		end = XLogInsert(RM_GENERIC_ID, 0);
		PageSetLSN(coarse, end);
		PageSetLSN(fine, end);
		if (has_filter)
			PageSetLSN(BufferGetPage(pages->filter), end);
	}
	END_CRIT_SECTION();
}
