/*
 * sample.c
 *		What is found out about many vectors from some of them: by a build, of those of
 *		a table before it reads them all; later, of those that an index has.
 *
 * Some of them, as unit vectors, for the basis; and how near neighbours are, for
 * the budget of the codes.  That cannot be told from a few thousand vectors: where a
 * vector has fifty neighbours among a million, most of such a sample have none
 * in it.  So a second and larger sample is compared with a few vectors of the first,
 * and not kept.
 *
 * The same sample is taken from the same table: an index is built the same way
 * twice.
 */
#include "postgres.h"

#include <math.h>

#include "access/tableam.h"
#include "catalog/index.h"
#include "commands/vacuum.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/sampling.h"

#include "base/scratch.h"
#include "index/index.h"
#include "vector/compute.h"
#include "vector/operands.h"
#include "vector/vector.h"

#define SAMPLE_VECTORS		2000
#define COMPARED_VECTORS	100000

/* How many neighbours the budget is for. */
#define NEIGHBOURS			10

/* So similar is a query to itself, and to copies of it. */
#define SAME				(1.0 - 1e-6)

typedef struct sampler sampler;

/* What becomes of a vector of a sample. */
typedef void (*take_function) (sampler *s, ek_vector vector);

/* Has all vectors of a block taken. */
typedef void (*read_function) (sampler *s, BlockNumber block);

struct sampler
{
	Relation	index;
	read_function read;

	/* from a table */
	const ek_vector_type *type;
	Relation	heap;
	IndexInfo  *info;

	/* from an index */
	ek_geometry geometry;
	BufferAccessStrategy strategy;
	float	   *decoded;

	MemoryContext scratch;		/* of one vector; reset for each */
	MemoryContext lasting;
	ek_sample  *sample;
	BlockNumber blocks;			/* of the table, or coarse pages of the index */
	uint64		random;
	take_function take;			/* of the sample that is being taken */
	int64		seen;			/* vectors in it */

	/* of the second sample */
	const float *queries;		/* EK_BUDGET_QUERIES rows */
	double	   *widened;
	double	   *dots;
	double		most[EK_BUDGET_QUERIES][NEIGHBOURS];	/* cosines, the largest first */
};

/* An element that is not finite is refused later; a zero vector has no direction. */
static inline bool
has_direction(double norm2)
{
	return isfinite(norm2) && norm2 > 0.0;
}

static uint64
next_random(sampler *s)
{
	s->random = s->random * UINT64CONST(6364136223846793005) +
		UINT64CONST(1442695040888963407);
	return s->random >> 16;
}

static void
take_tuple(Relation index, ItemPointer tid pg_attribute_unused(),
		   Datum *values, bool *isnull, bool alive, void *arg)
{
	sampler    *s = arg;
	MemoryContext caller;
	uint32		dims = (uint32) s->sample->dims;
	const float *vector;

	if (isnull[0] || !alive)
		return;
	caller = MemoryContextSwitchTo(s->scratch);
	vector = ek_indexed_vector(index, s->type, values[0], &dims);
	s->take(s, (ek_vector) {.values = vector,.dims = (int) dims});
	MemoryContextSwitchTo(caller);
	MemoryContextReset(s->scratch);
}

static void
read_table_block(sampler *s, BlockNumber block)
{
	table_index_build_range_scan(s->heap, s->index, s->info, false,
								 !s->info->ii_Concurrent, false, block, 1,
								 take_tuple, s, NULL);
}

