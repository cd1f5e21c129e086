/*
 * ek_avx512.c
 *		The AVX-512 level: sixteen lanes in two zmm registers.
 *
 * Requires AVX-512 F, BW, DQ and VL.  On the cores this was tuned for (Zen 5;
 * Ice Lake and later are alike) an FMA has a latency of 4 cycles and two
 * start each cycle.  One row keeps four chains busy, half of what the units
 * can take, so cosine works on two rows at once: a third faster in cache (make
 * bench).  Four rows at once were no faster than two.
 */
#include "ek_level.h"
#include "ek_target.h"

#ifdef EK_HAVE_X86

#include <immintrin.h>
#include <string.h>

EK_TARGET_BEGIN_AVX512

#define EK_KERNEL(op) ek_##op##_avx512

typedef struct lanes
{
	__m512d		lo;				/* lanes 0 to 7 */
	__m512d		hi;				/* lanes 8 to 15 */
} lanes;

static inline lanes
lanes_zero(void)
{
	return (lanes) {_mm512_setzero_pd(), _mm512_setzero_pd()};
}

static inline lanes
lanes_load(const double *q)
{
	return (lanes) {_mm512_load_pd(q), _mm512_load_pd(q + 8)};
}

static inline lanes
lanes_widen(const float *x)
{
	return (lanes) {_mm512_cvtps_pd(_mm256_loadu_ps(x)),
		_mm512_cvtps_pd(_mm256_loadu_ps(x + 8))};
}

/* A masked load does not touch, nor fault on, what the mask leaves out. */
static inline lanes
lanes_widen_some(const float *x, size_t n)
{
	__m512		some = _mm512_maskz_loadu_ps((__mmask16) ((1u << n) - 1), x);

	return (lanes) {_mm512_cvtps_pd(_mm512_castps512_ps256(some)),
		_mm512_cvtps_pd(_mm512_extractf32x8_ps(some, 1))};
}

static inline lanes
lanes_fma(lanes acc, lanes a, lanes b)
{
	return (lanes) {_mm512_fmadd_pd(a.lo, b.lo, acc.lo),
		_mm512_fmadd_pd(a.hi, b.hi, acc.hi)};
}

static inline lanes
lanes_add(lanes a, lanes b)
{
	return (lanes) {_mm512_add_pd(a.lo, b.lo), _mm512_add_pd(a.hi, b.hi)};
}

static inline lanes
lanes_sub(lanes a, lanes b)
{
	return (lanes) {_mm512_sub_pd(a.lo, b.lo), _mm512_sub_pd(a.hi, b.hi)};
}

static inline lanes
lanes_mul(lanes a, lanes b)
{
	return (lanes) {_mm512_mul_pd(a.lo, b.lo), _mm512_mul_pd(a.hi, b.hi)};
}

static inline lanes
lanes_abs(lanes a)
{
	return (lanes) {_mm512_abs_pd(a.lo), _mm512_abs_pd(a.hi)};
}

static inline lanes
lanes_max(lanes a, lanes b)
{
	return (lanes) {_mm512_max_pd(a.lo, b.lo), _mm512_max_pd(a.hi, b.hi)};
}

static inline lanes
lanes_all(double x)
{
	return (lanes) {_mm512_set1_pd(x), _mm512_set1_pd(x)};
}

static inline void
lanes_store(double *p, lanes a)
{
	_mm512_storeu_pd(p, a.lo);
	_mm512_storeu_pd(p + 8, a.hi);
}

static inline void
lanes_store_codes(int8_t *p, lanes a)
{
	const __m512i codes = _mm512_inserti64x4(_mm512_castsi256_si512(_mm512_cvtpd_epi32(a.lo)),
											 _mm512_cvtpd_epi32(a.hi), 1);

	_mm_storeu_si128((__m128i *) p, _mm512_cvtepi32_epi8(codes));
}

static inline double
lanes_sum(lanes acc)
{
	__m512d		by8 = _mm512_add_pd(acc.lo, acc.hi);
	__m256d		by4 = _mm256_add_pd(_mm512_castpd512_pd256(by8),
									_mm512_extractf64x4_pd(by8, 1));
	__m128d		by2 = _mm_add_pd(_mm256_castpd256_pd128(by4),
								 _mm256_extractf128_pd(by4, 1));

	return _mm_cvtsd_f64(by2) + _mm_cvtsd_f64(_mm_unpackhi_pd(by2, by2));
}

