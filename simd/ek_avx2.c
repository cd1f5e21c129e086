/*
 * ek_avx2.c
 *		The AVX2 level: sixteen lanes in four ymm registers.  Requires FMA.
 *
 * A cosine keeps eight chains of FMAs, which covers a latency of 4 cycles at
 * two a cycle; with sixteen registers there is no room for a second row.
 */
#include "ek_level.h"
#include "ek_target.h"

#ifdef EK_HAVE_X86

#include <immintrin.h>
#include <string.h>

EK_TARGET_BEGIN_AVX2

#define EK_KERNEL(op) ek_##op##_avx2

typedef struct lanes
{
	__m256d		v0;				/* lanes 0 to 3 */
	__m256d		v4;
	__m256d		v8;
	__m256d		v12;			/* lanes 12 to 15 */
} lanes;

static inline lanes
lanes_zero(void)
{
	return (lanes) {_mm256_setzero_pd(), _mm256_setzero_pd(),
		_mm256_setzero_pd(), _mm256_setzero_pd()};
}

static inline lanes
lanes_load(const double *q)
{
	return (lanes) {_mm256_load_pd(q), _mm256_load_pd(q + 4),
		_mm256_load_pd(q + 8), _mm256_load_pd(q + 12)};
}

static inline lanes
lanes_widen(const float *x)
{
	return (lanes) {_mm256_cvtps_pd(_mm_loadu_ps(x)),
		_mm256_cvtps_pd(_mm_loadu_ps(x + 4)),
		_mm256_cvtps_pd(_mm_loadu_ps(x + 8)),
		_mm256_cvtps_pd(_mm_loadu_ps(x + 12))};
}

/* A masked load does not touch, nor fault on, what the mask leaves out. */
static inline lanes
lanes_widen_some(const float *x, size_t n)
{
	static const int32_t window[2 * EK_LANES] = {
		-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1
	};
	const int32_t *mask = window + EK_LANES - n;

	return (lanes) {
		_mm256_cvtps_pd(_mm_maskload_ps(x, _mm_loadu_si128((const __m128i *) mask))),
			_mm256_cvtps_pd(_mm_maskload_ps(x + 4, _mm_loadu_si128((const __m128i *) (mask + 4)))),
			_mm256_cvtps_pd(_mm_maskload_ps(x + 8, _mm_loadu_si128((const __m128i *) (mask + 8)))),
			_mm256_cvtps_pd(_mm_maskload_ps(x + 12, _mm_loadu_si128((const __m128i *) (mask + 12))))
	};
}

static inline lanes
lanes_fma(lanes acc, lanes a, lanes b)
{
	return (lanes) {_mm256_fmadd_pd(a.v0, b.v0, acc.v0),
		_mm256_fmadd_pd(a.v4, b.v4, acc.v4),
		_mm256_fmadd_pd(a.v8, b.v8, acc.v8),
		_mm256_fmadd_pd(a.v12, b.v12, acc.v12)};
}

static inline lanes
lanes_add(lanes a, lanes b)
{
	return (lanes) {_mm256_add_pd(a.v0, b.v0), _mm256_add_pd(a.v4, b.v4),
		_mm256_add_pd(a.v8, b.v8), _mm256_add_pd(a.v12, b.v12)};
}

static inline lanes
lanes_sub(lanes a, lanes b)
{
	return (lanes) {_mm256_sub_pd(a.v0, b.v0), _mm256_sub_pd(a.v4, b.v4),
		_mm256_sub_pd(a.v8, b.v8), _mm256_sub_pd(a.v12, b.v12)};
}

static inline lanes
lanes_mul(lanes a, lanes b)
{
	return (lanes) {_mm256_mul_pd(a.v0, b.v0), _mm256_mul_pd(a.v4, b.v4),
		_mm256_mul_pd(a.v8, b.v8), _mm256_mul_pd(a.v12, b.v12)};
}

static inline lanes
lanes_abs(lanes a)
{
	const __m256d sign = _mm256_set1_pd(-0.0);

	return (lanes) {_mm256_andnot_pd(sign, a.v0), _mm256_andnot_pd(sign, a.v4),
		_mm256_andnot_pd(sign, a.v8), _mm256_andnot_pd(sign, a.v12)};
}

