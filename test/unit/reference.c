/*
 * reference.c
 *		The arithmetic contract, written down a second time.
 */
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
