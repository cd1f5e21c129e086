/*
 * aggregates.c
 *		The aggregates engram_avg and engram_sum: vectors added up.
 *
 * Elements are added in double precision, in the order of the rows, and each
 * is rounded to real once, at the end.  Parallel workers add their own rows
 * and then their sums, so the last bit of a result may depend on the plan, as
 * that of sum(float8) does.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "common/int.h"
#include "fmgr.h"
#include "libpq/pqformat.h"
#include "utils/array.h"
#include "utils/memutils.h"

#include "base/rows.h"
#include "base/stats.h"
#include "vector/state.h"
#include "vector/vector.h"

PG_FUNCTION_INFO_V1(ek_sql_sum_add);
PG_FUNCTION_INFO_V1(ek_sql_sum_combine);
PG_FUNCTION_INFO_V1(ek_sql_sum_serialize);
PG_FUNCTION_INFO_V1(ek_sql_sum_deserialize);
PG_FUNCTION_INFO_V1(ek_sql_sum_result);
PG_FUNCTION_INFO_V1(ek_sql_avg_result);

#define EXPONENT_BITS	UINT32_C(0x7f800000)

typedef struct sum_state
{
	int64		count;			/* at least 1 */
	int			dims;
	double		sums[FLEXIBLE_ARRAY_MEMBER];
} sum_state;

static sum_state *
create_state(MemoryContext context, int dims)
{
	Size		size = offsetof(sum_state, sums) + sizeof(double) * (Size) dims;
	sum_state  *state = MemoryContextAllocExtended(context, size,
												   MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);

	state->dims = dims;
	return state;
}

/*
 * The exponent tells whether an element is finite, and bits can be looked at
 * without slowing the additions down.
 */
static void
add_vector(sum_state *state, ek_vector vector)
{
	bool		all_finite = true;

	for (int i = 0; i < vector.dims; i++)
	{
		uint32		bits;

		memcpy(&bits, &vector.values[i], sizeof(bits));
		all_finite &= (bits & EXPONENT_BITS) != EXPONENT_BITS;
		state->sums[i] += vector.values[i];
	}
	if (unlikely(!all_finite))
		ek_vector_require_finite(vector.values, vector.dims, "the vector");
	state->count++;
}

/*
 * The state of engram_sum(vector real[]) and engram_avg(vector real[]); rows
 * without a vector do not count.
 */
Datum
ek_sql_sum_add(PG_FUNCTION_ARGS)
{
	MemoryContext context = ek_state_context(fcinfo, EK_AGGREGATE_SUM);
	sum_state  *state = PG_ARGISNULL(0) ? NULL : (sum_state *) PG_GETARG_POINTER(0);
	ek_vector	vector;

	if (PG_ARGISNULL(1))
	{
		if (state == NULL)
			PG_RETURN_NULL();
		PG_RETURN_POINTER(state);
	}

	vector = ek_vector_get(PG_GETARG_DATUM(1));
	if (state == NULL)
		state = create_state(context, vector.dims);
	if (state->dims != vector.dims)
		ek_raise_different_dimensions(state->dims, vector.dims);
	add_vector(state, vector);
	PG_RETURN_POINTER(state);
}

Datum
ek_sql_sum_combine(PG_FUNCTION_ARGS)
{
	MemoryContext context = ek_state_context(fcinfo, EK_AGGREGATE_SUM);
	sum_state  *state = PG_ARGISNULL(0) ? NULL : (sum_state *) PG_GETARG_POINTER(0);
	sum_state  *other = PG_ARGISNULL(1) ? NULL : (sum_state *) PG_GETARG_POINTER(1);

	if (other == NULL)
	{
		if (state == NULL)
			PG_RETURN_NULL();
		PG_RETURN_POINTER(state);
	}
	if (state == NULL)
		state = create_state(context, other->dims);
	if (state->dims != other->dims)
		ek_raise_different_dimensions(state->dims, other->dims);
	for (int i = 0; i < state->dims; i++)
		state->sums[i] += other->sums[i];
	if (pg_add_s64_overflow(state->count, other->count, &state->count))
		ek_state_require(EK_AGGREGATE_SUM, false);
	PG_RETURN_POINTER(state);
}

/*
 * A state as bytes: count, dims, the sums.
 */
Datum
ek_sql_sum_serialize(PG_FUNCTION_ARGS)
{
	const sum_state *state = (sum_state *) PG_GETARG_POINTER(0);
	StringInfoData bytes;

	(void) ek_state_context(fcinfo, EK_AGGREGATE_SUM);
	bytes = ek_state_begin(EK_AGGREGATE_SUM, sizeof(int32) + sizeof(int64) +
						   sizeof(double) * (Size) state->dims);
	pq_sendint64(&bytes, (uint64) state->count);
	pq_sendint32(&bytes, (uint32) state->dims);
	pq_sendbytes(&bytes, (const char *) state->sums, (int) (sizeof(double) * (Size) state->dims));
	PG_RETURN_BYTEA_P(pq_endtypsend(&bytes));
}

/* Any bytes can come; see state.h. */
Datum
ek_sql_sum_deserialize(PG_FUNCTION_ARGS)
{
	ek_state_reader reader;
	sum_state  *state;
	int			dims;
	int64		count;

	(void) ek_state_context(fcinfo, EK_AGGREGATE_SUM);
	reader = ek_state_open(EK_AGGREGATE_SUM, PG_GETARG_BYTEA_PP(0));
	count = ek_state_read_int64(&reader);
	dims = ek_state_read_int32(&reader);
	ek_state_require(EK_AGGREGATE_SUM, dims >= 1 && count >= 1 &&
					 ek_state_left(&reader) == sizeof(double) * (Size) dims);

	state = create_state(CurrentMemoryContext, dims);
	state->count = count;
	ek_state_read_bytes(&reader, state->sums, sizeof(double) * (Size) dims);
	for (int i = 0; i < dims; i++)
		ek_state_require(EK_AGGREGATE_SUM, isfinite(state->sums[i]));
	ek_state_close(&reader);
	PG_RETURN_POINTER(state);
}

static Datum
divided(const sum_state *state, double divisor)
{
	ArrayType  *array = ek_make_array(FLOAT4OID, sizeof(float), 1, &state->dims);
	float	   *values = (float *) ARR_DATA_PTR(array);

	for (int i = 0; i < state->dims; i++)
	{
		values[i] = (float) (state->sums[i] / divisor);
		if (!isfinite(values[i]))
		{
			ek_stats_count_error(EK_ERROR_OTHER);
			ereport(ERROR,
					(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
					 errmsg("sum of vectors is out of range for type real"),
					 errdetail("Element %d of the sum is %g.", i + 1, state->sums[i])));
		}
	}
	PG_RETURN_ARRAYTYPE_P(array);
}

/*
 * engram_sum(vector real[]) returns real[]
 */
Datum
ek_sql_sum_result(PG_FUNCTION_ARGS)
{
	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	return divided((sum_state *) PG_GETARG_POINTER(0), 1.0);
}

/*
 * engram_avg(vector real[]) returns real[]
 *
 * The centroid.
 */
Datum
ek_sql_avg_result(PG_FUNCTION_ARGS)
{
	sum_state  *state;

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	state = (sum_state *) PG_GETARG_POINTER(0);
	return divided(state, (double) state->count);
}