static inline lanes
lanes_max(lanes a, lanes b)
{
	return (lanes) {_mm256_max_pd(a.v0, b.v0), _mm256_max_pd(a.v4, b.v4),
		_mm256_max_pd(a.v8, b.v8), _mm256_max_pd(a.v12, b.v12)};
}

static inline lanes
lanes_all(double x)
{
	const __m256d all = _mm256_set1_pd(x);

	return (lanes) {all, all, all, all};
}

static inline void
lanes_store(double *p, lanes a)
{
	_mm256_storeu_pd(p, a.v0);
	_mm256_storeu_pd(p + 4, a.v4);
	_mm256_storeu_pd(p + 8, a.v8);
	_mm256_storeu_pd(p + 12, a.v12);
}

static inline void
lanes_store_codes(int8_t *p, lanes a)
{
	const __m128i lo = _mm_packs_epi32(_mm256_cvtpd_epi32(a.v0), _mm256_cvtpd_epi32(a.v4));
	const __m128i hi = _mm_packs_epi32(_mm256_cvtpd_epi32(a.v8), _mm256_cvtpd_epi32(a.v12));

	_mm_storeu_si128((__m128i *) p, _mm_packs_epi16(lo, hi));
}

static inline double
lanes_sum(lanes acc)
{
	__m256d		by4 = _mm256_add_pd(_mm256_add_pd(acc.v0, acc.v8),
									_mm256_add_pd(acc.v4, acc.v12));
	__m128d		by2 = _mm_add_pd(_mm256_castpd256_pd128(by4),
								 _mm256_extractf128_pd(by4, 1));

	return _mm_cvtsd_f64(by2) + _mm_cvtsd_f64(_mm_unpackhi_pd(by2, by2));
}

#define EK_OWN_COSINE
#include "ek_kernels.h"

static inline int32_t
ek_sum_of_eight_avx2(__m256i eight)
{
	__m128i		four = _mm_add_epi32(_mm256_castsi256_si128(eight),
									 _mm256_extracti128_si256(eight, 1));
	__m128i		two = _mm_add_epi32(four, _mm_unpackhi_epi64(four, four));

	return _mm_cvtsi128_si32(_mm_add_epi32(two, _mm_srli_epi64(two, 32)));
}

static int32_t
ek_code_dot_avx2(const int8_t *a, const int8_t *b, size_t n)
{
	const size_t whole = n - n % 16;
	__m256i		acc = _mm256_setzero_si256();
	int32_t		rest = 0;

	for (size_t i = 0; i < whole; i += 16)
	{
		__m256i		x = _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *) (a + i)));
		__m256i		y = _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *) (b + i)));

		acc = _mm256_add_epi32(acc, _mm256_madd_epi16(x, y));
	}
	for (size_t i = whole; i < n; i++)
		rest += a[i] * b[i];
	return ek_sum_of_eight_avx2(acc) + rest;
}

/*
 * maddubs multiplies unsigned by signed, so the sign of the code is moved to
 * the query.  Two products of at most 127 * 127 do not saturate 16 bits.
 */
static inline __m256i
ek_code_step_avx2(__m256i acc, __m256i query, const int8_t *packed)
{
	const __m256i code = _mm256_loadu_si256((const __m256i *) packed);
	const __m256i products = _mm256_maddubs_epi16(_mm256_abs_epi8(code),
												  _mm256_sign_epi8(query, code));

	return _mm256_add_epi32(acc, _mm256_madd_epi16(products, _mm256_set1_epi16(1)));
}

static void
ek_code_dot_packed_avx2(const int8_t *query, const int8_t *packed, size_t n,
						int32_t *dots)
{
	__m256i		lanes_0 = _mm256_setzero_si256();
	__m256i		lanes_8 = _mm256_setzero_si256();

	for (size_t i = 0; i < n; i += 4, packed += EK_PACKED_STEP)
	{
		int32_t		four;
		__m256i		q;

		memcpy(&four, query + i, sizeof(four));
		q = _mm256_set1_epi32(four);
		lanes_0 = ek_code_step_avx2(lanes_0, q, packed);
		lanes_8 = ek_code_step_avx2(lanes_8, q, packed + 32);
	}
	_mm256_storeu_si256((__m256i *) dots, lanes_0);
	_mm256_storeu_si256((__m256i *) (dots + 8), lanes_8);
}

