/*
 * compute.c
 *		The kernels as SQL functions call them: run, and perhaps verified.
 *
 * The common path is one call through the table of the level in use and one
 * test of whether this call is due to be verified.
 */
#include "postgres.h"

#include <math.h>

#include "base/guc.h"
#include "base/level.h"
#include "base/stats.h"
#include "vector/compute.h"

/* Grows by verify_rate with each call; a call is verified when it reaches 1. */
static double verify_credit = 0.0;

/* Scalar has nothing to be compared with. */
static inline bool
verification_is_due(const ek_kernels *kernels)
{
	if (likely(ek_verify_rate == 0.0) || kernels->level == EK_LEVEL_SCALAR)
		return false;
	verify_credit += ek_verify_rate;
	if (verify_credit < 1.0)
		return false;
	verify_credit -= 1.0;
	return true;
}

static const ek_kernels *
scalar(void)
{
	return ek_level_kernels(EK_LEVEL_SCALAR);
}

/* A verified call; the caller returns what scalar gave. */
static void
act_on(const ek_kernels *kernels, bool same)
{
	ek_stats_count_checked();
	if (same)
		return;
	ek_stats_count_divergence();
	ek_level_withdraw(kernels->level);
}

/*
 * Bits, not values: 0.0 is not -0.0 here.  But what is not finite says no more
 * than that an element was not, which raises an error; the bits of a NaN
 * depend on which of two operands the CPU takes them from.
 */
static bool
same_bits(double a, double b)
{
	return memcmp(&a, &b, sizeof(double)) == 0 ||
		(!isfinite(a) && !isfinite(b));
}

static pg_noinline void
settle(const ek_kernels *kernels, double *sum, double expected)
{
	act_on(kernels, same_bits(*sum, expected));
	*sum = expected;
}

/*
 * For testing what happens when a kernel lies; not in a default build.  A sum
 * that is a result is off by its last bit.  What bounds are made from is off
 * by a lot, since a small lie might not matter.
 */
static inline bool
lies(const ek_kernels *kernels pg_attribute_unused(),
	 ek_fault what pg_attribute_unused())
{
#ifdef EK_FAULT_INJECTION
	return (ek_inject_fault == EK_FAULT_ALL || ek_inject_fault == (int) what) &&
		kernels->level != EK_LEVEL_SCALAR;
#else
	return false;
#endif
}

/* Neither verified nor, in a test build, a lie. */
static inline bool
is_unwatched(void)
{
#ifdef EK_FAULT_INJECTION
	if (ek_inject_fault != EK_FAULT_NONE)
		return false;
#endif
	return ek_verify_rate == 0.0;
}

static inline void
maybe_lie(const ek_kernels *kernels, ek_fault what, double *sum)
{
	uint64		bits;

	if (!lies(kernels, what))
		return;
	memcpy(&bits, sum, sizeof(bits));
	bits ^= 1;
	memcpy(sum, &bits, sizeof(bits));
}

/* One lane is lost, as when a part of a unit fails. */
static inline void
maybe_forget(const ek_kernels *kernels, ek_fault what, int32 *dots, Size n)
{
	if (!lies(kernels, what))
		return;
	for (Size i = 0; i < n; i += EK_LANES)
		dots[i] = 0;
}

static inline ek_rows
one_row(const float *values, ptrdiff_t ahead)
{
	return (ek_rows)
	{
		.first = values,.count = 1,.ahead = ahead
	};
}

static inline ek_cosine_sums
cosine_with(const ek_kernels *kernels, const ek_operands *operands)
{
	ek_cosine_sums sums;

	if (operands->query != NULL)
	{
		ek_rows		row = one_row(operands->vector.values, operands->ahead);

		kernels->cosine_rows(operands->query, &row, &sums.dot, &sums.norm2_b);
		sums.norm2_a = operands->query->norm2;
	}
	else
		sums = kernels->cosine(operands->vector.values, operands->other.values,
							   operands->vector.dims);
	maybe_lie(kernels, EK_FAULT_COSINE, &sums.dot);
	return sums;
}

ek_cosine_sums
ek_compute_cosine(const ek_operands *operands)
{
	const ek_kernels *kernels = ek_kernels_in_use();
	ek_cosine_sums sums = cosine_with(kernels, operands);

	if (unlikely(verification_is_due(kernels)))
	{
		ek_cosine_sums expected = cosine_with(scalar(), operands);

		act_on(kernels, same_bits(sums.dot, expected.dot) &&
			   same_bits(sums.norm2_a, expected.norm2_a) &&
			   same_bits(sums.norm2_b, expected.norm2_b));
		return expected;
	}
	return sums;
}

