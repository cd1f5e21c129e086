/*
 * golden.h
 *		The cases that ek_selftest() has stored, opened up for the tests.
 */
#ifndef GOLDEN_H
#define GOLDEN_H

#include <stddef.h>

#define GOLDEN_MAX_DIMS	128

typedef struct stored_case
{
	/* the recipe */
	size_t		dims;
	int			shift;
	int			exponent;
	unsigned	spread;

	/* what the self-test makes of it */
	float		a[GOLDEN_MAX_DIMS];
	float		b[GOLDEN_MAX_DIMS];

	/* the bits it insists on */
	double		dot;
	double		norm2_a;
	double		norm2_b;
	double		l2_squared;
	double		l1;
} stored_case;

extern size_t stored_case_count(void);
extern void get_stored_case(size_t i, stored_case *stored);

#endif							/* GOLDEN_H */
