/*
 * matches.h
 *		Neighbours as SQL sees them: arrays of engram_match or engram_uuid_match.
 *
 * match: a row (query, id, distance), whose query is counted from 1.
 */
#ifndef EK_MATCHES_H
#define EK_MATCHES_H

#include "fmgr.h"
#include "access/tupdesc.h"
#include "utils/array.h"
#include "utils/uuid.h"

#include "nearest/neighbours.h"
#include "vector/state.h"

typedef enum ek_id_type
{
	EK_ID_BIGINT,
	EK_ID_UUID
} ek_id_type;

/* An array of matches that is being written. */
typedef struct ek_matches
{
	ek_aggregate aggregate;
	ek_id_type	ids;
	TupleDesc	columns;
	Size		size_of_match;
	ArrayType  *array;
	char	   *next;
} ek_matches;

extern ek_id ek_id_of_datum(ek_id_type ids, Datum datum);
/* A uuid is put into `uuid`. */
extern Datum ek_datum_of_id(ek_id_type ids, ek_id id, pg_uuid_t *uuid);

/*
 * The columns of a type that an owner can alter: raises an error unless they are those
 * of a match.  To be released.
 */
extern TupleDesc ek_match_columns(Oid type, ek_id_type ids);

/*
 * The array that this function of an aggregate returns, with room for `count` matches, in
 * the current memory context.  Raises an error if an array cannot hold them.
 */
extern ek_matches ek_matches_begin(FunctionCallInfo fcinfo, ek_aggregate aggregate,
								   ek_id_type ids, int64 count);

/* Raises an error if it is a uuid's and should be a bigint's: a state has no word for it. */
extern void ek_matches_put(ek_matches *matches, int query, const ek_neighbour *neighbour);

extern Datum ek_matches_end(ek_matches *matches);

#endif							/* EK_MATCHES_H */
