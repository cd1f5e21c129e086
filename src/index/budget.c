/*
 * budget.c
 *		How many bits each coordinate of a coarse code gets, and how many all of
 *		them.
 *
 * What a bound is too high by is, on average, the sum over all coordinates of
 * the query's magnitude times the code's error: sigma^2 * e(b) for a coordinate
 * of variance sigma^2 whose b bits leave an error of e(b) sigmas.  So the next
 * bits go where they take most off that sum for each bit.  (The rule of textbooks
 * makes the sum of e^2 small, for a code that is decoded; survivors are up to three
 * times as many with it.)
 *
 * The same sum tells the weights of the residual, see coarse.c: by Cauchy and
 * Schwarz W * R is least when D^2 is proportional to the code's error over the
 * query's magnitude.  One residual with such weights lets through about a third
 * more entries than one for each width would, and takes 2 bytes instead of 6; those
 * 4 bytes halve the survivors when codes have them.
 */
#include "postgres.h"

#include <math.h>

#include "miscadmin.h"

#include "base/certificate.h"
#include "index/index.h"

/*
 * What a scan pays, in nanoseconds, as measured with make bench: for reading a
 * byte of a page in order, twice that for what is beyond CACHE_BYTES; for going to a
 * page; and for a survivor, whose fine code is somewhere else.  That takes half a
 * microsecond, and is counted double, for hard queries have many times as many as
 * the mean.  A byte of the index costs a little too: of budgets that are nearly
 * equal in time, the smallest index.
 */
#define COST_BYTE		0.04
#define CACHE_BYTES		(16.0 * 1024 * 1024)
#define COST_PAGE		80.0
#define COST_SURVIVOR	1000.0
#define COST_SIZE		0.025

/*
 * Of budgets that cost so little more than the cheapest, the longest codes are taken, if
 * so many fewer survive them: the cost is that of the nearest ten rows, and further on
 * longer codes tell more apart.
 */
#define NEARLY			1.04
#define FEWER			0.75

/* A coordinate that varies less is rounding. */
#define LEAST_DEVIATION	1e-9

/*
 * The best uniform quantizer for a normal distribution of variance 1 (Max,
 * Quantizing for Minimum Distortion, 1960): its step, and the root of its mean
 * squared error.
 */
typedef struct quantizer
{
	uint32		bits;
	double		step;
	double		error;
} quantizer;

static const quantizer quantizers[] = {
	{0, 0.0, 1.0},
	{2, 0.9957, 0.3447},
	{4, 0.3352, 0.1074},
	{6, 0.1041, 0.0322},
	{8, 0.0308, 0.0095}
};

static inline const quantizer *
quantizer_of(uint32 bits)
{
	return &quantizers[bits / 2];
}

/* Of one coordinate, over all vectors. */
typedef struct moments
{
	double		mean;
	double		deviation;
	double		magnitude;		/* root of the mean square */
} moments;

static void
measure(const ek_projected *p, moments *m)
{
	for (int i = 0; i < p->coordinates; i++)
	{
		const double *values = p->values + i * p->stride;
		double		sum = 0.0;
		double		sum2 = 0.0;

		for (int j = 0; j < p->count; j++)
		{
			sum += values[j];
			sum2 += values[j] * values[j];
		}
		m[i].mean = sum / p->count;
		m[i].magnitude = sqrt(sum2 / p->count);
		m[i].deviation = sqrt(Max(0.0, sum2 / p->count - m[i].mean * m[i].mean));
	}
}

/* What is off a bound when a coordinate has so many bits. */
static inline double
loss(const moments *m, uint32 bits)
{
	return m->magnitude * (bits == 0 ? m->magnitude :
						   m->deviation * quantizer_of(bits)->error);
}

/*
 * Gives `slots` slots of `width` bits, one after another, each to the coordinate
 * that gains most by it.
 */
static void
hand_out(const moments *m, int count, int slots, uint32 width, uint32 *bits)
{
	while (slots-- > 0)
	{
		int			best = -1;
		double		most = 0.0;

		for (int i = 0; i < count; i++)
		{
			double		gain;

			if (bits[i] + width > 8 || bits[i] % 4 != 0 ||
				m[i].deviation < LEAST_DEVIATION)
				continue;
			gain = loss(&m[i], bits[i]) - loss(&m[i], bits[i] + width);
			if (gain > most)
			{
				most = gain;
				best = i;
			}
		}
		if (best < 0)
			return;
		bits[best] += width;
	}
}