#include "ek_kernels.h"

/*
 * Two rows share each load of the query.  The accumulators are named one by
 * one: gcc -O2 spills them when they stand in an array.
 *
 * The two are fetched ahead as the one stretch of memory that they are; as two
 * streams they took a fifth longer when tried.
 */
static inline void
ek_cosine_two_avx512(const ek_query *query, const ek_rows *rows, size_t r,
					 double *dot, double *norm2)
{
	const size_t dims = query->dims;
	const size_t whole = dims - dims % EK_LANES;
	const float *x0 = ek_row(rows, dims, r);
	const float *x1 = ek_row(rows, dims, r + 1);
	const uintptr_t ahead0 = ek_row_ahead(rows, dims, r);
	const uintptr_t ahead1 = ahead0 + EK_LANES * sizeof(float);
	lanes		d0 = lanes_zero(),
				d1 = lanes_zero();
	lanes		s0 = lanes_zero(),
				s1 = lanes_zero();

	for (size_t i = 0; i < whole; i += EK_LANES)
	{
		lanes		q = lanes_load(query->values + i);
		lanes		v0 = lanes_widen(x0 + i);
		lanes		v1 = lanes_widen(x1 + i);

		ek_prefetch(ahead0, 2 * i);
		ek_prefetch(ahead1, 2 * i);
		d0 = lanes_fma(d0, v0, q);
		d1 = lanes_fma(d1, v1, q);
		s0 = lanes_fma(s0, v0, v0);
		s1 = lanes_fma(s1, v1, v1);
	}
	if (whole < dims)
	{
		lanes		q = lanes_load(query->values + whole);
		lanes		v0 = lanes_widen_some(x0 + whole, dims - whole);
		lanes		v1 = lanes_widen_some(x1 + whole, dims - whole);

		d0 = lanes_fma(d0, v0, q);
		d1 = lanes_fma(d1, v1, q);
		s0 = lanes_fma(s0, v0, v0);
		s1 = lanes_fma(s1, v1, v1);
	}
	dot[r] = lanes_sum(d0);
	dot[r + 1] = lanes_sum(d1);
	norm2[r] = lanes_sum(s0);
	norm2[r + 1] = lanes_sum(s1);
}

/*
 * A batch larger than this comes from memory, where one row at a time is
 * faster: 94 % of the speed at which the machine reads, against 83 % for two
 * (make bench).
 */
#define BEYOND_CACHE_BYTES	((size_t) 4 * 1024 * 1024)

static void
ek_cosine_rows_by_two_avx512(const ek_query *query, const ek_rows *rows,
							 double *dot, double *norm2)
{
	const size_t pairs = rows->count - rows->count % 2;
	ek_rows		rest = {
		.first = rows->first + pairs * query->dims,
		.count = rows->count - pairs,
		.ahead = rows->ahead
	};

	if (rows->count > BEYOND_CACHE_BYTES / sizeof(float) / (query->dims + 1))
	{
		ek_cosine_rows_avx512(query, rows, dot, norm2);
		return;
	}

	for (size_t r = 0; r < pairs; r += 2)
		ek_cosine_two_avx512(query, rows, r, dot, norm2);
	ek_cosine_rows_avx512(query, &rest, dot + pairs, norm2 + pairs);
}

static int32_t
ek_code_dot_avx512(const int8_t *a, const int8_t *b, size_t n)
{
	const size_t whole = n - n % 32;
	__m512i		acc = _mm512_setzero_si512();

	for (size_t i = 0; i < whole; i += 32)
	{
		__m512i		x = _mm512_cvtepi8_epi16(_mm256_loadu_si256((const __m256i *) (a + i)));
		__m512i		y = _mm512_cvtepi8_epi16(_mm256_loadu_si256((const __m256i *) (b + i)));

		acc = _mm512_add_epi32(acc, _mm512_madd_epi16(x, y));
	}
	if (whole < n)
	{
		const __mmask32 some = ((__mmask32) 1 << (n - whole)) - 1;
		__m512i		x = _mm512_cvtepi8_epi16(_mm256_maskz_loadu_epi8(some, a + whole));
		__m512i		y = _mm512_cvtepi8_epi16(_mm256_maskz_loadu_epi8(some, b + whole));

		acc = _mm512_add_epi32(acc, _mm512_madd_epi16(x, y));
	}
	return _mm512_reduce_add_epi32(acc);
}

