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

#include "utils/memutils.h"

#include "base/scratch.h"
#include "nearest/shadow.h"
#include "vector/compute.h"
#include "vector/directions.h"

/* How many vectors directions are found from, of which one in so many is for trials. */
#define SAMPLE_COUNT	768
#define TRIAL_SHARE		5

/* A third of the dimensions or fewer, with this share of the squares left out. */
#define LEAST_SAVING	3
#define MOST_LEFT_OUT	0.13

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

/* Some of the vectors, from all over and in no order, each of length 1; zeros stay. */
static ek_vectors
unit_sample(ek_vectors vectors)
{
	const int	count = Min(vectors.count, SAMPLE_COUNT);
	float	   *values = palloc(sizeof(float) * (Size) count * vectors.dims);

	for (int i = 0; i < count; i++)
	{
		/* a stride that is prime, so that neighbours are far apart */
		const int64 at = i * INT64CONST(7919) * (vectors.count / count) % vectors.count;
		const float *from = vectors.values + (Size) at * vectors.dims;
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

/*
 * The fewest tiles of directions that leave out little enough; 0 if there are none.
 * Of vectors that the directions were not found from, which fit them better than
 * any others do.
 */
static int
enough_tiles(ek_directions *d, ek_vectors trial)
{
	const int	count = trial.count;
	double		kept = 0.0;

	ek_directions_project(d, trial);
	for (int i = 0; i < d->count; i++)
	{
		for (int j = 0; j < count; j++)
			kept += ek_coordinates_of(d, i)[j] * ek_coordinates_of(d, i)[j];
		if ((i + 2) % EK_LANES == 0 && kept >= (1.0 - MOST_LEFT_OUT) * count)
			return (i + 2) / EK_LANES;
	}
	return 0;
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
ek_shadows_create(ek_vectors vectors)
{
	const int	most = Min((int) EK_MOST_SHADOW, vectors.dims / LEAST_SAVING / EK_LANES * EK_LANES) - 1;
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext scratch;
	ek_shadows *shadows = NULL;
	ek_vectors	model;
	ek_vectors	trial;
	ek_directions d;
	int			tiles;

	if (most < EK_LANES - 1)
		return NULL;
	scratch = AllocSetContextCreate(caller, "engramk directions", ALLOCSET_DEFAULT_SIZES);
	MemoryContextSwitchTo(scratch);
	model = unit_sample(vectors);
	trial = model;
	trial.count = model.count / TRIAL_SHARE;
	model.count -= trial.count;
	trial.values += (Size) model.count * model.dims;
	d = ek_find_directions(model, most);
	tiles = enough_tiles(&d, trial);
	MemoryContextSwitchTo(caller);
	if (tiles > 0)
		shadows = shadows_of(&d, tiles, vectors.dims);
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
