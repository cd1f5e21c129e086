/*
 * page.c
 *		The pages of an engramk index: what is where, and reading them safely.
 *
 * An entry's place follows from its number alone, so nothing points from page
 * to page.  Every page says what kind it is; a page that is not what its place
 * calls for is reported as corruption, whatever its bytes.
 *
 * Locks: the metapage before a coarse page before a fine page, and never two of
 * a kind.  A scan holds one page at a time; in a pass by keys, a coarse page and
 * one of the fine pages of its entries.
 */
#include "postgres.h"

#include "catalog/pg_am.h"
#include "storage/lmgr.h"

#include "index/index.h"

static Size
usable_bytes(void)
{
	return BLCKSZ - SizeOfPageHeaderData - MAXALIGN(sizeof(ek_page_opaque));
}

static char *
contents(Page page)
{
	return (char *) page + MAXALIGN(SizeOfPageHeaderData);
}

ek_geometry
ek_geometry_of(const ek_meta *meta)
{
	ek_geometry g = {
		.dims = (int) meta->dims,
		.coarse_dims = (int) meta->coarse_dims,
		.first_block = meta->first_block
	};
	uint32		fine_pages;

	g.group_size = MAXALIGN(sizeof(ek_group)) + (Size) EK_LANES * meta->coarse_dims;
	g.fine_size = INTALIGN(sizeof(ek_fine) + meta->dims);
	g.groups_per_page = (uint32) (usable_bytes() / g.group_size);
	g.coarse_per_page = g.groups_per_page * EK_LANES;
	g.fine_per_page = (uint32) (usable_bytes() / g.fine_size);
	g.stretch_entries = g.coarse_per_page * EK_STRETCH_PAGES;
	fine_pages = (g.stretch_entries + g.fine_per_page - 1) / g.fine_per_page;
	g.stretch_blocks = EK_STRETCH_PAGES + fine_pages;
	return g;
}

/* As many as whole stretches hold, and their numbers and blocks can count. */
uint32
ek_most_entries(const ek_geometry *geometry)
{
	const uint64 stretches = (MaxBlockNumber - geometry->first_block) / geometry->stretch_blocks;

	return (uint32) Min(stretches * geometry->stretch_entries,
						PG_UINT32_MAX - geometry->stretch_entries);
}

BlockNumber
ek_coarse_block(const ek_geometry *geometry, uint32 coarse_page)
{
	return geometry->first_block +
		coarse_page / EK_STRETCH_PAGES * geometry->stretch_blocks +
		coarse_page % EK_STRETCH_PAGES;
}

ek_place
ek_place_of(const ek_geometry *geometry, uint32 entry)
{
	uint32		stretch = entry / geometry->stretch_entries;
	uint32		within = entry % geometry->stretch_entries;
	uint32		on_page = within % geometry->coarse_per_page;
	BlockNumber begin = geometry->first_block + stretch * geometry->stretch_blocks;

	return (ek_place)
	{
		.coarse_block = begin + within / geometry->coarse_per_page,
			.group = on_page / EK_LANES,
			.lane = on_page % EK_LANES,
			.fine_block = begin + EK_STRETCH_PAGES + within / geometry->fine_per_page,
			.fine_slot = within % geometry->fine_per_page
	};
}

ek_group *
ek_group_on(const ek_geometry *geometry, Page page, uint32 group)
{
	return (ek_group *) (contents(page) + group * geometry->group_size);
}

int8 *
ek_group_codes(ek_group *group)
{
	return (int8 *) group + MAXALIGN(sizeof(ek_group));
}

ek_fine *
ek_fine_on(const ek_geometry *geometry, Page page, uint32 slot)
{
	return (ek_fine *) (contents(page) + slot * geometry->fine_size);
}

int8 *
ek_fine_codes(ek_fine *fine)
{
	return (int8 *) (fine + 1);
}

ItemPointer
ek_page_tids(Page page)
{
	return (ItemPointer) contents(page);
}

uint32
ek_tids_per_page(void)
{
	return (uint32) (usable_bytes() / sizeof(ItemPointerData));
}

float *
ek_page_floats(Page page)
{
	return (float *) (void *) contents(page);
}

uint32
ek_floats_per_page(void)
{
	return (uint32) (usable_bytes() / sizeof(float));
}

ek_page_opaque *
ek_page_opaque_of(Page page)
{
	return (ek_page_opaque *) PageGetSpecialPointer(page);
}

