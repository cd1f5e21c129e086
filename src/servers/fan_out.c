/*
 * fan_out.c
 *		engram_fan_out: one SELECT on several servers at once, and the k nearest of all rows.
 *
 * Each server runs the statement by its own index, in a transaction of its own; what is
 * among the k nearest of all is among those of its server, so the result is exact if each
 * statement gives as many.  All are asked before any is waited for.  Whatever ends the
 * call, an error, a cancel or a timeout, closes the connections that still owe an answer,
 * and their servers stop.
 *
 * A connection that an earlier call has left may have been lost since.  Then its server
 * is asked again, once, by a new one.  Who cannot be reached, or goes away, is missing:
 * an error, or a row that says so.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "foreign/foreign.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "parser/parser.h"
#include "pgstat.h"
#include "storage/latch.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/float.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/uuid.h"
#include "utils/wait_event.h"

#include "base/rows.h"
#include "base/stats.h"
#include "nearest/matches.h"
#include "nearest/nearest.h"
#include "servers/connection.h"

PG_FUNCTION_INFO_V1(ek_sql_fan_out);
PG_FUNCTION_INFO_V1(ek_sql_uuid_fan_out);

/*
 * Pauses while nothing comes, in microseconds: a server answers within a millisecond or
 * two, or takes its time.
 */
#define FIRST_PAUSE		50
#define LONGEST_PAUSE	1000

typedef enum server_state
{
	NOT_ASKED,
	ASKED,
	HAS_ROWS,					/* and its last result, which has none, is to come */
	DONE,
	MISSING
} server_state;

typedef struct server
{
	char	   *name;
	Oid			oid;
	server_state state;
	ek_connection *connection;
	bool		kept;			/* connected by an earlier call */
	int			statuses;		/* to come before the rows */
	char	   *reason;			/* why it is missing */
} server;

/* A row that a server has found. */
typedef struct found_row
{
	ek_neighbour neighbour;
	int			server;
} found_row;

typedef struct fan
{
	ek_dblink	dblink;
	ek_id_type	ids;
	const char *statement;
	char	  **values;
	int			value_count;
	bool		allow_missing;
	bool		connections_stay;
	server	   *servers;
	int			count;
	MemoryContext context;		/* of what is kept until the end */
	found_row  *found;
	int64		found_count;
	int64		found_capacity;
} fan;

static inline int
compare(const found_row *a, const found_row *b)
{
	if (!float8_eq(a->neighbour.distance, b->neighbour.distance))
		return float8_lt(a->neighbour.distance, b->neighbour.distance) ? -1 : 1;
	if (a->neighbour.id.high != b->neighbour.id.high)
		return a->neighbour.id.high < b->neighbour.id.high ? -1 : 1;
	if (a->neighbour.id.low != b->neighbour.id.low)
		return a->neighbour.id.low < b->neighbour.id.low ? -1 : 1;
	return a->server - b->server;
}

#define ST_SORT sort_nearest_first
#define ST_ELEMENT_TYPE found_row
#define ST_COMPARE(a, b) compare(a, b)
#define ST_SCOPE static
#define ST_CHECK_FOR_INTERRUPTS
#define ST_DEFINE
#include "lib/sort_template.h"

/*
 * Arguments
 */

static char **
strings_of(ArrayType *array, int *count)
{
	Datum	   *elements;
	bool	   *nulls;
	char	  **strings;
	const bool	are_names = ARR_ELEMTYPE(array) == NAMEOID;

	deconstruct_array(array, ARR_ELEMTYPE(array), are_names ? NAMEDATALEN : -1, false,
					  are_names ? TYPALIGN_CHAR : TYPALIGN_INT, &elements, &nulls, count);
	strings = palloc(sizeof(char *) * Max(*count, 1));
	for (int i = 0; i < *count; i++)
	{
		if (nulls[i])
			strings[i] = NULL;
		else
			strings[i] = are_names ? pstrdup(NameStr(*DatumGetName(elements[i]))) :
				TextDatumGetCString(elements[i]);
	}
	return strings;
}

/* Those of the same name would share a connection. */
static void
check_not_twice(const fan *fan, int i)
{
	for (int other = 0; other < i; other++)
	{
		if (fan->servers[other].oid != fan->servers[i].oid)
			continue;
		ek_stats_count_error(EK_ERROR_OTHER);
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("server \"%s\" is named twice", fan->servers[i].name)));
	}
}

