/*
 * ek_selftest.c
 *		A level proves itself before it is used.
 *
 * The kernels of a level compute the sums of three pairs of vectors and must
 * give the bits stored here; so must scalar itself, since a compiler flag or
 * a library that put the process into flush-to-zero mode can break it too.
 * It takes some tens of microseconds and is done once, when the library is
 * loaded.
 *
 * The vectors are made so that what could go wrong does show: magnitudes so
 * far apart that a fused L2 and another order of adding give other bits,
 * denormals, the largest floats, and a tail after the last whole sixteen.
 * The stored bits come from a program that shares no code with this one; the
 * unit tests derive them again.
 */
#include <math.h>
#include <string.h>

#include "ek_level.h"

#define MAX_DIMS	83
#define ROW_COUNT	3			/* two at once and one left over */

typedef struct golden_sums
{
	double		dot;
	double		norm2_a;
	double		norm2_b;
	double		l2_squared;
	double		l1;
} golden_sums;

/* Elements are (24-bit integer >> shift) * 2^(exponent + 0 .. spread - 1). */
typedef struct golden_case
{
	size_t		dims;
	int			shift;
	int			exponent;
	unsigned	spread;
	golden_sums sums;
} golden_case;

static const golden_case golden_cases[] = {
	/* magnitudes from 2^-40 to 2^22 */
	{83, 0, -40, 40,
	{0x1.5f8fe627f1caap+37, 0x1.5760fb86076edp+42, 0x1.c1c6d2d9cd348p+44,
	0x1.0910691157a49p+45, 0x1.000aa77377c96p+24}},
	/* denormals */
	{19, 16, -149, 1,
	{-0x1.5c00000000000p-291, 0x1.3d29000000000p-282, 0x1.dfab000000000p-282,
	0x1.8f18000000000p-281, 0x1.9d00000000000p-139}},
	/* up to 2^127 */
	{33, 0, 104, 1,
	{-0x1.3de3676902300p+253, 0x1.2b2373e498fd0p+257, 0x1.83f3b32e5ae28p+257,
	0x1.6b69ca000a12cp+258, 0x1.71220ae000000p+131}}
};

static void
make_vector(const golden_case *golden, uint64_t seed, float *vector)
{
	for (size_t i = 0; i < golden->dims; i++)
	{
		int			mantissa;
		int			exponent;

		seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
		mantissa = (int) ((int64_t) seed >> 40) >> golden->shift;
		exponent = golden->exponent + (int) (((seed >> 20) & 0xffff) % golden->spread);
		vector[i] = ldexpf((float) mantissa, exponent);
	}
}

/* Bits, not values: 0.0 is not -0.0 here. */
static bool
same_bits(double a, double b)
{
	return memcmp(&a, &b, sizeof(double)) == 0;
}

static bool
pairs_agree(const ek_kernels *kernels, size_t dims, const float *a,
			const float *b, const golden_sums *sums)
{
	ek_cosine_sums cosine = kernels->cosine(a, b, dims);

	return same_bits(kernels->dot(a, b, dims), sums->dot) &&
		same_bits(kernels->norm2(a, dims), sums->norm2_a) &&
		same_bits(kernels->l2_squared(a, b, dims), sums->l2_squared) &&
		same_bits(kernels->l1(a, b, dims), sums->l1) &&
		same_bits(cosine.dot, sums->dot) &&
		same_bits(cosine.norm2_a, sums->norm2_a) &&
		same_bits(cosine.norm2_b, sums->norm2_b);
}

static bool
rows_agree(const ek_kernels *kernels, const ek_query *query,
		   const ek_rows *rows, const golden_sums *sums)
{
	double		dot[ROW_COUNT];
	double		cosine_dot[ROW_COUNT];
	double		cosine_norm2[ROW_COUNT];
	double		l2_squared[ROW_COUNT];
	double		l1[ROW_COUNT];

	kernels->dot_rows(query, rows, dot);
	kernels->cosine_rows(query, rows, cosine_dot, cosine_norm2);
	kernels->l2_squared_rows(query, rows, l2_squared);
	kernels->l1_rows(query, rows, l1);

	for (size_t r = 0; r < ROW_COUNT; r++)
	{
		if (!same_bits(dot[r], sums->dot) ||
			!same_bits(cosine_dot[r], sums->dot) ||
			!same_bits(cosine_norm2[r], sums->norm2_b) ||
			!same_bits(l2_squared[r], sums->l2_squared) ||
			!same_bits(l1[r], sums->l1))
			return false;
	}
	return true;
}

