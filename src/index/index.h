/*
 * index.h
 *		The engramk access method: what its files share, grouped by file.
 *
 * An engramk index answers ORDER BY embedding <=> $1 (and <#>, and <->) with
 * the rows and distances of a sequential scan, always.  It holds codes of the
 * vectors, and each code comes with a certificate: a proven limit of how far
 * it is from the vector.  From codes and certificates follows a bound of each
 * distance, never above what the operator computes; a scan returns rows in
 * order of their bounds and the executor sorts them by their true distances.
 *
 * entry: a heap pointer with its codes, or with the fact that the vector is
 * NULL.  Entries are numbered from 0 and never move: where an entry stands
 * follows from its number.
 * coarse code: a few coordinates of a vector in a basis of its own, read for
 * every entry.  fine code: 8 bits for each dimension, read for survivors only.
 *
 * The proofs are in docs/exact-index.md.
 */
#ifndef EK_INDEX_H
#define EK_INDEX_H

#include "access/amapi.h"
#include "access/generic_xlog.h"
#include "nodes/execnodes.h"
#include "nodes/pathnodes.h"
#include "port/pg_crc32c.h"
#include "storage/bufmgr.h"
#include "utils/array.h"
#include "utils/rel.h"

#include "base/certificate.h"
#include "base/compat.h"
#include "base/metric.h"
#include "simd/ek_simd.h"
#include "vector/encode.h"
#include "vector/vector.h"

/*
 * Five formats are read and written: what SQL version 1.8 builds of other types than
 * real[]; what 1.7 does of that with filter columns, and without, as 1.6 did; what 1.5
 * did; and what 1.2 to 1.4 did.  The first has a coarse code of its own, coarse_1.c, and
 * the others share one, coarse.c.  From the third on a coarse page says itself which of
 * its entries are in use and which basis its codes are in, so that many can insert
 * at once, insert.c, and codes can be exchanged for better ones, learn.c.  What it
 * takes to insert into the first two is in insert_2.c.  The fourth is the third with
 * pages of filter codes, filter.c.  The fifth is either of them, with distances that are
 * computed in another way.
 */
typedef enum ek_format
{
	EK_FORMAT_1 = 1,
	EK_FORMAT_2,
	EK_FORMAT_3,
	EK_FORMAT_4,
	EK_FORMAT_5
} ek_format;

/*
 * page.c: where things are
 *
 * block 0			metapage
 * 1 ..				pages of heap pointers of NULLs that came before the first
 *					vector, when the number of dimensions was not known
 * ..				the basis, if the build found one
 * first_block ..	stretches, one after another: in format 4 the filter codes of
 *					some coarse pages; these coarse pages; then the fine pages of
 *					the same entries, which are added as they are needed; from
 *					format 3 on, between two of them, room for a basis that was
 *					found later
 */
#define EK_INDEX_MAGIC		0x454b4958
#define EK_META_BLOCK		0

/* A fine code must fit a page; so 8,000 with pages of 8 kB. */
#define EK_INDEX_MAX_DIMS	(BLCKSZ / 1024 * 1000)

/* Coordinates of a coarse code, at most, and its steps. */
#define EK_MAX_COARSE_DIMS_1	128
#define EK_MAX_COARSE_DIMS	160
#define EK_MAX_STEPS		32

typedef enum ek_page_kind
{
	EK_PAGE_META = 1,
	EK_PAGE_NULLS,
	EK_PAGE_BASIS,
	EK_PAGE_COARSE,
	EK_PAGE_FINE,
	EK_PAGE_FILTER
} ek_page_kind;

/* In the special space of every page. */
typedef struct ek_page_opaque
{
	uint16		kind;
	uint16		magic;
	uint32		count;			/* pointers on a page of NULLs; from format 2 on, on
								 * a coarse page, the number of its basis; and in
								 * format 3 on the pages of a basis, too */
	pg_crc32c	checksum;		/* of everything before pd_lower but the header */
} ek_page_opaque;

#define EK_PAGE_MAGIC		0x454b

/* Bases of which an index of format 3 has room for: one in use, and one to come. */
#define EK_BASIS_SLOTS		2

/* Room for a basis, and what is there. */
typedef struct ek_basis_slot
{
	uint32		id;				/* of the basis; 0 if there is none */
	BlockNumber block;			/* its first; 0 if there is no room yet */
	uint32		from;			/* coarse pages that are before it; 0: all are after it */
	uint8		coarse_dims;
	uint8		steps4;
	uint8		steps2;
	uint8		unused;
} ek_basis_slot;

/* Columns of an index after its vector. */
#define EK_MOST_FILTERS		(INDEX_MAX_KEYS - 1)

