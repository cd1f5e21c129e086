/*
 * test_contract.c
 *		Does every level, scalar included, do the arithmetic of the contract?
 *
 * The judge is reference.c, which shares no code with simd/.  The bits stored
 * in the self-test are derived again here, vectors and all.
 */
#include <math.h>
#include <string.h>

#include "golden.h"
#include "reference.h"
#include "tap.h"

#define MAX_DIMS	600

/* (24-bit integer >> shift) * 2^(exponent + 0 .. spread - 1), in doubles */
static void
rederive_vector(const stored_case *stored, uint64_t state, float *vector)
{
	for (size_t i = 0; i < stored->dims; i++)
	{
		int64_t		integer;
		double		value;

		state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
		integer = (int64_t) (state >> 40);	/* the upper 24 bits, signed */
		if (integer >= INT64_C(1) << 23)
			integer -= INT64_C(1) << 24;
		value = floor((double) integer / (double) (1 << stored->shift));
		value *= pow(2.0, stored->exponent + (int) ((state >> 20) % 65536 % stored->spread));
		vector[i] = (float) value;
	}
}

static void
test_stored_bits(void)
{
	for (size_t i = 0; i < stored_case_count(); i++)
	{
		stored_case stored;
		float		a[GOLDEN_MAX_DIMS];
		float		b[GOLDEN_MAX_DIMS];
		pair_sums	sums;

		get_stored_case(i, &stored);
		rederive_vector(&stored, 5, a);
		rederive_vector(&stored, 6, b);
		tap_ok(memcmp(a, stored.a, stored.dims * sizeof(float)) == 0 &&
			   memcmp(b, stored.b, stored.dims * sizeof(float)) == 0,
			   "golden case %zu: the vectors follow from the recipe", i);

		sums = reference_sums(a, b, stored.dims);
		if (!tap_ok(same_bits(sums.dot, stored.dot) &&
					same_bits(sums.norm2_a, stored.norm2_a) &&
					same_bits(sums.norm2_b, stored.norm2_b) &&
					same_bits(sums.l2_squared, stored.l2_squared) &&
					same_bits(sums.l1, stored.l1),
					"golden case %zu: the stored bits are those of the contract", i))
			note_pair_sums("contract", &sums);
	}
}

/* Lengths around the lanes, and enough random vectors of each nature. */
static void
test_level_against_reference(const ek_kernels *kernels)
{
	generator	random = {1};
	float		a[MAX_DIMS];
	float		b[MAX_DIMS];
	bool		agree = true;

	for (int nature = 0; agree && nature < NATURE_COUNT; nature++)
	{
		for (size_t n = 0; agree && n <= MAX_DIMS; n += n < 100 ? 1 : 25)
		{
			pair_sums	expected;
			pair_sums	found;

			fill_vector(&random, nature, a, n);
			fill_vector(&random, nature, b, n);
			expected = reference_sums(a, b, n);
			found = sums_of_pair(kernels, a, b, n);
			agree = same_pair_sums(&expected, &found);
			if (!agree)
			{
				tap_note("nature %d, %zu dimensions", nature, n);
				note_pair_sums("contract", &expected);
				note_pair_sums(kernels->name, &found);
			}
		}
	}
	tap_ok(agree, "%s: every sum is that of the contract, bit for bit",
		   kernels->name);
}

/*
 * One lane adds in order of index.  2^60 + 1 rounds to 2^60, so that
 * (2^60 + 1) - 2^60 is 0, while another order, or two chains, gives 1.
 */
static void
test_order_in_a_lane(const ek_kernels *kernels)
{
	bool		in_order = true;

	for (size_t lane = 0; lane < EK_LANES; lane++)
	{
		float		a[4 * EK_LANES] = {0};
		float		ones[4 * EK_LANES];

		for (size_t i = 0; i < 4 * EK_LANES; i++)
			ones[i] = 1.0f;
		a[lane] = 0x1p60f;
		a[lane + EK_LANES] = 1.0f;
		a[lane + 2 * EK_LANES] = -0x1p60f;
		a[lane + 3 * EK_LANES] = 0x1p-3f;
		in_order &= kernels->dot(a, ones, 4 * EK_LANES) == 0x1p-3;
	}
	tap_ok(in_order, "%s: a lane adds its elements in order of index",
		   kernels->name);
}

