/*
 * queries.h
 *		Queries that are prepared once, for many targets.
 */
#ifndef EK_QUERIES_H
#define EK_QUERIES_H

#include "base/metric.h"
#include "nearest/screen.h"
#include "vector/operands.h"
#include "vector/vector.h"

typedef struct ek_queries
{
	ek_metric metric;
	ek_vectors	vectors;
	uint64		identity;
	Size		size;

	/* where few are compared exactly */
	ek_query   *prepared;		/* NULL if they are not prepared */

	/* where targets are screened */
	bool		screened;
	double	   *norm2;
	Size		stride;			/* of codes: dims rounded up to 4 */
	int8	   *codes;			/* of count rounded up to EK_CODE_QUERIES */
	ek_certificate *certificates;
	ek_factors *factors;
} ek_queries;

/* Queries from the first to before the end. */
typedef struct ek_range
{
	int			first;
	int			end;
} ek_range;

/* Of codes: dims rounded up to 4. */
static inline Size
ek_code_stride(int dims)
{
	return TYPEALIGN(4, (Size) dims);
}

static inline ek_vector
ek_query_vector(const ek_queries *queries, int q)
{
	return (ek_vector)
	{
		.values = queries->vectors.values + (Size) q * queries->vectors.dims,
		.dims = queries->vectors.dims
	};
}

/*
 * Prepares the queries, in the current memory context; it keeps a pointer to
 * their values.  Raises an error unless they are finite.
 */
extern ek_queries *ek_queries_create(ek_metric metric, ek_vectors vectors);

/* `codes` has room for dims rounded up to EK_LANES, and to the stride. */
extern ek_certificate ek_encode_row(ek_vector vector, double norm, int most, int8 *codes);

#endif							/* EK_QUERIES_H */
