/*
 * aggregate.c
 *		The aggregate engram_nearest: Datum in, neighbours out.
 *
 * The queries, k and the metric are the same for all rows of a group.  Where
 * they are constants or parameters that is a fact; else they are compared, row
 * by row: their bytes, and only if these differ their values.  Groups with the
 * same queries share what is prepared of them, which matters where there are
 * thousands of groups.
 *
 * A state that travels between processes holds neighbours only, and a number
 * by which it is found out if they are those of other queries.
 */
#include "postgres.h"

#include <math.h>

#include "access/detoast.h"
#include "fmgr.h"
#include "libpq/pqformat.h"
#include "miscadmin.h"
#include "nodes/primnodes.h"
#include "utils/array.h"
#include "utils/expandeddatum.h"
#include "utils/memutils.h"

#include "nearest/matches.h"
#include "nearest/nearest.h"
#include "vector/state.h"

PG_FUNCTION_INFO_V1(ek_sql_nearest_combine);
PG_FUNCTION_INFO_V1(ek_sql_nearest_serialize);
PG_FUNCTION_INFO_V1(ek_sql_nearest_deserialize);
PG_FUNCTION_INFO_V1(ek_sql_nearest_bigint_result);
PG_FUNCTION_INFO_V1(ek_sql_nearest_uuid_result);

/* Arguments of the function that adds a row. */
enum
{
	ARGUMENT_STATE,
	ARGUMENT_ID,
	ARGUMENT_VECTOR,
	ARGUMENT_QUERIES,
	ARGUMENT_K,
	ARGUMENT_METRIC				/* if there is one */
};

/* The queries' argument as it came, and what was made of it. */
typedef struct shared_queries
{
	char	   *raw;
	Size		raw_size;
	bool		has_other;
	char		other[TOAST_POINTER_SIZE];	/* to the same value elsewhere */
	const ek_vector_type *type;
	ek_vectors	vectors;
	ek_queries *queries;
} shared_queries;

/* Of a neighbour, in a state's bytes. */
#define SIZE_OF_NEIGHBOUR	(sizeof(double) + 2 * sizeof(uint64))

/* Kept by a call site, in fn_extra. */
typedef struct call_site
{
	bool		stable;			/* all rows have the same queries, k and metric */
	shared_queries *last;		/* of the last group that began; or NULL */
	MemoryContext last_context; /* where that is */
} call_site;

typedef struct nearest_state
{
	ek_nearest *nearest;
	shared_queries *shared;		/* NULL if it came from another process */
} nearest_state;

/*
 * Groups
 */

static bool
is_stable(Expr *argument)
{
	return IsA(argument, Const) || IsA(argument, Param);
}

/* Of a window function nothing is known. */
static bool
arguments_are_stable(FunctionCallInfo fcinfo)
{
	Aggref	   *aggregate = AggGetAggref(fcinfo);
	ListCell   *cell;
	int			argument = ARGUMENT_ID;

	if (aggregate == NULL)
		return false;
	foreach(cell, aggregate->args)
	{
		TargetEntry *entry = lfirst_node(TargetEntry, cell);

		if (argument++ >= ARGUMENT_QUERIES && !is_stable(entry->expr))
			return false;
	}
	return true;
}

static call_site *
call_site_of(FunctionCallInfo fcinfo)
{
	FmgrInfo   *flinfo = fcinfo->flinfo;

	if (flinfo->fn_extra == NULL)
	{
		call_site  *site = MemoryContextAllocZero(flinfo->fn_mcxt, sizeof(call_site));

		site->stable = arguments_are_stable(fcinfo);
		flinfo->fn_extra = site;
	}
	return flinfo->fn_extra;
}

/* The bytes of an array, those of a pointer to a table if it is one. */
static Pointer
raw_bytes(Datum array)
{
	Pointer		raw = DatumGetPointer(array);

	if (VARATT_IS_EXTERNAL(raw) && !VARATT_IS_EXTERNAL_ONDISK(raw))
		raw = (Pointer) PG_DETOAST_DATUM(array);
	return raw;
}

static bool
has_these_bytes(const shared_queries *shared, Pointer raw)
{
	return shared->raw_size == VARSIZE_ANY(raw) &&
		memcmp(shared->raw, raw, shared->raw_size) == 0;
}