/*
 * The tree: 2^60, -2^60 and a small number give the small number only if the
 * two large ones meet first; otherwise it is rounded away.  Lane 0 meets 8
 * before 4, 2 and 1.
 */
static void
test_tree(const ek_kernels *kernels)
{
	static const struct
	{
		size_t		small;
		size_t		partner;	/* of lane 0 */
		double		sum;
	}			meetings[] = {
		{4, 8, 1.0}, {2, 8, 1.0}, {1, 8, 1.0},
		{8, 4, 0.0}, {2, 4, 1.0}, {1, 4, 1.0},
		{8, 2, 0.0}, {4, 2, 0.0}, {1, 2, 1.0},
		{8, 1, 0.0}, {4, 1, 0.0}, {2, 1, 0.0}
	};
	bool		fixed = true;

	for (size_t i = 0; i < sizeof(meetings) / sizeof(meetings[0]); i++)
	{
		float		a[EK_LANES] = {0};
		float		ones[EK_LANES];

		for (size_t j = 0; j < EK_LANES; j++)
			ones[j] = 1.0f;
		a[0] = 0x1p60f;
		a[meetings[i].partner] = -0x1p60f;
		a[meetings[i].small] = 1.0f;
		fixed &= kernels->dot(a, ones, EK_LANES) == meetings[i].sum;
	}
	tap_ok(fixed, "%s: the lanes meet in the order j + 8, j + 4, j + 2, j + 1",
		   kernels->name);
}

/*
 * Lane 0 holds 2^27, where numbers are 2^-25 apart, and adds the square of
 * 1 + 2^-27, which is 1 + 2^-26 + 2^-54.  Rounded on its own the square is
 * 1 + 2^-26, half way between two sums, and the tie goes to 2^27 + 1.  Fused,
 * the 2^-54 is still there and breaks the tie upwards.
 */
static void
test_l2_is_not_fused(const ek_kernels *kernels)
{
	float		a[3 * EK_LANES] = {0};
	float		b[3 * EK_LANES] = {0};

	a[0] = 0x1p13f;
	a[EK_LANES] = 0x1p13f;
	a[2 * EK_LANES] = 1.0f;
	b[2 * EK_LANES] = -0x1p-27f;
	tap_ok(fma(0x1.0000002p0, 0x1.0000002p0, 0x1p27) != 0x1p27 + 1.0 &&
		   kernels->l2_squared(a, b, 3 * EK_LANES) == 0x1p27 + 1.0 &&
		   kernels->l2_squared(a, b, 2 * EK_LANES + 1) == 0x1p27 + 1.0,
		   "%s: L2 rounds the square before it adds it", kernels->name);
}

static void
test_no_elements(const ek_kernels *kernels)
{
	const pair_sums zero = {0};
	pair_sums	sums = sums_of_pair(kernels, NULL, NULL, 0);

	tap_ok(same_pair_sums(&sums, &zero),
		   "%s: the sums of no elements are +0.0", kernels->name);
}

/* -0.0 in, +0.0 out: a lane starts from +0.0. */
static void
test_negative_zero(const ek_kernels *kernels)
{
	const pair_sums zero = {0};
	bool		positive = true;

	for (size_t n = 1; n <= 3 * EK_LANES; n++)
	{
		float		a[3 * EK_LANES];
		float		b[3 * EK_LANES];
		pair_sums	sums;

		for (size_t i = 0; i < n; i++)
		{
			a[i] = -0.0f;
			b[i] = 0.0f;
		}
		sums = sums_of_pair(kernels, a, b, n);
		positive &= same_pair_sums(&sums, &zero);
		sums = sums_of_pair(kernels, a, a, n);
		positive &= same_pair_sums(&sums, &zero);
	}
	tap_ok(positive, "%s: sums of zeros of either sign are +0.0",
		   kernels->name);
}

int
main(void)
{
	level_list	levels = runnable_levels();

	test_stored_bits();
	for (size_t i = 0; i < levels.count; i++)
	{
		test_level_against_reference(levels.kernels[i]);
		test_order_in_a_lane(levels.kernels[i]);
		test_tree(levels.kernels[i]);
		test_l2_is_not_fused(levels.kernels[i]);
		test_no_elements(levels.kernels[i]);
		test_negative_zero(levels.kernels[i]);
	}
	return tap_finish();
}