static bool
case_passes(const ek_kernels *kernels, const golden_case *golden)
{
	float		a[MAX_DIMS];
	float		b[ROW_COUNT * MAX_DIMS];
	_Alignas(EK_ALIGNMENT) double values[MAX_DIMS + EK_LANES];
	const size_t dims = golden->dims;
	ek_query	query;
	ek_rows		rows = {.first = b, .count = ROW_COUNT};

	make_vector(golden, 5, a);
	for (size_t r = 0; r < ROW_COUNT; r++)
		make_vector(golden, 6, b + r * dims);
	ek_query_prepare(kernels, a, dims, values, &query);

	return pairs_agree(kernels, dims, a, b, &golden->sums) &&
		rows_agree(kernels, &query, &rows, &golden->sums);
}

/* Codes over the whole of their range; the sums are by hand-made integers. */
static bool
codes_agree(const ek_kernels *kernels)
{
	enum
	{
		elements = 76			/* a whole 64, a multiple of 4 and a tail */
	};
	int8_t		query[elements];
	int8_t		packed[elements * EK_LANES];
	int8_t		narrow[elements * EK_LANES];
	int8_t		code[EK_LANES][elements];
	int8_t		queries[EK_CODE_QUERIES][elements];
	int32_t		dots[EK_LANES];
	int32_t		block[EK_CODE_QUERIES][EK_LANES];

	for (int i = 0; i < elements; i++)
	{
		query[i] = (int8_t) (i % 2 ? 127 : -127 + i);
		for (int lane = 0; lane < EK_LANES; lane++)
		{
			code[lane][i] = (int8_t) ((i * 37 + lane * 101) % 255 - 127);
			packed[(i / 4 * EK_LANES + lane) * 4 + i % 4] = code[lane][i];
			narrow[(i / 4 * EK_LANES + lane) * 4 + i % 4] = (int8_t) (code[lane][i] / 2);
		}
	}

	for (int q = 0; q < EK_CODE_QUERIES; q++)
		memcpy(queries[q], query, elements);
	kernels->code_dot_block(queries[0], elements, narrow, 1, elements, block[0]);
	kernels->code_dot_packed(query, packed, elements, dots);
	for (int lane = 0; lane < EK_LANES; lane++)
	{
		int32_t		sum = 0;
		int32_t		narrow_sum = 0;

		for (int i = 0; i < elements; i++)
		{
			sum += query[i] * code[lane][i];
			narrow_sum += query[i] * (code[lane][i] / 2);
		}
		if (dots[lane] != sum ||
			kernels->code_dot(query, code[lane], elements) != sum)
			return false;
		for (int q = 0; q < EK_CODE_QUERIES; q++)
		{
			if (block[q][lane] != narrow_sum)
				return false;
		}
	}
	return true;
}

/*
 * Groups of coarse codes.  There is a step more of each kind than fits sums of
 * 16 bits, with weights that are nearly the largest: of one sign in the first
 * two of four values, of the other in the last two.
 */
#define GROUPS		2
#define ENTRIES		(GROUPS * EK_LANES)
#define STEPS4		(EK_STEPS4_IN_16_BITS + 1)
#define STEPS2		(EK_STEPS2_IN_16_BITS + 1)
#define VALUES4		(8 * STEPS4)
#define VALUES		(VALUES4 + 16 * STEPS2)

typedef struct known_groups
{
	int8_t		weights[STEPS4 * EK_WEIGHTS4 + STEPS2 * EK_WEIGHTS2];
	uint8_t		codes[GROUPS][STEPS4 + STEPS2][EK_LANES][4];
	uint16_t	residuals[ENTRIES];
	float		norms[ENTRIES];
	int32_t		sums[ENTRIES];
} known_groups;

