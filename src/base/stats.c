/*
 * stats.c
 *		Counters that every backend adds to, in a small block of shared memory.
 *
 * The block needs no preloading: the first backend to load the library makes
 * it, in a segment of dynamic shared memory that lives as long as the server.
 * Of what the server keeps spare, which is little and never given back, it
 * takes no more than the segment's handle.  Preloaded, the block is asked for
 * in the usual way, since the postmaster cannot make segments.  Where there is
 * no room the counters cover this backend only, and say so.
 *
 * There are STRIPES copies of each counter, and a backend adds to one of them
 * with an atomic addition; a reader sums them up.  Each backend also has a slot
 * of its own, where it says which level it computes with.
 *
 * The names carry the version of the layout, since two versions of the library
 * can be in use at once: sessions that began before an update keep the older
 * one.  Whoever changes a struct below gives it a new version.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "port/atomics.h"
#if PG_VERSION_NUM < 150000
#include "postmaster/autovacuum.h"
#include "replication/walsender.h"
#endif
#include "storage/dsm.h"
#include "storage/ipc.h"
#include "storage/lwlock.h"
#include "storage/proc.h"
#include "storage/shmem.h"
#include "utils/resowner.h"

#include "base/stats.h"

#define BLOCK_NAME	"engramk statistics, layout 5"
#define HANDLE_NAME	BLOCK_NAME ", handle"
#define STRIPES		16

/* From 0; some place in the array of slots and stripes for this process. */
#if PG_VERSION_NUM >= 170000
#define MY_NUMBER	MyProcNumber
#else
#define MY_NUMBER	(MyBackendId - 1)
#endif

typedef struct shared_kernel_counts
{
	pg_atomic_uint64 calls;
	pg_atomic_uint64 candidates;
	pg_atomic_uint64 elements;
	pg_atomic_uint64 timed_elements;
	pg_atomic_uint64 nanoseconds;
	pg_atomic_uint64 slowest;
} shared_kernel_counts;

typedef struct stripe
{
	shared_kernel_counts kernels[EK_OPERATION_COUNT][EK_LEVEL_COUNT];
	pg_atomic_uint64 errors[EK_ERROR_KIND_COUNT];
	pg_atomic_uint64 arena_resets;
	pg_atomic_uint64 arena_overflows;
	pg_atomic_uint64 arena_overflow_bytes;
	pg_atomic_uint64 arena_high_water;
	pg_atomic_uint64 checked;
	pg_atomic_uint64 divergences;
	pg_atomic_uint64 withdrawn;
	char		padding[PG_CACHE_LINE_SIZE];	/* from the next stripe */
} stripe;

/* Written by its backend only. */
typedef struct backend_slot
{
	pg_atomic_uint32 pid;
	pg_atomic_uint32 level;
	pg_atomic_uint32 version;
} backend_slot;

/*
 * Claimed by the first scan of an index; given back by a reset, and not when
 * the index is dropped, of which nobody tells us.
 */
typedef struct index_slot
{
	pg_atomic_uint64 key;		/* database and index; 0 if nobody's */
	pg_atomic_uint64 scans;
	pg_atomic_uint64 passes;
	pg_atomic_uint64 coarse_codes;
	pg_atomic_uint64 fine_codes;
	pg_atomic_uint64 returned;
	pg_atomic_uint64 filtered;
	pg_atomic_uint64 passed;
} index_slot;

typedef struct shared_block
{
	pg_atomic_uint64 stats_reset;	/* a TimestampTz */
	index_slot	indexes[EK_STATS_INDEXES];
	stripe		stripes[STRIPES];
	int			slot_count;
	backend_slot slots[FLEXIBLE_ARRAY_MEMBER];
} shared_block;

ek_kernel_counts ek_stats_pending[EK_OPERATION_COUNT][EK_LEVEL_COUNT];
int			ek_stats_pending_calls = 0;

static shared_block *block = NULL;
static backend_slot *my_slot = NULL;

/* Where this backend adds: a stripe of the block or, without one, its own. */
static stripe own_stripe;
static TimestampTz own_reset;
static stripe *my_stripe = &own_stripe;

/* What was published of this backend's arena. */
static ek_scratch_counts published;

/* Which level to show once there is a slot. */
static ek_level my_level = EK_LEVEL_SCALAR;

static bool attach_was_tried = false;

#if PG_VERSION_NUM >= 150000
static shmem_request_hook_type previous_shmem_request = NULL;
#endif
static shmem_startup_hook_type previous_shmem_startup = NULL;

