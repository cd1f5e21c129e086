/*
 * encode.h
 *		The code of a vector: 8 bits an element or fewer, and how far off they are.
 */
#ifndef EK_ENCODE_H
#define EK_ENCODE_H

#include "base/certificate.h"
#include "vector/vector.h"

/* Of u = x / |x|: residual >= |u - scale * codes|, for scale and codes as they are. */
typedef struct ek_certificate
{
	float		scale;
	float		residual;
} ek_certificate;

/* The least float that is not below. */
extern float ek_float_above(double value);

/*
 * Codes are -most to most, at most EK_MAX_CODE, and there is room for dims rounded
 * up to EK_LANES.  Elements are finite.  A zero vector has no direction; its codes
 * and its certificate are zero.
 */
extern ek_certificate ek_encode_vector(ek_vector vector, double norm, int most, int8 *codes);

#endif							/* EK_ENCODE_H */
