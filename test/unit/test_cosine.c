/*
 * test_cosine.c
 *		What the arithmetic promises of the cosine, and of prepared queries.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "support.h"
#include "tap.h"

#define MAX_DIMS	800

static double
cosine_of(const ek_kernels *kernels, const float *a, const float *b, size_t n)
{
	ek_cosine_sums sums = kernels->cosine(a, b, n);

	return ek_cosine_similarity(sums.dot, sums.norm2_a, sums.norm2_b);
}

/*
 * sqrt(x * x) = x in binary floating point, rounded or not, so the quotient is
 * of two equal numbers.
 */
static void
test_of_itself(const ek_kernels *kernels)
{
	generator	random = {21};
	float		a[MAX_DIMS];
	float		opposite[MAX_DIMS];
	float		quarter[MAX_DIMS];
	bool		one = true;
	bool		minus_one = true;
	bool		scaled = true;

	for (size_t n = 1; n <= MAX_DIMS; n += n < 50 ? 1 : 30)
	{
		for (int nature = 0; nature < NATURE_COUNT; nature++)
		{
			fill_vector(&random, nature, a, n);
			a[n - 1] = 1.0f;	/* not a zero vector */
			for (size_t i = 0; i < n; i++)
				opposite[i] = -a[i];
			one &= cosine_of(kernels, a, a, n) == 1.0;
			minus_one &= cosine_of(kernels, a, opposite, n) == -1.0;
		}
		fill_vector(&random, NATURE_WIDE, a, n);
		a[n - 1] = 1.0f;
		for (size_t i = 0; i < n; i++)
			quarter[i] = 0.25f * a[i];
		scaled &= cosine_of(kernels, a, quarter, n) == 1.0;
	}
	tap_ok(one, "%s: cosine(a, a) is exactly 1", kernels->name);
	tap_ok(minus_one, "%s: cosine(a, -a) is exactly -1", kernels->name);
	tap_ok(scaled, "%s: cosine(a, a / 4) is exactly 1", kernels->name);
}

static void
test_symmetry_and_range(const ek_kernels *kernels)
{
	generator	random = {22};
	float		a[MAX_DIMS];
	float		b[MAX_DIMS];
	bool		symmetric = true;
	bool		in_range = true;

	for (int round = 0; round < 2000; round++)
	{
		size_t		n = random_below(&random, MAX_DIMS + 1);
		double		cosine;

		fill_vector(&random, round % NATURE_COUNT, a, n);
		fill_vector(&random, round / NATURE_COUNT % NATURE_COUNT, b, n);
		cosine = cosine_of(kernels, a, b, n);
		symmetric &= same_bits(cosine, cosine_of(kernels, b, a, n));
		in_range &= cosine >= -1.0 && cosine <= 1.0;
	}
	tap_ok(symmetric, "%s: cosine(a, b) = cosine(b, a), bit for bit", kernels->name);
	tap_ok(in_range, "%s: the cosine is in [-1, 1]", kernels->name);
}

static void
test_zero_vectors(const ek_kernels *kernels)
{
	float		a[40];
	float		zero[40] = {0};
	float		tiny[40] = {0x1p-149f};
	generator	random = {23};

	fill_vector(&random, NATURE_EXTREMES, a, 40);
	tap_ok(same_bits(cosine_of(kernels, a, zero, 40), 0.0) &&
		   same_bits(cosine_of(kernels, zero, a, 40), 0.0) &&
		   same_bits(cosine_of(kernels, zero, zero, 40), 0.0),
		   "%s: a zero vector is similar to nothing", kernels->name);
	tap_ok(cosine_of(kernels, tiny, tiny, 40) == 1.0,
		   "%s: the smallest denormal is not a zero vector", kernels->name);
}