static inline void
ek_cosine_quarter_avx2(const float *a, const float *b,
					   __m256d *dot, __m256d *norm2_a, __m256d *norm2_b)
{
	const __m256d x = _mm256_cvtps_pd(_mm_loadu_ps(a));
	const __m256d y = _mm256_cvtps_pd(_mm_loadu_ps(b));

	*dot = _mm256_fmadd_pd(x, y, *dot);
	*norm2_a = _mm256_fmadd_pd(x, x, *norm2_a);
	*norm2_b = _mm256_fmadd_pd(y, y, *norm2_b);
}

/*
 * A pair has twelve accumulators.  Sixteen lanes at a time leave gcc too few
 * of the sixteen registers; a quarter of them at a time takes half as long
 * (make bench, "cosine (pair)").
 */
static ek_cosine_sums
ek_cosine_avx2(const float *a, const float *b, size_t n)
{
	const size_t whole = n - n % EK_LANES;
	lanes		dot = lanes_zero();
	lanes		norm2_a = lanes_zero();
	lanes		norm2_b = lanes_zero();

	for (size_t i = 0; i < whole; i += EK_LANES)
	{
		ek_cosine_quarter_avx2(a + i, b + i, &dot.v0, &norm2_a.v0, &norm2_b.v0);
		ek_cosine_quarter_avx2(a + i + 4, b + i + 4, &dot.v4, &norm2_a.v4, &norm2_b.v4);
		ek_cosine_quarter_avx2(a + i + 8, b + i + 8, &dot.v8, &norm2_a.v8, &norm2_b.v8);
		ek_cosine_quarter_avx2(a + i + 12, b + i + 12, &dot.v12, &norm2_a.v12, &norm2_b.v12);
	}
	if (whole < n)
	{
		lanes		x = lanes_widen_some(a + whole, n - whole);
		lanes		y = lanes_widen_some(b + whole, n - whole);

		dot = lanes_fma(dot, x, y);
		norm2_a = lanes_fma(norm2_a, x, x);
		norm2_b = lanes_fma(norm2_b, y, y);
	}
	return (ek_cosine_sums) {
		.dot = lanes_sum(dot),.norm2_a = lanes_sum(norm2_a),.norm2_b = lanes_sum(norm2_b)
	};
}

/* 64 times the sum of a query's elements, in each lane. */
static inline __m256i
ek_bias_avx2(const int8_t *query, size_t n)
{
	const size_t whole = n - n % 32;
	const __m256i ones = _mm256_set1_epi8(1);
	__m256i		acc = _mm256_setzero_si256();
	int32_t		rest = 0;

	for (size_t i = 0; i < whole; i += 32)
		acc = _mm256_add_epi32(acc, _mm256_madd_epi16(
								   _mm256_maddubs_epi16(ones, _mm256_loadu_si256((const __m256i *) (query + i))),
								   _mm256_set1_epi16(64)));
	for (size_t i = whole; i < n; i++)
		rest += 64 * query[i];
	return _mm256_set1_epi32(ek_sum_of_eight_avx2(acc) + rest);
}

/*
 * Four queries with sixteen lanes, in eight registers: each load of a code
 * serves four queries, each load of a query both halves of the lanes.
 */
static inline void
ek_code_four_avx2(const int8_t *queries, size_t stride, const int8_t *packed,
				  size_t n, int32_t *dots)
{
	const __m256i ones = _mm256_set1_epi16(1);
	const __m256i offset = _mm256_set1_epi8(64);
	__m256i		lo0 = _mm256_setzero_si256();
	__m256i		hi0 = _mm256_setzero_si256();
	__m256i		lo1 = _mm256_setzero_si256();
	__m256i		hi1 = _mm256_setzero_si256();
	__m256i		lo2 = _mm256_setzero_si256();
	__m256i		hi2 = _mm256_setzero_si256();
	__m256i		lo3 = _mm256_setzero_si256();
	__m256i		hi3 = _mm256_setzero_si256();

	for (size_t i = 0; i < n; i += 4, packed += EK_PACKED_STEP)
	{
		const __m256i lo = _mm256_add_epi8(_mm256_loadu_si256((const __m256i *) packed), offset);
		const __m256i hi = _mm256_add_epi8(_mm256_loadu_si256((const __m256i *) (packed + 32)), offset);
		int32_t		four;
		__m256i		q;

#define EK_PRODUCTS(code) _mm256_madd_epi16(_mm256_maddubs_epi16(code, q), ones)
#define EK_STEP(number) \
		memcpy(&four, queries + (number) * stride + i, sizeof(four)); \
		q = _mm256_set1_epi32(four); \
		lo##number = _mm256_add_epi32(lo##number, EK_PRODUCTS(lo)); \
		hi##number = _mm256_add_epi32(hi##number, EK_PRODUCTS(hi))
		EK_STEP(0);
		EK_STEP(1);
		EK_STEP(2);
		EK_STEP(3);
#undef EK_STEP
#undef EK_PRODUCTS
	}
	_mm256_storeu_si256((__m256i *) dots, lo0);
	_mm256_storeu_si256((__m256i *) (dots + 8), hi0);
	_mm256_storeu_si256((__m256i *) (dots + 16), lo1);
	_mm256_storeu_si256((__m256i *) (dots + 24), hi1);
	_mm256_storeu_si256((__m256i *) (dots + 32), lo2);
	_mm256_storeu_si256((__m256i *) (dots + 40), hi2);
	_mm256_storeu_si256((__m256i *) (dots + 48), lo3);
	_mm256_storeu_si256((__m256i *) (dots + 56), hi3);
}

