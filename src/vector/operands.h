/*
 * operands.h
 *		The two vectors of an operator's call, one of them perhaps prepared.
 */
#ifndef EK_OPERANDS_H
#define EK_OPERANDS_H

#include "fmgr.h"

#include "simd/ek_simd.h"
#include "vector/vector.h"

/*
 * A prepared query stands for either argument: every operation on a pair
 * gives the same bits when its arguments change places.
 */
typedef struct ek_operands
{
	const ek_query *query;		/* finite; NULL if neither is prepared */
	int			query_argument; /* which argument it is, 0 or 1 */
	ek_vector	vector;			/* what is compared with the query; or a */
	ptrdiff_t	ahead;			/* of ek_rows, if there is a query */
	ek_vector	other;			/* b; undefined if there is a query */
} ek_operands;

/*
 * Fetches arguments 0 and 1, of this type.  Raises an error unless both have the shape
 * of a vector and the same dimensions.
 */
extern ek_operands ek_operands_get(FunctionCallInfo fcinfo, const ek_vector_type *type);

/*
 * Prepares a query in ek_query_size(dims) bytes at `values`, aligned to
 * EK_ALIGNMENT; the caller tests whether its norm is finite.  The norm is
 * scalar's: it is taken once, and nothing verifies it later.
 */
extern ek_query ek_prepare_query(ek_vector vector, double *values);

#endif							/* EK_OPERANDS_H */
