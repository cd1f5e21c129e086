/*
 * connection.c
 *		A session's connections to foreign servers, by libpq.
 */
#include "postgres.h"

#include "catalog/pg_foreign_server.h"
#include "commands/defrem.h"
#include "foreign/foreign.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "storage/fd.h"
#include "storage/latch.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "base/compat.h"
#include "base/stats.h"
#include "servers/connection.h"

/*
 * Statements that a connection has prepared at most, and their length in bytes: a server
 * keeps several times as much for each.  One that is longer is planned each time.
 */
#define MAX_PREPARED		32
#define MAX_PREPARED_LENGTH	8192

/* Of a statement that is not kept */
#define NO_NAME		""

/* A server's remarks on a statement that go to the log; what follows is like these, as a rule. */
#define MAX_NOTICES	10

/* A record of TLS has 16 kB, of which libpq takes at least 8 at a time. */
#define TURNS_TO_READ	3

/*
 * What a session says first: a distance arrives as it is and a statement is read as it was
 * here, whatever the role's settings there; and who is gone does not go on computing.
 */
static const char *const first_statements[] = {
	"SET extra_float_digits = 1",
	"SET standard_conforming_strings = on",
	"SET client_connection_check_interval = '200ms'"
};

typedef struct connection_key
{
	Oid			server;
	Oid			role;
} connection_key;

struct ek_connection
{
	connection_key key;
	PGconn	   *libpq;			/* NULL if there is none */
	PostgresPollingStatusType polling;	/* PGRES_POLLING_OK if it is connected */
	TimestampTz deadline;
	uint64		call;			/* that used it last */

	/* what it was made by, as PostgreSQL names it when it is altered */
	Oid			mapping;
	uint32		wrapper_hash;
	uint32		server_hash;
	uint32		mapping_hash;
	bool		outdated;		/* one of these has been altered since */

	bool		had_password;
	bool		is_set_up;		/* by the first statements */
	int			syncs;			/* ends of transactions that are to come */
	bool		has_answered;	/* with rows, if only none */
	int			notices;
	uint64		name;			/* of what it prepares */
	char	   *prepared[MAX_PREPARED];
	int			prepared_count;
};

static HTAB *connections;
static uint64 this_call;

static bool
is_made_by(const ek_connection *connection, int cache, uint32 hash)
{
	switch (cache)
	{
		case FOREIGNDATAWRAPPEROID:
			return connection->wrapper_hash == hash;
		case FOREIGNSERVEROID:
			return connection->server_hash == hash;
		default:
			return connection->mapping_hash == hash;
	}
}

/* A hash of 0 is all of them. */
static void
outdate(Datum argument pg_attribute_unused(), int cache, uint32 hash)
{
	HASH_SEQ_STATUS all;
	ek_connection *connection;

	hash_seq_init(&all, connections);
	while ((connection = hash_seq_search(&all)) != NULL)
		connection->outdated |= hash == 0 || is_made_by(connection, cache, hash);
}

static void
create_connections(void)
{
	HASHCTL		how = {
		.keysize = sizeof(connection_key),
		.entrysize = sizeof(ek_connection)
	};

	connections = hash_create("engramk connections", 8, &how, HASH_ELEM | HASH_BLOBS);
	CacheRegisterSyscacheCallback(FOREIGNDATAWRAPPEROID, outdate, (Datum) 0);
	CacheRegisterSyscacheCallback(FOREIGNSERVEROID, outdate, (Datum) 0);
	CacheRegisterSyscacheCallback(USERMAPPINGOID, outdate, (Datum) 0);
}

/*
 * Who is no superuser must not borrow the rights of the server's own process, at a server
 * that trusts it: only a password proves that the role was meant.
 */
static bool
role_may_connect(bool has_password)
{
	return has_password || superuser();
}

/* For a connection, and for the set of all that are waited for. */
static bool
is_room(void)
{
	bool		found = false;

	if (!AcquireExternalFD())
		return false;
	if (AcquireExternalFD())
	{
		ReleaseExternalFD();
		found = true;
	}
	ReleaseExternalFD();
	return found;
}

/* To make room for those of this call */
static void
close_unused(void)
{
	HASH_SEQ_STATUS all;
	ek_connection *connection;

	hash_seq_init(&all, connections);
	while ((connection = hash_seq_search(&all)) != NULL)
	{
		if (connection->call != this_call)
			ek_connection_close(connection);
	}
}

