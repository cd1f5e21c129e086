/*
 * connection.c
 *		A session's connections to foreign servers, by dblink.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/objectaccess.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "commands/defrem.h"
#include "foreign/foreign.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "parser/parse_func.h"
#include "storage/latch.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/syscache.h"
#include "utils/timeout.h"

#include "base/compat.h"
#include "base/stats.h"
#include "servers/connection.h"

/* Statements that a connection has prepared at most. */
#define MAX_PREPARED	32

/*
 * What a session says first: a distance arrives as it is, whatever the role's settings
 * there, and who is gone does not go on computing.
 */
#define FIRST_STATEMENTS \
	"SET extra_float_digits = 1; SET client_connection_check_interval = '200ms';"
#define FIRST_STATEMENT_COUNT	2

typedef struct connection_key
{
	Oid			server;
	Oid			role;
} connection_key;

struct ek_connection
{
	connection_key key;
	char		name[NAMEDATALEN];	/* nobody can guess it */
	bool		open;
	bool		outdated;		/* the server or a user mapping may have been altered */
	char	   *prepared[MAX_PREPARED];
	int			prepared_count;
	char	   *preparing;		/* by what was sent last, or NULL */
};

static HTAB *connections;

/*
 * dblink
 */

/* The schema that it is in; invalid if it is not there. */
static Oid
find_schema(void)
{
	Oid			schema = InvalidOid;
	Relation	extensions = table_open(ExtensionRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&key, Anum_pg_extension_extname, BTEqualStrategyNumber, F_NAMEEQ,
				CStringGetDatum("dblink"));
	scan = systable_beginscan(extensions, ExtensionNameIndexId, true, NULL, 1, &key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
		schema = ((Form_pg_extension) GETSTRUCT(tuple))->extnamespace;
	systable_endscan(scan);
	table_close(extensions, AccessShareLock);
	return schema;
}

static void
find_function(FmgrInfo *info, char *schema, char *name, int nargs)
{
	const Oid	types[] = {TEXTOID, TEXTOID};
	const Oid	function = LookupFuncName(list_make2(makeString(schema), makeString(name)),
										  nargs, types, false);
	const AclResult allowed = ek_function_aclcheck(function);

	if (allowed != ACLCHECK_OK)
		aclcheck_error(allowed, OBJECT_FUNCTION, name);
	InvokeFunctionExecuteHook(function);
	fmgr_info(function, info);
}

/* A statement that the session keeps, for as long as dblink is where it was. */
typedef struct kept_plan
{
	char		schema[NAMEDATALEN];
	SPIPlanPtr	plan;
} kept_plan;

static SPIPlanPtr
prepare_get(kept_plan *kept, const char *schema, const char *list, const char *columns)
{
	Oid			types[] = {TEXTOID};
	const char *statement;
	SPIPlanPtr	plan;

	if (kept->plan != NULL && strcmp(kept->schema, schema) == 0)
		return kept->plan;
	statement = psprintf("SELECT %s FROM %s.dblink_get_result($1) AS r (%s)",
						 list, quote_identifier(schema), columns);
	plan = SPI_prepare(statement, lengthof(types), types);
	if (plan == NULL)
		elog(ERROR, "SPI_prepare failed: %s", SPI_result_code_string(SPI_result));
	if (kept->plan != NULL)
		SPI_freeplan(kept->plan);
	SPI_keepplan(plan);
	kept->plan = plan;
	strlcpy(kept->schema, schema, NAMEDATALEN);
	return plan;
}

ek_dblink
ek_dblink_find(ek_id_type ids)
{
	static kept_plan get_status;
	static kept_plan get_rows[2];
	const Oid	schema = find_schema();
	ek_dblink	dblink = {0};
	char	   *name;

	if (!OidIsValid(schema))
	{
		ek_stats_count_error(EK_ERROR_OTHER);
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("extension \"dblink\" is not installed"),
				 errhint("Run CREATE EXTENSION dblink.")));
	}
	name = get_namespace_name(schema);
	find_function(&dblink.connect, name, "dblink_connect", 2);
	find_function(&dblink.disconnect, name, "dblink_disconnect", 1);
	find_function(&dblink.send_query, name, "dblink_send_query", 2);
	find_function(&dblink.is_busy, name, "dblink_is_busy", 1);
	find_function(&dblink.error_message, name, "dblink_error_message", 1);
	dblink.get_status = prepare_get(&get_status, name, "", "status pg_catalog.text");
	dblink.get_rows = prepare_get(&get_rows[ids], name, "id, distance", ids == EK_ID_UUID ?
								  "id pg_catalog.uuid, distance pg_catalog.float8" :
								  "id pg_catalog.int8, distance pg_catalog.float8");
	return dblink;
}

/*
 * Connections
 */

