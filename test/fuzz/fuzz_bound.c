/*
 * fuzz_bound.c
 *		Vectors, bases and codes of any kind: is a bound above the operator's result?
 *
 * See bounds.c.
 */
#include "bounds.h"
#include "input.h"

/* Small ones: a hundred a second are worth more than large ones. */
static const bound_limits limits = {.queries = 2,.groups = 2,.basis = 100000};

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	bound_tally tally = new_tally();

	check_bounds(bytes, size, &limits, &tally);
	return 0;
}