/* The same elements, in whichever form they came. */
static bool
have_these_values(const shared_queries *shared, Pointer raw)
{
	const ek_vectors a = shared->vectors;
	const ek_vectors b = shared->type->get_all(PointerGetDatum(raw), "queries");

	return a.count == b.count && a.dims == b.dims &&
		(a.count == 0 ||
		 memcmp(a.values, b.values, sizeof(float) * (Size) a.count * (Size) a.dims) == 0);
}

/*
 * What was found to be the same is remembered if it is out of line, or it
 * would be detoasted row by row.
 */
static bool
are_these(shared_queries *shared, Pointer raw)
{
	const bool	out_of_line = VARATT_IS_EXTERNAL_ONDISK(raw);

	if (has_these_bytes(shared, raw))
		return true;
	if (out_of_line && shared->has_other && memcmp(shared->other, raw, TOAST_POINTER_SIZE) == 0)
		return true;
	if (!have_these_values(shared, raw))
		return false;
	if (out_of_line)
	{
		memcpy(shared->other, raw, TOAST_POINTER_SIZE);
		shared->has_other = true;
	}
	return true;
}

/* Its groups are gone. */
static void
forget_queries(void *argument)
{
	call_site  *site = argument;

	site->last = NULL;
	site->last_context = NULL;
}

/* In the current memory context, that of the group's state. */
static shared_queries *
create_queries(ek_metric metric, const ek_vector_type *type, Pointer raw)
{
	shared_queries *shared = palloc0(sizeof(shared_queries));

	shared->raw_size = VARSIZE_ANY(raw);
	shared->raw = MemoryContextAllocHuge(CurrentMemoryContext, shared->raw_size);
	memcpy(shared->raw, raw, shared->raw_size);

	/* a copy of our own, so that it stays as long as the state */
	shared->type = type;
	shared->vectors = type->get_all(PointerGetDatum(shared->raw), "queries");
	shared->queries = ek_queries_create(metric, shared->vectors);
	return shared;
}

static shared_queries *
queries_of_group(call_site *site, MemoryContext context, ek_metric metric,
				 const ek_vector_type *type, Pointer raw)
{
	MemoryContextCallback *callback;

	if (site->last != NULL && site->last_context == context &&
		site->last->queries->metric == metric &&
		has_these_bytes(site->last, raw))
		return site->last;

	if (site->last_context != context)
	{
		callback = palloc0(sizeof(MemoryContextCallback));
		callback->func = forget_queries;
		callback->arg = site;
		MemoryContextRegisterResetCallback(context, callback);
	}
	site->last = create_queries(metric, type, raw);
	site->last_context = context;
	return site->last;
}

static void
raise_not_the_same(void)
{
	ek_stats_count_error(EK_ERROR_OTHER);
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("queries, k and metric must be the same for all rows of a group")));
}

static ek_metric
metric_argument(FunctionCallInfo fcinfo)
{
	if (PG_NARGS() <= ARGUMENT_METRIC)
		return EK_METRIC_COSINE;
	return ek_metric_of(PG_GETARG_TEXT_PP(ARGUMENT_METRIC));
}

static bool
parameter_is_null(FunctionCallInfo fcinfo)
{
	for (int i = ARGUMENT_QUERIES; i < PG_NARGS(); i++)
	{
		if (PG_ARGISNULL(i))
			return true;
	}
	return false;
}

static void
check_same(FunctionCallInfo fcinfo, const nearest_state *state)
{
	if (!are_these(state->shared, raw_bytes(PG_GETARG_DATUM(ARGUMENT_QUERIES))) ||
		ek_nearest_k(state->nearest) != PG_GETARG_INT32(ARGUMENT_K) ||
		ek_nearest_metric_in_use(state->nearest) != metric_argument(fcinfo))
		raise_not_the_same();
}

static nearest_state *
begin_group(FunctionCallInfo fcinfo, call_site *site, const ek_vector_type *type, MemoryContext context)
{
	const int	k = PG_GETARG_INT32(ARGUMENT_K);
	ek_metric metric = metric_argument(fcinfo);
	Pointer		raw = raw_bytes(PG_GETARG_DATUM(ARGUMENT_QUERIES));
	MemoryContext caller;
	nearest_state *state;

	ek_nearest_check_k(k);
	caller = MemoryContextSwitchTo(context);
	state = palloc(sizeof(nearest_state));
	state->shared = queries_of_group(site, context, metric, type, raw);
	state->nearest = ek_nearest_create(state->shared->queries, k, INFINITY, NULL, EK_NEAREST, NULL);
	MemoryContextSwitchTo(caller);
	return state;
}

/*
 * A row without id or vector has no distance, and adds nothing.  Without
 * queries, k or metric there is no question, and so no result.
 */
