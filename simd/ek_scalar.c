/*
 * ek_scalar.c
 *		The scalar level: the definition of every result.
 *
 * Plain C that runs on any CPU.  The other levels must reproduce its bits,
 * and engramk.simd = off falls back to it, so it is also fast enough to serve
 * for as long as it takes.  A vector is walked twice, for eight of the sixteen
 * lanes each: gcc -O2 keeps eight named sums in registers, while it spills an
 * array of sixteen.
 */
#include <math.h>
#include <string.h>

#include "ek_level.h"

/* One term of a sum; inlined where it is named. */
typedef double (*term_function) (double a, double b);

static inline double
product(double a, double b)
{
	return a * b;
}

static inline double
square_of_difference(double a, double b)
{
	double		difference = a - b;

	return difference * difference;
}

static inline double
magnitude_of_difference(double a, double b)
{
	return fabs(a - b);
}

/* The fixed tree.  Overwrites the lanes. */
static inline double
reduce(double *lane)
{
	for (size_t half = EK_LANES / 2; half > 0; half /= 2)
		for (size_t j = 0; j < half; j++)
			lane[j] += lane[j + half];
	return lane[0];
}

/* The sum of term(a[i], b[i]) by the contract, for a pair of vectors. */
static inline __attribute__((always_inline)) double
sum_pair(const float *a, const float *b, size_t n, term_function term)
{
	const size_t whole = n - n % EK_LANES;
	double		lane[EK_LANES];

	for (size_t j = 0; j < EK_LANES; j += 8)
	{
		double		s0 = 0.0,
					s1 = 0.0,
					s2 = 0.0,
					s3 = 0.0,
					s4 = 0.0,
					s5 = 0.0,
					s6 = 0.0,
					s7 = 0.0;

		for (size_t i = j; i < whole; i += EK_LANES)
		{
			s0 += term(a[i], b[i]);
			s1 += term(a[i + 1], b[i + 1]);
			s2 += term(a[i + 2], b[i + 2]);
			s3 += term(a[i + 3], b[i + 3]);
			s4 += term(a[i + 4], b[i + 4]);
			s5 += term(a[i + 5], b[i + 5]);
			s6 += term(a[i + 6], b[i + 6]);
			s7 += term(a[i + 7], b[i + 7]);
		}
		lane[j] = s0;
		lane[j + 1] = s1;
		lane[j + 2] = s2;
		lane[j + 3] = s3;
		lane[j + 4] = s4;
		lane[j + 5] = s5;
		lane[j + 6] = s6;
		lane[j + 7] = s7;
	}
	for (size_t i = whole; i < n; i++)
		lane[i - whole] += term(a[i], b[i]);
	return reduce(lane);
}

/*
 * The same, where one of the two is a prepared query, and where the next rows
 * are.  Without asking for those a scan of a table takes half as long again.
 */
static inline __attribute__((always_inline)) double
sum_query(const double *query, const float *x, size_t n, uintptr_t ahead,
		  term_function term)
{
	const size_t whole = n - n % EK_LANES;
	double		lane[EK_LANES];

	for (size_t j = 0; j < EK_LANES; j += 8)
	{
		double		s0 = 0.0,
					s1 = 0.0,
					s2 = 0.0,
					s3 = 0.0,
					s4 = 0.0,
					s5 = 0.0,
					s6 = 0.0,
					s7 = 0.0;

		for (size_t i = j; i < whole; i += EK_LANES)
		{
			ek_prefetch(ahead, i);
			s0 += term(x[i], query[i]);
			s1 += term(x[i + 1], query[i + 1]);
			s2 += term(x[i + 2], query[i + 2]);
			s3 += term(x[i + 3], query[i + 3]);
			s4 += term(x[i + 4], query[i + 4]);
			s5 += term(x[i + 5], query[i + 5]);
			s6 += term(x[i + 6], query[i + 6]);
			s7 += term(x[i + 7], query[i + 7]);
		}
		lane[j] = s0;
		lane[j + 1] = s1;
		lane[j + 2] = s2;
		lane[j + 3] = s3;
		lane[j + 4] = s4;
		lane[j + 5] = s5;
		lane[j + 6] = s6;
		lane[j + 7] = s7;
	}
	for (size_t i = whole; i < n; i++)
		lane[i - whole] += term(x[i], query[i]);
	return reduce(lane);
}

