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
#include "utils/rel.h"

#include "base/compat.h"
#include "base/metric.h"
#include "simd/ek_simd.h"
#include "vector/encode.h"

/*
 * Two formats are read and written: what SQL version 1.5 and later build, and
 * what 1.2 to 1.4 built.  They have coarse codes of their own, coarse.c and
 * coarse_1.c, and stand differently on pages, page.c; everything else is one.
 */
typedef enum ek_format
{
	EK_FORMAT_1 = 1,
	EK_FORMAT_2
} ek_format;

/*
 * page.c: where things are
 *
 * block 0			metapage
 * 1 ..				pages of heap pointers of NULLs that came before the first
 *					vector, when the number of dimensions was not known
 * ..				the basis, if there is one
 * first_block ..	stretches, one after another: some coarse pages, then the
 *					fine pages of the same entries, which are added as they are
 *					needed
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
	EK_PAGE_FINE
} ek_page_kind;

/* In the special space of every page. */
typedef struct ek_page_opaque
{
	uint16		kind;
	uint16		magic;
	uint32		count;			/* pointers on a page of NULLs; on a coarse page
								 * of format 2, the number of its basis */
	pg_crc32c	checksum;		/* of everything before pd_lower but the header */
} ek_page_opaque;

#define EK_PAGE_MAGIC		0x454b

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
} ek_meta;

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
 * A coarse page of format 2 has what a pass reads and nothing else: the codes
 * of its groups, from a cache line's beginning on; a residual for each entry;
 * and, on lines of their own, norms, which a pass by cosine leaves alone.
 */

/*
 * On a fine page an entry has the certificate of its fine code, and the code, dims
 * bytes.  In format 2 this comes before it.
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

/* Follows from the metapage. */
typedef struct ek_geometry
{
	ek_format	format;
	int			dims;
	int			coarse_dims;
	int			steps4;
	int			steps2;
	uint32		basis_id;		/* which coarse pages have, too; 0 in format 1 */
	Size		group_size;		/* in format 2, of codes alone */
	Size		fine_size;
	uint32		groups_per_page;
	uint32		coarse_per_page;	/* entries */
	uint32		fine_per_page;
	uint32		fine_pages;		/* of a stretch; in format 2, of a coarse page */
	BlockNumber first_block;
} ek_geometry;

/* Where one entry is. */
typedef struct ek_place
{
	BlockNumber coarse_block;
	uint32		group;
	uint32		lane;
	BlockNumber fine_block;
	uint32		fine_slot;
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
/* Bytes that a pass reads for each entry. */
extern double ek_pass_bytes(const ek_geometry *geometry);
/* Bytes that it takes on disk, without what the end of the index leaves empty. */
extern double ek_size_bytes(const ek_geometry *geometry);
extern uint32 ek_most_entries(const ek_geometry *geometry);
extern BlockNumber ek_coarse_block(const ek_geometry *geometry, uint32 coarse_page);
extern ek_place ek_place_of(const ek_geometry *geometry, uint32 entry);
extern ek_page_kind ek_kind_of(const ek_geometry *geometry, BlockNumber block);
extern ek_row_page ek_row_page_of(const ek_geometry *geometry, uint32 entry);
extern ek_entry_row ek_row_on(const ek_geometry *geometry, Page page, const ek_place *place);
extern ek_group *ek_group_on(const ek_geometry *geometry, Page page, uint32 group);
extern int8 *ek_group_codes(ek_group *group);
extern uint8 *ek_codes_on(Page page);
extern uint16 *ek_residuals_on(const ek_geometry *geometry, Page page);
extern float *ek_norms_on(const ek_geometry *geometry, Page page);
extern ek_certificate *ek_fine_on(const ek_geometry *geometry, Page page, uint32 slot);
extern int8 *ek_fine_codes(ek_certificate *fine);
extern ItemPointer ek_page_tids(Page page);
extern uint32 ek_tids_per_page(void);
extern char *ek_page_bytes(Page page);
extern uint32 ek_bytes_per_page(void);

extern void ek_page_init(Page page, ek_page_kind kind, const ek_geometry *geometry);
extern ek_page_opaque *ek_page_opaque_of(Page page);

/* The last thing to do to a page that was changed. */
extern void ek_page_seal(Page page);
extern bool ek_page_is(Page page, ek_page_kind kind);
extern void ek_meta_init(Page page, ek_format format);
extern ek_meta *ek_meta_on(Page page);

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
extern bool ek_tid_is_possible(Relation heap, ItemPointer tid, BlockNumber *blocks);
extern Buffer ek_extend(Relation index);
extern ek_meta ek_read_meta(Relation index);
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
	uint32		unused;
} ek_basis_header;

/* One allocation, in which the pointers point. */
typedef struct ek_cache
{
	ek_meta		meta;
	ek_geometry geometry;
	ek_slot    *slots;			/* those of steps4, then of steps2; format 2 */
	ek_basis_header *header;	/* format 2; what is on pages begins here */
	ek_coordinate *coordinates; /* coarse_dims; format 2 */
	float	   *basis;			/* coarse_dims x dims */

	/* of each of the first blocks: where it was, and was it sound? */
	BlockNumber blocks;
	uint32	   *pages;
} ek_cache;

/* Bytes of the basis as pages hold it: in format 2 a header, coordinates, rows; else rows. */
extern Size ek_basis_bytes(const ek_meta *meta);
/* With room for everything that the metapage speaks of, and nothing filled in. */
extern ek_cache *ek_cache_create(MemoryContext context, const ek_meta *meta, BlockNumber blocks);
/* Valid until it, or the relation cache, is next looked at; or a copy, for longer. */
extern const ek_cache *ek_cache_get(Relation index);
extern const ek_cache *ek_cache_copy(Relation index);
/* The buffer of a block, pinned. */
extern Buffer ek_pin(Relation index, BlockNumber block);
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
	const ek_cache *cache;
	double	   *widened;		/* aligned, as are: */
	double	   *projected;
	ek_encoded	encoded;		/* of the last vector */
} ek_encoder;