typedef double (*pair_kernel) (const float *a, const float *b, size_t n);
typedef void (*rows_kernel) (const ek_query *query, const ek_rows *rows,
							 double *sums);

/* The sum of one operation, by whichever of its kernels fits the operands. */
static inline double
sum_with(const ek_kernels *kernels, pair_kernel pair, rows_kernel rows,
		 ek_fault fault, const ek_operands *operands)
{
	double		sum;

	if (operands->query != NULL)
	{
		ek_rows		row = one_row(operands->vector.values, operands->ahead);

		rows(operands->query, &row, &sum);
	}
	else
		sum = pair(operands->vector.values, operands->other.values,
				   operands->vector.dims);
	maybe_lie(kernels, fault, &sum);
	return sum;
}

double
ek_compute_dot(const ek_operands *operands)
{
	const ek_kernels *kernels = ek_kernels_in_use();
	double		sum = sum_with(kernels, kernels->dot, kernels->dot_rows,
							   EK_FAULT_DOT, operands);

	if (unlikely(verification_is_due(kernels)))
		settle(kernels, &sum, sum_with(scalar(), scalar()->dot, scalar()->dot_rows,
									   EK_FAULT_DOT, operands));
	return sum;
}

double
ek_compute_l2_squared(const ek_operands *operands)
{
	const ek_kernels *kernels = ek_kernels_in_use();
	double		sum = sum_with(kernels, kernels->l2_squared, kernels->l2_squared_rows,
							   EK_FAULT_L2_SQUARED, operands);

	if (unlikely(verification_is_due(kernels)))
		settle(kernels, &sum, sum_with(scalar(), scalar()->l2_squared, scalar()->l2_squared_rows,
									   EK_FAULT_L2_SQUARED, operands));
	return sum;
}

double
ek_compute_l1(const ek_operands *operands)
{
	const ek_kernels *kernels = ek_kernels_in_use();
	double		sum = sum_with(kernels, kernels->l1, kernels->l1_rows,
							   EK_FAULT_L1, operands);

	if (unlikely(verification_is_due(kernels)))
		settle(kernels, &sum, sum_with(scalar(), scalar()->l1, scalar()->l1_rows,
									   EK_FAULT_L1, operands));
	return sum;
}

double
ek_compute_norm2(ek_vector vector)
{
	const ek_kernels *kernels = ek_kernels_in_use();
	double		norm2 = kernels->norm2(vector.values, vector.dims);

	maybe_lie(kernels, EK_FAULT_NORM2, &norm2);
	if (unlikely(verification_is_due(kernels)))
		settle(kernels, &norm2, scalar()->norm2(vector.values, vector.dims));
	return norm2;
}

/* Row by row, so that no room for a second set of results is needed. */
static pg_noinline void
verify_cosine_rows(const ek_kernels *kernels, const ek_query *query,
				   const ek_rows *rows, double *dot, double *norm2)
{
	bool		same = true;

	for (size_t r = 0; r < rows->count; r++)
	{
		ek_rows		one = one_row(rows->first + r * query->dims, rows->ahead);
		double		expected[2];

		scalar()->cosine_rows(query, &one, &expected[0], &expected[1]);
		same = same && same_bits(dot[r], expected[0]) &&
			same_bits(norm2[r], expected[1]);
		dot[r] = expected[0];
		norm2[r] = expected[1];
	}
	act_on(kernels, same);
}

void
ek_compute_cosine_rows(const ek_query *query, const ek_rows *rows,
					   double *dot, double *norm2)
{
	const ek_kernels *kernels = ek_kernels_in_use();

	kernels->cosine_rows(query, rows, dot, norm2);
	maybe_lie(kernels, EK_FAULT_COSINE_ROWS, dot);
	if (unlikely(verification_is_due(kernels)))
		verify_cosine_rows(kernels, query, rows, dot, norm2);
}

static pg_noinline void
verify_dot_rows(const ek_kernels *kernels, const ek_query *query,
				const ek_rows *rows, double *dot)
{
	bool		same = true;

	for (size_t r = 0; r < rows->count; r++)
	{
		ek_rows		one = one_row(rows->first + r * query->dims, rows->ahead);
		double		expected;

		scalar()->dot_rows(query, &one, &expected);
		same = same && same_bits(dot[r], expected);
		dot[r] = expected;
	}
	act_on(kernels, same);
}

void
ek_compute_dot_rows(const ek_query *query, const ek_rows *rows, double *dot)
{
	const ek_kernels *kernels = ek_kernels_in_use();

	kernels->dot_rows(query, rows, dot);
	if (lies(kernels, EK_FAULT_DOT_ROWS))
	{
		for (size_t r = 0; r < rows->count; r++)
			dot[r] = -dot[r];
	}
	if (unlikely(verification_is_due(kernels)))
		verify_dot_rows(kernels, query, rows, dot);
}

