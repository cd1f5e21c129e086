/*
 * ek_neon.c
 *		The NEON level of aarch64: sixteen lanes in eight registers.
 *
 * Every aarch64 has double-precision NEON with FMA and 32 registers; a cosine
 * keeps its sixteen accumulators in half of them.
 *
 * gcc fuses separate multiply and add intrinsics where contraction is on,
 * which would change L2: the file is compiled with -ffp-contract=off.
 */
#include "ek_level.h"

#ifdef EK_HAVE_NEON

#include <arm_neon.h>
#include <string.h>

#define EK_KERNEL(op) ek_##op##_neon

typedef struct lanes
{
	float64x2_t v0,				/* lanes 0 and 1 */
				v2,
				v4,
				v6,
				v8,
				v10,
				v12,
				v14;			/* lanes 14 and 15 */
} lanes;

static inline lanes
lanes_zero(void)
{
	const float64x2_t zero = vdupq_n_f64(0.0);

	return (lanes) {zero, zero, zero, zero, zero, zero, zero, zero};
}

static inline lanes
lanes_load(const double *q)
{
	return (lanes) {vld1q_f64(q), vld1q_f64(q + 2), vld1q_f64(q + 4),
		vld1q_f64(q + 6), vld1q_f64(q + 8), vld1q_f64(q + 10),
		vld1q_f64(q + 12), vld1q_f64(q + 14)};
}

static inline lanes
lanes_widen(const float *x)
{
	const float32x4_t x0 = vld1q_f32(x);
	const float32x4_t x4 = vld1q_f32(x + 4);
	const float32x4_t x8 = vld1q_f32(x + 8);
	const float32x4_t x12 = vld1q_f32(x + 12);

	return (lanes) {vcvt_f64_f32(vget_low_f32(x0)), vcvt_high_f64_f32(x0),
		vcvt_f64_f32(vget_low_f32(x4)), vcvt_high_f64_f32(x4),
		vcvt_f64_f32(vget_low_f32(x8)), vcvt_high_f64_f32(x8),
		vcvt_f64_f32(vget_low_f32(x12)), vcvt_high_f64_f32(x12)};
}

static inline lanes
lanes_widen_some(const float *x, size_t n)
{
	float		some[EK_LANES] = {0};

	for (size_t i = 0; i < n; i++)
		some[i] = x[i];
	return lanes_widen(some);
}

static inline lanes
lanes_fma(lanes acc, lanes a, lanes b)
{
	return (lanes) {vfmaq_f64(acc.v0, a.v0, b.v0), vfmaq_f64(acc.v2, a.v2, b.v2),
		vfmaq_f64(acc.v4, a.v4, b.v4), vfmaq_f64(acc.v6, a.v6, b.v6),
		vfmaq_f64(acc.v8, a.v8, b.v8), vfmaq_f64(acc.v10, a.v10, b.v10),
		vfmaq_f64(acc.v12, a.v12, b.v12), vfmaq_f64(acc.v14, a.v14, b.v14)};
}

static inline lanes
lanes_add(lanes a, lanes b)
{
	return (lanes) {vaddq_f64(a.v0, b.v0), vaddq_f64(a.v2, b.v2),
		vaddq_f64(a.v4, b.v4), vaddq_f64(a.v6, b.v6),
		vaddq_f64(a.v8, b.v8), vaddq_f64(a.v10, b.v10),
		vaddq_f64(a.v12, b.v12), vaddq_f64(a.v14, b.v14)};
}

static inline lanes
lanes_sub(lanes a, lanes b)
{
	return (lanes) {vsubq_f64(a.v0, b.v0), vsubq_f64(a.v2, b.v2),
		vsubq_f64(a.v4, b.v4), vsubq_f64(a.v6, b.v6),
		vsubq_f64(a.v8, b.v8), vsubq_f64(a.v10, b.v10),
		vsubq_f64(a.v12, b.v12), vsubq_f64(a.v14, b.v14)};
}