static Datum
add_row(FunctionCallInfo fcinfo, ek_id_type ids, const ek_vector_type *type)
{
	nearest_state *state = PG_ARGISNULL(ARGUMENT_STATE) ? NULL :
		(nearest_state *) PG_GETARG_POINTER(ARGUMENT_STATE);
	MemoryContext context = ek_state_context(fcinfo, EK_AGGREGATE_NEAREST);
	call_site  *site = call_site_of(fcinfo);

	if (parameter_is_null(fcinfo))
	{
		if (state != NULL)
			raise_not_the_same();
		PG_RETURN_NULL();
	}
	if (state == NULL)
		state = begin_group(fcinfo, site, type, context);
	else if (!site->stable)
		check_same(fcinfo, state);

	if (!PG_ARGISNULL(ARGUMENT_ID) && !PG_ARGISNULL(ARGUMENT_VECTOR) &&
		ek_nearest_query_count(state->nearest) > 0)
		ek_nearest_add(state->nearest, ek_id_of_datum(ids, PG_GETARG_DATUM(ARGUMENT_ID)),
					   type->get(PG_GETARG_DATUM(ARGUMENT_VECTOR)),
					   (ek_range) {0, ek_nearest_query_count(state->nearest)});
	PG_RETURN_POINTER(state);
}

/*
 * engram_nearest(id bigint, vector real[], queries real[], k integer
 *				  [, metric text]) returns engram_match[]
 *
 * And of vector and vector[], and of halfvec and halfvec[].
 */
EK_SQL_OF_TYPES(nearest_bigint_add, add_row(fcinfo, EK_ID_BIGINT, type));

/*
 * engram_nearest(id uuid, ...) returns engram_uuid_match[]
 */
EK_SQL_OF_TYPES(nearest_uuid_add, add_row(fcinfo, EK_ID_UUID, type));

/*
 * Parallel workers
 */

Datum
ek_sql_nearest_combine(PG_FUNCTION_ARGS)
{
	nearest_state *state = PG_ARGISNULL(0) ? NULL : (nearest_state *) PG_GETARG_POINTER(0);
	nearest_state *other = PG_ARGISNULL(1) ? NULL : (nearest_state *) PG_GETARG_POINTER(1);
	MemoryContext context = ek_state_context(fcinfo, EK_AGGREGATE_NEAREST);
	MemoryContext caller;

	if (other == NULL)
	{
		if (state == NULL)
			PG_RETURN_NULL();
		PG_RETURN_POINTER(state);
	}

	if (state == NULL)
	{
		caller = MemoryContextSwitchTo(context);
		state = palloc0(sizeof(nearest_state));
		state->nearest = ek_nearest_create_empty(ek_nearest_query_count(other->nearest),
												 ek_nearest_k(other->nearest),
												 ek_nearest_metric_in_use(other->nearest),
												 ek_nearest_identity(other->nearest),
												 EK_NEAREST);
		MemoryContextSwitchTo(caller);
	}
	else if (ek_nearest_query_count(state->nearest) != ek_nearest_query_count(other->nearest) ||
			 ek_nearest_identity(state->nearest) != ek_nearest_identity(other->nearest) ||
			 ek_nearest_metric_in_use(state->nearest) != ek_nearest_metric_in_use(other->nearest) ||
			 ek_nearest_k(state->nearest) != ek_nearest_k(other->nearest))
		raise_not_the_same();
	ek_nearest_combine(state->nearest, other->nearest);
	PG_RETURN_POINTER(state);
}

static int64
count_neighbours(const ek_nearest *nearest)
{
	int64		count = 0;

	for (int q = 0; q < ek_nearest_query_count(nearest); q++)
	{
		CHECK_FOR_INTERRUPTS();
		count += ek_nearest_neighbours(nearest, q)->count;
	}
	return count;
}

static void
write_neighbours(StringInfo bytes, const ek_neighbours *neighbours)
{
	pq_sendint32(bytes, (uint32) neighbours->count);
	for (int i = 0; i < neighbours->count; i++)
	{
		CHECK_FOR_INTERRUPTS();
		pq_sendfloat8(bytes, neighbours->heap[i].distance);
		pq_sendint64(bytes, neighbours->heap[i].id.high);
		pq_sendint64(bytes, neighbours->heap[i].id.low);
	}
}

/*
 * A state as bytes: the number of queries, k, the metric counted from 0, by
 * which number the queries are known, and for each query the number of its
 * neighbours and they themselves.
 */
