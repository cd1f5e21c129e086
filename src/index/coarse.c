/*
 * coarse.c
 *		The coarse code: a few bits of a few coordinates, and one residual; and in
 *		format 3, which entries of a page are in use.
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
ek_encode_coarse(const ek_basis *basis, int dims, const double *projected, double tail,
				 double slack, ek_encoded *encoded)
{
	const double eta = ek_eta_of(dims);
	double		length2 = tail * tail;

	for (int i = 0; i < basis->coarse_dims; i++)
	{
		const ek_coordinate *c = &basis->coordinates[i];
		double		rest;

		encoded->coarse[i] = ek_value_of(c, projected[i]);
		rest = (fabs(projected[i] - ek_decode(c, encoded->coarse[i])) + eta) / c->weight;
		length2 += rest * rest;
	}
	if (slack > 0.0 && basis->coarse_dims > 0 && basis->header->usual_weight > 0.0f)
		slack /= basis->header->usual_weight;
	else
		slack = 0.0;
	encoded->coarse_residual = float_of(half_above((sqrt(length2) + slack) * (1.0 + eta)));
	encoded->coarse_norm = stored_norm(encoded->norm);
}

/*
 * With a residual of minus infinity, what the kernel says is below everything.  Such
 * an entry needs no norm, so that tells what it is.
 */
#define NORM_OF_FREE	1.0f
#define NORM_OF_NULL	2.0f

static void
hide(const ek_geometry *geometry, Page page, const ek_place *place, float norm)
{
	const uint32 on_page = place->group * EK_LANES + place->lane;

	ek_residuals_on(geometry, page)[on_page] = MINUS_INFINITY_16;
	ek_norms_on(geometry, page)[on_page] = norm;
}

void
ek_forget_coarse(const ek_geometry *geometry, Page page, const ek_place *place)
{
	hide(geometry, page, place, NORM_OF_FREE);
}

ek_entry_state
ek_coarse_state(const ek_geometry *geometry, Page page, uint32 on_page)
{
	if (ek_residuals_on(geometry, page)[on_page] != MINUS_INFINITY_16)
		return EK_ENTRY_VECTOR;
	return ek_norms_on(geometry, page)[on_page] == NORM_OF_NULL ? EK_ENTRY_NULL : EK_ENTRY_FREE;
}

float
ek_coarse_residual(const ek_geometry *geometry, Page page, uint32 on_page)
{
	return float_of(ek_residuals_on(geometry, page)[on_page]);
}

void
ek_store_coarse(const ek_geometry *g, const ek_basis *basis, const ek_encoded *encoded,
				Page page, const ek_place *place)
{
	const uint32 on_page = place->group * EK_LANES + place->lane;
	uint8	   *codes = ek_codes_on(page) + place->group * basis->group_size;
	uint32		bits;

	if (encoded->state == EK_ENTRY_NULL)
	{
		hide(g, page, place, g->format == EK_FORMAT_2 ? NORM_OF_FREE : NORM_OF_NULL);
		return;
	}
	for (int step = 0; step < basis->steps4 + basis->steps2; step++)
		memset(codes + step * EK_STEP_BYTES + (Size) 4 * place->lane, 0, 4);
	for (int i = 0; i < ek_slot_count(basis->steps4, basis->steps2); i++)
	{
		const ek_slot *slot = &basis->slots[i];
		const int	mask = (1 << slot->bits) - 1;

		if (slot->coordinate == EK_NO_COORDINATE)
			continue;
		codes[slot->byte + 4 * place->lane] |= (uint8)
			((encoded->coarse[slot->coordinate] >> slot->shift & mask) << slot->shift_stored);
	}
	memcpy(&bits, &encoded->coarse_residual, sizeof(bits));
	ek_residuals_on(g, page)[on_page] = (uint16) (bits >> 16);
	ek_norms_on(g, page)[on_page] = encoded->coarse_norm;
}

void
ek_fetch_coarse(const ek_geometry *g, const ek_basis *basis, Page page, const ek_place *place,
				uint8 *values, float *residual, float *norm)
{
	const uint8 *codes = ek_codes_on(page) + place->group * basis->group_size;
	const uint32 on_page = place->group * EK_LANES + place->lane;

	memset(values, 0, basis->coarse_dims);
	for (int i = 0; i < ek_slot_count(basis->steps4, basis->steps2); i++)
	{
		const ek_slot *slot = &basis->slots[i];
		const int	mask = (1 << slot->bits) - 1;

		if (slot->coordinate == EK_NO_COORDINATE)
			continue;
		values[slot->coordinate] |= (uint8)
			((codes[slot->byte + 4 * place->lane] >> slot->shift_stored & mask) << slot->shift);
	}
	*residual = ek_coarse_residual(g, page, on_page);
	*norm = ek_norms_on(g, page)[on_page];
}

/*
 * Queries
 */

