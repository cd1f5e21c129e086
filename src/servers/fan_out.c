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

#include "catalog/pg_type.h"
#include "foreign/foreign.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "parser/parser.h"
#include "pgstat.h"
#include "storage/latch.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/float.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"
#include "utils/wait_event.h"

#include "base/compat.h"
#include "base/rows.h"
#include "base/stats.h"
#include "nearest/matches.h"
#include "nearest/nearest.h"
#include "servers/connection.h"

PG_FUNCTION_INFO_V1(ek_sql_fan_out);
PG_FUNCTION_INFO_V1(ek_sql_uuid_fan_out);

/* Bytes of values, of which a connection that stays keeps a copy. */
#define MAX_KEPT	((Size) 1024 * 1024)

/* Milliseconds after which a connection that hides what has come is looked at. */
#define HIDDEN_PAUSE	50

/* Sockets that one wait can report; what else is ready, the next one reports. */
#define MAX_OCCURRED	16

typedef enum server_state
{
	CONNECTING,
	ASKED,
	DONE,
	MISSING
} server_state;

typedef struct server
{
	const char *name;
	Oid			oid;
	server_state state;
	ek_connection *connection;	/* NULL before it is begun with */
	bool		kept;			/* connected by an earlier call */
	int			events;			/* that the set waits for; 0 if it does not know the socket */
	bool		ready;			/* for what it waited for */
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
	ek_id_type	ids;
	char	   *statement;
	char	  **values;
	int			value_count;
	bool		is_large;		/* what is sent */
	bool		allow_missing;
	server	   *servers;
	int			count;
	int			unfinished;
	WaitEventSet *set;			/* NULL if it has to be made anew */
	PGresult   *rows;			/* that are being taken */
	MemoryContext context;		/* of what is kept until the end */
	found_row  *found;
	int64		found_count;
	int64		found_capacity;
} fan;

