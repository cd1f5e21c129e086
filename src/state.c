/*
 * state.c
 *		The states of aggregates as bytes, between the processes of one query.
 *
 * The formats of 1.0 to 1.3 had no number, and began with a count that was
 * never negative.  A number that an older library takes for a negative count
 * makes it find bytes left over, which it refuses.
 */
#include "postgres.h"

#include <math.h>

#include "libpq/pqformat.h"
#include "utils/memutils.h"

#include "compat.h"
#include "state.h"
#include "stats.h"

/* The format that is written, and the only one that is read. */
#define FORMAT	2

/* It travels in a row, whose header and other columns need some room. */
#define MAX_SIZE	(MaxAllocSize - 65536)

/* In the upper half of the first number; the format is in the lower. */
static const uint16 magic[] = {
	[EK_AGGREGATE_NEAREST] = 0xE64E,
	[EK_AGGREGATE_SUM] = 0xE653
};

static const char *const names[] = {
	[EK_AGGREGATE_NEAREST] = "engram_nearest",
	[EK_AGGREGATE_SUM] = "engram_sum"
};

StringInfoData
ek_state_begin(ek_aggregate aggregate, Size size)
{
	const Size	head = sizeof(uint32);
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
	enlargeStringInfo(&bytes, (int) (head + size));
	pq_sendint32(&bytes, (uint32) magic[aggregate] << 16 | FORMAT);
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

pg_noreturn static void raise_other_format(ek_aggregate aggregate, int format);

static void
raise_other_format(ek_aggregate aggregate, int format)
{
	ek_stats_count_error(EK_ERROR_OTHER);
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("state of %s has format %d, but this library knows format %d",
					names[aggregate], format, FORMAT),
			 errhint("All processes of a query must have loaded the same version of engramk.")));
}

/* A state of 1.3 begins with zeros, unless it is of a great many queries. */
static void
check_head(ek_aggregate aggregate, uint32 head)
{
	if (head >> 16 == 0)
		raise_other_format(aggregate, 1);
	ek_state_require(aggregate, head >> 16 == magic[aggregate]);
	if ((head & 0xffff) != FORMAT)
		raise_other_format(aggregate, (int) (head & 0xffff));
}

ek_state_reader
ek_state_open(ek_aggregate aggregate, const bytea *bytes)
{
	const int	size = (int) VARSIZE_ANY_EXHDR(bytes);
	ek_state_reader reader = {
		.aggregate = aggregate,
		.bytes = {.data = (char *) VARDATA_ANY(bytes),.len = size,.maxlen = size}
	};

	check_head(aggregate, (uint32) ek_state_read_int32(&reader));
	return reader;
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
ek_state_close(const ek_state_reader *reader)
{
	ek_state_require(reader->aggregate, ek_state_left(reader) == 0);
}
