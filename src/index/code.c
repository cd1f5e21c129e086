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

/* A vector as kernels want it; raises an error unless it is finite. */
static ek_query
prepare(ek_vector vector, double *widened)
{
	const ek_query query = ek_prepare_query(vector, widened);

	if (!isfinite(query.norm2))
		ek_vector_require_finite(vector.values, vector.dims, "the vector");
	return query;
}

/* projected = B x / |x|, with the sums of a kernel; zeros for a zero vector. */
static void
project(const ek_basis *basis, const ek_query *query, double *projected)
{
	const ek_rows rows = {.first = basis->rows,.count = basis->coarse_dims};
	const double norm = sqrt(query->norm2);

	ek_compute_dot_rows(query, &rows, projected);
	for (int i = 0; i < basis->coarse_dims; i++)
		projected[i] = norm == 0.0 ? 0.0 : projected[i] / norm;
}

ek_encoder *
ek_encoder_create(const ek_geometry *geometry, const ek_basis *basis)
{
	ek_encoder *encoder = palloc0(sizeof(ek_encoder));

	encoder->geometry = *geometry;
	encoder->basis = basis;
	encoder->widened = ek_alloc_aligned(CurrentMemoryContext, ek_query_size(geometry->dims));
	encoder->projected = ek_alloc_aligned(CurrentMemoryContext,
										  sizeof(double) * (basis->coarse_dims + 1));
	memset(encoder->widened, 0, ek_query_size(geometry->dims));
	encoder->encoded.coarse = palloc0(basis->coarse_dims + 1);
	encoder->encoded.fine = palloc0(geometry->dims + EK_LANES);
	return encoder;
}

/* Its codes and certificates are zero. */
const ek_encoded *
ek_encode_null(ek_encoder *encoder)
{
	ek_encoded *encoded = &encoder->encoded;
	uint8	   *coarse = encoded->coarse;
	int8	   *fine = encoded->fine;

	memset(coarse, 0, encoder->basis->coarse_dims);
	memset(fine, 0, encoder->geometry.dims);
	*encoded = (ek_encoded)
	{
		.state = EK_ENTRY_NULL,.coarse = coarse,.fine = fine
	};
	return encoded;
}

/* From a unit vector's coordinates to its coarse code; of a zero vector, zeros. */
static void
encode_coarse(ek_encoder *encoder, double tail, double slack)
{
	const int	dims = encoder->geometry.dims;

	if (encoder->geometry.format == EK_FORMAT_1)
		ek_encode_coarse_1(encoder->basis, dims, encoder->projected, tail, &encoder->encoded);
	else
		ek_encode_coarse(encoder->basis, dims, encoder->projected, tail, slack, &encoder->encoded);
	/* it is to survive always, for only its norm tells what it is */
	if (ek_is_beyond_floats(encoder->geometry.arithmetic, encoder->encoded.norm))
		encoder->encoded.coarse_residual = INFINITY;
}

/*
 * To the codes, a zero vector is a point like others, with no tail.  In format 1
 * its certificate is zero.
 */
const ek_encoded *
ek_encode(ek_encoder *encoder, const float *values)
{
	const ek_basis *basis = encoder->basis;
	const ek_vector vector = {.values = values,.dims = encoder->geometry.dims};
	const ek_query query = prepare(vector, encoder->widened);
	ek_encoded *encoded = &encoder->encoded;

	project(basis, &query, encoder->projected);
	encoded->norm = sqrt(query.norm2);
	encoded->state = encoded->norm == 0.0 ? EK_ENTRY_ZERO : EK_ENTRY_VECTOR;
	encode_coarse(encoder, encoded->norm == 0.0 ? 0.0 :
				  ek_tail_of(encoder->projected, basis->coarse_dims, ek_eta_of(vector.dims)), 0.0);
	encoded->fine_certificate = ek_encode_vector(vector, encoded->norm, EK_MAX_CODE, encoded->fine);
	return encoded;
}

