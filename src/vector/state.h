/*
 * state.h
 *		The states of aggregates as bytes, between the processes of one query.
 *
 * state: what an aggregate has taken from rows so far.  It travels from
 * parallel workers to their leader, or between nodes.
 *
 * Another process may have another version of this library: a session that began
 * before an update keeps the older one, and its parallel workers load the newer.
 * So each format is that of the aggregate's first version, to the byte, and stays.
 * Integers and distances are in network order; sums of vectors lie as they do in
 * memory, which is little-endian wherever engramk runs.
 */
#ifndef EK_STATE_H
#define EK_STATE_H

#include "fmgr.h"
#include "lib/stringinfo.h"

typedef enum ek_aggregate
{
	EK_AGGREGATE_NEAREST,
	EK_AGGREGATE_NEAREST_MERGE,
	EK_AGGREGATE_SUM			/* of engram_sum and engram_avg */
} ek_aggregate;

/* Where its states live: raises an error unless an aggregate calls. */
extern MemoryContext ek_state_context(FunctionCallInfo fcinfo, ek_aggregate aggregate);

/* A state that is being read. */
typedef struct ek_state_reader
{
	ek_aggregate aggregate;
	StringInfoData bytes;
} ek_state_reader;

/*
 * Begins a state of `size` bytes, to be written by pq_send... and finished by
 * pq_endtypsend().  Raises an error if a datum cannot be so large.
 */
extern StringInfoData ek_state_begin(ek_aggregate aggregate, Size size);

/*
 * The bytes can be anything: PostgreSQL lets only its own aggregates call what
 * reads them, but extensions that distribute queries may let everybody.  So
 * every function raises an error where they are no state, or there are too few.
 * They are read where they are.
 */
extern ek_state_reader ek_state_open(ek_aggregate aggregate, const bytea *bytes);
extern int32 ek_state_read_int32(ek_state_reader *reader);
extern int64 ek_state_read_int64(ek_state_reader *reader);
extern double ek_state_read_finite(ek_state_reader *reader);
extern void ek_state_read_bytes(ek_state_reader *reader, void *bytes, Size size);

/* How many are left: to look at before there is memory for what they say. */
extern Size ek_state_left(const ek_state_reader *reader);

/* Raises an error if there are bytes left. */
extern void ek_state_close(const ek_state_reader *reader);

/* Raises an error unless what should hold of a state does. */
extern void ek_state_require(ek_aggregate aggregate, bool holds);

#endif							/* EK_STATE_H */
