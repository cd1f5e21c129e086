/*
 * batch.c
 *		One query compared with many candidates that lie one after another.
 */
#include "postgres.h"

#include <math.h>

#include "base/arena.h"
#include "vector/batch.h"
#include "vector/compute.h"

#define BLOCK_MAX_ROWS	256

int
ek_batch_block(int dims)
{
	return Max(1, Min(BLOCK_MAX_ROWS, EK_BLOCK_ELEMENTS / dims));
}

ek_query
ek_batch_prepare(ek_vector vector, const char *owner)
{
	ek_query	query = ek_prepare_query(vector, ek_arena_alloc(ek_query_size(vector.dims)));

	if (!isfinite(query.norm2))
		ek_vector_require_finite(vector.values, vector.dims, owner);
	return query;
}

void
ek_batch_similarities(const ek_query *query, ek_candidates candidates, int first,
					  int count, double *similarity, double *norm2)
{
	ek_rows		rows = {
		.first = candidates.values + (Size) first * query->dims,
		.count = count
	};

	ek_compute_cosine_rows(query, &rows, similarity, norm2);
	for (int i = 0; i < count; i++)
	{
		if (unlikely(!isfinite(norm2[i])))
			ek_vector_require_finite(rows.first + (Size) i * query->dims,
									 (int) query->dims,
									 psprintf("candidate %d", first + i + 1));
		similarity[i] = ek_cosine_similarity(similarity[i], query->norm2, norm2[i]);
	}
}

void
ek_batch_count(ek_operation operation, ek_stats_call call, ek_candidates candidates,
			   int dims)
{
	ek_stats_count(operation, call, candidates.count, (uint64) candidates.count * dims);
}