static inline lanes
lanes_mul(lanes a, lanes b)
{
	return (lanes) {vmulq_f64(a.v0, b.v0), vmulq_f64(a.v2, b.v2),
		vmulq_f64(a.v4, b.v4), vmulq_f64(a.v6, b.v6),
		vmulq_f64(a.v8, b.v8), vmulq_f64(a.v10, b.v10),
		vmulq_f64(a.v12, b.v12), vmulq_f64(a.v14, b.v14)};
}

static inline lanes
lanes_abs(lanes a)
{
	return (lanes) {vabsq_f64(a.v0), vabsq_f64(a.v2), vabsq_f64(a.v4),
		vabsq_f64(a.v6), vabsq_f64(a.v8), vabsq_f64(a.v10),
		vabsq_f64(a.v12), vabsq_f64(a.v14)};
}

static inline lanes
lanes_max(lanes a, lanes b)
{
	return (lanes) {vmaxq_f64(a.v0, b.v0), vmaxq_f64(a.v2, b.v2),
		vmaxq_f64(a.v4, b.v4), vmaxq_f64(a.v6, b.v6),
		vmaxq_f64(a.v8, b.v8), vmaxq_f64(a.v10, b.v10),
		vmaxq_f64(a.v12, b.v12), vmaxq_f64(a.v14, b.v14)};
}

static inline lanes
lanes_all(double x)
{
	const float64x2_t all = vdupq_n_f64(x);

	return (lanes) {all, all, all, all, all, all, all, all};
}

static inline void
lanes_store(double *p, lanes a)
{
	vst1q_f64(p, a.v0);
	vst1q_f64(p + 2, a.v2);
	vst1q_f64(p + 4, a.v4);
	vst1q_f64(p + 6, a.v6);
	vst1q_f64(p + 8, a.v8);
	vst1q_f64(p + 10, a.v10);
	vst1q_f64(p + 12, a.v12);
	vst1q_f64(p + 14, a.v14);
}

static inline int16x4_t
four_codes(float64x2_t low, float64x2_t high)
{
	return vmovn_s32(vcombine_s32(vmovn_s64(vcvtq_s64_f64(low)),
								  vmovn_s64(vcvtq_s64_f64(high))));
}

static inline void
lanes_store_codes(int8_t *p, lanes a)
{
	vst1_s8(p, vmovn_s16(vcombine_s16(four_codes(a.v0, a.v2), four_codes(a.v4, a.v6))));
	vst1_s8(p + 8, vmovn_s16(vcombine_s16(four_codes(a.v8, a.v10), four_codes(a.v12, a.v14))));
}

static inline double
lanes_sum(lanes acc)
{
	const float64x2_t by4_0 = vaddq_f64(vaddq_f64(acc.v0, acc.v8),
										vaddq_f64(acc.v4, acc.v12));
	const float64x2_t by4_2 = vaddq_f64(vaddq_f64(acc.v2, acc.v10),
										vaddq_f64(acc.v6, acc.v14));
	const float64x2_t by2 = vaddq_f64(by4_0, by4_2);

	return vgetq_lane_f64(by2, 0) + vgetq_lane_f64(by2, 1);
}

#include "ek_kernels.h"

/* Eight products of at most 127 * 127 in two accumulators of 16 and 32 bits. */
static inline int32x4_t
ek_code_step_neon(int32x4_t acc, int8x16_t a, int8x16_t b)
{
	int16x8_t	low = vmull_s8(vget_low_s8(a), vget_low_s8(b));
	int16x8_t	high = vmull_high_s8(a, b);

	return vpadalq_s16(vpadalq_s16(acc, low), high);
}

