/*
 * screen.c
 *		What tells that a target is farther from a query than its k-th neighbour.
 *
 * What is skipped is proven to be farther.  Let c be the real cosine of the query
 * and the target, t and s the scales of their codes, L the length of the query's
 * decoded code from above, r and e the residuals of target and query
 * (docs/exact-index.md):
 *
 *		c <= U = t * s * <codes> + L * r + e
 *
 * A target whose distance, as computed, is at most that of the k-th neighbour,
 * kth, satisfies the following, where x and q are the norms, and slack is
 * several times eta, which stands for all rounding:
 *
 *		cosine			U + slack >= 1 - kth
 *		inner product	x * q * (U + slack) >= -kth
 *		L2				2 * x * q * (U + slack) - x^2 * (1 - slack) >=
 *						q^2 * (1 - slack) - kth^2 * (1 + slack)
 *
 * Where codes of shadows are compared, tc and sd are what the codes stand for, and t',
 * s', r' and e' belong to their shadows, which are as long:
 *
 *		c <= <tc, sd> + r + e + r * e						since |tc| <= 1 + r
 *		<tc, sd> <= <their shadows>
 *				 <= t' * s' * <codes> + r' * (1 + e) + (1 + r + r') * e'
 *		c <= U = t' * s' * <codes> + (1 + e + e') * (r + r') + (e + e')
 *
 * Each is a sum of four products, of a factor of the query and one of the
 * target, and a number of the query: what the screen compares.  A zero vector
 * needs no rule of its own: its code, scale, residual and norm are 0, and the
 * inequalities hold for the distances that it has by definition.
 */
#include "postgres.h"

#include <math.h>

#include "base/certificate.h"
#include "nearest/screen.h"
#include "vector/encode.h"

/*
 * What floats add to U and take off x^2, in parts of the length factor and of x^2:
 * the kernel and the factors round some twenty times, a product of codes once more,
 * by 2^-24 of numbers that are a few times as large at most.  That is twice as much
 * as all of these.
 */
#define FLOAT_SLACK		(1.0 / (1 << 17))

/* Products of two factors and of the codes must stay far from float's limits. */
#define LEAST_FACTOR	(1.0 / ((int64) 1 << 40))
#define MOST_FACTOR		((double) ((int64) 1 << 50))

static double
slack_of(int dims)
{
	return 8.0 * ek_eta_of(dims);
}

ek_factors
ek_factors_of_query(ek_metric metric, int dims, double norm, double scale, double length,
					double residual)
{
	double		factor = 1.0;

	if (metric == EK_METRIC_INNER_PRODUCT)
		factor = norm;
	else if (metric == EK_METRIC_L2)
		factor = 2.0 * norm;
	return (ek_factors)
	{
		.dot = factor * scale,.length = factor * length,.one = factor * (residual + slack_of(dims))
	};
}

ek_factors
ek_factors_of_target(ek_metric metric, int dims, double norm2, double scale, double residual)
{
	const double norm = metric == EK_METRIC_COSINE ? 1.0 : sqrt(norm2);

	return (ek_factors)
	{
		.dot = norm * scale,.length = norm * residual,.one = norm,
			.off = metric == EK_METRIC_L2 ? norm2 * (1.0 - slack_of(dims)) : 0.0
	};
}

ek_factors
ek_factors_of_query_shadow(ek_metric metric, int dims, double norm, ek_certificate codes,
						   ek_certificate shadow)
{
	const double residual = (double) codes.residual + shadow.residual;

	return ek_factors_of_query(metric, dims, norm, shadow.scale, 1.0 + residual, residual);
}

ek_factors
ek_factors_of_target_shadow(ek_metric metric, int dims, double norm2, ek_certificate codes,
							ek_certificate shadow)
{
	return ek_factors_of_target(metric, dims, norm2, shadow.scale,
								(double) codes.residual + shadow.residual);
}

double
ek_needed_reach(ek_metric metric, int dims, double norm2, double kth)
{
	const double slack = slack_of(dims);

	switch (metric)
	{
		case EK_METRIC_COSINE:
			return 1.0 - kth;
		case EK_METRIC_INNER_PRODUCT:
			return -kth;
		case EK_METRIC_L2:
			return norm2 * (1.0 - slack) - kth * kth * (1.0 + slack);
		case EK_METRIC_L1:
			break;
	}
	return -INFINITY;
}

static inline bool
is_for_floats(double factor)
{
	return factor == 0.0 || (factor >= LEAST_FACTOR && factor <= MOST_FACTOR);
}

/* The length is the factor of the metric, but for a few parts in a hundred. */
void
ek_screen_set_query(ek_screen_query *screen, const ek_factors *factors)
{
	const bool	usable = is_for_floats(factors->length);

	*screen = (ek_screen_query)
	{
		.dot = usable ? (float) factors->dot : NAN,
			.length = ek_float_above(factors->length),
			.one = ek_float_above(factors->one * (1.0 + FLOAT_SLACK) +
								  factors->length * FLOAT_SLACK),
			.need = -INFINITY
	};
}

void
ek_screen_set_need(ek_screen_query *screen, double need)
{
	screen->need = -ek_float_above(-need);
}

void
ek_screen_set_target(ek_screen_tile *tile, int lane, const ek_factors *factors)
{
	const bool	usable = is_for_floats(factors->one);

	tile->dot[lane] = usable ? (float) factors->dot : NAN;
	tile->length[lane] = ek_float_above(factors->length);
	tile->one[lane] = ek_float_above(factors->one);
	tile->off[lane] = -ek_float_above(-factors->off * (1.0 - FLOAT_SLACK));
}