/*
 * There is no 512-bit sign instruction: the code is widened to 16 bits, one
 * half of the lanes at a time.  The sums of four end up in pairs of 32 bits,
 * which a shift and an addition bring together.
 */
static inline __m512i
ek_code_eight_lanes_avx512(__m512i acc, __m512i query, const int8_t *packed)
{
	__m512i		code = _mm512_cvtepi8_epi16(_mm256_loadu_si256((const __m256i *) packed));

	return _mm512_add_epi32(acc, _mm512_madd_epi16(code, query));
}

static inline __m256i
ek_pairs_to_lanes_avx512(__m512i pairs)
{
	return _mm512_cvtepi64_epi32(_mm512_add_epi32(pairs, _mm512_srli_epi64(pairs, 32)));
}

static void
ek_code_dot_packed_avx512(const int8_t *query, const int8_t *packed, size_t n,
						  int32_t *dots)
{
	__m512i		lanes_0 = _mm512_setzero_si512();
	__m512i		lanes_8 = _mm512_setzero_si512();

	for (size_t i = 0; i < n; i += 4, packed += EK_PACKED_STEP)
	{
		int32_t		four;
		__m512i		q;

		memcpy(&four, query + i, sizeof(four));
		q = _mm512_cvtepi8_epi16(_mm256_set1_epi32(four));
		lanes_0 = ek_code_eight_lanes_avx512(lanes_0, q, packed);
		lanes_8 = ek_code_eight_lanes_avx512(lanes_8, q, packed + 32);
	}
	_mm256_storeu_si256((__m256i *) dots, ek_pairs_to_lanes_avx512(lanes_0));
	_mm256_storeu_si256((__m256i *) (dots + 8), ek_pairs_to_lanes_avx512(lanes_8));
}

/*
 * The narrow codes of a block are made unsigned by 64, so that two products fit
 * 16 bits.
 */
#define EK_CODE(op) ek_code_##op##_avx512

static inline __m512i
EK_CODE(unsigned) (__m512i codes)
{
	return _mm512_add_epi8(codes, _mm512_set1_epi8(64));
}

static inline __m512i
EK_CODE(step) (__m512i acc, __m512i codes, __m512i four)
{
	const __m512i sums_of_two = _mm512_maddubs_epi16(codes, four);

	return _mm512_add_epi32(acc, _mm512_madd_epi16(sums_of_two, _mm512_set1_epi16(1)));
}

/* 64 times the sum of a query's elements, in each lane. */
static inline __m512i
EK_CODE(bias) (const int8_t *query, size_t n)
{
	__m512i		acc = _mm512_setzero_si512();

	for (size_t i = 0; i < n; i += 64)
	{
		const __mmask64 some = n - i >= 64 ? ~(__mmask64) 0 : ((__mmask64) 1 << (n - i)) - 1;
		const __m512i sums = _mm512_maddubs_epi16(_mm512_set1_epi8(1),
												  _mm512_maskz_loadu_epi8(some, query + i));

		acc = _mm512_add_epi32(acc, _mm512_madd_epi16(sums, _mm512_set1_epi16(64)));
	}
	return _mm512_set1_epi32(_mm512_reduce_add_epi32(acc));
}

#include "ek_blocks.h"

#undef EK_CODE

/*
 * Bounds.  Values are unsigned and weights signed, as maddubs wants them.
 */
typedef __m512i codes;
typedef __m512i sums;
typedef __m512 floats;

static inline codes
codes_load(const uint8_t *p)
{
	return _mm512_loadu_si512(p);
}

static inline codes
codes_and(codes c, char mask)
{
	return _mm512_and_si512(c, _mm512_set1_epi8(mask));
}

static inline codes
codes_shift2(codes c)
{
	return _mm512_srli_epi16(c, 2);
}

static inline codes
codes_shift4(codes c)
{
	return _mm512_srli_epi16(c, 4);
}

static inline sums
sums_zero(void)
{
	return _mm512_setzero_si512();
}

static inline sums
sums_load(const int32_t *p)
{
	return _mm512_loadu_si512(p);
}

static inline floats
floats_all(float x)
{
	return _mm512_set1_ps(x);
}

static inline floats
floats_load(const float *p)
{
	return _mm512_loadu_ps(p);
}

static inline void
floats_store(float *p, floats a)
{
	_mm512_storeu_ps(p, a);
}

