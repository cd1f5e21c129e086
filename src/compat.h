/*
 * compat.h
 *		What PostgreSQL 14 to 18 spell differently.
 */
#ifndef EK_COMPAT_H
#define EK_COMPAT_H

/* 18 has pg_noreturn, and no longer pg_attribute_noreturn() */
#ifndef pg_noreturn
#define pg_noreturn __attribute__((noreturn))
#endif

#endif							/* EK_COMPAT_H */
