/*
 * contraction.c
 *		Does ek_selftest() refuse a build that may fuse multiply and add?
 *
 * To be linked with simd/ compiled with -ffp-contract=fast, never otherwise.
 * A compiler can then fuse L2 wherever the instructions are at hand: in the
 * AVX2, AVX-512 and NEON levels, and on aarch64 in scalar too.  Scalar of
 * x86-64 has no such instructions and is right even so.
 */
#include "support.h"
#include "tap.h"

static bool
can_be_fused(const ek_kernels *kernels)
{
#if defined(__x86_64__)
	return kernels->level != EK_LEVEL_SCALAR;
#else
	(void) kernels;
	return true;
#endif
}

int
main(void)
{
	level_list	levels = runnable_levels();

	for (size_t i = 0; i < levels.count; i++)
	{
		const ek_kernels *kernels = levels.kernels[i];

		if (can_be_fused(kernels))
			tap_ok(!ek_selftest(kernels), "%s: refused when contracted",
				   kernels->name);
		else
			tap_ok(ek_selftest(kernels), "%s: passes, it cannot be contracted",
				   kernels->name);
	}
	return tap_finish();
}