static inline floats
floats_widen(const uint16_t *p)
{
	const __m512i halves = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *) p));

	return _mm512_castsi512_ps(_mm512_slli_epi32(halves, 16));
}

static inline floats
floats_from(sums s)
{
	return _mm512_cvtepi32_ps(s);
}

static inline floats
floats_add(floats a, floats b)
{
	return _mm512_add_ps(a, b);
}

static inline floats
floats_sub(floats a, floats b)
{
	return _mm512_sub_ps(a, b);
}

static inline floats
floats_mul(floats a, floats b)
{
	return _mm512_mul_ps(a, b);
}

static inline uint16_t
floats_not_below(floats a, floats b)
{
	return _mm512_cmp_ps_mask(a, b, _CMP_NLT_UQ);
}

#define EK_BOUND(op) ek_bound_##op##_avx512
#define EK_BOUND_STEPS4	EK_STEPS4_IN_16_BITS
#define EK_BOUND_STEPS2	EK_STEPS2_IN_16_BITS

typedef __m512i EK_BOUND(products);

static inline EK_BOUND(products)
EK_BOUND(no_products) (void)
{
	return _mm512_setzero_si512();
}

static inline EK_BOUND(products)
EK_BOUND(multiply) (EK_BOUND(products) acc, codes a, codes b, const int8_t *weights)
{
	acc = _mm512_add_epi16(acc, _mm512_maddubs_epi16(a, ek_code_broadcast_avx512(weights)));
	return _mm512_add_epi16(acc, _mm512_maddubs_epi16(b, ek_code_broadcast_avx512(weights + 8)));
}

static inline sums
EK_BOUND(add) (sums acc, EK_BOUND(products) high, EK_BOUND(products) low)
{
	acc = _mm512_add_epi32(acc, _mm512_madd_epi16(high, _mm512_set1_epi16(256)));
	return _mm512_add_epi32(acc, _mm512_madd_epi16(low, _mm512_set1_epi16(1)));
}

#include "ek_bounds.h"

#undef EK_BOUND
#undef EK_BOUND_STEPS4
#undef EK_BOUND_STEPS2

EK_TARGET_END

/*
 * VNNI multiplies four unsigned bytes by four signed ones and adds them up in
 * one instruction.  128 is added to each byte of the code to make it unsigned,
 * and 128 times the sum of the query is taken off.
 */
EK_TARGET_BEGIN_AVX512VNNI

#define EK_CODE(op) ek_code_##op##_avx512vnni

static inline __m512i
EK_CODE(unsigned) (__m512i codes)
{
	return _mm512_xor_si512(codes, _mm512_set1_epi8((char) 0x80));
}

static inline __m512i
EK_CODE(step) (__m512i acc, __m512i codes, __m512i four)
{
	return _mm512_dpbusd_epi32(acc, codes, four);
}

static int32_t
ek_code_dot_avx512vnni(const int8_t *a, const int8_t *b, size_t n)
{
	const __m512i offset = _mm512_set1_epi8((char) 0x80);
	const size_t whole = n - n % 64;
	__m512i		acc = _mm512_setzero_si512();
	__m512i		bias = _mm512_setzero_si512();

	for (size_t i = 0; i < whole; i += 64)
	{
		__m512i		y = _mm512_loadu_si512(b + i);

		acc = _mm512_dpbusd_epi32(acc, EK_CODE(unsigned) (_mm512_loadu_si512(a + i)), y);
		bias = _mm512_dpbusd_epi32(bias, offset, y);
	}
	if (whole < n)
	{
		const __mmask64 some = ((__mmask64) 1 << (n - whole)) - 1;
		__m512i		y = _mm512_maskz_loadu_epi8(some, b + whole);

		acc = _mm512_dpbusd_epi32(acc, EK_CODE(unsigned) (_mm512_maskz_loadu_epi8(some, a + whole)), y);
		bias = _mm512_dpbusd_epi32(bias, offset, y);
	}
	return _mm512_reduce_add_epi32(_mm512_sub_epi32(acc, bias));
}

static void
ek_code_dot_packed_avx512vnni(const int8_t *query, const int8_t *packed, size_t n,
							  int32_t *dots)
{
	const __m512i offset = _mm512_set1_epi8((char) 0x80);
	__m512i		acc = _mm512_setzero_si512();
	__m512i		bias = _mm512_setzero_si512();

	for (size_t i = 0; i < n; i += 4, packed += EK_PACKED_STEP)
	{
		int32_t		four;
		__m512i		q;

		memcpy(&four, query + i, sizeof(four));
		q = _mm512_set1_epi32(four);
		acc = _mm512_dpbusd_epi32(acc, EK_CODE(unsigned) (_mm512_loadu_si512(packed)), q);
		bias = _mm512_dpbusd_epi32(bias, offset, q);
	}
	_mm512_storeu_si512(dots, _mm512_sub_epi32(acc, bias));
}

