/*
 * fuzz_kernels.c
 *		Floats of any bit pattern, and codes, through the kernels of every level.
 *
 * Two sums agree if both are finite and have the same bits, or if neither is
 * finite.  Scalar must agree with the contract as test/unit/reference.c has
 * it, every level with scalar, and rows with pairs; and a sum is finite
 * exactly if all of its elements are.
 *
 * The bounds of groups of coarse codes, whose sums are integers, must agree with
 * the contract at every level, whatever their floats are.
 *
 * The address sanitizer does not see masked loads, so everything that is read
 * ends shortly before a page that must not be touched.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "input.h"
#include "reference.h"
#include "support.h"

#define MAX_DIMS	1100
#define SHORT_DIMS	70			/* most are short: they take less time */
#define MAX_ROWS	6
#define MAX_GAP		16			/* floats between a vector and the fence */
#define MAX_GROUPS	REFERENCE_MAX_GROUPS

/* Memory that ends at a fence. */
typedef struct fenced
{
	char	   *end;
} fenced;

static fenced
make_fenced(size_t bytes)
{
	const size_t page = (size_t) sysconf(_SC_PAGESIZE);
	const size_t size = (bytes + page - 1) / page * page;
	char	   *all = mmap(NULL, size + page, PROT_READ | PROT_WRITE,
						   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (all == MAP_FAILED || mprotect(all + size, page, PROT_NONE) != 0)
		abort();
	return (fenced) {all + size};
}

static void *
before_fence(const fenced *area, size_t bytes)
{
	return area->end - bytes;
}

/* What the bytes of one run mean. */
typedef struct scene
{
	size_t		dims;
	float	   *vector;
	ek_rows		rows;
} scene;

static fenced vector_area;
static fenced rows_area;
static fenced query_area;

/* Of groups. */
static fenced weights_area;
static fenced codes_area;
static fenced residuals_area;
static fenced norms_area;
static fenced bounds_area;
static fenced masks_area;

static void
make_areas(void)
{
	if (vector_area.end != NULL)
		return;
	vector_area = make_fenced((MAX_DIMS + MAX_GAP) * sizeof(float));
	rows_area = make_fenced((MAX_ROWS * MAX_DIMS + MAX_GAP) * sizeof(float));
	query_area = make_fenced(ek_query_size(MAX_DIMS));
	weights_area = make_fenced(EK_BOUND_MAX_STEPS * EK_WEIGHTS2);
	codes_area = make_fenced(MAX_GROUPS * EK_BOUND_MAX_STEPS * EK_STEP_BYTES + MAX_GAP);
	residuals_area = make_fenced(MAX_GROUPS * EK_LANES * sizeof(uint16_t));
	norms_area = make_fenced(MAX_GROUPS * EK_LANES * sizeof(float));
	bounds_area = make_fenced(MAX_GROUPS * EK_LANES * sizeof(float));
	masks_area = make_fenced(MAX_GROUPS * sizeof(uint16_t));
}

static void
make_scene(input *from, scene *scene)
{
	const size_t dims = take_below(from, take_byte(from) % 8 == 0 ?
								   MAX_DIMS + 1 : SHORT_DIMS + 1);
	const size_t count = take_byte(from) % (MAX_ROWS + 1);
	const size_t vector_gap = take_byte(from) % MAX_GAP;
	const size_t rows_gap = take_byte(from) % MAX_GAP;
	float	   *first;

	scene->dims = dims;
	scene->vector = before_fence(&vector_area, (dims + vector_gap) * sizeof(float));
	first = before_fence(&rows_area, (count * dims + rows_gap) * sizeof(float));
	fill_floats(from, 0, scene->vector, dims);
	fill_floats(from, dims * sizeof(float) + 1, first, count * dims);

	scene->rows = (ek_rows) {.first = first, .count = count};
}

static void
fail(const char *what, const char *level, const scene *scene, double found,
	 double expected)
{
	fprintf(stderr, "%s of %s: %a, expected %a; %zu dimensions, %zu rows\n",
			what, level, found, expected, scene->dims, scene->rows.count);
	abort();
}

static bool
agree(double x, double y)
{
	if (isfinite(x) || isfinite(y))
		return same_bits(x, y);
	return true;
}

static void
require_agreement(const char *what, const char *level, const scene *scene,
				  double found, double expected)
{
	if (!agree(found, expected))
		fail(what, level, scene, found, expected);
}

static void
require_same_pair(const char *level, const scene *scene,
				  const pair_sums *found, const pair_sums *expected)
{
	require_agreement("dot", level, scene, found->dot, expected->dot);
	require_agreement("norm2 of a", level, scene, found->norm2_a, expected->norm2_a);
	require_agreement("norm2 of b", level, scene, found->norm2_b, expected->norm2_b);
	require_agreement("L2", level, scene, found->l2_squared, expected->l2_squared);
	require_agreement("L1", level, scene, found->l1, expected->l1);
	require_agreement("cosine's dot", level, scene, found->cosine.dot, expected->dot);
	require_agreement("cosine's norm2 of a", level, scene,
					  found->cosine.norm2_a, expected->norm2_a);
	require_agreement("cosine's norm2 of b", level, scene,
					  found->cosine.norm2_b, expected->norm2_b);
}

static void
require_same_row(const char *level, const scene *scene, const row_sums *found,
				 const pair_sums *expected)
{
	require_agreement("dot of a row", level, scene, found->dot, expected->dot);
	require_agreement("L2 of a row", level, scene, found->l2_squared, expected->l2_squared);
	require_agreement("L1 of a row", level, scene, found->l1, expected->l1);
	require_agreement("cosine's dot of a row", level, scene,
					  found->cosine_dot, expected->dot);
	require_agreement("cosine's norm2 of a row", level, scene,
					  found->cosine_norm2, expected->norm2_b);
}

static bool
all_finite(const float *vector, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!isfinite(vector[i]))
			return false;
	return true;
}