/* The query's codes and certificates. */
typedef struct ek_coded_query
{
	ek_metric	metric;
	double		norm;
	double		eta;
	bool		has_coarse;		/* or else only fine codes say something */

	/* format 1 */
	int8	   *coarse;
	double		coarse_scale;
	double		coarse_length;	/* of the decoded code, from above */
	double		coarse_residual;
	double		tail;

	/* format 2 */
	ek_bound_query bound;

	int8	   *fine;
	ek_certificate fine_certificate;
	double		fine_length;
} ek_coded_query;

extern ek_encoder *ek_encoder_create(const ek_cache *cache);
/* Raises an error unless the vector is finite. */
extern const ek_encoded *ek_encode(ek_encoder *encoder, const float *vector);
extern const ek_encoded *ek_encode_null(ek_encoder *encoder);
extern void ek_encoded_store(const ek_encoder *encoder, Page coarse, Page fine,
							 const ek_place *place, ItemPointer tid);
extern ek_coded_query *ek_encode_query(const ek_cache *cache, ek_metric metric,
									   const float *vector);
extern double ek_bound_fine(const ek_coded_query *query, const ek_geometry *geometry,
							const ek_certificate *fine, const int8 *codes, double norm);

/* Tools of the certificates, for the files that make them. */
extern double ek_decoded_length(const int8 *codes, int n, double scale, double eta);

/*
 * From an upper limit of the cosine to a lower limit of what the operator
 * computes.  A zero vector or query has no direction; its cosine is 0 by rule.
 */
extern double ek_distance_bound(const ek_coded_query *query, double norm, double cosine);

static inline double
ek_cosine_distance_bound(const ek_coded_query *query, double norm, double cosine)
{
	const double distance = Max(0.0, 1.0 - Min(1.0, cosine + query->eta));

	return norm == 0.0 || query->norm == 0.0 ? 1.0 : distance;
}

extern double ek_tail_of(const double *projected, int n, double eta);

/*
 * coarse.c: the coarse code of format 2
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

extern void ek_encode_coarse(const ek_cache *cache, const double *projected, double tail,
							 ek_encoded *encoded);
extern void ek_store_coarse(const ek_cache *cache, const ek_encoded *encoded, Page page,
							const ek_place *place);
extern void ek_fetch_coarse(const ek_cache *cache, Page page, const ek_place *place,
							uint8 *values, float *residual, float *norm);
/* An entry without a vector: it never survives. */
extern void ek_forget_coarse(const ek_geometry *geometry, Page page, const ek_place *place);
extern void ek_encode_coarse_query(const ek_cache *cache, const double *projected,
								   double tail, ek_coded_query *query);
/* From what the kernel says to a lower limit of what the operator computes. */
extern double ek_distance_of(const ek_coded_query *query, double bound);

/*
 * coarse_1.c: the coarse code of format 1
 */
extern void ek_encode_coarse_1(const ek_cache *cache, const double *projected, double tail,
							   ek_encoded *encoded);
extern void ek_store_coarse_1(const ek_geometry *geometry, const ek_encoded *encoded,
							  Page page, const ek_place *place);
extern void ek_encode_coarse_query_1(const ek_geometry *geometry, const double *projected,
									 double tail, ek_coded_query *query);
extern void ek_bound_group_1(const ek_coded_query *query, const ek_geometry *geometry,
							 ek_group *group, double *bounds);

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

/* Fills in a sample of all zeros. */
extern void ek_take_sample(Relation heap, Relation index, IndexInfo *info, ek_format format,
						   MemoryContext lasting, ek_sample *sample);

/*
 * basis.c: principal directions of a sample
 */

/* Those of the sample that the budget asks for; NULL if it is too small for a basis. */
extern const float *ek_budget_queries(const ek_sample *sample);

/*
 * Finds a basis for vectors like those of the sample, and for format 2 what
 * becomes of its coordinates; says so in `meta`, coordinates and rows, which have
 * room for the most there are.
 */
extern void ek_find_basis(const ek_sample *sample, ek_meta *meta, ek_basis_header *header,
						  ek_coordinate *coordinates, float *rows);
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
 * `model`, tried with `trial`, the first of which are the queries.  Fills in the
 * code's part of the metapage, all zeros for no code, and the rest.
 */
extern void ek_choose_budget(const ek_projected *model, const ek_projected *trial,
							 const ek_sample *sample, ek_meta *meta,
							 ek_basis_header *header, ek_coordinate *coordinates);

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
/* The vector to index; raises an error unless it has the index's dimensions. */
extern const float *ek_indexed_vector(Relation index, Datum value, uint32 *dims);

/* scan.c */
extern IndexScanDesc ek_scan_begin(Relation index, int keys, int orderbys);
extern void ek_scan_rescan(IndexScanDesc scan, ScanKey keys, int nkeys,
						   ScanKey orderbys, int norderbys);
extern bool ek_scan_next(IndexScanDesc scan, ScanDirection direction);
extern void ek_scan_end(IndexScanDesc scan);

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

/* cost.c */
extern void ek_cost_estimate(PlannerInfo *root, IndexPath *path, double loop_count,
							 Cost *startup_cost, Cost *total_cost,
							 Selectivity *selectivity, double *correlation,
							 double *pages);

/* options.c */
extern bytea *ek_options(Datum reloptions, bool validate);

/* validate.c */
extern bool ek_validate(Oid opclass);

#endif							/* EK_INDEX_H */
