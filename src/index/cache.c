/*
 * cache.c
 *		What a backend keeps of an index, with its relation: the metapage, the basis,
 *		where pages were when it last read them, and which it has seen sound.
 *
 * Until format 3 metapage and basis do not change once the number of dimensions is
 * known, but for the numbers of entries, which whoever needs them reads anew.  In
 * format 3 a basis may come, and the pages of an index may be found to have one that
 * is not here; then everything is read anew.  REINDEX makes a new relation file, which
 * throws the cache away.
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
require_basis(Relation index, const ek_cache *cache, const ek_basis *basis, BlockNumber block)
{
	const Size	floats = (Size) basis->coarse_dims * cache->meta.dims;

	for (Size i = 0; i < floats; i++)
	{
		if (!(fabsf(basis->rows[i]) <= 1.0f))
			ek_raise_corrupted_block(index, block, "the basis stretches vectors");
	}
	if (cache->meta.format == EK_FORMAT_1 || basis->coarse_dims == 0)
		return;
	for (int i = 0; i < basis->coarse_dims; i++)
	{
		if (!is_usable(&basis->coordinates[i]))
			ek_raise_corrupted_block(index, block, "a coordinate of the basis has no possible code");
	}
	if (!(basis->header->usual_weight >= 0.0f && isfinite(basis->header->usual_weight)))
		ek_raise_corrupted_block(index, block, "the basis says what is impossible of queries");
	if (!ek_lay_out(basis->coordinates, basis->coarse_dims, basis->steps4, basis->steps2,
					basis->slots))
		ek_raise_corrupted_block(index, block, "the basis has other coordinates than its code");
}

Size
ek_basis_bytes(ek_format format, int coarse_dims, uint32 dims)
{
	const Size	rows = sizeof(float) * coarse_dims * dims;

	if (format == EK_FORMAT_1 || coarse_dims == 0)
		return rows;
	return sizeof(ek_basis_header) + sizeof(ek_coordinate) * coarse_dims + rows;
}

/* What the metapage says of bases; one in the earlier formats. */
static void
slots_of(const ek_meta *meta, ek_basis_slot *slots)
{
	memcpy(slots, meta->slots, sizeof(meta->slots));
	if (meta->format >= EK_FORMAT_3)
		return;
	slots[0] = (ek_basis_slot)
	{
		.id = meta->basis_id,
			.block = meta->first_block - meta->basis_pages,
			.coarse_dims = meta->coarse_dims,
			.steps4 = meta->steps4,
			.steps2 = meta->steps2
	};
}

/* In format 1 the basis has no number: 0, as coarse pages have it. */
static inline bool
is_in_use(const ek_basis_slot *slot)
{
	return slot->coarse_dims > 0;
}

static Size
size_of_basis(const ek_meta *meta, const ek_basis_slot *slot)
{
	return MAXALIGN(sizeof(ek_slot) * ek_slot_count(slot->steps4, slot->steps2)) +
		MAXALIGN(ek_basis_bytes((ek_format) meta->format, slot->coarse_dims, meta->dims));
}

static Size
size_before_pages(const ek_meta *meta)
{
	ek_basis_slot slots[EK_BASIS_SLOTS];
	Size		size = MAXALIGN(sizeof(ek_cache));

	slots_of(meta, slots);
	for (int i = 0; i < EK_BASIS_SLOTS; i++)
		size += is_in_use(&slots[i]) ? size_of_basis(meta, &slots[i]) : 0;
	return size;
}

static void
set_basis(const ek_meta *meta, const ek_basis_slot *slot, ek_basis *basis, char *memory)
{
	const int	slots = ek_slot_count(slot->steps4, slot->steps2);
	char	   *header = memory + MAXALIGN(sizeof(ek_slot) * slots);

	*basis = (ek_basis)
	{
		.id = slot->id,
			.coarse_dims = slot->coarse_dims,
			.steps4 = slot->steps4,
			.steps2 = slot->steps2,
			.group_size = (Size) (slot->steps4 + slot->steps2) * EK_STEP_BYTES,
			.slots = (ek_slot *) memory,
			.header = (ek_basis_header *) header,
			.coordinates = (ek_coordinate *) (header + sizeof(ek_basis_header))
	};
	basis->rows = meta->format == EK_FORMAT_1 ? (float *) (void *) header :
		(float *) (basis->coordinates + basis->coarse_dims);
}