static Size
block_size(int slots)
{
	return add_size(offsetof(shared_block, slots),
					mul_size(sizeof(backend_slot), slots));
}

static void
init_counter(pg_atomic_uint64 *counter)
{
	pg_atomic_init_u64(counter, 0);
}

static void
clear_counter(pg_atomic_uint64 *counter)
{
	pg_atomic_write_u64(counter, 0);
}

static void
for_each_counter(stripe *s, void (*visit) (pg_atomic_uint64 *))
{
	for (int operation = 0; operation < EK_OPERATION_COUNT; operation++)
	{
		for (int level = 0; level < EK_LEVEL_COUNT; level++)
		{
			shared_kernel_counts *counts = &s->kernels[operation][level];

			visit(&counts->calls);
			visit(&counts->candidates);
			visit(&counts->elements);
			visit(&counts->timed_elements);
			visit(&counts->nanoseconds);
			visit(&counts->slowest);
		}
	}
	for (int kind = 0; kind < EK_ERROR_KIND_COUNT; kind++)
		visit(&s->errors[kind]);
	visit(&s->arena_resets);
	visit(&s->arena_overflows);
	visit(&s->arena_overflow_bytes);
	visit(&s->arena_high_water);
	visit(&s->checked);
	visit(&s->divergences);
	visit(&s->withdrawn);
}

static void
for_each_index_counter(shared_block *b, void (*visit) (pg_atomic_uint64 *))
{
	for (int i = 0; i < EK_STATS_INDEXES; i++)
	{
		visit(&b->indexes[i].key);
		visit(&b->indexes[i].scans);
		visit(&b->indexes[i].passes);
		visit(&b->indexes[i].coarse_codes);
		visit(&b->indexes[i].fine_codes);
		visit(&b->indexes[i].returned);
		visit(&b->indexes[i].filtered);
		visit(&b->indexes[i].passed);
	}
}

static void
init_block(shared_block *b)
{
	pg_atomic_init_u64(&b->stats_reset, (uint64) GetCurrentTimestamp());
	for_each_index_counter(b, init_counter);
	for (int i = 0; i < STRIPES; i++)
		for_each_counter(&b->stripes[i], init_counter);
	b->slot_count = MaxBackends;
	for (int i = 0; i < b->slot_count; i++)
	{
		pg_atomic_init_u32(&b->slots[i].pid, 0);
		pg_atomic_init_u32(&b->slots[i].level, 0);
		pg_atomic_init_u32(&b->slots[i].version, 0);
	}
}

/* Finds the block or makes it where memory was asked for. */
static shared_block *
find_reserved_block(void)
{
	bool		found;
	shared_block *result = ShmemInitStruct(BLOCK_NAME, block_size(MaxBackends),
										   &found);

	if (!found)
		init_block(result);
	return result;
}

/*
 * Finds the block or makes it elsewhere.  Raises an error if there is no room;
 * NULL if the segment cannot be found.  Without a resource owner, the segment
 * stays mapped until the process ends.
 */
static shared_block *
find_dynamic_block(void)
{
	bool		found;
	dsm_handle *handle = ShmemInitStruct(HANDLE_NAME, sizeof(dsm_handle), &found);
	dsm_segment *segment;

	if (found && *handle != DSM_HANDLE_INVALID)
	{
		segment = dsm_attach(*handle);
		return segment == NULL ? NULL : dsm_segment_address(segment);
	}

	*handle = DSM_HANDLE_INVALID;
	segment = dsm_create(block_size(MaxBackends), 0);
	init_block(dsm_segment_address(segment));
	dsm_pin_segment(segment);
	*handle = dsm_segment_handle(segment);
	return dsm_segment_address(segment);
}

static void
leave(int code pg_attribute_unused(), Datum argument pg_attribute_unused())
{
	ek_stats_flush();
	pg_atomic_write_u32(&my_slot->pid, 0);
	my_slot = NULL;
	block = NULL;
	my_stripe = &own_stripe;
}

/* Takes this backend's place in the block. */
static void
enter(void)
{
	my_stripe = &block->stripes[MY_NUMBER % STRIPES];
	my_slot = &block->slots[MY_NUMBER];
	pg_atomic_write_u32(&my_slot->version, EK_VERSION_NUM);
	pg_atomic_write_u32(&my_slot->level, (uint32) my_level);
	pg_atomic_write_u32(&my_slot->pid, (uint32) MyProcPid);
	before_shmem_exit(leave, (Datum) 0);
}

