/*
 * merge.c
 *		The aggregate engram_nearest_merge: the k nearest of each query, from lists of
 *		matches that several servers, or partitions, have found.
 *
 * Exact, since each list is: who is among the k nearest of all is among those of its
 * own list, if that was of as many.  Matches are held as they come, and once they are
 * twice as many as at the last time, sorted and cut down to k of each query.  So the
 * state is at most twice the result and one list, whichever number a query has, and a
 * match is sorted a few times at most.
 */
#include "postgres.h"

#include <math.h>

#include "access/htup_details.h"
#include "access/tupmacs.h"
#include "fmgr.h"
#include "libpq/pqformat.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/memutils.h"

#include "base/stats.h"
#include "nearest/matches.h"
#include "nearest/nearest.h"
#include "vector/state.h"

PG_FUNCTION_INFO_V1(ek_sql_nearest_merge_bigint_add);
PG_FUNCTION_INFO_V1(ek_sql_nearest_merge_uuid_add);
PG_FUNCTION_INFO_V1(ek_sql_nearest_merge_combine);
PG_FUNCTION_INFO_V1(ek_sql_nearest_merge_serialize);
PG_FUNCTION_INFO_V1(ek_sql_nearest_merge_deserialize);
PG_FUNCTION_INFO_V1(ek_sql_nearest_merge_bigint_result);
PG_FUNCTION_INFO_V1(ek_sql_nearest_merge_uuid_result);

/* Matches that are held before the first are let go. */
#define FIRST_CAPACITY	64

typedef struct numbered_neighbour
{
	int			query;			/* from 1 */
	ek_neighbour neighbour;
} numbered_neighbour;

typedef struct merge_state
{
	MemoryContext context;
	int			k;
	numbered_neighbour *held;
	int64		count;
	int64		capacity;
} merge_state;

/* Of a match, in a state's bytes. */
#define SIZE_OF_MATCH	(sizeof(int32) + sizeof(double) + 2 * sizeof(uint64))

static inline int
compare(const numbered_neighbour *a, const numbered_neighbour *b)
{
	if (a->query != b->query)
		return a->query < b->query ? -1 : 1;
	return ek_compare_neighbours(&a->neighbour, &b->neighbour);
}

#define ST_SORT sort_nearest_first
#define ST_ELEMENT_TYPE numbered_neighbour
#define ST_COMPARE(a, b) compare(a, b)
#define ST_SCOPE static
#define ST_CHECK_FOR_INTERRUPTS
#define ST_DEFINE
#include "lib/sort_template.h"

/* Sorts, and lets go of all but the k nearest of each query. */
static void
settle(merge_state *state)
{
	int64		kept = 0;
	int64		first = 0;		/* of the query, among the kept */

	sort_nearest_first(state->held, (size_t) state->count);
	for (int64 i = 0; i < state->count; i++)
	{
		if (kept > 0 && state->held[i].query != state->held[first].query)
			first = kept;
		if (kept - first < state->k)
			state->held[kept++] = state->held[i];
	}
	state->count = kept;
}

static void
grow(merge_state *state)
{
	const int64 capacity = Max(FIRST_CAPACITY, 2 * state->count);
	const Size	size = sizeof(numbered_neighbour) * (Size) capacity;

	if (capacity <= state->capacity)
		return;
	if (state->held == NULL)
		state->held = MemoryContextAllocHuge(state->context, size);
	else
		state->held = repalloc_huge(state->held, size);
	state->capacity = capacity;
}

static void
hold(merge_state *state, numbered_neighbour match)
{
	if (state->count == state->capacity)
	{
		settle(state);
		grow(state);
	}
	state->held[state->count++] = match;
}

static merge_state *
create_state(MemoryContext context, int k)
{
	merge_state *state = MemoryContextAllocZero(context, sizeof(merge_state));

	state->context = context;
	state->k = k;
	return state;
}

static void
raise_not_the_same(void)
{
	ek_stats_count_error(EK_ERROR_OTHER);
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("k must be the same for all rows of a group")));
}

