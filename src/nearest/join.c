/*
 * join.c
 *		engram_knn_join: the k nearest targets of each of many queries, or those of them
 *		that are near enough.
 *
 * Queries and targets are two SELECTs, run with the rights and the snapshot of
 * the caller, one statement each and read only.  Functions that they call may do
 * anything, even change what the other one selects from: so a statement is
 * planned when it runs, and its columns are looked at again.  Queries are read
 * through a
 * cursor, as many at a time as fit the budget, engramk.arena_size; for each
 * such block the targets are read once, streamed from the executor into a
 * receiver of our own, so that nothing is stored of them.  With more than one
 * block the SELECT of the targets runs again, in the same snapshot: it must
 * give the same rows each time.
 *
 * Where they are joined by a key as well, the queries of a block are sorted by it, and
 * a target is compared with those of its own key; if there are none, its vector is not
 * even looked at.
 */
#include "postgres.h"

#include <math.h>

#include "access/tupdesc.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "executor/tuptable.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "tcop/dest.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/plancache.h"
#include "utils/portal.h"
#include "utils/tuplestore.h"

#include "base/rows.h"
#include "nearest/keys.h"
#include "nearest/nearest.h"
#include "vector/functions.h"

PG_FUNCTION_INFO_V1(ek_sql_knn_join);
PG_FUNCTION_INFO_V1(ek_sql_knn_join_within);
PG_FUNCTION_INFO_V1(ek_sql_knn_join_by);

/* Queries fetched from the cursor at a time. */
#define FETCH_ROWS	64

/* Neighbours within a distance that a query has room for; more of them take more. */
#define EXPECTED_WITHIN	64

/* Queries that a block has room for at first; it doubles as it fills. */
#define FIRST_QUERIES	64

/* What is asked, but for the two SELECTs. */
typedef struct join_terms
{
	int			k;
	double		max_distance;
	ek_metric metric;
	bool		exclude_self;
	const char *join_by;		/* the column of the keys, or NULL */
} join_terms;

/* One of the two SELECTs. */
typedef struct join_side
{
	const char *name;			/* "queries" or "targets" */
	const char *statement;
	const char *join_by;
	Oid			id_type;		/* smallint, integer or bigint */
	const ek_vector_type *type;
	Oid			key_type;
	Oid			key_collation;
} join_side;

/* Queries of one pass over the targets. */
typedef struct query_block
{
	int			dims;			/* 0 before the first query of all */
	int			room;			/* as many as fit the budget */
	int			capacity;		/* that there is memory for */
	int			count;
	float	   *values;
	ek_id	   *ids;
	ek_keys    *keys;			/* NULL if they are not joined by any */
	int		   *places;			/* with keys: where each has gone, of those that came */
} query_block;

/* The receiver of the targets. */
typedef struct target_receiver
{
	DestReceiver pub;
	ek_nearest *nearest;
	join_side  *side;
	const query_block *block;
	MemoryContext row_context;
	int64		count;			/* targets that could be compared */
} target_receiver;

/*
 * The two SELECTs
 */

pg_noreturn static void raise_wrong_columns(const join_side *side);

static void
raise_wrong_columns(const join_side *side)
{
	ek_stats_count_error(EK_ERROR_OTHER);
	if (side->join_by == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("%s must return two columns, an id of type bigint and a vector", side->name)));
	ereport(ERROR,
			(errcode(ERRCODE_DATATYPE_MISMATCH),
			 errmsg("%s must return three columns, an id of type bigint, a vector, and \"%s\"",
					side->name, side->join_by)));
}

static void
check_columns(join_side *side, TupleDesc columns)
{
	if (columns == NULL || columns->natts != (side->join_by == NULL ? 2 : 3))
		raise_wrong_columns(side);
	side->id_type = getBaseType(TupleDescAttr(columns, 0)->atttypid);
	side->type = ek_find_vector_type(TupleDescAttr(columns, 1)->atttypid);
	if ((side->id_type != INT8OID && side->id_type != INT4OID && side->id_type != INT2OID) ||
		side->type == NULL)
		raise_wrong_columns(side);
	if (side->join_by == NULL)
		return;
	if (strcmp(NameStr(TupleDescAttr(columns, 2)->attname), side->join_by) != 0)
		raise_wrong_columns(side);
	side->key_type = getBaseType(TupleDescAttr(columns, 2)->atttypid);
	side->key_collation = TupleDescAttr(columns, 2)->attcollation;
}

