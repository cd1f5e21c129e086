/*
 * coarse.c
 *		The coarse code: a few bits of a few coordinates, and one residual.
 *
 * u is the real unit vector of an entry, y = Bu its coordinates in the basis, x
 * what its code stands for; v is that of the query, w = Bv.  A coordinate has 2,
 * 4, 6 or 8 bits: the value c of b bits stands for mean + (c - (2^b - 1) / 2) *
 * step.  Values are stored as slots of 4 and of 2 bits, and a coordinate of 6 or
 * 8 bits has two of them, so that one kernel serves all widths.
 *
 * The certificate is one number, the residual: with weights D, one for each
 * coordinate,
 *
 *		R >= sqrt(sum ((y_i - x_i) / D_i)^2 + tail(u)^2)
 *		W >= sqrt(sum (w_i * D_i)^2 + tail(v)^2)
 *		<v,u> <= <w,x> + W * R
 *
 * by Cauchy and Schwarz, for any D.  The build chooses D to make the product
 * small where data and queries are (budget.c).  Nothing else has to be true of
 * means, steps and weights: R is computed for what is stored.
 *
 * The query's weights are integers of 16 bits.  What that leaves out is added to
 * the constant at its worst, as are all roundings to float, see MARGIN.
 */
#include "postgres.h"

#include <math.h>

#include "base/certificate.h"
#include "index/index.h"

/* A weight of the query is at most 256 * 127 + 127. */
#define MOST_QUERY_WEIGHT	32639

/*
 * Relative, for the kernel's arithmetic: at most eight roundings to float, of
 * 2^-24 each, of numbers not larger than those it is applied to.  That is four
 * times as much, for what double adds to W.
 */
#define MARGIN	(1.0 / (1 << 19))

/*
 * A norm beyond these is not stored as a float, and a query with one has no
 * coarse bounds: products of three of them must stay far from float's limits.
 */
#define LEAST_NORM	(1.0 / (1 << 30))
#define MOST_NORM	((double) (1 << 30))

/*
 * Sums that can be larger might leave float's range: minus infinity would be below
 * everything, and hide the entry.  Such a query has no coarse bounds either.  Means
 * and steps of unit vectors give sums of a few thousand at most.
 */
#define MOST_SUM	(MOST_NORM * MOST_NORM)

/* bfloat16: the upper half of a float. */
#define MINUS_INFINITY_16	0xff80

static inline float
float_of(uint16 half)
{
	const uint32 bits = (uint32) half << 16;
	float		value;

	memcpy(&value, &bits, sizeof(value));
	return value;
}

/* The least that is not below a value, which is positive. */
static inline uint16
half_above(double value)
{
	const float above = ek_float_above(value);
	uint32		bits;

	memcpy(&bits, &above, sizeof(bits));
	return (uint16) ((bits + 0xffff) >> 16);
}

/*
 * Where the bits are
 */

/*
 * Where the values of slot `i` are, of those of one width: four next to each other
 * in the bytes of a step, the next four in higher bits of the same bytes.
 */
static ek_slot
empty_slot(int i, int first_step, int values, int bits)
{
	const int	within = i % values;

	return (ek_slot)
	{
		.coordinate = EK_NO_COORDINATE,
			.byte = (uint16) ((first_step + i / values) * EK_STEP_BYTES + within % 4),
			.shift_stored = (uint8) (within / 4 * bits),
			.bits = (uint8) bits
	};
}

static inline void
fill_slot(ek_slot *slots, int *used, int room, int coordinate, int shift)
{
	if (*used < room)
	{
		slots[*used].coordinate = (uint16) coordinate;
		slots[*used].shift = (uint8) shift;
	}
	(*used)++;
}

bool
ek_lay_out(const ek_coordinate *coordinates, int count, int steps4, int steps2,
		   ek_slot *slots)
{
	const int	room4 = steps4 * EK_STEP_VALUES4;
	const int	room2 = steps2 * EK_STEP_VALUES2;
	ek_slot    *slots2 = slots + room4;
	int			used4 = 0;
	int			used2 = 0;

	for (int i = 0; i < room4; i++)
		slots[i] = empty_slot(i, 0, EK_STEP_VALUES4, 4);
	for (int i = 0; i < room2; i++)
		slots2[i] = empty_slot(i, steps4, EK_STEP_VALUES2, 2);
	for (int i = 0; i < count; i++)
	{
		int			left = (int) coordinates[i].bits;

		for (; left >= 4; left -= 4)
			fill_slot(slots, &used4, room4, i, left - 4);
		if (left == 2)
			fill_slot(slots2, &used2, room2, i, 0);
	}
	return used4 <= room4 && used2 <= room2;
}

