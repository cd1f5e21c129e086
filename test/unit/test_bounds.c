/*
 * test_bounds.c
 *		Are the bounds of groups of coarse codes those of the contract?
 *
 * The judge is reference.c.  Every number of steps of either kind up to where
 * sums of 16 bits have been carried over more than once, and chosen ones to the
 * greatest; every number of groups up to a few; every alignment of the bytes;
 * the largest sums that there can be; floats of any bits.  Then the threshold,
 * and that nothing is fused.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "reference.h"
#include "tap.h"

#define MAX_GROUPS	5
#define FEW_STEPS	22
#define GUARD_BYTE	0x5a

_Static_assert(MAX_GROUPS <= REFERENCE_MAX_GROUPS, "the reference takes fewer groups");

static const size_t many_steps[] = {0, 1, 23, 24, 31, 32, 33, 40, 41, 63, 64};

#define MANY_COUNT	(sizeof(many_steps) / sizeof(many_steps[0]))

/* Room for the largest, and to begin anywhere in a cache line. */
typedef struct memory
{
	int8_t		weights[EK_BOUND_MAX_STEPS * EK_WEIGHTS2 + EK_ALIGNMENT];
	uint8_t		codes[MAX_GROUPS * EK_BOUND_MAX_STEPS * EK_STEP_BYTES + EK_ALIGNMENT];
	uint16_t	residuals[MAX_GROUPS * EK_LANES + EK_ALIGNMENT];
	float		norms[MAX_GROUPS * EK_LANES + EK_ALIGNMENT];
	float		bounds[(MAX_GROUPS + 2) * EK_LANES];
	uint16_t	masks[MAX_GROUPS + 2];
} memory;

static groups
some_groups(memory *in, generator *random, size_t steps4, size_t steps2, size_t count)
{
	return (groups) {
		.query = {.steps4 = steps4, .steps2 = steps2},
		.weights = in->weights + random_below(random, EK_ALIGNMENT),
		.codes = in->codes + random_below(random, EK_ALIGNMENT),
		.residuals = in->residuals + random_below(random, EK_ALIGNMENT),
		.norms = random_below(random, 2) == 0 ? NULL :
			in->norms + random_below(random, EK_ALIGNMENT),
		.count = count
	};
}

static bool
is_untouched(const void *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++)
	{
		if (((const uint8_t *) bytes)[i] != GUARD_BYTE)
			return false;
	}
	return true;
}

/* The right results, and nothing written beside them, wherever `ahead` leads. */
static bool
agrees(const ek_kernels *kernels, memory *in, const groups *groups, ptrdiff_t ahead)
{
	float	   *end = in->bounds + (groups->count + 1) * EK_LANES;
	uint16_t   *masks_end = in->masks + groups->count + 1;
	bool		right;

	memset(in->bounds, GUARD_BYTE, sizeof(in->bounds));
	memset(in->masks, GUARD_BYTE, sizeof(in->masks));
	right = bounds_are_right(kernels, groups, ahead, in->bounds + EK_LANES, in->masks + 1) &&
		is_untouched(in->bounds, EK_LANES * sizeof(float)) &&
		is_untouched(end, EK_LANES * sizeof(float)) &&
		is_untouched(in->masks, sizeof(uint16_t)) &&
		is_untouched(masks_end, sizeof(uint16_t));
	if (!right)
		tap_note("%s: %zu and %zu steps, %zu groups, %s norms", code_level_name(kernels),
				 groups->query.steps4, groups->query.steps2, groups->count,
				 groups->norms == NULL ? "no" : "with");
	return right;
}

static bool
steps_agree(const ek_kernels *kernels, memory *in, generator *random, size_t steps4,
			size_t steps2)
{
	static const ptrdiff_t aheads[] = {0, EK_STEP_BYTES, -8192, PTRDIFF_MAX / 2, PTRDIFF_MIN / 2};

	for (groups_nature nature = 0; nature < GROUPS_NATURE_COUNT; nature++)
	{
		groups		groups = some_groups(in, random, steps4, steps2,
										 random_below(random, MAX_GROUPS + 1));

		fill_groups(random, nature, &groups);
		if (!agrees(kernels, in, &groups, aheads[random_below(random, 5)]))
			return false;
	}
	return true;
}