/* Of different types or collations, nobody can say what equal means. */
static void
check_same_keys(const join_side *queries, const join_side *targets)
{
	if (queries->key_type == targets->key_type && queries->key_collation == targets->key_collation)
		return;
	ek_stats_count_error(EK_ERROR_OTHER);
	ereport(ERROR,
			(errcode(ERRCODE_DATATYPE_MISMATCH),
			 errmsg("\"%s\" must have the same type and collation in queries and targets",
					queries->join_by),
			 queries->key_type == targets->key_type ? 0 :
			 errdetail("It is %s in queries and %s in targets.",
					   format_type_be(queries->key_type), format_type_be(targets->key_type))));
}

pg_noreturn static void raise_not_one_select(const join_side *side);

static void
raise_not_one_select(const join_side *side)
{
	ek_stats_count_error(EK_ERROR_OTHER);
	ereport(ERROR,
			(errcode(ERRCODE_SYNTAX_ERROR),
			 errmsg("%s must be one SELECT statement", side->name)));
}

/* What a view or a subquery locks is left to PostgreSQL, which refuses it too. */
static void
check_statement(const join_side *side, List *sources)
{
	const CachedPlanSource *source;
	const Query *query;

	if (list_length(sources) != 1)
		raise_not_one_select(side);
	source = linitial(sources);
	if (list_length(source->query_list) != 1)
		raise_not_one_select(side);
	query = linitial_node(Query, source->query_list);
	if (query->commandType == CMD_UTILITY)
		raise_not_one_select(side);
	if (query->commandType != CMD_SELECT || query->hasModifyingCTE || query->hasForUpdate)
	{
		ek_stats_count_error(EK_ERROR_OTHER);
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("%s must not modify data or lock rows", side->name)));
	}
}

/* Looks at it before either side runs. */
static SPIPlanPtr
prepare(join_side *side)
{
	SPIPlanPtr	plan = SPI_prepare(side->statement, 0, NULL);
	List	   *sources;

	if (plan == NULL)
		elog(ERROR, "SPI_prepare failed: %s", SPI_result_code_string(SPI_result));
	sources = SPI_plan_get_plan_sources(plan);
	check_statement(side, sources);
	check_columns(side, ((const CachedPlanSource *) linitial(sources))->resultDesc);
	return plan;
}

static int64
integer_of(Datum id, Oid type)
{
	switch (type)
	{
		case INT2OID:
			return DatumGetInt16(id);
		case INT4OID:
			return DatumGetInt32(id);
	}
	return DatumGetInt64(id);
}

/*
 * Targets
 */

static void
startup_receiver(DestReceiver *self, int operation pg_attribute_unused(), TupleDesc columns)
{
	target_receiver *receiver = (target_receiver *) self;
	const Oid	key_type = receiver->side->key_type;
	const Oid	key_collation = receiver->side->key_collation;

	check_columns(receiver->side, columns);
	if (key_type != receiver->side->key_type || key_collation != receiver->side->key_collation)
		raise_wrong_columns(receiver->side);
}

static void
ignore_receiver(DestReceiver *self pg_attribute_unused())
{
}

/* Whom this row is a target for; a NULL equals no key. */
static ek_range
queries_of_target(const query_block *block, const TupleTableSlot *slot)
{
	if (block->keys == NULL)
		return (ek_range) {0, block->count};
	if (slot->tts_isnull[2])
		return (ek_range) {0, 0};
	return ek_keys_find(block->keys, slot->tts_values[2]);
}

/* A row without id or vector is nobody's neighbour. */
static bool
receive_target(TupleTableSlot *slot, DestReceiver *self)
{
	target_receiver *receiver = (target_receiver *) self;
	MemoryContext caller;
	ek_range	queries;

	slot_getallattrs(slot);
	if (slot->tts_isnull[0] || slot->tts_isnull[1])
		return true;

	receiver->count++;
	caller = MemoryContextSwitchTo(receiver->row_context);
	queries = queries_of_target(receiver->block, slot);
	if (queries.first < queries.end)
		ek_nearest_add(receiver->nearest,
					   ek_id_of_bigint(integer_of(slot->tts_values[0], receiver->side->id_type)),
					   receiver->side->type->get(slot->tts_values[1]), queries);
	MemoryContextSwitchTo(caller);
	MemoryContextReset(receiver->row_context);
	return true;
}