static void
find_servers(fan *fan, ArrayType *names)
{
	char	  **strings = strings_of(names, &fan->count);

	fan->servers = palloc0(sizeof(server) * Max(fan->count, 1));
	for (int i = 0; i < fan->count; i++)
	{
		if (strings[i] == NULL)
		{
			ek_stats_count_error(EK_ERROR_OTHER);
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("servers must not contain NULL")));
		}
		fan->servers[i].name = strings[i];
		fan->servers[i].oid = get_foreign_server_oid(strings[i], false);
		check_not_twice(fan, i);
	}
}

/* By its grammar; the rest is the servers' to say. */
static void
check_statement(const char *statement)
{
	const List *trees = raw_parser(statement, RAW_PARSE_DEFAULT);

	if (list_length(trees) == 1 && IsA(linitial_node(RawStmt, trees)->stmt, SelectStmt))
		return;
	ek_stats_count_error(EK_ERROR_OTHER);
	ereport(ERROR,
			(errcode(ERRCODE_SYNTAX_ERROR),
			 errmsg("statement must be one SELECT statement")));
}

/*
 * Servers that are missing
 */

static bool
is_down(const ErrorData *error)
{
	return ERRCODE_TO_CATEGORY(error->sqlerrcode) == ERRCODE_CONNECTION_EXCEPTION ||
		error->sqlerrcode == ERRCODE_ADMIN_SHUTDOWN ||
		error->sqlerrcode == ERRCODE_CRASH_SHUTDOWN ||
		error->sqlerrcode == ERRCODE_CANNOT_CONNECT_NOW ||
		error->sqlerrcode == ERRCODE_IDLE_SESSION_TIMEOUT;
}

/*
 * Is what was prepared by an earlier call no longer there, since a pooler has put another
 * session behind the connection, or does it return other types?
 */
static bool
is_outdated(const ErrorData *error)
{
	return error->sqlerrcode == ERRCODE_UNDEFINED_PSTATEMENT ||
		error->sqlerrcode == ERRCODE_FEATURE_NOT_SUPPORTED;
}

/*
 * Of a connection that is lost in the middle of rows, libpq may hand out a result without
 * columns, which has no error but is none of the statement.
 */
static bool
is_remnant(fan *fan, const server *server, const ErrorData *error)
{
	return error->sqlerrcode == ERRCODE_DATATYPE_MISMATCH &&
		!ek_connection_is_sound(&fan->dblink, server->connection);
}

/* What came before the connection was lost. */
static void
drop_rows(fan *fan, int server)
{
	int64		kept = 0;

	for (int64 i = 0; i < fan->found_count; i++)
	{
		if (fan->found[i].server != server)
			fan->found[kept++] = fan->found[i];
	}
	fan->found_count = kept;
}

static void
give_up(fan *fan, server *server, int sqlstate, const char *reason)
{
	server->state = MISSING;
	server->reason = MemoryContextStrdup(fan->context, reason);
	if (fan->allow_missing)
		return;
	ek_stats_count_error(EK_ERROR_OTHER);
	ereport(ERROR,
			(errcode(sqlstate),
			 errmsg("server \"%s\" did not answer", server->name),
			 errdetail_internal("%s", server->reason)));
}

/* What a server has raised, outside of the subtransaction that it was raised in. */
static void
handle(fan *fan, int i, ErrorData *error)
{
	server	   *server = &fan->servers[i];
	const bool	remnant = is_remnant(fan, server, error);
	const bool	lost = remnant || is_down(error) || (server->kept && is_outdated(error));

	if (!lost)
	{
		error->context = psprintf("%s%sserver \"%s\"", error->context == NULL ? "" : error->context,
								  error->context == NULL ? "" : "\n", server->name);
		ReThrowError(error);
	}
	ek_connection_close(&fan->dblink, server->connection);
	drop_rows(fan, i);
	if (server->kept)
	{
		server->kept = false;
		server->state = NOT_ASKED;
		return;
	}
	if (remnant)
		give_up(fan, server, ERRCODE_CONNECTION_FAILURE, "connection to the server was lost");
	else
		give_up(fan, server, error->sqlerrcode,
				error->detail == NULL ? error->message : psprintf("%s: %s", error->message, error->detail));
}

