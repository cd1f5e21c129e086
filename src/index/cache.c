/*
 * cache.c
 *		What a backend keeps of an index, with its relation: the metapage, the basis,
 *		where pages were when it last read them, and which it has seen sound.
 *
 * Metapage and basis do not change once the number of dimensions is known, but
 * for the numbers of entries, which whoever needs them reads anew.  REINDEX makes
 * a new relation file, which throws the cache away.
 *
 * Looking a page up in the table of buffers was a fifth of the time of a pass.
 * A page is nearly always where it was, and ReadRecentBuffer finds out without
 * the table.
 */
#include "postgres.h"

#include <math.h>

#include "pgstat.h"
#include "storage/buf_internals.h"
#include "utils/memutils.h"

#include "index/index.h"

/* The bits of an element of pages: a buffer's number, 0 if unknown, and */
#define PAGE_VERIFIED	((uint32) 1 << 31)

/*
 * A buffer that is found without the table does not become more popular by it,
 * so the pages that are read most would be the first to go.  One in so many
 * visits is made the usual way.
 */
#define VISITS_TO_REFRESH	64

static bool
is_usable(const ek_coordinate *c)
{
	return isfinite(c->mean) && isfinite(c->step) && c->step > 0.0f &&
		c->weight >= EK_LEAST_WEIGHT && c->weight <= EK_MOST_WEIGHT &&
		(c->bits == 2 || c->bits == 4 || c->bits == 6 || c->bits == 8);
}

/* No element of a matrix with |B| <= 1 is larger than that, and none is NaN. */
static void
require_basis(Relation index, const ek_cache *cache)
{
	const BlockNumber block = cache->meta.first_block - cache->meta.basis_pages;
	const Size	floats = (Size) cache->meta.coarse_dims * cache->meta.dims;

	for (Size i = 0; i < floats; i++)
	{
		if (!(fabsf(cache->basis[i]) <= 1.0f))
			ek_raise_corrupted_block(index, block, "the basis stretches vectors");
	}
	if (cache->meta.format == EK_FORMAT_1 || cache->meta.coarse_dims == 0)
		return;
	for (int i = 0; i < cache->meta.coarse_dims; i++)
	{
		if (!is_usable(&cache->coordinates[i]))
			ek_raise_corrupted_block(index, block, "a coordinate of the basis has no possible code");
	}
	if (!ek_lay_out(cache->coordinates, cache->meta.coarse_dims, cache->meta.steps4,
					cache->meta.steps2, cache->slots))
		ek_raise_corrupted_block(index, block, "the basis has other coordinates than its code");
}

Size
ek_basis_bytes(const ek_meta *meta)
{
	const Size	rows = sizeof(float) * meta->coarse_dims * meta->dims;

	if (meta->format == EK_FORMAT_1 || meta->coarse_dims == 0)
		return rows;
	return sizeof(ek_basis_header) + sizeof(ek_coordinate) * meta->coarse_dims + rows;
}

static Size
size_before_basis(const ek_meta *meta)
{
	return MAXALIGN(sizeof(ek_cache)) +
		MAXALIGN(sizeof(ek_slot) * ek_slot_count(meta->steps4, meta->steps2));
}

static Size
size_before_pages(const ek_meta *meta)
{
	return size_before_basis(meta) + MAXALIGN(ek_basis_bytes(meta));
}

/* After the struct has been filled in, and whenever it has moved. */
static void
set_pointers(ek_cache *cache)
{
	char	   *basis = (char *) cache + size_before_basis(&cache->meta);

	cache->slots = (ek_slot *) ((char *) cache + MAXALIGN(sizeof(ek_cache)));
	cache->header = (ek_basis_header *) basis;
	cache->coordinates = (ek_coordinate *) (cache->header + 1);
	cache->basis = cache->meta.format == EK_FORMAT_1 ? (float *) (void *) basis :
		(float *) (cache->coordinates + cache->meta.coarse_dims);
	cache->pages = (uint32 *) ((char *) cache + size_before_pages(&cache->meta));
}

ek_cache *
ek_cache_create(MemoryContext context, const ek_meta *meta, BlockNumber blocks)
{
	const Size	size = size_before_pages(meta) + sizeof(uint32) * (Size) blocks;
	ek_cache   *cache = MemoryContextAllocHuge(context, size);

	memset(cache, 0, size);
	cache->meta = *meta;
	cache->blocks = blocks;
	set_pointers(cache);
	if (meta->dims != 0)
		cache->geometry = ek_geometry_of(meta);
	return cache;
}

static void
read_basis(Relation index, ek_cache *cache)
{
	const ek_meta *meta = &cache->meta;
	const Size	bytes = ek_basis_bytes(meta);
	const uint32 per_page = ek_bytes_per_page();

	for (uint32 page = 0; page < meta->basis_pages; page++)
	{
		BlockNumber block = meta->first_block - meta->basis_pages + page;
		Buffer		buffer = ek_read_page(index, block, BUFFER_LOCK_SHARE, EK_PAGE_BASIS, NULL);
		Size		done = (Size) page * per_page;

		memcpy((char *) cache->header + done, ek_page_bytes(BufferGetPage(buffer)),
			   Min(per_page, bytes - done));
		UnlockReleaseBuffer(buffer);
	}
	require_basis(index, cache);
}

