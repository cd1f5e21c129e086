/*
 * test_exact.c
 *		How far are the sums from the exact ones?
 *
 * The exact sums are long integers (fixed.h).  The limit that the computed
 * ones must keep is not measured but proven:
 *
 * Let u = 2^-53 and k = ceil(n / 16), at least 1.  Each rounded operation
 * yields its exact result times 1 + d with |d| <= u: nothing overflows, and
 * nothing underflows, since every result is 0 or at least 2^-298.  A lane
 * starts from +0.0, so its first addition is exact and a term passes k - 1
 * rounded additions; the tree adds 4.  Before that, a term of
 *
 *		dot and norm2	is exact							(m = k + 3)
 *		L1				has its difference rounded, once	(m = k + 4)
 *		L2				has it rounded, which counts twice
 *						in the square, and the square too	(m = k + 6)
 *
 * So the computed sum is the sum of each exact term times at most m factors
 * 1 + d, whose product differs from 1 by at most (1 + u)^m - 1 <= mu / (1 - mu)
 * <= (m + 1) u, as long as m (m + 1) u <= 1, that is for n below 10^9.  Hence
 *
 *		|computed - exact| <= (m + 1) * 2^-53 * sum of |exact terms|
 *
 * which is compared in integers, after both sides are multiplied by 2^53.
 */
#include "fixed.h"
#include "support.h"
#include "tap.h"

#define MAX_DIMS	1600

typedef struct exact_sums
{
	fixed		dot;
	fixed		dot_magnitudes;
	fixed		norm2_a;
	fixed		norm2_b;
	fixed		l2_squared;
	fixed		l1;
} exact_sums;

static exact_sums
exact_sums_of(const float *a, const float *b, size_t n)
{
	exact_sums	sums = {fixed_zero, fixed_zero, fixed_zero, fixed_zero,
		fixed_zero, fixed_zero};

	for (size_t i = 0; i < n; i++)
	{
		const fixed product = fixed_product(a[i], b[i]);
		const fixed difference = fixed_subtract(fixed_product(a[i], 1.0f),
												fixed_product(b[i], 1.0f));

		sums.dot = fixed_add(sums.dot, product);
		sums.dot_magnitudes = fixed_add(sums.dot_magnitudes,
										fixed_magnitude(product));
		sums.norm2_a = fixed_add(sums.norm2_a, fixed_product(a[i], a[i]));
		sums.norm2_b = fixed_add(sums.norm2_b, fixed_product(b[i], b[i]));
		sums.l1 = fixed_add(sums.l1, fixed_magnitude(difference));
	}
	/* (x - y)^2 = x^2 - 2xy + y^2 holds in integers */
	sums.l2_squared = fixed_subtract(fixed_add(sums.norm2_a, sums.norm2_b),
									 fixed_add(sums.dot, sums.dot));
	return sums;
}

static bool
within(double computed, fixed exact, size_t roundings, fixed magnitudes)
{
	const fixed error = fixed_magnitude(fixed_subtract(fixed_from_double(computed),
													   exact));
	const fixed error_times_2_53 =
		fixed_times(fixed_times(error, UINT32_C(1) << 31), UINT32_C(1) << 22);

	return fixed_less_or_equal(error_times_2_53,
							   fixed_times(magnitudes, (uint32_t) roundings + 1));
}

static bool
all_within(const pair_sums *computed, const exact_sums *exact, size_t n)
{
	const size_t k = n > 0 ? (n + EK_LANES - 1) / EK_LANES : 1;

	return within(computed->dot, exact->dot, k + 3, exact->dot_magnitudes) &&
		within(computed->norm2_a, exact->norm2_a, k + 3, exact->norm2_a) &&
		within(computed->norm2_b, exact->norm2_b, k + 3, exact->norm2_b) &&
		within(computed->l1, exact->l1, k + 4, exact->l1) &&
		within(computed->l2_squared, exact->l2_squared, k + 6, exact->l2_squared);
}

static bool
all_equal(const pair_sums *computed, const exact_sums *exact)
{
	return fixed_equal(fixed_from_double(computed->dot), exact->dot) &&
		fixed_equal(fixed_from_double(computed->norm2_a), exact->norm2_a) &&
		fixed_equal(fixed_from_double(computed->norm2_b), exact->norm2_b) &&
		fixed_equal(fixed_from_double(computed->l1), exact->l1) &&
		fixed_equal(fixed_from_double(computed->l2_squared), exact->l2_squared);
}

