/*
 * connection.h
 *		A session's connections to foreign servers, by dblink.
 *
 * server: a foreign server, whose user mapping has the password.  A session keeps the
 * connections that it made by its own rights, one for each server, until a server or a user
 * mapping is altered.  What waits for a server, and cannot be interrupted, is dblink's: the
 * making of a connection, before PostgreSQL 16 (the server's "connect_timeout" limits it),
 * and sending more than the system buffers to a server that does not read.
 *
 * A connection is closed to cancel what it runs: the server looks for that five times a
 * second.  Unlike a request to cancel, that cannot hang either.
 */
#ifndef EK_CONNECTION_H
#define EK_CONNECTION_H

#include "executor/spi.h"
#include "fmgr.h"

#include "nearest/matches.h"

/* dblink's functions, with the caller's rights; for the length of a call. */
typedef struct ek_dblink
{
	FmgrInfo	connect;
	FmgrInfo	disconnect;
	FmgrInfo	send_query;
	FmgrInfo	is_busy;
	FmgrInfo	error_message;
	SPIPlanPtr	get_status;
	SPIPlanPtr	get_rows;
} ek_dblink;

typedef struct ek_connection ek_connection;

/*
 * Raises an error if there is no dblink, or the user may not use it.  Rows will be (id,
 * distance), with ids of this type.
 */
extern ek_dblink ek_dblink_find(ek_id_type ids);

/* What the session has of a server and this role, connected or not. */
extern ek_connection *ek_connection_of(Oid server);

/* May connections of this call stay, for later ones?  Else they must be closed at its end. */
extern bool ek_connection_may_stay(void);

/* Those whose servers or user mappings may have been altered, or dropped. */
extern void ek_connections_close_outdated(ek_dblink *dblink);
extern bool ek_connection_is_open(const ek_connection *connection);

/* Raises an error of class 08 if the server cannot be reached. */
extern void ek_connection_open(ek_dblink *dblink, ek_connection *connection, const char *server);
/* Does nothing if it is closed already.  Not while an error is being handled. */
extern void ek_connection_close(ek_dblink *dblink, ek_connection *connection);

/*
 * Sends a statement with values for its parameters, whose types are those that it wants;
 * NULL is a null.  Returns how many results without rows come before its own, or -1 if
 * the connection is lost.  Then one result at a time can be taken, when it is not busy.
 */
extern int	ek_connection_send(ek_dblink *dblink, ek_connection *connection, const char *statement,
							   char *const *values, int count);
extern bool ek_connection_is_busy(ek_dblink *dblink, const ek_connection *connection);

/* Has nothing gone wrong with it, nor with what it ran last? */
extern bool ek_connection_is_sound(ek_dblink *dblink, const ek_connection *connection);
extern void ek_connection_take_status(ek_dblink *dblink, const ek_connection *connection);

/* The rows of a statement are in SPI_tuptable; after them there are none once more. */
extern void ek_connection_take_rows(ek_dblink *dblink, const ek_connection *connection);

/* What was sent has been prepared at the server, and so it is from now on. */
extern void ek_connection_keep_prepared(ek_connection *connection);

#endif							/* EK_CONNECTION_H */
