/*
 * ek_simd.h
 *		The kernels of engramk: the arithmetic on raw floats, at every level.
 *
 * This is the only header of simd/ that the rest of the extension includes.
 * It knows C and nothing of PostgreSQL: no allocation, no errors, no state.
 *
 * The contract, which every level keeps to the bit:
 *
 * - Elements are float, widened to double.  A product of two widened floats
 *	 is exact in double, so dot products and squares may or may not be fused.
 * - There are 16 lanes.  Lane j sums the elements whose index is j modulo 16,
 *	 in order of index, starting from +0.0.
 * - The lanes are added in a fixed tree: j to j + 8, j + 4, j + 2, j + 1.
 * - L2 and L1 take a difference, which is not exact: subtract, multiply (or
 *	 take the magnitude) and add are rounded one by one and never fused.
 * - No finite input overflows or underflows a sum.  So a sum that is not
 *	 finite says that an element was NaN or infinite, and nothing else does.
 *
 * Round-to-nearest without flush-to-zero is assumed; ek_selftest() finds out.
 *
 * Pointers need no alignment beyond float's, except where said.  No kernel
 * reads past the last element it was given.  A length may be 0: the sum is 0.
 */
#ifndef EK_SIMD_H
#define EK_SIMD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __FAST_MATH__
#error "engramk promises exact results: do not compile it with -ffast-math"
#endif
#if defined(__FLT_EVAL_METHOD__) && (__FLT_EVAL_METHOD__ == 1 || __FLT_EVAL_METHOD__ == 2)
#error "engramk promises exact results: floating point must not be evaluated in excess precision"
#endif

#define EK_LANES	16

/* Where a prepared query begins: the size of a cache line. */
#define EK_ALIGNMENT	64

/* A level is an instruction set that the kernels are written for. */
typedef enum ek_level
{
	EK_LEVEL_SCALAR,
	EK_LEVEL_NEON,
	EK_LEVEL_AVX2,
	EK_LEVEL_AVX512
} ek_level;

#define EK_LEVEL_COUNT	4

/*
 * One vector prepared to be compared with many: widened once, its norm taken
 * once.  The layout does not depend on the level.  The caller owns `values`.
 */
typedef struct ek_query
{
	const double *values;		/* ek_query_size(dims) bytes, aligned to
								 * EK_ALIGNMENT, zeros after the last */
	size_t		dims;
	double		norm2;			/* sum of the squares */
} ek_query;

/* Many vectors of the same length, next to each other. */
typedef struct ek_rows
{
	const float *first;
	size_t		count;
	ptrdiff_t	ahead;			/* while a row is read, what is asked for, in
								 * bytes from it; 0 for rows that follow on */
} ek_rows;

/* What a cosine is made of. */
typedef struct ek_cosine_sums
{
	double		dot;
	double		norm2_a;
	double		norm2_b;
} ek_cosine_sums;

/*
 * Codes: vectors quantized to 8 bits an element, -127 to 127.  -128 must not
 * occur: it would saturate at some levels.  The sums are exact integers, so
 * every level gives the same, for up to EK_CODE_MAX_DIMS elements.
 *
 * Packed codes are those of EK_LANES vectors, interleaved by fours: the first
 * four elements of each vector, then the next four of each, and so on.
 */
#define EK_CODE_MAX_DIMS	65536

/* Bytes from four elements of packed codes to the next four. */
#define EK_PACKED_STEP	((size_t) 4 * EK_LANES)

/*
 * A block product takes this many queries at once.  The packed codes that it
 * takes are narrower, -63 to 63: with 64 added they are unsigned, and two
 * products of them do not saturate 16 bits, so that AVX2 needs three
 * instructions where it would need four.
 */
#define EK_CODE_QUERIES		8
#define EK_NARROW_CODE		63

/*
 * Coarse codes are those of a group, which is EK_LANES entries next to each
 * other.  They come in steps of EK_STEP_BYTES; a step holds four bytes of each
 * entry, entry after entry.  First come the steps of eight values of 4 bits:
 * the low halves of the four bytes, then their high halves.  Then come those of
 * sixteen values of 2 bits: the lowest two bits of the four bytes, then the next
 * two, and so on.  Values are unsigned.
 */
#define EK_STEP_BYTES	((size_t) 4 * EK_LANES)

/* Sums are exact in 32 bits for up to so many steps of a group, of both kinds. */
#define EK_BOUND_MAX_STEPS	64

/* Bytes of weights for a step of values of 4 bits, and of 2 bits. */
#define EK_WEIGHTS4		16
#define EK_WEIGHTS2		32

/*
 * What groups are compared with.  A weight is 256 * high + low, where high is
 * -127 to 127 and low is -128 to 127.  The weights follow the values: for each
 * step in its order, and in it for each four values, four high bytes and then
 * four low ones.
 */
typedef struct ek_bound_query
{
	const int8_t *weights;
	size_t		steps4;			/* steps of values of 4 bits */
	size_t		steps2;			/* steps of values of 2 bits */
	float		scale;			/* of a sum */
	float		residual;		/* of the residual of an entry */
	float		constant;
	float		decay;			/* of the norm of an entry, if it has one */
	float		threshold;
} ek_bound_query;

/* Factors of a query in a screen, and of the targets of a tile. */
typedef struct ek_screen_query
{
	float		dot;
	float		length;
	float		one;
	float		need;
} ek_screen_query;

typedef struct ek_screen_tile
{
	float		dot[EK_LANES];
	float		length[EK_LANES];
	float		one[EK_LANES];
	float		off[EK_LANES];
} ek_screen_tile;

