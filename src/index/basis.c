/*
 * basis.c
 *		The basis of the coarse codes: principal directions of a sample.
 *
 * A basis is good if a few of its coordinates hold most of a vector's length;
 * principal directions of a sample are, for embeddings of real things.  It is
 * correct if |B| <= 1 in the spectral norm, and that is made so here, last and
 * for the floats as they are stored: |B|^2 <= the largest sum of magnitudes in
 * a row of B B'.  So how well the iteration converged is a matter of speed.
 */
#include "postgres.h"

#include <float.h>
#include <math.h>

#include "index/index.h"
#include "vector/directions.h"

#define TRIAL_QUERIES		16
#define MIN_SAMPLE			256
#define TRIAL_SHARE			5		/* one in so many of the sample is for trials */

/*
 * What a scan pays, in nanoseconds, as measured with make bench: for reading a
 * coarse code, with its certificate, and for a survivor's fine code, which is
 * somewhere else.
 */
#define COST_CODE_BYTE		0.05
#define COST_ENTRY			4.0
#define COST_SURVIVOR		400.0
#define CERTIFICATE_BYTES	21

/* What 8 bits add to a bound; only the choice of coordinates depends on it. */
#define TYPICAL_RESIDUAL	0.008

static ek_vectors
vectors_of(const ek_sample *sample)
{
	return (ek_vectors)
	{
		.values = sample->rows,.count = sample->count,.dims = sample->dims
	};
}

/*
 * How many of these would survive the first n coordinates, for a few of them
 * as queries that look for their nearest neighbour?  These must not be the
 * vectors that the directions were found from, which fit them better than any
 * others do.
 */
static double
survivors(const ek_directions *d, const ek_sample *sample, int n)
{
	int64		survived = 0;
	double	   *tail = palloc0(sizeof(double) * sample->count);

	for (int i = 0; i < sample->count; i++)
	{
		double		length2 = 0.0;

		for (int j = 0; j < n; j++)
			length2 += ek_coordinates_of(d, j)[i] * ek_coordinates_of(d, j)[i];
		tail[i] = sqrt(Max(0.0, 1.0 - length2));
	}
	for (int trial = 0; trial < TRIAL_QUERIES; trial++)
	{
		int			q = (int) ((int64) trial * sample->count / TRIAL_QUERIES);
		const float *query = sample->rows + (Size) q * sample->dims;
		double		nearest = -1.0;

		for (int i = 0; i < sample->count; i++)
		{
			if (i != q)
				nearest = Max(nearest, ek_dot_of_rows(query, sample->rows + (Size) i * sample->dims,
												   sample->dims));
		}
		for (int i = 0; i < sample->count; i++)
		{
			double		dot = 0.0;

			for (int j = 0; j < n; j++)
				dot += ek_coordinates_of(d, j)[q] * ek_coordinates_of(d, j)[i];
			if (dot + tail[q] * tail[i] + TYPICAL_RESIDUAL >= nearest)
				survived++;
		}
	}
	pfree(tail);
	return (double) survived / ((double) sample->count * TRIAL_QUERIES);
}

/* The number of coordinates with which a scan is cheapest; 0 for no basis. */
static int
choose_coordinates(const ek_directions *d, const ek_sample *sample)
{
	double		least = (sample->dims + CERTIFICATE_BYTES) * COST_CODE_BYTE + 2.0 * COST_ENTRY;
	int			best = 0;

	for (int n = 32; n <= d->count; n += 32)
	{
		double		cost = (n + CERTIFICATE_BYTES) * COST_CODE_BYTE + COST_ENTRY +
			survivors(d, sample, n) * (COST_SURVIVOR + sample->dims * COST_CODE_BYTE);

		if (cost < least)
		{
			least = cost;
			best = n;
		}
	}
	return best;
}

bool
ek_basis_is_correct(const float *rows, int count, int dims)
{
	return ek_spectral_limit(rows, count, dims) <= 1.0;
}

