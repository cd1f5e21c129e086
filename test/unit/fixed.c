/*
 * fixed.c
 *		Exact sums of products of floats, as one very long integer.
 */
#include <stdlib.h>
#include <string.h>

#include "fixed.h"

const fixed fixed_zero = {{0}};

/* A floating-point number taken apart: mantissa * 2^exponent. */
typedef struct parts
{
	bool		negative;
	uint64_t	mantissa;
	int			exponent;
} parts;

static parts
parts_of_double(double x)
{
	uint64_t	bits;
	parts		parts;
	int			biased;

	memcpy(&bits, &x, sizeof(bits));
	biased = (int) (bits >> 52 & 0x7ff);
	if (biased == 0x7ff)
		abort();				/* not finite */
	parts.negative = bits >> 63 != 0;
	parts.mantissa = bits & ((UINT64_C(1) << 52) - 1);
	if (biased > 0)
		parts.mantissa |= UINT64_C(1) << 52;
	parts.exponent = (biased > 0 ? biased : 1) - 1075;
	return parts;
}

static parts
parts_of_float(float x)
{
	uint32_t	bits;
	parts		parts;
	int			biased;

	memcpy(&bits, &x, sizeof(bits));
	biased = (int) (bits >> 23 & 0xff);
	if (biased == 0xff)
		abort();				/* not finite */
	parts.negative = bits >> 31 != 0;
	parts.mantissa = bits & ((UINT32_C(1) << 23) - 1);
	if (biased > 0)
		parts.mantissa |= UINT32_C(1) << 23;
	parts.exponent = (biased > 0 ? biased : 1) - 150;
	return parts;
}

static fixed
negated(fixed x)
{
	return fixed_subtract(fixed_zero, x);
}

static fixed
fixed_from_parts(parts parts)
{
	fixed		result = fixed_zero;
	int			shift;
	uint64_t	low;
	uint64_t	high;

	if (parts.mantissa == 0)
		return result;
	for (; parts.exponent < FIXED_UNIT; parts.exponent++)
	{
		if (parts.mantissa % 2 != 0)
			abort();			/* not a multiple of the unit */
		parts.mantissa /= 2;
	}

	shift = parts.exponent - FIXED_UNIT;
	if (shift / 32 + 3 > FIXED_LIMBS)
		abort();
	low = (parts.mantissa & UINT32_MAX) << shift % 32;
	high = (parts.mantissa >> 32) << shift % 32;
	high += low >> 32;
	result.limb[shift / 32] = (uint32_t) low;
	result.limb[shift / 32 + 1] = (uint32_t) high;
	result.limb[shift / 32 + 2] = (uint32_t) (high >> 32);
	return parts.negative ? negated(result) : result;
}

fixed
fixed_from_double(double x)
{
	return fixed_from_parts(parts_of_double(x));
}

fixed
fixed_product(float x, float y)
{
	const parts a = parts_of_float(x);
	const parts b = parts_of_float(y);

	return fixed_from_parts((parts) {
		a.negative != b.negative, a.mantissa * b.mantissa, a.exponent + b.exponent
	});
}

fixed
fixed_add(fixed x, fixed y)
{
	uint64_t	carry = 0;

	for (int i = 0; i < FIXED_LIMBS; i++)
	{
		carry += (uint64_t) x.limb[i] + y.limb[i];
		x.limb[i] = (uint32_t) carry;
		carry >>= 32;
	}
	return x;
}

fixed
fixed_subtract(fixed x, fixed y)
{
	uint64_t	carry = 1;

	for (int i = 0; i < FIXED_LIMBS; i++)
	{
		carry += (uint64_t) x.limb[i] + (uint32_t) ~y.limb[i];
		x.limb[i] = (uint32_t) carry;
		carry >>= 32;
	}
	return x;
}

static bool
is_negative(fixed x)
{
	return x.limb[FIXED_LIMBS - 1] >> 31 != 0;
}

fixed
fixed_magnitude(fixed x)
{
	return is_negative(x) ? negated(x) : x;
}

fixed
fixed_times(fixed x, uint32_t factor)
{
	uint64_t	carry = 0;

	for (int i = 0; i < FIXED_LIMBS; i++)
	{
		carry += (uint64_t) x.limb[i] * factor;
		x.limb[i] = (uint32_t) carry;
		carry >>= 32;
	}
	if (carry != 0 || is_negative(x))
		abort();				/* does not fit */
	return x;
}

bool
fixed_less_or_equal(fixed x, fixed y)
{
	return !is_negative(fixed_subtract(y, x));
}

bool
fixed_equal(fixed x, fixed y)
{
	return memcmp(&x, &y, sizeof(fixed)) == 0;
}