pg_noreturn static void raise_no_match(void);

static void
raise_no_match(void)
{
	ek_stats_count_error(EK_ERROR_OTHER);
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("matches must be of the queries from 1 on, with an id and a finite distance")));
}

/*
 * Rows
 */

static numbered_neighbour
read_match(Datum datum, TupleDesc columns, ek_id_type ids)
{
	HeapTupleHeader header = DatumGetHeapTupleHeader(datum);
	HeapTupleData tuple = {.t_len = HeapTupleHeaderGetDatumLength(header),.t_data = header};
	Datum		values[3];
	bool		nulls[3];
	numbered_neighbour match;

	heap_deform_tuple(&tuple, columns, values, nulls);
	if (nulls[0] || nulls[1] || nulls[2])
		raise_no_match();
	match.query = DatumGetInt32(values[0]);
	match.neighbour.id = ek_id_of_datum(ids, values[1]);
	match.neighbour.distance = DatumGetFloat8(values[2]);
	if (match.query < 1 || !isfinite(match.neighbour.distance))
		raise_no_match();
	return match;
}

static void
hold_all(merge_state *state, ArrayType *matches, ek_id_type ids)
{
	TupleDesc	columns = ek_match_columns(ARR_ELEMTYPE(matches), ids);
	Datum	   *elements;
	bool	   *nulls;
	int			count;

	deconstruct_array(matches, ARR_ELEMTYPE(matches), -1, false, TYPALIGN_DOUBLE,
					  &elements, &nulls, &count);
	for (int i = 0; i < count; i++)
	{
		CHECK_FOR_INTERRUPTS();
		if (nulls[i])
			raise_no_match();
		hold(state, read_match(elements[i], columns, ids));
	}
	pfree(elements);
	pfree(nulls);
	ReleaseTupleDesc(columns);
}

/* Without k there is no question, so such a row counts for nothing; who found nothing may say NULL. */
static Datum
add_row(FunctionCallInfo fcinfo, ek_id_type ids)
{
	merge_state *state = PG_ARGISNULL(0) ? NULL : (merge_state *) PG_GETARG_POINTER(0);
	MemoryContext context = ek_state_context(fcinfo, EK_AGGREGATE_NEAREST_MERGE);

	if (PG_ARGISNULL(2))
	{
		if (state == NULL)
			PG_RETURN_NULL();
		PG_RETURN_POINTER(state);
	}
	if (state == NULL)
	{
		ek_nearest_check_k(PG_GETARG_INT32(2));
		state = create_state(context, PG_GETARG_INT32(2));
	}
	else if (state->k != PG_GETARG_INT32(2))
		raise_not_the_same();

	if (!PG_ARGISNULL(1))
		hold_all(state, PG_GETARG_ARRAYTYPE_P(1), ids);
	PG_RETURN_POINTER(state);
}

/*
 * engram_nearest_merge(matches engram_match[], k integer) returns engram_match[]
 *
 * The k nearest of each query of all the lists, in the order of engram_nearest: by query,
 * distance, id.  A row that is in two lists is in the result twice.
 */
Datum
ek_sql_nearest_merge_bigint_add(PG_FUNCTION_ARGS)
{
	return add_row(fcinfo, EK_ID_BIGINT);
}

/*
 * engram_nearest_merge(matches engram_uuid_match[], k integer) returns engram_uuid_match[]
 */
Datum
ek_sql_nearest_merge_uuid_add(PG_FUNCTION_ARGS)
{
	return add_row(fcinfo, EK_ID_UUID);
}

/*
 * Parallel workers
 */

Datum
ek_sql_nearest_merge_combine(PG_FUNCTION_ARGS)
{
	merge_state *state = PG_ARGISNULL(0) ? NULL : (merge_state *) PG_GETARG_POINTER(0);
	const merge_state *other = PG_ARGISNULL(1) ? NULL : (merge_state *) PG_GETARG_POINTER(1);
	MemoryContext context = ek_state_context(fcinfo, EK_AGGREGATE_NEAREST_MERGE);

	if (other == NULL)
	{
		if (state == NULL)
			PG_RETURN_NULL();
		PG_RETURN_POINTER(state);
	}
	if (state == NULL)
		state = create_state(context, other->k);
	else if (state->k != other->k)
		raise_not_the_same();
	for (int64 i = 0; i < other->count; i++)
	{
		CHECK_FOR_INTERRUPTS();
		hold(state, other->held[i]);
	}
	PG_RETURN_POINTER(state);
}

