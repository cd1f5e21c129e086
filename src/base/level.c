/*
 * level.c
 *		Which kernels this backend computes with.
 *
 * A level is usable if the CPU and the operating system support it and it
 * passed its self-test when the library was loaded.  The choice is a single
 * pointer, set by the assign hook of engramk.simd.
 */
#include "postgres.h"

#include "base/level.h"

const ek_kernels *ek_active_kernels = NULL;
void		(*ek_level_observer) (ek_level level) = NULL;

static bool usable[EK_LEVEL_COUNT];

/*
 * A level that fails is not used.  That cannot happen to a library built by
 * its own Makefile on a working CPU, so it is worth a warning in every session.
 */
static bool
prove(ek_level level)
{
	const ek_kernels *kernels = ek_level_kernels(level);

	if (kernels == NULL || !ek_cpu_supports(level))
		return false;
	if (ek_selftest(kernels))
		return true;

	ereport(WARNING,
			(errcode(ERRCODE_INTERNAL_ERROR),
			 errmsg("engramk level \"%s\" failed its self-test and is not used",
					ek_level_name(level)),
			 errhint("Rebuild engramk with its own Makefile, and check the hardware.")));
	return false;
}

void
ek_level_init(void)
{
	for (int level = 0; level < EK_LEVEL_COUNT; level++)
		usable[level] = prove((ek_level) level);
}

bool
ek_level_usable(ek_level level)
{
	return usable[level];
}

/* The level from which on, down the priority list, the first usable is used. */
static ek_level wanted = EK_LEVEL_SCALAR;

static void
use_best_wanted(void)
{
	int			i = 0;

	while (ek_level_priority[i] != wanted)
		i++;
	while (i < EK_LEVEL_COUNT - 1 && !usable[ek_level_priority[i]])
		i++;
	ek_active_kernels = usable[ek_level_priority[i]] ?
		ek_level_kernels(ek_level_priority[i]) : NULL;
	if (ek_level_observer != NULL)
		ek_level_observer(ek_level_priority[i]);
}

void
ek_level_use(ek_level level)
{
	wanted = level;
	use_best_wanted();
}

void
ek_level_use_best(void)
{
	ek_level_use(ek_level_priority[0]);
}

void
ek_level_withdraw(ek_level level)
{
	usable[level] = false;
	use_best_wanted();
	ereport(WARNING,
			(errcode(ERRCODE_INTERNAL_ERROR),
			 errmsg("engramk level \"%s\" gave a wrong result and is withdrawn from this session",
					ek_level_name(level)),
			 errdetail("The result was computed again by level \"scalar\" and is right."),
			 errhint("Set \"engramk.simd\" to \"off\" for the cluster, and check the hardware.")));
}

void
ek_level_raise_none(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_INTERNAL_ERROR),
			 errmsg("no level of engramk passed its self-test"),
			 errdetail("Results would not be exact."),
			 errhint("Rebuild engramk with its own Makefile, and check the hardware.")));
}
