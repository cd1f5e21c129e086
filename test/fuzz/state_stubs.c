/*
 * state_stubs.c
 *		As much of a PostgreSQL server as the reading and writing of states calls.
 *
 * What it does not call is missing: fuzz_state is linked without it, and would
 * end at once if it were called.
 */
#include "postgres.h"

#include "fmgr.h"
#include "libpq/pqformat.h"
#include "port/pg_bswap.h"
#include "utils/memutils.h"

#include "base/scratch.h"
#include "server_stubs.h"

int
AggCheckCallContext(FunctionCallInfo fcinfo, MemoryContext *context)
{
	*context = NULL;
	return AGG_CONTEXT_AGGREGATE;
}

struct varlena *
pg_detoast_datum_packed(struct varlena *datum)
{
	return datum;
}

void *
MemoryContextAllocZero(MemoryContext context, Size size)
{
	return palloc0(size);
}

Size
ek_scratch_size(void)
{
	return (Size) 1024 * 1024 * 1024;
}

void
ek_budget_count(Size used, bool exceeded)
{
}

int
errhint(const char *fmt,...)
{
	return 0;
}

/* Enough for what is sent; what is more overflows it, and is found out. */
void
enlargeStringInfo(StringInfo bytes, int needed)
{
	char	   *data;

	if (bytes->len + needed < bytes->maxlen)
		return;
	data = palloc((Size) bytes->len + needed + 1);
	memcpy(data, bytes->data, bytes->len);
	bytes->data = data;
	bytes->maxlen = bytes->len + needed + 1;
}

void
pq_begintypsend(StringInfo bytes)
{
	bytes->maxlen = VARHDRSZ + 1;
	bytes->data = palloc(bytes->maxlen);
	bytes->len = VARHDRSZ;
	bytes->cursor = 0;
}

bytea *
pq_endtypsend(StringInfo bytes)
{
	SET_VARSIZE(bytes->data, bytes->len);
	return (bytea *) bytes->data;
}

void
pq_sendfloat8(StringInfo bytes, float8 number)
{
	uint64		bits;

	memcpy(&bits, &number, sizeof(bits));
	pq_sendint64(bytes, bits);
}

/* Into the room that was asked for. */
void
pq_sendbytes(StringInfo bytes, const char *data, int size)
{
	if (size > bytes->maxlen - bytes->len)
		abort();
	memcpy(bytes->data + bytes->len, data, size);
	bytes->len += size;
}

/* The server raises an error; here somebody has not looked before. */
static const char *
take(StringInfo bytes, int size)
{
	if (size > bytes->len - bytes->cursor)
		abort();
	bytes->cursor += size;
	return bytes->data + bytes->cursor - size;
}

unsigned int
pq_getmsgint(StringInfo bytes, int size)
{
	uint32		number;

	if (size != sizeof(number))
		abort();
	memcpy(&number, take(bytes, sizeof(number)), sizeof(number));
	return pg_ntoh32(number);
}

void
pq_copymsgbytes(StringInfo bytes, char *data, int size)
{
	memcpy(data, take(bytes, size), size);
}

int64
pq_getmsgint64(StringInfo bytes)
{
	uint64		number;

	memcpy(&number, take(bytes, sizeof(number)), sizeof(number));
	return (int64) pg_ntoh64(number);
}

float8
pq_getmsgfloat8(StringInfo bytes)
{
	uint64		bits = (uint64) pq_getmsgint64(bytes);
	float8		number;

	memcpy(&number, &bits, sizeof(number));
	return number;
}
