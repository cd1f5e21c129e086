/*
 * coarse_1.c
 *		The coarse code of format 1: 8 bits of each coordinate, a residual and a
 *		tail.
 *
 * With r >= |Bu - s*c| for a code c and its scale s, and e, d and t likewise for
 * the query,
 *
 *		<v,u> <= t * s * <d,c> + |t*d| * r + tail(v) * tail(u) + e
 */
#include "postgres.h"

#include <math.h>

#include "base/certificate.h"
#include "index/index.h"
#include "vector/compute.h"

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

/* What has no direction has no certificate either. */
void
ek_encode_coarse_1(const ek_basis *basis, int dims, const double *projected, double tail,
				   ek_encoded *encoded)
{
	const int	n = basis->coarse_dims;
	const double eta = encoded->norm == 0.0 ? 0.0 : ek_eta_of(dims);

	encoded->coarse_scale = (float) (largest_magnitude(projected, n) / EK_MAX_CODE);
	encoded->coarse_residual =
		ek_float_above(quantize(projected, n, encoded->coarse_scale,
								(int8 *) encoded->coarse) + eta);
	encoded->tail = ek_float_above(tail);
}

void
ek_store_coarse_1(const ek_geometry *geometry, const ek_basis *basis,
				  const ek_encoded *encoded, Page page, const ek_place *place)
{
	ek_group   *group = ek_group_on(geometry, page, place->group);
	int8	   *packed = ek_group_codes(group) + (Size) 4 * place->lane;

	group->scale[place->lane] = encoded->coarse_scale;
	group->residual[place->lane] = encoded->coarse_residual;
	group->tail[place->lane] = encoded->tail;
	for (int i = 0; i < basis->coarse_dims; i += 4, packed += EK_PACKED_STEP)
		memcpy(packed, encoded->coarse + i, 4);
}

void
ek_encode_coarse_query_1(const ek_basis *basis, const double *projected, double tail,
						 const ek_coded_query *query, ek_coarse_query *coarse)
{
	const int	n = basis->coarse_dims;

	coarse->has_coarse = n > 0;
	coarse->coarse_dims = n;
	coarse->codes = palloc0(n + 1);
	coarse->scale = largest_magnitude(projected, n) / EK_MAX_CODE;
	coarse->residual = quantize(projected, n, coarse->scale, coarse->codes) + query->eta;
	coarse->length = ek_decoded_length(coarse->codes, n, coarse->scale, query->eta);
	coarse->tail = tail;
}

/*
 * Bounds of the distances of a group, one for each lane.  What is in a lane
 * that holds no vector is meaningless; its state tells.
 */
void
ek_bound_group_1(const ek_coded_query *query, ek_group *group, double *bounds)
{
	const ek_coarse_query *coarse = &query->coarse[0];
	double		cosine[EK_LANES];
	int32		dots[EK_LANES];

	ek_compute_code_dot_packed(coarse->codes, ek_group_codes(group), coarse->coarse_dims, dots);
	for (int lane = 0; lane < EK_LANES; lane++)
		cosine[lane] = coarse->scale * group->scale[lane] * dots[lane] +
			coarse->length * group->residual[lane] +
			coarse->tail * group->tail[lane] +
			(coarse->residual + query->eta);
	if (query->metric == EK_METRIC_COSINE)
	{
		for (int lane = 0; lane < EK_LANES; lane++)
			bounds[lane] = ek_cosine_distance_bound(query, group->norm[lane], cosine[lane]);
		return;
	}
	for (int lane = 0; lane < EK_LANES; lane++)
		bounds[lane] = ek_distance_bound(query, group->norm[lane], cosine[lane]);
}
