/*
 * ek_target.h
 *		Regions of a file that are compiled for more than the baseline CPU.
 *
 * One binary runs on every CPU of its architecture, so no file is compiled
 * with -m flags (which would not reach the JIT's bitcode either); only the
 * functions between EK_TARGET_BEGIN_x and EK_TARGET_END may use the
 * instructions of x.  Headers with inline functions go before the region.
 */
#ifndef EK_TARGET_H
#define EK_TARGET_H

#if defined(__clang__)
#define EK_PRAGMA(x) _Pragma(#x)
#define EK_TARGET_BEGIN_AVX2 \
	EK_PRAGMA(clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function))
#define EK_TARGET_BEGIN_AVX512 \
	EK_PRAGMA(clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,fma"))), apply_to = function))
#define EK_TARGET_BEGIN_AVX512VNNI \
	EK_PRAGMA(clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,fma"))), apply_to = function))
#define EK_TARGET_END \
	EK_PRAGMA(clang attribute pop)
#else
#define EK_PRAGMA(x) _Pragma(#x)
#define EK_TARGET_BEGIN_AVX2 \
	EK_PRAGMA(GCC push_options) EK_PRAGMA(GCC target("avx2,fma"))
#define EK_TARGET_BEGIN_AVX512 \
	EK_PRAGMA(GCC push_options) EK_PRAGMA(GCC target("avx512f,avx512bw,avx512dq,avx512vl,fma"))
#define EK_TARGET_BEGIN_AVX512VNNI \
	EK_PRAGMA(GCC push_options) EK_PRAGMA(GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,fma"))
#define EK_TARGET_END \
	EK_PRAGMA(GCC pop_options)
#endif

#endif							/* EK_TARGET_H */