static int32_t
ek_code_dot_neon(const int8_t *a, const int8_t *b, size_t n)
{
	const size_t whole = n - n % 16;
	int32x4_t	acc = vdupq_n_s32(0);
	int32_t		rest = 0;

	for (size_t i = 0; i < whole; i += 16)
		acc = ek_code_step_neon(acc, vld1q_s8(a + i), vld1q_s8(b + i));
	for (size_t i = whole; i < n; i++)
		rest += a[i] * b[i];
	return vaddvq_s32(acc) + rest;
}

/* Four lanes of four bytes: products in pairs, pairs to lanes. */
static inline int32x4_t
ek_code_four_lanes_neon(int32x4_t acc, int8x16_t query, const int8_t *packed)
{
	int8x16_t	code = vld1q_s8(packed);
	int32x4_t	low = vpaddlq_s16(vmull_s8(vget_low_s8(code), vget_low_s8(query)));
	int32x4_t	high = vpaddlq_s16(vmull_high_s8(code, query));

	return vaddq_s32(acc, vpaddq_s32(low, high));
}

static void
ek_code_dot_packed_neon(const int8_t *query, const int8_t *packed, size_t n,
						int32_t *dots)
{
	int32x4_t	lanes_0 = vdupq_n_s32(0);
	int32x4_t	lanes_4 = vdupq_n_s32(0);
	int32x4_t	lanes_8 = vdupq_n_s32(0);
	int32x4_t	lanes_12 = vdupq_n_s32(0);

	for (size_t i = 0; i < n; i += 4, packed += EK_PACKED_STEP)
	{
		int32_t		four;
		int8x16_t	q;

		memcpy(&four, query + i, sizeof(four));
		q = vreinterpretq_s8_s32(vdupq_n_s32(four));
		lanes_0 = ek_code_four_lanes_neon(lanes_0, q, packed);
		lanes_4 = ek_code_four_lanes_neon(lanes_4, q, packed + 16);
		lanes_8 = ek_code_four_lanes_neon(lanes_8, q, packed + 32);
		lanes_12 = ek_code_four_lanes_neon(lanes_12, q, packed + 48);
	}
	vst1q_s32(dots, lanes_0);
	vst1q_s32(dots + 4, lanes_4);
	vst1q_s32(dots + 8, lanes_8);
	vst1q_s32(dots + 12, lanes_12);
}

static void
ek_code_dot_block_neon(const int8_t *queries, size_t stride, const int8_t *packed,
					   size_t tiles, size_t n, int32_t *dots)
{
	for (size_t tile = 0; tile < tiles; tile++, packed += n * EK_LANES)
		for (size_t q = 0; q < EK_CODE_QUERIES; q++, dots += EK_LANES)
			ek_code_dot_packed_neon(queries + q * stride, packed, n, dots);
}

/*
 * Bounds, of four times four entries.
 */
typedef struct codes
{
	uint8x16_t	v0,				/* entries 0 to 3 */
				v4,
				v8,
				v12;			/* entries 12 to 15 */
} codes;

typedef struct sums
{
	int32x4_t	v0,
				v4,
				v8,
				v12;
} sums;

typedef struct floats
{
	float32x4_t v0,
				v4,
				v8,
				v12;
} floats;

static inline codes
codes_load(const uint8_t *p)
{
	return (codes) {vld1q_u8(p), vld1q_u8(p + 16), vld1q_u8(p + 32), vld1q_u8(p + 48)};
}

static inline codes
codes_and(codes c, uint8_t mask)
{
	const uint8x16_t all = vdupq_n_u8(mask);

	return (codes) {vandq_u8(c.v0, all), vandq_u8(c.v4, all),
		vandq_u8(c.v8, all), vandq_u8(c.v12, all)};
}

static inline codes
codes_shift2(codes c)
{
	return (codes) {vshrq_n_u8(c.v0, 2), vshrq_n_u8(c.v4, 2),
		vshrq_n_u8(c.v8, 2), vshrq_n_u8(c.v12, 2)};
}

