/*
 * test_guard.c
 *		Does any kernel touch memory that it was not given?
 *
 * Vectors, codes, prepared queries and results are put right before a page
 * that must not be touched, and right after one.  A kernel that reads or writes
 * one byte too far ends this program with SIGSEGV, which the harness counts as a
 * failure.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "reference.h"
#include "support.h"
#include "tap.h"

#define MAX_DIMS	100
#define LONG_DIMS	1537
#define MAX_ROWS	5
#define MAX_CODES	300
#define MAX_STEPS	14			/* of coarse codes, of either kind */
#define MAX_GROUPS	3

/* Some pages that may be touched between two that may not. */
typedef struct fenced
{
	char	   *first;
	size_t		size;
} fenced;

/* Where something is put in it. */
typedef enum side
{
	AFTER_A_FENCE,
	BEFORE_A_FENCE
} side;

static fenced
make_fenced(size_t bytes)
{
	const size_t page = (size_t) sysconf(_SC_PAGESIZE);
	fenced		area;
	char	   *all;

	area.size = (bytes + page - 1) / page * page;
	all = mmap(NULL, area.size + 2 * page, PROT_NONE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (all == MAP_FAILED ||
		mprotect(all + page, area.size, PROT_READ | PROT_WRITE) != 0)
		abort();
	area.first = all + page;
	return area;
}

static void *
place(const fenced *area, side side, size_t bytes)
{
	return side == AFTER_A_FENCE ? area->first : area->first + area->size - bytes;
}

typedef struct areas
{
	fenced		a;
	fenced		b;
	fenced		query;
	fenced		norms;
	fenced		results[2];
} areas;

static areas
make_areas(void)
{
	const size_t row_bytes = LONG_DIMS * sizeof(float);

	return (areas) {
		.a = make_fenced(row_bytes),
		.b = make_fenced(MAX_ROWS * row_bytes),
		.query = make_fenced(ek_query_size(LONG_DIMS)),
		.norms = make_fenced(MAX_GROUPS * EK_LANES * sizeof(float)),
		.results = {
			make_fenced(MAX_ROWS * sizeof(double)),
			make_fenced(MAX_ROWS * sizeof(double))
		}
	};
}

static bool
pair_within(const ek_kernels *kernels, const areas *in, side side, size_t n)
{
	generator	random = {n + 1};
	float	   *a = place(&in->a, side, n * sizeof(float));
	float	   *b = place(&in->b, side, n * sizeof(float));
	pair_sums	expected;
	pair_sums	found;

	fill_vector(&random, NATURE_WIDE, a, n);
	fill_vector(&random, NATURE_WIDE, b, n);
	expected = sums_of_pair(scalar_level(), a, b, n);
	found = sums_of_pair(kernels, a, b, n);
	return same_pair_sums(&expected, &found);
}

/* All kernels for rows, writing to fenced results. */
static void
run_rows(const ek_kernels *kernels, const areas *in, side side,
		 const ek_query *query, const ek_rows *rows)
{
	double	   *one = place(&in->results[0], side, rows->count * sizeof(double));
	double	   *other = place(&in->results[1], side, rows->count * sizeof(double));

	kernels->dot_rows(query, rows, one);
	kernels->l2_squared_rows(query, rows, one);
	kernels->l1_rows(query, rows, one);
	kernels->cosine_rows(query, rows, one, other);
}

static bool
rows_within(const ek_kernels *kernels, const areas *in, side side,
			size_t dims, size_t count)
{
	generator	random = {dims * MAX_ROWS + count};
	float	   *vector = place(&in->a, side, dims * sizeof(float));
	float	   *first = place(&in->b, side, count * dims * sizeof(float));
	double	   *values = place(&in->query, side, ek_query_size(dims));
	ek_rows		rows = {.first = first, .count = count};
	ek_query	query;
	double	   *last_norm2;
	double		expected;

	fill_vector(&random, NATURE_WIDE, vector, dims);
	fill_vector(&random, NATURE_WIDE, first, count * dims);

	ek_query_prepare(kernels, vector, dims, values, &query);
	run_rows(kernels, in, side, &query, &rows);
	if (count == 0)
		return true;

	/* the last kernel to run was cosine_rows: its norms are still there */
	last_norm2 = (double *) place(&in->results[1], side, count * sizeof(double)) + count - 1;
	expected = scalar_level()->norm2(first + (count - 1) * dims, dims);
	return same_bits(*last_norm2, expected);
}

static void
fill_codes(generator *random, int8_t *codes, size_t n)
{
	for (size_t i = 0; i < n; i++)
		codes[i] = (int8_t) ((int) random_below(random, 255) - 127);
}

static bool
codes_within(const ek_kernels *kernels, const areas *in, side side, size_t n)
{
	generator	random = {n + 1};
	int8_t	   *a = place(&in->a, side, n);
	int8_t	   *b = place(&in->b, side, n);

	fill_codes(&random, a, n);
	fill_codes(&random, b, n);
	return kernels->code_dot(a, b, n) == sum_of_codes(a, b, n);
}

static bool
packed_within(const ek_kernels *kernels, const areas *in, side side, size_t n)
{
	generator	random = {n + 1};
	int8_t	   *query = place(&in->a, side, n);
	int8_t	   *packed = place(&in->b, side, n * EK_LANES);
	int32_t    *dots = place(&in->results[0], side, EK_LANES * sizeof(int32_t));
	bool		agrees = true;

	fill_codes(&random, query, n);
	fill_codes(&random, packed, n * EK_LANES);
	kernels->code_dot_packed(query, packed, n, dots);
	for (size_t lane = 0; lane < EK_LANES; lane++)
		agrees &= dots[lane] == sum_of_packed_codes(query, packed, n, lane);
	return agrees;
}

static bool
groups_within(const ek_kernels *kernels, const areas *in, side side, const groups *sizes)
{
	const size_t entries = sizes->count * EK_LANES;
	generator	random = {entries + 1};
	groups		groups = *sizes;
	float	   *bounds = place(&in->results[0], side, entries * sizeof(float));
	uint16_t   *masks = place(&in->results[1], side, groups.count * sizeof(uint16_t));

	groups.weights = place(&in->a, side, weight_bytes(&groups.query));
	groups.codes = place(&in->b, side, groups.count * group_code_bytes(&groups.query));
	groups.residuals = place(&in->query, side, entries * sizeof(uint16_t));
	groups.norms = place(&in->norms, side, entries * sizeof(float));
	fill_groups(&random, GROUPS_ORDINARY, &groups);
	return bounds_are_right(kernels, &groups, 0, bounds, masks);
}

static void
test_groups(const ek_kernels *kernels, const areas *in, side side, const char *where)
{
	bool		within = true;

	for (size_t steps4 = 0; steps4 <= MAX_STEPS; steps4++)
		for (size_t steps2 = 0; steps2 <= MAX_STEPS; steps2++)
			for (size_t count = 0; count <= MAX_GROUPS; count++)
				within &= groups_within(kernels, in, side, &(groups) {
					.query = {.steps4 = steps4, .steps2 = steps2}, .count = count
				});
	tap_ok(within, "%s: groups and their bounds right %s are touched and nothing else",
		   code_level_name(kernels), where);
}

static void
test_codes(const ek_kernels *kernels, const areas *in, side side,
		   const char *where)
{
	bool		pairs = true;
	bool		packed = true;

	for (size_t n = 0; n <= MAX_CODES; n++)
		pairs &= codes_within(kernels, in, side, n);
	tap_ok(pairs, "%s: codes right %s are read and nothing else",
		   code_level_name(kernels), where);

	for (size_t n = 0; n <= MAX_CODES; n += 4)
		packed &= packed_within(kernels, in, side, n);
	tap_ok(packed, "%s: packed codes and their sums right %s are touched and nothing else",
		   code_level_name(kernels), where);
}

static void
test_level(const ek_kernels *kernels, const areas *in, side side,
		   const char *where)
{
	bool		pairs = true;
	bool		rows = true;

	for (size_t n = 0; n <= MAX_DIMS; n++)
		pairs &= pair_within(kernels, in, side, n);
	pairs &= pair_within(kernels, in, side, LONG_DIMS);
	tap_ok(pairs, "%s: pairs right %s are read and nothing else",
		   kernels->name, where);

	for (size_t count = 0; count <= MAX_ROWS; count++)
	{
		for (size_t dims = 0; dims <= MAX_DIMS; dims++)
			rows &= rows_within(kernels, in, side, dims, count);
		rows &= rows_within(kernels, in, side, LONG_DIMS, count);
	}
	tap_ok(rows, "%s: rows, query and results right %s are touched and nothing else",
		   kernels->name, where);
}

int
main(void)
{
	level_list	levels = runnable_levels();
	level_list	code_levels = runnable_code_levels();
	areas		in = make_areas();

	for (size_t i = 0; i < levels.count; i++)
	{
		test_level(levels.kernels[i], &in, BEFORE_A_FENCE, "before a fence");
		test_level(levels.kernels[i], &in, AFTER_A_FENCE, "after a fence");
	}
	for (size_t i = 0; i < code_levels.count; i++)
	{
		test_codes(code_levels.kernels[i], &in, BEFORE_A_FENCE, "before a fence");
		test_groups(code_levels.kernels[i], &in, BEFORE_A_FENCE, "before a fence");
		test_codes(code_levels.kernels[i], &in, AFTER_A_FENCE, "after a fence");
		test_groups(code_levels.kernels[i], &in, AFTER_A_FENCE, "after a fence");
	}
	return tap_finish();
}