/* A state as bytes: k, the number of matches, and they themselves. */
Datum
ek_sql_nearest_merge_serialize(PG_FUNCTION_ARGS)
{
	merge_state *state = (merge_state *) PG_GETARG_POINTER(0);
	StringInfoData bytes;

	(void) ek_state_context(fcinfo, EK_AGGREGATE_NEAREST_MERGE);
	settle(state);
	bytes = ek_state_begin(EK_AGGREGATE_NEAREST_MERGE, sizeof(int32) + sizeof(int64) +
						   SIZE_OF_MATCH * (Size) state->count);
	pq_sendint32(&bytes, (uint32) state->k);
	pq_sendint64(&bytes, (uint64) state->count);
	for (int64 i = 0; i < state->count; i++)
	{
		CHECK_FOR_INTERRUPTS();
		pq_sendint32(&bytes, (uint32) state->held[i].query);
		pq_sendfloat8(&bytes, state->held[i].neighbour.distance);
		pq_sendint64(&bytes, state->held[i].neighbour.id.high);
		pq_sendint64(&bytes, state->held[i].neighbour.id.low);
	}
	PG_RETURN_BYTEA_P(pq_endtypsend(&bytes));
}

/* Any bytes can come; see state.h. */
Datum
ek_sql_nearest_merge_deserialize(PG_FUNCTION_ARGS)
{
	merge_state *state;
	ek_state_reader reader;
	int			k;
	int64		count;

	(void) ek_state_context(fcinfo, EK_AGGREGATE_NEAREST_MERGE);
	reader = ek_state_open(EK_AGGREGATE_NEAREST_MERGE, PG_GETARG_BYTEA_PP(0));
	k = ek_state_read_int32(&reader);
	count = ek_state_read_int64(&reader);
	ek_state_require(EK_AGGREGATE_NEAREST_MERGE,
					 k >= 1 && count >= 0 && (uint64) count <= ek_state_left(&reader) / SIZE_OF_MATCH);

	state = create_state(CurrentMemoryContext, k);
	for (int64 i = 0; i < count; i++)
	{
		numbered_neighbour match;

		CHECK_FOR_INTERRUPTS();
		match.query = ek_state_read_int32(&reader);
		match.neighbour.distance = ek_state_read_finite(&reader);
		match.neighbour.id.high = (uint64) ek_state_read_int64(&reader);
		match.neighbour.id.low = (uint64) ek_state_read_int64(&reader);
		ek_state_require(EK_AGGREGATE_NEAREST_MERGE, match.query >= 1);
		hold(state, match);
	}
	ek_state_close(&reader);
	PG_RETURN_POINTER(state);
}

/*
 * Results
 */

static Datum
result(FunctionCallInfo fcinfo, ek_id_type ids)
{
	merge_state *state;
	ek_matches	matches;

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	state = (merge_state *) PG_GETARG_POINTER(0);
	settle(state);
	matches = ek_matches_begin(fcinfo, EK_AGGREGATE_NEAREST_MERGE, ids, state->count);
	for (int64 i = 0; i < state->count; i++)
	{
		CHECK_FOR_INTERRUPTS();
		ek_matches_put(&matches, state->held[i].query, &state->held[i].neighbour);
	}
	return ek_matches_end(&matches);
}

Datum
ek_sql_nearest_merge_bigint_result(PG_FUNCTION_ARGS)
{
	return result(fcinfo, EK_ID_BIGINT);
}

Datum
ek_sql_nearest_merge_uuid_result(PG_FUNCTION_ARGS)
{
	return result(fcinfo, EK_ID_UUID);
}