/* An index that grows is remembered whole: with some room, so that this is rare. */
static ek_cache *
grow(Relation index, ek_cache *cache)
{
	const BlockNumber blocks = RelationGetNumberOfBlocks(index);
	const BlockNumber room = Min(blocks + blocks / 4 + 16, MaxBlockNumber);

	if (blocks <= cache->blocks)
		return cache;
	cache = repalloc_huge(cache, size_before_pages(&cache->meta) + sizeof(uint32) * (Size) room);
	index->rd_amcache = cache;
	set_pointers(cache);
	memset(cache->pages + cache->blocks, 0, sizeof(uint32) * (Size) (room - cache->blocks));
	cache->blocks = room;
	return cache;
}

const ek_cache *
ek_cache_get(Relation index)
{
	ek_cache   *cache = index->rd_amcache;
	ek_meta		meta;

	if (cache != NULL && cache->meta.dims != 0)
		return grow(index, cache);

	meta = ek_read_meta(index);
	cache = ek_cache_create(index->rd_indexcxt, &meta, RelationGetNumberOfBlocks(index));
	read_basis(index, cache);

	ek_cache_forget(index);
	index->rd_amcache = cache;
	return cache;
}

const ek_cache *
ek_cache_copy(Relation index)
{
	const ek_cache *cache = ek_cache_get(index);
	ek_cache   *copy = ek_cache_create(CurrentMemoryContext, &cache->meta, 0);

	memcpy(copy->slots, cache->slots, size_before_pages(&cache->meta) - MAXALIGN(sizeof(ek_cache)));
	return copy;
}

void
ek_cache_forget(Relation index)
{
	if (index->rd_amcache != NULL)
		pfree(index->rd_amcache);
	index->rd_amcache = NULL;
}

/* What is remembered of a block, or NULL. */
static inline uint32 *
memory_of(Relation index, BlockNumber block)
{
	ek_cache   *cache = index->rd_amcache;

	return cache != NULL && block < cache->blocks ? &cache->pages[block] : NULL;
}

/* The buffer that a block was in, or an invalid one. */
static inline Buffer
recent_buffer(Relation index, BlockNumber block)
{
	const uint32 *memory = memory_of(index, block);

	return memory != NULL ? (Buffer) (*memory & ~PAGE_VERIFIED) : InvalidBuffer;
}

/* Buffers of a backend's own, of temporary tables, have negative numbers. */
static Buffer
pin_by_table(Relation index, BlockNumber block)
{
	Buffer		buffer = ReadBuffer(index, block);
	uint32	   *memory = memory_of(index, block);

	if (memory != NULL && buffer > 0)
		*memory = (*memory & PAGE_VERIFIED) | (uint32) buffer;
	return buffer;
}

Buffer
ek_pin(Relation index, BlockNumber block)
{
	static uint32 visits = 0;
	const Buffer recent = recent_buffer(index, block);

	if (BufferIsValid(recent) && ++visits % VISITS_TO_REFRESH != 0 &&
		ReadRecentBuffer(ek_locator_of(index), MAIN_FORKNUM, block, recent))
	{
		pgstat_count_buffer_read(index);
		pgstat_count_buffer_hit(index);
		return recent;
	}
	return pin_by_table(index, block);
}

ptrdiff_t
ek_distance_to(Relation index, BlockNumber block, Page here)
{
	const Buffer recent = recent_buffer(index, block);

	return BufferIsValid(recent) ? (char *) BufferGetBlock(recent) - (char *) here : 0;
}

void
ek_ask_for(Relation index, BlockNumber block, Size offset, Size bytes)
{
	const Buffer recent = recent_buffer(index, block);
	const char *page;

	if (!BufferIsValid(recent))
		return;
	page = (const char *) BufferGetBlock(recent);
	__builtin_prefetch(GetBufferDescriptor(recent - 1));
	__builtin_prefetch(page, 0, 2);
	__builtin_prefetch(page + BLCKSZ - EK_ALIGNMENT, 0, 2);
	for (Size line = TYPEALIGN_DOWN(EK_ALIGNMENT, offset); line < offset + bytes; line += EK_ALIGNMENT)
		__builtin_prefetch(page + line, 0, 2);
}

bool
ek_is_verified(Relation index, BlockNumber block)
{
	const uint32 *memory = memory_of(index, block);

	return memory != NULL && (*memory & PAGE_VERIFIED) != 0;
}

void
ek_set_verified(Relation index, BlockNumber block)
{
	uint32	   *memory = memory_of(index, block);

	if (memory != NULL)
		*memory |= PAGE_VERIFIED;
}