/* After the struct has been filled in, and whenever it has moved. */
static void
set_pointers(ek_cache *cache)
{
	char	   *memory = (char *) cache + MAXALIGN(sizeof(ek_cache));
	ek_basis_slot slots[EK_BASIS_SLOTS];

	cache->basis_count = 0;
	slots_of(&cache->meta, slots);
	for (int i = 0; i < EK_BASIS_SLOTS; i++)
	{
		if (!is_in_use(&slots[i]))
			continue;
		set_basis(&cache->meta, &slots[i], &cache->bases[cache->basis_count++], memory);
		memory += size_of_basis(&cache->meta, &slots[i]);
	}
	/* that of pages without coarse codes, unless it is that of format 1 */
	if (ek_cache_basis(cache, 0) == NULL)
		cache->bases[cache->basis_count++] = (ek_basis) {.id = 0};
	cache->pages = (uint32 *) memory;
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

const ek_basis *
ek_cache_basis(const ek_cache *cache, uint32 id)
{
	for (int i = 0; i < cache->basis_count; i++)
	{
		if (cache->bases[i].id == id)
			return &cache->bases[i];
	}
	return NULL;
}

const ek_basis *
ek_cache_current(const ek_cache *cache)
{
	return ek_cache_basis(cache, cache->geometry.basis_id);
}

void
ek_cache_fill(ek_cache *cache, const ek_basis *basis)
{
	const ek_basis *own = ek_cache_current(cache);

	if (basis->coarse_dims == 0)
		return;
	memcpy(own->rows, basis->rows, sizeof(float) * (Size) basis->coarse_dims * cache->meta.dims);
	if (cache->meta.format == EK_FORMAT_1)
		return;
	*own->header = *basis->header;
	memcpy(own->coordinates, basis->coordinates, sizeof(ek_coordinate) * basis->coarse_dims);
	ek_lay_out(own->coordinates, own->coarse_dims, own->steps4, own->steps2, own->slots);
}

void
ek_store_basis(const ek_cache *cache, uint32 number, Page page)
{
	const ek_basis *basis = ek_cache_current(cache);
	const Size	bytes = ek_basis_bytes(cache->geometry.format, basis->coarse_dims, cache->meta.dims);
	const Size	per_page = ek_bytes_per_page();
	const Size	done = number * per_page;

	if (cache->geometry.format >= EK_FORMAT_3)
		ek_page_opaque_of(page)->count = basis->id;
	if (done < bytes)
		memcpy(ek_page_bytes(page), (char *) basis->header + done, Min(per_page, bytes - done));
}

bool
ek_block_exists(Relation index, BlockNumber block)
{
	ek_cache   *cache = index->rd_amcache;
	BlockNumber end;

	if (cache != NULL && block < cache->end)
		return true;
	end = RelationGetNumberOfBlocks(index);
	if (cache != NULL)
		cache->end = end;
	return block < end;
}

void
ek_cache_set_target(Relation index, BlockNumber block)
{
	ek_cache   *cache = index->rd_amcache;

	if (cache != NULL)
		cache->target = block;
}

/*
 * False if another basis has come there since the metapage was read: its pages say
 * which one they are of.
 */
static bool
read_basis(Relation index, ek_cache *cache, const ek_basis_slot *slot)
{
	const ek_meta *meta = &cache->meta;
	const ek_basis *basis = ek_cache_basis(cache, slot->id);
	const Size	bytes = ek_basis_bytes((ek_format) meta->format, slot->coarse_dims, meta->dims);
	const uint32 per_page = ek_bytes_per_page();

	for (Size done = 0; done < bytes; done += per_page)
	{
		const BlockNumber block = slot->block + (BlockNumber) (done / per_page);
		Buffer		buffer = ek_read_page(index, block, BUFFER_LOCK_SHARE, EK_PAGE_BASIS, NULL);
		Page		page = BufferGetPage(buffer);
		const bool	same = meta->format < EK_FORMAT_3 || ek_page_opaque_of(page)->count == slot->id;

		if (same)
			memcpy((char *) basis->header + done, ek_page_bytes(page), Min(per_page, bytes - done));
		UnlockReleaseBuffer(buffer);
		if (!same)
			return false;
	}
	require_basis(index, cache, basis, slot->block);
	return true;
}

static bool
read_bases(Relation index, ek_cache *cache)
{
	ek_basis_slot slots[EK_BASIS_SLOTS];

	slots_of(&cache->meta, slots);
	for (int i = 0; i < EK_BASIS_SLOTS; i++)
	{
		if (is_in_use(&slots[i]) && !read_basis(index, cache, &slots[i]))
			return false;
	}
	return true;
}

/* An index that grows is remembered whole: with some room, so that this is rare. */
static ek_cache *
grow(Relation index, ek_cache *cache)
{
	const BlockNumber blocks = RelationGetNumberOfBlocks(index);
	const BlockNumber room = Min(blocks + blocks / 4 + 16, MaxBlockNumber);

	cache->end = blocks;
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

	for (int tries = 0;; tries++)
	{
		meta = ek_read_meta(index);
		cache = ek_cache_create(index->rd_indexcxt, &meta, RelationGetNumberOfBlocks(index));
		if (read_bases(index, cache))
			break;
		pfree(cache);
		/* a basis that is found takes seconds; this, microseconds */
		if (tries == EK_MOST_TRIES)
			ek_raise_corrupted(index, "The pages of a basis have another number than the metapage says");
	}
	ek_cache_forget(index);
	index->rd_amcache = cache;
	return cache;
}

const ek_cache *
ek_cache_known(Relation index)
{
	return index->rd_amcache;
}

/* Have these the same bases? */
static bool
has_same_bases(const ek_meta *a, const ek_meta *b)
{
	for (int i = 0; i < EK_BASIS_SLOTS; i++)
	{
		if (a->slots[i].id != b->slots[i].id)
			return false;
	}
	return true;
}

void
ek_cache_refresh(Relation index, const ek_meta *meta)
{
	ek_cache   *cache = index->rd_amcache;

	if (cache == NULL)
		return;
	if (!has_same_bases(&cache->meta, meta))
	{
		ek_cache_forget(index);
		return;
	}
	cache->meta = *meta;
	cache->geometry = ek_geometry_of(meta);
}

const ek_cache *
ek_cache_copy(Relation index)
{
	const ek_cache *cache = ek_cache_get(index);
	ek_cache   *copy = ek_cache_create(CurrentMemoryContext, &cache->meta, 0);

	memcpy((char *) copy + MAXALIGN(sizeof(ek_cache)), (const char *) cache + MAXALIGN(sizeof(ek_cache)),
		   size_before_pages(&cache->meta) - MAXALIGN(sizeof(ek_cache)));
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

/*
 * Where a block is, most likely: where it was, or else after the block before it, since
 * pages that were read or built one after another are often in buffers one after
 * another.  To look there costs a fifth of what the table of buffers does.
 */
static inline Buffer
likely_buffer(Relation index, BlockNumber block)
{
	const Buffer recent = recent_buffer(index, block);
	Buffer		neighbour;

	if (BufferIsValid(recent) || block == 0)
		return recent;
	neighbour = recent_buffer(index, block - 1);
	return BufferIsValid(neighbour) && neighbour < NBuffers ? neighbour + 1 : InvalidBuffer;
}

/* Buffers of a backend's own, of temporary tables, have negative numbers. */
static inline void
remember(Relation index, BlockNumber block, Buffer buffer)
{
	uint32	   *memory = memory_of(index, block);

	if (memory != NULL && buffer > 0)
		*memory = (*memory & PAGE_VERIFIED) | (uint32) buffer;
}

Buffer
ek_pin(Relation index, BlockNumber block)
{
	static uint32 visits = 0;
	Buffer		buffer = likely_buffer(index, block);

	if (BufferIsValid(buffer) && ++visits % VISITS_TO_REFRESH != 0 &&
		ReadRecentBuffer(ek_locator_of(index), MAIN_FORKNUM, block, buffer))
	{
		pgstat_count_buffer_read(index);
		pgstat_count_buffer_hit(index);
	}
	else
		buffer = ReadBuffer(index, block);
	remember(index, block, buffer);
	return buffer;
}

void
ek_find(Relation index, BlockNumber block)
{
	if (!BufferIsValid(recent_buffer(index, block)) && memory_of(index, block) != NULL)
		ReleaseBuffer(ek_pin(index, block));
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