/* What a slot's value is multiplied with. */
static inline double
weight_of(const ek_basis *basis, const double *projected, const ek_slot *slot)
{
	if (slot->coordinate == EK_NO_COORDINATE)
		return 0.0;
	return projected[slot->coordinate] * basis->coordinates[slot->coordinate].step *
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
quantize_weights(const ek_basis *basis, const double *projected, float scale,
				 int8 *weights, double *largest)
{
	double		rest = 0.0;

	for (int i = 0; i < ek_slot_count(basis->steps4, basis->steps2); i++)
	{
		const ek_slot *slot = &basis->slots[i];
		const double exact = weight_of(basis, projected, slot);
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
scale_of_weights(const ek_basis *basis, const double *projected)
{
	double		largest = 0.0;

	for (int i = 0; i < ek_slot_count(basis->steps4, basis->steps2); i++)
		largest = Max(largest, fabs(weight_of(basis, projected, &basis->slots[i])));
	return Max(ek_float_above(largest / MOST_QUERY_WEIGHT), FLT_MIN);
}

/*
 * Of codes of fine codes, with f what is coded, |u - f| <= s and W0 the usual weight,
 *
 *		<v,u> <= <w,x> + W * R(f) + s
 *			  <= <w,x> + W * (R(f) + s / W0) + s * max(0, 1 - W / W0)
 *
 * The second term has what is stored, each entry its own; the third, the largest s
 * of a page, and is 0 for most queries.
 */
static float
unusual_share(float usual, float weight)
{
	if (!(usual > 0.0f))
		return 1.0f;
	return ek_float_above(Max(0.0, 1.0 - (double) weight / usual) * (1.0 + MARGIN));
}

void
ek_encode_coarse_query(const ek_basis *basis, const double *projected, double tail,
					   const ek_coded_query *query, ek_coarse_query *coarse)
{
	const float scale = scale_of_weights(basis, projected);
	int8	   *weights = palloc0(basis->steps4 * EK_WEIGHTS4 + basis->steps2 * EK_WEIGHTS2 + 1);
	double		length2 = tail * tail;
	double		constant = 0.0;
	double		largest = 0.0;

	for (int i = 0; i < basis->coarse_dims; i++)
	{
		const ek_coordinate *c = &basis->coordinates[i];
		const double weighted = projected[i] * c->weight;

		length2 += weighted * weighted;
		constant += projected[i] * ek_decode(c, 0);
	}
	constant += quantize_weights(basis, projected, scale, weights, &largest);

	coarse->has_coarse = basis->coarse_dims > 0 && largest <= MOST_SUM &&
		query->norm >= LEAST_NORM && query->norm <= MOST_NORM;
	coarse->bound = (ek_bound_query)
	{
		.weights = weights,
			.steps4 = basis->steps4,
			.steps2 = basis->steps2,
			.scale = scale,
			.residual = ek_float_above(sqrt(length2) * (1.0 + MARGIN)),
			.constant = ek_float_above(constant + 8.0 * query->eta + query->slack +
									   MARGIN * (largest + fabs(constant) + 1.0)),
			.decay = query->metric == EK_METRIC_L2 ?
			(float) ((1.0 - MARGIN) / (2.0 * query->norm)) : 0.0f
	};
	if (basis->coarse_dims > 0)
		coarse->unusual = unusual_share(basis->header->usual_weight, coarse->bound.residual);
}

/* With a margin for what the slack adds to roundings. */
ek_bound_query
ek_bound_on_page(const ek_coarse_query *coarse, float slack, float threshold)
{
	ek_bound_query bound = coarse->bound;

	if (slack != 0.0f && coarse->unusual != 0.0f)
		bound.constant = ek_float_above(bound.constant +
										(double) slack * coarse->unusual * (1.0 + MARGIN));
	bound.threshold = threshold;
	return bound;
}

/* With the same margins, for the same reasons. */
float
ek_kernel_bound(const ek_coded_query *query, double norm, double cosine)
{
	const float stored = stored_norm(norm);
	const double above = cosine + 8.0 * query->eta + query->slack + MARGIN * (fabs(cosine) + 1.0);
	double		bound = above;

	if (ek_is_beyond_floats(query->arithmetic, norm))
		return INFINITY;
	if (query->metric != EK_METRIC_COSINE)
	{
		if (isnan(stored))
			return INFINITY;
		if (query->metric == EK_METRIC_L2)
			bound -= (1.0 - MARGIN) * stored / (2.0 * query->norm);
		bound *= stored;
		bound += MARGIN * fabs(bound);
	}
	return ek_float_above(bound);
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
			/* of norms that the kernel knows, the sum is less than that */
			return 0.0 - norm * bound - query->underflow * (4.0 * MOST_NORM);
		case EK_METRIC_L2:
			return sqrt(Max(0.0, query->share * (norm * norm * (1.0 - 4.0 * eta) - 2.0 * norm * bound) -
							query->underflow)) * (1.0 - eta);
		case EK_METRIC_L1:
			break;				/* no index serves it */
	}
	pg_unreachable();
}