/* Rounding to float can take a norm above 1 again, so it is checked after it. */
static void
make_correct(float *rows, int count, int dims)
{
	double		limit;

	while ((limit = ek_spectral_limit(rows, count, dims)) > 1.0)
	{
		const double factor = (1.0 - FLT_EPSILON) / sqrt(limit);

		for (Size i = 0; i < (Size) count * dims; i++)
			rows[i] = (float) (rows[i] * factor);
	}
}

static void
store_direction(const ek_directions *d, int i, int dims, float *row)
{
	for (int k = 0; k < dims; k++)
		row[k] = (float) ek_direction(d, i)[k];
}

/* Leaves out the coordinates that have no bits; they are in the tail. */
static int
drop_unused(const ek_directions *d, int dims, ek_coordinate *coordinates, float *rows, int count)
{
	int			used = 0;

	for (int i = 0; i < count; i++)
	{
		if (coordinates[i].bits == 0)
			continue;
		coordinates[used] = coordinates[i];
		store_direction(d, i, dims, rows + (Size) used++ * dims);
	}
	return used;
}

static ek_projected
projected_of(const ek_directions *d, const ek_sample *sample)
{
	return (ek_projected)
	{
		.count = sample->count,.coordinates = d->count,
			.stride = d->coordinate_size,.values = d->coordinates
	};
}

static int
find_basis_1(const ek_sample *model, const ek_sample *trial, float *rows)
{
	ek_directions d = ek_find_directions(vectors_of(model), Min(EK_MAX_COARSE_DIMS_1, model->dims / 4 * 4));
	int			count;

	ek_directions_project(&d, vectors_of(trial));
	count = choose_coordinates(&d, trial);
	for (int i = 0; i < count; i++)
		store_direction(&d, i, model->dims, rows + (Size) i * model->dims);
	return count;
}

static int
find_basis_2(const ek_sample *sample, const ek_sample *model, const ek_sample *trial,
			 ek_meta *meta, ek_basis_header *header, ek_coordinate *coordinates, float *rows)
{
	ek_directions d = ek_find_directions(vectors_of(model), Min(EK_MAX_COARSE_DIMS, model->dims));
	ek_directions of_trial = d;
	const ek_projected as_model = projected_of(&d, model);
	ek_projected as_trial;
	int			used;

	of_trial.coordinates = ek_alloc_coordinates(&d);
	ek_directions_project(&of_trial, vectors_of(trial));
	as_trial = projected_of(&of_trial, trial);
	ek_choose_budget(&as_model, &as_trial, sample, meta, header, coordinates);
	used = drop_unused(&d, model->dims, coordinates, rows, meta->coarse_dims);
	/* where nothing varies there is nothing to tell entries apart by */
	if (used == 0)
		meta->steps4 = meta->steps2 = 0;
	else
		meta->basis_id = EK_FIRST_BASIS;
	return used;
}

/* Divides a sample into vectors to find a basis from, and others to try it with. */
static void
divide_sample(const ek_sample *sample, ek_sample *model, ek_sample *trial)
{
	*model = *trial = *sample;
	trial->count = Max(sample->count / TRIAL_SHARE, EK_BUDGET_QUERIES);
	model->count = sample->count - trial->count;
	trial->rows = sample->rows + (Size) model->count * sample->dims;
}

const float *
ek_budget_queries(const ek_sample *sample)
{
	ek_sample	model;
	ek_sample	trial;

	if (sample->count < MIN_SAMPLE)
		return NULL;
	divide_sample(sample, &model, &trial);
	return trial.rows;
}

void
ek_find_basis(const ek_sample *sample, ek_meta *meta, ek_basis_header *header,
			  ek_coordinate *coordinates, float *rows)
{
	ek_sample	model;
	ek_sample	trial;
	int			count;

	meta->sampled = (uint32) sample->count;
	if (sample->count < MIN_SAMPLE || (meta->format == EK_FORMAT_1 && sample->dims < 32))
		return;

	divide_sample(sample, &model, &trial);
	if (meta->format == EK_FORMAT_1)
		count = find_basis_1(&model, &trial, rows);
	else
		count = find_basis_2(sample, &model, &trial, meta, header, coordinates, rows);
	make_correct(rows, count, sample->dims);
	meta->coarse_dims = (uint8) count;
}
