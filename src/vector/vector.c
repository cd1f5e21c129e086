/*
 * vector.c
 *		From a Datum to floats and a count: the one place that reads arrays of floats.
 *
 * Every form in which PostgreSQL may hand over an array is accepted: plain,
 * short-headed, compressed, out of line, and the expanded arrays of PL/pgSQL,
 * which are read where they are.  Lower bounds do not matter, and a null
 * bitmap that marks no element null is no offence.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "utils/array.h"

#include "base/stats.h"
#include "vector/vector.h"

/* What matters of a real[], in whichever form it came. */
typedef struct float_array
{
	int			ndim;
	const int  *lengths;		/* ndim of them */
	bool		has_nulls;
	const float *values;		/* undefined if has_nulls */
} float_array;

static float_array
read_flat(ArrayType *array)
{
	Assert(ARR_ELEMTYPE(array) == FLOAT4OID);

	return (float_array)
	{
		.ndim = ARR_NDIM(array),
			.lengths = ARR_DIMS(array),
			.has_nulls = ARR_HASNULL(array) && array_contains_nulls(array),
			.values = (const float *) ARR_DATA_PTR(array)
	};
}

static const float *
copy_elements(const Datum *elements, int count)
{
	float	   *values = palloc(sizeof(float) * Max(count, 1));

	for (int i = 0; i < count; i++)
		values[i] = DatumGetFloat4(elements[i]);
	return values;
}

static bool
any_null(const bool *nulls, int count)
{
	for (int i = 0; i < count; i++)
	{
		if (nulls[i])
			return true;
	}
	return false;
}

/* An expanded array is flat inside until somebody assigns to an element. */
static float_array
read_expanded(ExpandedArrayHeader *array)
{
	float_array result;

	Assert(array->element_type == FLOAT4OID);

	if (array->fvalue != NULL)
		return read_flat(array->fvalue);

	result.ndim = array->ndims;
	result.lengths = array->dims;
	result.has_nulls = array->dnulls != NULL &&
		any_null(array->dnulls, array->nelems);
	result.values = result.has_nulls ? NULL :
		copy_elements(array->dvalues, array->nelems);
	return result;
}

static float_array
read_array(Datum datum)
{
	AnyArrayType *array = DatumGetAnyArrayP(datum);

	if (VARATT_IS_EXPANDED_HEADER(array))
		return read_expanded(&array->xpn);
	return read_flat(&array->flt);
}

void
ek_raise_nulls(void)
{
	ek_stats_count_error(EK_ERROR_NULLS);
	ereport(ERROR,
			(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
			 errmsg("vector must not contain nulls")));
}

static void
require_no_nulls(const float_array *array)
{
	if (array->has_nulls)
		ek_raise_nulls();
}

ek_vector
ek_vector_get(Datum datum)
{
	float_array array = read_array(datum);

	if (array.ndim == 0 || array.lengths[0] == 0)
	{
		ek_stats_count_error(EK_ERROR_DIMENSIONS);
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("vector must have at least 1 dimension")));
	}
	if (array.ndim > 1)
	{
		ek_stats_count_error(EK_ERROR_OTHER);
		ereport(ERROR,
				(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
				 errmsg("vector must be a one-dimensional array")));
	}
	require_no_nulls(&array);

	return (ek_vector)
	{
		.values = array.values,.dims = array.lengths[0]
	};
}

bool
ek_is_finite(ek_vector vector)
{
	for (int i = 0; i < vector.dims; i++)
	{
		if (!isfinite(vector.values[i]))
			return false;
	}
	return true;
}

bool
ek_vector_is_valid(Datum datum)
{
	float_array array = read_array(datum);

	return array.ndim == 1 && array.lengths[0] > 0 && !array.has_nulls &&
		ek_is_finite((ek_vector) {.values = array.values,.dims = array.lengths[0]});
}

/* One vector or several; without any, the array has no dimensions. */
static float_array
read_vectors(Datum datum, const char *owner)
{
	float_array array = read_array(datum);

	if (array.ndim > 2)
	{
		ek_stats_count_error(EK_ERROR_OTHER);
		ereport(ERROR,
				(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
				 errmsg("%s must be a one- or two-dimensional array", owner)));
	}
	require_no_nulls(&array);
	return array;
}

ek_candidates
ek_candidates_get(Datum datum, int dims)
{
	float_array array = read_vectors(datum, "candidates");
	ek_candidates none = {NULL, 0};

	if (array.ndim == 0)
		return none;
	if (array.ndim == 2 && array.lengths[1] != dims)
		ek_raise_different_dimensions(dims, array.lengths[1]);
	if (array.ndim == 1 && array.lengths[0] % dims != 0)
	{
		ek_stats_count_error(EK_ERROR_DIMENSIONS);
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("%d elements are not a whole number of vectors with %d dimensions",
						array.lengths[0], dims)));
	}

	return (ek_candidates)
	{
		.values = array.values,
			.count = array.ndim == 2 ? array.lengths[0] : array.lengths[0] / dims
	};
}

ek_vectors
ek_vectors_get(Datum datum, const char *owner)
{
	float_array array = read_vectors(datum, owner);
	ek_vectors	vectors = {NULL, 0, 0};

	if (array.ndim == 0)
		return vectors;
	vectors.values = array.values;
	vectors.count = array.ndim == 2 ? array.lengths[0] : 1;
	vectors.dims = array.lengths[array.ndim - 1];
	return vectors;
}

const ek_vector_type ek_type_real_array = {
	.arithmetic = EK_SUMS_IN_DOUBLE,
	.element = sizeof(float),
	.get = ek_vector_get,
	.is_valid = ek_vector_is_valid,
	.get_all = ek_vectors_get,
	.get_candidates = ek_candidates_get
};

void
ek_raise_different_dimensions(int a, int b)
{
	ek_stats_count_error(EK_ERROR_DIMENSIONS);
	ereport(ERROR,
			(errcode(ERRCODE_DATA_EXCEPTION),
			 errmsg("different vector dimensions %d and %d", a, b)));
}

void
ek_vector_require_finite(const float *values, int dims, const char *owner)
{
	int			i = 0;

	while (i < dims && isfinite(values[i]))
		i++;
	if (i == dims)
		return;
	ek_stats_count_error(EK_ERROR_NOT_FINITE);
	ereport(ERROR,
			(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
			 errmsg("vector must not contain NaN or infinity"),
			 errdetail("Element %d of %s is %s.", i + 1, owner,
					   isnan(values[i]) ? "NaN" :
					   values[i] > 0 ? "Infinity" : "-Infinity")));
}