typedef struct ek_meta
{
	uint32		magic;
	uint32		format;
	uint32		dims;			/* 0 before the first vector */
	/* bytes, in the place of a number of 4 bytes: that is what format 1 has */
#ifdef WORDS_BIGENDIAN
	uint8		basis_id,
				steps2,
				steps4,
				coarse_dims;
#else
	uint8		coarse_dims;	/* coordinates of the basis; 0 without */
	uint8		steps4;			/* of the coarse code, see ek_bound_query; 0 in format 1 */
	uint8		steps2;
	uint8		basis_id;		/* from 1 on; 0 without a basis, and in format 1 */
#endif
	uint32		null_pages;
	uint32		basis_pages;
	uint32		first_block;	/* of the first stretch */
	uint32		entries;		/* that exist, free ones included */
	uint32		free_entries;	/* that vacuum left for new ones */
	uint32		free_hint;		/* no free entry before this */
	uint32		sampled;		/* vectors that the basis was found from */

	/*
	 * Format 3, where the four bytes, free_entries and free_hint above are zeros,
	 * and entries are all those of the coarse pages that there are.
	 */
	uint32		steps;			/* of codes, that a coarse page has room for */
	uint32		current;		/* id of the basis of new codes; 0 without one */
	uint32		recoding;		/* are there pages with codes of another one? */
	uint32		cramped;		/* would codes be better if pages had room for longer ones? */
	uint32		tried;			/* vectors, when a basis was last looked for */
	float		tried_residual; /* their mean, then */
	ek_basis_slot slots[EK_BASIS_SLOTS];

	/* from format 4 on */
	uint8		filters;		/* columns after the vector */
	uint8		filter_bytes[EK_MOST_FILTERS];	/* of a code of each: 4 or 8 */

	/* format 5 */
	uint32		arithmetic;		/* of the operators: see ek_arithmetic */
} ek_meta;

/*
 * From format 3 on the rest of the metapage is a map of the index: a bit for each
 * EK_SECTION coarse pages, set if no entry on them is in use, so that scans leave
 * them out.  An index beyond the map has all of its pages looked at.
 */
#define EK_SECTION			64

/* What an entry is; anything else is corruption. */
typedef enum ek_entry_state
{
	EK_ENTRY_FREE,
	EK_ENTRY_VECTOR,
	EK_ENTRY_ZERO,				/* a zero vector */
	EK_ENTRY_NULL
} ek_entry_state;

/*
 * A coarse page of format 1 has groups, each of sixteen entries next to each
 * other.  Their packed codes follow the struct, 16 * coarse_dims bytes.
 */
typedef struct ek_group
{
	double		norm[EK_LANES];
	float		scale[EK_LANES];
	float		residual[EK_LANES];
	float		tail[EK_LANES];
	ItemPointerData tid[EK_LANES];
	uint8		state[EK_LANES];
} ek_group;

/*
 * From format 2 on, a coarse page has what a pass reads and nothing else: the codes
 * of its groups, from a cache line's beginning on; a residual for each entry;
 * and, on lines of their own, norms, which a pass by cosine leaves alone.
 * Before all that, in format 3, on the line of the page's header:
 */
typedef struct ek_coarse_header
{
	uint32		number;			/* of the page among the coarse pages */
	uint32		begun;			/* no entry from this one on has ever been used */
	uint32		vectors;		/* entries in use, but for NULLs */
	uint32		nulls;
	float		slack;			/* how far vectors may be from what is coded: see ek_recode */
} ek_coarse_header;

/*
 * On a fine page an entry has the certificate of its fine code, and the code, dims
 * bytes.  From format 2 on this comes before it.
 */
typedef struct ek_row_header
{
	double		norm;
	ItemPointerData tid;
	uint8		state;
	uint8		unused;
} ek_row_header;

/* What an entry says of its row, where it stands. */
typedef struct ek_entry_row
{
	double	   *norm;
	ItemPointer tid;
	uint8	   *state;
} ek_entry_row;

/* Blocks between two stretches. */
typedef struct ek_gap
{
	uint32		from;			/* coarse pages that are before it */
	uint32		blocks;
} ek_gap;

/* Follows from the metapage. */
typedef struct ek_geometry
{
	ek_format	format;
	ek_arithmetic arithmetic;
	int			dims;
	uint32		basis_id;		/* of coarse pages; in format 3, of new ones */
	Size		group_size;		/* from format 2 on, of codes alone; room for them in 3 */
	Size		fine_size;
	uint32		groups_per_page;
	uint32		coarse_per_page;	/* entries */
	uint32		fine_per_page;
	uint32		fine_pages;		/* of a stretch; from format 2 on, of a coarse page */
	uint32		first_stretch;	/* coarse pages of the first stretch, */
	uint32		last_stretch;	/* and of the largest */
	BlockNumber first_block;
	ek_gap		gaps[EK_BASIS_SLOTS];
	uint32		filters;
	uint32		filter_per_page;	/* entries, in whole groups; 0 without filters */
	uint8		filter_bytes[EK_MOST_FILTERS];
} ek_geometry;

/* Where one entry is. */
typedef struct ek_place
{
	BlockNumber coarse_block;
	uint32		group;
	uint32		lane;
	BlockNumber fine_block;
	uint32		fine_slot;
	BlockNumber filter_block;	/* with filters */
	uint32		filter_slot;
} ek_place;

/* A page with rows, and the entries whose rows they are. */
typedef struct ek_row_page
{
	BlockNumber block;
	ek_page_kind kind;
	uint32		first;
	uint32		end;
} ek_row_page;