/* The instrument before what it measures. */
static void
test_fixed(void)
{
	const fixed three = fixed_product(1.5f, 2.0f);
	const fixed tiny = fixed_product(0x1p-149f, 0x1p-149f);
	const fixed huge = fixed_product(0x1.fffffep127f, -0x1.fffffep127f);

	tap_ok(fixed_equal(three, fixed_from_double(3.0)) &&
		   fixed_equal(fixed_add(three, fixed_from_double(-3.0)), fixed_zero),
		   "exact arithmetic: 1.5 * 2 = 3");
	tap_ok(fixed_equal(tiny, fixed_from_double(0x1p-298)) &&
		   fixed_less_or_equal(tiny, three) && !fixed_less_or_equal(three, tiny) &&
		   fixed_less_or_equal(fixed_zero, tiny),
		   "exact arithmetic: the smallest product is there");
	tap_ok(fixed_equal(huge, fixed_from_double(-0x1.fffffc000002p255)) &&
		   fixed_less_or_equal(huge, fixed_zero) &&
		   !fixed_equal(fixed_add(huge, tiny), huge) &&
		   fixed_equal(fixed_subtract(fixed_add(huge, tiny), huge), tiny),
		   "exact arithmetic: the largest product does not swallow the smallest");
	tap_ok(within(1.0, fixed_from_double(1.0 + 0x1p-52), 1, fixed_from_double(1.0)) &&
		   !within(1.0, fixed_from_double(1.0 + 0x1.8p-51), 1, fixed_from_double(1.0)),
		   "exact arithmetic: the limit tells 2 roundings from 3");
}

static void
test_proven_limit(const ek_kernels *kernels)
{
	generator	random = {11};
	float		a[MAX_DIMS];
	float		b[MAX_DIMS];
	bool		keeps = true;

	for (int nature = 0; nature < NATURE_COUNT; nature++)
	{
		for (size_t n = 0; n <= MAX_DIMS; n += n < 70 ? 1 : 153)
		{
			pair_sums	computed;
			exact_sums	exact;

			fill_vector(&random, nature, a, n);
			fill_vector(&random, nature, b, n);
			computed = sums_of_pair(kernels, a, b, n);
			exact = exact_sums_of(a, b, n);
			if (all_within(&computed, &exact, n))
				continue;
			keeps = false;
			tap_note("nature %d, %zu dimensions", nature, n);
			note_pair_sums(kernels->name, &computed);
		}
	}
	tap_ok(keeps, "%s: every sum is within the proven limit of the exact one",
		   kernels->name);
}

/* Nearly equal vectors: the differences are rounded most where they matter. */
static void
test_near_vectors(const ek_kernels *kernels)
{
	generator	random = {12};
	float		a[MAX_DIMS];
	float		b[MAX_DIMS];
	bool		keeps = true;

	for (size_t n = 1; n <= MAX_DIMS; n += n < 70 ? 1 : 153)
	{
		pair_sums	computed;
		exact_sums	exact;

		fill_vector(&random, NATURE_WIDE, a, n);
		for (size_t i = 0; i < n; i++)
			b[i] = a[i] * (1.0f + 0x1p-20f * (float) random_below(&random, 9));
		computed = sums_of_pair(kernels, a, b, n);
		exact = exact_sums_of(a, b, n);
		keeps &= all_within(&computed, &exact, n);
	}
	tap_ok(keeps, "%s: so it is for nearly equal vectors", kernels->name);
}

static void
test_integers_are_exact(const ek_kernels *kernels)
{
	generator	random = {13};
	float		a[MAX_DIMS];
	float		b[MAX_DIMS];
	bool		equal = true;

	for (size_t n = 0; n <= MAX_DIMS; n += n < 70 ? 1 : 153)
	{
		pair_sums	computed;
		exact_sums	exact;

		fill_vector(&random, NATURE_INTEGERS, a, n);
		fill_vector(&random, NATURE_INTEGERS, b, n);
		computed = sums_of_pair(kernels, a, b, n);
		exact = exact_sums_of(a, b, n);
		equal &= all_equal(&computed, &exact);
	}
	tap_ok(equal, "%s: sums of small integers are exact", kernels->name);
}

int
main(void)
{
	level_list	levels = runnable_levels();

	test_fixed();
	for (size_t i = 0; i < levels.count; i++)
	{
		test_proven_limit(levels.kernels[i]);
		test_near_vectors(levels.kernels[i]);
		test_integers_are_exact(levels.kernels[i]);
	}
	return tap_finish();
}