/* The same, but without room it leaves the block NULL. */
static void
try_to_find_dynamic_block(void)
{
	MemoryContext caller = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	uint32		holdoff;

	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	holdoff = InterruptHoldoffCount;
	PG_TRY();
	{
		CurrentResourceOwner = NULL;
		block = find_dynamic_block();
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(caller);
		FlushErrorState();
		/* an error has reset the count that LWLockRelease takes one off */
		InterruptHoldoffCount = holdoff;
	}
	PG_END_TRY();
	CurrentResourceOwner = owner;
	LWLockRelease(AddinShmemInitLock);
}

/*
 * Once a process.  No room is no reason to fail: whoever called us wants a
 * distance, not statistics.
 */
static pg_noinline void
attach(void)
{
	attach_was_tried = true;
	if (MyProc == NULL || MY_NUMBER < 0 || MY_NUMBER >= MaxBackends)
		return;

	if (block == NULL)
		try_to_find_dynamic_block();
	if (block == NULL)
	{
		ereport(LOG,
				(errmsg("no shared memory for the statistics of engramk"),
				 errdetail("Process %d counts for itself.", MyProcPid),
				 errhint("Add \"engramk\" to \"shared_preload_libraries\".")));
		return;
	}
	enter();
}

/* A process that was forked from the postmaster attaches when it first counts. */
static inline void
ensure_attached(void)
{
	if (unlikely(!attach_was_tried))
		attach();
}

static void
request_block(void)
{
#if PG_VERSION_NUM >= 150000
	if (previous_shmem_request != NULL)
		previous_shmem_request();
	/* MaxBackends is known by now */
	RequestAddinShmemSpace(block_size(MaxBackends));
#else
	/* it is not before 15: an upper limit of what it is computed from */
	RequestAddinShmemSpace(block_size(MaxConnections + autovacuum_max_workers +
									  max_worker_processes + max_wal_senders + 2));
#endif
}

static void
startup_block(void)
{
	if (previous_shmem_startup != NULL)
		previous_shmem_startup();

	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	block = find_reserved_block();
	LWLockRelease(AddinShmemInitLock);
}

void
ek_stats_init(void)
{
	for_each_counter(&own_stripe, init_counter);
	own_reset = GetCurrentTimestamp();

	if (!process_shared_preload_libraries_in_progress)
	{
		attach();
		return;
	}

#if PG_VERSION_NUM >= 150000
	previous_shmem_request = shmem_request_hook;
	shmem_request_hook = request_block;
#else
	request_block();
#endif
	previous_shmem_startup = shmem_startup_hook;
	shmem_startup_hook = startup_block;
}

/*
 * Counting
 */

static void
raise_to(pg_atomic_uint64 *maximum, uint64 value)
{
	uint64		current = pg_atomic_read_u64(maximum);

	while (current < value &&
		   !pg_atomic_compare_exchange_u64(maximum, &current, value))
		;
}

void
ek_stats_count_time(ek_kernel_counts *counts, uint64 elements, instr_time start)
{
	instr_time	now;
	uint64		nanoseconds;

	INSTR_TIME_SET_CURRENT(now);
	INSTR_TIME_SUBTRACT(now, start);
	nanoseconds = (uint64) (INSTR_TIME_GET_DOUBLE(now) * 1e9);

	counts->timed_elements += elements;
	counts->nanoseconds += nanoseconds;
	if (nanoseconds > counts->slowest)
		counts->slowest = nanoseconds;
}

static void
flush_kernel(ek_kernel_counts *pending, shared_kernel_counts *shared)
{
	pg_atomic_fetch_add_u64(&shared->calls, pending->calls);
	pg_atomic_fetch_add_u64(&shared->candidates, pending->candidates);
	pg_atomic_fetch_add_u64(&shared->elements, pending->elements);
	if (pending->timed_elements > 0)
	{
		pg_atomic_fetch_add_u64(&shared->timed_elements, pending->timed_elements);
		pg_atomic_fetch_add_u64(&shared->nanoseconds, pending->nanoseconds);
		raise_to(&shared->slowest, pending->slowest);
	}
	memset(pending, 0, sizeof(ek_kernel_counts));
}

void
ek_stats_flush(void)
{
	if (ek_stats_pending_calls == 0)
		return;

	ensure_attached();
	for (int operation = 0; operation < EK_OPERATION_COUNT; operation++)
	{
		for (int level = 0; level < EK_LEVEL_COUNT; level++)
		{
			if (ek_stats_pending[operation][level].calls > 0)
				flush_kernel(&ek_stats_pending[operation][level],
							 &my_stripe->kernels[operation][level]);
		}
	}
	ek_stats_pending_calls = 0;
}