/*
 * Questions and answers
 */

static void
ask(fan *fan, server *server)
{
	server->connection = ek_connection_of(server->oid);
	server->kept = fan->connections_stay && ek_connection_is_open(server->connection);
	if (!server->kept)
		ek_connection_open(&fan->dblink, server->connection, server->name);
	server->state = ASKED;
	server->statuses = ek_connection_send(&fan->dblink, server->connection, fan->statement,
										  fan->values, fan->value_count);
	if (server->statuses < 0)
		ereport(ERROR,
				(errcode(ERRCODE_CONNECTION_FAILURE),
				 errmsg("connection to the server was lost")));
}

/* Rows without id or distance are no neighbours. */
static void
keep_rows(fan *fan, int server)
{
	const int64 needed = fan->found_count + (int64) SPI_processed;

	if (needed > fan->found_capacity)
	{
		fan->found_capacity = 2 * needed;
		fan->found = fan->found == NULL ?
			MemoryContextAllocHuge(fan->context, sizeof(found_row) * fan->found_capacity) :
			repalloc_huge(fan->found, sizeof(found_row) * fan->found_capacity);
	}
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		HeapTuple	row = SPI_tuptable->vals[i];
		TupleDesc	columns = SPI_tuptable->tupdesc;
		bool		id_is_null;
		bool		distance_is_null;
		const Datum id = SPI_getbinval(row, columns, 1, &id_is_null);
		const Datum distance = SPI_getbinval(row, columns, 2, &distance_is_null);

		if (id_is_null || distance_is_null)
			continue;
		fan->found[fan->found_count++] = (found_row)
		{
			.neighbour = {.distance = DatumGetFloat8(distance),.id = ek_id_of_datum(fan->ids, id)},
				.server = server
		};
	}
}

/* The next result, which is there. */
static void
take(fan *fan, int i)
{
	server	   *server = &fan->servers[i];

	if (server->statuses > 0)
	{
		ek_connection_take_status(&fan->dblink, server->connection);
		server->statuses--;
		return;
	}
	ek_connection_take_rows(&fan->dblink, server->connection);
	if (server->state == ASKED)
	{
		keep_rows(fan, i);
		server->state = HAS_ROWS;
	}
	else
	{
		ek_connection_keep_prepared(server->connection);
		server->state = DONE;
	}
	SPI_freetuptable(SPI_tuptable);
}

