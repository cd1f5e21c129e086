/*
 * certificate.h
 *		The constants that every certified bound is made with.
 *
 * A code of 8 bits a dimension comes with a limit of how far it is from its
 * vector; docs/exact-index.md has the proofs.
 */
#ifndef EK_CERTIFICATE_H
#define EK_CERTIFICATE_H

#include <float.h>

/* Codes are -EK_MAX_CODE to EK_MAX_CODE. */
#define EK_MAX_CODE		127

/* What stands for all rounding in double, of a bound and of the kernels. */
static inline double
ek_eta_of(int dims)
{
	return (dims + 64) * DBL_EPSILON;
}

/*
 * Sums of products in float, in any order, fused or not: the share of the sum of all
 * magnitudes that they are off by, with so many roundings of a term.
 */
static inline double
ek_gamma_of(int roundings)
{
	const double u = roundings * (FLT_EPSILON / 2.0);

	return u / (1.0 - u);
}

/*
 * What is lost of a sum of so many products that are too small for a float: twice as
 * much as where a CPU takes all such numbers for zero, and they are divided by those of
 * the other vector.
 */
static inline double
ek_underflow_of(int dims)
{
	return dims * 4.0 * FLT_MIN;
}

/* The norms of vectors with cosines that are as good as gamma says. */
#define EK_LEAST_FLOAT_NORM		0x1p-40
#define EK_MOST_FLOAT_NORM		0x1p60

/* With a product of norms up to this, no sum of products is infinite. */
#define EK_MOST_FLOAT_PRODUCT	0x1p126

#endif							/* EK_CERTIFICATE_H */
