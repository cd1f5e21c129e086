/*
 * support.c
 *		What the test programs share: levels, random vectors, all sums at once.
 */
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ek_level.h"
#include "support.h"
#include "tap.h"

level_list
runnable_levels(void)
{
	level_list	list = {.count = 0};

	for (size_t i = 0; i < EK_LEVEL_COUNT; i++)
	{
		const ek_kernels *kernels = ek_level_kernels(ek_level_priority[i]);

		if (kernels != NULL && ek_cpu_supports(kernels->level))
			list.kernels[list.count++] = kernels;
	}
	return list;
}

const ek_kernels *
scalar_level(void)
{
	return ek_level_kernels(EK_LEVEL_SCALAR);
}

level_list
runnable_code_levels(void)
{
	level_list	list = runnable_levels();

#ifdef EK_HAVE_X86
	if (ek_cpu_has_vnni())
		list.kernels[list.count++] = &ek_kernels_avx512;
#endif
	return list;
}

const char *
code_level_name(const ek_kernels *kernels)
{
#ifdef EK_HAVE_X86
	if (kernels == &ek_kernels_avx512vnni)
		return "avx512 with VNNI";
	if (kernels == &ek_kernels_avx512)
		return "avx512 without VNNI";
#endif
	return kernels->name;
}

int64_t
sum_of_codes(const int8_t *a, const int8_t *b, size_t n)
{
	int64_t		sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += a[i] * b[i];
	return sum;
}

int64_t
sum_of_packed_codes(const int8_t *query, const int8_t *packed, size_t n, size_t lane)
{
	int64_t		sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += query[i] * packed[(i / 4 * EK_LANES + lane) * 4 + i % 4];
	return sum;
}

pair_sums
sums_of_pair(const ek_kernels *kernels, const float *a, const float *b,
			 size_t n)
{
	return (pair_sums) {
		.dot = kernels->dot(a, b, n),
		.norm2_a = kernels->norm2(a, n),
		.norm2_b = kernels->norm2(b, n),
		.l2_squared = kernels->l2_squared(a, b, n),
		.l1 = kernels->l1(a, b, n),
		.cosine = kernels->cosine(a, b, n)
	};
}

row_sums
row_sums_of_pair(const pair_sums *pair)
{
	return (row_sums) {
		.dot = pair->dot,
		.l2_squared = pair->l2_squared,
		.l1 = pair->l1,
		.cosine_dot = pair->cosine.dot,
		.cosine_norm2 = pair->cosine.norm2_b
	};
}

void
sums_of_rows(const ek_kernels *kernels, const ek_query *query,
			 const ek_rows *rows, row_sums *sums)
{
	const size_t count = rows->count;

	/* one more, so that there is something to allocate for no rows */
	double	   *results = malloc((5 * count + 1) * sizeof(double));
	double	   *dot = results;
	double	   *l2_squared = dot + count;
	double	   *l1 = l2_squared + count;
	double	   *cosine_dot = l1 + count;
	double	   *cosine_norm2 = cosine_dot + count;

	kernels->dot_rows(query, rows, dot);
	kernels->l2_squared_rows(query, rows, l2_squared);
	kernels->l1_rows(query, rows, l1);
	kernels->cosine_rows(query, rows, cosine_dot, cosine_norm2);

	for (size_t r = 0; r < count; r++)
		sums[r] = (row_sums) {
			dot[r], l2_squared[r], l1[r], cosine_dot[r], cosine_norm2[r]
		};
	free(results);
}

ek_query
make_query(const ek_kernels *kernels, const float *vector, size_t dims)
{
	double	   *values = NULL;
	ek_query	query;

	if (posix_memalign((void **) &values, EK_ALIGNMENT, ek_query_size(dims)) != 0)
		abort();
	ek_query_prepare(kernels, vector, dims, values, &query);
	return query;
}

void
free_query(ek_query *query)
{
	free((void *) query->values);
	query->values = NULL;
}

bool
same_bits(double a, double b)
{
	return memcmp(&a, &b, sizeof(double)) == 0;
}

bool
same_pair_sums(const pair_sums *a, const pair_sums *b)
{
	return memcmp(a, b, sizeof(pair_sums)) == 0;
}

bool
same_row_sums(const row_sums *a, const row_sums *b)
{
	return memcmp(a, b, sizeof(row_sums)) == 0;
}

void
note_pair_sums(const char *name, const pair_sums *sums)
{
	tap_note("%s: dot %a, norm2 %a %a, l2 %a, l1 %a, cosine %a %a %a", name,
			 sums->dot, sums->norm2_a, sums->norm2_b, sums->l2_squared,
			 sums->l1, sums->cosine.dot, sums->cosine.norm2_a,
			 sums->cosine.norm2_b);
}

void
note_row_sums(const char *name, const row_sums *sums)
{
	tap_note("%s: dot %a, l2 %a, l1 %a, cosine %a %a", name,
			 sums->dot, sums->l2_squared, sums->l1,
			 sums->cosine_dot, sums->cosine_norm2);
}

