/*
 * reference.c
 *		The arithmetic contract, written down a second time.
 */
#include <stdlib.h>
#include <string.h>

#include "reference.h"

typedef struct running_sum
{
	volatile double lane[16];
} running_sum;

static void
start(running_sum *sum)
{
	for (int j = 0; j < 16; j++)
		sum->lane[j] = 0.0;
}

static void
add_term(running_sum *sum, size_t i, double term)
{
	volatile double before = sum->lane[i % 16];
	volatile double after = before + term;

	sum->lane[i % 16] = after;
}

/* Lane j to j + 8, j + 4, j + 2, j + 1. */
static double
finish(const running_sum *sum)
{
	volatile double eight[8];
	volatile double four[4];
	volatile double two[2];
	volatile double one;

	for (int j = 0; j < 8; j++)
		eight[j] = sum->lane[j] + sum->lane[j + 8];
	for (int j = 0; j < 4; j++)
		four[j] = eight[j] + eight[j + 4];
	for (int j = 0; j < 2; j++)
		two[j] = four[j] + four[j + 2];
	one = two[0] + two[1];
	return one;
}

static double
times(double x, double y)
{
	volatile double product = x * y;

	return product;
}

static double
minus(double x, double y)
{
	volatile double difference = x - y;

	return difference;
}

static double
magnitude(double x)
{
	volatile double negated = 0.0 - x;

	return x > 0.0 ? x : negated;
}

pair_sums
reference_sums(const float *a, const float *b, size_t n)
{
	running_sum dot;
	running_sum norm2_a;
	running_sum norm2_b;
	running_sum l2_squared;
	running_sum l1;
	pair_sums	sums;

	start(&dot);
	start(&norm2_a);
	start(&norm2_b);
	start(&l2_squared);
	start(&l1);
	for (size_t i = 0; i < n; i++)
	{
		volatile double x = a[i];
		volatile double y = b[i];
		volatile double difference = minus(x, y);

		add_term(&dot, i, times(x, y));
		add_term(&norm2_a, i, times(x, x));
		add_term(&norm2_b, i, times(y, y));
		add_term(&l2_squared, i, times(difference, difference));
		add_term(&l1, i, magnitude(difference));
	}
	sums.dot = finish(&dot);
	sums.norm2_a = finish(&norm2_a);
	sums.norm2_b = finish(&norm2_b);
	sums.l2_squared = finish(&l2_squared);
	sums.l1 = finish(&l1);
	sums.cosine.dot = sums.dot;
	sums.cosine.norm2_a = sums.norm2_a;
	sums.cosine.norm2_b = sums.norm2_b;
	return sums;
}

/* Steps of 4 bits and then of 2; in a step, four values at a time. */
static int64_t
reference_sum(const ek_bound_query *query, const uint8_t *group, size_t entry)
{
	const int8_t *weight = query->weights;
	int64_t		sum = 0;

	for (size_t step = 0; step < query->steps4 + query->steps2; step++)
	{
		const uint8_t *four = group + 64 * step + 4 * entry;
		const int	values = step < query->steps4 ? 16 : 4;

		for (int below = 1; below < 256; below *= values, weight += 8)
			for (int i = 0; i < 4; i++)
				sum += (int64_t) (256 * weight[i] + weight[4 + i]) * (four[i] / below % values);
	}
	return sum;
}

static float
reference_bound(const groups *groups, const uint8_t *group, size_t entry, size_t position)
{
	const uint32_t bits = (uint32_t) groups->residuals[position] << 16;
	volatile float sum = (float) reference_sum(&groups->query, group, entry);
	volatile float scaled = sum * groups->query.scale;
	volatile float residual = float_from_bits(bits) * groups->query.residual;
	volatile float both = scaled + residual;
	volatile float bound = both + groups->query.constant;

	if (groups->norms != NULL)
	{
		volatile float norm = groups->norms[position];
		volatile float decay = groups->query.decay * norm;
		volatile float less = bound - decay;

		bound = norm * less;
	}
	return bound;
}

void
reference_bounds(const groups *groups, float *bounds, uint16_t *masks)
{
	const size_t bytes = group_code_bytes(&groups->query);

	for (size_t g = 0; g < groups->count; g++)
	{
		masks[g] = 0;
		for (size_t entry = 0; entry < 16; entry++)
		{
			float		bound = reference_bound(groups, groups->codes + g * bytes, entry, 16 * g + entry);

			bounds[16 * g + entry] = bound;
			if (bound < groups->query.threshold)
				continue;
			masks[g] = (uint16_t) (masks[g] | 1 << entry);
		}
	}
}

bool
bounds_are_right(const ek_kernels *kernels, const groups *groups, ptrdiff_t ahead,
				 float *bounds, uint16_t *masks)
{
	float		expected[REFERENCE_MAX_GROUPS * 16];
	uint16_t	expected_masks[REFERENCE_MAX_GROUPS];

	if (groups->count > REFERENCE_MAX_GROUPS)
		abort();
	reference_bounds(groups, expected, expected_masks);
	kernels->bound_groups(&groups->query, groups->codes, groups->residuals, groups->norms,
						  groups->count, ahead, bounds, masks);
	return same_bounds(bounds, expected, groups->count * 16) &&
		memcmp(masks, expected_masks, groups->count * sizeof(uint16_t)) == 0;
}
