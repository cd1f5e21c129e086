/*
 * pgvector.c
 *		The types of pgvector: vector, and halfvec.
 *
 * Their values are as pgvector has them from 0.7 on: after the length, which every
 * variable-length type begins with, the number of dimensions and two bytes of zeros,
 * and then floats, or halves, numbers of 16 bits (IEEE 754 binary16).  A vector is read
 * where it is; a halfvec is widened into memory of the current context, which loses nothing.
 *
 * pgvector refuses NaN and infinity when a value is made, and has no NULLs in it.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/memutils.h"

#include "base/stats.h"
#include "simd/ek_simd.h"
#include "vector/vector.h"

typedef struct header
{
	int32		length;			/* not for reading: see VARSIZE */
	int16		dims;
	int16		unused;
} header;

/* The value with its elements of so many bytes; NULL if its length is not that of its dimensions. */
static const header *
read_value(Datum datum, Size element)
{
	const header *value = (const header *) PG_DETOAST_DATUM(datum);

	if (VARSIZE(value) < sizeof(header) || value->dims < 1 ||
		VARSIZE(value) != sizeof(header) + element * (Size) value->dims)
		return NULL;
	return value;
}

static const header *
read_sound_value(Datum datum, Size element)
{
	const header *value = read_value(datum, element);

	if (value != NULL)
		return value;
	ek_stats_count_error(EK_ERROR_OTHER);
	ereport(ERROR,
			(errcode(ERRCODE_DATA_CORRUPTED),
			 errmsg("vector is damaged: its length is not that of its dimensions")));
}

/* A value with the same dimensions as those before it, if any. */
static ek_vector
get_next(const ek_vectors *before, Datum value, ek_vector (*get) (Datum))
{
	const ek_vector vector = get(value);

	if (before->count > 0 && vector.dims != before->dims)
		ek_raise_different_dimensions(before->dims, vector.dims);
	return vector;
}

static ek_vectors
get_all(Datum datum, ek_vector (*get) (Datum))
{
	ArrayType  *array = DatumGetArrayTypeP(datum);
	ek_vectors	vectors = {0};
	float	   *values = NULL;
	Datum	   *elements;
	bool	   *nulls;
	int			count;

	deconstruct_array(array, ARR_ELEMTYPE(array), -1, false, TYPALIGN_INT, &elements, &nulls, &count);
	for (; vectors.count < count; vectors.count++)
	{
		ek_vector	vector;

		CHECK_FOR_INTERRUPTS();
		if (nulls[vectors.count])
			ek_raise_nulls();
		vector = get_next(&vectors, elements[vectors.count], get);
		if (values == NULL)
			values = MemoryContextAllocHuge(CurrentMemoryContext,
											sizeof(float) * (Size) count * (Size) vector.dims);
		vectors.dims = vector.dims;
		memcpy(values + (Size) vectors.count * vector.dims, vector.values, sizeof(float) * vector.dims);
	}
	vectors.values = values;
	return vectors;
}

static ek_candidates
get_candidates(Datum array, int dims, ek_vector (*get) (Datum))
{
	const ek_vectors vectors = get_all(array, get);

	if (vectors.count > 0 && vectors.dims != dims)
		ek_raise_different_dimensions(dims, vectors.dims);
	return (ek_candidates)
	{
		.values = vectors.values,.count = vectors.count
	};
}

/*
 * vector
 */

static ek_vector
floats_of(const header *value)
{
	return (ek_vector)
	{
		.values = (const float *) (value + 1),.dims = value->dims
	};
}

static ek_vector
get_vector(Datum datum)
{
	return floats_of(read_sound_value(datum, sizeof(float)));
}

static bool
is_valid_vector(Datum datum)
{
	const header *value = read_value(datum, sizeof(float));

	return value != NULL && ek_is_finite(floats_of(value));
}

static ek_vectors
get_all_vectors(Datum array, const char *owner pg_attribute_unused())
{
	return get_all(array, get_vector);
}

static ek_candidates
get_candidate_vectors(Datum array, int dims)
{
	return get_candidates(array, dims, get_vector);
}

const ek_vector_type ek_type_vector = {
	.arithmetic = EK_SUMS_IN_FLOAT,
	.element = sizeof(float),
	.typmod_is_dims = true,
	.get = get_vector,
	.is_valid = is_valid_vector,
	.get_all = get_all_vectors,
	.get_candidates = get_candidate_vectors
};

/*
 * halfvec
 */

#define HALF_SIGN		0x8000
#define HALF_EXPONENT	0x7c00
#define FLOAT_EXPONENT	0x7f800000

/* In front of the ten bits of a half's fraction, a float has thirteen more of its own. */
#define FRACTION_BITS	13
/* From a half's exponent to a float's: their biases are 15 and 127. */
#define REBIAS			0x1p112f

/* Halves that are subnormal are floats that are not: the product is exact for them, too. */
static inline float
float_of_half(uint16 half)
{
	uint32		bits = (uint32) (half & ~HALF_SIGN) << FRACTION_BITS;
	float		value;

	memcpy(&value, &bits, sizeof(value));
	value *= REBIAS;
	memcpy(&bits, &value, sizeof(bits));
	/* neither NaN nor infinity is a number */
	bits |= (half & HALF_EXPONENT) == HALF_EXPONENT ? FLOAT_EXPONENT : 0;
	bits |= (uint32) (half & HALF_SIGN) << 16;
	memcpy(&value, &bits, sizeof(value));
	return value;
}

/* A form that compilers make vectors of. */
static inline void
widen_lanes(const uint16 *pg_restrict halves, float *pg_restrict floats)
{
	for (int lane = 0; lane < EK_LANES; lane++)
		floats[lane] = float_of_half(halves[lane]);
}

static ek_vector
widen(const header *value)
{
	const uint16 *halves = (const uint16 *) (value + 1);
	float	   *floats = palloc(sizeof(float) * value->dims);
	int			i = 0;

	for (; i + EK_LANES <= value->dims; i += EK_LANES)
		widen_lanes(halves + i, floats + i);
	for (; i < value->dims; i++)
		floats[i] = float_of_half(halves[i]);
	return (ek_vector)
	{
		.values = floats,.dims = value->dims
	};
}

static ek_vector
get_halfvec(Datum datum)
{
	return widen(read_sound_value(datum, sizeof(uint16)));
}

static bool
is_valid_halfvec(Datum datum)
{
	const header *value = read_value(datum, sizeof(uint16));

	return value != NULL && ek_is_finite(widen(value));
}

static ek_vectors
get_all_halfvecs(Datum array, const char *owner pg_attribute_unused())
{
	return get_all(array, get_halfvec);
}

static ek_candidates
get_candidate_halfvecs(Datum array, int dims)
{
	return get_candidates(array, dims, get_halfvec);
}

const ek_vector_type ek_type_halfvec = {
	.arithmetic = EK_SUMS_IN_FLOAT,
	.element = sizeof(uint16),
	.typmod_is_dims = true,
	.get = get_halfvec,
	.is_valid = is_valid_halfvec,
	.get_all = get_all_halfvecs,
	.get_candidates = get_candidate_halfvecs
};
