/*
 * directions.c
 *		Principal directions of a sample, by orthogonal iteration.
 *
 * How well it converged is a matter of speed to those who use them.  All the
 * work is in the dot products of dot_rows, in both directions: sample rows
 * with directions, and sample columns with the coordinates that gives.  Both
 * are rounded to floats before, or a product would not be exact, and the levels
 * would not agree on the sums.
 */
#include "postgres.h"

#include <float.h>
#include <math.h>

#include "miscadmin.h"
#include "utils/memutils.h"

#include "base/scratch.h"
#include "vector/compute.h"
#include "vector/directions.h"

#define ROUNDS				3
#define STEPS_PER_ROUND		2
#define VANISHED			1e-7	/* what is left of a direction is rounding */

double *
ek_alloc_coordinates(const ek_directions *d)
{
	return ek_alloc_aligned(CurrentMemoryContext, d->count * d->coordinate_size * sizeof(double));
}

static double
dot_of(const double *a, const double *b, int n)
{
	double		dot = 0.0;

	for (int i = 0; i < n; i++)
		dot += a[i] * b[i];
	return dot;
}

/* Gram and Schmidt; a direction that vanishes stays zero. */
static void
orthonormalize(ek_directions *d, int dims)
{
	for (int i = 0; i < d->count; i++)
	{
		double	   *row = ek_direction(d, i);
		double		before = sqrt(dot_of(row, row, dims));
		double		length;

		CHECK_FOR_INTERRUPTS();
		for (int j = 0; j < i; j++)
		{
			const double *other = ek_direction(d, j);
			double		dot = dot_of(row, other, dims);

			for (int k = 0; k < dims; k++)
				row[k] -= dot * other[k];
		}
		length = sqrt(dot_of(row, row, dims));
		for (int k = 0; k < dims; k++)
			row[k] = length > VANISHED * before ? row[k] / length : 0.0;
	}
}

static void
round_to_floats(double *values, int n)
{
	for (int i = 0; i < n; i++)
		values[i] = (float) values[i];
}

/* The coordinates of every vector of the sample. */
void
ek_directions_project(ek_directions *d, ek_vectors sample)
{
	ek_rows		rows = {.first = sample.values,.count = sample.count};

	for (int i = 0; i < d->count; i++)
	{
		ek_query	query = {.values = ek_direction(d, i),.dims = sample.dims};

		CHECK_FOR_INTERRUPTS();
		round_to_floats(ek_direction(d, i), sample.dims);
		ek_compute_dot_rows(&query, &rows, ek_coordinates_of(d, i));
	}
}

/* Each direction becomes the sum of the sample weighted by its coordinates. */
static void
back_project(ek_directions *d, ek_vectors sample, const float *columns)
{
	ek_rows		rows = {.first = columns,.count = sample.dims};

	for (int i = 0; i < d->count; i++)
	{
		ek_query	query = {.values = ek_coordinates_of(d, i),.dims = sample.count};

		CHECK_FOR_INTERRUPTS();
		round_to_floats(ek_coordinates_of(d, i), sample.count);
		ek_compute_dot_rows(&query, &rows, ek_direction(d, i));
	}
}

static float *
transpose(ek_vectors sample)
{
	float	   *columns = MemoryContextAllocHuge(CurrentMemoryContext,
												 sizeof(float) * (Size) sample.count * sample.dims);

	for (int i = 0; i < sample.count; i++)
	{
		for (int k = 0; k < sample.dims; k++)
			columns[(Size) k * sample.count + i] = sample.values[(Size) i * sample.dims + k];
	}
	return columns;
}

/* The directions that hold most of the sample come first. */
static void
sort_by_energy(ek_directions *d, ek_vectors sample)
{
	double	   *energy = palloc(sizeof(double) * d->count);

	for (int i = 0; i < d->count; i++)
		energy[i] = dot_of(ek_coordinates_of(d, i), ek_coordinates_of(d, i), sample.count);
	for (int i = 1; i < d->count; i++)
	{
		for (int j = i; j > 0 && energy[j] > energy[j - 1]; j--)
		{
			double		e = energy[j];

			energy[j] = energy[j - 1];
			energy[j - 1] = e;
			for (int k = 0; k < sample.dims; k++)
			{
				double		value = ek_direction(d, j)[k];

				ek_direction(d, j)[k] = ek_direction(d, j - 1)[k];
				ek_direction(d, j - 1)[k] = value;
			}
		}
	}
	pfree(energy);
}

ek_directions
ek_find_directions(ek_vectors sample, int count)
{
	const float *columns = transpose(sample);
	uint64		seed = 1;
	ek_directions d = {
		.count = count,
		.row_size = ek_query_size(sample.dims) / sizeof(double),
		.coordinate_size = ek_query_size(sample.count) / sizeof(double)
	};

	d.values = ek_alloc_aligned(CurrentMemoryContext, d.count * d.row_size * sizeof(double));
	d.coordinates = ek_alloc_coordinates(&d);

	/* any start will do that does not favour some of the sample */
	for (int i = 0; i < d.count; i++)
	{
		for (int k = 0; k < sample.dims; k++)
		{
			seed = seed * UINT64CONST(6364136223846793005) + UINT64CONST(1442695040888963407);
			ek_direction(&d, i)[k] = (double) (int64) seed;
		}
	}
	orthonormalize(&d, sample.dims);
	for (int round = 0; round < ROUNDS; round++)
	{
		for (int step = 0; step < STEPS_PER_ROUND; step++)
		{
			ek_directions_project(&d, sample);
			back_project(&d, sample, columns);
		}
		orthonormalize(&d, sample.dims);
	}
	ek_directions_project(&d, sample);
	sort_by_energy(&d, sample);
	ek_directions_project(&d, sample);
	return d;
}

double
ek_dot_of_rows(const float *a, const float *b, int dims)
{
	ek_operands operands = {
		.vector = {.values = a,.dims = dims},
		.other = {.values = b,.dims = dims}
	};

	return ek_compute_dot(&operands);
}

double
ek_spectral_limit(const float *rows, int count, int dims)
{
	double		limit = 0.0;

	for (int i = 0; i < count; i++)
	{
		double		sum = 0.0;

		CHECK_FOR_INTERRUPTS();
		for (int j = 0; j < count; j++)
			sum += fabs(ek_dot_of_rows(rows + (Size) i * dims, rows + (Size) j * dims, dims));
		limit = Max(limit, sum);
	}
	return limit * (1.0 + (dims + count) * DBL_EPSILON) + count * (dims + 64) * DBL_EPSILON;
}