/*
 * Codes
 */

/* dots = expected; were they the same? */
static bool
replace(int32 *dots, const int32 *expected, Size n)
{
	bool		same = memcmp(dots, expected, sizeof(int32) * n) == 0;

	memcpy(dots, expected, sizeof(int32) * n);
	return same;
}

int32
ek_compute_code_dot(const int8 *a, const int8 *b, Size n)
{
	const ek_kernels *kernels = ek_kernels_in_use();
	int32		dot = kernels->code_dot(a, b, n);

	maybe_forget(kernels, EK_FAULT_CODE_DOT, &dot, 1);
	if (unlikely(verification_is_due(kernels)))
	{
		int32		expected = scalar()->code_dot(a, b, n);

		act_on(kernels, replace(&dot, &expected, 1));
	}
	return dot;
}

static pg_noinline void
code_dot_packed_watched(const int8 *query, const int8 *packed, Size n, int32 *dots)
{
	const ek_kernels *kernels = ek_kernels_in_use();

	kernels->code_dot_packed(query, packed, n, dots);
	maybe_forget(kernels, EK_FAULT_CODE_DOT_PACKED, dots, EK_LANES);
	if (verification_is_due(kernels))
	{
		int32		expected[EK_LANES];

		scalar()->code_dot_packed(query, packed, n, expected);
		act_on(kernels, replace(dots, expected, EK_LANES));
	}
}

/* A scan calls this for each sixteen entries, so the common path is a jump. */
void
ek_compute_code_dot_packed(const int8 *query, const int8 *packed, Size n, int32 *dots)
{
	if (likely(is_unwatched()))
		ek_kernels_in_use()->code_dot_packed(query, packed, n, dots);
	else
		code_dot_packed_watched(query, packed, n, dots);
}

/* Tile by tile, so that no room for a second set of results is needed. */
static pg_noinline void
verify_code_dot_block(const ek_kernels *kernels, const int8 *queries, Size stride,
					  const int8 *packed, Size tiles, Size n, int32 *dots)
{
	bool		same = true;

	for (Size tile = 0; tile < tiles; tile++)
	{
		int32		expected[EK_CODE_QUERIES * EK_LANES];

		scalar()->code_dot_block(queries, stride, packed, 1, n, expected);
		same &= replace(dots, expected, lengthof(expected));
		packed += n * EK_LANES;
		dots += lengthof(expected);
	}
	act_on(kernels, same);
}

void
ek_compute_code_dot_block(const int8 *queries, Size stride, const int8 *packed,
						  Size tiles, Size n, int32 *dots)
{
	const ek_kernels *kernels = ek_kernels_in_use();

	kernels->code_dot_block(queries, stride, packed, tiles, n, dots);
	maybe_forget(kernels, EK_FAULT_CODE_DOT_BLOCK, dots,
				tiles * EK_CODE_QUERIES * EK_LANES);
	if (unlikely(verification_is_due(kernels)))
		verify_code_dot_block(kernels, queries, stride, packed, tiles, n, dots);
}

/* Tile by tile, as above; a lie loses what survives of each tile for one query. */
static pg_noinline void
screen_watched(const ek_screen_query *queries, const ek_screen_tile *tile, Size tiles,
			   const int32 *dots, uint16 *masks)
{
	const ek_kernels *kernels = ek_kernels_in_use();
	const bool	verify = verification_is_due(kernels);
	bool		same = true;

	kernels->screen(queries, tile, tiles, dots, masks);
	for (Size i = 0; i < tiles; i++, masks += EK_CODE_QUERIES)
	{
		uint16		expected[EK_CODE_QUERIES];

		if (lies(kernels, EK_FAULT_SCREEN))
			masks[0] = 0;
		if (!verify)
			continue;
		scalar()->screen(queries, &tile[i], 1, dots + i * EK_CODE_QUERIES * EK_LANES, expected);
		same &= memcmp(masks, expected, sizeof(expected)) == 0;
		memcpy(masks, expected, sizeof(expected));
	}
	if (verify)
		act_on(kernels, same);
}

void
ek_compute_screen(const ek_screen_query *queries, const ek_screen_tile *tile, Size tiles,
				  const int32 *dots, uint16 *masks)
{
	if (likely(is_unwatched()))
		ek_kernels_in_use()->screen(queries, tile, tiles, dots, masks);
	else
		screen_watched(queries, tile, tiles, dots, masks);
}