/*
 * Entries
 */

/* Not a number where a float is not good enough; such an entry always survives. */
static inline float
stored_norm(double norm)
{
	return norm == 0.0 || (norm >= LEAST_NORM && norm <= MOST_NORM) ? (float) norm : NAN;
}

void
ek_encode_coarse(const ek_cache *cache, const double *projected, double tail,
				 ek_encoded *encoded)
{
	const double eta = ek_eta_of(cache->geometry.dims);
	double		length2 = tail * tail;

	for (int i = 0; i < cache->geometry.coarse_dims; i++)
	{
		const ek_coordinate *c = &cache->coordinates[i];
		double		rest;

		encoded->coarse[i] = ek_value_of(c, projected[i]);
		rest = (fabs(projected[i] - ek_decode(c, encoded->coarse[i])) + eta) / c->weight;
		length2 += rest * rest;
	}
	encoded->coarse_residual = float_of(half_above(sqrt(length2) * (1.0 + eta)));
	encoded->coarse_norm = stored_norm(encoded->norm);
}

/* With a residual of minus infinity, what the kernel says is below everything. */
void
ek_forget_coarse(const ek_geometry *geometry, Page page, const ek_place *place)
{
	const uint32 entry = place->group * EK_LANES + place->lane;

	ek_residuals_on(geometry, page)[entry] = MINUS_INFINITY_16;
	ek_norms_on(geometry, page)[entry] = 1.0f;
}

void
ek_store_coarse(const ek_cache *cache, const ek_encoded *encoded, Page page,
				const ek_place *place)
{
	const ek_geometry *g = &cache->geometry;
	const uint32 entry = place->group * EK_LANES + place->lane;
	uint8	   *codes = ek_codes_on(page) + place->group * g->group_size;
	uint32		bits;

	if (encoded->state == EK_ENTRY_NULL)
	{
		ek_forget_coarse(g, page, place);
		return;
	}
	for (int step = 0; step < g->steps4 + g->steps2; step++)
		memset(codes + step * EK_STEP_BYTES + (Size) 4 * place->lane, 0, 4);
	for (int i = 0; i < ek_slot_count(g->steps4, g->steps2); i++)
	{
		const ek_slot *slot = &cache->slots[i];
		const int	mask = (1 << slot->bits) - 1;

		if (slot->coordinate == EK_NO_COORDINATE)
			continue;
		codes[slot->byte + 4 * place->lane] |= (uint8)
			((encoded->coarse[slot->coordinate] >> slot->shift & mask) << slot->shift_stored);
	}
	memcpy(&bits, &encoded->coarse_residual, sizeof(bits));
	ek_residuals_on(g, page)[entry] = (uint16) (bits >> 16);
	ek_norms_on(g, page)[entry] = encoded->coarse_norm;
}

void
ek_fetch_coarse(const ek_cache *cache, Page page, const ek_place *place,
				uint8 *values, float *residual, float *norm)
{
	const ek_geometry *g = &cache->geometry;
	const uint8 *codes = ek_codes_on(page) + place->group * g->group_size;
	const uint32 entry = place->group * EK_LANES + place->lane;

	memset(values, 0, g->coarse_dims);
	for (int i = 0; i < ek_slot_count(g->steps4, g->steps2); i++)
	{
		const ek_slot *slot = &cache->slots[i];
		const int	mask = (1 << slot->bits) - 1;

		if (slot->coordinate == EK_NO_COORDINATE)
			continue;
		values[slot->coordinate] |= (uint8)
			((codes[slot->byte + 4 * place->lane] >> slot->shift_stored & mask) << slot->shift);
	}
	*residual = float_of(ek_residuals_on(g, page)[entry]);
	*norm = ek_norms_on(g, page)[entry];
}

/*
 * Queries
 */

