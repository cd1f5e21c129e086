/*
 * guc.c
 *		The parameters of engramk, in alphabetical order.
 *
 * engramk.simd is the emergency switch, so a user must not be able to undo an
 * "off".  Setting it takes a privilege; and because a connection option given
 * before the library is loaded hides what the configuration file says, a
 * value that is refused at load leaves the session at "off".
 */
#include "postgres.h"

#include <limits.h>

#include "utils/guc.h"
#if PG_VERSION_NUM >= 160000
#include "utils/guc_tables.h"
#endif

#include "base/guc.h"
#include "base/level.h"

/*
 * A parallel worker may be the first to load the library, and then takes over
 * its leader's values.  Releases that lack the flag do not let it.
 */
#ifndef GUC_ALLOW_IN_PARALLEL
#define GUC_ALLOW_IN_PARALLEL	0
#endif

/* "off" is also the value of a session whose own choice was refused. */
typedef enum simd_setting
{
	SIMD_OFF,
	SIMD_ON,
	SIMD_AVX2,
	SIMD_AVX512,
	SIMD_NEON
} simd_setting;

int			ek_arena_overflow = EK_ARENA_FALLBACK;
int			ek_arena_size = 2048;
bool		ek_enable_fallback = true;
bool		ek_track_timing = false;
double		ek_verify_rate = 0.0;
#ifdef EK_FAULT_INJECTION
int			ek_inject_fault = EK_FAULT_NONE;
#endif
static int	simd = SIMD_ON;

/* Has check_simd() accepted a value that somebody chose? */
static bool simd_was_chosen = false;

static const struct config_enum_entry arena_overflow_options[] = {
	{"fallback", EK_ARENA_FALLBACK, false},
	{"error", EK_ARENA_ERROR, false},
	{NULL, 0, false}
};

/* Every level has its name here, on every architecture. */
static const struct config_enum_entry simd_options[] = {
	{"on", SIMD_ON, false},
	{"off", SIMD_OFF, false},
	{"avx2", SIMD_AVX2, false},
	{"avx512", SIMD_AVX512, false},
	{"neon", SIMD_NEON, false},
	{"true", SIMD_ON, true},
	{"false", SIMD_OFF, true},
	{"yes", SIMD_ON, true},
	{"no", SIMD_OFF, true},
	{"1", SIMD_ON, true},
	{"0", SIMD_OFF, true},
	{NULL, 0, false}
};

#ifdef EK_FAULT_INJECTION
static const struct config_enum_entry fault_options[] = {
	{"off", EK_FAULT_NONE, false},
	{"on", EK_FAULT_ALL, false},
	{"cosine", EK_FAULT_COSINE, false},
	{"dot", EK_FAULT_DOT, false},
	{"l2_squared", EK_FAULT_L2_SQUARED, false},
	{"l1", EK_FAULT_L1, false},
	{"norm2", EK_FAULT_NORM2, false},
	{"cosine_rows", EK_FAULT_COSINE_ROWS, false},
	{"dot_rows", EK_FAULT_DOT_ROWS, false},
	{"code_dot", EK_FAULT_CODE_DOT, false},
	{"code_dot_packed", EK_FAULT_CODE_DOT_PACKED, false},
	{"code_dot_block", EK_FAULT_CODE_DOT_BLOCK, false},
	{"screen", EK_FAULT_SCREEN, false},
	{"bound_groups", EK_FAULT_BOUND_GROUPS, false},
	{"largest", EK_FAULT_LARGEST, false},
	{"quantize", EK_FAULT_QUANTIZE, false},
	{NULL, 0, false}
};
#endif

/* The level that a setting pins; on and off need no more than scalar. */
static ek_level
pinned_level(simd_setting setting)
{
	switch (setting)
	{
		case SIMD_AVX2:
			return EK_LEVEL_AVX2;
		case SIMD_AVX512:
			return EK_LEVEL_AVX512;
		case SIMD_NEON:
			return EK_LEVEL_NEON;
		case SIMD_ON:
		case SIMD_OFF:
			break;
	}
	return EK_LEVEL_SCALAR;
}

/*
 * Looks at the CPU only.  A self-test that failed in this process must not
 * refuse a value: a parallel worker could not take over its leader's.
 */
