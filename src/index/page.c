/*
 * page.c
 *		The pages of an engramk index: what is where, and reading them safely.
 *
 * An entry's place follows from its number alone, so nothing points from page
 * to page.  Every page says what kind it is; a page that is not what its place
 * calls for is reported as corruption, whatever its bytes.
 *
 * In format 1 a stretch has 16 coarse pages, and rows are on them.  From format 2
 * on rows are on fine pages, so that a coarse page holds what a pass reads and no
 * more; all of a coarse page's entries are on fine pages of its own; and
 * stretches grow, so that a small index is small and a large one is read in
 * stretches of a megabyte, or two from format 3 on.  In format 4 a stretch begins with
 * the filter codes of its entries, which pay no heed to where a coarse page ends.
 *
 * Locks: the metapage before a coarse page before a fine page before a filter page,
 * and never two of a kind.  A scan holds one page at a time; in a pass by keys, a coarse page and
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

/*
 * Coarse pages of a stretch: in format 1; then of the first and of the largest, and
 * how many of each size there are before they double.  So no more than a fifth of the
 * coarse pages wait to be used.
 */
#define STRETCH_1		16
#define FIRST_STRETCH	4
#define LAST_STRETCH_2	128
#define LAST_STRETCH_3	256
#define OF_EACH_SIZE	4

/* Where codes begin on a coarse page from format 2 on, in bytes. */
#define CODES_BEGIN		EK_ALIGNMENT
StaticAssertDecl(MAXALIGN(SizeOfPageHeaderData) + sizeof(ek_coarse_header) <= CODES_BEGIN,
				 "the header of a coarse page reaches into its codes");

static inline uint32
divide_up(uint32 a, uint32 b)
{
	return (a + b - 1) / b;
}

static void
set_sizes_1(ek_geometry *g, int coarse_dims)
{
	g->group_size = MAXALIGN(sizeof(ek_group)) + (Size) EK_LANES * coarse_dims;
	g->fine_size = INTALIGN(sizeof(ek_certificate) + g->dims);
	g->groups_per_page = (uint32) (usable_bytes() / g->group_size);
	g->coarse_per_page = g->groups_per_page * EK_LANES;
	g->fine_per_page = (uint32) (usable_bytes() / g->fine_size);
	g->fine_pages = divide_up(g->coarse_per_page * STRETCH_1, g->fine_per_page);
	g->first_stretch = g->last_stretch = STRETCH_1;
}

static void
set_sizes(ek_geometry *g, int steps)
{
	const Size	certificates = EK_LANES * (sizeof(uint16) + sizeof(float));
	const Size	usable = usable_bytes() + MAXALIGN(SizeOfPageHeaderData) - CODES_BEGIN;

	g->group_size = (Size) steps * EK_STEP_BYTES;
	g->fine_size = MAXALIGN(sizeof(ek_row_header) + sizeof(ek_certificate) + g->dims);
	g->groups_per_page = (uint32) (usable / (g->group_size + certificates));
	g->coarse_per_page = g->groups_per_page * EK_LANES;
	g->fine_per_page = (uint32) (usable_bytes() / g->fine_size);
	g->fine_pages = divide_up(g->coarse_per_page, g->fine_per_page);
	g->first_stretch = FIRST_STRETCH;
	g->last_stretch = g->format == EK_FORMAT_2 ? LAST_STRETCH_2 : LAST_STRETCH_3;
}

static void
set_filters(ek_geometry *g, const ek_meta *meta)
{
	const Size	usable = usable_bytes() + MAXALIGN(SizeOfPageHeaderData) - CODES_BEGIN;
	Size		size = 0;

	g->filters = meta->filters;
	memcpy(g->filter_bytes, meta->filter_bytes, sizeof(g->filter_bytes));
	for (uint32 i = 0; i < g->filters; i++)
		size += g->filter_bytes[i];
	if (size > 0)
		g->filter_per_page = (uint32) (usable / (size * EK_LANES)) * EK_LANES;
}

uint32
ek_slot_pages(uint32 dims)
{
	const Size	bytes = ek_basis_bytes(EK_FORMAT_3, Min(EK_MAX_COARSE_DIMS, (int) dims), dims);

	return (uint32) ((bytes + usable_bytes() - 1) / usable_bytes());
}