extern ek_geometry ek_geometry_of(const ek_meta *meta);
/* Bytes that a pass reads for each entry, with codes of groups of this size. */
extern double ek_pass_bytes(const ek_geometry *geometry, Size group_size);
/* Bytes that it takes on disk, without what the end of the index leaves empty. */
extern double ek_size_bytes(const ek_geometry *geometry);
extern uint32 ek_most_entries(const ek_geometry *geometry);
extern BlockNumber ek_coarse_block(const ek_geometry *geometry, uint32 coarse_page);
/* The first of the stretch that a coarse page is in. */
extern BlockNumber ek_stretch_block(const ek_geometry *geometry, uint32 coarse_page);
extern ek_place ek_place_of(const ek_geometry *geometry, uint32 entry);
extern uint32 ek_next_stretch(const ek_geometry *geometry, uint32 coarse_page);
extern ek_page_kind ek_kind_of(const ek_geometry *geometry, BlockNumber block);
extern ek_row_page ek_row_page_of(const ek_geometry *geometry, uint32 entry);
extern ek_entry_row ek_row_on(const ek_geometry *geometry, Page page, const ek_place *place);
/* From format 3 on: the contents of a fine page reach at least to the end of this entry. */
extern void ek_reach_to(const ek_geometry *geometry, Page page, const ek_place *place);
extern ek_coarse_header *ek_coarse_header_on(Page page);
extern ek_group *ek_group_on(const ek_geometry *geometry, Page page, uint32 group);
extern int8 *ek_group_codes(ek_group *group);
extern uint8 *ek_codes_on(Page page);
extern uint16 *ek_residuals_on(const ek_geometry *geometry, Page page);
extern float *ek_norms_on(const ek_geometry *geometry, Page page);
extern ek_certificate *ek_fine_on(const ek_geometry *geometry, Page page, uint32 slot);
extern int8 *ek_fine_codes(ek_certificate *fine);
/*
 * The codes of a filter, one for each entry of a filter page; of eight bytes, the upper
 * halves of all, and then the lower ones.
 */
extern uint32 *ek_filter_codes_on(const ek_geometry *geometry, Page page, uint32 filter);
extern ItemPointer ek_page_tids(Page page);
extern uint32 ek_tids_per_page(void);
extern char *ek_page_bytes(Page page);
extern uint32 ek_bytes_per_page(void);

extern void ek_page_init(Page page, ek_page_kind kind, const ek_geometry *geometry);
extern ek_page_opaque *ek_page_opaque_of(Page page);

/* The last thing to do to a page that was changed. */
extern void ek_page_seal(Page page);
extern bool ek_page_is(Page page, ek_page_kind kind);
extern void ek_meta_init(Page page, const ek_meta *meta);
extern ek_meta *ek_meta_on(Page page);
extern ek_meta ek_copy_meta(Page page);
extern Size ek_meta_size(ek_format format);

/* The map, from format 3 on, on the metapage. */
extern uint32 ek_mapped_sections(ek_format format);
extern uint8 *ek_map_on(Page page);

/* The coarse pages that a pass visits: those of sections that are not empty, or some of them. */
typedef struct ek_live_pages
{
	uint32		count;
	uint32	   *sections;		/* NULL: all of them */
	uint32	   *chosen;			/* NULL: all of the sections */
} ek_live_pages;

extern ek_live_pages ek_find_live_pages(Relation index, const ek_meta *meta,
										const ek_geometry *geometry);

/* Of these, the number of the i-th. */
static inline uint32
ek_live_page(const ek_live_pages *live, uint32 i)
{
	if (live->chosen != NULL)
		return live->chosen[i];
	if (live->sections == NULL)
		return i;
	return live->sections[i / EK_SECTION] * EK_SECTION + i % EK_SECTION;
}

static inline bool
ek_is_empty_section(const uint8 *map, uint32 section)
{
	return (map[section / 8] >> section % 8 & 1) != 0;
}

/* How many there are. */
extern uint32 ek_coarse_pages(const ek_meta *meta, const ek_geometry *geometry);
/* Blocks that a basis of format 3 has room in. */
extern uint32 ek_slot_pages(uint32 dims);

/*
 * A buffer, locked, whose page is of this kind and sealed; else the error that
 * the index is corrupted.  What a metapage says is checked, too.  The geometry
 * says how large coarse and fine pages are; for others it may be NULL.
 */
extern Buffer ek_read_page(Relation index, BlockNumber block, int lock,
						   ek_page_kind kind, const ek_geometry *geometry);
/* The same for a buffer that the caller has locked. */
extern void ek_require_page(Relation index, Buffer buffer, ek_page_kind kind,
							const ek_geometry *geometry);
/*
 * The same; but false for a page of zeros, as fine pages from format 3 on are before
 * one of their entries is used.
 */
extern bool ek_require_used_page(Relation index, Buffer buffer, ek_page_kind kind,
								 const ek_geometry *geometry);
extern bool ek_tid_is_possible(Relation heap, ItemPointer tid, BlockNumber *blocks);
extern Buffer ek_extend(Relation index);
/* A new page at the end, formatted in a WAL record of its own. */
extern void ek_add_page(Relation index, ek_page_kind kind, const ek_geometry *geometry);
/* Formats a page before its first use, unless it is of this kind. */
extern void ek_ensure_kind(Relation index, BlockNumber block, ek_page_kind kind,
						   const ek_geometry *geometry);