/* Where the contents of a page end.  Only coarse and fine pages ask for geometry. */
static LocationIndex
lower_of(ek_page_kind kind, const ek_geometry *geometry)
{
	Size		used = usable_bytes();

	if (kind == EK_PAGE_META)
		used = sizeof(ek_meta);
	else if (kind == EK_PAGE_COARSE)
		used = geometry->groups_per_page * geometry->group_size;
	else if (kind == EK_PAGE_FINE)
		used = geometry->fine_per_page * geometry->fine_size;
	return (LocationIndex) (MAXALIGN(SizeOfPageHeaderData) + used);
}

/*
 * All zeros between header and special space: entries are free.  pd_lower is
 * set to their end, for WAL leaves out what is between pd_lower and pd_upper.
 */
void
ek_page_init(Page page, ek_page_kind kind, const ek_geometry *geometry)
{
	PageInit(page, BLCKSZ, sizeof(ek_page_opaque));
	ek_page_opaque_of(page)->kind = (uint16) kind;
	ek_page_opaque_of(page)->magic = EK_PAGE_MAGIC;
	((PageHeader) page)->pd_lower = lower_of(kind, geometry);
	ek_page_seal(page);
}

ek_meta *
ek_meta_on(Page page)
{
	return (ek_meta *) contents(page);
}

void
ek_meta_init(Page page)
{
	ek_meta    *meta;

	ek_page_init(page, EK_PAGE_META, NULL);
	meta = ek_meta_on(page);
	meta->magic = EK_INDEX_MAGIC;
	meta->format = EK_INDEX_FORMAT;
	ek_page_seal(page);
}

void
ek_raise_corrupted(Relation index, const char *detail)
{
	ereport(ERROR,
			(errcode(ERRCODE_INDEX_CORRUPTED),
			 errmsg("index \"%s\" is corrupted", RelationGetRelationName(index)),
			 errdetail("%s.", detail),
			 errhint("REINDEX it.")));
}

void
ek_raise_corrupted_block(Relation index, BlockNumber block, const char *detail)
{
	ek_raise_corrupted(index, psprintf("Block %u: %s", block, detail));
}

bool
ek_page_is(Page page, ek_page_kind kind)
{
	const LocationIndex special = BLCKSZ - MAXALIGN(sizeof(ek_page_opaque));

	return !PageIsNew(page) &&
		((PageHeader) page)->pd_special == special &&
		((PageHeader) page)->pd_upper == special &&
		ek_page_opaque_of(page)->magic == EK_PAGE_MAGIC &&
		ek_page_opaque_of(page)->kind == (uint16) kind;
}

/* The pages of the entries, the last of which must be in the relation. */
static bool
has_room_for(const ek_meta *meta, BlockNumber blocks)
{
	ek_geometry geometry;

	if (meta->entries == 0)
		return true;
	geometry = ek_geometry_of(meta);
	return meta->entries <= ek_most_entries(&geometry) &&
		ek_place_of(&geometry, meta->entries - 1).fine_block < blocks;
}

/* Before the first vector there are NULLs and nothing else. */
static bool
is_consistent(const ek_meta *meta, BlockNumber blocks)
{
	const Size	per_page = ek_floats_per_page();
	const Size	floats = (Size) meta->coarse_dims * meta->dims;

	if (meta->null_pages >= blocks || meta->basis_pages >= blocks)
		return false;
	if (meta->dims == 0)
		return meta->coarse_dims == 0 && meta->basis_pages == 0 &&
			meta->first_block == 0 && meta->entries == 0 &&
			meta->free_entries == 0 && meta->free_hint == 0;
	return meta->dims <= EK_INDEX_MAX_DIMS &&
		meta->coarse_dims <= EK_MAX_COARSE_DIMS && meta->coarse_dims % 4 == 0 &&
		meta->basis_pages == (floats + per_page - 1) / per_page &&
		meta->first_block == (uint64) 1 + meta->null_pages + meta->basis_pages &&
		meta->free_entries <= meta->entries && meta->free_hint <= meta->entries;
}

static void
check_meta(Relation index, const ek_meta *meta, BlockNumber blocks)
{
	if (meta->magic != EK_INDEX_MAGIC)
		ek_raise_corrupted_block(index, EK_META_BLOCK, "this is not an engramk index");
	if (meta->format != EK_INDEX_FORMAT)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("index \"%s\" has format %u, but this library knows format %d",
						RelationGetRelationName(index), meta->format, EK_INDEX_FORMAT),
				 errhint("REINDEX it, or use the library that made it.")));

	if (!is_consistent(meta, blocks))
		ek_raise_corrupted_block(index, EK_META_BLOCK, "the metapage contradicts itself");
	if (!has_room_for(meta, blocks))
		ek_raise_corrupted_block(index, EK_META_BLOCK, "the metapage counts more entries than there are");
}