static void
set_gaps(ek_geometry *g, const ek_meta *meta)
{
	for (int i = 0; i < EK_BASIS_SLOTS; i++)
	{
		if (meta->slots[i].from > 0)
			g->gaps[i] = (ek_gap) {meta->slots[i].from, ek_slot_pages(meta->dims)};
	}
}

ek_geometry
ek_geometry_of(const ek_meta *meta)
{
	ek_geometry g = {
		.format = (ek_format) meta->format,
		.arithmetic = (ek_arithmetic) meta->arithmetic,
		.dims = (int) meta->dims,
		.basis_id = meta->basis_id,
		.first_block = meta->first_block
	};

	if (g.format == EK_FORMAT_1)
		set_sizes_1(&g, meta->coarse_dims);
	else if (g.format == EK_FORMAT_2)
		set_sizes(&g, meta->steps4 + meta->steps2);
	else
	{
		g.basis_id = meta->current;
		set_sizes(&g, (int) meta->steps);
		set_gaps(&g, meta);
		set_filters(&g, meta);
	}
	return g;
}

double
ek_pass_bytes(const ek_geometry *g, Size group_size)
{
	return (double) group_size / EK_LANES + (g->format == EK_FORMAT_1 ? 0 : sizeof(uint16));
}

double
ek_size_bytes(const ek_geometry *g)
{
	const uint64 stretch = g->format == EK_FORMAT_1 ? STRETCH_1 : 1;
	const uint64 pages = stretch + g->fine_pages;
	const double filters = g->filters == 0 ? 0.0 : (double) BLCKSZ / g->filter_per_page;

	return (double) (pages * BLCKSZ) / (double) (stretch * g->coarse_per_page) + filters;
}

uint32
ek_coarse_pages(const ek_meta *meta, const ek_geometry *g)
{
	return divide_up(meta->entries, g->coarse_per_page);
}

/* A stretch, by its coarse pages. */
typedef struct stretch
{
	uint32		first;			/* number of its first coarse page */
	uint32		pages;
	BlockNumber begin;			/* its first block */
	BlockNumber block;			/* of its first coarse page */
} stretch;

/* Blocks of so many coarse pages and of the fine pages of the same entries. */
static inline uint64
blocks_of(const ek_geometry *g, uint32 coarse_pages)
{
	if (g->format == EK_FORMAT_1)
		return (uint64) coarse_pages / STRETCH_1 * (STRETCH_1 + g->fine_pages);
	return (uint64) coarse_pages * (1 + g->fine_pages);
}

/* Blocks of the filter codes of a stretch. */
static inline uint32
filter_pages_of(const ek_geometry *g, uint32 coarse_pages)
{
	return g->filters == 0 ? 0 : divide_up(coarse_pages * g->coarse_per_page, g->filter_per_page);
}

/* Blocks that a stretch takes, without room for a basis before it. */
static inline uint64
stretch_blocks(const ek_geometry *g, uint32 coarse_pages)
{
	return filter_pages_of(g, coarse_pages) + blocks_of(g, coarse_pages);
}

/* The stretches before those of the largest size, in coarse pages. */
static inline uint32
growing_pages(const ek_geometry *g)
{
	return OF_EACH_SIZE * (g->last_stretch - g->first_stretch);
}

/* Blocks of the filter codes of all stretches before those of the largest size. */
static inline uint32
growing_filter_pages(const ek_geometry *g)
{
	uint32		sum = 0;

	for (uint32 pages = g->first_stretch; g->filters > 0 && pages < g->last_stretch; pages *= 2)
		sum += OF_EACH_SIZE * filter_pages_of(g, pages);
	return sum;
}