/* Parallel vectors whose quotient rounds to more than 1 do occur. */
static void
test_clamp_is_needed(const ek_kernels *kernels)
{
	generator	random = {24};
	float		a[MAX_DIMS];
	float		b[MAX_DIMS];
	size_t		beyond = 0;
	bool		clamped = true;

	for (int round = 0; round < 3000; round++)
	{
		size_t		n = 2 + random_below(&random, 100);
		ek_cosine_sums sums;

		fill_vector(&random, NATURE_INTEGERS, a, n);
		a[0] = 5.0f;
		for (size_t i = 0; i < n; i++)
			b[i] = (float) (3 + round % 50) * a[i];
		sums = kernels->cosine(a, b, n);
		beyond += sums.dot / sqrt(sums.norm2_a * sums.norm2_b) > 1.0;
		clamped &= cosine_of(kernels, a, b, n) <= 1.0;

		fill_vector(&random, NATURE_EMBEDDING, a, n);
		for (size_t i = 0; i < n; i++)
			b[i] = a[i] * (1.0f + 0x1p-23f);
		sums = kernels->cosine(a, b, n);
		beyond += sums.dot / sqrt(sums.norm2_a * sums.norm2_b) > 1.0;
		clamped &= cosine_of(kernels, a, b, n) <= 1.0;
	}
	tap_ok(beyond > 0, "%s: rounding does reach more than 1", kernels->name);
	tap_ok(clamped, "%s: and is clamped", kernels->name);
}

/* From sums alone, where no vectors are needed. */
static void
test_similarity(void)
{
	tap_ok(ek_cosine_similarity(1.0 + 0x1p-52, 1.0, 1.0) == 1.0 &&
		   ek_cosine_similarity(-1.0 - 0x1p-52, 1.0, 1.0) == -1.0 &&
		   ek_cosine_similarity(1.0 - 0x1p-53, 1.0, 1.0) == 1.0 - 0x1p-53,
		   "the similarity is clamped to [-1, 1] and not below");
	tap_ok(ek_cosine_similarity(24.0, 25.0, 25.0) == 24.0 / 25.0 &&
		   ek_cosine_similarity(-56.0, 65.0, 65.0) == -56.0 / 65.0,
		   "the similarity is dot over the product of the norms");
	tap_ok(ek_cosine_similarity(0x1p-298, 0x1p-298, 0x1p-298) == 1.0 &&
		   ek_cosine_similarity(0x1p282, 0x1p282, 0x1p282) == 1.0 &&
		   ek_cosine_similarity(0x1p-8, 0x1p-298, 0x1p282) == 1.0,
		   "the product of the smallest and of the largest norms has room");
	tap_ok(same_bits(ek_cosine_similarity(0.0, 0.0, 5.0), 0.0) &&
		   same_bits(ek_cosine_similarity(0.0, 5.0, 0.0), 0.0) &&
		   same_bits(ek_cosine_similarity(-0.0, 0.0, 0.0), 0.0),
		   "a norm of zero gives +0.0");
}

/* Aligned where asked, padded with zeros, nothing else written. */
static void
test_query(const ek_kernels *kernels)
{
	generator	random = {25};
	float		vector[MAX_DIMS];
	bool		right = true;

	for (size_t dims = 0; dims <= MAX_DIMS; dims += dims < 70 ? 1 : 73)
	{
		const size_t size = ek_query_size(dims);
		ek_query	query;

		fill_vector(&random, NATURE_EXTREMES, vector, dims);
		query = make_query(kernels, vector, dims);
		right &= size >= dims * sizeof(double) &&
			size < (dims + EK_LANES) * sizeof(double) &&
			size % (EK_LANES * sizeof(double)) == 0 &&
			query.dims == dims &&
			same_bits(query.norm2, scalar_level()->norm2(vector, dims));
		for (size_t i = 0; i < size / sizeof(double); i++)
			right &= same_bits(query.values[i], i < dims ? (double) vector[i] : 0.0);
		free_query(&query);
	}
	tap_ok(right, "%s: a query is widened, padded with +0.0, and knows its norm",
		   kernels->name);
}

int
main(void)
{
	level_list	levels = runnable_levels();

	test_similarity();
	for (size_t i = 0; i < levels.count; i++)
	{
		test_of_itself(levels.kernels[i]);
		test_symmetry_and_range(levels.kernels[i]);
		test_zero_vectors(levels.kernels[i]);
		test_clamp_is_needed(levels.kernels[i]);
		test_query(levels.kernels[i]);
	}
	return tap_finish();
}