static void
test_steps(const ek_kernels *kernels, memory *in)
{
	generator	random = {1};
	bool		few = true;
	bool		many = true;

	for (size_t steps4 = 0; steps4 <= FEW_STEPS && few; steps4++)
		for (size_t steps2 = 0; steps2 <= FEW_STEPS && few; steps2++)
			few = steps_agree(kernels, in, &random, steps4, steps2);
	tap_ok(few, "%s: bounds are right for any few steps", code_level_name(kernels));

	for (size_t i = 0; i < MANY_COUNT * MANY_COUNT && many; i++)
	{
		const size_t steps4 = many_steps[i / MANY_COUNT];
		const size_t steps2 = many_steps[i % MANY_COUNT];

		if (steps4 + steps2 <= EK_BOUND_MAX_STEPS)
			many = steps_agree(kernels, in, &random, steps4, steps2);
	}
	tap_ok(many, "%s: bounds are right for many steps", code_level_name(kernels));
}

static void
test_counts(const ek_kernels *kernels, memory *in)
{
	generator	random = {2};
	bool		right = true;

	for (size_t i = 0; i < 300 && right; i++)
	{
		groups		groups = some_groups(in, &random, 1 + i % 7, i % 3, i % (MAX_GROUPS + 1));

		fill_groups(&random, i % GROUPS_NATURE_COUNT, &groups);
		right = agrees(kernels, in, &groups, 0);
	}
	tap_ok(right, "%s: any number of groups, anywhere in a cache line", code_level_name(kernels));
}

/* Sums of +-(256 * 127 + 127) or so, times the largest values, as far as they go. */
static void
test_largest_sums(const ek_kernels *kernels, memory *in)
{
	static const int8_t halves[][2] = {{127, 127}, {-127, -127}, {-127, -128}, {127, -128}};
	bool		right = true;

	for (size_t i = 0; i < 2 * 4; i++)
	{
		const bool	four_bits = i % 2 == 0;
		const int8_t *half = halves[i / 2];
		const float sum = (float) ((256 * half[0] + half[1]) * EK_BOUND_MAX_STEPS *
								   (four_bits ? 8 * 15 : 16 * 3));
		groups		groups = {
			.query = {.scale = 1.0f},
			.weights = in->weights,
			.codes = in->codes,
			.residuals = in->residuals,
			.count = MAX_GROUPS
		};

		*(four_bits ? &groups.query.steps4 : &groups.query.steps2) = EK_BOUND_MAX_STEPS;
		groups.query.weights = in->weights;
		for (size_t w = 0; w < weight_bytes(&groups.query); w++)
			in->weights[w] = half[w / 4 % 2];
		memset(in->codes, 255, sizeof(in->codes));
		memset(in->residuals, 0, sizeof(in->residuals));
		right = right && agrees(kernels, in, &groups, 0);
		for (size_t entry = 0; entry < MAX_GROUPS * EK_LANES; entry++)
			right = right && in->bounds[EK_LANES + entry] == sum;
	}
	tap_ok(right, "%s: the largest sums are exact", code_level_name(kernels));
}

/* A group whose entry j has the sum j, all of them the residual and a norm of 1. */
static groups
counting_group(memory *in, uint16_t residual)
{
	memset(in->codes, 0, EK_STEP_BYTES);
	memset(in->weights, 0, EK_WEIGHTS4);
	in->weights[4] = 1;			/* the low half of the first weight */
	for (size_t j = 0; j < EK_LANES; j++)
	{
		in->codes[4 * j] = (uint8_t) j;
		in->residuals[j] = residual;
		in->norms[j] = 1.0f;
	}
	return (groups) {
		.query = {.weights = in->weights, .steps4 = 1, .scale = 1.0f, .residual = 1.0f},
		.weights = in->weights,
		.codes = in->codes,
		.residuals = in->residuals,
		.count = 1
	};
}

static uint16_t
mask_of(const ek_kernels *kernels, memory *in, const groups *groups)
{
	return agrees(kernels, in, groups, 0) ? in->masks[1] : 0xdead;
}

static void
test_threshold(const ek_kernels *kernels, memory *in)
{
	groups		groups = counting_group(in, 0);
	bool		right = true;

	for (unsigned j = 0; j < EK_LANES; j++)
	{
		groups.query.threshold = (float) j;
		right = right && mask_of(kernels, in, &groups) == (uint16_t) (0xffffu << j);
		groups.query.threshold = nextafterf((float) j, INFINITY);
		right = right && mask_of(kernels, in, &groups) == (uint16_t) (0xfffeu << j);
	}
	groups.query.threshold = INFINITY;
	right = right && mask_of(kernels, in, &groups) == 0;
	groups.query.threshold = -INFINITY;
	right = right && mask_of(kernels, in, &groups) == 0xffff;
	groups.query.threshold = NAN;
	right = right && mask_of(kernels, in, &groups) == 0xffff;
	tap_ok(right, "%s: a bound at the threshold is in the mask, one below is not",
		   code_level_name(kernels));
}

