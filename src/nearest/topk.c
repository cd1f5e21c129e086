/*
 * topk.c
 *		engram_topk: the best of the candidates of one array.
 *
 * Most of what is offered to a long list is worse than the worst kept: one
 * comparison decides.  A candidate's distance is here its similarity with the
 * sign changed, which loses nothing, and its id is its ordinal.
 */
#include "postgres.h"

#include "miscadmin.h"

#include "base/arena.h"
#include "base/rows.h"
#include "nearest/nearest.h"
#include "vector/batch.h"


static void
offer_all(ek_neighbours *best, const double *similarity, int first, int count)
{
	for (int i = 0; i < count; i++)
	{
		ek_neighbour neighbour = {-similarity[i], ek_id_of_bigint(first + i + 1)};
		bool		kept;

		ek_neighbours_offer(best, best->capacity, neighbour, CurrentMemoryContext, &kept);
	}
}

/* The k best candidates, in the current memory context. */
static ek_neighbours
find_best(ek_vector vector, ek_candidates candidates, int k)
{
	const int	block = ek_batch_block(vector.dims);
	ek_neighbours best = {.capacity = Min(k, candidates.count)};
	ek_neighbours result;
	double	   *similarity;
	double	   *norm2;
	ek_query	query;
	ek_stats_call call;

	ek_arena_open();
	query = ek_batch_prepare(vector, "the query");
	similarity = ek_arena_alloc(sizeof(double) * block);
	norm2 = ek_arena_alloc(sizeof(double) * block);
	best.heap = ek_arena_alloc(sizeof(ek_neighbour) * (Size) best.capacity);
	call = ek_stats_begin();
	for (int first = 0; first < candidates.count; first += block)
	{
		int			count = Min(block, candidates.count - first);

		CHECK_FOR_INTERRUPTS();
		ek_batch_similarities(&query, candidates, first, count, similarity, norm2);
		offer_all(&best, similarity, first, count);
	}
	ek_neighbours_sort(&best);
	ek_batch_count(EK_TOPK, call, candidates, vector.dims);

	result = best;
	result.heap = MemoryContextAllocHuge(CurrentMemoryContext,
										 sizeof(ek_neighbour) * (Size) Max(best.count, 1));
	memcpy(result.heap, best.heap, sizeof(ek_neighbour) * (Size) best.count);
	ek_arena_close();
	return result;
}

static Datum
next_of_topk(FunctionCallInfo fcinfo, const ek_vector_type *type)
{
	FuncCallContext *funcctx;
	ek_neighbours *best;

	if (SRF_IS_FIRSTCALL())
	{
		const int	k = PG_GETARG_INT32(2);
		MemoryContext caller;
		ek_vector	query;
		ek_candidates candidates;

		ek_nearest_check_k(k);
		query = type->get(PG_GETARG_DATUM(0));
		candidates = type->get_candidates(PG_GETARG_DATUM(1), query.dims);

		funcctx = ek_begin_set(fcinfo, 0);
		caller = MemoryContextSwitchTo(funcctx->multi_call_memory_ctx);
		best = palloc(sizeof(ek_neighbours));
		*best = find_best(query, candidates, k);
		funcctx->user_fctx = best;
		funcctx->max_calls = best->count;
		MemoryContextSwitchTo(caller);
	}

	funcctx = SRF_PERCALL_SETUP();
	best = funcctx->user_fctx;
	if (funcctx->call_cntr < funcctx->max_calls)
	{
		const ek_neighbour *match = ek_neighbour_of_rank(best, (int) funcctx->call_cntr + 1);
		Datum		values[2] = {
			Int32GetDatum((int) ek_bigint_of_id(match->id)),
			Float8GetDatum(-match->distance)
		};

		SRF_RETURN_NEXT(funcctx, ek_make_row(funcctx->tuple_desc, values));
	}
	SRF_RETURN_DONE(funcctx);
}

/*
 * engram_topk(query real[], candidates real[], k integer)
 * returns table (ordinal integer, similarity double precision), and of vector and
 * vector[], and of halfvec and halfvec[]
 *
 * The k candidates most similar to the query, best first, ties by ordinal.
 * Ordinals count from 1.  Fewer rows if there are fewer candidates.
 */
EK_SQL_OF_TYPES(topk, next_of_topk(fcinfo, type));
