/*
 * test_hostile.c
 *		Is "the sum is not finite" the same fact as "an element was not"?
 *
 * Callers check the sums and never the elements, so this must hold for every
 * sum that the bad element enters, wherever it stands and whatever it meets:
 * infinity against zero, or against the opposite infinity, included.
 */
#include <float.h>
#include <math.h>
#include <string.h>

#include "support.h"
#include "tap.h"

#define MAX_DIMS	67			/* four whole sixteens and a tail */
#define LONG_DIMS	4099

/* Quiet and signalling NaN of either sign, and the infinities, as bits. */
static const uint32_t bad_bits[] = {
	0x7fc00000, 0xffc00000, 0x7f800001, 0xff800001, 0x7fffffff,
	0x7f800000, 0xff800000
};

#define BAD_COUNT	(sizeof(bad_bits) / sizeof(bad_bits[0]))

/* What surrounds it; the last two are bad themselves. */
static const uint32_t company_bits[] = {
	0x00000000, 0x80000000, 0x3f800000, 0x00000001, 0x7f7fffff, 0xff7fffff,
	0x7f800000, 0xff800000
};

#define COMPANY_COUNT	(sizeof(company_bits) / sizeof(company_bits[0]))
#define GOOD_COMPANY_COUNT	(COMPANY_COUNT - 2)

/* As bits: an assignment of floats may make a signalling NaN quiet. */
static void
set_bits(float *element, uint32_t bits)
{
	memcpy(element, &bits, sizeof(bits));
}

static void
fill_bits(float *vector, size_t n, uint32_t bits)
{
	for (size_t i = 0; i < n; i++)
		set_bits(vector + i, bits);
}

static bool
all_finite(const pair_sums *sums)
{
	return isfinite(sums->dot) && isfinite(sums->norm2_a) &&
		isfinite(sums->norm2_b) && isfinite(sums->l2_squared) &&
		isfinite(sums->l1) && isfinite(sums->cosine.dot) &&
		isfinite(sums->cosine.norm2_a) && isfinite(sums->cosine.norm2_b);
}

/* a holds the bad element */
static bool
none_finite(const pair_sums *sums)
{
	return !isfinite(sums->dot) && !isfinite(sums->norm2_a) &&
		!isfinite(sums->l2_squared) && !isfinite(sums->l1) &&
		!isfinite(sums->cosine.dot) && !isfinite(sums->cosine.norm2_a);
}

/* b holds the bad element */
static bool
none_finite_swapped(const pair_sums *sums)
{
	return !isfinite(sums->dot) && !isfinite(sums->norm2_b) &&
		!isfinite(sums->l2_squared) && !isfinite(sums->l1) &&
		!isfinite(sums->cosine.dot) && !isfinite(sums->cosine.norm2_b);
}

static void
put_three(float *rows, const float *outer, const float *middle, size_t n)
{
	memcpy(rows, outer, n * sizeof(float));
	memcpy(rows + n, middle, n * sizeof(float));
	memcpy(rows + 2 * n, outer, n * sizeof(float));
}

/* The middle one of three rows holds it: the others must not notice. */
static bool
rows_agree(const ek_kernels *kernels, const float *bad, const float *good,
		   size_t n)
{
	float		three[3 * MAX_DIMS];
	ek_rows		rows = {.first = three, .count = 3};
	ek_query	query = make_query(kernels, good, n);
	row_sums	sums[3];
	bool		agree;

	put_three(three, good, bad, n);
	sums_of_rows(kernels, &query, &rows, sums);
	free_query(&query);
	agree = !isfinite(sums[1].dot) && !isfinite(sums[1].l2_squared) && !isfinite(sums[1].l1) &&
		!isfinite(sums[1].cosine_dot) && !isfinite(sums[1].cosine_norm2);
	for (size_t r = 0; r < 3; r += 2)
		agree &= isfinite(sums[r].dot) && isfinite(sums[r].l2_squared) && isfinite(sums[r].l1) &&
			isfinite(sums[r].cosine_dot) && isfinite(sums[r].cosine_norm2);
	return agree;
}

/* The query holds it: no row escapes, and the query's norm says so too. */
static bool
query_agrees(const ek_kernels *kernels, const float *bad, const float *good,
			 size_t n)
{
	float		three[3 * MAX_DIMS];
	ek_rows		rows = {.first = three, .count = 3};
	ek_query	query = make_query(kernels, bad, n);
	row_sums	sums[3];
	bool		agree = !isfinite(query.norm2);

	put_three(three, good, good, n);
	sums_of_rows(kernels, &query, &rows, sums);
	free_query(&query);
	for (size_t r = 0; r < 3; r++)
		agree &= !isfinite(sums[r].dot) && !isfinite(sums[r].l2_squared) &&
			!isfinite(sums[r].l1) && !isfinite(sums[r].cosine_dot);
	return agree;
}

