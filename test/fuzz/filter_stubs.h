/*
 * filter_stubs.h
 *		As much of a PostgreSQL server as filter columns call: an index with three of
 *		them, an integer, a bigint, and one that has a hash; and arrays of values.
 */
#ifndef FILTER_STUBS_H
#define FILTER_STUBS_H

#include "postgres.h"

#include "utils/array.h"
#include "utils/rel.h"

#define FILTERS		3
#define MOST_ELEMENTS	16

/* Has a hash, and no number.  Of eight bytes, to make it simple. */
#define HASHED_TYPE		((Oid) 1)

/* What stands for an array. */
typedef struct element_array
{
	ArrayType	header;
	int			count;
	Datum		values[MOST_ELEMENTS];
	bool		nulls[MOST_ELEMENTS];
} element_array;

extern RelationData *make_index(void);
extern Datum to_datum(Oid type, int64 value);
/* With many that are equal. */
extern uint32 hash_of_value(int64 value);

#endif							/* FILTER_STUBS_H */