/* What a slot's value is multiplied with. */
static inline double
weight_of(const ek_cache *cache, const double *projected, const ek_slot *slot)
{
	if (slot->coordinate == EK_NO_COORDINATE)
		return 0.0;
	return projected[slot->coordinate] * cache->coordinates[slot->coordinate].step *
		(1 << slot->shift);
}

/* Four high bytes, then four low bytes, for each four values. */
static void
store_weight(int8 *weights, int slot, int weight)
{
	const int	low = ((weight + 128) & 255) - 128;
	int8	   *four = weights + (Size) (slot / 4) * 8;

	four[slot % 4] = (int8) ((weight - low) / 256);
	four[4 + slot % 4] = (int8) low;
}

/*
 * Weights as integers; returns what they leave out, at its worst, and adds to
 * `largest` the largest magnitude of a sum.
 */
static double
quantize_weights(const ek_cache *cache, const double *projected, float scale,
				 int8 *weights, double *largest)
{
	double		rest = 0.0;

	for (int i = 0; i < ek_slot_count(cache->geometry.steps4, cache->geometry.steps2); i++)
	{
		const ek_slot *slot = &cache->slots[i];
		const double exact = weight_of(cache, projected, slot);
		const int	weight = (int) rint(exact / scale);
		const double missing = exact - (double) scale * weight;
		const double most = (1 << slot->bits) - 1;

		store_weight(weights, i, weight);
		rest += Max(missing, 0.0) * most;
		*largest += fabs((double) scale * weight) * most;
	}
	return rest;
}

/* The scale with which the largest weight just fits. */
static float
scale_of_weights(const ek_cache *cache, const double *projected)
{
	double		largest = 0.0;

	for (int i = 0; i < ek_slot_count(cache->geometry.steps4, cache->geometry.steps2); i++)
		largest = Max(largest, fabs(weight_of(cache, projected, &cache->slots[i])));
	return Max(ek_float_above(largest / MOST_QUERY_WEIGHT), FLT_MIN);
}

void
ek_encode_coarse_query(const ek_cache *cache, const double *projected, double tail,
					   ek_coded_query *query)
{
	const ek_geometry *g = &cache->geometry;
	const float scale = scale_of_weights(cache, projected);
	int8	   *weights = palloc0(g->steps4 * EK_WEIGHTS4 + g->steps2 * EK_WEIGHTS2 + 1);
	double		length2 = tail * tail;
	double		constant = 0.0;
	double		largest = 0.0;

	for (int i = 0; i < g->coarse_dims; i++)
	{
		const ek_coordinate *c = &cache->coordinates[i];
		const double weighted = projected[i] * c->weight;

		length2 += weighted * weighted;
		constant += projected[i] * ek_decode(c, 0);
	}
	constant += quantize_weights(cache, projected, scale, weights, &largest);

	query->has_coarse = g->coarse_dims > 0 && largest <= MOST_SUM &&
		query->norm >= LEAST_NORM && query->norm <= MOST_NORM;
	query->bound = (ek_bound_query)
	{
		.weights = weights,
			.steps4 = g->steps4,
			.steps2 = g->steps2,
			.scale = scale,
			.residual = ek_float_above(sqrt(length2) * (1.0 + MARGIN)),
			.constant = ek_float_above(constant + 8.0 * query->eta +
									   MARGIN * (largest + fabs(constant) + 1.0)),
			.decay = query->metric == EK_METRIC_L2 ?
			(float) ((1.0 - MARGIN) / (2.0 * query->norm)) : 0.0f
	};
}

/*
 * The kernel gives C, an upper limit of the cosine; or, with norms, an upper
 * limit of |x| * C for inner products, and of |x| * (C - |x| / (2 |q|)) for L2,
 * where |x - q|^2 is |q|^2 less 2 |q| of that.
 */
double
ek_distance_of(const ek_coded_query *query, double bound)
{
	const double eta = query->eta;
	const double norm = query->norm;

	switch (query->metric)
	{
		case EK_METRIC_COSINE:
			return Max(0.0, 1.0 - Min(1.0, bound + eta));
		case EK_METRIC_INNER_PRODUCT:
			return 0.0 - norm * bound;
		case EK_METRIC_L2:
			return sqrt(Max(0.0, norm * norm * (1.0 - 4.0 * eta) - 2.0 * norm * bound)) *
				(1.0 - eta);
		case EK_METRIC_L1:
			break;				/* no index serves it */
	}
	pg_unreachable();
}
