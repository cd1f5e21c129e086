/*
 * functions.c
 *		The SQL functions: Datum in, kernel, Datum out.
 *
 * Each is STRICT, so no argument is NULL.  Those of vectors are IMMUTABLE:
 * whatever the CPU and the settings, the same input gives the same bits.
 *
 * Every sum is tested for being finite before anything else is done with it;
 * that is the whole check for NaN and infinity (see ek_simd.h).
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#include "base/arena.h"
#include "base/level.h"
#include "base/rows.h"
#include "base/scratch.h"
#include "base/stats.h"
#include "vector/functions.h"
#include "vector/batch.h"
#include "vector/compute.h"
#include "vector/operands.h"
#include "vector/vector.h"

PG_FUNCTION_INFO_V1(ek_sql_cosine);
PG_FUNCTION_INFO_V1(ek_sql_cosine_distance);
PG_FUNCTION_INFO_V1(ek_sql_inner_product);
PG_FUNCTION_INFO_V1(ek_sql_negative_inner_product);
PG_FUNCTION_INFO_V1(ek_sql_l2_distance);
PG_FUNCTION_INFO_V1(ek_sql_l1_distance);
PG_FUNCTION_INFO_V1(ek_sql_norm);
PG_FUNCTION_INFO_V1(ek_sql_normalize);
PG_FUNCTION_INFO_V1(ek_sql_is_valid);
PG_FUNCTION_INFO_V1(ek_sql_simd_info);
PG_FUNCTION_INFO_V1(ek_sql_arena_stats);

/*
 * Two vectors
 */

/* Raises the error of a pair whose sum was not finite. */
static pg_noinline void
raise_not_finite(const ek_operands *operands)
{
	/* a prepared query is finite */
	const bool	second = operands->query != NULL && operands->query_argument == 0;

	ek_vector_require_finite(operands->vector.values, operands->vector.dims,
							 second ? "the second vector" : "the first vector");
	if (operands->query == NULL)
		ek_vector_require_finite(operands->other.values, operands->other.dims,
								 "the second vector");
	elog(ERROR, "a sum of finite elements is not finite");
}

static inline void
end_pair(ek_operation operation, ek_stats_call call, const ek_operands *operands,
		 bool finite)
{
	ek_stats_count(operation, call, 1, operands->vector.dims);
	if (!finite)
		raise_not_finite(operands);
}

static double
cosine_of(FunctionCallInfo fcinfo, const ek_vector_type *type)
{
	ek_operands operands = ek_operands_get(fcinfo, type);
	ek_stats_call call = ek_stats_begin();
	ek_cosine_sums sums = ek_compute_cosine(&operands);

	/* if both norms are finite, so is the dot product */
	end_pair(EK_COSINE, call, &operands,
			 isfinite(sums.norm2_a) && isfinite(sums.norm2_b));
	return ek_cosine_similarity(sums.dot, sums.norm2_a, sums.norm2_b);
}

static double
inner_product_of(FunctionCallInfo fcinfo, const ek_vector_type *type)
{
	ek_operands operands = ek_operands_get(fcinfo, type);
	ek_stats_call call = ek_stats_begin();
	double		dot = ek_compute_dot(&operands);

	end_pair(EK_INNER_PRODUCT, call, &operands, isfinite(dot));
	return dot;
}

double
ek_cosine_distance(FunctionCallInfo fcinfo, const ek_vector_type *type)
{
	return 1.0 - cosine_of(fcinfo, type);
}

/* Taken from 0.0, so it is never -0. */
double
ek_negative_inner_product(FunctionCallInfo fcinfo, const ek_vector_type *type)
{
	return 0.0 - inner_product_of(fcinfo, type);
}

double
ek_l2_distance(FunctionCallInfo fcinfo, const ek_vector_type *type)
{
	ek_operands operands = ek_operands_get(fcinfo, type);
	ek_stats_call call = ek_stats_begin();
	double		l2_squared = ek_compute_l2_squared(&operands);

	end_pair(EK_L2, call, &operands, isfinite(l2_squared));
	return sqrt(l2_squared);
}

/*
 * engram_cosine(a real[], b real[]) returns double precision
 *
 * Cosine similarity, -1 to 1; 0 if either vector is zero.
 */
Datum
ek_sql_cosine(PG_FUNCTION_ARGS)
{
	PG_RETURN_FLOAT8(cosine_of(fcinfo, &ek_type_real_array));
}

/*
 * engram_cosine_distance(a real[], b real[]) returns double precision
 *
 * 1 - cosine similarity, 0 to 2.
 */
Datum
ek_sql_cosine_distance(PG_FUNCTION_ARGS)
{
	PG_RETURN_FLOAT8(ek_cosine_distance(fcinfo, &ek_type_real_array));
}

/*
 * engram_inner_product(a real[], b real[]) returns double precision
 */
Datum
ek_sql_inner_product(PG_FUNCTION_ARGS)
{
	PG_RETURN_FLOAT8(inner_product_of(fcinfo, &ek_type_real_array));
}

/*
 * engram_negative_inner_product(a real[], b real[]) returns double precision
 *
 * A distance: it shrinks with likeness.
 */