ek_connection *
ek_connection_of(Oid server)
{
	const connection_key key = {.server = server,.role = GetUserId()};
	const AclResult allowed = ek_server_aclcheck(server);
	ek_connection *connection;
	bool		found;

	if (allowed != ACLCHECK_OK)
		aclcheck_error(allowed, OBJECT_FOREIGN_SERVER, GetForeignServer(server)->servername);
	if (connections == NULL)
		create_connections();
	connection = hash_search(connections, &key, HASH_ENTER, &found);
	if (!found)
		memset((char *) connection + sizeof(key), 0, sizeof(*connection) - sizeof(key));
	else if (!role_may_connect(connection->had_password) ||
			 connection->mapping != GetUserMapping(key.role, server)->umid)
		ek_connection_close(connection);
	connection->call = this_call;
	return connection;
}

void
ek_connections_begin_call(void)
{
	HASH_SEQ_STATUS all;
	ek_connection *connection;

	this_call++;
	AcceptInvalidationMessages();
	if (connections == NULL)
		return;
	if (!is_room())
		close_unused();
	hash_seq_init(&all, connections);
	while ((connection = hash_seq_search(&all)) != NULL)
	{
		if (!connection->outdated)
			continue;
		ek_connection_close(connection);
		(void) hash_search(connections, &connection->key, HASH_REMOVE, NULL);
	}
}

void
ek_connection_close(ek_connection *connection)
{
	if (connection->libpq == NULL)
		return;
	PQfinish(connection->libpq);
	connection->libpq = NULL;
	ReleaseExternalFD();
	for (int i = 0; i < connection->prepared_count; i++)
		pfree(connection->prepared[i]);
	connection->prepared_count = 0;
	connection->is_set_up = false;
	connection->syncs = 0;
}

/*
 * Connecting
 */

/* Keywords and values for libpq, ended by NULL. */
typedef struct libpq_options
{
	const char **keywords;
	const char **values;
	int			count;
} libpq_options;

static void
add_option(libpq_options *options, const char *keyword, const char *value)
{
	options->keywords[options->count] = keyword;
	options->values[options->count] = value;
	options->count++;
	options->keywords[options->count] = NULL;
	options->values[options->count] = NULL;
}

/*
 * Servers have options that are not libpq's.  Who connects and by which secrets is up to
 * user mappings; and nothing else is, since everybody may alter their own.
 */
static bool
is_libpq_option(const PQconninfoOption *known, const char *keyword, bool of_mapping)
{
	for (; known->keyword != NULL; known++)
	{
		if (strcmp(known->keyword, keyword) == 0)
			break;
	}
	if (known->keyword == NULL || strchr(known->dispchar, 'D') != NULL ||
		strcmp(keyword, "client_encoding") == 0 || strncmp(keyword, "oauth_", 6) == 0)
		return false;
	return of_mapping == (strcmp(keyword, "user") == 0 || strchr(known->dispchar, '*') != NULL);
}

static void
add_libpq_options(libpq_options *options, const PQconninfoOption *known, List *list, bool of_mapping)
{
	ListCell   *cell;

	foreach(cell, list)
	{
		DefElem    *option = lfirst_node(DefElem, cell);

		if (is_libpq_option(known, option->defname, of_mapping) && defGetString(option)[0] != '\0')
			add_option(options, option->defname, defGetString(option));
	}
}

/* libpq's own memory, not PostgreSQL's */
pg_noreturn static void
raise_out_of_memory(void)
{
	ek_stats_count_error(EK_ERROR_OTHER);
	ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
}

static libpq_options
options_of(List *of_wrapper, List *of_server, List *of_mapping)
{
	const int	room = list_length(of_wrapper) + list_length(of_server) + list_length(of_mapping) + 3;
	PQconninfoOption *known = PQconndefaults();
	libpq_options options = {
		.keywords = palloc(sizeof(char *) * room),
		.values = palloc(sizeof(char *) * room)
	};

	if (known == NULL)
		raise_out_of_memory();
	add_option(&options, "fallback_application_name", "engramk");
	PG_TRY();
	{
		add_libpq_options(&options, known, of_wrapper, false);
		add_libpq_options(&options, known, of_server, false);
		add_libpq_options(&options, known, of_mapping, true);
	}
	PG_FINALLY();
	{
		PQconninfoFree(known);
	}
	PG_END_TRY();
	add_option(&options, "client_encoding", GetDatabaseEncodingName());
	return options;
}

/* The last one counts; NULL if there is none. */
static const char *
find_option(const libpq_options *options, const char *keyword)
{
	for (int i = options->count - 1; i >= 0; i--)
	{
		if (strcmp(options->keywords[i], keyword) == 0)
			return options->values[i];
	}
	return NULL;
}