/* splitmix64 */
uint64_t
random_bits(generator *random)
{
	uint64_t	z = (random->state += UINT64_C(0x9e3779b97f4a7c15));

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

size_t
random_below(generator *random, size_t limit)
{
	return (size_t) (random_bits(random) >> 16) % limit;
}

float
float_from_bits(uint32_t bits)
{
	float		value;

	memcpy(&value, &bits, sizeof(value));
	return value;
}

/* A sign and 24 bits after the point: [-1, 1). */
static float
random_fraction(generator *random)
{
	return (float) ((int64_t) random_bits(random) >> 39) * 0x1p-24f;
}

static float
random_finite_bits(generator *random)
{
	float		value;

	do
		value = float_from_bits((uint32_t) (random_bits(random) >> 32));
	while (!isfinite(value));
	return value;
}

static float
random_extreme(generator *random)
{
	static const float extremes[] = {
		0.0f, -0.0f, 1.0f, -1.0f,
		0x1p-149f, -0x1p-149f,	/* the smallest denormal */
		0x1.fffffcp-127f, -0x1.fffffcp-127f,	/* the largest denormal */
		FLT_MIN, -FLT_MIN, FLT_MAX, -FLT_MAX,
		0x1.000002p0f, 0x1.fffffep0f, 0x1p-64f, 0x1p64f
	};

	return extremes[random_below(random, sizeof(extremes) / sizeof(extremes[0]))];
}

static float
random_float(generator *random, nature nature)
{
	switch (nature)
	{
		case NATURE_EMBEDDING:
			return random_fraction(random);
		case NATURE_INTEGERS:
			return (float) random_below(random, 17) - 8.0f;
		case NATURE_WIDE:
			return ldexpf(random_fraction(random),
						  (int) random_below(random, 63) - 40);
		case NATURE_ANY_BITS:
			return random_finite_bits(random);
		case NATURE_EXTREMES:
			return random_extreme(random);
	}
	abort();
}

void
fill_vector(generator *random, nature nature, float *vector, size_t n)
{
	for (size_t i = 0; i < n; i++)
		vector[i] = random_float(random, nature);
}

size_t
weight_bytes(const ek_bound_query *query)
{
	return query->steps4 * EK_WEIGHTS4 + query->steps2 * EK_WEIGHTS2;
}

size_t
group_code_bytes(const ek_bound_query *query)
{
	return (query->steps4 + query->steps2) * EK_STEP_BYTES;
}

/* High and low bytes alternate by fours; a high one is not -128. */
static void
fill_weights(generator *random, groups_nature nature, int8_t *weights, size_t n)
{
	const size_t sign = random_below(random, 3);	/* the last: of either */

	for (size_t i = 0; i < n; i++)
	{
		const int	least = i % 8 < 4 ? -127 : -128;

		if (nature != GROUPS_EXTREME)
			weights[i] = (int8_t) (least + (int) random_below(random, (size_t) (128 - least)));
		else if (sign == 0 || (sign == 2 && random_below(random, 2) == 0))
			weights[i] = (int8_t) least;
		else
			weights[i] = 127;
	}
}

static float
random_hostile(generator *random)
{
	static const uint32_t bad_bits[] = {
		0x7f800000, 0xff800000, 0x7fc00000, 0xffc00000, 0x7f810000, 0xff810000
	};

	if (random_below(random, 4) == 0)
		return float_from_bits(bad_bits[random_below(random, sizeof(bad_bits) / sizeof(bad_bits[0]))]);
	return random_float(random, random_below(random, 2) == 0 ? NATURE_EXTREMES : NATURE_WIDE);
}

static void
fill_group_floats(generator *random, groups_nature nature, float *floats, size_t n)
{
	for (size_t i = 0; i < n; i++)
		floats[i] = nature == GROUPS_HOSTILE ? random_hostile(random) :
			random_float(random, NATURE_EMBEDDING);
}

void
fill_groups(generator *random, groups_nature nature, groups *groups)
{
	const size_t entries = groups->count * EK_LANES;
	const bool	all_largest = random_below(random, 2) == 0;
	float		of_query[5];

	fill_weights(random, nature, groups->weights, weight_bytes(&groups->query));
	for (size_t i = 0; i < groups->count * group_code_bytes(&groups->query); i++)
		groups->codes[i] = nature != GROUPS_EXTREME ? (uint8_t) random_bits(random) :
			all_largest || random_below(random, 2) == 0 ? 255 : 0;
	for (size_t i = 0; i < entries; i++)
	{
		float		residual;
		uint32_t	bits;

		fill_group_floats(random, nature, &residual, 1);
		memcpy(&bits, &residual, sizeof(bits));
		groups->residuals[i] = (uint16_t) (bits >> 16);
	}
	if (groups->norms != NULL)
		fill_group_floats(random, nature, groups->norms, entries);

	fill_group_floats(random, nature, of_query, 5);
	groups->query.weights = groups->weights;
	groups->query.scale = nature == GROUPS_HOSTILE ? of_query[0] : of_query[0] * 0x1p-20f;
	groups->query.residual = of_query[1];
	groups->query.constant = of_query[2];
	groups->query.decay = of_query[3];
	groups->query.threshold = of_query[4];
}

bool
same_bounds(const float *a, const float *b, size_t n)
{
	for (size_t i = 0; i < n; i++)
	{
		if (memcmp(a + i, b + i, sizeof(float)) != 0 && !(isnan(a[i]) && isnan(b[i])))
			return false;
	}
	return true;
}

size_t
setting(const char *name, size_t otherwise)
{
	const char *value = getenv(name);

	return value != NULL ? (size_t) strtoull(value, NULL, 10) : otherwise;
}
