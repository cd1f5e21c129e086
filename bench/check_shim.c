/*
 * check_shim.c
 *		The kernels of one version behind an interface that does not change.
 *
 * bench/check.sh compiles this file once with the kernels of each version that
 * it compares; check_kernels.c loads the results side by side.  It uses of
 * ek_simd.h only what version 1.0 had, by name, so that a table of kernels may
 * grow.  A kernel that this version lacks is simply not listed.
 */
#include <string.h>

#include "ek_simd.h"
#include "check_shim.h"

static struct
{
	const ek_kernels *kernels;
	void		(*pass) (void);
	const check_data *data;
	ek_query	query;
	ek_rows		rows;
} chosen;

static volatile double sink;

static const float *
row(size_t r)
{
	return chosen.data->rows + r * chosen.data->dims;
}

static void
pass_dot(void)
{
	for (size_t r = 0; r < chosen.data->count; r++)
		sink = chosen.kernels->dot(chosen.data->query, row(r), chosen.data->dims);
}

static void
pass_norm2(void)
{
	for (size_t r = 0; r < chosen.data->count; r++)
		sink = chosen.kernels->norm2(row(r), chosen.data->dims);
}

static void
pass_l2_squared(void)
{
	for (size_t r = 0; r < chosen.data->count; r++)
		sink = chosen.kernels->l2_squared(chosen.data->query, row(r), chosen.data->dims);
}

static void
pass_l1(void)
{
	for (size_t r = 0; r < chosen.data->count; r++)
		sink = chosen.kernels->l1(chosen.data->query, row(r), chosen.data->dims);
}

static void
pass_cosine(void)
{
	for (size_t r = 0; r < chosen.data->count; r++)
		sink = chosen.kernels->cosine(chosen.data->query, row(r), chosen.data->dims).dot;
}

static void
pass_dot_rows(void)
{
	chosen.kernels->dot_rows(&chosen.query, &chosen.rows, chosen.data->results);
}

static void
pass_l2_squared_rows(void)
{
	chosen.kernels->l2_squared_rows(&chosen.query, &chosen.rows, chosen.data->results);
}

static void
pass_l1_rows(void)
{
	chosen.kernels->l1_rows(&chosen.query, &chosen.rows, chosen.data->results);
}

static void
pass_cosine_rows(void)
{
	chosen.kernels->cosine_rows(&chosen.query, &chosen.rows, chosen.data->results,
								chosen.data->results + chosen.data->count);
}

static const struct
{
	const char *name;
	void		(*pass) (void);
}			passes[] = {
	{"dot", pass_dot},
	{"norm2", pass_norm2},
	{"l2_squared", pass_l2_squared},
	{"l1", pass_l1},
	{"cosine", pass_cosine},
	{"dot_rows", pass_dot_rows},
	{"l2_squared_rows", pass_l2_squared_rows},
	{"l1_rows", pass_l1_rows},
	{"cosine_rows", pass_cosine_rows}
};

const char *
check_kernel_name(size_t i)
{
	return i < sizeof(passes) / sizeof(passes[0]) ? passes[i].name : NULL;
}

const char *
check_level_name(size_t i)
{
	return i < EK_LEVEL_COUNT ? ek_level_name(ek_level_priority[i]) : NULL;
}

static const ek_kernels *
kernels_named(const char *level)
{
	for (size_t i = 0; i < EK_LEVEL_COUNT; i++)
	{
		ek_level	candidate = ek_level_priority[i];

		if (strcmp(ek_level_name(candidate), level) == 0 && ek_cpu_supports(candidate))
			return ek_level_kernels(candidate);
	}
	return NULL;
}

bool
check_choose(const char *level, const char *kernel, const check_data *data)
{
	chosen.kernels = kernels_named(level);
	chosen.pass = NULL;
	for (size_t i = 0; check_kernel_name(i) != NULL; i++)
	{
		if (strcmp(passes[i].name, kernel) == 0)
			chosen.pass = passes[i].pass;
	}
	if (chosen.kernels == NULL || chosen.pass == NULL)
		return false;

	chosen.data = data;
	chosen.rows = (ek_rows) {.first = data->rows,.count = data->count};
	ek_query_prepare(chosen.kernels, data->query, data->dims, data->prepared,
					 &chosen.query);
	return true;
}

void
check_pass(size_t times)
{
	for (size_t i = 0; i < times; i++)
		chosen.pass();
}
