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

/*
 * page.c: where things are
 *
 * block 0			metapage
 * 1 ..				pages of heap pointers of NULLs that came before the first
 *					vector, when the number of dimensions was not known
 * ..				the basis, if there is one
 * first_block ..	stretches, one after another: EK_STRETCH_PAGES coarse pages,
 *					then the fine pages of the same entries, which are added as
 *					they are needed
 */
#define EK_INDEX_MAGIC		0x454b4958
#define EK_INDEX_FORMAT		1
#define EK_META_BLOCK		0
#define EK_STRETCH_PAGES	16

/* A fine code must fit a page; so 8,000 with pages of 8 kB. */
#define EK_INDEX_MAX_DIMS	(BLCKSZ / 1024 * 1000)

/* Coordinates of the coarse code, at most. */
#define EK_MAX_COARSE_DIMS	128

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
	uint32		count;			/* pointers on a page of NULLs */
	pg_crc32c	checksum;		/* of everything before pd_lower but the header */
} ek_page_opaque;

#define EK_PAGE_MAGIC		0x454b

typedef struct ek_meta
{
	uint32		magic;
	uint32		format;
	uint32		dims;			/* 0 before the first vector */
	uint32		coarse_dims;	/* multiple of 4; 0 without a basis */
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
 * Sixteen entries next to each other on a coarse page.  Their packed codes
 * follow the struct, 16 * coarse_dims bytes.
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

/* On a fine page; the codes follow, dims bytes. */
typedef struct ek_fine
{
	float		scale;
	float		residual;
} ek_fine;

/* Follows from dims and coarse_dims. */
typedef struct ek_geometry
{
	int			dims;
	int			coarse_dims;
	Size		group_size;
	Size		fine_size;
	uint32		groups_per_page;
	uint32		coarse_per_page;	/* entries */
	uint32		fine_per_page;
	uint32		stretch_entries;
	uint32		stretch_blocks;
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

extern ek_geometry ek_geometry_of(const ek_meta *meta);
extern uint32 ek_most_entries(const ek_geometry *geometry);
extern BlockNumber ek_coarse_block(const ek_geometry *geometry, uint32 coarse_page);
extern ek_place ek_place_of(const ek_geometry *geometry, uint32 entry);
extern ek_group *ek_group_on(const ek_geometry *geometry, Page page, uint32 group);
extern int8 *ek_group_codes(ek_group *group);
extern ek_fine *ek_fine_on(const ek_geometry *geometry, Page page, uint32 slot);
extern int8 *ek_fine_codes(ek_fine *fine);
extern ItemPointer ek_page_tids(Page page);
extern uint32 ek_tids_per_page(void);
extern float *ek_page_floats(Page page);
extern uint32 ek_floats_per_page(void);

extern void ek_page_init(Page page, ek_page_kind kind, const ek_geometry *geometry);
extern ek_page_opaque *ek_page_opaque_of(Page page);

/* The last thing to do to a page that was changed. */
extern void ek_page_seal(Page page);
extern bool ek_page_is(Page page, ek_page_kind kind);
extern void ek_meta_init(Page page);
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

typedef struct ek_cache
{
	ek_meta		meta;
	ek_geometry geometry;

	/* one bit for each of the first blocks: has this backend seen it sound? */
	BlockNumber verified_blocks;
	uint8	   *verified;

	float		basis[FLEXIBLE_ARRAY_MEMBER];	/* coarse_dims x dims */
} ek_cache;

/* Valid until the relation cache is next looked at; or a copy, for longer. */
extern const ek_cache *ek_cache_get(Relation index);
extern const ek_cache *ek_cache_copy(Relation index);
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
	float		coarse_scale;
	float		coarse_residual;
	float		tail;
	float		fine_scale;
	float		fine_residual;
	int8	   *coarse;			/* coarse_dims */
	int8	   *fine;			/* dims */
} ek_encoded;

typedef struct ek_encoder
{
	const ek_cache *cache;
	double	   *widened;		/* the vector, aligned */
	double	   *projected;
	ek_encoded	encoded;		/* of the last vector */
} ek_encoder;

/* The query's codes and certificates. */
typedef struct ek_coded_query
{
	ek_metric	metric;
	double		norm;
	double		eta;
	int8	   *coarse;
	double		coarse_scale;
	double		coarse_length;	/* of the decoded code, from above */
	double		coarse_residual;
	double		tail;
	int8	   *fine;
	double		fine_scale;
	double		fine_length;
	double		fine_residual;
} ek_coded_query;

extern ek_encoder *ek_encoder_create(const ek_cache *cache);
/* Raises an error unless the vector is finite. */
extern const ek_encoded *ek_encode(ek_encoder *encoder, const float *vector);
extern const ek_encoded *ek_encode_null(ek_encoder *encoder);
extern void ek_encoded_store(const ek_encoded *encoded, const ek_geometry *geometry,
							 Page coarse, Page fine, const ek_place *place,
							 ItemPointer tid);
extern ek_coded_query *ek_encode_query(const ek_cache *cache, ek_metric metric,
									   const float *vector);
extern void ek_bound_group(const ek_coded_query *query, const ek_geometry *geometry,
						   ek_group *group, double *bounds);
extern double ek_bound_fine(const ek_coded_query *query, const ek_geometry *geometry,
							const ek_fine *fine, const int8 *codes, double norm);

/*
 * basis.c: principal directions of a sample
 */

/* A sample of unit vectors, as rows and as columns. */
typedef struct ek_sample
{
	int			dims;
	int			count;
	int			capacity;
	float	   *rows;			/* count x dims */
} ek_sample;

extern int	ek_find_basis(const ek_sample *sample, float *rows);
/* Is |B| <= 1 in the spectral norm, for these floats? */
extern bool ek_basis_is_correct(const float *rows, int count, int dims);

/*
 * The verbs, one a file
 */

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