/* Returns how many there were. */
static int64
read_targets(join_side *targets, const query_block *block, ek_nearest *nearest)
{
	SPIExecuteOptions options = {.read_only = true};
	target_receiver receiver = {
		.pub = {
			.receiveSlot = receive_target,
			.rStartup = startup_receiver,
			.rShutdown = ignore_receiver,
			.rDestroy = ignore_receiver,
			.mydest = DestNone
		},
		.nearest = nearest,
		.side = targets,
		.block = block,
		.row_context = AllocSetContextCreate(CurrentMemoryContext, "engramk target",
											 ALLOCSET_DEFAULT_SIZES)
	};
	int			outcome;

	options.dest = (DestReceiver *) &receiver;
	outcome = SPI_execute_extended(targets->statement, &options);
	if (outcome < 0)
		elog(ERROR, "SPI_execute_extended failed: %s", SPI_result_code_string(outcome));
	MemoryContextDelete(receiver.row_context);
	return receiver.count;
}

/*
 * Queries
 */

/*
 * Within a distance there may be anything from none to k, and room for k would mean many
 * passes over the targets for nothing.  But who wants an error for what exceeds the
 * budget gets none for what a query may have.
 */
static Size
room_of_query(const query_block *block, const join_terms *terms)
{
	const bool	all = isinf(terms->max_distance) || ek_arena_overflow == EK_ARENA_ERROR;
	const int	neighbours = all ? terms->k : Min(terms->k, EXPECTED_WITHIN);

	return ek_nearest_size_of_query(terms->metric, block->dims, neighbours) +
		(terms->join_by == NULL ? 0 : EK_SIZE_OF_KEY_ENTRY);
}

static void
begin_block(query_block *block, const join_side *queries, MemoryContext context,
			const join_terms *terms)
{
	block->room = (int) Max(1, Min(PG_INT32_MAX / 2,
								   ek_nearest_room_for_queries(block->dims) /
								   room_of_query(block, terms)));
	block->capacity = Min(FIRST_QUERIES, block->room);
	block->values = MemoryContextAllocHuge(context, sizeof(float) * (Size) block->dims * block->capacity);
	block->ids = MemoryContextAllocHuge(context, sizeof(ek_id) * block->capacity);
	if (terms->join_by != NULL)
	{
		MemoryContext caller = MemoryContextSwitchTo(context);

		block->keys = ek_keys_create(queries->key_type, queries->key_collation);
		MemoryContextSwitchTo(caller);
	}
}

static void
grow_block(query_block *block)
{
	block->capacity = Min(2 * block->capacity, block->room);
	block->values = repalloc_huge(block->values, sizeof(float) * (Size) block->dims * block->capacity);
	block->ids = repalloc_huge(block->ids, sizeof(ek_id) * block->capacity);
}

static inline float *
values_of(const query_block *block, int q)
{
	return block->values + (Size) q * block->dims;
}

static void
add_query(query_block *block, int64 id, ek_vector vector)
{
	if (vector.dims != block->dims)
		ek_raise_different_dimensions(block->dims, vector.dims);
	if (block->count == block->capacity)
		grow_block(block);
	memcpy(values_of(block, block->count), vector.values, sizeof(float) * block->dims);
	block->ids[block->count] = ek_id_of_bigint(id);
	block->count++;
}

