/*
 * code.c
 *		From vectors to codes, and from codes to bounds of distances.
 *
 * This file, coarse.c and coarse_1.c are the certificate: everything that makes
 * "never above what the operator computes" true is there, and docs/exact-index.md
 * has the proof.  A few rules they rely on:
 *
 * - u is the real unit vector of x, c its fine code, s the scale: r >= |u - s*c|
 *	 for s and c as they are stored.  r is rounded up when it becomes a float.
 * - v is the real unit query, t*d its decoded code: e >= |v - t*d|.
 * - <d, c> is an integer, exact, and the same at every level.
 * - eta stands for all rounding in double, here and in the operators.
 * - The basis B satisfies |B| <= 1 in the spectral norm, as stored, so that
 *	 <v,u> <= <Bv,Bu> + tail(v) * tail(u), tail(u) = sqrt(1 - |Bu|^2).
 *
 * The arithmetic is in double and by the same code at every level, except for
 * the sums of the kernels, which are the same bits at every level.
 */
#include "postgres.h"

#include <math.h>

#include "utils/memutils.h"

#include "base/certificate.h"
#include "index/index.h"
#include "vector/compute.h"
#include "vector/vector.h"

/* The least float that is not below. */
float
ek_float_above(double value)
{
	float		result = (float) value;

	return result < value ? nextafterf(result, INFINITY) : result;
}

static inline int8
nearest_code(double value)
{
	int			code = (int) (value < 0.0 ? value - 0.5 : value + 0.5);

	return (int8) Max(-EK_MAX_CODE, Min(EK_MAX_CODE, code));
}

double
ek_largest_magnitude(const double *values, int n)
{
	double		largest = 0.0;

	for (int i = 0; i < n; i++)
		largest = Max(largest, fabs(values[i]));
	return largest;
}

/*
 * codes = the nearest to values / scale; returns |values - scale * codes|.
 * values are coordinates of a vector no longer than 1.
 */
double
ek_quantize_8(const double *values, int n, double scale, int8 *codes)
{
	const double inverse = scale > 0.0 ? 1.0 / scale : 0.0;
	double		residual2 = 0.0;

	for (int i = 0; i < n; i++)
	{
		double		difference;

		codes[i] = nearest_code(values[i] * inverse);
		difference = values[i] - scale * codes[i];
		residual2 += difference * difference;
	}
	return sqrt(residual2);
}

/* What of |w| <= 1 the first coordinates do not have, from above. */
double
ek_tail_of(const double *projected, int n, double eta)
{
	double		length2 = 0.0;

	for (int i = 0; i < n; i++)
		length2 += projected[i] * projected[i];
	return sqrt(Max(0.0, 1.0 - length2) + eta);
}

static double *
palloc_aligned_doubles(Size n)
{
	return (double *) TYPEALIGN(EK_ALIGNMENT,
								palloc0(n * sizeof(double) + EK_ALIGNMENT));
}

/*
 * widened = x, then x / |x|; projected = B x / |x|, with the sums of a kernel.
 * Returns |x|; where that is 0, both are left as they are.
 */
static double
to_unit(const ek_cache *cache, const float *vector, double *widened, double *projected)
{
	const int	dims = cache->geometry.dims;
	const int	coarse_dims = cache->geometry.coarse_dims;
	const ek_query query = ek_prepare_query((ek_vector) {.values = vector,.dims = dims}, widened);
	ek_rows		rows = {.first = cache->basis,.count = coarse_dims};
	double		norm;

	if (!isfinite(query.norm2))
		ek_vector_require_finite(vector, dims, "the vector");
	norm = sqrt(query.norm2);
	if (norm == 0.0)
		return 0.0;

	ek_compute_dot_rows(&query, &rows, projected);
	for (int i = 0; i < coarse_dims; i++)
		projected[i] /= norm;
	for (int i = 0; i < dims; i++)
		widened[i] /= norm;
	return norm;
}

ek_encoder *
ek_encoder_create(const ek_cache *cache)
{
	ek_encoder *encoder = palloc0(sizeof(ek_encoder));

	encoder->cache = cache;
	encoder->widened = palloc_aligned_doubles(ek_query_size(cache->geometry.dims) / sizeof(double));
	encoder->projected = palloc_aligned_doubles(cache->geometry.coarse_dims + 1);
	encoder->encoded.coarse = palloc0(cache->geometry.coarse_dims + 1);
	encoder->encoded.fine = palloc0(cache->geometry.dims);
	return encoder;
}

/* What has no direction: certificates and codes are zero. */
static const ek_encoded *
encode_nothing(ek_encoder *encoder, ek_entry_state state)
{
	const ek_geometry *geometry = &encoder->cache->geometry;
	ek_encoded *encoded = &encoder->encoded;

	encoded->state = state;
	encoded->norm = 0.0;
	encoded->coarse_scale = encoded->coarse_residual = encoded->tail = 0.0;
	encoded->fine_scale = encoded->fine_residual = 0.0;
	memset(encoded->coarse, 0, geometry->coarse_dims);
	memset(encoded->fine, 0, geometry->dims);
	/* to the code, a zero vector is a point like others; its cosine is 0 with all */
	if (geometry->format != EK_FORMAT_1 && state == EK_ENTRY_ZERO)
	{
		memset(encoder->projected, 0, sizeof(double) * geometry->coarse_dims);
		ek_encode_coarse(encoder->cache, encoder->projected, 0.0, ek_eta_of(geometry->dims),
						 encoded);
	}
	return encoded;
}

