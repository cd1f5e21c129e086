/*
 * shadow.c
 *		Vectors as they are seen along a few directions, for the first screen of many.
 *
 * The shadow of w has its coordinates Bw along a few directions, and as its last
 * value the length of what they leave out, tail(w) = sqrt(|w|^2 - |Bw|^2).  It is
 * as long as w, and if |B| <= 1 in the spectral norm,
 *
 *		<w, z> <= <Bw, Bz> + tail(w) * tail(z) = <shadow of w, shadow of z>
 *
 * by Cauchy and Schwarz, since I - B'B is positive semidefinite: what is true of the
 * cosine of shadows is true of that of vectors.  A shadow is encoded as a vector is.
 *
 * It is cast by what codes stand for, not by the vector, so B holds integers, times
 * a factor, and coordinates are exact: one product of codes for each direction and
 * each of two planes, high and low.  In double it would take ten times as long.
 * |B| <= 1 is made so by the factor, as for the basis of an index: |B|^2 is at most
 * the largest sum of magnitudes in a row of BB'.
 */
#include "postgres.h"

#include <float.h>
#include <math.h>

#include "miscadmin.h"
#include "utils/memutils.h"

#include "base/scratch.h"
#include "nearest/shadow.h"
#include "vector/compute.h"
#include "vector/directions.h"

/* How many vectors directions are found from, of which one in so many is for trials. */
#define SAMPLE_COUNT	768
#define TRIAL_SHARE		5

/* A third of the dimensions or fewer; else shadows save too little. */
#define LEAST_SAVING	3

/* To cast a target's shadow takes as long, for each EK_LANES values, as so many products. */
#define COMPARED_A_TILE	256

/*
 * What a pair whose shadows are near costs more than others, in products of EK_LANES
 * values (perf): its codes are compared, one pair at a time.
 */
#define SURVIVOR_COST	250.0

/* What residuals of codes and of shadows add to a cosine, or thereabouts. */
#define RESIDUALS		0.03

/* An element of B is PLANE * high + low, both of them narrow codes. */
#define PLANE			(2 * EK_NARROW_CODE + 1)
#define MOST_ELEMENT	(PLANE * EK_NARROW_CODE + EK_NARROW_CODE)

/* What rounding to floats moves a shadow by: 2^-24 of at most 2. */
#define ROUNDED_BY		(1.0 / (1 << 22))

struct ek_shadows
{
	int			dims;
	Size		stride;			/* dims rounded up to 4 */
	int			tiles;			/* of EK_LANES directions, the last of which is zero */
	double		factor;
	int8	   *planes;			/* packed: the tiles of the high one, then of the low */
	int32	   *dots;			/* with them, of what was cast last */
	float	   *values;			/* of a shadow */
};

Size
ek_shadow_size(const ek_shadows *shadows)
{
	return (Size) shadows->tiles * EK_LANES;
}

/* The i-th of a sample from all over and in no order: a stride that is prime. */
static int
sampled(int i, int sample, int count)
{
	return (int) (i * INT64CONST(7919) * (count / sample) % count);
}

/* Of so many, each of length 1; zeros stay. */
static ek_vectors
unit_sample(ek_vectors vectors, int count)
{
	float	   *values = palloc(sizeof(float) * (Size) count * vectors.dims);

	for (int i = 0; i < count; i++)
	{
		const float *from = vectors.values +
			(Size) sampled(i, count, vectors.count) * vectors.dims;
		float	   *to = values + (Size) i * vectors.dims;
		const double norm2 = ek_compute_norm2((ek_vector) {.values = from,.dims = vectors.dims});

		for (int k = 0; k < vectors.dims; k++)
			to[k] = norm2 > 0.0 ? (float) (from[k] / sqrt(norm2)) : 0.0f;
	}
	return (ek_vectors)
	{
		.values = values,.count = count,.dims = vectors.dims
	};
}

/* Adds up who survives shadows of one tile, of two and so on. */
static void
count_survivors(const ek_directions *d, int a, int b, const int *numbers,
				ek_may_be_near may_be_near, const void *arg, int *survivors)
{
	double		dot = 0.0;
	double		tail2_a = 1.0;
	double		tail2_b = 1.0;

	for (int i = 0; i < d->count; i++)
	{
		const double x = ek_coordinates_of(d, i)[a];
		const double y = ek_coordinates_of(d, i)[b];

		dot += x * y;
		tail2_a -= x * x;
		tail2_b -= y * y;
		if ((i + 2) % EK_LANES == 0 &&
			may_be_near(arg, numbers[a], numbers[b],
						dot + sqrt(Max(0.0, tail2_a) * Max(0.0, tail2_b)) + RESIDUALS))
			survivors[(i + 2) / EK_LANES]++;
	}
}

/*
 * The number of tiles that makes the screen fastest; 0 if codes are as fast.  Tried with
 * vectors that the directions were not found from, which fit them better than any others.
 */
static int
best_tiles(ek_directions *d, ek_vectors trial, const int *numbers,
		   ek_may_be_near may_be_near, const void *arg)
{
	const double pairs = (double) trial.count * (trial.count - 1);
	int			survivors[EK_MOST_SHADOW / EK_LANES + 1] = {0};
	double		least = (double) trial.dims / EK_LANES;
	int			best = 0;

	ek_directions_project(d, trial);
	for (int a = 0; a < trial.count; a++)
	{
		CHECK_FOR_INTERRUPTS();
		for (int b = 0; b < trial.count; b++)
		{
			if (a != b)
				count_survivors(d, a, b, numbers, may_be_near, arg, survivors);
		}
	}
	for (int tiles = 1; tiles <= (d->count + 1) / EK_LANES; tiles++)
	{
		const double cost = tiles + SURVIVOR_COST * survivors[tiles] / pairs;

		if (cost < least)
		{
			least = cost;
			best = tiles;
		}
	}
	return best;
}

