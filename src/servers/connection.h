/*
 * connection.h
 *		A session's connections to foreign servers, by libpq.
 *
 * server: a foreign server, whose options say where it is; the role's user mapping has the
 * password.  A session keeps one connection for each server and role, for later calls of
 * that role, until one of these is altered, or there is no room for another.
 *
 * Nothing here waits: who has asked for something waits until the socket is ready for
 * ek_connection_events(), and goes on by ek_connection_poll() or ek_connection_receive().
 * Only a host's name is looked up at once.
 *
 * A connection is closed to cancel what it runs: the server looks for that five times a
 * second.  Unlike a request to cancel, that cannot hang.
 */
#ifndef EK_CONNECTION_H
#define EK_CONNECTION_H

#include "libpq-fe.h"
#include "datatype/timestamp.h"

typedef struct ek_connection ek_connection;

typedef enum ek_progress
{
	EK_WAITS,
	EK_CONNECTED,				/* and was asked nothing yet */
	EK_ROWS,					/* of the statement, and its end is to come */
	EK_END,
	EK_ERROR,					/* the statement's */
	EK_LOST						/* the connection, or there was none */
} ek_progress;

/* What a server says that is no row; in the current memory context. */
typedef struct ek_reply
{
	int			sqlstate;
	const char *message;
	const char *detail;			/* this and the others may be NULL */
	const char *hint;
	const char *context;
} ek_reply;

/*
 * Before a call looks at servers: from now on it sees what others have altered, and those
 * connections are closed that it concerns.
 */
extern void ek_connections_begin_call(void);

/*
 * What the session has of a server and this role, connected or not.  Raises an error
 * unless the role may use the server and has a user mapping.
 */
extern ek_connection *ek_connection_of(Oid server);

/* Is it connected, so that this statement can be sent? */
extern bool ek_connection_is_ready_for(const ek_connection *connection, const char *statement);

/*
 * Begins to connect anew, by the server's options and the user mapping's.  Raises an error
 * if there is no user mapping, or none with a password for those who are no superusers.
 * ek_connection_poll() gives EK_WAITS, EK_CONNECTED or EK_LOST, or raises an error if the
 * server wanted no password.  At the deadline, it is up to the caller to give up.  Without
 * a socket, it has failed already.
 */
extern void ek_connection_start(ek_connection *connection);
extern ek_progress ek_connection_poll(ek_connection *connection, ek_reply *reply);
extern TimestampTz ek_connection_deadline(const ek_connection *connection);

/* Does nothing if it is closed already. */
extern void ek_connection_close(ek_connection *connection);

/*
 * Sends a statement with values for its parameters, whose types are those that it wants;
 * NULL is a null.  The answer is EK_ROWS, to be released by PQclear(), and then EK_END;
 * or EK_ERROR or EK_LOST, after which the connection is to be closed.
 */
extern ek_progress ek_connection_send(ek_connection *connection, const char *statement,
									  char *const *values, int count, ek_reply *reply);
extern ek_progress ek_connection_receive(ek_connection *connection, PGresult **rows, ek_reply *reply);

/*
 * WL_SOCKET_READABLE, WL_SOCKET_WRITEABLE: what it waits for.  Sends what it can, after
 * which there may be no socket any more.
 */
extern int	ek_connection_events(ek_connection *connection);
extern pgsocket ek_connection_socket(const ek_connection *connection);

/* May there be something to receive that the socket does not show? */
extern bool ek_connection_hides(const ek_connection *connection);

#endif							/* EK_CONNECTION_H */