static int
known_weight(int i)
{
	const int	weight = 32639 - i * 37 % 200;

	return i % 4 < 2 ? weight : -weight;
}

/* The first entry of a group has the largest values. */
static int
known_value(int i, int entry)
{
	const int	largest = i < VALUES4 ? 15 : 3;

	return entry % EK_LANES == 0 ? largest : (i * 7 + entry * 5) % (largest + 1);
}

/* Value i of an entry goes to its place, and its product to the sum. */
static void
put_value(known_groups *groups, int i, int entry)
{
	const bool	of_4_bits = i < VALUES4;
	const int	step = of_4_bits ? i / 8 : STEPS4 + (i - VALUES4) / 16;
	const int	shift = of_4_bits ? i % 8 / 4 * 4 : (i - VALUES4) % 16 / 4 * 2;
	uint8_t    *byte = &groups->codes[entry / EK_LANES][step][entry % EK_LANES][i % 4];

	*byte = (uint8_t) (*byte | known_value(i, entry) << shift);
	groups->sums[entry] += known_weight(i) * known_value(i, entry);
}

static void
make_groups(known_groups *groups)
{
	memset(groups, 0, sizeof(*groups));
	for (int i = 0; i < VALUES; i++)
	{
		int8_t	   *halves = &groups->weights[i / 4 * 8 + i % 4];
		const int	low = ((known_weight(i) + 128) & 255) - 128;

		halves[0] = (int8_t) ((known_weight(i) - low) / 256);
		halves[4] = (int8_t) low;
		for (int entry = 0; entry < ENTRIES; entry++)
			put_value(groups, i, entry);
	}
	for (int entry = 0; entry < ENTRIES; entry++)
	{
		/* from 0.5 on, and -infinity in the last */
		groups->residuals[entry] = (uint16_t) (entry < ENTRIES - 1 ? 0x3f00 + entry : 0xff80);
		groups->norms[entry] = 1.0f + (float) entry / 3;
	}
}

/* As the contract says it, and so that no compiler fuses it. */
static float
known_bound(const ek_bound_query *query, const known_groups *groups, int entry, bool norms)
{
	const float norm = groups->norms[entry];
	const uint32_t bits = (uint32_t) groups->residuals[entry] << 16;
	float		residual;
	volatile float bound = (float) groups->sums[entry] * query->scale;
	volatile float other;

	memcpy(&residual, &bits, sizeof(residual));
	other = residual * query->residual;
	bound = bound + other;
	bound = bound + query->constant;
	if (norms)
	{
		other = query->decay * norm;
		bound = bound - other;
		bound = norm * bound;
	}
	return bound;
}

static bool
bounds_agree(const ek_kernels *kernels, const known_groups *groups, bool norms)
{
	ek_bound_query query = {
		.weights = groups->weights, .steps4 = STEPS4, .steps2 = STEPS2,
		.scale = 0x1.5a5a5ap-26f, .residual = 0x1.333334p-3f, .constant = 0x1.f0f0f2p-5f,
		.decay = 0x1.745d18p-6f
	};
	float		bounds[ENTRIES];
	uint16_t	masks[GROUPS];

	query.threshold = known_bound(&query, groups, 5, norms);
	kernels->bound_groups(&query, &groups->codes[0][0][0][0], groups->residuals,
						  norms ? groups->norms : NULL, GROUPS, 0, bounds, masks);
	for (int entry = 0; entry < ENTRIES; entry++)
	{
		const float expected = known_bound(&query, groups, entry, norms);
		const bool	reaches = masks[entry / EK_LANES] >> entry % EK_LANES & 1;

		if (memcmp(&bounds[entry], &expected, sizeof(float)) != 0 ||
			reaches != !(expected < query.threshold))
			return false;
	}
	return true;
}

static bool
groups_agree(const ek_kernels *kernels)
{
	known_groups groups;

	make_groups(&groups);
	return bounds_agree(kernels, &groups, false) && bounds_agree(kernels, &groups, true);
}