static TimestampTz
deadline_of(const libpq_options *options)
{
	const char *timeout = find_option(options, "connect_timeout");
	int			seconds = 0;

	if (timeout != NULL && !parse_int(timeout, &seconds, 0, NULL))
	{
		ek_stats_count_error(EK_ERROR_OTHER);
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid value \"%s\" for option \"connect_timeout\"", timeout)));
	}
	if (seconds <= 0)
		return DT_NOEND;
	return TimestampTzPlusMilliseconds(GetCurrentTimestamp(), (int64) seconds * 1000);
}

static void
require_password(bool has_password, const char *detail, const char *hint)
{
	if (role_may_connect(has_password))
		return;
	ek_stats_count_error(EK_ERROR_OTHER);
	ereport(ERROR,
			(errcode(ERRCODE_S_R_E_PROHIBITED_SQL_STATEMENT_ATTEMPTED),
			 errmsg("password is required"),
			 errdetail_internal("%s", detail),
			 errhint("%s", hint)));
}

/* Nobody else's statement bears a name of this connection, if a pooler stands between. */
static uint64
random_name(void)
{
	uint64		name;

	if (!pg_strong_random(&name, sizeof(name)))
		elog(ERROR, "could not get random bytes");
	return name;
}

/*
 * A server is not to be trusted with its encoding, and what it says may go into a table.
 * In the current memory context.
 */
static char *
copy_text(const char *text)
{
	char	   *copy = pstrdup(text);

	if (pg_verifymbstr(copy, (int) strlen(copy), true))
		return copy;
	for (char *byte = copy; *byte != '\0'; byte++)
	{
		if (IS_HIGHBIT_SET(*byte))
			*byte = '?';
	}
	return copy;
}

static const char *
copy_field(const PGresult *result, int field)
{
	const char *text = PQresultErrorField(result, field);

	return text == NULL ? NULL : copy_text(text);
}

/* Called by libpq, which must come to its end, whoever cancels. */
static void
log_notice(void *argument, const PGresult *result)
{
	ek_connection *connection = argument;
	const char *severity;
	const char *message;

	if (connection->notices == MAX_NOTICES)
		return;
	connection->notices++;
	HOLD_INTERRUPTS();
	severity = copy_field(result, PG_DIAG_SEVERITY);
	message = copy_field(result, PG_DIAG_MESSAGE_PRIMARY);
	ereport(LOG,
			(errmsg("message of a foreign server: %s: %s",
					severity == NULL ? "" : severity, message == NULL ? "" : message)));
	RESUME_INTERRUPTS();
}

static bool
find_room(void)
{
	if (!is_room())
		close_unused();
	return is_room() && AcquireExternalFD();
}

/* Called before their options are read, so that whatever is altered meanwhile is heard of. */
static void
remember_origin(ek_connection *connection)
{
	const ForeignServer *server = GetForeignServer(connection->key.server);

	connection->mapping = GetUserMapping(connection->key.role, server->serverid)->umid;
	connection->wrapper_hash = GetSysCacheHashValue1(FOREIGNDATAWRAPPEROID, ObjectIdGetDatum(server->fdwid));
	connection->server_hash = GetSysCacheHashValue1(FOREIGNSERVEROID, ObjectIdGetDatum(server->serverid));
	connection->mapping_hash = GetSysCacheHashValue1(USERMAPPINGOID, ObjectIdGetDatum(connection->mapping));
	connection->outdated = false;
}

static libpq_options
read_options(const ek_connection *connection)
{
	const ForeignServer *server = GetForeignServer(connection->key.server);
	const UserMapping *mapping = GetUserMapping(connection->key.role, server->serverid);

	return options_of(GetForeignDataWrapper(server->fdwid)->options, server->options, mapping->options);
}

void
ek_connection_start(ek_connection *connection)
{
	libpq_options options;
	const char *password;

	ek_connection_close(connection);
	remember_origin(connection);
	options = read_options(connection);
	password = find_option(&options, "password");
	require_password(password != NULL, "The user mapping has none.",
					 "Set the option \"password\" of the user mapping.");
	connection->deadline = deadline_of(&options);
	connection->polling = PGRES_POLLING_FAILED;
	if (!find_room())
		return;
	connection->libpq = PQconnectStartParams(options.keywords, options.values, 0);
	if (connection->libpq == NULL)
	{
		ReleaseExternalFD();
		raise_out_of_memory();
	}
	PQsetNoticeReceiver(connection->libpq, log_notice, connection);
	if (PQstatus(connection->libpq) != CONNECTION_BAD)
		connection->polling = PGRES_POLLING_WRITING;
	connection->had_password = false;
	connection->notices = 0;
	connection->name = random_name();
}