/* Makes blocks up to this one exist, all zeros. */
extern void ek_extend_to(Relation index, BlockNumber block);
extern ek_meta ek_read_meta(Relation index);
/* For who only chooses: what the metapage says, unlooked at; false if it cannot be told. */
extern bool ek_peek(Relation index, uint32 *format, uint32 *dims);
pg_noreturn extern void ek_raise_full(Relation index);
pg_noreturn extern void ek_raise_corrupted(Relation index, const char *detail);
pg_noreturn extern void ek_raise_corrupted_block(Relation index, BlockNumber block,
												 const char *detail);

/*
 * cache.c: what a backend keeps of an index, with its relation
 */

/* How a coordinate becomes a value of the coarse code; see coarse.c. */
typedef struct ek_coordinate
{
	float		mean;
	float		step;
	float		weight;
	uint32		bits;			/* 2, 4, 6 or 8 */
} ek_coordinate;

/* Residuals are divided by weights; what rounding adds relies on these. */
#define EK_LEAST_WEIGHT	(1.0f / 1024)
#define EK_MOST_WEIGHT	1.0f

/* Some bits of a coordinate's value, and where the codes of a group have them. */
typedef struct ek_slot
{
	uint16		coordinate;		/* or EK_NO_COORDINATE */
	uint16		byte;			/* of the first lane; 4 further on for the next */
	uint8		shift;			/* of the bits in the value */
	uint8		shift_stored;	/* and in the byte */
	uint8		bits;			/* 4 or 2 */
} ek_slot;

#define EK_NO_COORDINATE	UINT16_MAX

/* Values of an entry in a step of 4 bits, and of 2 bits. */
#define EK_STEP_VALUES4		8
#define EK_STEP_VALUES2		16

static inline int
ek_slot_count(int steps4, int steps2)
{
	return steps4 * EK_STEP_VALUES4 + steps2 * EK_STEP_VALUES2;
}
#define EK_FIRST_BASIS		1

/* What a basis says of itself, before its coordinates; in format 2. */
typedef struct ek_basis_header
{
	uint32		survivors;		/* of a query, as the build expected them */
	float		usual_weight;	/* W of most queries is at least this, see ek_recode; 0 in format 2 */
} ek_basis_header;

/* A basis, and the codes in it; pointers point into the cache. */
typedef struct ek_basis
{
	uint32		id;				/* which coarse pages have, too */
	int			coarse_dims;	/* 0 for none: then coarse codes say nothing */
	int			steps4;
	int			steps2;
	Size		group_size;		/* of codes of a group, from format 2 on */
	ek_slot    *slots;			/* those of steps4, then of steps2; from format 2 on */
	ek_basis_header *header;	/* from format 2 on; what is on pages begins here */
	ek_coordinate *coordinates; /* coarse_dims; from format 2 on */
	float	   *rows;			/* coarse_dims x dims */
} ek_basis;

/* Those of the slots, and none. */
#define EK_MOST_BASES		(EK_BASIS_SLOTS + 1)

/* One allocation, in which the pointers point. */
typedef struct ek_cache
{
	ek_meta		meta;
	ek_geometry geometry;
	int			basis_count;
	ek_basis	bases[EK_MOST_BASES];
	BlockNumber target;			/* where this backend inserted last, or 0 */
	BlockNumber end;			/* of the index, when last asked: it does not get shorter */

	/* of each of the first blocks: where it was, and was it sound? */
	BlockNumber blocks;
	uint32	   *pages;
} ek_cache;

/* Bytes of a basis as pages hold it: from format 2 on a header, coordinates, rows; else rows. */
extern Size ek_basis_bytes(ek_format format, int coarse_dims, uint32 dims);
/* With room for everything that the metapage speaks of, and nothing filled in. */
extern ek_cache *ek_cache_create(MemoryContext context, const ek_meta *meta, BlockNumber blocks);
/*
 * NULL if it is not there: it may have come since.  Whoever then reads the metapage
 * anew, so often without finding it, has found damage: to learn a basis takes
 * seconds, and to read it microseconds.
 */
#define EK_MOST_TRIES		10
extern const ek_basis *ek_cache_basis(const ek_cache *cache, uint32 id);
/* The one of new codes. */
extern const ek_basis *ek_cache_current(const ek_cache *cache);
/* Copies a basis to where the cache has its current one, which is like it. */
extern void ek_cache_fill(ek_cache *cache, const ek_basis *basis);
/* What the current basis has on the page of this number. */
extern void ek_store_basis(const ek_cache *cache, uint32 number, Page page);
/* Is there such a block?  Asks the operating system only if it is a new one. */
extern bool ek_block_exists(Relation index, BlockNumber block);
/* Where to insert next. */
extern void ek_cache_set_target(Relation index, BlockNumber block);
/* Valid until it, or the relation cache, is next looked at; or a copy, for longer. */
extern const ek_cache *ek_cache_get(Relation index);
extern const ek_cache *ek_cache_copy(Relation index);
/* The same, but without a look at whether the index has grown, so that it does not move. */
extern const ek_cache *ek_cache_known(Relation index);
/* For format 3: what the metapage says now. */
extern void ek_cache_refresh(Relation index, const ek_meta *meta);
/* The buffer of a block, pinned. */
extern Buffer ek_pin(Relation index, BlockNumber block);
/* Finds out where a page is that will be pinned soon, so that it can be asked for. */
extern void ek_find(Relation index, BlockNumber block);
/* Asks the CPU for bytes of a page that was read before, if it is still there. */
extern void ek_ask_for(Relation index, BlockNumber block, Size offset, Size bytes);
/* Where the page is that was read before, from here; 0 if that is unknown. */
extern ptrdiff_t ek_distance_to(Relation index, BlockNumber block, Page here);
/* Has this backend seen the page sound? */
extern bool ek_is_verified(Relation index, BlockNumber block);
extern void ek_set_verified(Relation index, BlockNumber block);
/* What is read next is read anew, and the seals of all pages are looked at. */
extern void ek_cache_forget(Relation index);

