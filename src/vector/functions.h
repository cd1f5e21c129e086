/*
 * functions.h
 *		Functions of a pair that others call as the operators do.
 */
#ifndef EK_FUNCTIONS_H
#define EK_FUNCTIONS_H

#include "fmgr.h"

extern Datum ek_sql_cosine_distance(PG_FUNCTION_ARGS);
extern Datum ek_sql_negative_inner_product(PG_FUNCTION_ARGS);
extern Datum ek_sql_l2_distance(PG_FUNCTION_ARGS);

/* Raises an error if it is NaN, which is neither less than a distance nor more. */
extern void ek_require_radius(double radius);

#endif							/* EK_FUNCTIONS_H */
