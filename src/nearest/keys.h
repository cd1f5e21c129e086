/*
 * keys.h
 *		What queries and targets are joined by: which queries have the key of a target.
 */
#ifndef EK_KEYS_H
#define EK_KEYS_H

#include "nearest/queries.h"

typedef struct ek_keys ek_keys;

/*
 * For keys of one type, in the current memory context.  Raises an error if the type
 * cannot be hashed.
 */
extern ek_keys *ek_keys_create(Oid type, Oid collation);

/* What each query takes at most, its key not included. */
#define EK_SIZE_OF_KEY_ENTRY	64

/* The next query, counted from 0, has this key, which is copied. */
extern void ek_keys_add(ek_keys *keys, Datum key);

/*
 * Where each query goes so that those of one key are beside each other: as they came,
 * and keys in the order of their first query.  After that nothing is added.
 */
extern int *ek_keys_sort(ek_keys *keys);

/* Once sorted: the queries of this key, of which there may be none. */
extern ek_range ek_keys_find(const ek_keys *keys, Datum key);

#endif							/* EK_KEYS_H */
