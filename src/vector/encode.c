/*
 * encode.c
 *		The code of a vector: 8 bits an element or fewer, and how far off they are.
 *
 * Join and index take these codes for the same purpose, to bound <u, v> by
 * Cauchy and Schwarz; docs/exact-index.md has the proof.
 */
#include "postgres.h"

#include <math.h>

#include "vector/compute.h"
#include "vector/encode.h"

float
ek_float_above(double value)
{
	float		result = (float) value;

	return result < value ? nextafterf(result, INFINITY) : result;
}

ek_certificate
ek_encode_vector(ek_vector vector, double norm, int most, int8 *codes)
{
	ek_certificate certificate = {0.0f, 0.0f};
	double		step;

	if (norm == 0.0)
	{
		memset(codes, 0, vector.dims);
		return certificate;
	}
	/* the step is that of the scale as it is stored, not the other way round */
	certificate.scale = (float) (ek_compute_largest(vector) / most / norm);
	step = certificate.scale * norm;
	certificate.residual =
		ek_float_above(sqrt(ek_compute_quantize(vector, 1.0 / step, step, codes)) / norm +
					   ek_eta_of(vector.dims));
	return certificate;
}
