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

#include "base/certificate.h"
#include "base/scratch.h"
#include "index/index.h"
#include "vector/compute.h"
#include "vector/encode.h"
#include "vector/vector.h"

/*
 * What of |w| <= 1 the first coordinates do not have, from above.  The error of
 * |Bw|^2 is twice that of Bw.
 */
double
ek_tail_of(const double *projected, int n, double eta)
{
	double		length2 = 0.0;

	for (int i = 0; i < n; i++)
		length2 += projected[i] * projected[i];
	return sqrt(Max(0.0, 1.0 - length2) + 2.0 * eta);
}

/*
 * projected = B x / |x|, with the sums of a kernel; zeros for a zero vector.
 * Returns |x|.
 */
static double
project(const ek_cache *cache, ek_vector vector, double *widened, double *projected)
{
	const int	coarse_dims = cache->geometry.coarse_dims;
	const ek_query query = ek_prepare_query(vector, widened);
	const ek_rows rows = {.first = cache->basis,.count = coarse_dims};
	const double norm = sqrt(query.norm2);

	if (!isfinite(query.norm2))
		ek_vector_require_finite(vector.values, vector.dims, "the vector");
	ek_compute_dot_rows(&query, &rows, projected);
	for (int i = 0; i < coarse_dims; i++)
		projected[i] = norm == 0.0 ? 0.0 : projected[i] / norm;
	return norm;
}

ek_encoder *
ek_encoder_create(const ek_cache *cache)
{
	ek_encoder *encoder = palloc0(sizeof(ek_encoder));

	encoder->cache = cache;
	encoder->widened = ek_alloc_aligned(CurrentMemoryContext, ek_query_size(cache->geometry.dims));
	encoder->projected = ek_alloc_aligned(CurrentMemoryContext,
										  sizeof(double) * (cache->geometry.coarse_dims + 1));
	encoder->encoded.coarse = palloc0(cache->geometry.coarse_dims + 1);
	encoder->encoded.fine = palloc0(cache->geometry.dims + EK_LANES);
	return encoder;
}

/* Its codes and certificates are zero. */
const ek_encoded *
ek_encode_null(ek_encoder *encoder)
{
	const ek_geometry *geometry = &encoder->cache->geometry;
	ek_encoded *encoded = &encoder->encoded;
	uint8	   *coarse = encoded->coarse;
	int8	   *fine = encoded->fine;

	memset(coarse, 0, geometry->coarse_dims);
	memset(fine, 0, geometry->dims);
	*encoded = (ek_encoded)
	{
		.state = EK_ENTRY_NULL,.coarse = coarse,.fine = fine
	};
	return encoded;
}

/*
 * To the codes, a zero vector is a point like others, with no tail.  In format 1
 * its certificate is zero.
 */
const ek_encoded *
ek_encode(ek_encoder *encoder, const float *values)
{
	const ek_cache *cache = encoder->cache;
	const int	coarse_dims = cache->geometry.coarse_dims;
	const ek_vector vector = {.values = values,.dims = cache->geometry.dims};
	const double eta = ek_eta_of(vector.dims);
	ek_encoded *encoded = &encoder->encoded;
	double		tail;

	encoded->norm = project(cache, vector, encoder->widened, encoder->projected);
	encoded->state = encoded->norm == 0.0 ? EK_ENTRY_ZERO : EK_ENTRY_VECTOR;
	tail = encoded->norm == 0.0 ? 0.0 : ek_tail_of(encoder->projected, coarse_dims, eta);
	if (cache->geometry.format == EK_FORMAT_1)
		ek_encode_coarse_1(cache, encoder->projected, tail, encoded);
	else
		ek_encode_coarse(cache, encoder->projected, tail, encoded);
	encoded->fine_certificate = ek_encode_vector(vector, encoded->norm, EK_MAX_CODE, encoded->fine);
	return encoded;
}

void
ek_encoded_store(const ek_encoder *encoder, Page coarse, Page fine,
				 const ek_place *place, ItemPointer tid)
{
	const ek_geometry *geometry = &encoder->cache->geometry;
	const ek_encoded *encoded = &encoder->encoded;
	ek_certificate *fine_entry = ek_fine_on(geometry, fine, place->fine_slot);
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

	*fine_entry = encoded->fine_certificate;
	memcpy(ek_fine_codes(fine_entry), encoded->fine, geometry->dims);
}

/* The length of scale * codes, from above. */
double
ek_decoded_length(const int8 *codes, int n, double scale, double eta)
{
	return scale * sqrt((double) ek_compute_code_dot(codes, codes, n)) * (1.0 + eta);
}

ek_coded_query *
ek_encode_query(const ek_cache *cache, ek_metric metric, const float *values)
{
	const ek_vector vector = {.values = values,.dims = cache->geometry.dims};
	const int	coarse_dims = cache->geometry.coarse_dims;
	ek_coded_query *query = palloc0(sizeof(ek_coded_query));
	double	   *widened = ek_alloc_aligned(CurrentMemoryContext, ek_query_size(vector.dims));
	double	   *projected = ek_alloc_aligned(CurrentMemoryContext, sizeof(double) * (coarse_dims + 1));
	double		tail;

	query->metric = metric;
	query->eta = ek_eta_of(vector.dims);
	query->norm = project(cache, vector, widened, projected);
	tail = ek_tail_of(projected, coarse_dims, query->eta);
	if (cache->geometry.format == EK_FORMAT_1)
		ek_encode_coarse_query_1(&cache->geometry, projected, tail, query);
	else
		ek_encode_coarse_query(cache, projected, tail, query);

	query->fine = palloc0(vector.dims + EK_LANES);
	query->fine_certificate = ek_encode_vector(vector, query->norm, EK_MAX_CODE, query->fine);
	query->fine_length = ek_decoded_length(query->fine, vector.dims,
										   query->fine_certificate.scale, query->eta);
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
			  const ek_certificate *fine, const int8 *codes, double norm)
{
	const int32 dot = ek_compute_code_dot(query->fine, codes, geometry->dims);

	return ek_distance_bound(query, norm,
							 (double) query->fine_certificate.scale * fine->scale * dot +
							 query->fine_length * fine->residual +
							 query->fine_certificate.residual + query->eta);
}
