/*
 * fuzz_pgvector.c
 *		Any bytes as a vector or halfvec through src/vector/pgvector.c.
 *
 * The bytes are a value of pgvector, or what was made of one: its length, its number of
 * dimensions and its elements, in memory that ends where it ends.  Whether it is a vector,
 * and which floats it stands for, is worked out apart: halves by their definition, as a
 * sign, a fraction and a power of two.
 */
#include "postgres.h"

#include <math.h>
#include <stdlib.h>

#include "input.h"
#include "server_stubs.h"
#include "vector/vector.h"

/* the server's own need the rest of the server */
#undef fprintf

#define MOST_ELEMENTS	200

/* After the length. */
#define HEADER_SIZE		(sizeof(int32) + 2 * sizeof(int16))

/* They are in memory. */
struct varlena *
pg_detoast_datum(struct varlena *datum)
{
	return datum;
}

static double
value_of_half(uint16_t half)
{
	const int	exponent = half >> 10 & 31;
	const int	fraction = half & 1023;
	const double magnitude = exponent == 0 ? ldexp(fraction, -24) : ldexp(1024 + fraction, exponent - 25);

	if (exponent == 31)
		return fraction != 0 ? NAN : half >> 15 ? -INFINITY : INFINITY;
	return half >> 15 ? -magnitude : magnitude;
}

static double
element_of(const char *value, Size element, int i)
{
	const char *at = value + HEADER_SIZE + element * (Size) i;
	uint16_t	half;
	float		single;

	if (element == sizeof(float))
	{
		memcpy(&single, at, sizeof(single));
		return single;
	}
	memcpy(&half, at, sizeof(half));
	return value_of_half(half);
}

static bool
same(double a, double b)
{
	return (isnan(a) && isnan(b)) || (a == b && signbit(a) == signbit(b));
}

static void
require(bool holds, const char *what, Size size, int dims)
{
	if (holds)
		return;
	fprintf(stderr, "%s: %zu bytes, %d dimensions\n", what, size, dims);
	abort();
}

static void
check_get(const ek_vector_type *type, const char *value, Size size, int dims, bool sound)
{
	ek_vector	vector;

	last_error.sqlstate = 0;
	if (sigsetjmp(error_handler, 0) != 0)
	{
		require(!sound && last_error.sqlstate == ERRCODE_DATA_CORRUPTED, "an error", size, dims);
		return;
	}
	vector = type->get(PointerGetDatum(value));
	require(sound && vector.dims == dims, "accepted", size, dims);
	for (int i = 0; i < dims; i++)
		require(same(vector.values[i], element_of(value, type->element, i)), "an element", size, dims);
}

static void
check_is_valid(const ek_vector_type *type, const char *value, Size size, int dims, bool sound)
{
	bool		expected = sound;

	for (int i = 0; expected && i < dims; i++)
		expected = isfinite(element_of(value, type->element, i));
	last_error.sqlstate = 0;
	if (sigsetjmp(error_handler, 0) != 0)
		require(false, "is_valid raised an error", size, dims);
	require(type->is_valid(PointerGetDatum(value)) == expected, "is_valid", size, dims);
}

/* Mostly the number that the length is of. */
static int16
take_dims(input *from, Size element, Size size)
{
	const uint8_t kind = take_byte(from);
	const int	right = size < HEADER_SIZE ? 0 : (int) ((size - HEADER_SIZE) / element);

	if (kind % 4 != 0)
		return (int16) right;
	return (int16) (kind % 8 == 0 ? right + (int) take_byte(from) % 5 - 2 : take_byte(from) << 8 | take_byte(from));
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	input		from = {bytes, size};
	const ek_vector_type *type = take_byte(&from) % 2 == 0 ? &ek_type_vector : &ek_type_halfvec;
	const Size	length = VARHDRSZ + take_below(&from, HEADER_SIZE + type->element * MOST_ELEMENTS) +
		(take_byte(&from) % 4 == 0 ? 0 : HEADER_SIZE - VARHDRSZ);
	char	   *value = calloc(1, length);
	int16		dims = 0;
	bool		sound;

	if (value == NULL)
		abort();
	if (length >= HEADER_SIZE)
		dims = take_dims(&from, type->element, length);
	fill_bytes(&from, 0, value + VARHDRSZ, length - VARHDRSZ);
	SET_VARSIZE(value, length);
	if (length >= HEADER_SIZE)
		memcpy(value + VARHDRSZ, &dims, sizeof(dims));
	sound = length >= HEADER_SIZE && dims >= 1 && length == HEADER_SIZE + type->element * (Size) dims;
	check_get(type, value, length, dims, sound);
	check_is_valid(type, value, length, dims, sound);
	free_palloced();
	free(value);
	return 0;
}
