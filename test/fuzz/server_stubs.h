/*
 * server_stubs.h
 *		As much of a PostgreSQL server as what is fuzzed calls.
 */
#ifndef SERVER_STUBS_H
#define SERVER_STUBS_H

#include <setjmp.h>

/* The last error: its SQLSTATE as errcode() packs it, and its detail. */
typedef struct raised_error
{
	int			sqlstate;
	char		message[256];
	char		detail[256];
} raised_error;

extern raised_error last_error;

/* Where an error jumps to. */
extern sigjmp_buf error_handler;

/* Frees what was palloc'd since the last call. */
extern void free_palloced(void);

/* How many bytes that is. */
extern Size palloced_bytes(void);

#endif							/* SERVER_STUBS_H */