static inline void
ek_subtract_avx2(int32_t *dots, __m256i bias)
{
	_mm256_storeu_si256((__m256i *) dots,
						_mm256_sub_epi32(_mm256_loadu_si256((const __m256i *) dots), bias));
}

static void
ek_code_dot_block_avx2(const int8_t *queries, size_t stride, const int8_t *packed,
					   size_t tiles, size_t n, int32_t *dots)
{
	for (size_t tile = 0; tile < tiles; tile++)
		for (size_t q = 0; q < EK_CODE_QUERIES; q += 4)
			ek_code_four_avx2(queries + q * stride, stride, packed + tile * n * EK_LANES, n,
							  dots + (tile * EK_CODE_QUERIES + q) * EK_LANES);
	for (size_t q = 0; q < EK_CODE_QUERIES; q++)
	{
		const __m256i bias = ek_bias_avx2(queries + q * stride, n);

		for (size_t tile = 0; tile < tiles; tile++)
		{
			int32_t    *these = dots + (tile * EK_CODE_QUERIES + q) * EK_LANES;

			ek_subtract_avx2(these, bias);
			ek_subtract_avx2(these + 8, bias);
		}
	}
}

/*
 * Bounds.  Values are unsigned and weights signed, as maddubs wants them.
 */
typedef struct codes
{
	__m256i		lo;				/* entries 0 to 7 */
	__m256i		hi;				/* entries 8 to 15 */
} codes;

typedef codes sums;

typedef struct floats
{
	__m256		lo;
	__m256		hi;
} floats;

static inline codes
codes_load(const uint8_t *p)
{
	return (codes) {_mm256_loadu_si256((const __m256i *) p),
		_mm256_loadu_si256((const __m256i *) (p + 32))};
}

static inline codes
codes_and(codes c, char mask)
{
	const __m256i all = _mm256_set1_epi8(mask);

	return (codes) {_mm256_and_si256(c.lo, all), _mm256_and_si256(c.hi, all)};
}

static inline codes
codes_shift2(codes c)
{
	return (codes) {_mm256_srli_epi16(c.lo, 2), _mm256_srli_epi16(c.hi, 2)};
}

static inline codes
codes_shift4(codes c)
{
	return (codes) {_mm256_srli_epi16(c.lo, 4), _mm256_srli_epi16(c.hi, 4)};
}

static inline sums
sums_zero(void)
{
	return (sums) {_mm256_setzero_si256(), _mm256_setzero_si256()};
}

static inline sums
sums_load(const int32_t *p)
{
	return (sums) {_mm256_loadu_si256((const __m256i *) p),
		_mm256_loadu_si256((const __m256i *) (p + 8))};
}

static inline floats
floats_all(float x)
{
	return (floats) {_mm256_set1_ps(x), _mm256_set1_ps(x)};
}

static inline floats
floats_load(const float *p)
{
	return (floats) {_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)};
}

static inline void
floats_store(float *p, floats a)
{
	_mm256_storeu_ps(p, a.lo);
	_mm256_storeu_ps(p + 8, a.hi);
}

static inline __m256
ek_eight_widened_avx2(const uint16_t *p)
{
	const __m256i halves = _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *) p));

	return _mm256_castsi256_ps(_mm256_slli_epi32(halves, 16));
}