TimestampTz
ek_connection_deadline(const ek_connection *connection)
{
	return connection->deadline;
}

/* Without the end of its line */
static const char *
message_of(const ek_connection *connection)
{
	char	   *message;

	if (connection->libpq == NULL)
		return "there are too many open files (max_files_per_process, \"ulimit -n\")";
	message = copy_text(pchomp(PQerrorMessage(connection->libpq)));
	return message[0] == '\0' ? "connection to the server was lost" : message;
}

static ek_progress
lose(const ek_connection *connection, int sqlstate, ek_reply *reply)
{
	*reply = (ek_reply)
	{
		.sqlstate = sqlstate,
			.message = message_of(connection)
	};
	return EK_LOST;
}

ek_progress
ek_connection_poll(ek_connection *connection, ek_reply *reply)
{
	if (connection->polling != PGRES_POLLING_FAILED)
		connection->polling = PQconnectPoll(connection->libpq);
	if (connection->polling == PGRES_POLLING_FAILED)
	{
		(void) lose(connection, ERRCODE_SQLCLIENT_UNABLE_TO_ESTABLISH_SQLCONNECTION, reply);
		reply->message = psprintf("could not establish connection: %s", reply->message);
		return EK_LOST;
	}
	if (connection->polling != PGRES_POLLING_OK)
		return EK_WAITS;
	connection->had_password = PQconnectionUsedPassword(connection->libpq);
	require_password(connection->had_password, "The server did not ask for one.",
					 "The server's authentication method must be one with a password.");
	if (PQsetnonblocking(connection->libpq, 1) != 0 || PQenterPipelineMode(connection->libpq) != 1)
		return lose(connection, ERRCODE_CONNECTION_FAILURE, reply);
	return EK_CONNECTED;
}

/*
 * Questions
 */

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

static bool
is_to_be_kept(const char *statement)
{
	return strlen(statement) <= MAX_PREPARED_LENGTH;
}

/* When no more can be prepared, it is time for a new connection. */
bool
ek_connection_is_ready_for(const ek_connection *connection, const char *statement)
{
	return connection->libpq != NULL &&
		(connection->prepared_count < MAX_PREPARED || !is_to_be_kept(statement) ||
		 find_prepared(connection, statement) >= 0);
}

static bool
send_sync(ek_connection *connection)
{
	connection->syncs++;
	return PQpipelineSync(connection->libpq) == 1;
}

static bool
send_first_statements(ek_connection *connection)
{
	for (size_t i = 0; i < lengthof(first_statements); i++)
	{
		if (PQsendQueryParams(connection->libpq, first_statements[i], 0, NULL, NULL, NULL, NULL, 0) != 1)
			return false;
	}
	connection->is_set_up = true;
	return send_sync(connection);
}

/* It counts from now on: if it fails, the connection is closed, and all is forgotten. */
static bool
send_prepare(ek_connection *connection, const char *name, const char *statement)
{
	if (is_to_be_kept(statement))
	{
		connection->prepared[connection->prepared_count] = MemoryContextStrdup(TopMemoryContext, statement);
		connection->prepared_count++;
	}
	return PQsendPrepare(connection->libpq, name, statement, 0, NULL) == 1;
}

static bool
send_all(ek_connection *connection, const char *statement, char *const *values, int count)
{
	const int	prepared = find_prepared(connection, statement);
	const char *name = !is_to_be_kept(statement) ? NO_NAME :
		psprintf("engramk_" UINT64_FORMAT "_%d", connection->name,
				 prepared >= 0 ? prepared : connection->prepared_count);

	if (!connection->is_set_up && !send_first_statements(connection))
		return false;
	if (prepared < 0 && !send_prepare(connection, name, statement))
		return false;
	return PQsendQueryPrepared(connection->libpq, name, count, (const char *const *) values,
							   NULL, NULL, 0) == 1 &&
		send_sync(connection);
}

/* What could not be sent yet goes when the socket is ready for it. */
ek_progress
ek_connection_send(ek_connection *connection, const char *statement, char *const *values, int count,
				   ek_reply *reply)
{
	connection->has_answered = false;
	connection->notices = 0;
	if (send_all(connection, statement, values, count))
		return EK_WAITS;
	return lose(connection, ERRCODE_CONNECTION_FAILURE, reply);
}