/* Takes over what was fetched.  A query whose key is NULL has no targets. */
static void
add_fetched(query_block *block, const join_side *queries, MemoryContext context,
			const join_terms *terms)
{
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		HeapTuple	row = SPI_tuptable->vals[i];
		TupleDesc	columns = SPI_tuptable->tupdesc;
		bool		id_is_null;
		bool		vector_is_null;
		bool		key_is_null = false;
		Datum		id = SPI_getbinval(row, columns, 1, &id_is_null);
		Datum		datum = SPI_getbinval(row, columns, 2, &vector_is_null);
		Datum		key = terms->join_by == NULL ? (Datum) 0 :
			SPI_getbinval(row, columns, 3, &key_is_null);
		ek_vector	vector;

		if (id_is_null || vector_is_null || key_is_null)
			continue;
		vector = queries->type->get(datum);
		if (block->dims == 0)
			block->dims = vector.dims;
		if (block->values == NULL)
			begin_block(block, queries, context, terms);
		add_query(block, integer_of(id, queries->id_type), vector);
		if (block->keys != NULL)
			ek_keys_add(block->keys, key);
	}
}

static void
exchange_queries(query_block *block, int a, int b, float *scratch)
{
	const Size	size = sizeof(float) * block->dims;
	const ek_id id = block->ids[a];

	memcpy(scratch, values_of(block, a), size);
	memcpy(values_of(block, a), values_of(block, b), size);
	memcpy(values_of(block, b), scratch, size);
	block->ids[a] = block->ids[b];
	block->ids[b] = id;
}

/* In place, since the vectors are most of the budget. */
static void
sort_by_key(query_block *block)
{
	float	   *scratch = palloc(sizeof(float) * block->dims);
	int		   *to;

	block->places = ek_keys_sort(block->keys);
	to = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(int) * (Size) block->count);
	memcpy(to, block->places, sizeof(int) * (Size) block->count);
	for (int q = 0; q < block->count; q++)
	{
		CHECK_FOR_INTERRUPTS();
		while (to[q] != q)
		{
			const int	place = to[q];

			exchange_queries(block, q, place, scratch);
			to[q] = to[place];
			to[place] = place;
		}
	}
	pfree(to);
	pfree(scratch);
}

/* The next queries, in `context`; none if that was all. */
static query_block
read_queries(Portal cursor, const join_side *queries, int dims, MemoryContext context,
			 const join_terms *terms)
{
	query_block block = {.dims = dims};
	MemoryContext scratch = AllocSetContextCreate(context, "engramk queries",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(scratch);
	int			wanted;

	/* what is fetched must fit, and before the first nothing is known */
	do
	{
		wanted = block.values == NULL ? 1 : Min(FETCH_ROWS, block.room - block.count);
		SPI_cursor_fetch(cursor, true, wanted);
		add_fetched(&block, queries, context, terms);
		wanted = (int) SPI_processed;
		SPI_freetuptable(SPI_tuptable);
		MemoryContextReset(scratch);
	} while (wanted > 0 && (block.values == NULL || block.count < block.room));

	if (block.keys != NULL)
		sort_by_key(&block);
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(scratch);
	return block;
}

/*
 * The result
 */

static void
put_neighbours(const ek_row_set *rows, const query_block *block, const ek_nearest *nearest)
{
	for (int i = 0; i < block->count; i++)
	{
		const int	q = block->places == NULL ? i : block->places[i];
		const ek_neighbours *neighbours = ek_nearest_neighbours(nearest, q);

		for (int rank = 1; rank <= neighbours->count; rank++)
		{
			const ek_neighbour *neighbour = ek_neighbour_of_rank(neighbours, rank);
			Datum		values[4] = {
				Int64GetDatum(ek_bigint_of_id(block->ids[q])),
				Int64GetDatum(ek_bigint_of_id(neighbour->id)),
				Int32GetDatum(rank),
				Float8GetDatum(neighbour->distance)
			};
			bool		nulls[4] = {false, false, false, false};

			CHECK_FOR_INTERRUPTS();
			tuplestore_putvalues(rows->store, rows->columns, values, nulls);
		}
	}
}

/* Pinned, or a function that the targets call could close it. */
static Portal
open_queries(join_side *queries)
{
	Portal		cursor = SPI_cursor_open(NULL, prepare(queries), NULL, NULL, true);

	PinPortal(cursor);
	check_columns(queries, cursor->tupDesc);
	return cursor;
}

static void
join(join_side *queries, join_side *targets, join_terms terms, const ek_row_set *rows)
{
	Portal		cursor;
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "engramk join",
												  ALLOCSET_DEFAULT_SIZES);
	ek_learnt	learnt = {.context = CurrentMemoryContext};
	int			dims = 0;

	SPI_freeplan(prepare(targets));
	cursor = open_queries(queries);
	if (terms.join_by != NULL)
		check_same_keys(queries, targets);
	for (;;)
	{
		query_block block = read_queries(cursor, queries, dims, context, &terms);
		MemoryContext caller = MemoryContextSwitchTo(context);
		ek_vectors	vectors = {.values = block.values,.count = block.count,.dims = block.dims};
		ek_nearest *nearest;
		int64		count;

		if (block.count == 0)
			break;
		nearest = ek_nearest_create(ek_queries_create(terms.metric, vectors), terms.k,
									terms.max_distance, terms.exclude_self ? block.ids : NULL,
									EK_KNN_JOIN, &learnt);
		count = read_targets(targets, &block, nearest);
		ek_nearest_finish(nearest);
		put_neighbours(rows, &block, nearest);

		/* more neighbours than targets need no room in the next block */
		terms.k = (int) Min((int64) terms.k, Max(count, 1));
		dims = block.dims;
		MemoryContextSwitchTo(caller);
		MemoryContextReset(context);
	}
	UnpinPortal(cursor);
	SPI_cursor_close(cursor);
}

