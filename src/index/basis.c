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

#include "miscadmin.h"

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
static void
drop_unused(const ek_directions *d, int dims, ek_basis *basis)
{
	int			used = 0;

	for (int i = 0; i < basis->coarse_dims; i++)
	{
		if (basis->coordinates[i].bits == 0)
			continue;
		basis->coordinates[used] = basis->coordinates[i];
		store_direction(d, i, dims, basis->rows + (Size) used++ * dims);
	}
	basis->coarse_dims = used;
	/* where nothing varies there is nothing to tell entries apart by */
	if (used == 0)
		basis->steps4 = basis->steps2 = 0;
	basis->group_size = (Size) (basis->steps4 + basis->steps2) * EK_STEP_BYTES;
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

static void
find_basis_1(const ek_sample *model, const ek_sample *trial, ek_basis *basis)
{
	ek_directions d = ek_find_directions(vectors_of(model), Min(EK_MAX_COARSE_DIMS_1, model->dims / 4 * 4));

	ek_directions_project(&d, vectors_of(trial));
	basis->coarse_dims = choose_coordinates(&d, trial);
	for (int i = 0; i < basis->coarse_dims; i++)
		store_direction(&d, i, model->dims, basis->rows + (Size) i * model->dims);
}

static void
find_basis_2(const ek_sample *sample, const ek_sample *model, const ek_sample *trial,
			 int most_steps, ek_basis *basis)
{
	ek_directions d = ek_find_directions(vectors_of(model), Min(EK_MAX_COARSE_DIMS, model->dims));
	ek_directions of_trial = d;
	const ek_projected as_model = projected_of(&d, model);
	ek_projected as_trial;

	of_trial.coordinates = ek_alloc_coordinates(&d);
	ek_directions_project(&of_trial, vectors_of(trial));
	as_trial = projected_of(&of_trial, trial);
	ek_choose_budget(&as_model, &as_trial, sample, most_steps, basis);
	drop_unused(&d, model->dims, basis);
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

ek_basis *
ek_basis_create(uint32 dims)
{
	ek_basis   *basis = palloc0(sizeof(ek_basis));
	const int	most = Min(EK_MAX_COARSE_DIMS, (int) dims);

	basis->header = palloc0(sizeof(ek_basis_header));
	basis->coordinates = palloc0(sizeof(ek_coordinate) * most);
	basis->rows = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(float) * (Size) most * dims);
	return basis;
}

void
ek_find_basis(const ek_sample *sample, ek_format format, int most_steps, ek_basis *basis)
{
	ek_sample	model;
	ek_sample	trial;

	if (sample->count < MIN_SAMPLE || (format == EK_FORMAT_1 && sample->dims < 32))
		return;

	divide_sample(sample, &model, &trial);
	if (format == EK_FORMAT_1)
		find_basis_1(&model, &trial, basis);
	else
		find_basis_2(sample, &model, &trial, most_steps, basis);
	make_correct(basis->rows, basis->coarse_dims, sample->dims);
}

/* What the rows of a basis make of the trial. */
static ek_projected
project_trial(const ek_sample *trial, const ek_basis *basis)
{
	double	   *values = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(double) *
												(Size) Max(basis->coarse_dims, 1) * trial->count);

	for (int i = 0; i < basis->coarse_dims; i++)
	{
		CHECK_FOR_INTERRUPTS();
		for (int j = 0; j < trial->count; j++)
			values[(Size) i * trial->count + j] =
				ek_dot_of_rows(basis->rows + (Size) i * trial->dims,
							   trial->rows + (Size) j * trial->dims, trial->dims);
	}
	return (ek_projected)
	{
		.count = trial->count,.coordinates = basis->coarse_dims,
			.stride = (Size) trial->count,.values = values
	};
}

double
ek_cost_with(const ek_sample *sample, const ek_basis *basis)
{
	ek_sample	model;
	ek_sample	trial;
	ek_projected projected;

	divide_sample(sample, &model, &trial);
	projected = project_trial(&trial, basis);
	return ek_cost_of_codes(&projected, sample, basis);
}