/*
 * Each coordinate of f is a rounding off, of which there are at most 160, and a few
 * more for good measure.
 */
double
ek_recode_slack(const ek_geometry *geometry, const ek_certificate *fine)
{
	return fine->residual + 64.0 * ek_eta_of(geometry->dims);
}

/*
 * f = s*c, whose length is not quite 1, so its tail is sqrt(|f|^2 - |Bf|^2).  Sums are
 * in double, as good as those of a kernel: |f| is at most 2, which is what the
 * factors of eta are for.
 */
const ek_encoded *
ek_recode(ek_encoder *encoder, ek_entry_state state, double norm, const ek_certificate *fine,
		  const int8 *codes)
{
	const ek_geometry *geometry = &encoder->geometry;
	const ek_basis *basis = encoder->basis;
	const double eta = ek_eta_of(geometry->dims);
	const ek_rows rows = {.first = basis->rows,.count = basis->coarse_dims};
	ek_query	query = {.values = encoder->widened,.dims = (size_t) geometry->dims};
	double		length2;

	for (int i = 0; i < geometry->dims; i++)
		encoder->widened[i] = (double) fine->scale * codes[i];
	length2 = (double) fine->scale * fine->scale * ek_compute_code_dot(codes, codes, geometry->dims);
	query.norm2 = length2;
	ek_compute_dot_rows(&query, &rows, encoder->projected);
	for (int i = 0; i < basis->coarse_dims; i++)
		length2 -= encoder->projected[i] * encoder->projected[i];
	encoder->encoded.norm = norm;
	encoder->encoded.state = state;
	encode_coarse(encoder, state == EK_ENTRY_ZERO ? 0.0 : sqrt(Max(0.0, length2) + 8.0 * eta),
				  ek_recode_slack(geometry, fine));
	return &encoder->encoded;
}

static void
count_entry(ek_coarse_header *header, ek_entry_state state, const ek_place *place)
{
	header->begun = Max(header->begun, place->group * EK_LANES + place->lane + 1);
	if (state == EK_ENTRY_NULL)
		header->nulls++;
	else
		header->vectors++;
}