void
ek_stats_count_error(ek_error_kind kind)
{
	ensure_attached();
	pg_atomic_fetch_add_u64(&my_stripe->errors[kind], 1);
}

void
ek_stats_count_checked(void)
{
	ensure_attached();
	pg_atomic_fetch_add_u64(&my_stripe->checked, 1);
}

void
ek_stats_count_divergence(void)
{
	ensure_attached();
	pg_atomic_fetch_add_u64(&my_stripe->divergences, 1);
	pg_atomic_fetch_add_u64(&my_stripe->withdrawn, 1);
}

/*
 * What this backend's arena has counted since it began, but for its high water:
 * that is the one since this was called last, since a maximum that was published
 * before a reset must not come back after it.
 */
static void
publish_scratch(void)
{
	ek_scratch_counts counts = ek_scratch_read();

	counts.high_water = ek_scratch_take_high_water();
	if (counts.resets == published.resets &&
		counts.overflows == published.overflows && counts.high_water == 0)
		return;

	ensure_attached();
	pg_atomic_fetch_add_u64(&my_stripe->arena_resets,
							counts.resets - published.resets);
	pg_atomic_fetch_add_u64(&my_stripe->arena_overflows,
							counts.overflows - published.overflows);
	pg_atomic_fetch_add_u64(&my_stripe->arena_overflow_bytes,
							counts.overflow_bytes - published.overflow_bytes);
	raise_to(&my_stripe->arena_high_water, counts.high_water);
	pg_atomic_fetch_add_u64(&my_stripe->errors[EK_ERROR_ARENA],
							counts.refused - published.refused);
	published = counts;
}

void
ek_stats_publish(void)
{
	publish_scratch();
	ek_stats_flush();
}

/* May be called before the block is attached. */
void
ek_stats_show_level(ek_level level)
{
	my_level = level;
	if (my_slot != NULL)
		pg_atomic_write_u32(&my_slot->level, (uint32) level);
}

/*
 * Reading
 */

static void
add_stripe(ek_stats *stats, stripe *s)
{
	for (int operation = 0; operation < EK_OPERATION_COUNT; operation++)
	{
		for (int level = 0; level < EK_LEVEL_COUNT; level++)
		{
			ek_kernel_counts *sum = &stats->kernels[operation][level];
			shared_kernel_counts *counts = &s->kernels[operation][level];

			sum->calls += pg_atomic_read_u64(&counts->calls);
			sum->candidates += pg_atomic_read_u64(&counts->candidates);
			sum->elements += pg_atomic_read_u64(&counts->elements);
			sum->timed_elements += pg_atomic_read_u64(&counts->timed_elements);
			sum->nanoseconds += pg_atomic_read_u64(&counts->nanoseconds);
			sum->slowest = Max(sum->slowest, pg_atomic_read_u64(&counts->slowest));
		}
	}
	for (int kind = 0; kind < EK_ERROR_KIND_COUNT; kind++)
		stats->errors[kind] += pg_atomic_read_u64(&s->errors[kind]);
	stats->scratch.resets += pg_atomic_read_u64(&s->arena_resets);
	stats->scratch.overflows += pg_atomic_read_u64(&s->arena_overflows);
	stats->scratch.overflow_bytes += pg_atomic_read_u64(&s->arena_overflow_bytes);
	stats->scratch.high_water = Max(stats->scratch.high_water,
									pg_atomic_read_u64(&s->arena_high_water));
	stats->verify.checked += pg_atomic_read_u64(&s->checked);
	stats->verify.divergences += pg_atomic_read_u64(&s->divergences);
	stats->verify.withdrawn += pg_atomic_read_u64(&s->withdrawn);
}

void
ek_stats_read(ek_stats *stats)
{
	ek_stats_flush();
	memset(stats, 0, sizeof(ek_stats));
	stats->cluster_wide = block != NULL;
	if (block == NULL)
	{
		stats->stats_reset = own_reset;
		add_stripe(stats, &own_stripe);
		return;
	}
	stats->stats_reset = (TimestampTz) pg_atomic_read_u64(&block->stats_reset);
	for (int i = 0; i < STRIPES; i++)
		add_stripe(stats, &block->stripes[i]);
}

/* What other backends add meanwhile may count before the reset or after it. */
void
ek_stats_reset(void)
{
	ek_stats_flush();
	if (block == NULL)
	{
		for_each_counter(&own_stripe, clear_counter);
		own_reset = GetCurrentTimestamp();
		return;
	}
	for_each_index_counter(block, clear_counter);
	for (int i = 0; i < STRIPES; i++)
		for_each_counter(&block->stripes[i], clear_counter);
	pg_atomic_write_u64(&block->stats_reset, (uint64) GetCurrentTimestamp());
}

