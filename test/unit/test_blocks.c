/*
 * test_blocks.c
 *		Do products of blocks of codes, screens, and quantizing, agree at every level?
 *
 * Integer sums have one right answer, so each level is compared with sums
 * taken here, over the extremes of the codes and at random; AVX-512 with and
 * without VNNI.  Quantizing is compared with scalar's codes and bits.
 */
#include <stdlib.h>
#include <string.h>

#include "ek_level.h"
#include "support.h"
#include "tap.h"

#define MAX_DIMS	1032
#define MAX_TILES	3

static const size_t lengths[] = {
	4, 8, 12, 16, 28, 32, 60, 64, 68, 100, 124, 128, 252, 256, 300, 512, 768, 1028
};

#define LENGTH_COUNT	(sizeof(lengths) / sizeof(lengths[0]))

typedef struct codes
{
	int8_t		queries[EK_CODE_QUERIES][MAX_DIMS];
	int8_t		vectors[MAX_TILES * EK_LANES][MAX_DIMS];
	int8_t		packed[MAX_TILES * EK_LANES * MAX_DIMS];
} codes;

static void
fill_codes(generator *random, int8_t *code, size_t n, int largest, bool extreme)
{
	for (size_t i = 0; i < n; i++)
		code[i] = (int8_t) (extreme ? (random_below(random, 2) ? largest : -largest) :
							(int) random_below(random, 2 * largest + 1) - largest);
}

static void
pack(codes *c, size_t n)
{
	for (size_t v = 0; v < MAX_TILES * EK_LANES; v++)
	{
		int8_t	   *tile = c->packed + v / EK_LANES * EK_LANES * n;

		for (size_t i = 0; i < n; i++)
			tile[(i / 4 * EK_LANES + v % EK_LANES) * 4 + i % 4] = c->vectors[v][i];
	}
}

static int32_t
sum_of(const int8_t *a, const int8_t *b, size_t n)
{
	int32_t		sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += a[i] * b[i];
	return sum;
}

static bool
products_are_right(const ek_kernels *kernels, const codes *c, size_t n, bool narrow)
{
	int32_t		block[MAX_TILES][EK_CODE_QUERIES][EK_LANES];
	bool		right = true;

	kernels->code_dot_block(c->queries[0], MAX_DIMS, c->packed, MAX_TILES, n,
							&block[0][0][0]);
	for (size_t tile = 0; tile < MAX_TILES; tile++)
	{
		for (size_t q = 0; q < EK_CODE_QUERIES; q++)
		{
			int32_t		dots[EK_LANES];

			kernels->code_dot_packed(c->queries[q], c->packed + tile * EK_LANES * n, n, dots);
			for (size_t lane = 0; lane < EK_LANES; lane++)
			{
				const int8_t *vector = c->vectors[tile * EK_LANES + lane];
				int32_t		expected = sum_of(c->queries[q], vector, n);

				right = right && dots[lane] == expected &&
					(!narrow || block[tile][q][lane] == expected) &&
					kernels->code_dot(c->queries[q], vector, n) == expected;
			}
		}
	}
	return right;
}

static void
test_products(const ek_kernels *kernels, const char *name)
{
	codes	   *c = malloc(sizeof(codes));
	generator	random = {7};
	bool		right = true;

	for (size_t k = 0; k < 4 * LENGTH_COUNT; k++)
	{
		const size_t n = lengths[k / 4];
		const bool	extreme = k % 2;
		const bool	narrow = k / 2 % 2;

		for (size_t q = 0; q < EK_CODE_QUERIES; q++)
			fill_codes(&random, c->queries[q], n, 127, extreme);
		for (size_t v = 0; v < MAX_TILES * EK_LANES; v++)
			fill_codes(&random, c->vectors[v], n, narrow ? EK_NARROW_CODE : 127, extreme);
		pack(c, n);
		right = right && products_are_right(kernels, c, n, narrow);
	}
	free(c);
	tap_ok(right, "%s: products of codes, one by one, packed and by blocks", name);
}

/* As the contract says it, and so that no compiler fuses it. */
static bool
reaches(const ek_screen_query *query, const ek_screen_tile *tile, size_t lane, int32_t dot)
{
	volatile float product = (float) dot * query->dot;
	volatile float length = query->length * tile->length[lane];
	volatile float one = query->one * tile->one[lane];

	product = product * tile->dot[lane];
	product = product + length;
	one = one - tile->off[lane];
	product = product + one;
	return !(product < query->need);
}

