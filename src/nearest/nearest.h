/*
 * nearest.h
 *		Many queries against a stream of vectors: the k nearest of each query.
 *
 * targets: the vectors of the stream, each with an id.  They are seen once and
 * need not fit in memory.  What is held has a budget of engramk.arena_size.
 */
#ifndef EK_NEAREST_H
#define EK_NEAREST_H

#include "base/metric.h"
#include "base/stats.h"
#include "nearest/neighbours.h"
#include "nearest/queries.h"
#include "vector/vector.h"

typedef struct ek_nearest ek_nearest;

/*
 * What streams of the same kind of targets learn, one after another: whether a
 * screen of shadows pays.  All zeros at first, but for the context of what is learnt.
 */
typedef struct ek_learnt
{
	MemoryContext context;
	uint64		targets;		/* so far, or since there are shadows */
	uint64		pairs;			/* compared, of those */
	uint64		survivors;		/* of the pairs */
	uint64		trials;			/* of shadows */
	struct ek_shadows *shadows;
} ek_learnt;

/* Raises an error for a name that is none. */
extern ek_metric ek_metric_of(const text *name);

/* Raises an error unless k is at least 1. */
extern void ek_nearest_check_k(int k);

/* What each query takes of the budget, its own vector and k neighbours included. */
extern Size ek_nearest_size_of_query(ek_metric metric, int dims, int k);

/* What of the budget is left for queries. */
extern Size ek_nearest_room_for_queries(int dims);

/*
 * Everything in the current memory context.  What is further away than max_distance,
 * which may be infinite, is nobody's neighbour.  With `own` ids, one a query, a target of
 * the query's own id is left out of its neighbours.  What was learnt may be NULL.
 */
extern ek_nearest *ek_nearest_create(const ek_queries *queries, int k, double max_distance,
									 const ek_id *own, ek_operation operation, ek_learnt *learnt);
/* Only to be combined with others: it has no queries, and takes no targets. */
extern ek_nearest *ek_nearest_create_empty(int count, int k, ek_metric metric,
										   uint64 identity, ek_operation operation);

/*
 * A target for some of the queries.  Ranges do not overlap unless they are the same.
 * Raises an error unless the vector has the queries' dimensions and is finite.
 */
extern void ek_nearest_add(ek_nearest *nearest, ek_id id, ek_vector vector, ek_range queries);
extern void ek_nearest_add_neighbour(ek_nearest *nearest, int query, ek_neighbour neighbour);

/* Takes over the neighbours of another stream, of the same queries. */
extern void ek_nearest_combine(ek_nearest *nearest, ek_nearest *other);

/* Computes what is pending. */
extern void ek_nearest_settle(ek_nearest *nearest);

/* Settles and sorts; can be called more than once. */
extern void ek_nearest_finish(ek_nearest *nearest);

extern const ek_neighbours *ek_nearest_neighbours(const ek_nearest *nearest, int query);
extern int	ek_nearest_query_count(const ek_nearest *nearest);
extern int	ek_nearest_k(const ek_nearest *nearest);
extern ek_metric ek_nearest_metric_in_use(const ek_nearest *nearest);
/* A number that differs, in all likelihood, between different queries. */
extern uint64 ek_nearest_identity(const ek_nearest *nearest);

#endif							/* EK_NEAREST_H */