/*
 * readahead.c: what is in no buffer yet
 */
extern bool ek_is_buffered(Relation index, BlockNumber block);
/* Does the administrator want it? */
extern bool ek_may_read_ahead(Relation index);
extern void ek_read_ahead(Relation index, BlockNumber block, BlockNumber count);

/*
 * code.c: from vectors to codes, and from codes to bounds
 */

/* One vector, encoded. */
typedef struct ek_encoded
{
	ek_entry_state state;
	double		norm;
	float		coarse_scale;	/* format 1 */
	float		coarse_residual;
	float		coarse_norm;	/* format 2 */
	float		tail;			/* format 1 */
	ek_certificate fine_certificate;
	uint8	   *coarse;			/* coarse_dims; in format 1 they are signed */
	int8	   *fine;			/* dims, and room to EK_LANES */
} ek_encoded;

typedef struct ek_encoder
{
	ek_geometry geometry;
	const ek_basis *basis;
	double	   *widened;		/* aligned, as are: */
	double	   *projected;
	ek_encoded	encoded;		/* of the last vector */
} ek_encoder;

/* What of a query concerns coarse codes in one basis. */
typedef struct ek_coarse_query
{
	uint32		basis_id;
	bool		has_coarse;		/* or else only fine codes say something */
	Size		group_size;
	float		unusual;		/* the share of a page's slack that residuals do not cover */

	/* format 1 */
	int8	   *codes;
	double		scale;
	double		length;			/* of the decoded code, from above */
	double		residual;
	double		tail;
	int			coarse_dims;

	/* from format 2 on */
	ek_bound_query bound;
} ek_coarse_query;

/* The query's codes and certificates. */
typedef struct ek_coded_query
{
	ek_metric	metric;
	ek_arithmetic arithmetic;
	ek_vector	vector;			/* a copy */
	double		norm;
	double		eta;

	/* what sums in float are off by; in double 0, 1 and 0, since eta has that */
	double		slack;			/* of a cosine, or of a product of unit vectors */
	double		share;			/* that is left of a squared distance, at least */
	double		underflow;		/* see ek_underflow_of */

	int			coarse_count;
	ek_coarse_query coarse[EK_MOST_BASES];

	int8	   *fine;
	ek_certificate fine_certificate;
	double		fine_length;
} ek_coded_query;

/* The basis stays where it is for as long. */
extern ek_encoder *ek_encoder_create(const ek_geometry *geometry, const ek_basis *basis);
/* Raises an error unless the vector is finite. */
extern const ek_encoded *ek_encode(ek_encoder *encoder, const float *vector);
extern const ek_encoded *ek_encode_null(ek_encoder *encoder);
extern void ek_encoded_store(const ek_encoder *encoder, Page coarse, Page fine,
							 const ek_place *place, ItemPointer tid);
/*
 * From the fine code of an entry to a coarse code in the encoder's basis, of what
 * that stands for.
 */
extern const ek_encoded *ek_recode(ek_encoder *encoder, ek_entry_state state, double norm,
								   const ek_certificate *fine, const int8 *codes);
/* How far off a vector may be from its fine code with this certificate, and what is computed of that. */
extern double ek_recode_slack(const ek_geometry *geometry, const ek_certificate *fine);
/* A query, with its coarse codes in each basis of the cache. */
extern ek_coded_query *ek_encode_query(const ek_cache *cache, ek_metric metric,
									   const float *vector);
/* The coarse codes anew, because there is another basis. */
extern void ek_encode_query_again(const ek_cache *cache, ek_coded_query *query);
/* An upper limit of the cosine, from the fine code. */
extern double ek_fine_cosine(const ek_coded_query *query, const ek_geometry *geometry,
							 const ek_certificate *fine, const int8 *codes);

/* Tools of the certificates, for the files that make them. */
extern double ek_decoded_length(const int8 *codes, int n, double scale, double eta);

/*
 * From an upper limit of the cosine to a lower limit of what the operator
 * computes.  A zero vector or query has no direction; its cosine is 0 by rule, or,
 * in sums of floats, not a number, which comes after all others: the limit is infinite.
 */
extern double ek_distance_bound(const ek_coded_query *query, double norm, double cosine);

static inline double
ek_cosine_distance_bound(const ek_coded_query *query, double norm, double cosine)
{
	const double distance = Max(0.0, 1.0 - Min(1.0, cosine + query->eta));

	return norm == 0.0 || query->norm == 0.0 ? 1.0 : distance;
}

/* In sums of floats, is nothing certain of cosines with such a vector? */
static inline bool
ek_is_beyond_floats(ek_arithmetic arithmetic, double norm)
{
	return arithmetic == EK_SUMS_IN_FLOAT && norm != 0.0 &&
		!(norm >= EK_LEAST_FLOAT_NORM && norm <= EK_MOST_FLOAT_NORM);
}

extern double ek_tail_of(const double *projected, int n, double eta);