static void
outdate_all(Datum argument pg_attribute_unused(), int cache pg_attribute_unused(),
			uint32 hash pg_attribute_unused())
{
	HASH_SEQ_STATUS all;
	ek_connection *connection;

	hash_seq_init(&all, connections);
	while ((connection = hash_seq_search(&all)) != NULL)
		connection->outdated = true;
}

static void
create_connections(void)
{
	HASHCTL		how = {
		.keysize = sizeof(connection_key),
		.entrysize = sizeof(ek_connection)
	};

	connections = hash_create("engramk connections", 8, &how, HASH_ELEM | HASH_BLOBS);
	CacheRegisterSyscacheCallback(FOREIGNSERVEROID, outdate_all, (Datum) 0);
	CacheRegisterSyscacheCallback(USERMAPPINGOID, outdate_all, (Datum) 0);
}

ek_connection *
ek_connection_of(Oid server)
{
	const connection_key key = {.server = server,.role = GetUserId()};
	ek_connection *connection;
	bool		found;

	if (connections == NULL)
		create_connections();
	connection = hash_search(connections, &key, HASH_ENTER, &found);
	if (found)
		return connection;
	memset((char *) connection + sizeof(key), 0, sizeof(*connection) - sizeof(key));
	return connection;
}

/*
 * dblink's connections are the session's, and every role's that the session takes.  So one
 * stays only if it was made by the session's own rights: neither in a function that has
 * those of its owner, nor after SET ROLE.
 */
bool
ek_connection_may_stay(void)
{
	Oid			user;
	int			security;

	GetUserIdAndSecContext(&user, &security);
	return security == 0 && user == GetSessionUserId();
}

void
ek_connections_close_outdated(ek_dblink *dblink)
{
	HASH_SEQ_STATUS all;
	ek_connection *connection;

	if (connections == NULL)
		return;
	hash_seq_init(&all, connections);
	while ((connection = hash_seq_search(&all)) != NULL)
	{
		if (!connection->outdated)
			continue;
		ek_connection_close(dblink, connection);
		(void) hash_search(connections, &connection->key, HASH_REMOVE, NULL);
	}
}

bool
ek_connection_is_open(const ek_connection *connection)
{
	return connection->open && !connection->outdated;
}

/* Whoever knew it could have made a connection of that name before, to somewhere else. */
static void
name_connection(ek_connection *connection)
{
	uint64		random[2];

	if (!pg_strong_random(random, sizeof(random)))
		elog(ERROR, "could not get random bytes");
	snprintf(connection->name, NAMEDATALEN, "engramk " UINT64_FORMAT " " UINT64_FORMAT,
			 random[0], random[1]);
}

static void
forget_prepared(ek_connection *connection)
{
	for (int i = 0; i < connection->prepared_count; i++)
		pfree(connection->prepared[i]);
	if (connection->preparing != NULL)
		pfree(connection->preparing);
	connection->prepared_count = 0;
	connection->preparing = NULL;
}

#if PG_VERSION_NUM >= 160000
static volatile sig_atomic_t too_late;
static TimeoutId connect_timer = MAX_TIMEOUTS;

/* In a signal handler: what a cancel does, and why. */
static void
end_connecting(void)
{
	too_late = true;
	InterruptPending = true;
	QueryCancelPending = true;
	SetLatch(MyLatch);
}

/* Seconds, 0 for no limit */
static int
connect_timeout_of(Oid server)
{
	ListCell   *cell;

	foreach(cell, GetForeignServer(server)->options)
	{
		DefElem    *option = lfirst_node(DefElem, cell);

		if (strcmp(option->defname, "connect_timeout") == 0)
			return atoi(defGetString(option));
	}
	return 0;
}

/*
 * dblink can be interrupted while it connects, and leaves it at that: the server's
 * "connect_timeout", which libpq looks at only where it waits by itself, is up to us.
 */
static void
connect_in_time(ek_dblink *dblink, const ek_connection *connection, const char *server)
{
	const int	seconds = connect_timeout_of(connection->key.server);

	if (connect_timer == MAX_TIMEOUTS)
		connect_timer = RegisterTimeout(USER_TIMEOUT, end_connecting);
	too_late = false;
	if (seconds > 0)
		enable_timeout_after(connect_timer, seconds * 1000);
	PG_TRY();
	{
		FunctionCall2(&dblink->connect, CStringGetTextDatum(connection->name), CStringGetTextDatum(server));
	}
	PG_CATCH();
	{
		disable_timeout(connect_timer, false);
		if (!too_late || geterrcode() != ERRCODE_QUERY_CANCELED)
			PG_RE_THROW();
		FlushErrorState();
		ereport(ERROR,
				(errcode(ERRCODE_SQLCLIENT_UNABLE_TO_ESTABLISH_SQLCONNECTION),
				 errmsg("could not establish connection"),
				 errdetail("timeout expired")));
	}
	PG_END_TRY();
	disable_timeout(connect_timer, false);
	if (too_late)
		QueryCancelPending = false;
}
#else
static void
connect_in_time(ek_dblink *dblink, const ek_connection *connection, const char *server)
{
	FunctionCall2(&dblink->connect, CStringGetTextDatum(connection->name), CStringGetTextDatum(server));
}
#endif

