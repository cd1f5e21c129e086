/*
 * fixed.h
 *		Exact sums of products of floats, as one very long integer.
 *
 * A product of two finite floats is an integer times 2^-298 and less than
 * 2^256, so a sum of them, of any practical length, is an integer of fewer
 * than 768 bits in that unit.  Nothing is ever rounded here, on any machine;
 * there is no floating-point arithmetic in it.
 */
#ifndef FIXED_H
#define FIXED_H

#include <stdbool.h>
#include <stdint.h>

#define FIXED_LIMBS		24
#define FIXED_UNIT		(-298)	/* the exponent of the unit */

/* Two's complement, least significant limb first. */
typedef struct fixed
{
	uint32_t	limb[FIXED_LIMBS];
} fixed;

extern const fixed fixed_zero;

extern fixed fixed_from_double(double x);	/* aborts if it is not in the unit */
extern fixed fixed_product(float x, float y);
extern fixed fixed_add(fixed x, fixed y);
extern fixed fixed_subtract(fixed x, fixed y);
extern fixed fixed_magnitude(fixed x);
extern fixed fixed_times(fixed x, uint32_t factor); /* of x >= 0 */
extern bool fixed_less_or_equal(fixed x, fixed y);
extern bool fixed_equal(fixed x, fixed y);

#endif							/* FIXED_H */