/* "The sum is not finite" and "an element is not": the same fact? */
static void
require_honest_sums(const scene *scene, const float *row,
					const pair_sums *sums)
{
	const bool	a = all_finite(scene->vector, scene->dims);
	const bool	b = all_finite(row, scene->dims);
	const double similarity = ek_cosine_similarity(sums->dot, sums->norm2_a,
												   sums->norm2_b);

	if (isfinite(sums->norm2_a) != a || isfinite(sums->norm2_b) != b)
		fail("finiteness of a norm", "scalar", scene, sums->norm2_a, sums->norm2_b);
	if (isfinite(sums->dot) != (a && b) ||
		isfinite(sums->l2_squared) != (a && b) ||
		isfinite(sums->l1) != (a && b))
		fail("finiteness of a sum", "scalar", scene, sums->dot, sums->l1);
	if (a && b && !(similarity >= -1.0 && similarity <= 1.0))
		fail("range of the cosine", "scalar", scene, similarity, 0.0);
}

static void
check_pairs(const level_list *levels, const scene *scene, pair_sums *expected)
{
	for (size_t r = 0; r < scene->rows.count; r++)
	{
		const float *row = scene->rows.first + r * scene->dims;

		expected[r] = reference_sums(scene->vector, row, scene->dims);
		require_honest_sums(scene, row, &expected[r]);
		for (size_t i = 0; i < levels->count; i++)
		{
			const pair_sums found = sums_of_pair(levels->kernels[i], scene->vector,
												 row, scene->dims);

			require_same_pair(levels->kernels[i]->name, scene, &found, &expected[r]);
		}
	}
}

static void
check_rows(const level_list *levels, const scene *scene,
		   const pair_sums *expected)
{
	for (size_t i = 0; i < levels->count; i++)
	{
		const char *name = levels->kernels[i]->name;
		double	   *values = before_fence(&query_area, ek_query_size(scene->dims));
		ek_query	query;
		row_sums	found[MAX_ROWS];

		ek_query_prepare(levels->kernels[i], scene->vector, scene->dims, values, &query);
		sums_of_rows(levels->kernels[i], &query, &scene->rows, found);
		for (size_t r = 0; r < scene->rows.count; r++)
		{
			require_same_row(name, scene, &found[r], &expected[r]);
			require_agreement("norm2 of the query", name, scene, query.norm2,
							  expected[r].norm2_a);
		}
	}
}

static groups
make_groups(input *from)
{
	const size_t steps4 = take_byte(from) % 8 == 0 ? take_below(from, EK_BOUND_MAX_STEPS + 1) :
		take_below(from, 13);
	const size_t room = EK_BOUND_MAX_STEPS - steps4;
	const size_t steps2 = take_below(from, room < 12 ? (unsigned) room + 1 : 13);
	groups		groups = {
		.query = {.steps4 = steps4, .steps2 = steps2},
		.count = take_byte(from) % (MAX_GROUPS + 1)
	};
	const size_t entries = groups.count * EK_LANES;
	const size_t code_bytes = groups.count * group_code_bytes(&groups.query);
	float		of_query[5];

	groups.weights = before_fence(&weights_area, weight_bytes(&groups.query));
	groups.codes = before_fence(&codes_area, code_bytes + take_byte(from) % MAX_GAP);
	groups.residuals = before_fence(&residuals_area, entries * sizeof(uint16_t));
	if (take_byte(from) % 2 == 0)
	{
		groups.norms = before_fence(&norms_area, entries * sizeof(float));
		fill_floats(from, 3, groups.norms, entries);
	}
	fill_bytes(from, 0, groups.weights, weight_bytes(&groups.query));
	fill_bytes(from, 1, groups.codes, code_bytes);
	fill_bytes(from, 2, groups.residuals, entries * sizeof(uint16_t));
	fill_floats(from, 4, of_query, 5);
	groups.query.weights = groups.weights;
	groups.query.scale = of_query[0];
	groups.query.residual = of_query[1];
	groups.query.constant = of_query[2];
	groups.query.decay = of_query[3];
	groups.query.threshold = of_query[4];
	return groups;
}

static void
check_groups(const groups *groups)
{
	level_list	levels = runnable_code_levels();
	float	   *bounds = before_fence(&bounds_area, groups->count * EK_LANES * sizeof(float));
	uint16_t   *masks = before_fence(&masks_area, groups->count * sizeof(uint16_t));

	for (size_t i = 0; i < levels.count; i++)
	{
		if (bounds_are_right(levels.kernels[i], groups, 0, bounds, masks))
			continue;
		fprintf(stderr, "bounds of %s are wrong: %zu and %zu steps, %zu groups\n",
				code_level_name(levels.kernels[i]), groups->query.steps4, groups->query.steps2,
				groups->count);
		abort();
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	level_list	levels = runnable_levels();
	input		from = {bytes, size};
	scene		scene;
	groups		groups;
	pair_sums	expected[MAX_ROWS];

	make_areas();
	make_scene(&from, &scene);
	check_pairs(&levels, &scene, expected);
	check_rows(&levels, &scene, expected);
	groups = make_groups(&from);
	check_groups(&groups);
	return 0;
}