/* Takes what fine codes stand for, of the entries of one fine page. */
static void
take_fine_page(sampler *s, const ek_row_page *rows)
{
	const ek_geometry *g = &s->geometry;
	Buffer		buffer = ReadBufferExtended(s->index, MAIN_FORKNUM, rows->block, RBM_NORMAL,
											s->strategy);
	Page		page = BufferGetPage(buffer);
	uint32		end;

	LockBuffer(buffer, BUFFER_LOCK_SHARE);
	end = ek_require_used_page(s->index, buffer, EK_PAGE_FINE, g) ? rows->end : rows->first;
	for (uint32 entry = rows->first; entry < end; entry++)
	{
		const ek_place place = ek_place_of(g, entry);
		ek_certificate *fine = ek_fine_on(g, page, place.fine_slot);
		const int8 *codes = ek_fine_codes(fine);

		if (*ek_row_on(g, page, &place).state != EK_ENTRY_VECTOR)
			continue;
		for (int i = 0; i < g->dims; i++)
			s->decoded[i] = fine->scale * codes[i];
		s->take(s, (ek_vector) {.values = s->decoded,.dims = g->dims});
	}
	UnlockReleaseBuffer(buffer);
}

/* How many vectors a coarse page has; its fine pages may not exist if there are none. */
static uint32
vectors_on(sampler *s, uint32 coarse_page)
{
	Buffer		buffer = ek_read_page(s->index, ek_coarse_block(&s->geometry, coarse_page),
									  BUFFER_LOCK_SHARE, EK_PAGE_COARSE, &s->geometry);
	const uint32 vectors = ek_coarse_header_on(BufferGetPage(buffer))->vectors;

	UnlockReleaseBuffer(buffer);
	return vectors;
}

static void
read_coarse_page(sampler *s, BlockNumber coarse_page)
{
	const uint32 per_page = s->geometry.coarse_per_page;
	const BlockNumber blocks = RelationGetNumberOfBlocks(s->index);

	if (vectors_on(s, coarse_page) == 0)
		return;
	for (uint32 entry = coarse_page * per_page; entry < (coarse_page + 1) * per_page;)
	{
		const ek_row_page rows = ek_row_page_of(&s->geometry, entry);

		ek_vacuum_delay_point();
		if (rows.block < blocks)
			take_fine_page(s, &rows);
		entry = rows.end;
	}
}

/* Takes each vector of random blocks, so many at most; returns how many it was. */
static BlockNumber
sample_blocks(sampler *s, int blocks, take_function take)
{
	BlockSamplerData sampled;

	s->take = take;
	s->seen = 0;
	BlockSampler_Init(&sampled, s->blocks, blocks, 20260101);
	while (BlockSampler_HasMore(&sampled))
	{
		const BlockNumber block = BlockSampler_Next(&sampled);

		CHECK_FOR_INTERRUPTS();
		s->read(s, block);
	}
	return (BlockNumber) sampled.m;
}

/*
 * The first sample
 */

static void
keep_in_sample(ek_sample *sample, int place, const float *vector, double norm)
{
	float	   *row = sample->rows + (Size) place * sample->dims;

	for (int i = 0; i < sample->dims; i++)
		row[i] = (float) (vector[i] / norm);
}

static void
sample_vector(sampler *s, ek_vector vector)
{
	ek_sample  *sample = s->sample;
	const double norm2 = ek_compute_norm2(vector);
	int64		place;

	if (sample->rows == NULL)
	{
		sample->dims = vector.dims;
		sample->rows = MemoryContextAllocHuge(s->lasting, sizeof(float) * (Size) SAMPLE_VECTORS *
											  vector.dims);
	}
	if (!has_direction(norm2))
		return;

	/* Vitter's algorithm R: each has the same chance to be in the sample */
	place = s->seen++;
	if (place >= SAMPLE_VECTORS)
		place = (int64) (next_random(s) % (uint64) s->seen);
	else
		sample->count++;
	if (place < SAMPLE_VECTORS)
		keep_in_sample(sample, (int) place, vector.values, sqrt(norm2));
}

/*
 * The second sample
 */

static void
keep_cosine(double *most, double cosine)
{
	int			place = NEIGHBOURS - 1;

	if (cosine <= most[place] || cosine > SAME)
		return;
	for (; place > 0 && most[place - 1] < cosine; place--)
		most[place] = most[place - 1];
	most[place] = cosine;
}

