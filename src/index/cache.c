/*
 * cache.c
 *		What a backend keeps of an index, with its relation: the metapage, the basis,
 *		and which pages it has seen sound.
 *
 * Metapage and basis do not change once the number of dimensions is known, but
 * for the numbers of entries, which whoever needs them reads anew.  REINDEX makes
 * a new relation file, which throws the cache away.
 */
#include "postgres.h"

#include <math.h>

#include "utils/memutils.h"

#include "index/index.h"

/* No element of a matrix with |B| <= 1 is larger than that, and none is NaN. */
static void
require_basis(Relation index, const ek_cache *cache)
{
	const Size	floats = (Size) cache->meta.coarse_dims * cache->meta.dims;

	for (Size i = 0; i < floats; i++)
	{
		if (!(fabsf(cache->basis[i]) <= 1.0f))
			ek_raise_corrupted_block(index, cache->meta.null_pages + 1, "the basis stretches vectors");
	}
}

const ek_cache *
ek_cache_get(Relation index)
{
	ek_cache   *cache = index->rd_amcache;
	ek_meta		meta;
	Size		floats;
	BlockNumber blocks;
	uint32		per_page = ek_floats_per_page();

	if (cache != NULL && cache->meta.dims != 0)
		return cache;

	meta = ek_read_meta(index);
	floats = (Size) meta.coarse_dims * meta.dims;
	blocks = RelationGetNumberOfBlocks(index);
	cache = MemoryContextAllocHuge(index->rd_indexcxt,
								   offsetof(ek_cache, basis) + floats * sizeof(float) +
								   blocks / 8 + 1);
	cache->meta = meta;
	cache->verified_blocks = blocks;
	cache->verified = (uint8 *) (cache->basis + floats);
	memset(cache->verified, 0, cache->verified_blocks / 8 + 1);
	if (meta.dims != 0)
		cache->geometry = ek_geometry_of(&meta);
	for (uint32 page = 0; page < meta.basis_pages; page++)
	{
		BlockNumber block = meta.first_block - meta.basis_pages + page;
		Buffer		buffer = ek_read_page(index, block, BUFFER_LOCK_SHARE, EK_PAGE_BASIS, NULL);
		Size		done = (Size) page * per_page;

		memcpy(cache->basis + done, ek_page_floats(BufferGetPage(buffer)),
			   sizeof(float) * Min(per_page, floats - done));
		UnlockReleaseBuffer(buffer);
	}

	require_basis(index, cache);

	ek_cache_forget(index);
	index->rd_amcache = cache;
	return cache;
}

const ek_cache *
ek_cache_copy(Relation index)
{
	const ek_cache *cache = ek_cache_get(index);
	Size		size = offsetof(ek_cache, basis) +
		sizeof(float) * (Size) cache->meta.coarse_dims * cache->meta.dims;
	ek_cache   *copy = MemoryContextAllocHuge(CurrentMemoryContext, size);

	memcpy(copy, cache, size);
	copy->verified_blocks = 0;
	copy->verified = NULL;
	return copy;
}

/* What is read next is read anew, and the seals of all pages are looked at. */
void
ek_cache_forget(Relation index)
{
	if (index->rd_amcache != NULL)
		pfree(index->rd_amcache);
	index->rd_amcache = NULL;
}