/*
 * coarse.c: the coarse code from format 2 on
 */

/* Which bits of which coordinate are where; returns false if they do not fit. */
extern bool ek_lay_out(const ek_coordinate *coordinates, int count, int steps4, int steps2,
					   ek_slot *slots);

/* The value of a coordinate; and what it stands for. */
static inline double
ek_highest_value(const ek_coordinate *c)
{
	return (double) ((1 << c->bits) - 1);
}

static inline uint8
ek_value_of(const ek_coordinate *c, double y)
{
	const double highest = ek_highest_value(c);
	const double value = (y - c->mean) / c->step + highest / 2.0;

	return (uint8) (Max(0.0, Min(highest, value)) + 0.5);
}

static inline double
ek_decode(const ek_coordinate *c, uint8 value)
{
	return c->mean + (value - ek_highest_value(c) / 2.0) * c->step;
}

/* The residual covers `slack` more than it must, for queries of the usual weight. */
extern void ek_encode_coarse(const ek_basis *basis, int dims, const double *projected,
							 double tail, double slack, ek_encoded *encoded);
extern void ek_store_coarse(const ek_geometry *geometry, const ek_basis *basis,
							const ek_encoded *encoded, Page page, const ek_place *place);
extern void ek_fetch_coarse(const ek_geometry *geometry, const ek_basis *basis, Page page,
							const ek_place *place, uint8 *values, float *residual, float *norm);
/* An entry without a vector: it never survives. */
extern void ek_forget_coarse(const ek_geometry *geometry, Page page, const ek_place *place);
/* What an entry is, as far as the coarse page of format 3 knows: zero vectors are vectors. */
extern ek_entry_state ek_coarse_state(const ek_geometry *geometry, Page page, uint32 on_page);
extern float ek_coarse_residual(const ek_geometry *geometry, Page page, uint32 on_page);
extern void ek_encode_coarse_query(const ek_basis *basis, const double *projected, double tail,
								   const ek_coded_query *query, ek_coarse_query *coarse);
/* What the kernel is asked of a page: see ek_coarse_header. */
extern ek_bound_query ek_bound_on_page(const ek_coarse_query *coarse, float slack,
									   float threshold);
/* What the kernel would say, of a norm and an upper limit of the cosine. */
extern float ek_kernel_bound(const ek_coded_query *query, double norm, double cosine);
/* For means: that of an entry which always survives says nothing of its code. */
static inline float
ek_known_residual(float residual)
{
	return residual > FLT_MAX ? 0.0f : residual;
}

/* From what the kernel says to a lower limit of what the operator computes. */
extern double ek_distance_of(const ek_coded_query *query, double bound);

/*
 * coarse_1.c: the coarse code of format 1
 */
extern void ek_encode_coarse_1(const ek_basis *basis, int dims, const double *projected,
							   double tail, ek_encoded *encoded);
extern void ek_store_coarse_1(const ek_geometry *geometry, const ek_basis *basis,
							  const ek_encoded *encoded, Page page, const ek_place *place);
extern void ek_encode_coarse_query_1(const ek_basis *basis, const double *projected,
									 double tail, const ek_coded_query *query,
									 ek_coarse_query *coarse);
extern void ek_bound_group_1(const ek_coded_query *query, ek_group *group, double *bounds);

/*
 * sample.c: what a build finds out before it reads a table
 */

#define EK_BUDGET_QUERIES	64

/* A sample of unit vectors. */
typedef struct ek_sample
{
	int			dims;			/* 0 if there was no vector */
	int			count;
	float	   *rows;			/* count x dims */
	double		expected;		/* vectors in the table */
	double		nearest[EK_BUDGET_QUERIES]; /* the cosine of the tenth neighbour */
} ek_sample;

/* Fills in a sample of all zeros, from a table, */
extern void ek_sample_table(Relation heap, Relation index, IndexInfo *info, ek_format format,
							MemoryContext lasting, ek_sample *sample);
/* or from the fine codes of an index of format 3. */
extern void ek_sample_index(Relation index, BufferAccessStrategy strategy, const ek_meta *meta,
							double vectors, MemoryContext lasting, ek_sample *sample);

/*
 * basis.c: principal directions of a sample
 */

/* Those of the sample that the budget asks for; NULL if it is too small for a basis. */
extern const float *ek_budget_queries(const ek_sample *sample);

/* With room for the most there is, and nothing in it. */
extern ek_basis *ek_basis_create(uint32 dims);
/*
 * Finds a basis for vectors like those of the sample, and from format 2 on what
 * becomes of its coordinates, in codes of so many steps at most.  Fills in a basis,
 * but for its id and slots; there may be none.
 */
extern void ek_find_basis(const ek_sample *sample, ek_format format, int most_steps,
						  ek_basis *basis);
/* What a scan pays for each entry, by the sample, with this basis of format 3. */
extern double ek_cost_with(const ek_sample *sample, const ek_basis *basis);
/* Is |B| <= 1 in the spectral norm, for these floats? */
extern bool ek_basis_is_correct(const float *rows, int count, int dims);

/*
 * budget.c: how many bits each coordinate gets, and how many all of them
 */

/* What vectors are in the coordinates of a basis, the most telling first. */
typedef struct ek_projected
{
	int			count;			/* of vectors */
	int			coordinates;
	Size		stride;			/* values[i * stride + j]: coordinate i of vector j */
	const double *values;
} ek_projected;