static void
compare_vector(sampler *s, ek_vector vector)
{
	const ek_query query = ek_prepare_query(vector, s->widened);
	const ek_rows rows = {.first = s->queries,.count = EK_BUDGET_QUERIES};

	if (!has_direction(query.norm2))
		return;
	s->seen++;
	ek_compute_dot_rows(&query, &rows, s->dots);
	for (int q = 0; q < EK_BUDGET_QUERIES; q++)
		keep_cosine(s->most[q], s->dots[q] / sqrt(query.norm2));
}

/*
 * Of a share of the table, that share of the neighbours is expected, one at least.
 */
static void
find_nearest(sampler *s)
{
	ek_sample  *sample = s->sample;
	const double per_block = Max(1.0, sample->expected / Max(s->blocks, 1));
	int			wanted;

	s->queries = ek_budget_queries(sample);
	s->widened = ek_alloc_aligned(s->lasting, ek_query_size(sample->dims));
	s->dots = MemoryContextAlloc(s->lasting, sizeof(double) * EK_BUDGET_QUERIES);
	for (int q = 0; q < EK_BUDGET_QUERIES; q++)
	{
		for (int i = 0; i < NEIGHBOURS; i++)
			s->most[q][i] = -1.0;
	}
	sample_blocks(s, (int) Max(COMPARED_VECTORS / per_block, 1.0), compare_vector);

	wanted = (int) rint(NEIGHBOURS * s->seen / Max(sample->expected, 1.0));
	wanted = Max(1, Min(NEIGHBOURS, wanted));
	for (int q = 0; q < EK_BUDGET_QUERIES; q++)
		sample->nearest[q] = s->most[q][wanted - 1];
}

static void
take_samples(sampler *s, bool with_nearest)
{
	ek_sample  *sample = s->sample;
	/* as many blocks as vectors wanted, because those of one block tend to be alike */
	const BlockNumber sampled = sample_blocks(s, SAMPLE_VECTORS, sample_vector);

	if (sampled > 0 && sample->expected == 0.0)
		sample->expected = (double) s->seen * s->blocks / sampled;
	if (with_nearest && ek_budget_queries(sample) != NULL)
		find_nearest(s);
	MemoryContextDelete(s->scratch);
	pfree(s);
}

static sampler *
create_sampler(Relation index, MemoryContext lasting, ek_sample *sample)
{
	sampler    *s = palloc0(sizeof(sampler));

	s->index = index;
	s->lasting = lasting;
	s->scratch = AllocSetContextCreate(lasting, "engramk sample", ALLOCSET_DEFAULT_SIZES);
	s->sample = sample;
	return s;
}

/*
 * A concurrent build samples what its snapshot sees; rows that come meanwhile make
 * no other basis.
 */
void
ek_sample_table(Relation heap, Relation index, IndexInfo *info, ek_format format,
				MemoryContext lasting, ek_sample *sample)
{
	sampler    *s = create_sampler(index, lasting, sample);

	s->read = read_table_block;
	s->type = ek_type_of(index);
	s->heap = heap;
	s->info = info;
	s->blocks = RelationGetNumberOfBlocks(heap);
	take_samples(s, format != EK_FORMAT_1);
}

void
ek_sample_index(Relation index, BufferAccessStrategy strategy, const ek_meta *meta,
				double vectors, MemoryContext lasting, ek_sample *sample)
{
	sampler    *s = create_sampler(index, lasting, sample);

	s->read = read_coarse_page;
	s->geometry = ek_geometry_of(meta);
	s->strategy = strategy;
	s->blocks = ek_coarse_pages(meta, &s->geometry);
	s->decoded = MemoryContextAlloc(lasting, sizeof(float) * meta->dims);
	sample->expected = vectors;
	take_samples(s, true);
}
