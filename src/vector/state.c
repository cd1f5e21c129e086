/*
 * state.c
 *		The states of aggregates as bytes, between the processes of one query.
 */
#include "postgres.h"

#include <math.h>

#include "libpq/pqformat.h"
#include "utils/memutils.h"

#include "base/compat.h"
#include "base/stats.h"
#include "vector/state.h"

#ifdef WORDS_BIGENDIAN
#error "states of engram_sum are little-endian"
#endif

/* It travels in a row, whose header and other columns need some room. */
#define MAX_SIZE	(MaxAllocSize - 65536)

static const char *const names[] = {
	[EK_AGGREGATE_NEAREST] = "engram_nearest",
	[EK_AGGREGATE_NEAREST_MERGE] = "engram_nearest_merge",
	[EK_AGGREGATE_SUM] = "engram_sum"
};

MemoryContext
ek_state_context(FunctionCallInfo fcinfo, ek_aggregate aggregate)
{
	MemoryContext context;

	if (!AggCheckCallContext(fcinfo, &context))
		elog(ERROR, "%s was called in a context that is not of an aggregate", names[aggregate]);
	return context;
}

StringInfoData
ek_state_begin(ek_aggregate aggregate, Size size)
{
	StringInfoData bytes;

	if (size > MAX_SIZE)
	{
		ek_stats_count_error(EK_ERROR_OTHER);
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("state of %s cannot be passed between processes, since it takes %zu bytes",
						names[aggregate], size),
				 errhint("Set \"max_parallel_workers_per_gather\" to 0 for this query.")));
	}
	pq_begintypsend(&bytes);
	enlargeStringInfo(&bytes, (int) size);
	return bytes;
}

void
ek_state_require(ek_aggregate aggregate, bool holds)
{
	if (likely(holds))
		return;
	ek_stats_count_error(EK_ERROR_OTHER);
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
			 errmsg("invalid state of %s", names[aggregate])));
}

ek_state_reader
ek_state_open(ek_aggregate aggregate, const bytea *bytes)
{
	const int	size = (int) VARSIZE_ANY_EXHDR(bytes);

	return (ek_state_reader)
	{
		.aggregate = aggregate,
			.bytes = {.data = (char *) VARDATA_ANY(bytes),.len = size,.maxlen = size}
	};
}

Size
ek_state_left(const ek_state_reader *reader)
{
	return (Size) (reader->bytes.len - reader->bytes.cursor);
}

static void
require_left(const ek_state_reader *reader, Size size)
{
	ek_state_require(reader->aggregate, ek_state_left(reader) >= size);
}

int32
ek_state_read_int32(ek_state_reader *reader)
{
	require_left(reader, sizeof(int32));
	return (int32) pq_getmsgint(&reader->bytes, 4);
}

int64
ek_state_read_int64(ek_state_reader *reader)
{
	require_left(reader, sizeof(int64));
	return pq_getmsgint64(&reader->bytes);
}

double
ek_state_read_finite(ek_state_reader *reader)
{
	double		number;

	require_left(reader, sizeof(double));
	number = pq_getmsgfloat8(&reader->bytes);
	ek_state_require(reader->aggregate, isfinite(number));
	return number;
}

void
ek_state_read_bytes(ek_state_reader *reader, void *bytes, Size size)
{
	require_left(reader, size);
	pq_copymsgbytes(&reader->bytes, bytes, (int) size);
}

void
ek_state_close(const ek_state_reader *reader)
{
	ek_state_require(reader->aggregate, ek_state_left(reader) == 0);
}
