/*
 * batch.h
 *		One query compared with many candidates that lie one after another.
 *
 * A batch is walked in blocks, and whoever walks it looks for a cancel request
 * between two of them.  Scratch memory is the arena's, which the caller opens.
 */
#ifndef EK_BATCH_H
#define EK_BATCH_H

#include "base/stats.h"
#include "simd/ek_simd.h"
#include "vector/vector.h"

/* How much is read between two looks for a cancel request. */
#define EK_BLOCK_ELEMENTS	(256 * 1024)

/* The candidates of a block. */
extern int	ek_batch_block(int dims);

/*
 * Prepares the query in the arena.  Raises an error unless it is finite; `owner`
 * names it there.
 */
extern ek_query ek_batch_prepare(ek_vector vector, const char *owner);

/*
 * The cosine similarities of `count` candidates, at most a block, from the
 * `first` on.  `norm2` is room for as many.  Raises an error unless they are
 * finite.
 */
extern void ek_batch_similarities(const ek_query *query, ek_candidates candidates,
								  int first, int count, double *similarity,
								  double *norm2);

/* This call has compared all of them. */
extern void ek_batch_count(ek_operation operation, ek_stats_call call,
						   ek_candidates candidates, int dims);

#endif							/* EK_BATCH_H */