const ek_encoded *
ek_encode_null(ek_encoder *encoder)
{
	return encode_nothing(encoder, EK_ENTRY_NULL);
}

const ek_encoded *
ek_encode(ek_encoder *encoder, const float *vector)
{
	const int	dims = encoder->cache->geometry.dims;
	const int	coarse_dims = encoder->cache->geometry.coarse_dims;
	const double eta = ek_eta_of(dims);
	ek_encoded *encoded = &encoder->encoded;
	double		tail;

	encoded->norm = to_unit(encoder->cache, vector, encoder->widened, encoder->projected);
	if (encoded->norm == 0.0)
		return encode_nothing(encoder, EK_ENTRY_ZERO);

	encoded->state = EK_ENTRY_VECTOR;
	tail = ek_tail_of(encoder->projected, coarse_dims, eta);
	if (encoder->cache->geometry.format == EK_FORMAT_1)
		ek_encode_coarse_1(encoder->cache, encoder->projected, tail, eta, encoded);
	else
		ek_encode_coarse(encoder->cache, encoder->projected, tail, eta, encoded);
	encoded->fine_scale = (float)
		(ek_largest_magnitude(encoder->widened, dims) / EK_MAX_CODE);
	encoded->fine_residual =
		ek_float_above(ek_quantize_8(encoder->widened, dims,
									 encoded->fine_scale, encoded->fine) + eta);
	return encoded;
}

void
ek_encoded_store(const ek_encoder *encoder, Page coarse, Page fine,
				 const ek_place *place, ItemPointer tid)
{
	const ek_geometry *geometry = &encoder->cache->geometry;
	const ek_encoded *encoded = &encoder->encoded;
	ek_fine    *fine_entry = ek_fine_on(geometry, fine, place->fine_slot);
	ek_entry_row row;

	if (geometry->format == EK_FORMAT_1)
	{
		row = ek_row_on(geometry, coarse, place);
		ek_store_coarse_1(geometry, encoded, coarse, place);
	}
	else
	{
		row = ek_row_on(geometry, fine, place);
		ek_store_coarse(encoder->cache, encoded, coarse, place);
	}
	*row.norm = encoded->norm;
	*row.tid = *tid;
	*row.state = (uint8) encoded->state;

	fine_entry->scale = encoded->fine_scale;
	fine_entry->residual = encoded->fine_residual;
	memcpy(ek_fine_codes(fine_entry), encoded->fine, geometry->dims);
}

/* The length of scale * codes, from above. */
double
ek_decoded_length(const int8 *codes, int n, double scale, double eta)
{
	return scale * sqrt((double) ek_compute_code_dot(codes, codes, n)) * (1.0 + eta);
}

ek_coded_query *
ek_encode_query(const ek_cache *cache, ek_metric metric, const float *vector)
{
	const int	dims = cache->geometry.dims;
	const int	coarse_dims = cache->geometry.coarse_dims;
	ek_coded_query *query = palloc0(sizeof(ek_coded_query));
	double	   *widened = palloc_aligned_doubles(ek_query_size(dims) / sizeof(double));
	double	   *projected = palloc_aligned_doubles(coarse_dims + 1);
	double		tail;

	query->metric = metric;
	query->eta = ek_eta_of(dims);
	query->fine = palloc0(dims);
	query->norm = to_unit(cache, vector, widened, projected);
	tail = ek_tail_of(projected, coarse_dims, query->eta);
	if (cache->geometry.format == EK_FORMAT_1)
		ek_encode_coarse_query_1(&cache->geometry, projected, tail, query);
	else
		ek_encode_coarse_query(cache, projected, tail, query);

	query->fine_scale = ek_largest_magnitude(widened, dims) / EK_MAX_CODE;
	query->fine_residual = ek_quantize_8(widened, dims,
									query->fine_scale, query->fine) + query->eta;
	query->fine_length = ek_decoded_length(query->fine, dims,
										   query->fine_scale, query->eta);
	return query;
}

/*
 * From an upper limit of the cosine to a lower limit of what the operator
 * computes.  A zero vector or query has no direction; its cosine is 0 by rule.
 */
double
ek_distance_bound(const ek_coded_query *query, double norm, double cosine)
{
	const double eta = query->eta;
	const double product = norm * query->norm;

	switch (query->metric)
	{
		case EK_METRIC_COSINE:
			return ek_cosine_distance_bound(query, norm, cosine);
		case EK_METRIC_INNER_PRODUCT:
			return 0.0 - product * (cosine + 4.0 * eta);
		case EK_METRIC_L2:
			{
				double		gap = Max(0.0, fabs(norm - query->norm) -
									  eta * (norm + query->norm));
				double		angle = 2.0 * product * Max(0.0, 1.0 - cosine - 4.0 * eta);

				return sqrt(gap * gap + angle) * (1.0 - eta);
			}
		case EK_METRIC_L1:
			break;				/* no index serves it */
	}
	pg_unreachable();
}

double
ek_bound_fine(const ek_coded_query *query, const ek_geometry *geometry,
			  const ek_fine *fine, const int8 *codes, double norm)
{
	int32		dot = ek_compute_code_dot(query->fine, codes, geometry->dims);

	return ek_distance_bound(query, norm,
						  query->fine_scale * fine->scale * dot +
						  query->fine_length * fine->residual +
						  query->fine_residual + query->eta);
}