Datum
ek_sql_negative_inner_product(PG_FUNCTION_ARGS)
{
	PG_RETURN_FLOAT8(ek_negative_inner_product(fcinfo, &ek_type_real_array));
}

/*
 * engram_l2_distance(a real[], b real[]) returns double precision
 *
 * Euclidean distance.
 */
Datum
ek_sql_l2_distance(PG_FUNCTION_ARGS)
{
	PG_RETURN_FLOAT8(ek_l2_distance(fcinfo, &ek_type_real_array));
}

void
ek_require_radius(double radius)
{
	if (isnan(radius))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("radius must not be NaN")));
}

/* The radius is looked at first: what is wrong with it is so for every pair. */
static Datum
within(FunctionCallInfo fcinfo, ek_pair_distance distance, const ek_vector_type *type)
{
	const double radius = PG_GETARG_FLOAT8(2);

	ek_require_radius(radius);
	PG_RETURN_BOOL(distance(fcinfo, type) <= radius);
}

/*
 * engram_cosine_within(a real[], b real[], radius double precision) returns boolean,
 * its siblings, and all of them for vector and halfvec
 *
 * Is the distance at most the radius?  Of the inner product, as of its operator, the
 * distance is the negative product: a radius of -0.8 asks for products of 0.8 and more.
 */
EK_SQL_OF_TYPES(cosine_within, within(fcinfo, ek_cosine_distance, type));
EK_SQL_OF_TYPES(inner_product_within, within(fcinfo, ek_negative_inner_product, type));
EK_SQL_OF_TYPES(l2_within, within(fcinfo, ek_l2_distance, type));

/*
 * engram_l1_distance(a real[], b real[]) returns double precision
 *
 * Taxicab distance: the sum of the magnitudes of the differences.
 */
Datum
ek_sql_l1_distance(PG_FUNCTION_ARGS)
{
	ek_operands operands = ek_operands_get(fcinfo, &ek_type_real_array);
	ek_stats_call call = ek_stats_begin();
	double		l1 = ek_compute_l1(&operands);

	end_pair(EK_L1, call, &operands, isfinite(l1));
	PG_RETURN_FLOAT8(l1);
}

/*
 * One vector
 */

static double
norm_of(ek_vector vector)
{
	ek_stats_call call = ek_stats_begin();
	double		norm2 = ek_compute_norm2(vector);

	ek_stats_count(EK_NORM, call, 1, vector.dims);
	if (!isfinite(norm2))
		ek_vector_require_finite(vector.values, vector.dims, "the vector");
	return sqrt(norm2);
}

/*
 * engram_norm(a real[]) returns double precision
 *
 * Euclidean length.
 */
Datum
ek_sql_norm(PG_FUNCTION_ARGS)
{
	PG_RETURN_FLOAT8(norm_of(ek_vector_get(PG_GETARG_DATUM(0))));
}

/*
 * engram_normalize(a real[]) returns real[]
 *
 * The vector of the same direction and length 1, each element rounded to real
 * once.  A zero vector stays zero.
 */
Datum
ek_sql_normalize(PG_FUNCTION_ARGS)
{
	ek_vector	vector = ek_vector_get(PG_GETARG_DATUM(0));
	double		norm = norm_of(vector);
	ArrayType  *result = ek_make_array(FLOAT4OID, sizeof(float), 1, &vector.dims);
	float	   *values = (float *) ARR_DATA_PTR(result);

	if (norm > 0.0)
	{
		for (int i = 0; i < vector.dims; i++)
		{
			if (i % EK_BLOCK_ELEMENTS == 0)
				CHECK_FOR_INTERRUPTS();
			values[i] = (float) (vector.values[i] / norm);
		}
	}
	PG_RETURN_ARRAYTYPE_P(result);
}

/*
 * engram_is_valid(a real[]) returns boolean
 *
 * Would the other functions take it?  For CHECK constraints.
 */
Datum
ek_sql_is_valid(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(ek_vector_is_valid(PG_GETARG_DATUM(0)));
}

/*
 * One query, many candidates
 */

static ArrayType *
make_similarities(int count)
{
	ArrayType  *result = ek_make_array(FLOAT8OID, sizeof(double), 1, &count);

	if (result != NULL)
		return result;
	ek_stats_count_error(EK_ERROR_OTHER);
	ereport(ERROR,
			(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
			 errmsg("an array cannot hold the similarities of %d candidates", count)));
}

/* Of one query and every candidate.  Opens the arena for itself. */
static void
compare_all(ek_vector vector, const char *owner, ek_candidates candidates, double *similarity)
{
	const int	block = ek_batch_block(vector.dims);
	double	   *norm2;
	ek_query	query;

	ek_arena_open();
	query = ek_batch_prepare(vector, owner);
	norm2 = ek_arena_alloc(sizeof(double) * block);
	for (int first = 0; first < candidates.count; first += block)
	{
		CHECK_FOR_INTERRUPTS();
		ek_batch_similarities(&query, candidates, first,
							  Min(block, candidates.count - first),
							  similarity + first, norm2);
	}
	ek_arena_close();
}

