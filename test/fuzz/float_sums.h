/*
 * float_sums.h
 *		The distances of a pair as an operator may compute them that sums in float, in an
 *		order of which nobody knows.
 */
#ifndef FLOAT_SUMS_H
#define FLOAT_SUMS_H

#include "base/metric.h"

/*
 * The least that any of many orders gives: forward and backward, by halves, in 4, 8, 16
 * and 32 lanes, products rounded or fused, numbers that are too small kept or taken for
 * zero; where there are several sums, each in an order of its own.  What is not a number
 * comes after all others, and counts as infinite.
 */
extern double least_in_floats(ek_metric metric, const float *x, const float *q, int n);

#endif							/* FLOAT_SUMS_H */
