/*
 * fuzz_vector.c
 *		Arrays of every form and shape through src/vector/vector.c.
 *
 * The bytes say what a real[] is like: dimensions, lower bounds, nulls, a
 * bitmap with or without nulls, a plain or short header, expanded with flat
 * or with single elements.  It is well-formed, as the server guarantees, in
 * memory that ends where it ends.  What src/vector/vector.c makes of it, result or
 * SQLSTATE, must be what the description of the array alone says.
 */
#include "postgres.h"

#include <math.h>
#include <stdlib.h>

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/array.h"
#include "utils/expandeddatum.h"

#include "input.h"
#include "server_stubs.h"
#include "vector/vector.h"

/* the server's own need the rest of the server */
#undef fprintf
#undef snprintf

#define MAX_NDIM		4
#define MAX_ELEMENTS	400

typedef enum form
{
	FORM_PLAIN,
	FORM_SHORT,					/* if it fits in 126 bytes */
	FORM_EXPANDED_FLAT,
	FORM_EXPANDED_ELEMENTS
} form;

#define FORM_COUNT	4

/* An array as one would describe it, before any layout. */
typedef struct description
{
	form		form;
	int			ndim;
	int			lengths[MAX_NDIM];
	int			lower_bounds[MAX_NDIM];
	int			count;
	bool		has_bitmap;
	bool		any_null;
	bool		nulls[MAX_ELEMENTS];
	float		elements[MAX_ELEMENTS];
} description;

static void
describe_shape(input *from, description *array)
{
	static const int limits[MAX_NDIM + 1] = {1, MAX_ELEMENTS, 20, 7, 4};

	array->ndim = take_byte(from) % (MAX_NDIM + 1);
	array->count = array->ndim == 0 ? 0 : 1;
	for (int d = 0; d < array->ndim; d++)
	{
		array->lengths[d] = 1 + (int) take_below(from, limits[array->ndim]);
		array->lower_bounds[d] = (int) take_byte(from) - 128;
		array->count *= array->lengths[d];
	}
}

static void
describe_nulls(input *from, description *array)
{
	const uint8_t kind = take_byte(from) % 4;

	array->has_bitmap = kind >= 2 && array->count > 0;
	if (array->has_bitmap && kind == 3)
	{
		array->nulls[take_below(from, array->count)] = true;
		array->any_null = true;
	}
}

static description
describe(input *from)
{
	description array = {0};

	array.form = take_byte(from) % FORM_COUNT;
	describe_shape(from, &array);
	describe_nulls(from, &array);
	fill_floats(from, 0, array.elements, array.count);
	return array;
}

/* The flat layout.  A null takes no room among the elements. */
static ArrayType *
lay_out(const description *description)
{
	const int	ndim = description->ndim;
	const Size	overhead = description->has_bitmap ?
		ARR_OVERHEAD_WITHNULLS(ndim, description->count) :
		ARR_OVERHEAD_NONULLS(ndim);
	int			present = description->count - (description->any_null ? 1 : 0);
	const Size	size = overhead + present * sizeof(float);
	ArrayType  *array = calloc(1, size);
	float	   *next;

	if (array == NULL)
		abort();
	SET_VARSIZE(array, size);
	array->ndim = ndim;
	array->dataoffset = description->has_bitmap ? (int32) overhead : 0;
	array->elemtype = FLOAT4OID;
	memcpy(ARR_DIMS(array), description->lengths, ndim * sizeof(int));
	memcpy(ARR_LBOUND(array), description->lower_bounds, ndim * sizeof(int));

	next = (float *) ARR_DATA_PTR(array);
	for (int i = 0; i < description->count; i++)
	{
		if (description->nulls[i])
			continue;
		if (description->has_bitmap)
			ARR_NULLBITMAP(array)[i / 8] |= 1 << i % 8;
		memcpy(next++, &description->elements[i], sizeof(float));
	}
	return array;
}

/* The array as it is passed, and the memory that it is made of. */
typedef struct argument
{
	Datum		datum;
	ArrayType  *flat;
	char	   *shortened;
	ExpandedArrayHeader *expanded;
	Datum	   *elements;
	bool	   *nulls;
} argument;

static void
shorten(argument *argument)
{
	const Size	size = VARSIZE(argument->flat) - VARHDRSZ + VARHDRSZ_SHORT;

	if (size > VARATT_SHORT_MAX)
		return;
	argument->shortened = malloc(size);
	SET_VARSIZE_SHORT(argument->shortened, size);
	memcpy(VARDATA_SHORT(argument->shortened), VARDATA(argument->flat),
		   size - VARHDRSZ_SHORT);
	argument->datum = PointerGetDatum(argument->shortened);
}

static void
take_elements_apart(argument *argument, const description *description)
{
	const int	count = description->count;

	argument->elements = malloc(count * sizeof(Datum) + 1);
	for (int i = 0; i < count; i++)
		argument->elements[i] = description->nulls[i] ? 0 :
			Float4GetDatum(description->elements[i]);
	if (description->has_bitmap)
	{
		argument->nulls = malloc(count);
		memcpy(argument->nulls, description->nulls, count);
	}
	argument->expanded->dvalues = argument->elements;
	argument->expanded->dnulls = argument->nulls;
	argument->expanded->nelems = count;
}