static void
join_texts(FunctionCallInfo fcinfo, const join_terms *terms)
{
	join_side	queries = {
		.name = "queries",
		.statement = text_to_cstring(PG_GETARG_TEXT_PP(0)),
		.join_by = terms->join_by
	};
	join_side	targets = {
		.name = "targets",
		.statement = text_to_cstring(PG_GETARG_TEXT_PP(1)),
		.join_by = terms->join_by
	};
	ek_row_set		rows;

	ek_nearest_check_k(terms->k);
	ek_require_radius(terms->max_distance);
	rows = ek_begin_row_set(fcinfo, "engram_knn_join");

	SPI_connect();
	join(&queries, &targets, *terms, &rows);
	SPI_finish();
}

/*
 * engram_knn_join(queries text, targets text, k integer, metric text,
 *				   exclude_self boolean)
 * returns table (query_id bigint, target_id bigint, rank integer,
 *				  distance double precision)
 *
 * The k nearest targets of each query, in the order of the queries, nearest
 * first and ties by id.  Rows without id or vector are left out.
 */
Datum
ek_sql_knn_join(PG_FUNCTION_ARGS)
{
	join_terms	terms = {
		.k = PG_GETARG_INT32(2),
		.max_distance = INFINITY,
		.metric = ek_metric_of(PG_GETARG_TEXT_PP(3)),
		.exclude_self = PG_GETARG_BOOL(4)
	};

	join_texts(fcinfo, &terms);
	PG_RETURN_NULL();
}

/*
 * engram_knn_join(queries text, targets text, k integer,
 *				   max_distance double precision, exclude_self boolean, metric text)
 *
 * The same of what is at most so far away.  Here and below, the order of the arguments
 * is one that makes no call of the one above ambiguous, were they all untyped literals.
 */
Datum
ek_sql_knn_join_within(PG_FUNCTION_ARGS)
{
	join_terms	terms = {
		.k = PG_GETARG_INT32(2),
		.max_distance = PG_GETARG_FLOAT8(3),
		.exclude_self = PG_GETARG_BOOL(4),
		.metric = ek_metric_of(PG_GETARG_TEXT_PP(5))
	};

	join_texts(fcinfo, &terms);
	PG_RETURN_NULL();
}

/*
 * engram_knn_join(queries text, targets text, k integer, join_by name,
 *				   exclude_self boolean, metric text, max_distance double precision)
 *
 * The same among rows of equal keys, the third column of both, which has this name.
 * Rows without a key are left out.
 */
Datum
ek_sql_knn_join_by(PG_FUNCTION_ARGS)
{
	join_terms	terms = {
		.k = PG_GETARG_INT32(2),
		.join_by = NameStr(*PG_GETARG_NAME(3)),
		.exclude_self = PG_GETARG_BOOL(4),
		.metric = ek_metric_of(PG_GETARG_TEXT_PP(5)),
		.max_distance = PG_GETARG_FLOAT8(6)
	};

	join_texts(fcinfo, &terms);
	PG_RETURN_NULL();
}