static double
largest_element(const ek_directions *d, int count, int dims)
{
	double		largest = 0.0;

	for (int i = 0; i < count; i++)
	{
		for (int k = 0; k < dims; k++)
			largest = Max(largest, fabs(ek_direction(d, i)[k]));
	}
	return largest;
}

/* Makes integers of the elements, `rows`, and puts them into their planes. */
static void
store_elements(ek_shadows *shadows, const ek_directions *d, int count, double largest, float *rows)
{
	const Size	plane = ek_shadow_size(shadows) * shadows->stride;

	for (int i = 0; i < count; i++)
	{
		const Size	tile = (Size) (i / EK_LANES) * EK_LANES * shadows->stride;

		for (int k = 0; k < shadows->dims; k++)
		{
			const Size	at = tile + ((Size) (k / 4) * EK_LANES + i % EK_LANES) * 4 + k % 4;
			const double element = rint(ek_direction(d, i)[k] / largest * MOST_ELEMENT);
			const double high = rint(element / PLANE);

			rows[(Size) i * shadows->dims + k] = (float) element;
			shadows->planes[at] = (int8) high;
			shadows->planes[plane + at] = (int8) (element - PLANE * high);
		}
	}
}

static ek_shadows *
shadows_of(const ek_directions *d, int tiles, int dims)
{
	const int	count = tiles * EK_LANES - 1;
	ek_shadows *shadows = palloc0(sizeof(ek_shadows));
	float	   *rows = palloc(sizeof(float) * (Size) count * dims);

	shadows->dims = dims;
	shadows->stride = TYPEALIGN(4, (Size) dims);
	shadows->tiles = tiles;
	shadows->planes = ek_alloc_aligned(CurrentMemoryContext,
									   2 * ek_shadow_size(shadows) * shadows->stride);
	shadows->dots = palloc(2 * sizeof(int32) * ek_shadow_size(shadows) * EK_CODE_QUERIES);
	shadows->values = palloc(sizeof(float) * ek_shadow_size(shadows));
	store_elements(shadows, d, count, largest_element(d, count, dims), rows);
	shadows->factor = (1.0 - 8.0 * DBL_EPSILON) / sqrt(ek_spectral_limit(rows, count, dims));
	pfree(rows);
	return shadows;
}

ek_shadows *
ek_shadows_create(ek_vectors queries, uint64 compared, ek_may_be_near may_be_near, const void *arg)
{
	const Size	tiles_at_most = Min(compared / COMPARED_A_TILE,
									(Size) queries.dims / LEAST_SAVING / EK_LANES);
	const int	most = (int) Min(EK_MOST_SHADOW, tiles_at_most * EK_LANES) - 1;
	const int	count = Min(queries.count, SAMPLE_COUNT);
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext scratch;
	ek_shadows *shadows = NULL;
	int			numbers[SAMPLE_COUNT / TRIAL_SHARE];
	ek_vectors	model;
	ek_vectors	trial;
	ek_directions d;
	int			tiles;

	if (most < EK_LANES - 1)
		return NULL;
	scratch = AllocSetContextCreate(caller, "engramk directions", ALLOCSET_DEFAULT_SIZES);
	MemoryContextSwitchTo(scratch);
	model = unit_sample(queries, count);
	trial = model;
	trial.count = model.count / TRIAL_SHARE;
	model.count -= trial.count;
	trial.values += (Size) model.count * model.dims;
	for (int i = 0; i < trial.count; i++)
		numbers[i] = sampled(model.count + i, count, queries.count);
	d = ek_find_directions(model, most);
	tiles = best_tiles(&d, trial, numbers, may_be_near, arg);
	MemoryContextSwitchTo(caller);
	if (tiles > 0)
		shadows = shadows_of(&d, tiles, queries.dims);
	MemoryContextDelete(scratch);
	return shadows;
}

void
ek_cast_shadows(ek_shadows *shadows, const int8 *codes)
{
	ek_compute_code_dot_block(codes, shadows->stride, shadows->planes, (Size) 2 * shadows->tiles,
							  shadows->stride, shadows->dots);
}

/* The coordinate of one of them along a direction, as an integer. */
static inline double
coordinate(const ek_shadows *shadows, int which, int i)
{
	const Size	plane = ek_shadow_size(shadows) * EK_CODE_QUERIES;
	const Size	tile = (Size) (i / EK_LANES) * EK_CODE_QUERIES * EK_LANES;
	const int32 *high = shadows->dots + tile + (Size) which * EK_LANES + i % EK_LANES;
	const int32 *low = high + plane;

	return (double) PLANE * *high + *low;
}

ek_certificate
ek_encode_shadow(ek_shadows *shadows, int which, const int8 *codes, ek_certificate certificate,
				 int most, int8 *shadow)
{
	const int	size = (int) ek_shadow_size(shadows);
	const double scale = certificate.scale * shadows->factor;
	const double squares = ek_compute_code_dot(codes, codes, shadows->stride);
	const double length2 = squares * certificate.scale * certificate.scale;
	double		tail2 = length2 * (1.0 + 2.0 * ek_eta_of(shadows->dims));

	for (int i = 0; i < size - 1; i++)
	{
		const double value = scale * coordinate(shadows, which, i);

		shadows->values[i] = (float) value;
		tail2 -= value * value;
	}
	shadows->values[size - 1] = (float) sqrt(Max(0.0, tail2));
	certificate = ek_encode_vector((ek_vector) {.values = shadows->values,.dims = size},
								   squares > 0.0 ? 1.0 : 0.0, most, shadow);
	certificate.residual += (float) ROUNDED_BY;
	return certificate;
}