/* 128 times the sum of a query's elements, in each lane. */
static inline __m512i
EK_CODE(bias) (const int8_t *query, size_t n)
{
	const __m512i offset = _mm512_set1_epi8((char) 0x80);
	__m512i		bias = _mm512_setzero_si512();

	for (size_t i = 0; i < n; i += 64)
	{
		const __mmask64 some = n - i >= 64 ? ~(__mmask64) 0 : ((__mmask64) 1 << (n - i)) - 1;

		bias = _mm512_dpbusd_epi32(bias, offset, _mm512_maskz_loadu_epi8(some, query + i));
	}
	return _mm512_set1_epi32(_mm512_reduce_add_epi32(bias));
}

#include "ek_blocks.h"

#undef EK_CODE

/*
 * Bounds in one instruction a product, whose latency is 5 cycles: values next to
 * each other have sums of their own, four in all.
 */
#define EK_BOUND(op) ek_bound_##op##_avx512vnni
#define EK_BOUND_STEPS4	EK_BOUND_MAX_STEPS
#define EK_BOUND_STEPS2	EK_BOUND_MAX_STEPS

typedef struct EK_BOUND(products)
{
	__m512i		a;
	__m512i		b;
}			EK_BOUND(products);

static inline EK_BOUND(products)
EK_BOUND(no_products) (void)
{
	return (EK_BOUND(products)) {_mm512_setzero_si512(), _mm512_setzero_si512()};
}

static inline EK_BOUND(products)
EK_BOUND(multiply) (EK_BOUND(products) acc, codes a, codes b, const int8_t *weights)
{
	return (EK_BOUND(products)) {
		_mm512_dpbusd_epi32(acc.a, a, ek_code_broadcast_avx512vnni(weights)),
			_mm512_dpbusd_epi32(acc.b, b, ek_code_broadcast_avx512vnni(weights + 8))
	};
}

static inline sums
EK_BOUND(add) (sums acc, EK_BOUND(products) high, EK_BOUND(products) low)
{
	acc = _mm512_add_epi32(acc, _mm512_slli_epi32(_mm512_add_epi32(high.a, high.b), 8));
	return _mm512_add_epi32(acc, _mm512_add_epi32(low.a, low.b));
}

#include "ek_bounds.h"

#undef EK_BOUND
#undef EK_BOUND_STEPS4
#undef EK_BOUND_STEPS2

EK_TARGET_END

#define EK_FLOAT_KERNELS_AVX512 \
	.level = EK_LEVEL_AVX512, \
	.name = "avx512", \
	.dot = ek_dot_avx512, \
	.norm2 = ek_norm2_avx512, \
	.l2_squared = ek_l2_squared_avx512, \
	.l1 = ek_l1_avx512, \
	.cosine = ek_cosine_avx512, \
	.dot_rows = ek_dot_rows_avx512, \
	.l2_squared_rows = ek_l2_squared_rows_avx512, \
	.l1_rows = ek_l1_rows_avx512, \
	.cosine_rows = ek_cosine_rows_by_two_avx512, \
	.largest = ek_largest_avx512, \
	.quantize = ek_quantize_avx512

const ek_kernels ek_kernels_avx512 = {
	EK_FLOAT_KERNELS_AVX512,
	.code_dot = ek_code_dot_avx512,
	.code_dot_packed = ek_code_dot_packed_avx512,
	.code_dot_block = ek_code_dot_block_avx512,
	.screen = ek_bound_screen_avx512,
	.bound_groups = ek_bound_groups_avx512
};

const ek_kernels ek_kernels_avx512vnni = {
	EK_FLOAT_KERNELS_AVX512,
	.code_dot = ek_code_dot_avx512vnni,
	.code_dot_packed = ek_code_dot_packed_avx512vnni,
	.code_dot_block = ek_code_dot_block_avx512vnni,
	.screen = ek_bound_screen_avx512vnni,
	.bound_groups = ek_bound_groups_avx512vnni
};

#endif							/* EK_HAVE_X86 */
