/*
 * test_codes.c
 *		Are the sums of codes the integers that they should be, at every level?
 *
 * All lengths to 300, at every alignment in a cache line; random codes and
 * the largest magnitudes, where sums of 8 and 16 bits would saturate; and the
 * longest codes that the contract allows, where 32 bits only just suffice.
 * The AVX-512 level has two sets of these kernels; both are tested on a CPU
 * that has VNNI.
 */
#include <stdlib.h>
#include <string.h>

#include "support.h"
#include "tap.h"

#define MAX_SHORT	300
#define GUARD_BYTE	0x5a

/* Codes of different natures; -128 is none. */
typedef enum code_nature
{
	CODES_ANY,
	CODES_OF_LARGEST_MAGNITUDE,	/* -127 and 127 */
	CODES_LARGEST,
	CODES_SMALLEST
} code_nature;

#define CODE_NATURE_COUNT	4

static int8_t
random_code(generator *random, code_nature nature)
{
	switch (nature)
	{
		case CODES_OF_LARGEST_MAGNITUDE:
			return random_below(random, 2) == 0 ? -127 : 127;
		case CODES_LARGEST:
			return 127;
		case CODES_SMALLEST:
			return -127;
		case CODES_ANY:
			break;
	}
	return (int8_t) ((int) random_below(random, 255) - 127);
}

static void
fill_codes(generator *random, code_nature nature, int8_t *codes, size_t n)
{
	for (size_t i = 0; i < n; i++)
		codes[i] = random_code(random, nature);
}

static int8_t *
allocate_codes(size_t count)
{
	void	   *codes = NULL;

	if (posix_memalign(&codes, EK_ALIGNMENT, count + EK_ALIGNMENT) != 0)
		abort();
	return codes;
}

static bool
pair_agrees(const ek_kernels *kernels, const int8_t *a, const int8_t *b, size_t n)
{
	const int64_t expected = sum_of_codes(a, b, n);
	const int32_t found = kernels->code_dot(a, b, n);

	if (found == expected)
		return true;
	tap_note("%s, %zu elements: %d instead of %lld", code_level_name(kernels), n,
			 found, (long long) expected);
	return false;
}

/* Every lane, and nothing written beside the sums. */
static bool
packed_agrees(const ek_kernels *kernels, const int8_t *query, const int8_t *packed,
			  size_t n)
{
	struct
	{
		int32_t		before[EK_LANES];
		int32_t		dots[EK_LANES];
		int32_t		after[EK_LANES];
	}			result;
	const int32_t untouched = GUARD_BYTE * 0x01010101;
	bool		agrees = true;

	memset(&result, GUARD_BYTE, sizeof(result));
	kernels->code_dot_packed(query, packed, n, result.dots);
	for (size_t lane = 0; lane < EK_LANES; lane++)
	{
		const int64_t expected = sum_of_packed_codes(query, packed, n, lane);

		agrees &= result.before[lane] == untouched && result.after[lane] == untouched;
		if (result.dots[lane] == expected)
			continue;
		agrees = false;
		tap_note("%s, %zu elements, lane %zu: %d instead of %lld", code_level_name(kernels),
				 n, lane, result.dots[lane], (long long) expected);
	}
	return agrees;
}

static void
test_pairs(const ek_kernels *kernels)
{
	generator	random = {1};
	int8_t	   *a = allocate_codes(MAX_SHORT);
	int8_t	   *b = allocate_codes(MAX_SHORT);
	bool		agrees = true;

	for (size_t n = 0; n <= MAX_SHORT && agrees; n++)
	{
		fill_codes(&random, n % CODE_NATURE_COUNT, a, MAX_SHORT + EK_ALIGNMENT);
		fill_codes(&random, n / CODE_NATURE_COUNT % CODE_NATURE_COUNT, b,
				   MAX_SHORT + EK_ALIGNMENT);
		for (size_t i = 0; i < EK_ALIGNMENT && agrees; i++)
			agrees = pair_agrees(kernels, a + i, b + random_below(&random, EK_ALIGNMENT), n);
	}
	free(a);
	free(b);
	tap_ok(agrees, "%s: sums of pairs of all lengths at all alignments are exact",
		   code_level_name(kernels));
}

static void
test_packed(const ek_kernels *kernels)
{
	const size_t packed_bytes = (size_t) MAX_SHORT * EK_LANES;
	generator	random = {2};
	int8_t	   *query = allocate_codes(MAX_SHORT);
	int8_t	   *packed = allocate_codes(packed_bytes);
	bool		agrees = true;

	for (size_t n = 0; n <= MAX_SHORT && agrees; n += 4)
	{
		fill_codes(&random, n / 4 % CODE_NATURE_COUNT, query, MAX_SHORT + EK_ALIGNMENT);
		fill_codes(&random, n / 16 % CODE_NATURE_COUNT, packed, packed_bytes + EK_ALIGNMENT);
		for (size_t i = 0; i < EK_ALIGNMENT && agrees; i++)
			agrees = packed_agrees(kernels, query + i,
								   packed + random_below(&random, EK_ALIGNMENT), n);
	}
	free(query);
	free(packed);
	tap_ok(agrees, "%s: sums of packed codes of all lengths at all alignments are exact",
		   code_level_name(kernels));
}

/* The largest sums that there can be, of either sign. */
static void
test_longest(const ek_kernels *kernels)
{
	const size_t n = EK_CODE_MAX_DIMS;
	generator	random = {3};
	int8_t	   *query = allocate_codes(n);
	int8_t	   *packed = allocate_codes(n * EK_LANES);
	bool		pairs = true;
	bool		lanes = true;

	for (code_nature i = 0; i < CODE_NATURE_COUNT; i++)
	{
		fill_codes(&random, i, query, n);
		for (code_nature j = 0; j < CODE_NATURE_COUNT; j++)
		{
			fill_codes(&random, j, packed, n * EK_LANES);
			pairs &= pair_agrees(kernels, query, packed, n);
			lanes &= packed_agrees(kernels, query, packed, n);
		}
	}
	free(query);
	free(packed);
	tap_ok(pairs, "%s: sums of pairs of the longest codes are exact", code_level_name(kernels));
	tap_ok(lanes, "%s: sums of packed codes of the greatest length are exact",
		   code_level_name(kernels));
}

int
main(void)
{
	level_list	levels = runnable_code_levels();

	for (size_t i = 0; i < levels.count; i++)
	{
		test_pairs(levels.kernels[i]);
		test_packed(levels.kernels[i]);
		test_longest(levels.kernels[i]);
	}
	return tap_finish();
}