/* Bits for codes of so many steps; returns what all coordinates lose together. */
static double
allocate(const moments *m, int count, int steps4, int steps2, uint32 *bits)
{
	double		sum = 0.0;

	memset(bits, 0, sizeof(uint32) * count);
	hand_out(m, count, steps4 * EK_STEP_VALUES4, 4, bits);
	hand_out(m, count, steps2 * EK_STEP_VALUES2, 2, bits);
	for (int i = 0; i < count; i++)
		sum += loss(&m[i], bits[i]);
	return sum;
}

static void
describe(const moments *m, int count, const uint32 *bits, ek_coordinate *coordinates)
{
	for (int i = 0; i < count; i++)
	{
		const double error = loss(&m[i], bits[i]) / Max(m[i].magnitude, DBL_MIN);

		coordinates[i] = (ek_coordinate)
		{
			.mean = (float) m[i].mean,
				.step = (float) (m[i].deviation * quantizer_of(bits[i])->step),
				.weight = (float) Max(EK_LEAST_WEIGHT, Min(EK_MOST_WEIGHT, sqrt(error / Max(m[i].magnitude, DBL_MIN)))),
				.bits = bits[i]
		};
	}
}

static int
compare_doubles(const void *a, const void *b)
{
	const double x = *(const double *) a;
	const double y = *(const double *) b;

	return x < y ? -1 : x > y;
}

/* What W of coarse.c is at least for all but one in so many. */
#define UNUSUAL		20

static double
usual_weight(const ek_projected *trial, const ek_coordinate *coordinates)
{
	const int	n = trial->count;
	double	   *weights = palloc0(sizeof(double) * n);

	for (int j = 0; j < n; j++)
	{
		double		tail = 1.0;

		for (int i = 0; i < trial->coordinates; i++)
		{
			const double w = trial->values[i * trial->stride + j];

			if (coordinates[i].bits == 0)
				continue;
			weights[j] += w * coordinates[i].weight * w * coordinates[i].weight;
			tail -= w * w;
		}
		weights[j] = sqrt(weights[j] + Max(0.0, tail));
	}
	qsort(weights, n, sizeof(double), compare_doubles);
	return weights[n / UNUSUAL];
}

/* How many of the trial would survive, for each of its queries, as a share. */
static double
survivors(const ek_projected *trial, const ek_coordinate *coordinates,
		  const double *nearest)
{
	const int	n = trial->count;
	double	   *residual = palloc0(sizeof(double) * n);
	double	   *weight = palloc0(sizeof(double) * n);
	double	   *tail = palloc0(sizeof(double) * n);
	double	   *decoded = palloc0(sizeof(double) * n * trial->coordinates);
	int64		survived = 0;

	for (int i = 0; i < trial->coordinates; i++)
	{
		const ek_coordinate *c = &coordinates[i];
		const double *y = trial->values + i * trial->stride;
		double	   *x = decoded + (Size) i * n;

		if (c->bits == 0)
			continue;
		for (int j = 0; j < n; j++)
		{
			double		rest;

			x[j] = ek_decode(c, ek_value_of(c, y[j]));
			rest = (y[j] - x[j]) / c->weight;
			residual[j] += rest * rest;
			weight[j] += y[j] * c->weight * y[j] * c->weight;
			tail[j] += y[j] * y[j];
		}
	}
	for (int j = 0; j < n; j++)
	{
		tail[j] = Max(0.0, 1.0 - tail[j]);
		residual[j] = sqrt(residual[j] + tail[j]);
		weight[j] = sqrt(weight[j] + tail[j]);
	}

	for (int q = 0; q < EK_BUDGET_QUERIES; q++)
	{
		double	   *bound = tail;	/* which has served */

		CHECK_FOR_INTERRUPTS();
		for (int j = 0; j < n; j++)
			bound[j] = weight[q] * residual[j];
		for (int i = 0; i < trial->coordinates; i++)
		{
			const double w = trial->values[i * trial->stride + q];
			const double *x = decoded + (Size) i * n;

			if (coordinates[i].bits == 0)
				continue;
			for (int j = 0; j < n; j++)
				bound[j] += w * x[j];
		}
		for (int j = 0; j < n; j++)
			survived += j != q && bound[j] >= nearest[q];
	}
	pfree(decoded);
	pfree(tail);
	pfree(weight);
	pfree(residual);
	return (double) survived / ((double) EK_BUDGET_QUERIES * (n - 1));
}