static void
test_bad_element_anywhere(const ek_kernels *kernels)
{
	bool		pairs = true;
	bool		rows = true;

	for (size_t n = 1; n <= MAX_DIMS; n += n < 33 ? 1 : 17)
	{
		for (size_t c = 0; c < COMPANY_COUNT; c++)
		{
			float		bad[MAX_DIMS];
			float		good[MAX_DIMS];

			fill_bits(good, n, company_bits[c]);
			for (size_t i = 0; i < n * BAD_COUNT; i++)
			{
				pair_sums	sums;

				fill_bits(bad, n, company_bits[c % GOOD_COMPANY_COUNT]);
				set_bits(bad + i / BAD_COUNT, bad_bits[i % BAD_COUNT]);
				sums = sums_of_pair(kernels, bad, good, n);
				pairs &= none_finite(&sums);
				sums = sums_of_pair(kernels, good, bad, n);
				pairs &= none_finite_swapped(&sums);
				sums = sums_of_pair(kernels, bad, bad, n);
				pairs &= none_finite(&sums) && none_finite_swapped(&sums);
				if (c < GOOD_COMPANY_COUNT)
					rows &= rows_agree(kernels, bad, good, n) &&
						query_agrees(kernels, bad, good, n);
			}
		}
	}
	tap_ok(pairs, "%s: NaN or infinity anywhere makes every sum of the pair not finite",
		   kernels->name);
	tap_ok(rows, "%s: NaN or infinity in a row or in the query shows in its rows and no other",
		   kernels->name);
}

/* Two bad elements must not cancel out, in one lane or in the tree. */
static void
test_bad_elements_do_not_cancel(const ek_kernels *kernels)
{
	bool		shows = true;

	for (size_t i = 0; i < 2 * EK_LANES; i++)
	{
		for (size_t j = 0; j < 2 * EK_LANES; j++)
		{
			float		bad[2 * EK_LANES];
			float		good[2 * EK_LANES];
			pair_sums	sums;

			fill_bits(bad, 2 * EK_LANES, 0x3f800000);
			fill_bits(good, 2 * EK_LANES, 0x3f800000);
			set_bits(bad + i, 0x7f800000);
			set_bits(bad + j, 0xff800000);
			sums = sums_of_pair(kernels, bad, good, 2 * EK_LANES);
			shows &= none_finite(&sums);
		}
	}
	tap_ok(shows, "%s: infinities of opposite signs do not cancel out",
		   kernels->name);
}

static void
test_finite_stays_finite(const ek_kernels *kernels)
{
	static float a[LONG_DIMS];
	static float b[LONG_DIMS];
	generator	random = {7};
	bool		finite = true;

	for (size_t c = 0; c < GOOD_COMPANY_COUNT; c++)
	{
		for (size_t d = 0; d < GOOD_COMPANY_COUNT; d++)
		{
			pair_sums	sums;

			fill_bits(a, LONG_DIMS, company_bits[c]);
			fill_bits(b, LONG_DIMS, company_bits[d]);
			sums = sums_of_pair(kernels, a, b, LONG_DIMS);
			finite &= all_finite(&sums);
		}
	}
	for (int round = 0; round < 200; round++)
	{
		pair_sums	sums;

		fill_vector(&random, NATURE_ANY_BITS, a, LONG_DIMS);
		fill_vector(&random, NATURE_EXTREMES, b, LONG_DIMS);
		sums = sums_of_pair(kernels, a, b, LONG_DIMS);
		finite &= all_finite(&sums);
	}
	tap_ok(finite, "%s: sums of finite elements are finite", kernels->name);
}

/* Exact, since a power of two times a small count is. */
static void
test_extremes_have_their_exact_sums(const ek_kernels *kernels)
{
	float		tiny[48];
	float		huge[48];
	float		zero[48];
	pair_sums	sums;

	fill_bits(tiny, 48, 0x00000001);	/* 2^-149 */
	fill_bits(huge, 48, 0x7f000000);	/* 2^127 */
	fill_bits(zero, 48, 0);

	sums = sums_of_pair(kernels, tiny, huge, 48);
	tap_ok(sums.dot == 48 * 0x1p-22 && sums.norm2_a == 48 * 0x1p-298 &&
		   sums.norm2_b == 48 * 0x1p254 && sums.l2_squared == 48 * 0x1p254 &&
		   sums.l1 == 48 * 0x1p127,
		   "%s: the smallest denormal against 2^127", kernels->name);
	sums = sums_of_pair(kernels, tiny, zero, 48);
	tap_ok(sums.dot == 0.0 && sums.norm2_a == 48 * 0x1p-298 &&
		   sums.norm2_b == 0.0 && sums.l2_squared == 48 * 0x1p-298 &&
		   sums.l1 == 48 * 0x1p-149,
		   "%s: the smallest denormal is not zero", kernels->name);
}

int
main(void)
{
	level_list	levels = runnable_levels();

	for (size_t i = 0; i < levels.count; i++)
	{
		test_bad_element_anywhere(levels.kernels[i]);
		test_bad_elements_do_not_cancel(levels.kernels[i]);
		test_finite_stays_finite(levels.kernels[i]);
		test_extremes_have_their_exact_sums(levels.kernels[i]);
	}
	return tap_finish();
}