void
ek_encoded_store(const ek_encoder *encoder, Page coarse, Page fine,
				 const ek_place *place, ItemPointer tid)
{
	const ek_geometry *geometry = &encoder->geometry;
	const ek_encoded *encoded = &encoder->encoded;
	ek_certificate *fine_entry = ek_fine_on(geometry, fine, place->fine_slot);
	ek_entry_row row;

	if (geometry->format == EK_FORMAT_1)
	{
		row = ek_row_on(geometry, coarse, place);
		ek_store_coarse_1(geometry, encoder->basis, encoded, coarse, place);
	}
	else
	{
		row = ek_row_on(geometry, fine, place);
		if (geometry->format >= EK_FORMAT_3)
		{
			count_entry(ek_coarse_header_on(coarse), encoded->state, place);
			ek_reach_to(geometry, fine, place);
		}
		ek_store_coarse(geometry, encoder->basis, encoded, coarse, place);
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

void
ek_encode_query_again(const ek_cache *cache, ek_coded_query *query)
{
	double	   *widened = ek_alloc_aligned(CurrentMemoryContext, ek_query_size(query->vector.dims));
	double	   *projected = ek_alloc_aligned(CurrentMemoryContext,
											 sizeof(double) * EK_MAX_COARSE_DIMS);
	const ek_query prepared = prepare(query->vector, widened);

	query->norm = sqrt(prepared.norm2);
	query->coarse_count = cache->basis_count;
	for (int i = 0; i < cache->basis_count; i++)
	{
		const ek_basis *basis = &cache->bases[i];
		ek_coarse_query *coarse = &query->coarse[i];
		double		tail;

		*coarse = (ek_coarse_query) {.basis_id = basis->id,.group_size = basis->group_size};
		project(basis, &prepared, projected);
		tail = ek_tail_of(projected, basis->coarse_dims, query->eta);
		if (cache->geometry.format == EK_FORMAT_1)
			ek_encode_coarse_query_1(basis, projected, tail, query, coarse);
		else
			ek_encode_coarse_query(basis, projected, tail, query, coarse);
	}
}

/* As docs/exact-index.md derives it. */
static void
allow_for_arithmetic(ek_coded_query *query)
{
	const int	dims = query->vector.dims;
	const double g = ek_gamma_of(dims + 1);

	query->share = 1.0;
	if (query->arithmetic == EK_SUMS_IN_DOUBLE)
		return;
	if (query->metric == EK_METRIC_COSINE)
		query->slack = 2.0 * g / (1.0 - g) + 4.0 * DBL_EPSILON;
	else if (query->metric == EK_METRIC_INNER_PRODUCT)
		query->slack = g;
	else
		query->share = 1.0 - ek_gamma_of(dims + 3);
	query->underflow = ek_underflow_of(dims);
}

ek_coded_query *
ek_encode_query(const ek_cache *cache, ek_metric metric, const float *values)
{
	const Size	size = sizeof(float) * cache->geometry.dims;
	ek_coded_query *query = palloc0(sizeof(ek_coded_query));
	const ek_vector vector = {
		.values = memcpy(palloc(size), values, size),
		.dims = cache->geometry.dims
	};

	query->metric = metric;
	query->arithmetic = cache->geometry.arithmetic;
	query->vector = vector;
	query->eta = ek_eta_of(vector.dims);
	allow_for_arithmetic(query);
	ek_encode_query_again(cache, query);

	query->fine = palloc0(vector.dims + EK_LANES);
	query->fine_certificate = ek_encode_vector(vector, query->norm, EK_MAX_CODE, query->fine);
	query->fine_length = ek_decoded_length(query->fine, vector.dims,
										   query->fine_certificate.scale, query->eta);
	return query;
}

/* In floats, a zero vector has no distance, and comes last. */
static double
cosine_distance_bound_in_floats(const ek_coded_query *query, double norm, double cosine)
{
	if (norm == 0.0)
		return INFINITY;
	if (ek_is_beyond_floats(query->arithmetic, norm))
		return 0.0;
	return Max(0.0, 1.0 - Min(1.0, cosine + query->eta + query->slack));
}

double
ek_distance_bound(const ek_coded_query *query, double norm, double cosine)
{
	const double eta = query->eta;
	const double product = norm * query->norm;

	switch (query->metric)
	{
		case EK_METRIC_COSINE:
			return query->arithmetic == EK_SUMS_IN_DOUBLE ? ek_cosine_distance_bound(query, norm, cosine) :
				cosine_distance_bound_in_floats(query, norm, cosine);
		case EK_METRIC_INNER_PRODUCT:
			if (query->arithmetic == EK_SUMS_IN_FLOAT && product > EK_MOST_FLOAT_PRODUCT)
				return -INFINITY;
			return 0.0 - product * (cosine + 4.0 * eta + query->slack) -
				query->underflow * (1.0 + norm + query->norm);
		case EK_METRIC_L2:
			{
				double		gap = Max(0.0, fabs(norm - query->norm) -
									  eta * (norm + query->norm));
				double		angle = 2.0 * product * Max(0.0, 1.0 - cosine - 4.0 * eta);

				return sqrt(Max(0.0, query->share * (gap * gap + angle) - query->underflow)) *
					(1.0 - eta);
			}
		case EK_METRIC_L1:
			break;				/* no index serves it */
	}
	pg_unreachable();
}

double
ek_fine_cosine(const ek_coded_query *query, const ek_geometry *geometry,
			   const ek_certificate *fine, const int8 *codes)
{
	const int32 dot = ek_compute_code_dot(query->fine, codes, geometry->dims);

	return (double) query->fine_certificate.scale * fine->scale * dot +
		query->fine_length * fine->residual +
		query->fine_certificate.residual + query->eta;
}
