/*
 * test_selftest.c
 *		Does ek_selftest() see what can go wrong with a level?
 *
 * It is given levels with one kernel spoilt, and sound levels in a processor
 * mode under which their results are not those of the contract.
 */
#include <fenv.h>
#include <float.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

#include "support.h"
#include "tap.h"

/* ----- one kernel off by one bit, in the last row if there are rows ----- */

static double
next(double x)
{
	return nextafter(x, INFINITY);
}

static double
off_dot(const float *a, const float *b, size_t n)
{
	return next(scalar_level()->dot(a, b, n));
}

static double
off_norm2(const float *a, size_t n)
{
	return next(scalar_level()->norm2(a, n));
}

static double
off_l2_squared(const float *a, const float *b, size_t n)
{
	return next(scalar_level()->l2_squared(a, b, n));
}

static double
off_l1(const float *a, const float *b, size_t n)
{
	return next(scalar_level()->l1(a, b, n));
}

static ek_cosine_sums
off_cosine_dot(const float *a, const float *b, size_t n)
{
	ek_cosine_sums sums = scalar_level()->cosine(a, b, n);

	sums.dot = next(sums.dot);
	return sums;
}

static ek_cosine_sums
off_cosine_norm2_a(const float *a, const float *b, size_t n)
{
	ek_cosine_sums sums = scalar_level()->cosine(a, b, n);

	sums.norm2_a = next(sums.norm2_a);
	return sums;
}

static ek_cosine_sums
off_cosine_norm2_b(const float *a, const float *b, size_t n)
{
	ek_cosine_sums sums = scalar_level()->cosine(a, b, n);

	sums.norm2_b = next(sums.norm2_b);
	return sums;
}

static void
spoil_last(const ek_rows *rows, double *results)
{
	results[rows->count - 1] = next(results[rows->count - 1]);
}

static void
off_dot_rows(const ek_query *query, const ek_rows *rows, double *dot)
{
	scalar_level()->dot_rows(query, rows, dot);
	spoil_last(rows, dot);
}

static void
off_l2_squared_rows(const ek_query *query, const ek_rows *rows,
					double *l2_squared)
{
	scalar_level()->l2_squared_rows(query, rows, l2_squared);
	spoil_last(rows, l2_squared);
}

static void
off_l1_rows(const ek_query *query, const ek_rows *rows, double *l1)
{
	scalar_level()->l1_rows(query, rows, l1);
	spoil_last(rows, l1);
}

static void
off_cosine_rows_dot(const ek_query *query, const ek_rows *rows, double *dot,
					double *norm2)
{
	scalar_level()->cosine_rows(query, rows, dot, norm2);
	spoil_last(rows, dot);
}

static void
off_cosine_rows_norm2(const ek_query *query, const ek_rows *rows, double *dot,
					  double *norm2)
{
	scalar_level()->cosine_rows(query, rows, dot, norm2);
	spoil_last(rows, norm2);
}

static void
off_bound(const ek_bound_query *query, const uint8_t *codes, const uint16_t *residuals,
		  const float *norms, size_t count, ptrdiff_t ahead, float *bounds, uint16_t *masks)
{
	float	   *last = bounds + count * EK_LANES - 1;

	scalar_level()->bound_groups(query, codes, residuals, norms, count, ahead, bounds, masks);
	*last = nextafterf(*last, INFINITY);
}

static void
off_mask(const ek_bound_query *query, const uint8_t *codes, const uint16_t *residuals,
		 const float *norms, size_t count, ptrdiff_t ahead, float *bounds, uint16_t *masks)
{
	scalar_level()->bound_groups(query, codes, residuals, norms, count, ahead, bounds, masks);
	masks[count - 1] ^= 0x8000;
}

static void
off_screen(const ek_screen_query *queries, const ek_screen_tile *tile, size_t tiles,
		   const int32_t *dots, uint16_t *masks)
{
	scalar_level()->screen(queries, tile, tiles, dots, masks);
	masks[tiles * EK_CODE_QUERIES - 1] ^= 0x8000;
}

static void
refused(const char *what, const ek_kernels *spoilt)
{
	tap_ok(!ek_selftest(spoilt), "refused: %s", what);
}

