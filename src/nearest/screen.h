/*
 * screen.h
 *		What tells that a target is farther from a query than its k-th neighbour.
 */
#ifndef EK_SCREEN_H
#define EK_SCREEN_H

#include "base/metric.h"
#include "simd/ek_simd.h"
#include "vector/encode.h"

/* Of a query, where off is 0, or of a target. */
typedef struct ek_factors
{
	double		dot;
	double		length;
	double		one;
	double		off;
} ek_factors;

/*
 * From the certificates of their codes: scale, residual, and for a query the length
 * of what its code stands for, from above.
 */
extern ek_factors ek_factors_of_query(ek_metric metric, int dims, double norm,
									  double scale, double length, double residual);
extern ek_factors ek_factors_of_target(ek_metric metric, int dims, double norm2,
									   double scale, double residual);

/*
 * The same when the codes are those of shadows (shadow.c), with a certificate of
 * their own.
 */
extern ek_factors ek_factors_of_query_shadow(ek_metric metric, int dims, double norm,
											 ek_certificate codes, ek_certificate shadow);
extern ek_factors ek_factors_of_target_shadow(ek_metric metric, int dims, double norm2,
											  ek_certificate codes, ek_certificate shadow);

/* What a target must reach to be as near as the k-th neighbour, or nearer. */
extern double ek_needed_reach(ek_metric metric, int dims, double norm2, double kth);

/* The product of two codes is `dot`. */
static inline double
ek_reach(const ek_factors *query, const ek_factors *target, int32 dot)
{
	return query->dot * target->dot * dot + query->length * target->length +
		(query->one * target->one - target->off);
}

/*
 * The same for a kernel, whose arithmetic is in float: none reaches less there.  Norms
 * that are not for floats make one that reaches everything, or is reached by all.
 */
extern void ek_screen_set_query(ek_screen_query *screen, const ek_factors *factors);
extern void ek_screen_set_need(ek_screen_query *screen, double need);
extern void ek_screen_set_target(ek_screen_tile *tile, int lane, const ek_factors *factors);

#endif							/* EK_SCREEN_H */