static stretch
stretch_of(const ek_geometry *g, uint32 coarse_page)
{
	stretch		s = {.pages = g->first_stretch};
	uint32		before = 0;		/* blocks of filter codes */
	uint32		of_its_size;

	if (coarse_page >= growing_pages(g))
	{
		s = (stretch) {.first = growing_pages(g),.pages = g->last_stretch};
		before = growing_filter_pages(g);
	}
	while (s.pages < g->last_stretch && coarse_page >= s.first + OF_EACH_SIZE * s.pages)
	{
		before += OF_EACH_SIZE * filter_pages_of(g, s.pages);
		s.first += OF_EACH_SIZE * s.pages;
		s.pages *= 2;
	}
	of_its_size = (coarse_page - s.first) / s.pages;
	before += of_its_size * filter_pages_of(g, s.pages);
	s.first += of_its_size * s.pages;
	s.begin = g->first_block + (BlockNumber) blocks_of(g, s.first) + before;
	for (int i = 0; i < EK_BASIS_SLOTS; i++)
	{
		if (s.first >= g->gaps[i].from)
			s.begin += g->gaps[i].blocks;
	}
	s.block = s.begin + filter_pages_of(g, s.pages);
	return s;
}

/* The first coarse page from this one on with which a stretch begins. */
uint32
ek_next_stretch(const ek_geometry *g, uint32 coarse_page)
{
	const stretch s = stretch_of(g, coarse_page);

	return s.first == coarse_page ? coarse_page : s.first + s.pages;
}

/* As many as numbers and blocks can count; half of them, so that they fit an int. */
uint32
ek_most_entries(const ek_geometry *g)
{
	const uint32 most = g->format == EK_FORMAT_1 ? PG_UINT32_MAX : PG_INT32_MAX;
	const uint32 unit = g->last_stretch;
	const uint64 gaps = (uint64) g->gaps[0].blocks + g->gaps[1].blocks;
	const uint64 units = (MaxBlockNumber - g->first_block - gaps) / stretch_blocks(g, unit);

	return (uint32) Min((units - 1) * unit * g->coarse_per_page,
						most - unit * g->coarse_per_page);
}

BlockNumber
ek_coarse_block(const ek_geometry *geometry, uint32 coarse_page)
{
	const stretch s = stretch_of(geometry, coarse_page);

	return s.block + (coarse_page - s.first);
}

BlockNumber
ek_stretch_block(const ek_geometry *geometry, uint32 coarse_page)
{
	return stretch_of(geometry, coarse_page).begin;
}

ek_place
ek_place_of(const ek_geometry *g, uint32 entry)
{
	const uint32 coarse_page = entry / g->coarse_per_page;
	const uint32 on_page = entry % g->coarse_per_page;
	const stretch s = stretch_of(g, coarse_page);
	const uint32 page = coarse_page - s.first;
	ek_place	place = {
		.coarse_block = s.block + page,
		.group = on_page / EK_LANES,
		.lane = on_page % EK_LANES
	};

	if (g->format == EK_FORMAT_1)
	{
		const uint32 within = page * g->coarse_per_page + on_page;

		place.fine_block = s.block + s.pages + within / g->fine_per_page;
		place.fine_slot = within % g->fine_per_page;
	}
	else
	{
		place.fine_block = s.block + s.pages + page * g->fine_pages + on_page / g->fine_per_page;
		place.fine_slot = on_page % g->fine_per_page;
	}
	if (g->filters > 0)
	{
		const uint32 within = page * g->coarse_per_page + on_page;

		place.filter_block = s.begin + within / g->filter_per_page;
		place.filter_slot = within % g->filter_per_page;
	}
	return place;
}

/* What belongs on a block from first_block on, where there are no gaps. */
ek_page_kind
ek_kind_of(const ek_geometry *g, BlockNumber block)
{
	uint32		pages = g->first_stretch;
	uint64		within = block - g->first_block;

	while (pages < g->last_stretch && within >= OF_EACH_SIZE * stretch_blocks(g, pages))
	{
		within -= OF_EACH_SIZE * stretch_blocks(g, pages);
		pages *= 2;
	}
	within %= stretch_blocks(g, pages);
	if (within < filter_pages_of(g, pages))
		return EK_PAGE_FILTER;
	return within < filter_pages_of(g, pages) + pages ? EK_PAGE_COARSE : EK_PAGE_FINE;
}

/* The page with the row of an entry. */
ek_row_page
ek_row_page_of(const ek_geometry *g, uint32 entry)
{
	const ek_place place = ek_place_of(g, entry);
	const uint32 coarse_first = entry - entry % g->coarse_per_page;
	const uint32 coarse_end = coarse_first + g->coarse_per_page;
	const uint32 first = entry - place.fine_slot;

	if (g->format == EK_FORMAT_1)
		return (ek_row_page) {place.coarse_block, EK_PAGE_COARSE, coarse_first, coarse_end};
	return (ek_row_page) {place.fine_block, EK_PAGE_FINE, first, Min(first + g->fine_per_page, coarse_end)};
}

