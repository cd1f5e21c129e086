/*
 * test_levels.c
 *		Does every level give the bits of scalar, whatever the vectors?
 *
 * All lengths to 200 and chosen ones to 4,100; every alignment that a float
 * can have in a cache line, of both vectors; rows, from none to nine; and random
 * pairs, a million unless EK_TEST_PAIRS says otherwise (an emulator is slow).
 * The rows must also equal the pairs: there is one answer, by whatever path.
 */
#include <stdlib.h>

#include "support.h"
#include "tap.h"

#define ALIGNMENTS		(EK_ALIGNMENT / sizeof(float))
#define SHORT_DIMS		200
#define MAX_DIMS		4100
#define MAX_ROWS		9

static const size_t long_dims[] = {
	255, 256, 257, 384, 511, 512, 513, 767, 768, 769, 1000, 1023, 1024, 1025,
	1535, 1536, 1537, 2047, 2048, 2049, 3071, 3072, 3073, 4079, 4095, 4096,
	4097, 4099, 4100
};

#define LONG_DIMS_COUNT	(sizeof(long_dims) / sizeof(long_dims[0]))

/* Vectors are taken from two stretches of floats, at any offset. */
typedef struct material
{
	float	   *a;
	float	   *b;				/* rows come from here */
	generator	random;
} material;

#define A_FLOATS	(MAX_DIMS + 256)
#define B_FLOATS	(MAX_ROWS * MAX_DIMS + 256)

static float *
allocate_floats(size_t count)
{
	float	   *floats = NULL;

	if (posix_memalign((void **) &floats, EK_ALIGNMENT, count * sizeof(float)) != 0)
		abort();
	return floats;
}

static void
make_material(material *from, uint64_t seed)
{
	from->a = allocate_floats(A_FLOATS);
	from->b = allocate_floats(B_FLOATS);
	from->random.state = seed;
}

static void
free_material(material *from)
{
	free(from->a);
	free(from->b);
}

static void
refill(material *from, nature nature, size_t a_floats, size_t b_floats)
{
	fill_vector(&from->random, nature, from->a, a_floats);
	fill_vector(&from->random, nature, from->b, b_floats);
}

/* Which levels have been caught; each is reported once. */
typedef struct verdict
{
	bool		wrong[EK_LEVEL_COUNT];
} verdict;

static void
report(const level_list *levels, const verdict *verdict, const char *fact)
{
	for (size_t i = 0; i < levels->count; i++)
		tap_ok(!verdict->wrong[i], "%s: %s", levels->kernels[i]->name, fact);
}

static void
compare_pair(const level_list *levels, verdict *verdict, const float *a,
			 const float *b, size_t n)
{
	const pair_sums expected = sums_of_pair(scalar_level(), a, b, n);

	for (size_t i = 0; i < levels->count; i++)
	{
		const pair_sums found = sums_of_pair(levels->kernels[i], a, b, n);

		if (same_pair_sums(&expected, &found) || verdict->wrong[i])
			continue;
		verdict->wrong[i] = true;
		tap_note("%zu dimensions, addresses %p and %p", n, (const void *) a,
				 (const void *) b);
		note_pair_sums("scalar", &expected);
		note_pair_sums(levels->kernels[i]->name, &found);
	}
}

/* Each level's rows against scalar's pairs. */
static void
compare_rows(const level_list *levels, verdict *verdict, const float *vector,
			 size_t dims, const ek_rows *rows)
{
	row_sums	expected[MAX_ROWS];

	for (size_t r = 0; r < rows->count; r++)
	{
		pair_sums	pair = sums_of_pair(scalar_level(), vector,
										rows->first + r * dims, dims);

		expected[r] = row_sums_of_pair(&pair);
	}

	for (size_t i = 0; i < levels->count; i++)
	{
		row_sums	found[MAX_ROWS];
		ek_query	query = make_query(levels->kernels[i], vector, dims);

		sums_of_rows(levels->kernels[i], &query, rows, found);
		free_query(&query);
		for (size_t r = 0; r < rows->count && !verdict->wrong[i]; r++)
		{
			if (same_row_sums(&expected[r], &found[r]))
				continue;
			verdict->wrong[i] = true;
			tap_note("row %zu of %zu, %zu dimensions", r, rows->count, dims);
			note_row_sums("scalar", &expected[r]);
			note_row_sums(levels->kernels[i]->name, &found[r]);
		}
	}
}

