/*
 * log.c
 *		One more entry, on two pages and in the write-ahead log.
 *
 * Generic WAL would find out what has changed: it copies both pages, twice, and compares
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
register_delta(uint8 id, Buffer buffer, delta *d)
{
	XLogRegisterBuffer(id, buffer, REGBUF_STANDARD);
	XLogRegisterBufData(id, d->bytes, (int) (d->end - d->bytes));
}

void
ek_store_logged(Relation index, const ek_encoder *encoder, Buffer coarse, Buffer fine,
				bool fine_is_new, const ek_place *place, ItemPointer tid)
{
	const Page	coarse_page = BufferGetPage(coarse);
	const Page	fine_page = BufferGetPage(fine);
	delta		coarse_delta;
	delta		fine_delta;
	XLogRecPtr	end;

	START_CRIT_SECTION();
	if (fine_is_new)
		ek_page_init(fine_page, EK_PAGE_FINE, &encoder->geometry);
	ek_encoded_store(encoder, coarse_page, fine_page, place, tid);
	ek_page_seal(coarse_page);
	ek_page_seal(fine_page);
	MarkBufferDirty(coarse);
	MarkBufferDirty(fine);

	if (RelationNeedsWAL(index))
	{
		find_coarse_changes(&coarse_delta, encoder, coarse_page, place);
		XLogBeginInsert();
		register_delta(0, coarse, &coarse_delta);
		if (fine_is_new)
			XLogRegisterBuffer(1, fine, REGBUF_FORCE_IMAGE | REGBUF_STANDARD);
		else
		{
			find_fine_changes(&fine_delta, &encoder->geometry, fine_page, place);
			register_delta(1, fine, &fine_delta);
		}
		end = XLogInsert(RM_GENERIC_ID, 0);
		PageSetLSN(coarse_page, end);
		PageSetLSN(fine_page, end);
	}
	END_CRIT_SECTION();
}