/* What the page of a row says of it: its coarse page in format 1, its fine page in others. */
ek_entry_row
ek_row_on(const ek_geometry *g, Page page, const ek_place *place)
{
	ek_row_header *header;

	if (g->format == EK_FORMAT_1)
	{
		ek_group   *group = ek_group_on(g, page, place->group);

		return (ek_entry_row) {&group->norm[place->lane], &group->tid[place->lane],
			&group->state[place->lane]};
	}
	header = (ek_row_header *) (contents(page) + place->fine_slot * g->fine_size);
	return (ek_entry_row) {&header->norm, &header->tid, &header->state};
}

void
ek_reach_to(const ek_geometry *geometry, Page page, const ek_place *place)
{
	PageHeader	header = (PageHeader) page;
	const Size	end = MAXALIGN(SizeOfPageHeaderData) + (place->fine_slot + 1) * geometry->fine_size;

	header->pd_lower = Max(header->pd_lower, (LocationIndex) end);
}

ek_coarse_header *
ek_coarse_header_on(Page page)
{
	return (ek_coarse_header *) contents(page);
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

uint8 *
ek_codes_on(Page page)
{
	return (uint8 *) page + CODES_BEGIN;
}

uint16 *
ek_residuals_on(const ek_geometry *g, Page page)
{
	return (uint16 *) (ek_codes_on(page) + g->groups_per_page * g->group_size);
}

float *
ek_norms_on(const ek_geometry *g, Page page)
{
	return (float *) (ek_residuals_on(g, page) + g->coarse_per_page);
}

ek_certificate *
ek_fine_on(const ek_geometry *geometry, Page page, uint32 slot)
{
	const Size	before = geometry->format == EK_FORMAT_1 ? 0 : sizeof(ek_row_header);

	return (ek_certificate *) (contents(page) + slot * geometry->fine_size + before);
}

int8 *
ek_fine_codes(ek_certificate *fine)
{
	return (int8 *) (fine + 1);
}

/* Where the codes of a filter begin, from the page's beginning on. */
static Size
filter_begin(const ek_geometry *g, uint32 filter)
{
	Size		begin = CODES_BEGIN;

	for (uint32 i = 0; i < filter; i++)
		begin += (Size) g->filter_per_page * g->filter_bytes[i];
	return begin;
}

uint32 *
ek_filter_codes_on(const ek_geometry *geometry, Page page, uint32 filter)
{
	return (uint32 *) (void *) ((char *) page + filter_begin(geometry, filter));
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

char *
ek_page_bytes(Page page)
{
	return contents(page);
}

uint32
ek_bytes_per_page(void)
{
	return (uint32) usable_bytes();
}

ek_page_opaque *
ek_page_opaque_of(Page page)
{
	return (ek_page_opaque *) PageGetSpecialPointer(page);
}

Size
ek_meta_size(ek_format format)
{
	if (format < EK_FORMAT_3)
		return offsetof(ek_meta, steps);
	if (format == EK_FORMAT_3)
		return offsetof(ek_meta, filters);
	return format == EK_FORMAT_4 ? offsetof(ek_meta, arithmetic) : sizeof(ek_meta);
}

/* After the metapage's struct. */
static inline Size
map_begin(ek_format format)
{
	return MAXALIGN(SizeOfPageHeaderData) + MAXALIGN(ek_meta_size(format));
}

uint32
ek_mapped_sections(ek_format format)
{
	return (uint32) (BLCKSZ - MAXALIGN(sizeof(ek_page_opaque)) - map_begin(format)) * 8;
}

uint8 *
ek_map_on(Page page)
{
	return (uint8 *) page + map_begin((ek_format) ek_meta_on(page)->format);
}

static Size
coarse_bytes(const ek_geometry *g)
{
	if (g->format == EK_FORMAT_1)
		return g->groups_per_page * g->group_size;
	return CODES_BEGIN - MAXALIGN(SizeOfPageHeaderData) + g->groups_per_page * g->group_size +
		g->coarse_per_page * (sizeof(uint16) + sizeof(float));
}

/* Where the contents of a page end, at most.  Coarse, fine and filter pages ask for geometry. */
static LocationIndex
lower_of(ek_page_kind kind, const ek_geometry *geometry)
{
	Size		used = usable_bytes();

	if (geometry != NULL && kind == EK_PAGE_COARSE)
		used = coarse_bytes(geometry);
	else if (geometry != NULL && kind == EK_PAGE_FINE)
		used = geometry->fine_per_page * geometry->fine_size;
	else if (geometry != NULL && kind == EK_PAGE_FILTER)
		return (LocationIndex) filter_begin(geometry, geometry->filters);
	return (LocationIndex) (MAXALIGN(SizeOfPageHeaderData) + used);
}

/* The map of a metapage of format 3 reaches to its end. */
static LocationIndex
meta_lower(ek_format format)
{
	if (format >= EK_FORMAT_3)
		return lower_of(EK_PAGE_META, NULL);
	return (LocationIndex) (MAXALIGN(SizeOfPageHeaderData) + ek_meta_size(format));
}

/*
 * All zeros between header and special space, which makes rows free; what no
 * row stands behind never survives.  pd_lower is set to their end, for WAL
 * leaves out what is between pd_lower and pd_upper; on a fine page of format 3 it
 * is the end of the last entry that was ever used.
 */
void
ek_page_init(Page page, ek_page_kind kind, const ek_geometry *geometry)
{
	PageInit(page, BLCKSZ, sizeof(ek_page_opaque));
	ek_page_opaque_of(page)->kind = (uint16) kind;
	ek_page_opaque_of(page)->magic = EK_PAGE_MAGIC;
	((PageHeader) page)->pd_lower = lower_of(kind, geometry);
	if (kind == EK_PAGE_FINE && geometry->format >= EK_FORMAT_3)
		((PageHeader) page)->pd_lower = MAXALIGN(SizeOfPageHeaderData);
	if (kind == EK_PAGE_COARSE && geometry->format != EK_FORMAT_1)
	{
		ek_page_opaque_of(page)->count = geometry->basis_id;
		for (uint32 i = 0; i < geometry->coarse_per_page; i++)
			ek_forget_coarse(geometry, page, &(ek_place)
							 {
								 .group = i / EK_LANES,.lane = i % EK_LANES
							 });
	}
	ek_page_seal(page);
}

ek_meta *
ek_meta_on(Page page)
{
	return (ek_meta *) contents(page);
}

void
ek_meta_init(Page page, const ek_meta *meta)
{
	const ek_format format = (ek_format) meta->format;

	ek_page_init(page, EK_PAGE_META, NULL);
	((PageHeader) page)->pd_lower = meta_lower(format);
	memcpy(ek_meta_on(page), meta, ek_meta_size(format));
	ek_page_seal(page);
}

void
ek_raise_full(Relation index)
{
	ereport(ERROR,
			(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
			 errmsg("index \"%s\" is full", RelationGetRelationName(index))));
}

/* What formats do not have is zeros. */
ek_meta
ek_copy_meta(Page page)
{
	ek_meta		meta = {0};

	memcpy(&meta, ek_meta_on(page), ek_meta_size((ek_format) ek_meta_on(page)->format));
	return meta;
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

/*
 * The pages of the entries, the last of which must be in the relation; in format 3
 * the last coarse page, for fine pages that nobody used may be lost in a crash.
 */
static bool
has_room_for(const ek_meta *meta, BlockNumber blocks)
{
	ek_geometry geometry;
	ek_place	last;

	if (meta->entries == 0)
		return true;
	geometry = ek_geometry_of(meta);
	if (meta->entries > ek_most_entries(&geometry))
		return false;
	last = ek_place_of(&geometry, meta->entries - 1);
	return (geometry.format >= EK_FORMAT_3 ? last.coarse_block : last.fine_block) < blocks;
}

/*
 * What is in a slot.  Its pages must be there; where there is only room, they may
 * not be yet, on a standby or after a crash.
 */
static bool
is_possible_slot(const ek_meta *meta, const ek_basis_slot *slot, BlockNumber blocks)
{
	const uint32 pages = ek_slot_pages(meta->dims);

	if (slot->id == 0)
		return slot->coarse_dims == 0 && slot->steps4 == 0 && slot->steps2 == 0;
	return slot->block > 0 && slot->block < blocks && blocks - slot->block >= pages &&
		slot->coarse_dims > 0 && slot->coarse_dims <= EK_MAX_COARSE_DIMS && slot->coarse_dims <= meta->dims &&
		slot->steps4 + slot->steps2 > 0 && (uint32) slot->steps4 + slot->steps2 <= meta->steps &&
		slot->id <= meta->current;
}

/*
 * Where the room of a slot is: before the first stretch, or before the one that it
 * says, and then the other one may be there, too.
 */
static bool
is_in_place(const ek_meta *meta, const ek_geometry *geometry, const ek_basis_slot *slot,
			const ek_basis_slot *other)
{
	const uint32 pages = ek_slot_pages(meta->dims);
	BlockNumber end;

	if (slot->block == 0)
		return slot->from == 0;
	if (slot->block == other->block || (slot->id != 0 && slot->id == other->id))
		return false;
	if (slot->from == 0)
		return meta->basis_pages > 0 && slot->block == meta->null_pages + 1;
	end = ek_stretch_block(geometry, slot->from);
	return slot->block == end - pages || (other->from == slot->from && slot->block == end - 2 * pages);
}

/* Format 3: a stretch begins where a gap ends, and the basis in use is there. */
static bool
has_possible_slots(const ek_meta *meta, BlockNumber blocks)
{
	bool		has_current = meta->current == 0;
	ek_geometry geometry;

	if (meta->steps == 0 || meta->steps > EK_MAX_STEPS || meta->free_entries != 0 || meta->free_hint != 0 ||
		meta->coarse_dims != 0 || meta->steps4 != 0 || meta->steps2 != 0 || meta->basis_id != 0)
		return false;
	geometry = ek_geometry_of(meta);
	for (int i = 0; i < EK_BASIS_SLOTS; i++)
	{
		const ek_basis_slot *slot = &meta->slots[i];

		if (!is_possible_slot(meta, slot, blocks))
			return false;
		has_current |= slot->id == meta->current;
		if (slot->from > 0 && (ek_next_stretch(&geometry, slot->from) != slot->from ||
							   slot->from > ek_coarse_pages(meta, &geometry) + geometry.last_stretch))
			return false;
		if (!is_in_place(meta, &geometry, slot, &meta->slots[EK_BASIS_SLOTS - 1 - i]))
			return false;
	}
	return has_current && meta->entries % geometry.coarse_per_page == 0;
}

static bool
has_possible_code(const ek_meta *meta)
{
	if (meta->format == EK_FORMAT_1)
		return meta->coarse_dims <= EK_MAX_COARSE_DIMS_1 && meta->coarse_dims % 4 == 0 &&
			meta->steps4 == 0 && meta->steps2 == 0 && meta->basis_id == 0;
	return meta->coarse_dims <= EK_MAX_COARSE_DIMS &&
		meta->steps4 + meta->steps2 <= EK_MAX_STEPS &&
		(meta->coarse_dims == 0) == (meta->steps4 + meta->steps2 == 0) &&
		(meta->coarse_dims == 0) == (meta->basis_id == 0);
}

/* An index has filters from its beginning on, or never; and so it is with arithmetic. */
static bool
has_possible_columns(const ek_meta *meta)
{
	if (meta->format != EK_FORMAT_5 && (meta->format == EK_FORMAT_4) != (meta->filters > 0))
		return false;
	if (meta->filters > EK_MOST_FILTERS ||
		meta->arithmetic != (meta->format == EK_FORMAT_5 ? EK_SUMS_IN_FLOAT : EK_SUMS_IN_DOUBLE))
		return false;
	for (uint32 i = 0; i < EK_MOST_FILTERS; i++)
	{
		const uint32 bytes = meta->filter_bytes[i];

		if (i < meta->filters ? bytes != sizeof(uint32) && bytes != sizeof(uint64) : bytes != 0)
			return false;
	}
	return true;
}

/* Before the first vector there are NULLs, and perhaps filters, and nothing else. */
static bool
is_consistent(const ek_meta *meta, BlockNumber blocks)
{
	const Size	per_page = ek_bytes_per_page();
	const Size	basis = ek_basis_bytes((ek_format) meta->format, meta->coarse_dims, meta->dims);

	if (meta->null_pages >= blocks || meta->basis_pages >= blocks || !has_possible_columns(meta))
		return false;
	if (meta->dims == 0)
		return meta->coarse_dims == 0 && meta->basis_pages == 0 &&
			meta->first_block == 0 && meta->entries == 0 &&
			meta->free_entries == 0 && meta->free_hint == 0;
	if (meta->dims > EK_INDEX_MAX_DIMS ||
		meta->first_block != (uint64) 1 + meta->null_pages + meta->basis_pages)
		return false;
	if (meta->format >= EK_FORMAT_3)
		return (meta->basis_pages == 0 || meta->basis_pages == ek_slot_pages(meta->dims)) &&
			has_possible_slots(meta, blocks);
	return has_possible_code(meta) && meta->basis_pages == (basis + per_page - 1) / per_page &&
		meta->free_entries <= meta->entries && meta->free_hint <= meta->entries;
}

/* What a query asks of a column is asked of codes as the catalog has it. */
static bool
has_columns_of(Relation index, const ek_meta *meta)
{
	ek_meta		expected = {0};

	ek_describe_columns(index, &expected);
	return meta->arithmetic == expected.arithmetic && meta->filters == expected.filters &&
		memcmp(meta->filter_bytes, expected.filter_bytes, sizeof(meta->filter_bytes)) == 0;
}

static void
check_meta(Relation index, const ek_meta *meta, BlockNumber blocks)
{
	if (meta->magic != EK_INDEX_MAGIC)
		ek_raise_corrupted_block(index, EK_META_BLOCK, "this is not an engramk index");
	if (meta->format < EK_FORMAT_1 || meta->format > EK_FORMAT_5)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("index \"%s\" has format %u, but this library knows formats %d to %d",
						RelationGetRelationName(index), meta->format, EK_FORMAT_1, EK_FORMAT_5),
				 errhint("REINDEX it, or use the library that made it.")));

	if (!is_consistent(meta, blocks))
		ek_raise_corrupted_block(index, EK_META_BLOCK, "the metapage contradicts itself");
	if (!has_columns_of(index, meta))
		ek_raise_corrupted_block(index, EK_META_BLOCK, "the metapage is of other columns than the index has");
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

/* In format 3 whoever reads codes looks for the basis that the page names. */
static bool
has_known_basis(Page page, const ek_geometry *geometry)
{
	return geometry->format >= EK_FORMAT_3 || ek_page_opaque_of(page)->count == geometry->basis_id;
}

/* A page with another end of its contents would be cut there when it is next changed. */
static bool
has_possible_end(Page page, ek_page_kind kind, const ek_geometry *geometry)
{
	const LocationIndex lower = ((PageHeader) page)->pd_lower;

	if (kind == EK_PAGE_META)
		return lower == meta_lower((ek_format) ek_meta_on(page)->format);
	if (kind == EK_PAGE_FINE && geometry->format >= EK_FORMAT_3)
		return lower >= MAXALIGN(SizeOfPageHeaderData) && lower <= lower_of(kind, geometry);
	return lower == lower_of(kind, geometry);
}

/* Codes in another basis would be read as codes in this one. */
static bool
belongs_here(Page page, ek_page_kind kind, const ek_geometry *geometry)
{
	return ek_page_is(page, kind) && has_possible_end(page, kind, geometry) &&
		(kind != EK_PAGE_COARSE || has_known_basis(page, geometry));
}

/* Nothing is between the end of the contents and the special space. */
static bool
is_sealed(Page page)
{
	const PageHeader header = (PageHeader) page;

	for (LocationIndex i = header->pd_lower; i < header->pd_upper; i++)
	{
		if (((char *) page)[i] != 0)
			return false;
	}
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
	BlockNumber block = BufferGetBlockNumber(buffer);
	const bool	right = belongs_here(BufferGetPage(buffer), kind, geometry);

	if (right && ek_is_verified(index, block))
		return;
	if (!right || !is_sealed(BufferGetPage(buffer)))
		ek_raise_corrupted_block(index, block, "the page is damaged, or not of the kind that belongs here");
	ek_set_verified(index, block);
}

bool
ek_require_used_page(Relation index, Buffer buffer, ek_page_kind kind,
					 const ek_geometry *geometry)
{
	if (geometry->format >= EK_FORMAT_3 && kind != EK_PAGE_COARSE && PageIsNew(BufferGetPage(buffer)))
		return false;
	ek_require_page(index, buffer, kind, geometry);
	return true;
}

Buffer
ek_read_page(Relation index, BlockNumber block, int lock, ek_page_kind kind,
			 const ek_geometry *geometry)
{
	Buffer		buffer = ek_pin(index, block);

	LockBuffer(buffer, lock);
	ek_require_page(index, buffer, kind, geometry);
	if (kind == EK_PAGE_META)
	{
		const ek_meta meta = ek_copy_meta(BufferGetPage(buffer));

		check_meta(index, &meta, RelationGetNumberOfBlocks(index));
	}
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

/* Formats a page that stands at the end of the relation, in its own record. */
void
ek_add_page(Relation index, ek_page_kind kind, const ek_geometry *geometry)
{
	Buffer		buffer = ek_extend(index);
	GenericXLogState *state = GenericXLogStart(index);
	Page		page = GenericXLogRegisterBuffer(state, buffer, GENERIC_XLOG_FULL_IMAGE);

	ek_page_init(page, kind, geometry);
	GenericXLogFinish(state);
	UnlockReleaseBuffer(buffer);
}

/*
 * Before the first use of a page: an insert that was interrupted may have left
 * it unformatted, or formatted for something that never came to be.
 */
void
ek_ensure_kind(Relation index, BlockNumber block, ek_page_kind kind,
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
 * Not by way of buffers, which would drive out others: a stretch is many pages, and
 * most of them are used much later.
 */
void
ek_extend_to(Relation index, BlockNumber block)
{
	const bool	shared = !RELATION_IS_LOCAL(index);
	BlockNumber end;

	if (shared)
		LockRelationForExtension(index, ExclusiveLock);
	end = RelationGetNumberOfBlocks(index);
	if (end <= block)
		ek_smgr_zeroextend(RelationGetSmgr(index), end, block + 1 - end);
	if (shared)
		UnlockRelationForExtension(index, ExclusiveLock);
}

ek_meta
ek_read_meta(Relation index)
{
	Buffer		buffer = ek_read_page(index, EK_META_BLOCK, BUFFER_LOCK_SHARE,
									  EK_PAGE_META, NULL);
	ek_meta		meta = ek_copy_meta(BufferGetPage(buffer));

	UnlockReleaseBuffer(buffer);
	return meta;
}

bool
ek_peek(Relation index, uint32 *format, uint32 *dims)
{
	Buffer		buffer = ReadBuffer(index, EK_META_BLOCK);
	Page		page = BufferGetPage(buffer);
	bool		known;

	LockBuffer(buffer, BUFFER_LOCK_SHARE);
	known = ek_page_is(page, EK_PAGE_META);
	if (known)
	{
		*format = ek_meta_on(page)->format;
		*dims = Min(ek_meta_on(page)->dims, EK_INDEX_MAX_DIMS);
	}
	UnlockReleaseBuffer(buffer);
	return known;
}

/*
 * The last section may have fewer pages than others, and is never said to be empty.
 */
ek_live_pages
ek_find_live_pages(Relation index, const ek_meta *meta, const ek_geometry *geometry)
{
	const uint32 pages = ek_coarse_pages(meta, geometry);
	const uint32 sections = divide_up(pages, EK_SECTION);
	ek_live_pages live = {.count = pages};
	uint32		count = 0;
	Buffer		buffer;
	const uint8 *map;

	if (geometry->format < EK_FORMAT_3 || sections == 0)
		return live;
	live.sections = palloc(sizeof(uint32) * sections);
	buffer = ek_read_page(index, EK_META_BLOCK, BUFFER_LOCK_SHARE, EK_PAGE_META, NULL);
	map = ek_map_on(BufferGetPage(buffer));
	for (uint32 section = 0; section < sections; section++)
	{
		if (section == sections - 1 || section >= ek_mapped_sections(geometry->format) ||
			!ek_is_empty_section(map, section))
			live.sections[count++] = section;
	}
	UnlockReleaseBuffer(buffer);
	live.count -= (sections - count) * EK_SECTION;
	return live;
}
