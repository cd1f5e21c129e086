/*
 * support.h
 *		What the test programs share: levels, random vectors, all sums at once.
 */
#ifndef SUPPORT_H
#define SUPPORT_H

#include <stdint.h>

#include "ek_simd.h"

/* The kernels that this CPU runs, best first, so scalar is the last. */
typedef struct level_list
{
	const ek_kernels *kernels[EK_LEVEL_COUNT + 1];
	size_t		count;
} level_list;

extern level_list runnable_levels(void);
extern const ek_kernels *scalar_level(void);

/*
 * The same for kernels of codes: with VNNI, AVX-512 is in the list twice, and
 * the second is what CPUs without it run.
 */
extern level_list runnable_code_levels(void);
extern const char *code_level_name(const ek_kernels *kernels);

/* What the kernels of codes should give. */
extern int64_t sum_of_codes(const int8_t *a, const int8_t *b, size_t n);
extern int64_t sum_of_packed_codes(const int8_t *query, const int8_t *packed,
								   size_t n, size_t lane);

/* Every sum that a pair of vectors has.  Nothing but doubles: see same(). */
typedef struct pair_sums
{
	double		dot;
	double		norm2_a;
	double		norm2_b;
	double		l2_squared;
	double		l1;
	ek_cosine_sums cosine;
} pair_sums;

extern pair_sums sums_of_pair(const ek_kernels *kernels, const float *a,
							  const float *b, size_t n);

/* Every sum that a row has. */
typedef struct row_sums
{
	double		dot;
	double		l2_squared;
	double		l1;
	double		cosine_dot;
	double		cosine_norm2;
} row_sums;

/* What the pair kernels say of a, as the query, and of b, as the row. */
extern row_sums row_sums_of_pair(const pair_sums *pair);

/* Every sum of every row, by the kernels for rows. */
extern void sums_of_rows(const ek_kernels *kernels, const ek_query *query,
						 const ek_rows *rows, row_sums *sums);

/*
 * The query on the heap; to be freed by free_query().  Its values end where
 * the contract ends them, so that a checker of addresses sees a step too far.
 */
extern ek_query make_query(const ek_kernels *kernels, const float *vector,
						   size_t dims);
extern void free_query(ek_query *query);

/* Bits, not values: 0.0 is not -0.0 here. */
extern bool same_bits(double a, double b);
extern bool same_pair_sums(const pair_sums *a, const pair_sums *b);
extern bool same_row_sums(const row_sums *a, const row_sums *b);
extern void note_pair_sums(const char *name, const pair_sums *sums);
extern void note_row_sums(const char *name, const row_sums *sums);

/* A generator that gives the same numbers on every machine. */
typedef struct generator
{
	uint64_t	state;
} generator;

extern uint64_t random_bits(generator *random);
extern size_t random_below(generator *random, size_t limit);

/* Vectors of different natures, all of them finite. */
typedef enum nature
{
	NATURE_EMBEDDING,			/* uniform in [-1, 1) */
	NATURE_INTEGERS,			/* small ones: every sum is exact */
	NATURE_WIDE,				/* magnitudes from 2^-40 to 2^22 */
	NATURE_ANY_BITS,			/* every finite bit pattern alike */
	NATURE_EXTREMES				/* zeros, denormals, the largest floats, 1 */
} nature;

#define NATURE_COUNT	5

extern void fill_vector(generator *random, nature nature, float *vector,
						size_t n);
extern float float_from_bits(uint32_t bits);

/* Groups of coarse codes, and what they are compared with. */
typedef struct groups
{
	ek_bound_query query;
	int8_t	   *weights;		/* query.weights, to be written */
	uint8_t    *codes;
	uint16_t   *residuals;
	float	   *norms;			/* or NULL */
	size_t		count;
} groups;

typedef enum groups_nature
{
	GROUPS_ORDINARY,
	GROUPS_EXTREME,				/* the largest values and weights */
	GROUPS_HOSTILE				/* floats of any bits, NaN and infinite ones too */
} groups_nature;

#define GROUPS_NATURE_COUNT	3

extern size_t weight_bytes(const ek_bound_query *query);
extern size_t group_code_bytes(const ek_bound_query *query);

/* Sets all but the pointers and the numbers of steps and groups. */
extern void fill_groups(generator *random, groups_nature nature, groups *groups);

/* Bits, not values, but one NaN is like another. */
extern bool same_bounds(const float *a, const float *b, size_t n);

/* A number from the environment, else the one given. */
extern size_t setting(const char *name, size_t otherwise);

#endif							/* SUPPORT_H */