/* Nanoseconds to pass over an entry of an index with these codes. */
static double
pass_cost(int dims, double entries, int steps4, int steps2)
{
	const ek_meta meta = {
		.format = EK_FORMAT_3,
		.dims = (uint32) dims,
		.steps = (uint32) (steps4 + steps2)
	};
	const ek_geometry geometry = ek_geometry_of(&meta);
	const double bytes = ek_pass_bytes(&geometry, geometry.group_size);
	const double beyond = Max(0.0, 1.0 - CACHE_BYTES / (bytes * Max(entries, 1.0)));

	return bytes * COST_BYTE * (1.0 + beyond) + COST_PAGE / geometry.coarse_per_page +
		ek_size_bytes(&geometry) * COST_SIZE;
}

static inline double
survivor_cost(int dims)
{
	return COST_SURVIVOR + dims * COST_BYTE;
}

/* Of so many steps, how many should be of 2 bits? */
static int
best_split(const moments *m, int count, int steps, uint32 *bits)
{
	double		least = INFINITY;
	int			best = 0;

	for (int steps2 = 0; steps2 <= steps; steps2++)
	{
		const double sum = allocate(m, count, steps - steps2, steps2, bits);

		if (sum < least)
		{
			least = sum;
			best = steps2;
		}
	}
	return best;
}

/*
 * An index that is created empty has room for what embeddings of so many dimensions
 * usually take, if there are many; no more than 8 bits of each dimension.
 */
int
ek_usual_steps(uint32 dims)
{
	return (int) Min(Min(dims / 4 + 1, 12 + dims / 64), EK_MAX_STEPS);
}

void
ek_choose_budget(const ek_projected *model, const ek_projected *trial,
				 const ek_sample *sample, int most_steps, ek_basis *basis)
{
	const double entries = sample->expected;
	const int	dims = sample->dims;
	const int	count = model->coordinates;
	moments    *m = palloc(sizeof(moments) * count);
	uint32	   *bits = palloc(sizeof(uint32) * count);
	ek_coordinate *tried = palloc(sizeof(ek_coordinate) * count);
	double		least = pass_cost(dims, entries, 0, 0) + survivor_cost(dims);
	double		best = 1.0;		/* share that survives */

	measure(model, m);
	for (int steps = 1; steps <= most_steps; steps++)
	{
		const int	steps2 = best_split(m, count, steps, bits);
		double		share;
		double		cost = pass_cost(dims, entries, steps - steps2, steps2);

		/* so much even if nothing survives; pages that are better filled may follow */
		if (cost > NEARLY * least)
			continue;
		allocate(m, count, steps - steps2, steps2, bits);
		describe(m, count, bits, tried);
		share = survivors(trial, tried, sample->nearest);
		cost += share * survivor_cost(dims);
		if (cost >= (share <= FEWER * best ? NEARLY : 1.0) * least)
			continue;
		least = Min(least, cost);
		best = share;
		basis->steps4 = steps - steps2;
		basis->steps2 = steps2;
		basis->coarse_dims = count;
		basis->header->survivors = (uint32) Min(rint(share * entries), (double) PG_INT32_MAX);
		memcpy(basis->coordinates, tried, sizeof(ek_coordinate) * count);
		basis->header->usual_weight = (float) usual_weight(trial, tried);
	}
}

double
ek_cost_of_codes(const ek_projected *trial, const ek_sample *sample, const ek_basis *basis)
{
	const double share = basis->coarse_dims == 0 ? 1.0 :
		survivors(trial, basis->coordinates, sample->nearest);

	return pass_cost(sample->dims, sample->expected, basis->steps4, basis->steps2) +
		share * survivor_cost(sample->dims);
}