/* -infinity is below all, unless a norm of 0 makes it NaN; infinity and NaN are not. */
static void
test_residuals(const ek_kernels *kernels, memory *in)
{
	static const struct
	{
		uint16_t	residual;
		float		norm;
		uint16_t	mask;
	}			cases[] = {
		{0xff80, 1.0f, 0}, {0x7f80, 1.0f, 0xffff}, {0x7fc0, 1.0f, 0xffff},
		{0xffc0, 1.0f, 0xffff}, {0x7f81, 1.0f, 0xffff}, {0xff81, 1.0f, 0xffff},
		{0xff80, 0.0f, 0xffff}, {0xff80, NAN, 0xffff}, {0xff80, 0x1p-149f, 0},
		{0xff80, 0x1p127f, 0}, {0xff80, INFINITY, 0xffff}, {0x0000, INFINITY, 0xffff}
	};
	bool		right = true;

	for (size_t i = 0; i < 2 * sizeof(cases) / sizeof(cases[0]); i++)
	{
		groups		groups = counting_group(in, cases[i / 2].residual);

		if (i % 2 == 1)
			groups.norms = in->norms;
		else if (cases[i / 2].norm != 1.0f)
			continue;
		for (size_t j = 0; j < EK_LANES; j++)
			in->norms[j] = cases[i / 2].norm;
		groups.query.threshold = -1.0f;
		right = right && mask_of(kernels, in, &groups) == cases[i / 2].mask;
	}
	tap_ok(right, "%s: residuals and norms that are not finite give the mask that they should",
		   code_level_name(kernels));
}

/*
 * (2^12 + 1) * (1 + 2^-12) is 4098 + 2^-12, which is rounded to 4098.  Fused, the
 * 2^-12 is still there when 4098 is taken off.  So it is in each of the products.
 */
static void
test_nothing_is_fused(const ek_kernels *kernels, memory *in)
{
	const float odd = 0x1.001p0f;
	const float many = 4097.0f;
	const float rounded = 4098.0f;
	groups		groups = counting_group(in, 0xbf80);	/* -1 */
	float		of_sum;
	float		of_residual;
	float		of_norm;

	in->codes[0] = 1;
	in->weights[0] = 16;		/* a weight of 4096 + 1 */
	groups.query.scale = odd;
	groups.query.residual = rounded;
	of_sum = agrees(kernels, in, &groups, 0) ? in->bounds[EK_LANES] : NAN;

	/* 1.5 * (1 + 2^-23) is rounded up, by 2^-24 */
	in->weights[0] = 0;
	in->residuals[0] = 0x3fc0;
	groups.query.scale = -0x1.800004p0f;
	groups.query.residual = 0x1.000002p0f;
	of_residual = agrees(kernels, in, &groups, 0) ? in->bounds[EK_LANES] : NAN;

	in->residuals[0] = 0;
	in->norms[0] = many;
	groups.norms = in->norms;
	groups.query.scale = rounded;
	groups.query.decay = odd;
	of_norm = agrees(kernels, in, &groups, 0) ? in->bounds[EK_LANES] : NAN;

	tap_ok(fmaf(many, odd, -rounded) != 0.0f &&
		   fmaf(1.5f, 0x1.000002p0f, -0x1.800004p0f) != 0.0f &&
		   of_sum == 0.0f && of_residual == 0.0f && of_norm == 0.0f,
		   "%s: each product of a bound is rounded before it is added", code_level_name(kernels));
}

int
main(void)
{
	level_list	levels = runnable_code_levels();
	memory	   *in = malloc(sizeof(memory));

	for (size_t i = 0; i < levels.count; i++)
	{
		test_steps(levels.kernels[i], in);
		test_counts(levels.kernels[i], in);
		test_largest_sums(levels.kernels[i], in);
		test_threshold(levels.kernels[i], in);
		test_residuals(levels.kernels[i], in);
		test_nothing_is_fused(levels.kernels[i], in);
	}
	free(in);
	return tap_finish();
}