static double
ek_dot_scalar(const float *a, const float *b, size_t n)
{
	return sum_pair(a, b, n, product);
}

static double
ek_norm2_scalar(const float *a, size_t n)
{
	return sum_pair(a, a, n, product);
}

static double
ek_l2_squared_scalar(const float *a, const float *b, size_t n)
{
	return sum_pair(a, b, n, square_of_difference);
}

static double
ek_l1_scalar(const float *a, const float *b, size_t n)
{
	return sum_pair(a, b, n, magnitude_of_difference);
}

static ek_cosine_sums
ek_cosine_scalar(const float *a, const float *b, size_t n)
{
	return (ek_cosine_sums) {
		.dot = ek_dot_scalar(a, b, n),
		.norm2_a = ek_norm2_scalar(a, n),
		.norm2_b = ek_norm2_scalar(b, n)
	};
}

static void
ek_dot_rows_scalar(const ek_query *query, const ek_rows *rows, double *dot)
{
	for (size_t r = 0; r < rows->count; r++)
		dot[r] = sum_query(query->values, ek_row(rows, query->dims, r),
						   query->dims, ek_row_ahead(rows, query->dims, r), product);
}

static void
ek_l2_squared_rows_scalar(const ek_query *query, const ek_rows *rows,
						  double *l2_squared)
{
	for (size_t r = 0; r < rows->count; r++)
		l2_squared[r] = sum_query(query->values, ek_row(rows, query->dims, r),
								  query->dims, ek_row_ahead(rows, query->dims, r),
								  square_of_difference);
}

static void
ek_l1_rows_scalar(const ek_query *query, const ek_rows *rows, double *l1)
{
	for (size_t r = 0; r < rows->count; r++)
		l1[r] = sum_query(query->values, ek_row(rows, query->dims, r),
						  query->dims, ek_row_ahead(rows, query->dims, r),
						  magnitude_of_difference);
}

/*
 * Both sums of a cosine in one walk: half the loads and conversions of two.
 */
static inline void
cosine_row(const double *query, const float *x, size_t n, uintptr_t ahead,
		   double *dot, double *norm2)
{
	const size_t whole = n - n % EK_LANES;
	double		dot_lane[EK_LANES];
	double		norm2_lane[EK_LANES];

	for (size_t j = 0; j < EK_LANES; j += 8)
	{
		double		d0 = 0.0,
					d1 = 0.0,
					d2 = 0.0,
					d3 = 0.0,
					d4 = 0.0,
					d5 = 0.0,
					d6 = 0.0,
					d7 = 0.0;
		double		s0 = 0.0,
					s1 = 0.0,
					s2 = 0.0,
					s3 = 0.0,
					s4 = 0.0,
					s5 = 0.0,
					s6 = 0.0,
					s7 = 0.0;

		for (size_t i = j; i < whole; i += EK_LANES)
		{
			ek_prefetch(ahead, i);
			d0 += product(x[i], query[i]);
			d1 += product(x[i + 1], query[i + 1]);
			d2 += product(x[i + 2], query[i + 2]);
			d3 += product(x[i + 3], query[i + 3]);
			d4 += product(x[i + 4], query[i + 4]);
			d5 += product(x[i + 5], query[i + 5]);
			d6 += product(x[i + 6], query[i + 6]);
			d7 += product(x[i + 7], query[i + 7]);
			s0 += product(x[i], x[i]);
			s1 += product(x[i + 1], x[i + 1]);
			s2 += product(x[i + 2], x[i + 2]);
			s3 += product(x[i + 3], x[i + 3]);
			s4 += product(x[i + 4], x[i + 4]);
			s5 += product(x[i + 5], x[i + 5]);
			s6 += product(x[i + 6], x[i + 6]);
			s7 += product(x[i + 7], x[i + 7]);
		}
		dot_lane[j] = d0;
		dot_lane[j + 1] = d1;
		dot_lane[j + 2] = d2;
		dot_lane[j + 3] = d3;
		dot_lane[j + 4] = d4;
		dot_lane[j + 5] = d5;
		dot_lane[j + 6] = d6;
		dot_lane[j + 7] = d7;
		norm2_lane[j] = s0;
		norm2_lane[j + 1] = s1;
		norm2_lane[j + 2] = s2;
		norm2_lane[j + 3] = s3;
		norm2_lane[j + 4] = s4;
		norm2_lane[j + 5] = s5;
		norm2_lane[j + 6] = s6;
		norm2_lane[j + 7] = s7;
	}
	for (size_t i = whole; i < n; i++)
	{
		dot_lane[i - whole] += product(x[i], query[i]);
		norm2_lane[i - whole] += product(x[i], x[i]);
	}
	*dot = reduce(dot_lane);
	*norm2 = reduce(norm2_lane);
}