static inline codes
codes_shift4(codes c)
{
	return (codes) {vshrq_n_u8(c.v0, 4), vshrq_n_u8(c.v4, 4),
		vshrq_n_u8(c.v8, 4), vshrq_n_u8(c.v12, 4)};
}

static inline sums
sums_zero(void)
{
	const int32x4_t zero = vdupq_n_s32(0);

	return (sums) {zero, zero, zero, zero};
}

static inline sums
sums_load(const int32_t *p)
{
	return (sums) {vld1q_s32(p), vld1q_s32(p + 4), vld1q_s32(p + 8), vld1q_s32(p + 12)};
}

static inline floats
floats_all(float x)
{
	const float32x4_t all = vdupq_n_f32(x);

	return (floats) {all, all, all, all};
}

static inline floats
floats_load(const float *p)
{
	return (floats) {vld1q_f32(p), vld1q_f32(p + 4), vld1q_f32(p + 8), vld1q_f32(p + 12)};
}

static inline void
floats_store(float *p, floats a)
{
	vst1q_f32(p, a.v0);
	vst1q_f32(p + 4, a.v4);
	vst1q_f32(p + 8, a.v8);
	vst1q_f32(p + 12, a.v12);
}

static inline float32x4_t
four_widened(const uint16_t *p)
{
	return vreinterpretq_f32_u32(vshll_n_u16(vld1_u16(p), 16));
}

static inline floats
floats_widen(const uint16_t *p)
{
	return (floats) {four_widened(p), four_widened(p + 4),
		four_widened(p + 8), four_widened(p + 12)};
}

static inline floats
floats_from(sums s)
{
	return (floats) {vcvtq_f32_s32(s.v0), vcvtq_f32_s32(s.v4),
		vcvtq_f32_s32(s.v8), vcvtq_f32_s32(s.v12)};
}

static inline floats
floats_add(floats a, floats b)
{
	return (floats) {vaddq_f32(a.v0, b.v0), vaddq_f32(a.v4, b.v4),
		vaddq_f32(a.v8, b.v8), vaddq_f32(a.v12, b.v12)};
}

static inline floats
floats_sub(floats a, floats b)
{
	return (floats) {vsubq_f32(a.v0, b.v0), vsubq_f32(a.v4, b.v4),
		vsubq_f32(a.v8, b.v8), vsubq_f32(a.v12, b.v12)};
}

static inline floats
floats_mul(floats a, floats b)
{
	return (floats) {vmulq_f32(a.v0, b.v0), vmulq_f32(a.v4, b.v4),
		vmulq_f32(a.v8, b.v8), vmulq_f32(a.v12, b.v12)};
}

/* Four bits, from bit `first` on. */
static inline uint32_t
four_not_below(float32x4_t a, float32x4_t b, int first)
{
	const int32_t places[] = {0, 1, 2, 3};
	const uint32x4_t bits = vshlq_u32(vdupq_n_u32(1), vaddq_s32(vld1q_s32(places), vdupq_n_s32(first)));

	return vaddvq_u32(vbicq_u32(bits, vcltq_f32(a, b)));
}

static inline uint16_t
floats_not_below(floats a, floats b)
{
	return (uint16_t) (four_not_below(a.v0, b.v0, 0) | four_not_below(a.v4, b.v4, 4) |
					   four_not_below(a.v8, b.v8, 8) | four_not_below(a.v12, b.v12, 12));
}

#define EK_BOUND(op) ek_bound_##op##_neon
#define EK_BOUND_STEPS4	EK_STEPS4_IN_16_BITS
#define EK_BOUND_STEPS2	EK_STEPS2_IN_16_BITS

/* Not even pairs: each of the four bytes of an entry has sums of its own. */
typedef struct EK_BOUND(products)
{
	int16x8_t	v0,				/* entries 0 and 1 */
				v2,
				v4,
				v6,
				v8,
				v10,
				v12,
				v14;			/* entries 14 and 15 */
}			EK_BOUND(products);