/*
 * What a scan is cheapest with, of a table like the sample, with coordinates as in
 * `model`, tried with `trial`, the first of which are the queries.  Fills in what
 * the basis has of it: no coordinates for no code.
 */
extern void ek_choose_budget(const ek_projected *model, const ek_projected *trial,
							 const ek_sample *sample, int most_steps, ek_basis *basis);
/* Steps that pages have room for if nothing is known of the vectors. */
extern int ek_usual_steps(uint32 dims);
/* Nanoseconds that a scan pays for an entry, with these codes of the trial. */
extern double ek_cost_of_codes(const ek_projected *trial, const ek_sample *sample,
							   const ek_basis *basis);

/*
 * filter.c: the columns after the vector
 */

/* Support functions of their operator classes; for vectors, 1 is EK_TYPE_SUPPORT. */
#define EK_FILTER_HASH		1
#define EK_FILTER_NUMBER	2
#define EK_SUPPORT_COUNT	2

/* What a metapage says of the columns.  Raises an error if there is one that makes no sense. */
extern void ek_describe_columns(Relation index, ek_meta *meta);
/* A code for each, of the values of a row, which begin with the vector. */
extern void ek_encode_filters(Relation index, const Datum *values, const bool *isnull,
							  uint64 *codes);
extern void ek_store_filters(const ek_geometry *geometry, const uint64 *codes, Page page,
							 const ek_place *place);
extern void ek_fetch_filters(const ek_geometry *geometry, Page page, const ek_place *place,
							 uint64 *codes);

/* What the keys of a scan ask of codes. */
typedef struct ek_conditions ek_conditions;

extern ek_conditions *ek_conditions_create(IndexScanDesc scan);
/*
 * Which entries of some groups of a filter page pass all of them, from a slot on: a bit
 * of a group's mask for each.  Codes that are so many bytes ahead are fetched meanwhile;
 * 0 is for nothing.
 */
extern void ek_pass_groups(const ek_geometry *geometry, const ek_conditions *conditions, Page page,
						   uint32 slot, uint32 groups, ptrdiff_t ahead, uint16 *masks);

/*
 * survey.c: how an index of format 3 is doing
 */
typedef struct ek_survey
{
	double		begun;			/* entries that were ever used, of pages that are not empty; */
	double		vectors;		/* of these, such as are vectors; */
	double		nulls;			/* and NULLs */
	double		coded;			/* vectors that were seen with codes in the current basis; */
	double		residual;		/* the mean of theirs */
} ek_survey;

extern ek_survey ek_survey_index(Relation index, BufferAccessStrategy strategy,
								 const ek_meta *meta);
/* Should VACUUM look for a basis, or for a better one? */
extern bool ek_wants_basis(const ek_meta *meta, const ek_survey *survey);
/* Why a scan is slower than it could be: some of the words of the reference. */
extern ArrayType *ek_slow_because(Relation index);

/*
 * The verbs, one a file
 */

/* handler.c */

/* In which format the database wants an index to be built. */
extern ek_format ek_format_to_build(Relation index);

/* build.c */
extern IndexBuildResult *ek_build(Relation heap, Relation index, IndexInfo *info);
extern void ek_build_empty(Relation index);
extern char *ek_build_phase_name(int64 phase);

/* insert.c */
extern bool ek_insert(Relation index, Datum *values, bool *isnull, ItemPointer tid,
					  Relation heap, IndexUniqueCheck unique,
					  bool unchanged, IndexInfo *info);
/* What the free space map has for a coarse page of format 3 with so many entries in use; */
extern Size ek_free_space(uint32 in_use, const ek_geometry *geometry);
/* and that told to it, for all to see. */
extern void ek_record_free(Relation index, BlockNumber block, uint32 in_use,
						   const ek_geometry *geometry);
/* Raises an error if an index cannot hold vectors with so many. */
extern void ek_require_possible_dims(int dims);
/* The vector to index; raises an error unless it has the index's dimensions. */
extern const float *ek_indexed_vector(Relation index, const ek_vector_type *type, Datum value,
									  uint32 *dims);

/* log.c */

/* The pages of an entry from format 3 on, locked.  A new fine page is all zeros. */
typedef struct ek_entry_pages
{
	Buffer		coarse;
	Buffer		fine;
	Buffer		filter;			/* invalid without filters */
	bool		fine_is_new;
} ek_entry_pages;

/* Stores what was last encoded, and the codes of its filters, with its record. */
extern void ek_store_logged(Relation index, const ek_encoder *encoder, const uint64 *filters,
							const ek_entry_pages *pages, const ek_place *place, ItemPointer tid);

/* insert_2.c */

/* The same for the first two formats; dimensions are settled. */
extern void ek_insert_2(Relation index, const ek_encoder *encoder, ItemPointer tid);

/* learn.c */

/* Looks whether another basis would be better; if so, goes over to it. */
extern void ek_learn(Relation index, BufferAccessStrategy strategy);

/* scan.c */
extern IndexScanDesc ek_scan_begin(Relation index, int keys, int orderbys);
extern void ek_scan_rescan(IndexScanDesc scan, ScanKey keys, int nkeys,
						   ScanKey orderbys, int norderbys);
