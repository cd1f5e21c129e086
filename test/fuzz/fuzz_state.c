/*
 * fuzz_state.c
 *		Any bytes through what reads the states of engram_nearest, engram_nearest_merge and
 *		engram_sum.
 *
 * A state or the error of bytes that are none; nothing else, in memory that is
 * in proportion to the bytes.  What is read is written again, and then read and
 * written once more, to the same bytes: the first time neighbours are sorted.
 */
#include "postgres.h"

#include <stdlib.h>

#include "fmgr.h"

#include "input.h"
#include "server_stubs.h"

/* the server's own needs the rest of the server */
#undef fprintf

typedef struct functions
{
	PGFunction	serialize;
	PGFunction	deserialize;
} functions;

extern Datum ek_sql_nearest_serialize(PG_FUNCTION_ARGS);
extern Datum ek_sql_nearest_deserialize(PG_FUNCTION_ARGS);
extern Datum ek_sql_nearest_merge_serialize(PG_FUNCTION_ARGS);
extern Datum ek_sql_nearest_merge_deserialize(PG_FUNCTION_ARGS);
extern Datum ek_sql_sum_serialize(PG_FUNCTION_ARGS);
extern Datum ek_sql_sum_deserialize(PG_FUNCTION_ARGS);

static const functions functions_of[] = {
	{ek_sql_nearest_serialize, ek_sql_nearest_deserialize},
	{ek_sql_nearest_merge_serialize, ek_sql_nearest_merge_deserialize},
	{ek_sql_sum_serialize, ek_sql_sum_deserialize}
};

static void
require(bool holds, const char *what)
{
	if (holds)
		return;
	fprintf(stderr, "%s: %s\n", what, last_error.message);
	abort();
}

static Datum
call(PGFunction function, Datum argument)
{
	LOCAL_FCINFO(fcinfo, 2);

	memset(fcinfo, 0, SizeForFunctionCallInfo(2));
	fcinfo->nargs = 2;
	fcinfo->args[0].value = argument;
	return function(fcinfo);
}

/* With a short header where there can be one, as PostgreSQL stores them. */
static bytea *
datum_of_bytes(const uint8_t *bytes, size_t size)
{
	const bool	is_short = size + VARHDRSZ_SHORT <= VARATT_SHORT_MAX;
	char	   *datum = malloc(size + VARHDRSZ);

	if (datum == NULL)
		abort();
	if (is_short)
		SET_VARSIZE_SHORT(datum, size + VARHDRSZ_SHORT);
	else
		SET_VARSIZE(datum, size + VARHDRSZ);
	if (size > 0)
		memcpy(VARDATA_ANY(datum), bytes, size);
	return (bytea *) datum;
}

static void
check_again(const functions *of, Datum state)
{
	bytea	   *first = (bytea *) DatumGetPointer(call(of->serialize, state));
	Datum		again = call(of->deserialize, PointerGetDatum(first));
	bytea	   *second = (bytea *) DatumGetPointer(call(of->serialize, again));

	require(VARSIZE(first) == VARSIZE(second) &&
			memcmp(first, second, VARSIZE(first)) == 0, "another state when read again");
}

static void
check(const functions *of, Datum bytes, size_t size)
{
	Datum		state;

	last_error.sqlstate = 0;
	if (sigsetjmp(error_handler, 0) != 0)
	{
		require(last_error.sqlstate == ERRCODE_INVALID_BINARY_REPRESENTATION, "another error");
		return;
	}
	state = call(of->deserialize, bytes);
	require(palloced_bytes() <= 64 * size + 4096, "memory out of proportion");

	if (sigsetjmp(error_handler, 0) != 0)
		require(false, "an error of a state that was read");
	check_again(of, state);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	bytea	   *datum;

	if (size == 0)
		return 0;
	datum = datum_of_bytes(bytes + 1, size - 1);
	check(&functions_of[bytes[0] % lengthof(functions_of)], PointerGetDatum(datum), VARSIZE_ANY(datum));
	free_palloced();
	free(datum);
	return 0;
}
