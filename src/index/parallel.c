/*
 * parallel.c
 *		What the processes of a parallel scan share.
 *
 * Each takes sections of coarse pages until there are none left, and is a scan of its
 * own of those that it took: whatever it has to do again, another pass for one, it does
 * with the same ones.  Together they return what one scan would, each in order, for a
 * Gather Merge.  The order in which sections are taken is scattered, so that
 * the first ones tell each process what the others are like.
 *
 * All have one snapshot and one number of entries, that of the first to come.  What
 * is no entry with a vector, one of them returns for all.
 */
#include "postgres.h"

#include "access/relscan.h"
#include "storage/spin.h"

#include "index/index.h"

typedef struct parallel_scan
{
	slock_t		lock;
	bool		agreed;			/* is there a number of entries? */
	uint32		entries;
	uint32		taken;			/* sections */
	bool		rest_taken;
	bool		vouched;		/* the leader has seen every coarse page sound */
} parallel_scan;

static inline parallel_scan *
shared_of(IndexScanDesc scan)
{
	if (scan->parallel_scan == NULL)
		return NULL;
	return (parallel_scan *) OffsetToPointer((void *) scan->parallel_scan,
											 ek_parallel_offset(scan->parallel_scan));
}

#if PG_VERSION_NUM >= 180000
Size
ek_parallel_size(Relation index pg_attribute_unused(), int keys pg_attribute_unused(),
				 int orderbys pg_attribute_unused())
#elif PG_VERSION_NUM >= 170000
Size
ek_parallel_size(int keys pg_attribute_unused(), int orderbys pg_attribute_unused())
#else
Size
ek_parallel_size(void)
#endif
{
	return sizeof(parallel_scan);
}

void
ek_parallel_init(void *target)
{
	parallel_scan *shared = target;

	memset(shared, 0, sizeof(*shared));
	SpinLockInit(&shared->lock);
}

void
ek_parallel_rescan(IndexScanDesc scan)
{
	parallel_scan *shared = shared_of(scan);

	SpinLockAcquire(&shared->lock);
	shared->agreed = false;
	shared->taken = 0;
	shared->rest_taken = false;
	SpinLockRelease(&shared->lock);
}

bool
ek_is_parallel(IndexScanDesc scan)
{
	return scan->parallel_scan != NULL;
}

/* Proposes a number of entries; false if another holds, which is then filled in. */
static bool
propose(parallel_scan *shared, uint32 *entries)
{
	bool		first;

	SpinLockAcquire(&shared->lock);
	first = !shared->agreed;
	if (first)
		shared->entries = *entries;
	shared->agreed = true;
	*entries = shared->entries;
	SpinLockRelease(&shared->lock);
	return first;
}

/*
 * Whoever was not the first reads the metapage once more: it knows then at least of
 * the pages that were agreed on.
 */
ek_meta
ek_agree_on_meta(IndexScanDesc scan)
{
	ek_meta		meta = ek_read_meta(scan->indexRelation);
	uint32		entries = meta.entries;

	if (!ek_is_parallel(scan) || propose(shared_of(scan), &entries))
		return meta;
	meta = ek_read_meta(scan->indexRelation);
	meta.entries = entries;
	return meta;
}

static uint32
greatest_divisor(uint32 a, uint32 b)
{
	while (b != 0)
	{
		const uint32 rest = a % b;

		a = b;
		b = rest;
	}
	return a;
}

/* So far from one section that is taken to the next: no common divisor with their number. */
static uint32
stride_of(uint32 sections)
{
	uint32		stride = (uint32) (sections * 0.618) + 1;

	while (greatest_divisor(stride, sections) != 1)
		stride++;
	return stride;
}

bool
ek_take_section(IndexScanDesc scan, uint32 sections, uint32 *section)
{
	parallel_scan *shared = shared_of(scan);
	uint32		turn;

	SpinLockAcquire(&shared->lock);
	turn = shared->taken;
	if (turn < sections)
		shared->taken++;
	SpinLockRelease(&shared->lock);
	if (turn >= sections)
		return false;
	*section = (uint32) ((uint64) turn * stride_of(sections) % sections);
	return true;
}

void
ek_vouch(IndexScanDesc scan)
{
	parallel_scan *shared = shared_of(scan);

	SpinLockAcquire(&shared->lock);
	shared->vouched = true;
	SpinLockRelease(&shared->lock);
}

bool
ek_is_vouched(IndexScanDesc scan)
{
	parallel_scan *shared = shared_of(scan);
	bool		vouched;

	SpinLockAcquire(&shared->lock);
	vouched = shared->vouched;
	SpinLockRelease(&shared->lock);
	return vouched;
}

bool
ek_take_rest(IndexScanDesc scan)
{
	parallel_scan *shared = shared_of(scan);
	bool		first;

	if (shared == NULL)
		return true;
	SpinLockAcquire(&shared->lock);
	first = !shared->rest_taken;
	shared->rest_taken = true;
	SpinLockRelease(&shared->lock);
	return first;
}
