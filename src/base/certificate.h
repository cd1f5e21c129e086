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

#endif							/* EK_CERTIFICATE_H */
