/*
 * ek_query.c
 *		Preparing a query, and the last step from sums to a similarity.
 *
 * The same code at every level, so nothing here can differ between them.
 */
#include <math.h>

#include "ek_simd.h"

static size_t
padded(size_t dims)
{
	return (dims + EK_LANES - 1) / EK_LANES * EK_LANES;
}

size_t
ek_query_size(size_t dims)
{
	return padded(dims) * sizeof(double);
}

void
ek_query_prepare(const ek_kernels *kernels, const float *vector,
				 size_t dims, double *values, ek_query *query)
{
	size_t		i;

	for (i = 0; i < dims; i++)
		values[i] = vector[i];
	for (; i < padded(dims); i++)
		values[i] = 0.0;

	query->values = values;
	query->dims = dims;
	query->norm2 = kernels->norm2(vector, dims);
}

double
ek_cosine_similarity(double dot, double norm2_a, double norm2_b)
{
	double		similarity;

	if (norm2_a == 0.0 || norm2_b == 0.0)
		return 0.0;

	similarity = dot / sqrt(norm2_a * norm2_b);
	if (similarity > 1.0)
		return 1.0;
	if (similarity < -1.0)
		return -1.0;
	return similarity;
}
