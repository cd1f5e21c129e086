/*
 * float_sums.c
 *		The distances of a pair as an operator may compute them that sums in float, in an
 *		order of which nobody knows.
 */
#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <stddef.h>

#include "float_sums.h"

#define MOST_LANES	32

typedef enum sum_order
{
	FORWARD,
	BACKWARD,
	BY_HALVES,
	LANES_4,
	LANES_8,
	LANES_16,
	LANES_32,
	ORDER_COUNT
} sum_order;

/* How a sum of products is computed. */
typedef struct way
{
	sum_order	order;
	bool		fused;
	bool		flushes;		/* what is not normal is zero */
	bool		differences;	/* the squares of x - q, and not x times q */
} way;

/* What the ways give that give a number, at least and at most. */
typedef struct range
{
	float		least;
	float		most;
} range;

static float
flushed(const way *w, float value)
{
	return w->flushes && fabsf(value) < FLT_MIN ? 0.0f : value;
}

static void
factors_of(const way *w, float x, float q, float *a, float *b)
{
	*a = flushed(w, x);
	*b = flushed(w, q);
	if (w->differences)
		*a = *b = flushed(w, *a - *b);
}

static float
add_product(const way *w, float sum, float x, float q)
{
	float		a;
	float		b;

	factors_of(w, x, q, &a, &b);
	if (w->fused)
		return flushed(w, fmaf(a, b, sum));
	return flushed(w, sum + flushed(w, a * b));
}

static float
sum_by_halves(const way *w, const float *x, const float *q, int n)
{
	if (n == 1)
		return add_product(w, 0.0f, *x, *q);
	return flushed(w, sum_by_halves(w, x, q, n / 2) + sum_by_halves(w, x + n / 2, q + n / 2, n - n / 2));
}

/* Whole rounds of lanes, which are joined by halves, and then what is left. */
static float
sum_in_lanes(const way *w, const float *x, const float *q, int n, int lanes)
{
	const int	rounds = n / lanes * lanes;
	float		sums[MOST_LANES] = {0};

	for (int i = 0; i < rounds; i++)
		sums[i % lanes] = add_product(w, sums[i % lanes], x[i], q[i]);
	for (; lanes > 1; lanes /= 2)
	{
		for (int i = 0; i < lanes / 2; i++)
			sums[i] = flushed(w, sums[i] + sums[i + lanes / 2]);
	}
	for (int i = rounds; i < n; i++)
		sums[0] = add_product(w, sums[0], x[i], q[i]);
	return sums[0];
}

static float
sum_in_order(const way *w, const float *x, const float *q, int n)
{
	float		sum = 0.0f;

	switch (w->order)
	{
		case FORWARD:
			for (int i = 0; i < n; i++)
				sum = add_product(w, sum, x[i], q[i]);
			return sum;
		case BACKWARD:
			for (int i = n - 1; i >= 0; i--)
				sum = add_product(w, sum, x[i], q[i]);
			return sum;
		case BY_HALVES:
			return sum_by_halves(w, x, q, n);
		default:
			return sum_in_lanes(w, x, q, n, 4 << (w->order - LANES_4));
	}
}

static range
sum_in_all_ways(const float *x, const float *q, int n, bool differences)
{
	range		r = {INFINITY, -INFINITY};

	for (int i = 0; i < ORDER_COUNT * 4; i++)
	{
		const way	w = {(sum_order) (i / 4), (i & 1) != 0, (i & 2) != 0, differences};
		const float sum = sum_in_order(&w, x, q, n);

		/* which is false of what is not a number */
		if (sum < r.least)
			r.least = sum;
		if (sum > r.most)
			r.most = sum;
	}
	return r;
}

/* Of sums that are at one end of what they may be. */
static double
cosine_distance(float dot, float norm2_x, float norm2_q)
{
	const double similarity = (double) dot / sqrt((double) norm2_x * (double) norm2_q);

	if (isnan(similarity))
		return INFINITY;
	return 1.0 - fmax(-1.0, fmin(1.0, similarity));
}

static double
least_cosine_distance(const float *x, const float *q, int n)
{
	const range dot = sum_in_all_ways(x, q, n, false);
	const range norm2_x = sum_in_all_ways(x, x, n, false);
	const range norm2_q = sum_in_all_ways(q, q, n, false);
	double		least = INFINITY;

	for (int i = 0; i < 8; i++)
		least = fmin(least, cosine_distance((i & 1) != 0 ? dot.most : dot.least,
											(i & 2) != 0 ? norm2_x.most : norm2_x.least,
											(i & 4) != 0 ? norm2_q.most : norm2_q.least));
	return least;
}

double
least_in_floats(ek_metric metric, const float *x, const float *q, int n)
{
	switch (metric)
	{
		case EK_METRIC_COSINE:
			return least_cosine_distance(x, q, n);
		case EK_METRIC_INNER_PRODUCT:
			return -(double) sum_in_all_ways(x, q, n, false).most;
		default:
			return sqrt((double) sum_in_all_ways(x, q, n, true).least);
	}
}