static void
test_pairs_at_all_alignments(const level_list *levels)
{
	verdict		verdict = {{false}};
	material	from;

	make_material(&from, 1);
	for (size_t n = 0; n <= SHORT_DIMS; n++)
	{
		refill(&from, n % NATURE_COUNT, n + ALIGNMENTS, n + ALIGNMENTS);
		for (size_t i = 0; i < ALIGNMENTS; i++)
			for (size_t j = 0; j < ALIGNMENTS; j++)
				compare_pair(levels, &verdict, from.a + i, from.b + j, n);
	}
	for (size_t k = 0; k < LONG_DIMS_COUNT; k++)
	{
		refill(&from, k % NATURE_COUNT, A_FLOATS, A_FLOATS);
		for (size_t i = 0; i < ALIGNMENTS; i++)
			compare_pair(levels, &verdict, from.a + i,
						 from.b + random_below(&from.random, ALIGNMENTS),
						 long_dims[k]);
	}
	free_material(&from);
	report(levels, &verdict, "pairs of all lengths at all alignments equal scalar's");
}

static void
compare_rows_of_length(const level_list *levels, verdict *verdict,
					   material *from, size_t dims)
{
	refill(from, dims % NATURE_COUNT, dims + ALIGNMENTS,
		   MAX_ROWS * dims + ALIGNMENTS);
	for (size_t count = 0; count <= MAX_ROWS; count++)
	{
		for (size_t i = 0; i < ALIGNMENTS; i += dims <= SHORT_DIMS ? 1 : 5)
		{
			/* what is asked for ahead is never there, and makes no difference */
			ek_rows		rows = {
				.first = from->b + i,
				.count = count,
				.ahead = (ptrdiff_t) (i % 3) * (PTRDIFF_MIN / 3)
			};

			compare_rows(levels, verdict, from->a + i, dims, &rows);
		}
	}
}

static void
test_rows(const level_list *levels)
{
	verdict		verdict = {{false}};
	material	from;

	make_material(&from, 2);
	for (size_t dims = 0; dims <= SHORT_DIMS; dims++)
		compare_rows_of_length(levels, &verdict, &from, dims);
	for (size_t k = 0; k < LONG_DIMS_COUNT; k++)
		compare_rows_of_length(levels, &verdict, &from, long_dims[k]);
	free_material(&from);
	report(levels, &verdict, "rows, none to nine, equal scalar's pairs");
}

static size_t
random_dims(generator *random)
{
	static const size_t limits[] = {17, 65, 257, 1025, MAX_DIMS + 1};

	return random_below(random, limits[random_below(random, 5)]);
}

static void
test_random_pairs(const level_list *levels)
{
	const size_t count = setting("EK_TEST_PAIRS", 1000000);
	verdict		verdict = {{false}};
	material	from;

	make_material(&from, 3);
	for (size_t i = 0; i < count; i++)
	{
		if (i % 64 == 0)
			refill(&from, i / 64 % NATURE_COUNT, A_FLOATS, A_FLOATS);
		compare_pair(levels, &verdict,
					 from.a + random_below(&from.random, 256),
					 from.b + random_below(&from.random, 256),
					 random_dims(&from.random));
	}
	free_material(&from);
	tap_note("%zu random pairs", count);
	report(levels, &verdict, "random pairs equal scalar's");
}

int
main(void)
{
	level_list	levels = runnable_levels();

	test_pairs_at_all_alignments(&levels);
	test_rows(&levels);
	test_random_pairs(&levels);
	return tap_finish();
}