static inline floats
floats_widen(const uint16_t *p)
{
	return (floats) {ek_eight_widened_avx2(p), ek_eight_widened_avx2(p + 8)};
}

static inline floats
floats_from(sums s)
{
	return (floats) {_mm256_cvtepi32_ps(s.lo), _mm256_cvtepi32_ps(s.hi)};
}

static inline floats
floats_add(floats a, floats b)
{
	return (floats) {_mm256_add_ps(a.lo, b.lo), _mm256_add_ps(a.hi, b.hi)};
}

static inline floats
floats_sub(floats a, floats b)
{
	return (floats) {_mm256_sub_ps(a.lo, b.lo), _mm256_sub_ps(a.hi, b.hi)};
}

static inline floats
floats_mul(floats a, floats b)
{
	return (floats) {_mm256_mul_ps(a.lo, b.lo), _mm256_mul_ps(a.hi, b.hi)};
}

static inline uint16_t
floats_not_below(floats a, floats b)
{
	const int	lo = _mm256_movemask_ps(_mm256_cmp_ps(a.lo, b.lo, _CMP_NLT_UQ));
	const int	hi = _mm256_movemask_ps(_mm256_cmp_ps(a.hi, b.hi, _CMP_NLT_UQ));

	return (uint16_t) (hi << 8 | lo);
}

#define EK_BOUND(op) ek_bound_##op##_avx2
#define EK_BOUND_STEPS4	EK_STEPS4_IN_16_BITS
#define EK_BOUND_STEPS2	EK_STEPS2_IN_16_BITS

typedef codes EK_BOUND(products);

static inline EK_BOUND(products)
EK_BOUND(no_products) (void)
{
	return (EK_BOUND(products)) {_mm256_setzero_si256(), _mm256_setzero_si256()};
}

static inline EK_BOUND(products)
ek_bound_multiply_four_avx2(EK_BOUND(products) acc, codes c, const int8_t *weights)
{
	int32_t		four;
	__m256i		w;

	memcpy(&four, weights, sizeof(four));
	w = _mm256_set1_epi32(four);
	return (EK_BOUND(products)) {
		_mm256_add_epi16(acc.lo, _mm256_maddubs_epi16(c.lo, w)),
			_mm256_add_epi16(acc.hi, _mm256_maddubs_epi16(c.hi, w))
	};
}

static inline EK_BOUND(products)
EK_BOUND(multiply) (EK_BOUND(products) acc, codes a, codes b, const int8_t *weights)
{
	acc = ek_bound_multiply_four_avx2(acc, a, weights);
	return ek_bound_multiply_four_avx2(acc, b, weights + 8);
}

static inline __m256i
ek_bound_add_eight_avx2(__m256i acc, __m256i high, __m256i low)
{
	acc = _mm256_add_epi32(acc, _mm256_madd_epi16(high, _mm256_set1_epi16(256)));
	return _mm256_add_epi32(acc, _mm256_madd_epi16(low, _mm256_set1_epi16(1)));
}

static inline sums
EK_BOUND(add) (sums acc, EK_BOUND(products) high, EK_BOUND(products) low)
{
	return (sums) {ek_bound_add_eight_avx2(acc.lo, high.lo, low.lo),
		ek_bound_add_eight_avx2(acc.hi, high.hi, low.hi)};
}

#include "ek_bounds.h"

EK_TARGET_END

const ek_kernels ek_kernels_avx2 = {
	.level = EK_LEVEL_AVX2,
	.name = "avx2",
	.dot = ek_dot_avx2,
	.norm2 = ek_norm2_avx2,
	.l2_squared = ek_l2_squared_avx2,
	.l1 = ek_l1_avx2,
	.cosine = ek_cosine_avx2,
	.dot_rows = ek_dot_rows_avx2,
	.l2_squared_rows = ek_l2_squared_rows_avx2,
	.l1_rows = ek_l1_rows_avx2,
	.cosine_rows = ek_cosine_rows_avx2,
	.code_dot = ek_code_dot_avx2,
	.code_dot_packed = ek_code_dot_packed_avx2,
	.code_dot_block = ek_code_dot_block_avx2,
	.screen = ek_bound_screen_avx2,
	.bound_groups = ek_bound_groups_avx2,
	.largest = ek_largest_avx2,
	.quantize = ek_quantize_avx2
};

#endif							/* EK_HAVE_X86 */
