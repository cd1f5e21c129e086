/*
 * golden.c
 *		The cases that ek_selftest() has stored, opened up for the tests.
 *
 * The file of the self-test is included, not linked, because its table is
 * private to it; the copy of ek_selftest() that comes along gets another name.
 */
#define ek_selftest ek_selftest_of_golden

#include "ek_selftest.c"

#include "golden.h"

_Static_assert(MAX_DIMS <= GOLDEN_MAX_DIMS, "golden vectors do not fit");

size_t
stored_case_count(void)
{
	return sizeof(golden_cases) / sizeof(golden_cases[0]);
}

void
get_stored_case(size_t i, stored_case *stored)
{
	const golden_case *golden = &golden_cases[i];

	stored->dims = golden->dims;
	stored->shift = golden->shift;
	stored->exponent = golden->exponent;
	stored->spread = golden->spread;
	make_vector(golden, 5, stored->a);
	make_vector(golden, 6, stored->b);
	stored->dot = golden->sums.dot;
	stored->norm2_a = golden->sums.norm2_a;
	stored->norm2_b = golden->sums.norm2_b;
	stored->l2_squared = golden->sums.l2_squared;
	stored->l1 = golden->sums.l1;
}