/* An entry of each group is lost. */
static inline void
maybe_lose(const ek_kernels *kernels, float *bounds, uint16 *masks, Size count)
{
	if (!lies(kernels, EK_FAULT_BOUND_GROUPS))
		return;
	for (Size group = 0; group < count; group++)
	{
		bounds[group * EK_LANES] = -INFINITY;
		masks[group] &= ~1;
	}
}

/* bounds = expected, of one group; were they the same?  All NaN are one. */
static bool
replace_bounds(float *bounds, const float *expected)
{
	bool		same = true;

	for (Size lane = 0; lane < EK_LANES; lane++)
		same = same && (memcmp(&bounds[lane], &expected[lane], sizeof(float)) == 0 ||
						(isnan(bounds[lane]) && isnan(expected[lane])));
	memcpy(bounds, expected, sizeof(float) * EK_LANES);
	return same;
}

/* Group by group, so that no room for a second set of results is needed. */
static void
verify_bound_groups(const ek_kernels *kernels, const ek_bound_query *query, const uint8 *codes,
					const uint16 *residuals, const float *norms, Size count, float *bounds,
					uint16 *masks)
{
	const Size	code_bytes = (query->steps4 + query->steps2) * EK_STEP_BYTES;
	bool		same = true;

	for (Size group = 0; group < count; group++)
	{
		const Size	first = group * EK_LANES;
		float		expected[EK_LANES];
		uint16		mask;

		scalar()->bound_groups(query, codes + group * code_bytes, residuals + first,
							   norms != NULL ? norms + first : NULL, 1, 0, expected, &mask);
		same &= replace_bounds(bounds + first, expected) && masks[group] == mask;
		masks[group] = mask;
	}
	act_on(kernels, same);
}

static pg_noinline void
bound_groups_watched(const ek_bound_query *query, const uint8 *codes, const uint16 *residuals,
					 const float *norms, Size count, ptrdiff_t ahead, float *bounds,
					 uint16 *masks)
{
	const ek_kernels *kernels = ek_kernels_in_use();

	kernels->bound_groups(query, codes, residuals, norms, count, ahead, bounds, masks);
	maybe_lose(kernels, bounds, masks, count);
	if (verification_is_due(kernels))
		verify_bound_groups(kernels, query, codes, residuals, norms, count, bounds, masks);
}

/* A scan calls this for each page, so the common path is a jump. */
void
ek_compute_bound_groups(const ek_bound_query *query, const uint8 *codes, const uint16 *residuals,
						const float *norms, Size count, ptrdiff_t ahead, float *bounds,
						uint16 *masks)
{
	if (likely(is_unwatched()))
		ek_kernels_in_use()->bound_groups(query, codes, residuals, norms, count, ahead,
										  bounds, masks);
	else
		bound_groups_watched(query, codes, residuals, norms, count, ahead, bounds, masks);
}

/*
 * From a vector to its code
 */

double
ek_compute_largest(ek_vector vector)
{
	const ek_kernels *kernels = ek_kernels_in_use();
	double		largest = kernels->largest(vector.values, vector.dims);

	/* the codes overflow then */
	if (lies(kernels, EK_FAULT_LARGEST))
		largest /= 2.0;
	if (unlikely(verification_is_due(kernels)))
		settle(kernels, &largest, scalar()->largest(vector.values, vector.dims));
	return largest;
}

/*
 * The code of an element depends on nothing else, so codes are compared a few
 * at a time, without room for a second set; only the sum needs all of them.
 */
static pg_noinline void
verify_quantize(const ek_kernels *kernels, ek_vector vector, double inverse,
				double scale, int8 *codes, double *rest)
{
	double		expected;
	bool		same = true;

	for (int i = 0; i < vector.dims; i += EK_LANES)
	{
		const int	n = Min(EK_LANES, vector.dims - i);
		int8		few[EK_LANES];

		scalar()->quantize(vector.values + i, n, inverse, scale, few);
		same = same && memcmp(codes + i, few, n) == 0;
	}
	expected = scalar()->quantize(vector.values, vector.dims, inverse, scale, codes);
	act_on(kernels, same && same_bits(*rest, expected));
	*rest = expected;
}

double
ek_compute_quantize(ek_vector vector, double inverse, double scale, int8 *codes)
{
	const ek_kernels *kernels = ek_kernels_in_use();
	double		rest = kernels->quantize(vector.values, vector.dims, inverse, scale, codes);

	/* the sum says nothing of it: codes that are further off than they say */
	if (lies(kernels, EK_FAULT_QUANTIZE))
	{
		for (int i = 0; i < vector.dims; i++)
			codes[i] /= 2;
	}
	if (unlikely(verification_is_due(kernels)))
		verify_quantize(kernels, vector, inverse, scale, codes, &rest);
	return rest;
}
