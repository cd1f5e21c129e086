/*
 * readahead.c
 *		Pages that are in no buffer yet: asking the operating system for many of them
 *		at once, before they are read one by one.
 *
 * A coarse page comes right after another for up to two megabytes, and a disk gives
 * those as fast as it can if it is asked for half a megabyte at a time; page by page it
 * takes three times as long, and so it does if each page is announced alone.
 *
 * All of this is a hint.  Where PostgreSQL has no posix_fadvise(), or if
 * effective_io_concurrency is 0, nothing happens.
 */
#include "postgres.h"

#include <fcntl.h>

#include "common/relpath.h"
#include "storage/buf_internals.h"
#include "storage/fd.h"
#include "utils/spccache.h"

#include "index/index.h"

bool
ek_is_buffered(Relation index, BlockNumber block)
{
	BufferTag	tag;
	uint32		hash;
	LWLock	   *lock;
	int			buffer;

	/* those of temporary tables are the session's own, and few */
	if (RelationUsesLocalBuffers(index))
		return true;
	ek_init_buffer_tag(&tag, index, block);
	hash = BufTableHashCode(&tag);
	lock = BufMappingPartitionLock(hash);
	LWLockAcquire(lock, LW_SHARED);
	buffer = BufTableLookup(&tag, hash);
	LWLockRelease(lock);
	return buffer >= 0;
}

bool
ek_may_read_ahead(Relation index)
{
	return !RelationUsesLocalBuffers(index) &&
		get_tablespace_io_concurrency(index->rd_rel->reltablespace) > 0;
}

#if PG_VERSION_NUM >= 170000
void
ek_read_ahead(Relation index, BlockNumber block, BlockNumber count)
{
#ifdef USE_PREFETCH
	smgrprefetch(RelationGetSmgr(index), MAIN_FORKNUM, block, (int) count);
#endif
}
#else

/* Before 17 PostgreSQL asks for one page at a time, so this opens the file itself. */
static void
read_ahead_in_segment(Relation index, BlockNumber block, BlockNumber count)
{
#ifdef USE_POSIX_FADVISE
	char	   *path = relpathperm(ek_locator_of(index), MAIN_FORKNUM);
	const BlockNumber segment = block / RELSEG_SIZE;
	int			file;

	if (segment > 0)
		path = psprintf("%s.%u", path, segment);
	file = OpenTransientFile(path, O_RDONLY | PG_BINARY);
	if (file < 0)
		return;
	(void) posix_fadvise(file, (off_t) (block % RELSEG_SIZE) * BLCKSZ, (off_t) count * BLCKSZ,
						 POSIX_FADV_WILLNEED);
	CloseTransientFile(file);
#endif
}

void
ek_read_ahead(Relation index, BlockNumber block, BlockNumber count)
{
	const BlockNumber in_first = Min(count, RELSEG_SIZE - block % RELSEG_SIZE);

	read_ahead_in_segment(index, block, in_first);
	if (count > in_first)
		read_ahead_in_segment(index, block + in_first, count - in_first);
}
#endif