static inline EK_BOUND(products)
EK_BOUND(no_products) (void)
{
	const int16x8_t zero = vdupq_n_s16(0);

	return (EK_BOUND(products)) {zero, zero, zero, zero, zero, zero, zero, zero};
}

static inline EK_BOUND(products)
ek_bound_multiply_four_neon(EK_BOUND(products) acc, codes c, const int8_t *weights)
{
	const int8x16_t v0 = vreinterpretq_s8_u8(c.v0);
	const int8x16_t v4 = vreinterpretq_s8_u8(c.v4);
	const int8x16_t v8 = vreinterpretq_s8_u8(c.v8);
	const int8x16_t v12 = vreinterpretq_s8_u8(c.v12);
	int32_t		four;
	int8x16_t	w;

	memcpy(&four, weights, sizeof(four));
	w = vreinterpretq_s8_s32(vdupq_n_s32(four));
	return (EK_BOUND(products)) {
		vmlal_s8(acc.v0, vget_low_s8(v0), vget_low_s8(w)), vmlal_high_s8(acc.v2, v0, w),
			vmlal_s8(acc.v4, vget_low_s8(v4), vget_low_s8(w)), vmlal_high_s8(acc.v6, v4, w),
			vmlal_s8(acc.v8, vget_low_s8(v8), vget_low_s8(w)), vmlal_high_s8(acc.v10, v8, w),
			vmlal_s8(acc.v12, vget_low_s8(v12), vget_low_s8(w)), vmlal_high_s8(acc.v14, v12, w)
	};
}

static inline EK_BOUND(products)
EK_BOUND(multiply) (EK_BOUND(products) acc, codes a, codes b, const int8_t *weights)
{
	acc = ek_bound_multiply_four_neon(acc, a, weights);
	return ek_bound_multiply_four_neon(acc, b, weights + 8);
}

static inline int32x4_t
four_sums(int16x8_t v0, int16x8_t v2)
{
	return vpaddq_s32(vpaddlq_s16(v0), vpaddlq_s16(v2));
}

static inline int32x4_t
add_four_sums(int32x4_t acc, int32x4_t high, int32x4_t low)
{
	return vaddq_s32(acc, vaddq_s32(vshlq_n_s32(high, 8), low));
}

static inline sums
EK_BOUND(add) (sums acc, EK_BOUND(products) high, EK_BOUND(products) low)
{
	return (sums) {
		add_four_sums(acc.v0, four_sums(high.v0, high.v2), four_sums(low.v0, low.v2)),
			add_four_sums(acc.v4, four_sums(high.v4, high.v6), four_sums(low.v4, low.v6)),
			add_four_sums(acc.v8, four_sums(high.v8, high.v10), four_sums(low.v8, low.v10)),
			add_four_sums(acc.v12, four_sums(high.v12, high.v14), four_sums(low.v12, low.v14))
	};
}

#include "ek_bounds.h"

const ek_kernels ek_kernels_neon = {
	.level = EK_LEVEL_NEON,
	.name = "neon",
	.dot = ek_dot_neon,
	.norm2 = ek_norm2_neon,
	.l2_squared = ek_l2_squared_neon,
	.l1 = ek_l1_neon,
	.cosine = ek_cosine_neon,
	.dot_rows = ek_dot_rows_neon,
	.l2_squared_rows = ek_l2_squared_rows_neon,
	.l1_rows = ek_l1_rows_neon,
	.cosine_rows = ek_cosine_rows_neon,
	.code_dot = ek_code_dot_neon,
	.code_dot_packed = ek_code_dot_packed_neon,
	.code_dot_block = ek_code_dot_block_neon,
	.screen = ek_bound_screen_neon,
	.bound_groups = ek_bound_groups_neon,
	.largest = ek_largest_neon,
	.quantize = ek_quantize_neon
};

#endif							/* EK_HAVE_NEON */
