/*
 * compute.c
 *		The kernels as SQL functions call them: run, and perhaps verified.
 *
 * The common path is one call through the table of the level in use and one
 * test of whether this call is due to be verified.
 */
#include "postgres.h"

#include <math.h>

#include "compute.h"
#include "level.h"
#include "stats.h"

double		ek_verify_rate = 0.0;

#ifdef EK_FAULT_INJECTION
bool		ek_inject_fault = false;
#endif

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
 * For testing what happens when a kernel lies; not in a default build.
 */
static inline void
maybe_lie(const ek_kernels *kernels pg_attribute_unused(),
		  double *result pg_attribute_unused())
{
#ifdef EK_FAULT_INJECTION
	uint64		bits;

	if (!ek_inject_fault || kernels->level == EK_LEVEL_SCALAR)
		return;
	memcpy(&bits, result, sizeof(bits));
	bits ^= 1;
	memcpy(result, &bits, sizeof(bits));
#endif
}

static inline ek_rows
one_row(ek_vector vector)
{
	return (ek_rows)
	{
		.first = vector.values,.pointers = NULL,.count = 1
	};
}

static inline ek_cosine_sums
cosine_with(const ek_kernels *kernels, const ek_operands *operands)
{
	ek_cosine_sums sums;

	if (operands->query != NULL)
	{
		ek_rows		row = one_row(operands->vector);

		kernels->cosine_rows(operands->query, &row, &sums.dot, &sums.norm2_b);
		sums.norm2_a = operands->query->norm2;
	}
	else
		sums = kernels->cosine(operands->vector.values, operands->other.values,
							   operands->vector.dims);
	maybe_lie(kernels, &sums.dot);
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
		 const ek_operands *operands)
{
	double		sum;

	if (operands->query != NULL)
	{
		ek_rows		row = one_row(operands->vector);

		rows(operands->query, &row, &sum);
	}
	else
		sum = pair(operands->vector.values, operands->other.values,
				   operands->vector.dims);
	maybe_lie(kernels, &sum);
	return sum;
}

double
ek_compute_dot(const ek_operands *operands)
{
	const ek_kernels *kernels = ek_kernels_in_use();
	double		sum = sum_with(kernels, kernels->dot, kernels->dot_rows, operands);

	if (unlikely(verification_is_due(kernels)))
		settle(kernels, &sum, sum_with(scalar(), scalar()->dot,
									   scalar()->dot_rows, operands));
	return sum;
}

double
ek_compute_l2_squared(const ek_operands *operands)
{
	const ek_kernels *kernels = ek_kernels_in_use();
	double		sum = sum_with(kernels, kernels->l2_squared,
							   kernels->l2_squared_rows, operands);

	if (unlikely(verification_is_due(kernels)))
		settle(kernels, &sum, sum_with(scalar(), scalar()->l2_squared,
									   scalar()->l2_squared_rows, operands));
	return sum;
}

double
ek_compute_l1(const ek_operands *operands)
{
	const ek_kernels *kernels = ek_kernels_in_use();
	double		sum = sum_with(kernels, kernels->l1, kernels->l1_rows, operands);

	if (unlikely(verification_is_due(kernels)))
		settle(kernels, &sum, sum_with(scalar(), scalar()->l1,
									   scalar()->l1_rows, operands));
	return sum;
}

double
ek_compute_norm2(ek_vector vector)
{
	const ek_kernels *kernels = ek_kernels_in_use();
	double		norm2 = kernels->norm2(vector.values, vector.dims);

	maybe_lie(kernels, &norm2);
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
		ek_vector	row = {rows->first + r * query->dims, (int) query->dims};
		ek_rows		one = one_row(row);
		double		expected[2];

		scalar()->cosine_rows(query, &one, &expected[0], &expected[1]);
		same = same && same_bits(dot[r], expected[0]) &&
			same_bits(norm2[r], expected[1]);
		dot[r] = expected[0];
		norm2[r] = expected[1];
	}
	act_on(kernels, same);
}

/* Rows next to each other only: rows->pointers is NULL. */
void
ek_compute_cosine_rows(const ek_query *query, const ek_rows *rows,
					   double *dot, double *norm2)
{
	const ek_kernels *kernels = ek_kernels_in_use();

	kernels->cosine_rows(query, rows, dot, norm2);
	maybe_lie(kernels, dot);
	if (unlikely(verification_is_due(kernels)))
		verify_cosine_rows(kernels, query, rows, dot, norm2);
}