/* In a subtransaction, since it goes on after an error if a server is down. */
static void
go_on(fan *fan, int i, MemoryContext scratch)
{
	const ResourceOwner owner = CurrentResourceOwner;
	const MemoryContext caller = CurrentMemoryContext;
	server	   *server = &fan->servers[i];
	ErrorData  *volatile error = NULL;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(scratch);
	PG_TRY();
	{
		if (server->state == NOT_ASKED)
			ask(fan, server);
		else
			take(fan, i);
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(caller);
		error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(caller);
	CurrentResourceOwner = owner;
	if (error != NULL)
		handle(fan, i, error);
}

/* Is there something to do now? */
static bool
can_go_on(fan *fan, const server *server)
{
	return server->state == NOT_ASKED || !ek_connection_is_busy(&fan->dblink, server->connection);
}

static void
pause_for(int microseconds)
{
	if (microseconds < LONGEST_PAUSE)
	{
		pg_usleep(microseconds);
		return;
	}
	(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
					 LONGEST_PAUSE / 1000, PG_WAIT_EXTENSION);
	ResetLatch(MyLatch);
}

/* Until every server has answered, or is missing. */
static void
run(fan *fan)
{
	MemoryContext scratch = AllocSetContextCreate(CurrentMemoryContext, "engramk fan-out",
												  ALLOCSET_DEFAULT_SIZES);
	int			pause = FIRST_PAUSE;
	bool		waiting = true;

	while (waiting)
	{
		bool		went_on = false;

		waiting = false;
		for (int i = 0; i < fan->count; i++)
		{
			MemoryContext caller = MemoryContextSwitchTo(scratch);

			CHECK_FOR_INTERRUPTS();
			if (fan->servers[i].state < DONE && can_go_on(fan, &fan->servers[i]))
			{
				go_on(fan, i, scratch);
				went_on = true;
			}
			waiting |= fan->servers[i].state < DONE;
			MemoryContextSwitchTo(caller);
			MemoryContextReset(scratch);
		}
		if (went_on)
			pause = FIRST_PAUSE;
		else if (waiting)
		{
			pause_for(pause);
			pause = Min(2 * pause, LONGEST_PAUSE);
		}
	}
	MemoryContextDelete(scratch);
}

/* Whoever still owes an answer is not asked again by this connection. */
static void
abandon(fan *fan)
{
	for (int i = 0; i < fan->count; i++)
	{
		const server *server = &fan->servers[i];

		if (server->connection == NULL)
			continue;
		if (server->state == ASKED || server->state == HAS_ROWS || !fan->connections_stay)
			ek_connection_close(&fan->dblink, server->connection);
	}
}

/*
 * The result
 */

static void
put_row(const fan *fan, const ek_row_set *rows, const found_row *row)
{
	NameData	name;
	pg_uuid_t	uuid;
	Datum		values[] = {
		NameGetDatum(&name),
		ek_datum_of_id(fan->ids, row->neighbour.id, &uuid),
		Float8GetDatum(row->neighbour.distance),
		(Datum) 0
	};
	bool		nulls[] = {false, false, false, true};

	namestrcpy(&name, fan->servers[row->server].name);
	tuplestore_putvalues(rows->store, rows->columns, values, nulls);
}

static void
put_missing(const server *server, const ek_row_set *rows)
{
	NameData	name;
	Datum		values[] = {NameGetDatum(&name), (Datum) 0, (Datum) 0, CStringGetTextDatum(server->reason)};
	bool		nulls[] = {false, true, true, false};

	namestrcpy(&name, server->name);
	tuplestore_putvalues(rows->store, rows->columns, values, nulls);
}

static void
put_result(fan *fan, int k, const ek_row_set *rows)
{
	sort_nearest_first(fan->found, (size_t) fan->found_count);
	for (int64 i = 0; i < fan->found_count && i < k; i++)
	{
		CHECK_FOR_INTERRUPTS();
		put_row(fan, rows, &fan->found[i]);
	}
	for (int i = 0; i < fan->count; i++)
	{
		if (fan->servers[i].state == MISSING)
			put_missing(&fan->servers[i], rows);
	}
}

static void
fan_out(FunctionCallInfo fcinfo, ek_id_type ids)
{
	const int	k = PG_GETARG_INT32(3);
	ek_row_set		rows;
	fan			fan = {
		.ids = ids,
		.statement = text_to_cstring(PG_GETARG_TEXT_PP(1)),
		.allow_missing = PG_GETARG_BOOL(4),
		.connections_stay = ek_connection_may_stay(),
		.context = CurrentMemoryContext
	};

	ek_nearest_check_k(k);
	check_statement(fan.statement);
	find_servers(&fan, PG_GETARG_ARRAYTYPE_P(0));
	fan.values = strings_of(PG_GETARG_ARRAYTYPE_P(2), &fan.value_count);
	rows = ek_begin_row_set(fcinfo, "engram_fan_out");

	SPI_connect();
	fan.dblink = ek_dblink_find(ids);
	ek_connections_close_outdated(&fan.dblink);
	PG_TRY();
	{
		run(&fan);
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(fan.context);
		error = CopyErrorData();
		FlushErrorState();
		abandon(&fan);
		ReThrowError(error);
	}
	PG_END_TRY();
	abandon(&fan);
	put_result(&fan, k, &rows);
	SPI_finish();
}

/*
 * engram_fan_out(servers name[], statement text, parameters text[], k integer,
 *				  allow_missing boolean)
 * returns table (server name, id bigint, distance double precision, error text)
 *
 * The k nearest of the rows (id, distance) that the statement gives on the servers, nearest
 * first and ties by id.  With allow_missing, servers that did not answer come last, with
 * the error; else there is one.
 */
Datum
ek_sql_fan_out(PG_FUNCTION_ARGS)
{
	fan_out(fcinfo, EK_ID_BIGINT);
	PG_RETURN_NULL();
}

/*
 * engram_uuid_fan_out(...) returns table (..., id uuid, ...)
 */
Datum
ek_sql_uuid_fan_out(PG_FUNCTION_ARGS)
{
	fan_out(fcinfo, EK_ID_UUID);
	PG_RETURN_NULL();
}
