/*
 * vector.h
 *		From a Datum to floats and a count.
 *
 * vector: a one-dimensional real[] without nulls, all elements finite.
 * dimensions: its length, at least 1.
 * query: the one vector that is compared with many; candidate: one of those.
 *
 * Nothing here looks at the elements, except to say which is not finite after
 * a kernel's sum has shown that one is.
 */
#ifndef EK_VECTOR_H
#define EK_VECTOR_H

#include "base/compat.h"

/*
 * The floats belong to the array or, if that had to be detoasted, to the
 * current memory context.  Read only.
 */
typedef struct ek_vector
{
	const float *values;
	int			dims;
} ek_vector;

/* Candidates one after another, each with as many elements as the query. */
typedef struct ek_candidates
{
	const float *values;
	int			count;			/* can be 0 */
} ek_candidates;

/* Raises an error unless the array has the shape of a vector. */
extern ek_vector ek_vector_get(Datum array);

/* Is it a vector?  Never raises an error over what the array holds. */
extern bool ek_vector_is_valid(Datum array);

/*
 * A two-dimensional array with `dims` columns, a flat one whose length is a
 * multiple of `dims`, or an empty one.  Raises an error for anything else.
 */
extern ek_candidates ek_candidates_get(Datum array, int dims);

/* Several vectors of the same length, one after another. */
typedef struct ek_vectors
{
	const float *values;
	int			count;			/* can be 0; dims is 0 then */
	int			dims;
} ek_vectors;

/*
 * One vector, a two-dimensional array of some, or an empty one.  `owner` goes
 * into "%s must be a one- or two-dimensional array".
 */
extern ek_vectors ek_vectors_get(Datum array, const char *owner);

pg_noreturn extern void ek_raise_different_dimensions(int a, int b);

/*
 * For after a sum was not finite: raises the error that names the element, if
 * it is among these.  `owner` goes into "Element 3 of %s is NaN."
 */
extern void ek_vector_require_finite(const float *values, int dims,
									 const char *owner);

#endif							/* EK_VECTOR_H */