static Datum
cosine_batch(FunctionCallInfo fcinfo, const ek_vector_type *type)
{
	const ek_vector query = type->get(PG_GETARG_DATUM(0));
	const ek_candidates candidates = type->get_candidates(PG_GETARG_DATUM(1), query.dims);
	ArrayType  *result = make_similarities(candidates.count);
	ek_stats_call call = ek_stats_begin();

	compare_all(query, "the query", candidates, (double *) ARR_DATA_PTR(result));
	ek_batch_count(EK_COSINE_BATCH, call, candidates, query.dims);
	PG_RETURN_ARRAYTYPE_P(result);
}

/*
 * engram_cosine_batch(query real[], candidates real[])
 * returns double precision[], and of vector and vector[], and of halfvec and halfvec[]
 *
 * The cosine similarity of each candidate, in their order.
 */
EK_SQL_OF_TYPES(cosine_batch, cosine_batch(fcinfo, type));

static ArrayType *
make_similarity_matrix(int rows, int columns)
{
	const int	lengths[] = {rows, columns};
	ArrayType  *result = ek_make_array(FLOAT8OID, sizeof(double), 2, lengths);

	if (result != NULL)
		return result;
	ek_stats_count_error(EK_ERROR_OTHER);
	ereport(ERROR,
			(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
			 errmsg("an array cannot hold the similarities of %d queries and %d candidates",
					rows, columns)));
}

static Datum
cosine_matrix(FunctionCallInfo fcinfo, const ek_vector_type *type)
{
	ek_vectors	queries = type->get_all(PG_GETARG_DATUM(0), "queries");
	ek_vectors	vectors = type->get_all(PG_GETARG_DATUM(1), "candidates");
	ek_candidates candidates = {.values = vectors.values,.count = vectors.count};
	ArrayType  *result = make_similarity_matrix(queries.count, candidates.count);
	double	   *similarity = (double *) ARR_DATA_PTR(result);
	ek_stats_call call = ek_stats_begin();

	if (queries.count > 0 && candidates.count > 0 && queries.dims != vectors.dims)
		ek_raise_different_dimensions(queries.dims, vectors.dims);
	if (candidates.count == 0)
		PG_RETURN_ARRAYTYPE_P(result);
	for (int q = 0; q < queries.count; q++)
	{
		ek_vector	query = {.values = queries.values + (Size) q * queries.dims,
		.dims = queries.dims};

		compare_all(query, psprintf("query %d", q + 1), candidates,
					similarity + (Size) q * candidates.count);
	}
	ek_stats_count(EK_COSINE_MATRIX, call, (uint64) queries.count * candidates.count,
				   (uint64) queries.count * candidates.count * queries.dims);
	PG_RETURN_ARRAYTYPE_P(result);
}

/*
 * engram_cosine_matrix(queries real[], candidates real[])
 * returns double precision[], and of vector[] and halfvec[]
 *
 * The cosine similarity of each query and each candidate: two-dimensional, a
 * row for each query.
 */
EK_SQL_OF_TYPES(cosine_matrix, cosine_matrix(fcinfo, type));

/*
 * The backend
 */

/*
 * engram_simd_info()
 * returns table (level text, compiled boolean, supported boolean, active boolean)
 *
 * Every level, best first: is it part of this library, can this CPU and
 * operating system run it (and did it pass its self-test), is it in use?
 */
Datum
ek_sql_simd_info(PG_FUNCTION_ARGS)
{
	FuncCallContext *funcctx;

	if (SRF_IS_FIRSTCALL())
		ek_begin_set(fcinfo, EK_LEVEL_COUNT);

	funcctx = SRF_PERCALL_SETUP();
	if (funcctx->call_cntr < funcctx->max_calls)
	{
		ek_level	level = ek_level_priority[funcctx->call_cntr];
		Datum		values[4] = {
			CStringGetTextDatum(ek_level_name(level)),
			BoolGetDatum(ek_level_kernels(level) != NULL),
			BoolGetDatum(ek_level_usable(level)),
			BoolGetDatum(ek_active_kernels == ek_level_kernels(level) &&
						 ek_active_kernels != NULL)
		};

		SRF_RETURN_NEXT(funcctx, ek_make_row(funcctx->tuple_desc, values));
	}
	SRF_RETURN_DONE(funcctx);
}

/*
 * engram_arena_stats()
 * returns record (capacity bigint, resets bigint, overflows bigint,
 *				   overflow_bytes bigint, high_water bigint)
 *
 * This backend's arena since it began; capacity and high_water in bytes.
 */
Datum
ek_sql_arena_stats(PG_FUNCTION_ARGS)
{
	ek_scratch_counts counts = ek_scratch_read();
	Datum		values[5] = {
		Int64GetDatum((int64) ek_arena_capacity()),
		Int64GetDatum((int64) counts.resets),
		Int64GetDatum((int64) counts.overflows),
		Int64GetDatum((int64) counts.overflow_bytes),
		Int64GetDatum((int64) counts.high_water)
	};

	PG_RETURN_DATUM(ek_make_single_row(fcinfo, values));
}
