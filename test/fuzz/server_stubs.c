/*
 * server_stubs.c
 *		As much of a PostgreSQL server as what is fuzzed calls: memory, errors
 *		and arrays.
 *
 * Memory comes from malloc, so that the address sanitizer watches every
 * block.  Detoasting is the server's business and not tried here, but for
 * short headers.
 */
#include "postgres.h"

#include <stdlib.h>

#include "fmgr.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/expandeddatum.h"
#include "utils/memutils.h"

#include "base/stats.h"
#include "server_stubs.h"

/* the server's own needs the rest of the server */
#undef vsnprintf

#define MAX_BLOCKS	16384

volatile sig_atomic_t InterruptPending = false;
MemoryContext CurrentMemoryContext = NULL;
raised_error last_error;
sigjmp_buf	error_handler;

static struct
{
	void	   *memory;
	Size		size;
}			blocks[MAX_BLOCKS];
static int	block_count = 0;

void *
palloc(Size size)
{
	void	   *memory = malloc(size);

	if (memory == NULL || block_count == MAX_BLOCKS)
		abort();
	blocks[block_count].memory = memory;
	blocks[block_count].size = size;
	block_count++;
	return memory;
}

void *
palloc0(Size size)
{
	return memset(palloc(size), 0, size);
}

void *
MemoryContextAllocHuge(MemoryContext context, Size size)
{
	return palloc(size);
}

void *
MemoryContextAllocExtended(MemoryContext context, Size size, int flags)
{
	return (flags & MCXT_ALLOC_ZERO) != 0 ? palloc0(size) : palloc(size);
}

void *
repalloc_huge(void *pointer, Size size)
{
	int			block = block_count - 1;

	while (blocks[block].memory != pointer)
		block--;
	blocks[block].memory = realloc(pointer, size);
	if (blocks[block].memory == NULL)
		abort();
	blocks[block].size = size;
	return blocks[block].memory;
}

Size
palloced_bytes(void)
{
	Size		bytes = 0;

	for (int i = 0; i < block_count; i++)
		bytes += blocks[i].size;
	return bytes;
}

void
ek_stats_count_error(ek_error_kind kind pg_attribute_unused())
{
}

void
free_palloced(void)
{
	while (block_count > 0)
		free(blocks[--block_count].memory);
}

#if PG_VERSION_NUM >= 160000
void
ExceptionalCondition(const char *conditionName, const char *fileName,
					 int lineNumber)
#else
void
ExceptionalCondition(const char *conditionName, const char *errorType,
					 const char *fileName, int lineNumber)
#endif
{
	abort();
}

bool
errstart(int elevel, const char *domain)
{
	memset(&last_error, 0, sizeof(last_error));
	return true;
}

bool
errstart_cold(int elevel, const char *domain)
{
	return errstart(elevel, domain);
}

int
errcode(int sqlerrcode)
{
	last_error.sqlstate = sqlerrcode;
	return 0;
}

static void
format(char *to, size_t size, const char *fmt, va_list arguments)
{
	int			length = vsnprintf(to, size, fmt, arguments);

	if (length < 0 || (size_t) length >= size)
		abort();
}

int
errmsg(const char *fmt,...)
{
	va_list		arguments;

	va_start(arguments, fmt);
	format(last_error.message, sizeof(last_error.message), fmt, arguments);
	va_end(arguments);
	return 0;
}

int
errdetail(const char *fmt,...)
{
	va_list		arguments;

	va_start(arguments, fmt);
	format(last_error.detail, sizeof(last_error.detail), fmt, arguments);
	va_end(arguments);
	return 0;
}

void
errfinish(const char *filename, int lineno, const char *funcname)
{
	siglongjmp(error_handler, 1);
}

bool
array_contains_nulls(ArrayType *array)
{
	const bits8 *bitmap = ARR_NULLBITMAP(array);
	int			count = 1;

	for (int d = 0; d < ARR_NDIM(array); d++)
		count *= ARR_DIMS(array)[d];
	for (int i = 0; bitmap != NULL && i < count; i++)
		if ((bitmap[i / 8] >> i % 8 & 1) == 0)
			return true;
	return false;
}

static AnyArrayType *
with_long_header(Pointer array)
{
	const Size	size = VARSIZE_SHORT(array) - VARHDRSZ_SHORT;
	char	   *copy = palloc(size + VARHDRSZ);

	SET_VARSIZE(copy, size + VARHDRSZ);
	memcpy(VARDATA(copy), VARDATA_SHORT(array), size);
	return (AnyArrayType *) copy;
}

AnyArrayType *
DatumGetAnyArrayP(Datum datum)
{
	Pointer		array = DatumGetPointer(datum);

	if (VARATT_IS_EXTERNAL_EXPANDED(array))
	{
		varatt_expanded pointer;

		memcpy(&pointer, VARDATA_EXTERNAL(array), sizeof(pointer));
		return (AnyArrayType *) pointer.eohptr;
	}
	if (VARATT_IS_SHORT(array))
		return with_long_header(array);
	return (AnyArrayType *) array;
}