static bool
check_simd(int *newval, void **extra pg_attribute_unused(), GucSource source)
{
	ek_level	level = pinned_level((simd_setting) *newval);

	if (ek_cpu_supports(level))
	{
		if (source > PGC_S_DYNAMIC_DEFAULT)
			simd_was_chosen = true;
		return true;
	}

	/* ALTER ROLE or DATABASE: it may be meant for a standby's CPU */
	if (source == PGC_S_TEST)
	{
		ereport(NOTICE,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("this CPU does not support the level \"%s\"",
						ek_level_name(level))));
		return true;
	}

	GUC_check_errcode(ERRCODE_FEATURE_NOT_SUPPORTED);
	GUC_check_errdetail("This CPU does not support the level \"%s\".",
						ek_level_name(level));
	GUC_check_errhint("\"SELECT * FROM engram_simd_info()\" shows the supported levels.");
	return false;
}

static void
assign_simd(int newval, void *extra pg_attribute_unused())
{
	if (newval == SIMD_ON)
		ek_level_use_best();
	else
		ek_level_use(pinned_level((simd_setting) newval));
}

/*
 * Is there a value for a parameter that is not defined yet?  One that was
 * reset, in the file or by RESET, is empty from 16 on, as one set to '' is.
 */
static bool
was_set(const char *name)
{
#if PG_VERSION_NUM >= 160000
	struct config_generic *placeholder = find_option(name, false, true, 0);

	return placeholder != NULL && placeholder->source != PGC_S_DEFAULT;
#else
	return GetConfigOption(name, true, false) != NULL;
#endif
}

void
ek_guc_init(void)
{
	bool		set_before_load;

	DefineCustomEnumVariable("engramk.arena_overflow",
							 "What to do when a call needs more scratch memory than the arena has.",
							 "\"fallback\" takes the excess from the memory of the query; \"error\" raises an error.",
							 &ek_arena_overflow,
							 EK_ARENA_FALLBACK,
							 arena_overflow_options,
							 PGC_USERSET,
							 GUC_ALLOW_IN_PARALLEL,
							 NULL, NULL, NULL);

	DefineCustomIntVariable("engramk.arena_size",
							"Sets the scratch memory that each backend keeps for engramk.",
							"It is taken up by the first call that needs it.",
							&ek_arena_size,
							2048, 64, 1024 * 1024,
							PGC_USERSET,
							GUC_UNIT_KB | GUC_ALLOW_IN_PARALLEL,
							NULL, NULL, NULL);

	DefineCustomBoolVariable("engramk.enable_fallback",
							 "Enables the planner's use of scans by an index that end in another plan.",
							 "Such a scan is for queries with a filter that few of the nearest rows pass.",
							 &ek_enable_fallback,
							 true,
							 PGC_USERSET,
							 GUC_EXPLAIN | GUC_ALLOW_IN_PARALLEL,
							 NULL, NULL, NULL);

	set_before_load = was_set("engramk.simd");
	DefineCustomEnumVariable("engramk.simd",
							 "Selects the instructions that engramk computes with.",
							 "\"on\" uses the best that this CPU supports, \"off\" portable code. "
							 "Results are the same, bit for bit.",
							 &simd,
							 SIMD_ON,
							 simd_options,
							 PGC_SUSET,
							 GUC_ALLOW_IN_PARALLEL,
							 check_simd, assign_simd, NULL);
	if (set_before_load && !simd_was_chosen)
		SetConfigOption("engramk.simd", "off",
						PGC_SUSET, PGC_S_DYNAMIC_DEFAULT);

	DefineCustomBoolVariable("engramk.track_timing",
							 "Collects timing statistics for the kernels.",
							 NULL,
							 &ek_track_timing,
							 false,
							 PGC_SUSET,
							 GUC_ALLOW_IN_PARALLEL,
							 NULL, NULL, NULL);

	DefineCustomRealVariable("engramk.verify_rate",
							 "Share of kernel calls that are verified.",
							 "They are computed again by portable code and compared, bit for bit.",
							 &ek_verify_rate,
							 0.0, 0.0, 1.0,
							 PGC_SUSET,
							 GUC_ALLOW_IN_PARALLEL,
							 NULL, NULL, NULL);

#ifdef EK_FAULT_INJECTION
	DefineCustomEnumVariable("engramk.inject_fault",
							 "Makes every level but scalar give wrong results.",
							 "\"on\" is of all kernels, a name of that one only.  For testing only.",
							 &ek_inject_fault,
							 EK_FAULT_NONE,
							 fault_options,
							 PGC_SUSET,
							 GUC_ALLOW_IN_PARALLEL,
							 NULL, NULL, NULL);
#endif

#if PG_VERSION_NUM >= 150000
	MarkGUCPrefixReserved("engramk");
#else
	EmitWarningsOnPlaceholders("engramk");
#endif
}
