/*
 * stat_functions.c
 *		The SQL functions of the statistics, and of nothing else.
 *
 * They are behind the views engram_stat_*; whoever may read those is decided
 * by the privileges in the scripts.  One's own backend is up to date in them.
 */
#include "postgres.h"

#include "utils/builtins.h"

#include "base/rows.h"
#include "base/stats.h"

PG_FUNCTION_INFO_V1(ek_sql_stat_kernels);
PG_FUNCTION_INFO_V1(ek_sql_stat_arena);
PG_FUNCTION_INFO_V1(ek_sql_stat_errors);
PG_FUNCTION_INFO_V1(ek_sql_stat_verify);
PG_FUNCTION_INFO_V1(ek_sql_stat_backends);
PG_FUNCTION_INFO_V1(ek_sql_stat_info);
PG_FUNCTION_INFO_V1(ek_sql_stat_reset);

static ek_stats
current_stats(void)
{
	ek_stats	stats;

	ek_stats_publish();
	ek_stats_read(&stats);
	return stats;
}

/* A set of so many rows at most, of one reading of the statistics: user_fctx. */
static void
begin_stats_set(FunctionCallInfo fcinfo, int rows)
{
	FuncCallContext *funcctx = ek_begin_set(fcinfo, rows);
	ek_stats   *stats = MemoryContextAlloc(funcctx->multi_call_memory_ctx, sizeof(ek_stats));

	*stats = current_stats();
	funcctx->user_fctx = stats;
}

static Datum
seconds(uint64 nanoseconds)
{
	return Float8GetDatum((double) nanoseconds / 1e9);
}

/*
 * engram_stat_get_kernels()
 * returns table (operation text, level text, calls bigint, candidates bigint,
 *				  elements bigint, seconds double precision,
 *				  timed_elements bigint, slowest double precision)
 */
Datum
ek_sql_stat_kernels(PG_FUNCTION_ARGS)
{
	FuncCallContext *funcctx;

	if (SRF_IS_FIRSTCALL())
		begin_stats_set(fcinfo, EK_OPERATION_COUNT * EK_LEVEL_COUNT);

	funcctx = SRF_PERCALL_SETUP();
	while (funcctx->call_cntr < funcctx->max_calls)
	{
		ek_stats   *stats = funcctx->user_fctx;
		int			operation = (int) funcctx->call_cntr / EK_LEVEL_COUNT;
		ek_level	level = ek_level_priority[funcctx->call_cntr % EK_LEVEL_COUNT];
		ek_kernel_counts *counts = &stats->kernels[operation][level];
		Datum		values[8] = {
			CStringGetTextDatum(ek_operation_name((ek_operation) operation)),
			CStringGetTextDatum(ek_level_name(level)),
			Int64GetDatum((int64) counts->calls),
			Int64GetDatum((int64) counts->candidates),
			Int64GetDatum((int64) counts->elements),
			seconds(counts->nanoseconds),
			Int64GetDatum((int64) counts->timed_elements),
			seconds(counts->slowest)
		};

		/* a level of another architecture cannot have been used */
		if (ek_level_kernels(level) == NULL)
		{
			funcctx->call_cntr++;
			continue;
		}
		SRF_RETURN_NEXT(funcctx, ek_make_row(funcctx->tuple_desc, values));
	}
	SRF_RETURN_DONE(funcctx);
}

/*
 * engram_stat_get_arena()
 * returns record (resets bigint, overflows bigint, overflow_bytes bigint,
 *				   high_water bigint, overflow_rate double precision)
 */
Datum
ek_sql_stat_arena(PG_FUNCTION_ARGS)
{
	ek_stats	stats = current_stats();
	double		rate = stats.scratch.resets == 0 ? 0.0 :
		(double) stats.scratch.overflows / (double) stats.scratch.resets;
	Datum		values[5] = {
		Int64GetDatum((int64) stats.scratch.resets),
		Int64GetDatum((int64) stats.scratch.overflows),
		Int64GetDatum((int64) stats.scratch.overflow_bytes),
		Int64GetDatum((int64) stats.scratch.high_water),
		Float8GetDatum(rate)
	};

	PG_RETURN_DATUM(ek_make_single_row(fcinfo, values));
}

/*
 * engram_stat_get_errors() returns table (kind text, errors bigint)
 */
Datum
ek_sql_stat_errors(PG_FUNCTION_ARGS)
{
	FuncCallContext *funcctx;

	if (SRF_IS_FIRSTCALL())
		begin_stats_set(fcinfo, EK_ERROR_KIND_COUNT);

	funcctx = SRF_PERCALL_SETUP();
	if (funcctx->call_cntr < funcctx->max_calls)
	{
		const ek_stats *stats = funcctx->user_fctx;
		ek_error_kind kind = (ek_error_kind) funcctx->call_cntr;
		Datum		values[2] = {
			CStringGetTextDatum(ek_error_kind_name(kind)),
			Int64GetDatum((int64) stats->errors[kind])
		};

		SRF_RETURN_NEXT(funcctx, ek_make_row(funcctx->tuple_desc, values));
	}
	SRF_RETURN_DONE(funcctx);
}

/*
 * engram_stat_get_verify()
 * returns record (checked bigint, divergences bigint, withdrawn bigint)
 */
Datum
ek_sql_stat_verify(PG_FUNCTION_ARGS)
{
	ek_stats	stats = current_stats();
	Datum		values[3] = {
		Int64GetDatum((int64) stats.verify.checked),
		Int64GetDatum((int64) stats.verify.divergences),
		Int64GetDatum((int64) stats.verify.withdrawn)
	};

	PG_RETURN_DATUM(ek_make_single_row(fcinfo, values));
}

/*
 * engram_stat_get_backends()
 * returns table (pid integer, level text, version text)
 *
 * The backends that have loaded this library, or one with the same layout of
 * the statistics.
 */
Datum
ek_sql_stat_backends(PG_FUNCTION_ARGS)
{
	FuncCallContext *funcctx;

	if (SRF_IS_FIRSTCALL())
		ek_begin_set(fcinfo, ek_stats_backend_count());

	funcctx = SRF_PERCALL_SETUP();
	while (funcctx->call_cntr < funcctx->max_calls)
	{
		ek_stats_backend backend = ek_stats_read_backend((int) funcctx->call_cntr);
		Datum		values[3];

		if (backend.pid == 0)
		{
			funcctx->call_cntr++;
			continue;
		}
		values[0] = Int32GetDatum(backend.pid);
		values[1] = CStringGetTextDatum(ek_level_name(backend.level));
		values[2] = CStringGetTextDatum(psprintf("%d.%d", backend.version / 10000,
												 backend.version / 100 % 100));
		SRF_RETURN_NEXT(funcctx, ek_make_row(funcctx->tuple_desc, values));
	}
	SRF_RETURN_DONE(funcctx);
}

/*
 * engram_stat_get_info()
 * returns record (scope text, stats_reset timestamptz)
 *
 * scope is 'cluster', or 'backend' where there was no shared memory.
 */
Datum
ek_sql_stat_info(PG_FUNCTION_ARGS)
{
	ek_stats	stats = current_stats();
	Datum		values[2] = {
		CStringGetTextDatum(stats.cluster_wide ? "cluster" : "backend"),
		TimestampTzGetDatum(stats.stats_reset)
	};

	PG_RETURN_DATUM(ek_make_single_row(fcinfo, values));
}

/*
 * engram_stat_reset() returns void
 */
Datum
ek_sql_stat_reset(PG_FUNCTION_ARGS pg_attribute_unused())
{
	ek_stats_publish();
	ek_stats_reset();
	PG_RETURN_VOID();
}
