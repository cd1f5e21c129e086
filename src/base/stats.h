/*
 * stats.h
 *		What was computed, cluster-wide: counters that every backend adds to.
 *
 * Counting is cheap enough to be always on: a call adds to this backend's own
 * pending counters, and every EK_STATS_FLUSH_CALLS calls, and at the end of
 * each transaction, those are added to shared memory.  So the views lag by at
 * most that much of each backend; one's own backend does not lag.
 *
 * Nothing here locks after the first use, and nothing raises an error.
 */
#ifndef EK_STATS_H
#define EK_STATS_H

#include "portability/instr_time.h"
#include "utils/timestamp.h"

#include "base/guc.h"
#include "base/level.h"
#include "base/scratch.h"
#include "simd/ek_simd.h"

/* The version of this library, as engram_stat_backends shows it. */
#define EK_VERSION_NUM	10900

#define EK_STATS_FLUSH_CALLS	64

/* What SQL asked for, as engram_stat_kernels names it. */
typedef enum ek_operation
{
	EK_COSINE,
	EK_INNER_PRODUCT,
	EK_L2,
	EK_L1,
	EK_NORM,
	EK_COSINE_BATCH,
	EK_TOPK,
	EK_COSINE_MATRIX,
	EK_NEAREST,
	EK_KNN_JOIN
} ek_operation;

#define EK_OPERATION_COUNT	10

typedef enum ek_error_kind
{
	EK_ERROR_DIMENSIONS,
	EK_ERROR_NULLS,
	EK_ERROR_NOT_FINITE,
	EK_ERROR_ARENA,
	EK_ERROR_OTHER
} ek_error_kind;

#define EK_ERROR_KIND_COUNT	5

/* Of one operation at one level. */
typedef struct ek_kernel_counts
{
	uint64		calls;
	uint64		candidates;
	uint64		elements;
	uint64		timed_elements; /* those that nanoseconds is about */
	uint64		nanoseconds;
	uint64		slowest;		/* of a single call, in nanoseconds */
} ek_kernel_counts;

typedef struct ek_verify_counts
{
	uint64		checked;
	uint64		divergences;
	uint64		withdrawn;
} ek_verify_counts;

/* Of the scans of one index. */
typedef struct ek_index_counts
{
	uint64		scans;
	uint64		passes;			/* over the coarse codes */
	uint64		coarse_codes;	/* read */
	uint64		fine_codes;		/* read, for what survived the coarse ones */
	uint64		returned;		/* rows given to the executor to re-rank */
	uint64		filtered;		/* entries whose filter codes were read */
	uint64		passed;			/* of those */
} ek_index_counts;

/* Scans of more indexes than this, in all databases, are not counted. */
#define EK_STATS_INDEXES	4096

/* A snapshot; each number is exact, but they are read one after another. */
typedef struct ek_stats
{
	bool		cluster_wide;	/* else of this backend only */
	TimestampTz stats_reset;
	ek_kernel_counts kernels[EK_OPERATION_COUNT][EK_LEVEL_COUNT];
	uint64		errors[EK_ERROR_KIND_COUNT];
	ek_scratch_counts scratch;
	ek_verify_counts verify;
} ek_stats;

/* A backend that has loaded this library. */
typedef struct ek_stats_backend
{
	int			pid;			/* 0 if there is none in this place */
	ek_level	level;
	int			version;
} ek_stats_backend;

extern void ek_stats_init(void);

extern void ek_stats_count_error(ek_error_kind kind);
extern void ek_stats_count_checked(void);
/* A level gave a wrong result, and is withdrawn. */
extern void ek_stats_count_divergence(void);
extern void ek_stats_show_level(ek_level level);

/* Adds what this backend has counted to shared memory: its calls; all. */
extern void ek_stats_flush(void);
extern void ek_stats_publish(void);
extern void ek_stats_read(ek_stats *stats);
extern void ek_stats_reset(void);
extern int	ek_stats_backend_count(void);
extern ek_stats_backend ek_stats_read_backend(int i);

extern void ek_index_stats_add(Oid index, const ek_index_counts *counts);
/* Of an index of this database; false if there is no room to count it. */
extern bool ek_index_stats_read(Oid index, ek_index_counts *counts);

extern const char *ek_operation_name(ek_operation operation);
extern const char *ek_error_kind_name(ek_error_kind kind);

/* This backend's, not yet in shared memory. */
extern ek_kernel_counts ek_stats_pending[EK_OPERATION_COUNT][EK_LEVEL_COUNT];
extern int	ek_stats_pending_calls;

/* What is known of a call when it begins. */
typedef struct ek_stats_call
{
	ek_level	level;			/* it may be withdrawn before the call ends */
	instr_time	start;			/* zero if nobody wants to know */
} ek_stats_call;

extern void ek_stats_count_time(ek_kernel_counts *counts, uint64 elements,
								instr_time start);

/* Reads the clock only if somebody wants to know. */
static inline ek_stats_call
ek_stats_begin(void)
{
	ek_stats_call call = {.level = ek_kernels_in_use()->level};

	INSTR_TIME_SET_ZERO(call.start);
	if (unlikely(ek_track_timing))
		INSTR_TIME_SET_CURRENT(call.start);
	return call;
}

/* This call has compared `candidates` vectors, `elements` floats in all. */
static inline void
ek_stats_count(ek_operation operation, ek_stats_call call,
			   uint64 candidates, uint64 elements)
{
	ek_kernel_counts *counts = &ek_stats_pending[operation][call.level];

	counts->calls++;
	counts->candidates += candidates;
	counts->elements += elements;
	if (unlikely(!INSTR_TIME_IS_ZERO(call.start)))
		ek_stats_count_time(counts, elements, call.start);
	if (unlikely(++ek_stats_pending_calls >= EK_STATS_FLUSH_CALLS))
		ek_stats_flush();
}

#endif							/* EK_STATS_H */