static void
expand(argument *argument, const description *description)
{
	ExpandedArrayHeader *expanded = calloc(1, sizeof(ExpandedArrayHeader));
	varatt_expanded pointer = {&expanded->hdr};

	argument->expanded = expanded;
	expanded->hdr.vl_len_ = EOH_HEADER_MAGIC;
	SET_VARTAG_EXTERNAL(expanded->hdr.eoh_ro_ptr, VARTAG_EXPANDED_RO);
	memcpy(VARDATA_EXTERNAL(expanded->hdr.eoh_ro_ptr), &pointer, sizeof(pointer));
	expanded->ea_magic = EA_MAGIC;
	expanded->element_type = FLOAT4OID;
	expanded->ndims = description->ndim;
	expanded->dims = (int *) description->lengths;
	expanded->lbound = (int *) description->lower_bounds;
	if (description->form == FORM_EXPANDED_FLAT)
		expanded->fvalue = argument->flat;
	else
		take_elements_apart(argument, description);
	argument->datum = EOHPGetRODatum(&expanded->hdr);
}

static argument
make_argument(const description *description)
{
	argument	argument = {0};

	argument.flat = lay_out(description);
	argument.datum = PointerGetDatum(argument.flat);
	if (description->form == FORM_SHORT)
		shorten(&argument);
	else if (description->form != FORM_PLAIN)
		expand(&argument, description);
	return argument;
}

static void
free_argument(argument *argument)
{
	free_palloced();
	free(argument->flat);
	free(argument->shortened);
	free(argument->expanded);
	free(argument->elements);
	free(argument->nulls);
}

static void
require(bool holds, const char *what, const description *array)
{
	if (holds)
		return;
	fprintf(stderr, "%s: form %d, %d dimensions, %d elements, SQLSTATE %s\n",
			what, array->form, array->ndim, array->count,
			unpack_sql_state(last_error.sqlstate));
	abort();
}

char *
unpack_sql_state(int sql_state)
{
	static char buffer[6];

	for (int i = 0; i < 5; i++, sql_state >>= 6)
		buffer[i] = PGUNSIXBIT(sql_state);
	return buffer;
}

/* 0 or the SQLSTATE due */
static int
error_of_vector(const description *array)
{
	if (array->ndim == 0)
		return ERRCODE_DATA_EXCEPTION;
	if (array->ndim > 1)
		return ERRCODE_ARRAY_SUBSCRIPT_ERROR;
	return array->any_null ? ERRCODE_NULL_VALUE_NOT_ALLOWED : 0;
}

static int
error_of_candidates(const description *array, int dims)
{
	if (array->ndim == 0)
		return 0;
	if (array->ndim > 2)
		return ERRCODE_ARRAY_SUBSCRIPT_ERROR;
	if (array->any_null)
		return ERRCODE_NULL_VALUE_NOT_ALLOWED;
	if (array->ndim == 2)
		return array->lengths[1] == dims ? 0 : ERRCODE_DATA_EXCEPTION;
	return array->lengths[0] % dims == 0 ? 0 : ERRCODE_DATA_EXCEPTION;
}

static int
first_not_finite(const description *array)
{
	int			i = 0;

	while (i < array->count && isfinite(array->elements[i]))
		i++;
	return i;
}

static void
check_vector(const argument *argument, const description *array)
{
	ek_vector	vector;

	last_error.sqlstate = 0;
	if (sigsetjmp(error_handler, 0) != 0)
	{
		require(last_error.sqlstate == error_of_vector(array), "vector's error", array);
		return;
	}
	vector = ek_vector_get(argument->datum);
	require(error_of_vector(array) == 0, "vector accepted", array);
	require(vector.dims == array->count &&
			memcmp(vector.values, array->elements, array->count * sizeof(float)) == 0,
			"vector", array);
}

static void
check_candidates(const argument *argument, const description *array, int dims)
{
	ek_candidates candidates;

	last_error.sqlstate = 0;
	if (sigsetjmp(error_handler, 0) != 0)
	{
		require(last_error.sqlstate == error_of_candidates(array, dims),
				"candidates' error", array);
		return;
	}
	candidates = ek_candidates_get(argument->datum, dims);
	require(error_of_candidates(array, dims) == 0, "candidates accepted", array);
	require(candidates.count * dims == array->count &&
			(array->count == 0 ||
			 memcmp(candidates.values, array->elements, array->count * sizeof(float)) == 0),
			"candidates", array);
}

static void
check_is_valid(const argument *argument, const description *array)
{
	const bool	expected = error_of_vector(array) == 0 &&
		first_not_finite(array) == array->count;

	last_error.sqlstate = 0;
	if (sigsetjmp(error_handler, 0) != 0)
		require(false, "is_valid raised an error", array);
	require(ek_vector_is_valid(argument->datum) == expected, "is_valid", array);
}

static void
check_require_finite(const description *array)
{
	const int	bad = first_not_finite(array);
	char		start[32];

	last_error.sqlstate = 0;
	if (sigsetjmp(error_handler, 0) != 0)
	{
		snprintf(start, sizeof(start), "Element %d of a is ", bad + 1);
		require(bad < array->count &&
				last_error.sqlstate == ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE &&
				strncmp(last_error.detail, start, strlen(start)) == 0,
				"error of what is not finite", array);
		return;
	}
	ek_vector_require_finite(array->elements, array->count, "a");
	require(bad == array->count, "NaN or infinity accepted", array);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	input		from = {bytes, size};
	int			dims = 1 + (int) take_below(&from, 30);
	description array = describe(&from);
	argument	argument = make_argument(&array);

	check_vector(&argument, &array);
	check_candidates(&argument, &array, dims);
	check_is_valid(&argument, &array);
	check_require_finite(&array);
	free_argument(&argument);
	return 0;
}
