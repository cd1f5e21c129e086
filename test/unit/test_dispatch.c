/*
 * test_dispatch.c
 *		Which levels are there, and which does this CPU run?
 *
 * EK_EXPECT_LEVELS, if set, names the levels that must be runnable, best
 * first; the Makefile sets it where it chooses the CPU.
 */
#include <stdlib.h>
#include <string.h>

#include "support.h"
#include "tap.h"

static void
describe(const level_list *levels, char *names, size_t size)
{
	names[0] = '\0';
	for (size_t i = 0; i < levels->count; i++)
	{
		if (i > 0)
			strncat(names, " ", size - strlen(names) - 1);
		strncat(names, levels->kernels[i]->name, size - strlen(names) - 1);
	}
}

static void
test_runnable(const level_list *levels)
{
	const char *expected = getenv("EK_EXPECT_LEVELS");
	char		names[64];

	describe(levels, names, sizeof(names));
	tap_note("levels on this CPU: %s", names);
	if (expected != NULL)
		tap_ok(strcmp(names, expected) == 0,
			   "this CPU runs exactly the levels expected: %s", expected);
	tap_ok(levels->count > 0 &&
		   levels->kernels[levels->count - 1] == scalar_level(),
		   "scalar runs everywhere and comes last");
}

static void
test_priority_names_each_level_once(void)
{
	unsigned	seen = 0;

	for (size_t i = 0; i < EK_LEVEL_COUNT; i++)
		seen |= 1u << ek_level_priority[i];
	tap_ok(seen == (1u << EK_LEVEL_COUNT) - 1,
		   "the priority list names each level once");
	tap_ok(ek_level_priority[EK_LEVEL_COUNT - 1] == EK_LEVEL_SCALAR,
		   "the priority list ends in scalar");
}

static void
test_names(void)
{
	static const char *const names[EK_LEVEL_COUNT] = {
		[EK_LEVEL_SCALAR] = "scalar",
		[EK_LEVEL_NEON] = "neon",
		[EK_LEVEL_AVX2] = "avx2",
		[EK_LEVEL_AVX512] = "avx512"
	};
	bool		known = true;

	for (int level = 0; level < EK_LEVEL_COUNT; level++)
		known &= strcmp(ek_level_name(level), names[level]) == 0;
	tap_ok(known, "every level has its name, compiled or not");
}

static bool
complete(const ek_kernels *kernels)
{
	return kernels->dot != NULL && kernels->norm2 != NULL &&
		kernels->l2_squared != NULL && kernels->l1 != NULL &&
		kernels->cosine != NULL && kernels->dot_rows != NULL &&
		kernels->l2_squared_rows != NULL && kernels->l1_rows != NULL &&
		kernels->cosine_rows != NULL && kernels->code_dot != NULL &&
		kernels->code_dot_packed != NULL && kernels->code_dot_block != NULL &&
		kernels->largest != NULL && kernels->quantize != NULL;
}

static void
test_tables(void)
{
	for (int level = 0; level < EK_LEVEL_COUNT; level++)
	{
		const ek_kernels *kernels = ek_level_kernels(level);

		if (kernels == NULL)
			tap_ok(!ek_cpu_supports(level),
				   "%s: not compiled, so not supported", ek_level_name(level));
		else
			tap_ok(complete(kernels) && (int) kernels->level == level &&
				   strcmp(kernels->name, ek_level_name(level)) == 0,
				   "%s: the table is complete and knows its level",
				   ek_level_name(level));
	}
}

int
main(void)
{
	level_list	levels = runnable_levels();

	test_runnable(&levels);
	test_priority_names_each_level_once();
	test_names();
	test_tables();
	return tap_finish();
}
