/*
 * queries.c
 *		Queries that are prepared once, for many targets.
 *
 * They are encoded where targets are screened; where nothing would be gained by that,
 * a few are widened, as the prepared query of an operator is, and many stay as they are.
 */
#include "postgres.h"

#include <math.h>

#include "common/hashfn.h"
#include "miscadmin.h"
#include "utils/memutils.h"

#include "base/level.h"
#include "base/scratch.h"
#include "nearest/queries.h"
#include "vector/compute.h"

/* A code of a target costs as much as three exact distances (make bench). */
#define MIN_QUERIES_TO_SCREEN	4

static pg_noinline void
raise_query_not_finite(const ek_queries *queries, int q)
{
	ek_vector_require_finite(ek_query_vector(queries, q).values, queries->vectors.dims,
							 queries->vectors.count == 1 ? "the query" :
							 psprintf("query %d", q + 1));
	elog(ERROR, "a sum of finite elements is not finite");
}

/* Widened, as the prepared query of an operator is. */
static void
prepare_queries(ek_queries *queries)
{
	const Size	size = ek_query_size(queries->vectors.dims);

	queries->prepared = palloc(sizeof(ek_query) * queries->vectors.count);
	for (int q = 0; q < queries->vectors.count; q++)
	{
		queries->prepared[q] = ek_prepare_query(ek_query_vector(queries, q), ek_alloc_aligned(CurrentMemoryContext, size));
		if (!isfinite(queries->prepared[q].norm2))
			raise_query_not_finite(queries, q);
	}
	queries->size += size * queries->vectors.count;
}

ek_certificate
ek_encode_row(ek_vector vector, double norm, int most, int8 *codes)
{
	const ek_certificate certificate = ek_encode_vector(vector, norm, most, codes);

	memset(codes + vector.dims, 0, ek_code_stride(vector.dims) - vector.dims);
	return certificate;
}

static void
encode_query(ek_queries *queries, int q, int8 *scratch)
{
	const int	dims = queries->vectors.dims;
	const double norm2 = ek_compute_norm2(ek_query_vector(queries, q));
	int8	   *codes = queries->codes + (Size) q * queries->stride;
	ek_certificate certificate;
	double		length;

	if (!isfinite(norm2))
		raise_query_not_finite(queries, q);
	certificate = ek_encode_row(ek_query_vector(queries, q), sqrt(norm2), EK_MAX_CODE, scratch);
	memcpy(codes, scratch, queries->stride);
	queries->certificates[q] = certificate;
	length = certificate.scale * (1.0 + ek_eta_of(dims)) *
		sqrt((double) ek_compute_code_dot(codes, codes, queries->stride));

	queries->norm2[q] = norm2;
	queries->factors[q] = ek_factors_of_query(queries->metric, dims, sqrt(norm2),
											  certificate.scale, length, certificate.residual);
}

static void
encode_queries(ek_queries *queries)
{
	const int	count = queries->vectors.count;
	const Size	rows = TYPEALIGN(EK_CODE_QUERIES, (Size) count);
	int8	   *scratch = palloc(queries->vectors.dims + EK_LANES);

	queries->stride = ek_code_stride(queries->vectors.dims);
	/* a gigabyte need not be enough, if they are many and short */
	queries->norm2 = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(double) * count);
	queries->certificates = MemoryContextAllocHuge(CurrentMemoryContext,
												   sizeof(ek_certificate) * count);
	queries->factors = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(ek_factors) * count);
	queries->codes = ek_alloc_aligned(CurrentMemoryContext, rows * queries->stride);
	for (int q = 0; q < count; q++)
	{
		CHECK_FOR_INTERRUPTS();
		encode_query(queries, q, scratch);
	}
	pfree(scratch);
	queries->size += rows * queries->stride +
		count * (sizeof(double) + sizeof(ek_certificate) + sizeof(ek_factors));
}

static bool
is_screened(ek_metric metric, ek_vectors vectors)
{
	return metric != EK_METRIC_L1 &&
		vectors.count >= MIN_QUERIES_TO_SCREEN &&
		vectors.dims <= EK_CODE_MAX_DIMS &&
		ek_kernels_in_use()->level != EK_LEVEL_SCALAR;
}

/* Where they are many and not screened, they are compared as they are. */
static void
check_queries(ek_queries *queries)
{
	for (int q = 0; q < queries->vectors.count; q++)
	{
		CHECK_FOR_INTERRUPTS();
		if (!isfinite(ek_compute_norm2(ek_query_vector(queries, q))))
			raise_query_not_finite(queries, q);
	}
}

static void
identify(ek_queries *queries)
{
	for (int q = 0; q < queries->vectors.count; q++)
	{
		const unsigned char *bytes = (const unsigned char *) ek_query_vector(queries, q).values;
		uint64		hash = hash_bytes_extended(bytes, queries->vectors.dims * (int) sizeof(float), 0);

		CHECK_FOR_INTERRUPTS();
		queries->identity = hash_combine64(queries->identity, hash);
	}
}

ek_queries *
ek_queries_create(ek_metric metric, ek_vectors vectors)
{
	ek_queries *queries = palloc0(sizeof(ek_queries));
	const Size	bytes = (Size) vectors.count * vectors.dims * sizeof(float);

	queries->metric = metric;
	queries->vectors = vectors;
	queries->size = sizeof(ek_queries) + bytes;
	queries->screened = is_screened(metric, vectors);
	identify(queries);
	if (queries->screened)
		encode_queries(queries);
	else if (vectors.count < MIN_QUERIES_TO_SCREEN)
		prepare_queries(queries);
	else
		check_queries(queries);
	return queries;
}