Datum
ek_sql_nearest_serialize(PG_FUNCTION_ARGS)
{
	ek_nearest *nearest = ((nearest_state *) PG_GETARG_POINTER(0))->nearest;
	const int	count = ek_nearest_query_count(nearest);
	StringInfoData bytes;

	(void) ek_state_context(fcinfo, EK_AGGREGATE_NEAREST);
	ek_nearest_finish(nearest);
	bytes = ek_state_begin(EK_AGGREGATE_NEAREST, 3 * sizeof(int32) + sizeof(int64) +
						   sizeof(int32) * (Size) count +
						   SIZE_OF_NEIGHBOUR * (Size) count_neighbours(nearest));
	pq_sendint32(&bytes, (uint32) count);
	pq_sendint32(&bytes, (uint32) ek_nearest_k(nearest));
	pq_sendint32(&bytes, ek_nearest_metric_in_use(nearest) - EK_METRIC_COSINE);
	pq_sendint64(&bytes, ek_nearest_identity(nearest));
	for (int q = 0; q < count; q++)
		write_neighbours(&bytes, ek_nearest_neighbours(nearest, q));
	PG_RETURN_BYTEA_P(pq_endtypsend(&bytes));
}

static void
read_neighbours(ek_state_reader *reader, nearest_state *state, int query)
{
	const int	count = ek_state_read_int32(reader);

	ek_state_require(EK_AGGREGATE_NEAREST,
					 count >= 0 && count <= ek_nearest_k(state->nearest) &&
					 (Size) count <= ek_state_left(reader) / SIZE_OF_NEIGHBOUR);
	for (int i = 0; i < count; i++)
	{
		ek_neighbour neighbour;

		CHECK_FOR_INTERRUPTS();
		neighbour.distance = ek_state_read_finite(reader);
		neighbour.id.high = (uint64) ek_state_read_int64(reader);
		neighbour.id.low = (uint64) ek_state_read_int64(reader);
		ek_nearest_add_neighbour(state->nearest, query, neighbour);
	}
}

/* Any bytes can come; see state.h. */
Datum
ek_sql_nearest_deserialize(PG_FUNCTION_ARGS)
{
	nearest_state *state;
	ek_state_reader reader;
	int			count;
	int			k;
	int			metric;

	(void) ek_state_context(fcinfo, EK_AGGREGATE_NEAREST);
	reader = ek_state_open(EK_AGGREGATE_NEAREST, PG_GETARG_BYTEA_PP(0));
	count = ek_state_read_int32(&reader);
	k = ek_state_read_int32(&reader);
	metric = ek_state_read_int32(&reader);
	ek_state_require(EK_AGGREGATE_NEAREST,
					 k >= 1 && metric >= 0 && metric < EK_METRIC_COUNT && count >= 0 &&
					 (Size) count <= ek_state_left(&reader) / sizeof(int32));

	state = palloc0(sizeof(nearest_state));
	state->nearest = ek_nearest_create_empty(count, k, (ek_metric) (EK_METRIC_COSINE + metric),
											 (uint64) ek_state_read_int64(&reader), EK_NEAREST);
	for (int q = 0; q < count; q++)
		read_neighbours(&reader, state, q);
	ek_state_close(&reader);
	PG_RETURN_POINTER(state);
}

/*
 * Results
 */

static Datum
result(FunctionCallInfo fcinfo, ek_id_type ids)
{
	ek_nearest *nearest;
	ek_matches	matches;

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	nearest = ((nearest_state *) PG_GETARG_POINTER(0))->nearest;
	ek_nearest_finish(nearest);
	matches = ek_matches_begin(fcinfo, EK_AGGREGATE_NEAREST, ids, count_neighbours(nearest));
	for (int q = 0; q < ek_nearest_query_count(nearest); q++)
	{
		const ek_neighbours *neighbours = ek_nearest_neighbours(nearest, q);

		CHECK_FOR_INTERRUPTS();
		for (int rank = 1; rank <= neighbours->count; rank++)
		{
			CHECK_FOR_INTERRUPTS();
			ek_matches_put(&matches, q + 1, ek_neighbour_of_rank(neighbours, rank));
		}
	}
	return ek_matches_end(&matches);
}

Datum
ek_sql_nearest_bigint_result(PG_FUNCTION_ARGS)
{
	return result(fcinfo, EK_ID_BIGINT);
}

Datum
ek_sql_nearest_uuid_result(PG_FUNCTION_ARGS)
{
	return result(fcinfo, EK_ID_UUID);
}