static void
ek_cosine_rows_scalar(const ek_query *query, const ek_rows *rows,
					  double *dot, double *norm2)
{
	for (size_t r = 0; r < rows->count; r++)
		cosine_row(query->values, ek_row(rows, query->dims, r), query->dims,
				   ek_row_ahead(rows, query->dims, r), dot + r, norm2 + r);
}

static int32_t
ek_code_dot_scalar(const int8_t *a, const int8_t *b, size_t n)
{
	int32_t		sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += a[i] * b[i];
	return sum;
}

static void
ek_code_dot_packed_scalar(const int8_t *query, const int8_t *packed, size_t n,
						  int32_t *dots)
{
	for (size_t lane = 0; lane < EK_LANES; lane++)
		dots[lane] = 0;
	for (size_t i = 0; i < n; i += 4, packed += EK_PACKED_STEP)
	{
		for (size_t lane = 0; lane < EK_LANES; lane++)
			dots[lane] += ek_code_dot_scalar(query + i, packed + 4 * lane, 4);
	}
}

static void
ek_code_dot_block_scalar(const int8_t *queries, size_t stride, const int8_t *packed,
						 size_t tiles, size_t n, int32_t *dots)
{
	for (size_t tile = 0; tile < tiles; tile++, packed += n * EK_LANES)
		for (size_t q = 0; q < EK_CODE_QUERIES; q++, dots += EK_LANES)
			ek_code_dot_packed_scalar(queries + q * stride, packed, n, dots);
}

/* The weights of `values` values, high and low put together. */
static inline void
join_weights(const int8_t *halves, size_t values, int32_t *weights)
{
	for (size_t i = 0; i < values; i++)
		weights[i] = 256 * halves[i / 4 * 8 + i % 4] + halves[i / 4 * 8 + 4 + i % 4];
}

static inline int32_t
sum_of_four(const int32_t *weights, const uint8_t *codes, int shift, int mask)
{
	return weights[0] * (codes[0] >> shift & mask) +
		weights[1] * (codes[1] >> shift & mask) +
		weights[2] * (codes[2] >> shift & mask) +
		weights[3] * (codes[3] >> shift & mask);
}

/* Adds to the sums of a group what `steps` steps of values of 4 bits come to. */
static void
add_steps4(const int8_t *halves, const uint8_t *codes, size_t steps, ptrdiff_t ahead,
		   int32_t *sums)
{
	for (size_t step = 0; step < steps; step++, halves += EK_WEIGHTS4)
	{
		int32_t		weights[8];

		join_weights(halves, 8, weights);
		ek_prefetch_ahead(codes, ahead);
		for (size_t lane = 0; lane < EK_LANES; lane++, codes += 4)
			sums[lane] += sum_of_four(weights, codes, 0, 15) +
				sum_of_four(weights + 4, codes, 4, 15);
	}
}

/* The same for values of 2 bits. */
static void
add_steps2(const int8_t *halves, const uint8_t *codes, size_t steps, ptrdiff_t ahead,
		   int32_t *sums)
{
	for (size_t step = 0; step < steps; step++, halves += EK_WEIGHTS2)
	{
		int32_t		weights[16];

		join_weights(halves, 16, weights);
		ek_prefetch_ahead(codes, ahead);
		for (size_t lane = 0; lane < EK_LANES; lane++, codes += 4)
			sums[lane] += sum_of_four(weights, codes, 0, 3) +
				sum_of_four(weights + 4, codes, 2, 3) +
				sum_of_four(weights + 8, codes, 4, 3) +
				sum_of_four(weights + 12, codes, 6, 3);
	}
}

