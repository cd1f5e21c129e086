/*
 * functions.h
 *		Distances of a pair, as the operators of real[] compute them.
 */
#ifndef EK_FUNCTIONS_H
#define EK_FUNCTIONS_H

#include "vector/vector.h"

/* Of arguments 0 and 1, of this type.  Raises the errors of vectors that cannot be compared. */
typedef double (*ek_pair_distance) (FunctionCallInfo fcinfo, const ek_vector_type *type);

extern double ek_cosine_distance(FunctionCallInfo fcinfo, const ek_vector_type *type);
extern double ek_negative_inner_product(FunctionCallInfo fcinfo, const ek_vector_type *type);
extern double ek_l2_distance(FunctionCallInfo fcinfo, const ek_vector_type *type);

/* Raises an error if it is NaN, which is neither less than a distance nor more. */
extern void ek_require_radius(double radius);

#endif							/* EK_FUNCTIONS_H */