int
ek_connection_events(ek_connection *connection)
{
	switch (connection->polling)
	{
		case PGRES_POLLING_WRITING:
			return WL_SOCKET_CONNECTED;
		case PGRES_POLLING_OK:
			return PQflush(connection->libpq) == 1 ?
				WL_SOCKET_READABLE | WL_SOCKET_WRITEABLE : WL_SOCKET_READABLE;
		default:
			return WL_SOCKET_READABLE;
	}
}

pgsocket
ek_connection_socket(const ek_connection *connection)
{
	return PQsocket(connection->libpq);
}

/* What has been decrypted and not been taken. */
bool
ek_connection_hides(const ek_connection *connection)
{
	return PQsslInUse(connection->libpq) || PQgssEncInUse(connection->libpq);
}

/*
 * Answers
 */

/* What ended the server's session, or came from libpq itself, is no error of the statement. */
static ek_progress
take_error(const ek_connection *connection, PGresult *result, ek_reply *reply)
{
	const char *severity = PQresultErrorField(result, PG_DIAG_SEVERITY_NONLOCALIZED);
	const char *code = PQresultErrorField(result, PG_DIAG_SQLSTATE);
	const bool	is_from_server = severity != NULL && code != NULL && strlen(code) == 5;
	const bool	ended = is_from_server && strcmp(severity, "ERROR") != 0;

	if (!is_from_server)
	{
		PQclear(result);
		return lose(connection, ERRCODE_CONNECTION_FAILURE, reply);
	}
	*reply = (ek_reply)
	{
		.sqlstate = MAKE_SQLSTATE(code[0], code[1], code[2], code[3], code[4]),
			.message = copy_field(result, PG_DIAG_MESSAGE_PRIMARY),
			.detail = copy_field(result, PG_DIAG_MESSAGE_DETAIL),
			.hint = copy_field(result, PG_DIAG_MESSAGE_HINT),
			.context = copy_field(result, PG_DIAG_CONTEXT)
	};
	PQclear(result);
	if (reply->message == NULL)
		reply->message = "the server said no more";
	return ended ? EK_LOST : EK_ERROR;
}

static bool
read_input(const ek_connection *connection)
{
	const int	turns = ek_connection_hides(connection) ? TURNS_TO_READ : 1;
	bool		is_alive = true;

	for (int i = 0; i < turns && is_alive; i++)
		is_alive = PQconsumeInput(connection->libpq) == 1;
	return is_alive;
}

/* A server that speaks the protocol has said which rows there are. */
static ek_progress
end(const ek_connection *connection, ek_reply *reply)
{
	if (connection->has_answered)
		return EK_END;
	*reply = (ek_reply)
	{
		.sqlstate = ERRCODE_CONNECTION_FAILURE,
			.message = "the server gave no result"
	};
	return EK_LOST;
}

static ek_progress
take_results(ek_connection *connection, PGresult **rows, ek_reply *reply)
{
	bool		was_null = false;

	while (!PQisBusy(connection->libpq))
	{
		PGresult   *result = PQgetResult(connection->libpq);

		if (result == NULL)
		{
			if (was_null)
				return lose(connection, ERRCODE_CONNECTION_FAILURE, reply);
			was_null = true;
			continue;
		}
		was_null = false;
		switch (PQresultStatus(result))
		{
			case PGRES_TUPLES_OK:
				connection->has_answered = true;
				*rows = result;
				return EK_ROWS;
			case PGRES_COMMAND_OK:
				PQclear(result);
				break;
			case PGRES_PIPELINE_SYNC:
				PQclear(result);
				if (--connection->syncs == 0)
					return end(connection, reply);
				break;
			default:
				return take_error(connection, result, reply);
		}
	}
	return EK_WAITS;
}

/*
 * Of what a connection has brought before it was lost, the last may be the reason; what
 * libpq says of that says more than what it says afterwards.
 */
ek_progress
ek_connection_receive(ek_connection *connection, PGresult **rows, ek_reply *reply)
{
	const bool	is_alive = read_input(connection);
	const char *why = is_alive ? NULL : message_of(connection);
	ek_progress progress = take_results(connection, rows, reply);

	if (is_alive)
		return progress;
	if (progress == EK_WAITS)
		progress = lose(connection, ERRCODE_CONNECTION_FAILURE, reply);
	if (progress == EK_LOST && reply->sqlstate == ERRCODE_CONNECTION_FAILURE)
		reply->message = why;
	return progress;
}