/* A copy of scalar with one kernel replaced. */
#define REFUSED_WITH(kernel, replacement) \
	do { \
		ek_kernels	spoilt = *scalar_level(); \
		spoilt.kernel = replacement; \
		refused(#replacement, &spoilt); \
	} while (0)

static void
test_one_bit(void)
{
	ek_kernels	sound = *scalar_level();

	tap_ok(ek_selftest(&sound), "a copy of scalar, nothing replaced, passes");
	REFUSED_WITH(dot, off_dot);
	REFUSED_WITH(norm2, off_norm2);
	REFUSED_WITH(l2_squared, off_l2_squared);
	REFUSED_WITH(l1, off_l1);
	REFUSED_WITH(cosine, off_cosine_dot);
	REFUSED_WITH(cosine, off_cosine_norm2_a);
	REFUSED_WITH(cosine, off_cosine_norm2_b);
	REFUSED_WITH(dot_rows, off_dot_rows);
	REFUSED_WITH(l2_squared_rows, off_l2_squared_rows);
	REFUSED_WITH(l1_rows, off_l1_rows);
	REFUSED_WITH(cosine_rows, off_cosine_rows_dot);
	REFUSED_WITH(cosine_rows, off_cosine_rows_norm2);
	REFUSED_WITH(screen, off_screen);
	REFUSED_WITH(bound_groups, off_bound);
	REFUSED_WITH(bound_groups, off_mask);
}

/* ----- kernels with the mistakes that a level could really make ----- */

static double
tree_sum(double *lane, size_t lanes)
{
	for (size_t half = lanes / 2; half > 0; half /= 2)
		for (size_t j = 0; j < half; j++)
			lane[j] += lane[j + half];
	return lane[0];
}

static double
fused_l2_squared(const float *a, const float *b, size_t n)
{
	double		lane[EK_LANES] = {0};

	for (size_t i = 0; i < n; i++)
	{
		double		difference = (double) a[i] - (double) b[i];

		lane[i % EK_LANES] = fma(difference, difference, lane[i % EK_LANES]);
	}
	return tree_sum(lane, EK_LANES);
}

static void
fused_l2_squared_rows(const ek_query *query, const ek_rows *rows,
					  double *l2_squared)
{
	for (size_t r = 0; r < rows->count; r++)
	{
		double		lane[EK_LANES] = {0};

		for (size_t i = 0; i < query->dims; i++)
		{
			double		difference = (double) rows->first[r * query->dims + i] - query->values[i];

			lane[i % EK_LANES] = fma(difference, difference, lane[i % EK_LANES]);
		}
		l2_squared[r] = tree_sum(lane, EK_LANES);
	}
}

static double
dot_in_lanes(const float *a, const float *b, size_t n, size_t lanes)
{
	double		lane[2 * EK_LANES] = {0};

	for (size_t i = 0; i < n; i++)
		lane[i % lanes] += (double) a[i] * (double) b[i];
	return tree_sum(lane, lanes);
}

static double
dot_in_one_lane(const float *a, const float *b, size_t n)
{
	return dot_in_lanes(a, b, n, 1);
}

static double
dot_in_eight_lanes(const float *a, const float *b, size_t n)
{
	return dot_in_lanes(a, b, n, 8);
}

static double
dot_in_thirty_two_lanes(const float *a, const float *b, size_t n)
{
	return dot_in_lanes(a, b, n, 32);
}

static double
dot_without_tail(const float *a, const float *b, size_t n)
{
	return dot_in_lanes(a, b, n - n % EK_LANES, EK_LANES);
}

static double
dot_with_neighbours_first(const float *a, const float *b, size_t n)
{
	double		lane[EK_LANES] = {0};

	for (size_t i = 0; i < n; i++)
		lane[i % EK_LANES] += (double) a[i] * (double) b[i];
	for (size_t step = 1; step < EK_LANES; step *= 2)
		for (size_t j = 0; j < EK_LANES; j += 2 * step)
			lane[j] += lane[j + step];
	return lane[0];
}

static double
dot_in_single_precision(const float *a, const float *b, size_t n)
{
	double		lane[EK_LANES] = {0};

	for (size_t i = 0; i < n; i++)
	{
		volatile float product = a[i] * b[i];

		lane[i % EK_LANES] += product;
	}
	return tree_sum(lane, EK_LANES);
}

static double
dot_without_denormals(const float *a, const float *b, size_t n)
{
	double		lane[EK_LANES] = {0};

	for (size_t i = 0; i < n; i++)
		if (fabsf(a[i]) >= FLT_MIN && fabsf(b[i]) >= FLT_MIN)
			lane[i % EK_LANES] += (double) a[i] * (double) b[i];
	return tree_sum(lane, EK_LANES);
}

static double
l1_in_single_precision(const float *a, const float *b, size_t n)
{
	double		lane[EK_LANES] = {0};

	for (size_t i = 0; i < n; i++)
	{
		volatile float difference = a[i] - b[i];

		lane[i % EK_LANES] += fabs((double) difference);
	}
	return tree_sum(lane, EK_LANES);
}

static double
l1_without_magnitude(const float *a, const float *b, size_t n)
{
	double		lane[EK_LANES] = {0};

	for (size_t i = 0; i < n; i++)
		lane[i % EK_LANES] += (double) a[i] - (double) b[i];
	return tree_sum(lane, EK_LANES);
}

static void
bounds_without_norms(const ek_bound_query *query, const uint8_t *codes, const uint16_t *residuals,
					 const float *norms, size_t count, ptrdiff_t ahead, float *bounds,
					 uint16_t *masks)
{
	(void) norms;
	scalar_level()->bound_groups(query, codes, residuals, NULL, count, ahead, bounds, masks);
}

/* The masks of entries above the threshold, without those at it. */
static void
masks_above_threshold(const ek_bound_query *query, const uint8_t *codes,
					  const uint16_t *residuals, const float *norms, size_t count,
					  ptrdiff_t ahead, float *bounds, uint16_t *masks)
{
	scalar_level()->bound_groups(query, codes, residuals, norms, count, ahead, bounds, masks);
	for (size_t entry = 0; entry < count * EK_LANES; entry++)
	{
		if (bounds[entry] == query->threshold)
			masks[entry / EK_LANES] ^= (uint16_t) (1 << entry % EK_LANES);
	}
}

/* The sums of a group, which are what its bounds are made of, as floats. */
static void
sums_of_group(const ek_bound_query *query, const uint8_t *codes, float *sums)
{
	static const uint16_t nothing[EK_LANES];
	const ek_bound_query bare = {
		.weights = query->weights, .steps4 = query->steps4, .steps2 = query->steps2, .scale = 1.0f
	};
	uint16_t	mask;

	scalar_level()->bound_groups(&bare, codes, nothing, NULL, 1, 0, sums, &mask);
}

static void
fused_bounds(const ek_bound_query *query, const uint8_t *codes, const uint16_t *residuals,
			 const float *norms, size_t count, ptrdiff_t ahead, float *bounds, uint16_t *masks)
{
	const size_t bytes = (query->steps4 + query->steps2) * EK_STEP_BYTES;

	scalar_level()->bound_groups(query, codes, residuals, norms, count, ahead, bounds, masks);
	for (size_t entry = 0; entry < count * EK_LANES && norms == NULL; entry++)
	{
		const float residual = float_from_bits((uint32_t) residuals[entry] << 16);
		float		sums[EK_LANES];

		sums_of_group(query, codes + entry / EK_LANES * bytes, sums);
		bounds[entry] = fmaf(sums[entry % EK_LANES], query->scale,
							 residual * query->residual) + query->constant;
	}
}

/* The high bytes of all steps of 4 bits are added up in pairs of 16 bits. */
static bool
overflows(const ek_bound_query *query, const uint8_t *codes, size_t lane, size_t pair)
{
	int			sum = 0;

	for (size_t step = 0; step < query->steps4; step++)
		for (size_t i = 2 * pair; i < 2 * pair + 2; i++)
		{
			const int8_t *weights = query->weights + step * EK_WEIGHTS4 + i;
			const uint8_t code = codes[step * EK_STEP_BYTES + 4 * lane + i];

			sum += weights[0] * (code & 15) + weights[8] * (code >> 4);
		}
	return sum > INT16_MAX || sum < INT16_MIN;
}

static void
overflowing_bounds(const ek_bound_query *query, const uint8_t *codes, const uint16_t *residuals,
				   const float *norms, size_t count, ptrdiff_t ahead, float *bounds,
				   uint16_t *masks)
{
	const size_t bytes = (query->steps4 + query->steps2) * EK_STEP_BYTES;

	scalar_level()->bound_groups(query, codes, residuals, norms, count, ahead, bounds, masks);
	for (size_t entry = 0; entry < count * EK_LANES; entry++)
	{
		const uint8_t *group = codes + entry / EK_LANES * bytes;

		if (overflows(query, group, entry % EK_LANES, 0) ||
			overflows(query, group, entry % EK_LANES, 1))
			bounds[entry] = 0.0f;
	}
}

/* What compares reaches that are fused, and none that are equal. */
static void
fused_screen(const ek_screen_query *queries, const ek_screen_tile *tile, size_t tiles,
			 const int32_t *dots, uint16_t *masks)
{
	scalar_level()->screen(queries, tile, tiles, dots, masks);
	for (size_t i = 0; i < tiles * EK_CODE_QUERIES * EK_LANES; i++)
	{
		const ek_screen_tile *t = &tile[i / (EK_CODE_QUERIES * EK_LANES)];
		const ek_screen_query *q = &queries[i / EK_LANES % EK_CODE_QUERIES];
		const size_t lane = i % EK_LANES;
		const float reach = fmaf((float) dots[i] * q->dot, t->dot[lane], q->length * t->length[lane]) +
			fmaf(q->one, t->one[lane], -t->off[lane]);

		masks[i / EK_LANES] &= (uint16_t) ~(1 << lane);
		masks[i / EK_LANES] |= (uint16_t) (!(reach < q->need) << lane);
	}
}

/* Those at what is needed are left out. */
static void
screen_above_need(const ek_screen_query *queries, const ek_screen_tile *tile, size_t tiles,
				  const int32_t *dots, uint16_t *masks)
{
	ek_screen_query above[EK_CODE_QUERIES];

	for (size_t q = 0; q < EK_CODE_QUERIES; q++)
	{
		above[q] = queries[q];
		above[q].need = nextafterf(above[q].need, INFINITY);
	}
	scalar_level()->screen(above, tile, tiles, dots, masks);
}

static void
test_real_mistakes(void)
{
	REFUSED_WITH(l2_squared, fused_l2_squared);
	REFUSED_WITH(l2_squared_rows, fused_l2_squared_rows);
	REFUSED_WITH(dot, dot_in_one_lane);
	REFUSED_WITH(dot, dot_in_eight_lanes);
	REFUSED_WITH(dot, dot_in_thirty_two_lanes);
	REFUSED_WITH(dot, dot_without_tail);
	REFUSED_WITH(dot, dot_with_neighbours_first);
	REFUSED_WITH(dot, dot_in_single_precision);
	REFUSED_WITH(dot, dot_without_denormals);
	REFUSED_WITH(l1, l1_in_single_precision);
	REFUSED_WITH(l1, l1_without_magnitude);
	REFUSED_WITH(screen, fused_screen);
	REFUSED_WITH(screen, screen_above_need);
	REFUSED_WITH(bound_groups, bounds_without_norms);
	REFUSED_WITH(bound_groups, masks_above_threshold);
	REFUSED_WITH(bound_groups, fused_bounds);
	REFUSED_WITH(bound_groups, overflowing_bounds);
}

/* ----- sound levels under a wrong mode of the processor ----- */

static void
test_rounding_mode(const ek_kernels *kernels, int mode, const char *name)
{
	bool		passes;

	if (fesetround(mode) != 0)
	{
		tap_skip("no rounding %s", name);
		return;
	}
	passes = ek_selftest(kernels);
	fesetround(FE_TONEAREST);
	tap_ok(!passes, "%s: refused while rounding %s", kernels->name, name);
}

#if defined(__x86_64__)

#define FLUSH_TO_ZERO			0x8000u
#define DENORMALS_ARE_ZERO		0x0040u

static bool
passes_with_mxcsr(const ek_kernels *kernels, unsigned bits)
{
	const unsigned before = _mm_getcsr();
	bool		passes;

	_mm_setcsr(before | bits);
	passes = ek_selftest(kernels);
	_mm_setcsr(before);
	return passes;
}

static void
test_flushing(const ek_kernels *kernels)
{
	tap_ok(!passes_with_mxcsr(kernels, DENORMALS_ARE_ZERO),
		   "%s: refused while denormals are zero", kernels->name);
	tap_ok(!passes_with_mxcsr(kernels, FLUSH_TO_ZERO),
		   "%s: refused while flushing to zero", kernels->name);
	tap_ok(!passes_with_mxcsr(kernels, FLUSH_TO_ZERO | DENORMALS_ARE_ZERO),
		   "%s: refused under both, as -ffast-math at link time sets them",
		   kernels->name);
}

#elif defined(__aarch64__)

#define FPCR_FLUSH_TO_ZERO		(UINT64_C(1) << 24)

static void
test_flushing(const ek_kernels *kernels)
{
	uint64_t	before;
	bool		passes;

	__asm__ volatile ("mrs %0, fpcr" : "=r" (before));
	__asm__ volatile ("msr fpcr, %0" : : "r" (before | FPCR_FLUSH_TO_ZERO));
	passes = ek_selftest(kernels);
	__asm__ volatile ("msr fpcr, %0" : : "r" (before));
	tap_ok(!passes, "%s: refused while flushing to zero", kernels->name);
}

#else

static void
test_flushing(const ek_kernels *kernels)
{
	tap_skip("%s: no known way to flush to zero here", kernels->name);
}

#endif

int
main(void)
{
	level_list	levels = runnable_levels();

	test_one_bit();
	test_real_mistakes();
	for (size_t i = 0; i < levels.count; i++)
	{
		const ek_kernels *kernels = levels.kernels[i];

		tap_ok(ek_selftest(kernels), "%s: passes", kernels->name);
		test_flushing(kernels);
		test_rounding_mode(kernels, FE_UPWARD, "upward");
		test_rounding_mode(kernels, FE_DOWNWARD, "downward");
		test_rounding_mode(kernels, FE_TOWARDZERO, "toward zero");
		tap_ok(ek_selftest(kernels), "%s: passes again", kernels->name);
	}
	return tap_finish();
}
