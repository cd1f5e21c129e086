/*
 * sample.c
 *		What a build finds out about the vectors of a table before it reads them all.
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
typedef void (*take_function) (sampler *s, Datum value);

struct sampler
{
	Relation	heap;
	Relation	index;
	IndexInfo  *info;
	MemoryContext scratch;		/* of one vector; reset for each */
	MemoryContext lasting;
	ek_sample  *sample;
	BlockNumber blocks;			/* of the table */
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
take_tuple(Relation index pg_attribute_unused(), ItemPointer tid pg_attribute_unused(),
		   Datum *values, bool *isnull, bool alive, void *arg)
{
	sampler    *s = arg;
	MemoryContext caller;

	if (isnull[0] || !alive)
		return;
	caller = MemoryContextSwitchTo(s->scratch);
	s->take(s, values[0]);
	MemoryContextSwitchTo(caller);
	MemoryContextReset(s->scratch);
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
		table_index_build_range_scan(s->heap, s->index, s->info, false,
									 !s->info->ii_Concurrent, false, block, 1,
									 take_tuple, s, NULL);
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
sample_vector(sampler *s, Datum value)
{
	ek_sample  *sample = s->sample;
	uint32		dims = (uint32) sample->dims;
	const float *vector = ek_indexed_vector(s->index, value, &dims);
	const double norm2 = ek_compute_norm2((ek_vector) {vector, (int) dims});
	int64		place;

	if (sample->dims == 0)
	{
		sample->dims = (int) dims;
		sample->rows = MemoryContextAllocHuge(s->lasting,
											  sizeof(float) * (Size) SAMPLE_VECTORS * dims);
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
		keep_in_sample(sample, (int) place, vector, sqrt(norm2));
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
compare_vector(sampler *s, Datum value)
{
	uint32		dims = (uint32) s->sample->dims;
	const ek_vector vector = {
		.values = ek_indexed_vector(s->index, value, &dims),
		.dims = s->sample->dims
	};
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
	const double per_block = Max(1.0, sample->expected / s->blocks);
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

/*
 * A concurrent build samples what its snapshot sees; rows that come meanwhile make
 * no other basis.
 */
void
ek_take_sample(Relation heap, Relation index, IndexInfo *info, ek_format format,
			   MemoryContext lasting, ek_sample *sample)
{
	sampler    *s = palloc0(sizeof(sampler));
	BlockNumber sampled;

	s->heap = heap;
	s->index = index;
	s->info = info;
	s->lasting = lasting;
	s->scratch = AllocSetContextCreate(lasting, "engramk sample", ALLOCSET_DEFAULT_SIZES);
	s->sample = sample;
	s->blocks = RelationGetNumberOfBlocks(heap);

	/* as many blocks as vectors wanted, because those of one block tend to be alike */
	sampled = sample_blocks(s, SAMPLE_VECTORS, sample_vector);
	if (sampled > 0)
		sample->expected = (double) s->seen * s->blocks / sampled;
	if (format != EK_FORMAT_1 && ek_budget_queries(sample) != NULL)
		find_nearest(s);
	MemoryContextDelete(s->scratch);
	pfree(s);
}