/* By distance as PostgreSQL sorts it, since a server may give NaN. */
static inline int
compare(const found_row *a, const found_row *b)
{
	const int	by_distance = float8_cmp_internal(a->neighbour.distance, b->neighbour.distance);
	const int	by_id = ek_compare_ids(a->neighbour.id, b->neighbour.id);

	if (by_distance != 0)
		return by_distance;
	return by_id != 0 ? by_id : a->server - b->server;
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
	fan->unfinished = fan->count;
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

/*
 * By its grammar; the rest is the servers' to say.  A SELECT may hide that it makes a
 * table in the first of those that it unites.
 */
static bool
is_select(const List *trees)
{
	const SelectStmt *select;

	if (list_length(trees) != 1 || !IsA(linitial_node(RawStmt, trees)->stmt, SelectStmt))
		return false;
	select = (const SelectStmt *) linitial_node(RawStmt, trees)->stmt;
	while (select->op != SETOP_NONE)
		select = select->larg;
	return select->intoClause == NULL;
}

/* An error's place is in this statement, not in the one that calls us. */
static void
show_statement(void *statement)
{
	const int	position = geterrposition();

	if (position <= 0)
		return;
	errposition(0);
	internalerrposition(position);
	internalerrquery(statement);
}

/* As the servers will, whatever this session makes of a backslash. */
static const List *
parse(const char *statement)
{
	const List *trees;
	int			nest_level;

	if (standard_conforming_strings)
		return raw_parser(statement, RAW_PARSE_DEFAULT);
	nest_level = NewGUCNestLevel();
	(void) set_config_option("standard_conforming_strings", "on", PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
	trees = raw_parser(statement, RAW_PARSE_DEFAULT);
	AtEOXact_GUC(true, nest_level);
	return trees;
}

static void
check_statement(char *statement)
{
	ErrorContextCallback showing = {
		.previous = error_context_stack,
		.callback = show_statement,
		.arg = statement
	};
	const List *trees;

	error_context_stack = &showing;
	trees = parse(statement);
	error_context_stack = showing.previous;
	if (is_select(trees))
		return;
	ek_stats_count_error(EK_ERROR_OTHER);
	ereport(ERROR,
			(errcode(ERRCODE_SYNTAX_ERROR),
			 errmsg("statement must be one SELECT statement")));
}

static bool
are_large(char *const *values, int count)
{
	Size		size = 0;

	for (int i = 0; i < count; i++)
		size += values[i] == NULL ? 0 : strlen(values[i]);
	return size > MAX_KEPT;
}

static void
check_value_count(int count)
{
	if (count <= PQ_QUERY_PARAM_MAX_LIMIT)
		return;
	ek_stats_count_error(EK_ERROR_OTHER);
	ereport(ERROR,
			(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
			 errmsg("number of parameters must be at most %d", PQ_QUERY_PARAM_MAX_LIMIT)));
}

/*
 * Servers that fail
 */

/*
 * Is what was prepared by an earlier call no longer there, since a pooler has put another
 * session behind the connection, or does it return other types?
 */
static bool
is_outdated(const ek_reply *error)
{
	return error->sqlstate == ERRCODE_UNDEFINED_PSTATEMENT ||
		error->sqlstate == ERRCODE_FEATURE_NOT_SUPPORTED;
}

/* Too few values are no trouble of the connection, as that error's class would have it. */
static int
sqlstate_of(const ek_reply *error)
{
	return error->sqlstate == ERRCODE_PROTOCOL_VIOLATION ? ERRCODE_SYNTAX_ERROR : error->sqlstate;
}

static void
raise_reply(const ek_reply *error)
{
	const int	sqlstate = sqlstate_of(error);

	ek_stats_count_error(EK_ERROR_OTHER);
	ereport(ERROR,
			(errcode(sqlstate),
			 errmsg_internal("%s", error->message),
			 error->detail != NULL ? errdetail_internal("%s", error->detail) : 0,
			 error->hint != NULL ? errhint("%s", error->hint) : 0,
			 error->context != NULL ? errcontext("%s", error->context) : 0));
}

static void
name_server(void *server)
{
	errcontext("server \"%s\"", ((const struct server *) server)->name);
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
give_up(fan *fan, server *server, const ek_reply *why)
{
	const int	sqlstate = why->sqlstate;

	server->state = MISSING;
	fan->unfinished--;
	server->reason = MemoryContextStrdup(fan->context, why->detail == NULL ? why->message :
										 psprintf("%s: %s", why->message, why->detail));
	if (fan->allow_missing)
		return;
	ek_stats_count_error(EK_ERROR_OTHER);
	ereport(ERROR,
			(errcode(sqlstate),
			 errmsg("server \"%s\" did not answer", server->name),
			 errdetail_internal("%s", server->reason)));
}

/*
 * Servers that answer
 */

static void
keep_row(fan *fan, int row, int server)
{
	PGresult   *rows = fan->rows;
	const Datum id = DirectFunctionCall1(fan->ids == EK_ID_UUID ? uuid_in : int8in,
										 CStringGetDatum(PQgetvalue(rows, row, 0)));
	const Datum distance = DirectFunctionCall1(float8in, CStringGetDatum(PQgetvalue(rows, row, 1)));

	fan->found[fan->found_count++] = (found_row)
	{
		.neighbour = {.distance = DatumGetFloat8(distance),.id = ek_id_of_datum(fan->ids, id)},
			.server = server
	};
}

static void
make_room(fan *fan, int rows)
{
	const int64 needed = fan->found_count + rows;

	if (needed <= fan->found_capacity)
		return;
	fan->found_capacity = 2 * needed;
	fan->found = fan->found == NULL ?
		MemoryContextAllocHuge(fan->context, sizeof(found_row) * fan->found_capacity) :
		repalloc_huge(fan->found, sizeof(found_row) * fan->found_capacity);
}

/* Rows without id or distance are no neighbours. */
static void
keep_rows(fan *fan, int server)
{
	const int	count = PQntuples(fan->rows);

	if (PQnfields(fan->rows) != 2)
	{
		ek_stats_count_error(EK_ERROR_OTHER);
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("statement must return two columns, an id and a distance"),
				 errdetail("It returns %d.", PQnfields(fan->rows))));
	}
	make_room(fan, count);
	for (int row = 0; row < count; row++)
	{
		CHECK_FOR_INTERRUPTS();
		if (!PQgetisnull(fan->rows, row, 0) && !PQgetisnull(fan->rows, row, 1))
			keep_row(fan, row, server);
	}
	PQclear(fan->rows);
	fan->rows = NULL;
}

static ek_progress
ask(fan *fan, server *server, ek_reply *reply)
{
	server->state = ASKED;
	server->events = 0;
	return ek_connection_send(server->connection, fan->statement, fan->values, fan->value_count, reply);
}

static void
connect_to(server *server)
{
	server->state = CONNECTING;
	server->kept = false;
	ek_connection_start(server->connection);
}

/* Once more by a new connection, if this one may have been lost long since. */
static void
fail(fan *fan, int i, const ek_reply *why)
{
	server	   *server = &fan->servers[i];

	ek_connection_close(server->connection);
	drop_rows(fan, i);
	if (server->kept)
		connect_to(server);
	else
		give_up(fan, server, why);
}

static void
finish(fan *fan, int i, ek_progress progress, const ek_reply *reply)
{
	server	   *server = &fan->servers[i];

	if (progress == EK_LOST || (progress == EK_ERROR && server->kept && is_outdated(reply)))
		fail(fan, i, reply);
	else if (progress == EK_ERROR)
		raise_reply(reply);
	else if (progress == EK_END)
	{
		server->state = DONE;
		fan->unfinished--;
		if (fan->is_large)
			ek_connection_close(server->connection);
	}
}

static void
begin(fan *fan, int i)
{
	server	   *server = &fan->servers[i];
	ek_reply	reply;

	server->connection = ek_connection_of(server->oid);
	server->kept = ek_connection_is_ready_for(server->connection, fan->statement);
	if (server->kept)
		finish(fan, i, ask(fan, server, &reply), &reply);
	else
		connect_to(server);
}

/* What can be done without waiting. */
static void
go_on(fan *fan, int i)
{
	server	   *server = &fan->servers[i];
	ek_progress progress;
	ek_reply	reply;

	if (server->state == CONNECTING)
	{
		progress = ek_connection_poll(server->connection, &reply);
		if (progress == EK_CONNECTED)
			progress = ask(fan, server, &reply);
	}
	else
	{
		while ((progress = ek_connection_receive(server->connection, &fan->rows, &reply)) == EK_ROWS)
			keep_rows(fan, i);
	}
	finish(fan, i, progress, &reply);
}

static bool
is_too_late(const server *server)
{
	return server->state == CONNECTING &&
		GetCurrentTimestamp() >= ek_connection_deadline(server->connection);
}

static void
take_turn(fan *fan, int i)
{
	server	   *server = &fan->servers[i];
	const ek_reply timeout = {
		.sqlstate = ERRCODE_SQLCLIENT_UNABLE_TO_ESTABLISH_SQLCONNECTION,
		.message = "could not establish connection: timeout expired"
	};

	if (server->connection == NULL)
		begin(fan, i);
	else if (is_too_late(server))
		fail(fan, i, &timeout);
	else if (server->ready)
		go_on(fan, i);
	server->ready = false;
}

/*
 * Waiting
 */

static bool
is_unfinished(const server *server)
{
	return server->state == CONNECTING || server->state == ASKED;
}

static void
free_set(fan *fan)
{
	if (fan->set != NULL)
		FreeWaitEventSet(fan->set);
	fan->set = NULL;
}

static void
make_set(fan *fan)
{
	fan->set = ek_create_wait_event_set(fan->unfinished + 2);
	AddWaitEventToSet(fan->set, WL_LATCH_SET, PGINVALID_SOCKET, MyLatch, NULL);
	if (IsUnderPostmaster)
		AddWaitEventToSet(fan->set, WL_EXIT_ON_PM_DEATH, PGINVALID_SOCKET, NULL, NULL);
	for (int i = 0; i < fan->count; i++)
	{
		server	   *server = &fan->servers[i];

		if (is_unfinished(server))
			AddWaitEventToSet(fan->set, server->events, ek_connection_socket(server->connection), NULL, server);
	}
}

/*
 * Does the set know the sockets, and what they wait for?  While one connects, it may be
 * another one each time, under the same number.
 */
static bool
update_events(fan *fan)
{
	bool		changed = fan->set == NULL;

	for (int i = 0; i < fan->count; i++)
	{
		server	   *server = &fan->servers[i];
		int			events;

		if (!is_unfinished(server))
			continue;
		events = ek_connection_events(server->connection);
		changed |= server->state == CONNECTING || events != server->events;
		server->events = events;
	}
	return !changed;
}

/* In milliseconds; -1 for no end. */
static long
time_to_wait(const fan *fan)
{
	TimestampTz deadline = DT_NOEND;
	bool		hides = false;
	long		time;

	for (int i = 0; i < fan->count; i++)
	{
		const server *server = &fan->servers[i];

		if (server->state == CONNECTING)
			deadline = Min(deadline, ek_connection_deadline(server->connection));
		hides |= server->state == ASKED && ek_connection_hides(server->connection);
	}
	if (deadline == DT_NOEND)
		return hides ? HIDDEN_PAUSE : -1;
	time = TimestampDifferenceMilliseconds(GetCurrentTimestamp(), deadline);
	return hides ? Min(time, HIDDEN_PAUSE) : time;
}

/* Versions of libpq differ in whether they take all that there is at once. */
static void
look_at_hidden(const fan *fan)
{
	for (int i = 0; i < fan->count; i++)
	{
		server	   *server = &fan->servers[i];

		server->ready = server->state == ASKED && ek_connection_hides(server->connection);
	}
}

/* Connections that have no socket have failed already. */
static bool
find_failed(const fan *fan)
{
	bool		found = false;

	for (int i = 0; i < fan->count; i++)
	{
		server	   *server = &fan->servers[i];

		server->ready = is_unfinished(server) &&
			ek_connection_socket(server->connection) == PGINVALID_SOCKET;
		found |= server->ready;
	}
	return found;
}

static void
wait_for_servers(fan *fan)
{
	static uint32 event;
	WaitEvent	occurred[MAX_OCCURRED];
	int			count;

	if (!update_events(fan))
		free_set(fan);
	if (find_failed(fan))
		return;
	if (fan->set == NULL)
		make_set(fan);
	count = WaitEventSetWait(fan->set, time_to_wait(fan), occurred, MAX_OCCURRED,
							 ek_wait_event_named(event, "EngramkFanOut"));
	for (int i = 0; i < count; i++)
	{
		server	   *server = occurred[i].user_data;

		if (server == NULL)
			ResetLatch(MyLatch);
		else if (is_unfinished(server))
			server->ready = true;
		else
			free_set(fan);
	}
	if (count == 0)
		look_at_hidden(fan);
	CHECK_FOR_INTERRUPTS();
}

/* Until every server has answered, or is missing. */
static void
run(fan *fan)
{
	const MemoryContext caller = CurrentMemoryContext;
	const MemoryContext scratch = AllocSetContextCreate(caller, "engramk fan-out", ALLOCSET_DEFAULT_SIZES);

	for (bool first = true; fan->unfinished > 0; first = false)
	{
		if (!first)
			wait_for_servers(fan);
		for (int i = 0; i < fan->count; i++)
		{
			ErrorContextCallback naming = {
				.previous = error_context_stack,
				.callback = name_server,
				.arg = &fan->servers[i]
			};

			MemoryContextSwitchTo(scratch);
			error_context_stack = &naming;
			take_turn(fan, i);
			error_context_stack = naming.previous;
			MemoryContextSwitchTo(caller);
			MemoryContextReset(scratch);
		}
	}
	free_set(fan);
	MemoryContextDelete(scratch);
}

/* Whoever still owes an answer is not asked again by this connection. */
static void
abandon(fan *fan)
{
	free_set(fan);
	PQclear(fan->rows);
	for (int i = 0; i < fan->count; i++)
	{
		server	   *server = &fan->servers[i];

		if (server->connection != NULL && is_unfinished(server))
			ek_connection_close(server->connection);
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
	ek_row_set	rows;
	fan			fan = {
		.ids = ids,
		.statement = text_to_cstring(PG_GETARG_TEXT_PP(1)),
		.allow_missing = PG_GETARG_BOOL(4),
		.context = CurrentMemoryContext
	};

	ek_nearest_check_k(k);
	check_statement(fan.statement);
	ek_connections_begin_call();
	find_servers(&fan, PG_GETARG_ARRAYTYPE_P(0));
	fan.values = strings_of(PG_GETARG_ARRAYTYPE_P(2), &fan.value_count);
	check_value_count(fan.value_count);
	fan.is_large = are_large(fan.values, fan.value_count);
	rows = ek_begin_row_set(fcinfo, "engram_fan_out");

	PG_TRY();
	{
		run(&fan);
	}
	PG_CATCH();
	{
		abandon(&fan);
		PG_RE_THROW();
	}
	PG_END_TRY();
	put_result(&fan, k, &rows);
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
