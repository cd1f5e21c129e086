/*
 * random_bounds.c
 *		The checks of fuzz_bound with random bytes, and many entries for each query.
 *
 *		random_bounds PAIRS [SEED]
 *
 * Without libFuzzer and sanitizers, so a hundred times as many pairs in a second.
 * Ends with how many pairs were compared, and how close a bound came to what the
 * operator computes.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "bounds.h"
#include "support.h"

#define MOST_BYTES		1024

/* The widest basis there is, at 300 dimensions. */
static const bound_limits limits = {.queries = 24,.groups = 16,.basis = 160 * 160 * 300};

static void
print_tally(const bound_tally *tally)
{
	static const char *const names[BOUND_KIND_COUNT] = {
		"coarse, format 1", "coarse, format 2", "coarse, format 3", "coarse, in floats", "of fine codes", "instead of coarse", "fine"
	};

	printf("%" PRIu64 " pairs, %" PRIu64 " bounds, none above; %" PRIu64 " say nothing\n",
		   tally->pairs, tally->bounds, tally->void_bounds);
	printf("%-18s %12s %14s %12s\n", "smallest margin", "cosine", "inner product", "L2");
	for (int kind = 0; kind < BOUND_KIND_COUNT; kind++)
		printf("%-18s %12.4g %14.4g %12.4g\n", names[kind], tally->least[kind][0],
			   tally->least[kind][1], tally->least[kind][2]);
}

int
main(int argc, char **argv)
{
	const uint64_t pairs = argc > 1 ? strtoull(argv[1], NULL, 10) : 1000000;
	generator	random = {argc > 2 ? strtoull(argv[2], NULL, 10) : 1};
	bound_tally tally = new_tally();

	while (tally.pairs < pairs)
	{
		uint8_t		bytes[MOST_BYTES];
		const size_t size = 16 + random_below(&random, MOST_BYTES - 16);

		for (size_t i = 0; i < size; i++)
			bytes[i] = (uint8_t) random_bits(&random);
		check_bounds(bytes, size, &limits, &tally);
	}
	print_tally(&tally);
	return 0;
}
