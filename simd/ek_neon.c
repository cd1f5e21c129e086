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

const ek_kernels ek_kernels_neon = {
	.level = EK_LEVEL_NEON,
	.name = "neon",
	.dot = ek_dot_neon,
	.norm2 = ek_norm2_neon,
	.l2_squared = ek_l2_squared_neon,
	.l1 = ek_l1_neon,
	.cosine = ek_cosine_neon,
	.dot_rows = ek_dot_rows_neon,
	.norm2_rows = ek_norm2_rows_neon,
	.l2_squared_rows = ek_l2_squared_rows_neon,
	.l1_rows = ek_l1_rows_neon,
	.cosine_rows = ek_cosine_rows_neon
};

#endif							/* EK_HAVE_NEON */