/*
 * The kernels of one level.  A table is constant and complete: callers fetch
 * its address once a call and go through it without further tests.
 *
 * Those of a pair take n elements each.  Those named _rows compare one
 * prepared query with rows->count vectors of query->dims elements and write
 * rows->count results.
 */
typedef struct ek_kernels
{
	ek_level	level;
	const char *name;

	double		(*dot) (const float *a, const float *b, size_t n);
	double		(*norm2) (const float *a, size_t n);
	double		(*l2_squared) (const float *a, const float *b, size_t n);
	double		(*l1) (const float *a, const float *b, size_t n);
	ek_cosine_sums (*cosine) (const float *a, const float *b, size_t n);

	void		(*dot_rows) (const ek_query *query, const ek_rows *rows,
							 double *dot);
	void		(*l2_squared_rows) (const ek_query *query, const ek_rows *rows,
									double *l2_squared);
	void		(*l1_rows) (const ek_query *query, const ek_rows *rows,
							double *l1);
	void		(*cosine_rows) (const ek_query *query, const ek_rows *rows,
								double *dot, double *norm2);

	int32_t		(*code_dot) (const int8_t *a, const int8_t *b, size_t n);
	/* n is a multiple of 4; EK_LANES sums */
	void		(*code_dot_packed) (const int8_t *query, const int8_t *packed,
									size_t n, int32_t *dots);

	/*
	 * EK_CODE_QUERIES queries, `stride` bytes apart, with each of `tiles`
	 * stretches of narrow packed codes that follow each other.  n is a multiple
	 * of 4.
	 * Writes dots[tile][query][lane].
	 */
	void		(*code_dot_block) (const int8_t *queries, size_t stride,
								   const int8_t *packed, size_t tiles,
								   size_t n, int32_t *dots);

	/*
	 * Which targets of each of `tiles` tiles might be near which of
	 * EK_CODE_QUERIES queries?  With dots as code_dot_block writes them, each
	 * rounded to float:
	 *		reach = ((dot * query.dot) * tile.dot + query.length * tile.length) +
	 *				(query.one * tile.one - tile.off)
	 * each operation rounded one by one and never fused.
	 *
	 * Writes masks[tile][query], in which bit j is set unless reach[j] <
	 * query.need: NaN sets it.  Factors may be anything, infinite or NaN.
	 */
	void		(*screen) (const ek_screen_query *queries, const ek_screen_tile *tile,
						   size_t tiles, const int32_t *dots, uint16_t *masks);

	/*
	 * An upper bound for each entry of `count` groups, whose codes follow each
	 * other.  `residuals` holds EK_LANES bfloat16 a group, that is the upper
	 * halves of floats; `norms` EK_LANES floats a group, or it is NULL.
	 *
	 * With sum, the exact sum of weight * value, rounded to float:
	 *		bound = (sum * scale + residual of entry * residual) + constant
	 * and with norms:
	 *		bound = norm * (bound - decay * norm)
	 * in float, each operation rounded one by one and never fused.
	 *
	 * Writes count * EK_LANES bounds and a mask for each group, in which bit j
	 * is set unless bound[j] < threshold: NaN sets it.  Residuals, norms and so
	 * bounds may be anything, infinite or NaN; which NaN is not defined.
	 *
	 * `ahead` is how many bytes from these the groups are that are read next,
	 * their residuals and norms too: they are fetched meanwhile, step by step.
	 * 0 is for nothing.
	 */
	void		(*bound_groups) (const ek_bound_query *query, const uint8_t *codes,
								 const uint16_t *residuals, const float *norms,
								 size_t count, ptrdiff_t ahead, float *bounds,
								 uint16_t *masks);

	/* The largest magnitude; elements are finite. */
	double		(*largest) (const float *x, size_t n);

	/*
	 * codes[i] = x[i] * inverse, rounded to the nearest integer, which must not
	 * exceed 127; returns the sum of the squares of x[i] - scale * codes[i].
	 * `codes` has room for n rounded up to EK_LANES.
	 */
	double		(*quantize) (const float *x, size_t n, double inverse,
							 double scale, int8_t *codes);
} ek_kernels;

/* ek_cpu.c */

/* Do the CPU and the operating system run this level's instructions? */
extern bool ek_cpu_supports(ek_level level);

/*
 * May the AVX-512 level use VNNI?  It concerns the kernels of codes only.
 */
extern bool ek_cpu_has_vnni(void);

/* ek_dispatch.c */

/* Every level, best first; the last is EK_LEVEL_SCALAR. */
extern const ek_level ek_level_priority[EK_LEVEL_COUNT];

/* The name by which users know a level; never NULL. */
extern const char *ek_level_name(ek_level level);

/* The kernels of a level, or NULL if not compiled for this architecture. */
extern const ek_kernels *ek_level_kernels(ek_level level);

/* ek_selftest.c */

/* Do these kernels give the stored bits?  Run only what the CPU supports. */
extern bool ek_selftest(const ek_kernels *kernels);

/* ek_query.c */

/* Bytes that the values of a prepared query take. */
extern size_t ek_query_size(size_t dims);

/*
 * Prepares a query in ek_query_size(dims) bytes at `values`, aligned to
 * EK_ALIGNMENT.  If an element is NaN or infinite, query->norm2 is not finite.
 */
extern void ek_query_prepare(const ek_kernels *kernels, const float *vector,
							 size_t dims, double *values, ek_query *query);

/*
 * The cosine similarity from finite sums.  A zero vector is similar to
 * nothing.  The clamp is by comparison: rounding can reach 1 + 2^-52.
 */
extern double ek_cosine_similarity(double dot, double norm2_a, double norm2_b);

#endif							/* EK_SIMD_H */