static inline float
from_bfloat16(uint16_t upper_half)
{
	const uint32_t bits = (uint32_t) upper_half << 16;
	float		value;

	memcpy(&value, &bits, sizeof(value));
	return value;
}

static void
ek_bound_groups_scalar(const ek_bound_query *query, const uint8_t *codes,
					   const uint16_t *residuals, const float *norms, size_t count,
					   ptrdiff_t ahead, float *bounds, uint16_t *masks)
{
	const size_t code_bytes = (query->steps4 + query->steps2) * EK_STEP_BYTES;

	for (size_t group = 0; group < count; group++, codes += code_bytes)
	{
		int32_t		sums[EK_LANES] = {0};
		unsigned	mask = 0;

		add_steps4(query->weights, codes, query->steps4, ahead, sums);
		add_steps2(query->weights + query->steps4 * EK_WEIGHTS4,
				   codes + query->steps4 * EK_STEP_BYTES, query->steps2, ahead, sums);
		for (size_t lane = 0; lane < EK_LANES; lane++)
		{
			const size_t entry = group * EK_LANES + lane;
			float		bound = ((float) sums[lane] * query->scale +
								 from_bfloat16(residuals[entry]) * query->residual) +
				query->constant;

			if (norms != NULL)
				bound = norms[entry] * (bound - query->decay * norms[entry]);
			bounds[entry] = bound;
			mask |= (unsigned) !(bound < query->threshold) << lane;
		}
		masks[group] = (uint16_t) mask;
	}
}

static void
ek_screen_scalar(const ek_screen_query *queries, const ek_screen_tile *tile, size_t tiles,
				 const int32_t *dots, uint16_t *masks)
{
	for (const ek_screen_tile *end = tile + tiles; tile < end; tile++)
	{
		for (size_t q = 0; q < EK_CODE_QUERIES; q++, dots += EK_LANES)
		{
			unsigned	mask = 0;

			for (size_t lane = 0; lane < EK_LANES; lane++)
			{
				const float reach = ((float) dots[lane] * queries[q].dot * tile->dot[lane] +
									 queries[q].length * tile->length[lane]) +
					(queries[q].one * tile->one[lane] - tile->off[lane]);

				mask |= (unsigned) !(reach < queries[q].need) << lane;
			}
			*masks++ = (uint16_t) mask;
		}
	}
}

static double
ek_largest_scalar(const float *x, size_t n)
{
	double		largest = 0.0;

	for (size_t i = 0; i < n; i++)
		largest = fabs((double) x[i]) > largest ? fabs((double) x[i]) : largest;
	return largest;
}

static double
ek_quantize_scalar(const float *x, size_t n, double inverse, double scale,
				   int8_t *codes)
{
	double		lane[EK_LANES] = {0.0};

	for (size_t i = 0; i < n; i++)
	{
		double		code = (x[i] * inverse + EK_ROUNDING_SHIFT) - EK_ROUNDING_SHIFT;
		double		rest = x[i] - scale * code;

		codes[i] = (int8_t) code;
		lane[i % EK_LANES] += rest * rest;
	}
	return reduce(lane);
}

const ek_kernels ek_kernels_scalar = {
	.level = EK_LEVEL_SCALAR,
	.name = "scalar",
	.dot = ek_dot_scalar,
	.norm2 = ek_norm2_scalar,
	.l2_squared = ek_l2_squared_scalar,
	.l1 = ek_l1_scalar,
	.cosine = ek_cosine_scalar,
	.dot_rows = ek_dot_rows_scalar,
	.l2_squared_rows = ek_l2_squared_rows_scalar,
	.l1_rows = ek_l1_rows_scalar,
	.cosine_rows = ek_cosine_rows_scalar,
	.code_dot = ek_code_dot_scalar,
	.code_dot_packed = ek_code_dot_packed_scalar,
	.code_dot_block = ek_code_dot_block_scalar,
	.screen = ek_screen_scalar,
	.bound_groups = ek_bound_groups_scalar,
	.largest = ek_largest_scalar,
	.quantize = ek_quantize_scalar
};