/* Half of the floats are such that what is reached may be what is needed. */
static void
fill_floats(generator *random, float *floats, size_t n, bool hostile)
{
	for (size_t i = 0; i < n; i++)
		floats[i] = hostile && random_below(random, 4) == 0 ?
			float_from_bits((uint32_t) random_bits(random)) :
			(float) random_below(random, 65) / 8 - 4;
}

static bool
screens_as_said(const ek_kernels *kernels, generator *random, size_t tiles, bool hostile)
{
	ek_screen_query *queries = malloc(EK_CODE_QUERIES * sizeof(ek_screen_query));
	ek_screen_tile *tile = malloc(tiles * sizeof(ek_screen_tile));
	const size_t pairs = tiles * EK_CODE_QUERIES * EK_LANES;
	int32_t    *dots = malloc(pairs * sizeof(int32_t));
	uint16_t   *masks = malloc(pairs / EK_LANES * sizeof(uint16_t));
	bool		right = true;

	fill_floats(random, (float *) queries, EK_CODE_QUERIES * sizeof(ek_screen_query) / sizeof(float), hostile);
	fill_floats(random, (float *) tile, tiles * sizeof(ek_screen_tile) / sizeof(float), hostile);
	for (size_t i = 0; i < pairs; i++)
		dots[i] = (int32_t) random_below(random, hostile ? 1 << 25 : 33) - (hostile ? 1 << 24 : 16);
	kernels->screen(queries, tile, tiles, dots, masks);
	for (size_t i = 0; i < pairs; i++)
		right = right && (masks[i / EK_LANES] >> i % EK_LANES & 1) ==
			reaches(&queries[i / EK_LANES % EK_CODE_QUERIES],
					&tile[i / (EK_CODE_QUERIES * EK_LANES)], i % EK_LANES, dots[i]);
	free(masks);
	free(dots);
	free(tile);
	free(queries);
	return right;
}

static void
test_screens(const ek_kernels *kernels, const char *name)
{
	generator	random = {9};
	bool		right = true;

	for (int k = 0; k < 4000; k++)
		right = right && screens_as_said(kernels, &random, random_below(&random, MAX_TILES + 1), k % 2);
	tap_ok(right, "%s: screens let through what reaches, NaN too, and nothing else", name);
}

/* Each on the heap and no longer than the contract says. */
static bool
quantizes_as_scalar(const ek_kernels *kernels, generator *random, size_t n,
					nature nature)
{
	const size_t room = (n + EK_LANES - 1) / EK_LANES * EK_LANES;
	float	   *x = malloc(n * sizeof(float));
	int8_t	   *found = malloc(room);
	int8_t	   *expected = malloc(room);
	double		largest;
	double		rest;
	bool		same;

	fill_vector(random, nature, x, n);
	largest = scalar_level()->largest(x, n);
	same = same_bits(kernels->largest(x, n), largest);
	if (largest > 0.0)
	{
		rest = scalar_level()->quantize(x, n, 127 / largest, largest / 127, expected);
		same = same && same_bits(kernels->quantize(x, n, 127 / largest, largest / 127, found), rest) &&
			memcmp(found, expected, n) == 0;
	}
	free(x);
	free(found);
	free(expected);
	return same;
}

static void
test_quantizing(const ek_kernels *kernels, const char *name)
{
	generator	random = {8};
	bool		same = true;

	for (size_t n = 1; n <= 200; n++)
		for (int nature = 0; nature < NATURE_COUNT; nature++)
			same = same && quantizes_as_scalar(kernels, &random, n, nature);
	tap_ok(same, "%s: quantizing gives scalar's codes and bits", name);
}

static void
test_level(const ek_kernels *kernels, const char *name)
{
	test_products(kernels, name);
	test_screens(kernels, name);
	test_quantizing(kernels, name);
}

int
main(void)
{
	level_list	levels = runnable_levels();

	for (size_t i = 0; i < levels.count; i++)
		test_level(levels.kernels[i], levels.kernels[i]->name);
#ifdef EK_HAVE_X86
	if (ek_cpu_supports(EK_LEVEL_AVX512))
		test_level(&ek_kernels_avx512, "avx512 without VNNI");
#endif
	return tap_finish();
}