extern bool ek_scan_next(IndexScanDesc scan, ScanDirection direction);
extern void ek_scan_end(IndexScanDesc scan);

/* What a scan may cost in all, in the planner's units, and what its parts do. */
typedef struct ek_work_limit
{
	double		most;
	double		visit;			/* of a row of the heap, by the executor too; */
	double		survivor;		/* of a fine code that is somewhere; */
	double		pass;			/* of a pass; */
	double		key_pass;		/* of one that reads every fine code, in order */
} ek_work_limit;

/* The scan is to stop when it has cost so much, though there may be more rows; */
extern void ek_scan_limit(IndexScanDesc scan, const ek_work_limit *limit);
/* and has it? */
extern bool ek_scan_stopped(IndexScanDesc scan);
/* What a scan is expected to take of the arena. */
extern Size ek_scan_bytes(const ek_basis *basis);

/* parallel.c */
#if PG_VERSION_NUM >= 180000
extern Size ek_parallel_size(Relation index, int keys, int orderbys);
#elif PG_VERSION_NUM >= 170000
extern Size ek_parallel_size(int keys, int orderbys);
#else
extern Size ek_parallel_size(void);
#endif
extern void ek_parallel_init(void *target);
extern void ek_parallel_rescan(IndexScanDesc scan);
extern bool ek_is_parallel(IndexScanDesc scan);
/* The metapage, with the number of entries that the processes of a scan agree on. */
extern ek_meta ek_agree_on_meta(IndexScanDesc scan);
/* For the leader to say that it has seen every coarse page sound; and did it? */
extern void ek_vouch(IndexScanDesc scan);
extern bool ek_is_vouched(IndexScanDesc scan);
/* A section for this process, of so many; false if none is left. */
extern bool ek_take_section(IndexScanDesc scan, uint32 sections, uint32 *section);
/* Is this the process that returns what is not in order: NULLs, or everything? */
extern bool ek_take_rest(IndexScanDesc scan);

/* vacuum.c */
extern IndexBulkDeleteResult *ek_bulk_delete(IndexVacuumInfo *info,
											 IndexBulkDeleteResult *stats,
											 IndexBulkDeleteCallback callback,
											 void *state);
extern IndexBulkDeleteResult *ek_vacuum_cleanup(IndexVacuumInfo *info,
												IndexBulkDeleteResult *stats);

/* info.c */

/*
 * The index, with a share lock.  Raises an error unless it is one of ours and
 * the user may read the table.
 */
extern Relation ek_open_index(Oid oid);
extern bool ek_is_ours(Relation index);
/* Does this server, and this session, have its pages? */
extern bool ek_is_readable(Relation index);

/* cost.c */
extern void ek_cost_init(void);
extern void ek_cost_estimate(PlannerInfo *root, IndexPath *path, double loop_count,
							 Cost *startup_cost, Cost *total_cost,
							 Selectivity *selectivity, double *correlation,
							 double *pages);
extern bool ek_has_our_costs(const IndexOptInfo *index);
extern bool ek_is_by_index(const Path *path);
/* What the parts of a scan cost; it may cost any amount. */
extern ek_work_limit ek_work_costs(PlannerInfo *root, const IndexPath *path);
/* A row of the heap, with the fine codes that are usually read for it. */
extern Cost ek_visit_cost(const ek_work_limit *costs);

/* visit.c */
typedef struct ek_visits ek_visits;

/* By a scan of ours that has begun to be executed; it may cost so much. */
extern ek_visits *ek_visits_create(IndexScanState *scan, const ek_work_limit *limit);
/* The next row, as the scan would return it; NULL at the end, */
extern TupleTableSlot *ek_visits_next(ek_visits *visits);
/* which may be because it has cost so much. */
extern bool ek_visits_stopped(const ek_visits *visits);
/* To be called with each rescan of the scan. */
extern void ek_visits_rescan(ek_visits *visits);

/* radius.c */

/* Of an operator that asks for what is within a radius, in one of the indexed metrics. */
#define EK_RADIUS_STRATEGY(metric)	((metric) + EK_INDEXED_METRIC_COUNT)
#define EK_STRATEGY_COUNT	(2 * EK_INDEXED_METRIC_COUNT)

/* What such an operator compares with; false if it has a NULL. */
extern bool ek_ball_of(Datum value, Datum *center, double *radius);
/*
 * The condition of a column that is within a radius of a center, for a family; NULL if it
 * has none.  If the caller looks at each row, too, it may be lossy.
 */
extern Expr *ek_radius_condition(PlannerInfo *root, const IndexOptInfo *index, Oid family,
								 ek_metric metric, Node *column, Node *center, Node *radius, bool lossy);

/* match.c */

/* Paths by our indexes that PostgreSQL leaves out, or with conditions that it leaves out of them. */
extern void ek_match_more(PlannerInfo *root, RelOptInfo *rel);

/* fallback.c */
extern void ek_fallback_init(void);
extern void ek_fallback_offer(PlannerInfo *root, RelOptInfo *rel, const RangeTblEntry *rte);

/* options.c */
extern bytea *ek_options(Datum reloptions, bool validate);

/* validate.c */
extern bool ek_validate(Oid opclass);
/* The type of the vectors. */
extern const ek_vector_type *ek_type_of(Relation index);

#endif							/* EK_INDEX_H */