static pg_crc32c
checksum_of(Page page)
{
	pg_crc32c	crc;
	const char *begin = contents(page);
	const char *end = (char *) page + ((PageHeader) page)->pd_lower;

	INIT_CRC32C(crc);
	COMP_CRC32C(crc, begin, end - begin);
	FIN_CRC32C(crc);
	return crc;
}

void
ek_page_seal(Page page)
{
	ek_page_opaque_of(page)->checksum = checksum_of(page);
}

/*
 * A page with another end of its contents would be cut there when it is next
 * changed.
 */
static bool
has_its_size(Page page, ek_page_kind kind, const ek_geometry *geometry)
{
	return ek_page_is(page, kind) &&
		((PageHeader) page)->pd_lower == lower_of(kind, geometry);
}

static bool
is_sealed(Page page)
{
	return ek_page_opaque_of(page)->checksum == checksum_of(page);
}

/*
 * A checksum of each page is looked at once a backend: what was sound when it
 * was read is changed only by code that seals it again, and a microsecond for
 * each page would be most of the time of a scan.
 */
void
ek_require_page(Relation index, Buffer buffer, ek_page_kind kind,
				const ek_geometry *geometry)
{
	ek_cache   *cache = index->rd_amcache;
	BlockNumber block = BufferGetBlockNumber(buffer);
	const bool	remembers = cache != NULL && block < cache->verified_blocks;
	const bool	right = has_its_size(BufferGetPage(buffer), kind, geometry);

	if (right && remembers && (cache->verified[block / 8] & (1 << block % 8)))
		return;
	if (!right || !is_sealed(BufferGetPage(buffer)))
		ek_raise_corrupted_block(index, block, "the page is damaged, or not of the kind that belongs here");
	if (remembers)
		cache->verified[block / 8] |= (uint8) (1 << block % 8);
}

Buffer
ek_read_page(Relation index, BlockNumber block, int lock, ek_page_kind kind,
			 const ek_geometry *geometry)
{
	Buffer		buffer = ReadBuffer(index, block);

	LockBuffer(buffer, lock);
	ek_require_page(index, buffer, kind, geometry);
	if (kind == EK_PAGE_META)
		check_meta(index, ek_meta_on(BufferGetPage(buffer)),
				   RelationGetNumberOfBlocks(index));
	return buffer;
}

/*
 * Could a row of the table be there?  `blocks` is how many the table had when
 * last asked; 0 will do to begin with.  While somebody has the table open it
 * does not get shorter, so a pointer beyond its end is none of its rows, and
 * must not reach it: to read the block that is no block makes a table longer.
 */
bool
ek_tid_is_possible(Relation heap, ItemPointer tid, BlockNumber *blocks)
{
	const BlockNumber block = ItemPointerGetBlockNumberNoCheck(tid);
	const OffsetNumber offset = ItemPointerGetOffsetNumberNoCheck(tid);

	if (!BlockNumberIsValid(block) || offset == InvalidOffsetNumber)
		return false;
	/* another access method may number its rows as it likes */
	if (heap->rd_rel->relam != HEAP_TABLE_AM_OID)
		return true;
	if (block >= *blocks)
		*blocks = RelationGetNumberOfBlocks(heap);
	return block < *blocks && offset <= MaxOffsetNumber;
}

/* A new page at the end, locked, all zeros. */
Buffer
ek_extend(Relation index)
{
	Buffer		buffer;
	const bool	shared = !RELATION_IS_LOCAL(index);

	if (shared)
		LockRelationForExtension(index, ExclusiveLock);
	buffer = ReadBuffer(index, P_NEW);
	LockBuffer(buffer, BUFFER_LOCK_EXCLUSIVE);
	if (shared)
		UnlockRelationForExtension(index, ExclusiveLock);
	return buffer;
}

ek_meta
ek_read_meta(Relation index)
{
	Buffer		buffer = ek_read_page(index, EK_META_BLOCK, BUFFER_LOCK_SHARE,
									  EK_PAGE_META, NULL);
	ek_meta		meta = *ek_meta_on(BufferGetPage(buffer));

	UnlockReleaseBuffer(buffer);
	return meta;
}