static float
known_reach(const ek_screen_query *query, const ek_screen_tile *tile, int lane, int32_t dot)
{
	volatile float product = (float) dot * query->dot;
	volatile float length = query->length * tile->length[lane];
	volatile float one = query->one * tile->one[lane];

	product = product * tile->dot[lane];
	product = product + length;
	one = one - tile->off[lane];
	return product + one;
}

/*
 * A tile and queries, each of which needs what the reach of one lane is, `first` for
 * the first query, so that a last bit tells; or, every third one, a little more.
 */
static bool
screen_agrees(const ek_kernels *kernels, int first)
{
	ek_screen_tile tile;
	ek_screen_query queries[EK_CODE_QUERIES];
	int32_t		dots[EK_CODE_QUERIES * EK_LANES];
	uint16_t	masks[EK_CODE_QUERIES];

	for (int lane = 0; lane < EK_LANES; lane++)
	{
		tile.dot[lane] = 0x1.234568p-7f + (float) lane / 3000;
		tile.length[lane] = 0x1.1p-6f + (float) lane / 7000;
		tile.one[lane] = 1.0f + (float) lane / 11;
		tile.off[lane] = 0.0f;
	}
	for (int i = 0; i < EK_CODE_QUERIES * EK_LANES; i++)
		dots[i] = (i * 7919 % 20011) - 10000;
	dots[1] = (1 << 29) + 33;	/* which no float is */
	dots[EK_LANES + EK_LANES - 2] = -dots[1];
	for (int q = 0; q < EK_CODE_QUERIES; q++)
	{
		queries[q] = (ek_screen_query) {
			.dot = 0x1.5a5a5ap-8f, .length = 0x1.f0f0f2p-1f, .one = 0x1.333334p-3f
		};
		/* what is left when nearly all is taken off is how it was rounded */
		tile.off[first + q] = known_reach(&queries[q], &tile, first + q,
										  dots[q * EK_LANES + first + q]);
		queries[q].need = known_reach(&queries[q], &tile, first + q,
									   dots[q * EK_LANES + first + q]);
		if ((first + q) % 3 == 1)
			queries[q].need += 0x1p-30f;
	}
	tile.dot[(first + EK_CODE_QUERIES) % EK_LANES] = NAN;
	kernels->screen(queries, &tile, 1, dots, masks);
	for (int q = 0; q < EK_CODE_QUERIES; q++)
	{
		for (int lane = 0; lane < EK_LANES; lane++)
		{
			const float reach = known_reach(&queries[q], &tile, lane, dots[q * EK_LANES + lane]);

			if ((masks[q] >> lane & 1) != !(reach < queries[q].need))
				return false;
		}
	}
	return true;
}

/* Halves of odd integers: doubled they are codes; taken as they are, rounded. */
static bool
quantizing_agrees(const ek_kernels *kernels)
{
	enum
	{
		elements = 37
	};
	float		x[elements];
	int8_t		codes[3 * EK_LANES];
	double		rest;

	for (int i = 0; i < elements; i++)
		x[i] = (float) (2 * i - elements) / 2;
	if (!same_bits(kernels->largest(x, elements), elements / 2.0) ||
		!same_bits(kernels->quantize(x, elements, 2.0, 0.5, codes), 0.0))
		return false;
	for (int i = 0; i < elements; i++)
	{
		if (codes[i] != 2 * i - elements)
			return false;
	}

	rest = kernels->quantize(x, elements, 1.0, 1.0, codes);
	for (int i = 0; i < elements; i++)
	{
		if (codes[i] % 2 != 0)
			return false;
	}
	return same_bits(rest, elements * 0.25);
}

bool
ek_selftest(const ek_kernels *kernels)
{
	const size_t count = sizeof(golden_cases) / sizeof(golden_cases[0]);

	for (size_t i = 0; i < count; i++)
	{
		if (!case_passes(kernels, &golden_cases[i]))
			return false;
	}
	return codes_agree(kernels) && screen_agrees(kernels, 0) &&
		screen_agrees(kernels, EK_LANES - EK_CODE_QUERIES) && groups_agree(kernels) &&
		quantizing_agrees(kernels);
}