static uint64
key_of_index(Oid index)
{
	return ((uint64) MyDatabaseId << 32) | index;
}

/*
 * The slot of an index, by linear probing, or the free one that it would claim;
 * NULL if there is no room.
 */
static index_slot *
find_index_slot(uint64 key)
{
	if (block == NULL)
		return NULL;
	for (int i = 0; i < EK_STATS_INDEXES; i++)
	{
		index_slot *slot = &block->indexes[(key + (key >> 32) * 31 + i) % EK_STATS_INDEXES];
		uint64		found = pg_atomic_read_u64(&slot->key);

		if (found == key || found == 0)
			return slot;
	}
	return NULL;
}

static index_slot *
claim_index_slot(uint64 key)
{
	for (;;)
	{
		index_slot *slot = find_index_slot(key);
		uint64		found = 0;

		if (slot == NULL ||
			pg_atomic_compare_exchange_u64(&slot->key, &found, key) || found == key)
			return slot;
		/* another index was quicker: this one's place is further on */
	}
}

void
ek_index_stats_add(Oid index, const ek_index_counts *counts)
{
	index_slot *slot;

	ensure_attached();
	slot = claim_index_slot(key_of_index(index));
	if (slot == NULL)
		return;
	pg_atomic_fetch_add_u64(&slot->scans, counts->scans);
	pg_atomic_fetch_add_u64(&slot->passes, counts->passes);
	pg_atomic_fetch_add_u64(&slot->coarse_codes, counts->coarse_codes);
	pg_atomic_fetch_add_u64(&slot->fine_codes, counts->fine_codes);
	pg_atomic_fetch_add_u64(&slot->returned, counts->returned);
	pg_atomic_fetch_add_u64(&slot->filtered, counts->filtered);
	pg_atomic_fetch_add_u64(&slot->passed, counts->passed);
}

bool
ek_index_stats_read(Oid index, ek_index_counts *counts)
{
	index_slot *slot;

	ensure_attached();
	memset(counts, 0, sizeof(ek_index_counts));
	slot = find_index_slot(key_of_index(index));
	if (slot == NULL)
		return false;
	if (pg_atomic_read_u64(&slot->key) != key_of_index(index))
		return true;
	counts->scans = pg_atomic_read_u64(&slot->scans);
	counts->passes = pg_atomic_read_u64(&slot->passes);
	counts->coarse_codes = pg_atomic_read_u64(&slot->coarse_codes);
	counts->fine_codes = pg_atomic_read_u64(&slot->fine_codes);
	counts->returned = pg_atomic_read_u64(&slot->returned);
	counts->filtered = pg_atomic_read_u64(&slot->filtered);
	counts->passed = pg_atomic_read_u64(&slot->passed);
	return true;
}

int
ek_stats_backend_count(void)
{
	ensure_attached();
	return block == NULL ? 1 : block->slot_count;
}

ek_stats_backend
ek_stats_read_backend(int i)
{
	ek_stats_backend backend = {MyProcPid, my_level, EK_VERSION_NUM};

	if (block == NULL)
		return backend;
	backend.pid = (int) pg_atomic_read_u32(&block->slots[i].pid);
	backend.level = (ek_level) pg_atomic_read_u32(&block->slots[i].level);
	backend.version = (int) pg_atomic_read_u32(&block->slots[i].version);
	return backend;
}

const char *
ek_operation_name(ek_operation operation)
{
	static const char *const names[EK_OPERATION_COUNT] = {
		[EK_COSINE] = "cosine",
		[EK_INNER_PRODUCT] = "inner_product",
		[EK_L2] = "l2",
		[EK_L1] = "l1",
		[EK_NORM] = "norm",
		[EK_COSINE_BATCH] = "cosine_batch",
		[EK_TOPK] = "topk",
		[EK_COSINE_MATRIX] = "cosine_matrix",
		[EK_NEAREST] = "nearest",
		[EK_KNN_JOIN] = "knn_join"
	};

	return names[operation];
}

const char *
ek_error_kind_name(ek_error_kind kind)
{
	static const char *const names[EK_ERROR_KIND_COUNT] = {
		[EK_ERROR_DIMENSIONS] = "dimensions",
		[EK_ERROR_NULLS] = "nulls",
		[EK_ERROR_NOT_FINITE] = "not finite",
		[EK_ERROR_ARENA] = "arena",
		[EK_ERROR_OTHER] = "other"
	};

	return names[kind];
}
