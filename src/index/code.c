/*
 * code.c
 *		From vectors to codes, and from codes to bounds of distances.
 *
 * This file is the certificate: everything that makes "never above what the
 * operator computes" true is here, and docs/exact-index.md has the proof.
 * A few rules it relies on:
 *
 * - u is the real unit vector of x, c its code, s the scale: r >= |u - s*c| for
 *	 s and c as they are stored.  r is rounded up when it becomes a float.
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
static float
float_above(double value)
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

static double
largest_magnitude(const double *values, int n)
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
static double
quantize(const double *values, int n, double scale, int8 *codes)
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
static double
tail_of(const double *projected, int n, double eta)
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
 * Returns |x|; 0 leaves projected undefined.
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
	ek_encoded *encoded = &encoder->encoded;

	encoded->state = state;
	encoded->norm = 0.0;
	encoded->coarse_scale = encoded->coarse_residual = encoded->tail = 0.0;
	encoded->fine_scale = encoded->fine_residual = 0.0;
	memset(encoded->coarse, 0, encoder->cache->geometry.coarse_dims);
	memset(encoded->fine, 0, encoder->cache->geometry.dims);
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

	encoded->norm = to_unit(encoder->cache, vector, encoder->widened, encoder->projected);
	if (encoded->norm == 0.0)
		return encode_nothing(encoder, EK_ENTRY_ZERO);

	encoded->state = EK_ENTRY_VECTOR;
	encoded->coarse_scale = (float)
		(largest_magnitude(encoder->projected, coarse_dims) / EK_MAX_CODE);
	encoded->coarse_residual =
		float_above(quantize(encoder->projected, coarse_dims,
							 encoded->coarse_scale, encoded->coarse) + eta);
	encoded->tail = float_above(tail_of(encoder->projected, coarse_dims, eta));
	encoded->fine_scale = (float)
		(largest_magnitude(encoder->widened, dims) / EK_MAX_CODE);
	encoded->fine_residual =
		float_above(quantize(encoder->widened, dims,
							 encoded->fine_scale, encoded->fine) + eta);
	return encoded;
}

void
ek_encoded_store(const ek_encoded *encoded, const ek_geometry *geometry,
				 Page coarse, Page fine, const ek_place *place, ItemPointer tid)
{
	ek_group   *group = ek_group_on(geometry, coarse, place->group);
	int8	   *packed = ek_group_codes(group) + (Size) 4 * place->lane;
	ek_fine    *fine_entry = ek_fine_on(geometry, fine, place->fine_slot);
	const uint32 lane = place->lane;

	group->norm[lane] = encoded->norm;
	group->scale[lane] = encoded->coarse_scale;
	group->residual[lane] = encoded->coarse_residual;
	group->tail[lane] = encoded->tail;
	group->tid[lane] = *tid;
	group->state[lane] = (uint8) encoded->state;
	for (int i = 0; i < geometry->coarse_dims; i += 4, packed += EK_PACKED_STEP)
		memcpy(packed, encoded->coarse + i, 4);

	fine_entry->scale = encoded->fine_scale;
	fine_entry->residual = encoded->fine_residual;
	memcpy(ek_fine_codes(fine_entry), encoded->fine, geometry->dims);
}

/* The length of scale * codes, from above. */
static double
decoded_length(const int8 *codes, int n, double scale, double eta)
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

	query->metric = metric;
	query->eta = ek_eta_of(dims);
	query->coarse = palloc0(coarse_dims + 1);
	query->fine = palloc0(dims);
	query->norm = to_unit(cache, vector, widened, projected);
	if (query->norm == 0.0)
		return query;

	query->coarse_scale = largest_magnitude(projected, coarse_dims) / EK_MAX_CODE;
	query->coarse_residual = quantize(projected, coarse_dims,
									  query->coarse_scale, query->coarse) + query->eta;
	query->coarse_length = decoded_length(query->coarse, coarse_dims,
										  query->coarse_scale, query->eta);
	query->tail = tail_of(projected, coarse_dims, query->eta);

	query->fine_scale = largest_magnitude(widened, dims) / EK_MAX_CODE;
	query->fine_residual = quantize(widened, dims,
									query->fine_scale, query->fine) + query->eta;
	query->fine_length = decoded_length(query->fine, dims,
										query->fine_scale, query->eta);
	return query;
}

static inline double
cosine_distance_bound(const ek_coded_query *query, double norm, double cosine)
{
	const double distance = Max(0.0, 1.0 - Min(1.0, cosine + query->eta));

	return norm == 0.0 || query->norm == 0.0 ? 1.0 : distance;
}

/*
 * From an upper limit of the cosine to a lower limit of what the operator
 * computes.  A zero vector or query has no direction; its cosine is 0 by rule.
 */
static inline double
distance_bound(const ek_coded_query *query, double norm, double cosine)
{
	const double eta = query->eta;
	const double product = norm * query->norm;

	switch (query->metric)
	{
		case EK_METRIC_COSINE:
			return cosine_distance_bound(query, norm, cosine);
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

/*
 * The coarse bounds of a group, one for each lane.  What is in a lane that
 * holds no vector is meaningless; its state tells.
 */
void
ek_bound_group(const ek_coded_query *query, const ek_geometry *geometry,
			   ek_group *group, double *bounds)
{
	double		cosine[EK_LANES];
	int32		dots[EK_LANES];

	ek_compute_code_dot_packed(query->coarse, ek_group_codes(group),
							   geometry->coarse_dims, dots);
	for (int lane = 0; lane < EK_LANES; lane++)
		cosine[lane] = query->coarse_scale * group->scale[lane] * dots[lane] +
			query->coarse_length * group->residual[lane] +
			query->tail * group->tail[lane] +
			(query->coarse_residual + query->eta);
	if (query->metric == EK_METRIC_COSINE)
	{
		for (int lane = 0; lane < EK_LANES; lane++)
			bounds[lane] = cosine_distance_bound(query, group->norm[lane], cosine[lane]);
		return;
	}
	for (int lane = 0; lane < EK_LANES; lane++)
		bounds[lane] = distance_bound(query, group->norm[lane], cosine[lane]);
}

double
ek_bound_fine(const ek_coded_query *query, const ek_geometry *geometry,
			  const ek_fine *fine, const int8 *codes, double norm)
{
	int32		dot = ek_compute_code_dot(query->fine, codes, geometry->dims);

	return distance_bound(query, norm,
						  query->fine_scale * fine->scale * dot +
						  query->fine_length * fine->residual +
						  query->fine_residual + query->eta);
}