void
ek_connection_open(ek_dblink *dblink, ek_connection *connection, const char *server)
{
	ek_connection_close(dblink, connection);
	name_connection(connection);
	connection->outdated = false;
	connect_in_time(dblink, connection, server);
	connection->open = true;
}

/* The user may have closed it, by dblink's own functions. */
void
ek_connection_close(ek_dblink *dblink, ek_connection *connection)
{
	if (!connection->open)
		return;
	forget_prepared(connection);
	connection->open = false;
	PG_TRY();
	{
		FunctionCall1(&dblink->disconnect, CStringGetTextDatum(connection->name));
	}
	PG_CATCH();
	{
		if (geterrcode() != ERRCODE_CONNECTION_DOES_NOT_EXIST)
			PG_RE_THROW();
		FlushErrorState();
	}
	PG_END_TRY();
}

static int
find_prepared(const ek_connection *connection, const char *statement)
{
	for (int i = 0; i < connection->prepared_count; i++)
	{
		if (strcmp(connection->prepared[i], statement) == 0)
			return i;
	}
	return -1;
}

/* Appends what has to be said before a statement can be executed; returns how much. */
static int
append_preparation(StringInfo text, ek_connection *connection, const char *statement, bool first)
{
	int			statements = 1;

	if (first)
	{
		appendStringInfoString(text, FIRST_STATEMENTS);
		statements += FIRST_STATEMENT_COUNT;
	}
	if (connection->prepared_count == MAX_PREPARED)
	{
		forget_prepared(connection);
		appendStringInfoString(text, "DEALLOCATE ALL;");
		statements++;
	}
	/* on a line of its own, since a statement may end with a comment */
	appendStringInfo(text, "PREPARE engramk_%d AS %s\n;", connection->prepared_count, statement);
	connection->preparing = MemoryContextStrdup(TopMemoryContext, statement);
	return statements;
}

static void
append_execution(StringInfo text, int number, char *const *values, int count)
{
	appendStringInfo(text, "EXECUTE engramk_%d", number);
	for (int i = 0; i < count; i++)
	{
		appendStringInfoString(text, i == 0 ? " (" : ", ");
		appendStringInfoString(text, values[i] == NULL ? "NULL" : quote_literal_cstr(values[i]));
	}
	if (count > 0)
		appendStringInfoChar(text, ')');
}

int
ek_connection_send(ek_dblink *dblink, ek_connection *connection, const char *statement,
				   char *const *values, int count)
{
	const bool	first = connection->prepared_count == 0;
	int			number = find_prepared(connection, statement);
	int			before = 0;
	StringInfoData text;

	initStringInfo(&text);
	if (number < 0)
	{
		before = append_preparation(&text, connection, statement, first);
		number = connection->prepared_count;
	}
	append_execution(&text, number, values, count);
	if (DatumGetInt32(FunctionCall2(&dblink->send_query, CStringGetTextDatum(connection->name),
									CStringGetTextDatum(text.data))) != 1)
		return -1;
	return before;
}

bool
ek_connection_is_busy(ek_dblink *dblink, const ek_connection *connection)
{
	return DatumGetInt32(FunctionCall1(&dblink->is_busy, CStringGetTextDatum(connection->name))) != 0;
}

bool
ek_connection_is_sound(ek_dblink *dblink, const ek_connection *connection)
{
	const char *message = TextDatumGetCString(FunctionCall1(&dblink->error_message,
															CStringGetTextDatum(connection->name)));

	return strcmp(message, "OK") == 0;
}

static void
take(SPIPlanPtr plan, const ek_connection *connection)
{
	Datum		values[] = {CStringGetTextDatum(connection->name)};
	const int	outcome = SPI_execute_plan(plan, values, NULL, true, 0);

	if (outcome != SPI_OK_SELECT)
		elog(ERROR, "SPI_execute_plan failed: %s", SPI_result_code_string(outcome));
}

void
ek_connection_take_status(ek_dblink *dblink, const ek_connection *connection)
{
	take(dblink->get_status, connection);
}

void
ek_connection_take_rows(ek_dblink *dblink, const ek_connection *connection)
{
	take(dblink->get_rows, connection);
}

void
ek_connection_keep_prepared(ek_connection *connection)
{
	if (connection->preparing == NULL)
		return;
	connection->prepared[connection->prepared_count++] = connection->preparing;
	connection->preparing = NULL;
}
