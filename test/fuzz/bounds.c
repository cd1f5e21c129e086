/*
 * bounds.c
 *		Vectors, queries and an index made from bytes, and whether its bounds hold.
 *
 * A scene is a basis, what becomes of its coordinates, queries, and entries that
 * stand on pages as those of an index do.  It is made by the functions of
 * src/index/, and is as hostile as what they accept: a basis needs no more than
 * |B| <= 1, and coordinates no more than ek_cache_get() asks of them.  In format 3
 * there may be two bases, and entries coded in one of them from their vectors or from
 * their fine codes.
 *
 * For each metric, a bound must not be above what the operator computes from the
 * same vectors with the scalar kernels, or in format 5 above the least that sums of
 * floats give in any of many orders; nor above the distance itself, computed
 * apart from all that in long double.  A bound that is not a number says nothing.
 * Codes and bounds must have the same bits at every level.
 */
#include "postgres.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

#include "base/certificate.h"
#include "base/level.h"
#include "bounds.h"
#include "float_sums.h"
#include "index/index.h"
#include "input.h"
#include "server_stubs.h"
#include "support.h"
#include "vector/compute.h"

/* the server's own needs the rest of the server */
#undef fprintf

#define FEW_DIMS		40
#define USUAL_DIMS		300
#define MOST_DIMS		2000

/* Of the true distances: they are rounded too, but much later. */
#define TOLERANCE		DBL_EPSILON

typedef struct scene
{
	input		from;
	const bound_limits *limits;
	generator	random;			/* for what would take too many bytes */
	int			dims;
	bool		exact;			/* coarse codes of 8 bits lose nothing of fine codes */
	int			queries;
	int			entries;
	ek_cache   *cache;
	const ek_basis *basis;		/* of the coarse page */
	float	   *query;			/* queries x dims */
	float	   *entry;			/* entries x dims */
	bool	   *is_null;
	bool	   *is_recoded;		/* its coarse code is one of its fine code */
} scene;

/* The pages that the entries of one coarse page are on. */
typedef struct pages
{
	char	   *all;			/* the coarse page, then the fine pages */
	Size		size;
} pages;

/* Two vectors compared, by the operators and in long double. */
typedef struct distances
{
	double		computed[EK_INDEXED_METRIC_COUNT];
	long double true_one[EK_INDEXED_METRIC_COUNT];
	double		unit[EK_INDEXED_METRIC_COUNT];	/* of margins */
} distances;

static const ek_metric metrics[EK_INDEXED_METRIC_COUNT] = {
	EK_METRIC_COSINE, EK_METRIC_INNER_PRODUCT, EK_METRIC_L2
};

bound_tally
new_tally(void)
{
	bound_tally tally = {0};

	for (int kind = 0; kind < BOUND_KIND_COUNT; kind++)
		for (int m = 0; m < EK_INDEXED_METRIC_COUNT; m++)
			tally.least[kind][m] = INFINITY;
	return tally;
}

/*
 * Numbers
 */

/* A byte of the input, or when there is none left, of what follows from it. */
static uint8_t
take(scene *s)
{
	return s->from.left > 0 ? take_byte(&s->from) : (uint8_t) random_bits(&s->random);
}

static unsigned
take_under(scene *s, unsigned limit)
{
	const unsigned high = take(s);

	return (high << 8 | take(s)) % limit;
}

/* In [-1, 1). */
static double
random_fraction(scene *s)
{
	return (double) (int64) random_bits(&s->random) * 0x1p-63;
}

static float
make_finite(float value)
{
	if (isnan(value))
		return 1.0f;
	return Max(-FLT_MAX, Min(FLT_MAX, value));
}

/* Any finite bits, from the input. */
static float
take_float(scene *s)
{
	float		value;
	uint8_t		bytes[sizeof(value)];

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = take(s);
	memcpy(&value, bytes, sizeof(value));
	return make_finite(value);
}

/* The same many times. */
static void
fill_raw(scene *s, float *floats, Size n)
{
	fill_floats(&s->from, take(s), floats, n);
	for (Size i = 0; i < n; i++)
		floats[i] = s->from.left > 0 ? make_finite(floats[i]) : take_float(s);
}

static float *
palloc_floats(Size n)
{
	return palloc0(sizeof(float) * Max(n, 1));
}

static double
dot_of(const float *a, const float *b, int n)
{
	double		sum = 0.0;

	for (int i = 0; i < n; i++)
		sum += (double) a[i] * b[i];
	return sum;
}

static double
length_of(const float *a, int n)
{
	return sqrt(dot_of(a, a, n));
}

/* To about a length, which may be anything. */
static void
set_length(float *vector, int n, double length)
{
	const double factor = length / Max(length_of(vector, n), DBL_MIN);

	for (int i = 0; i < n; i++)
		vector[i] = make_finite((float) (vector[i] * factor));
}

/*
 * A basis
 */

static void
fill_random(scene *s, float *vector)
{
	for (int i = 0; i < s->dims; i++)
		vector[i] = (float) random_fraction(s);
}

static void
orthonormalize(float *rows, int count, int dims)
{
	for (int i = 0; i < count; i++)
	{
		float	   *row = rows + (Size) i * dims;

		for (int round = 0; round < 2; round++)
		{
			for (int j = 0; j < i; j++)
			{
				const float *other = rows + (Size) j * dims;
				const double dot = dot_of(row, other, dims);

				for (int k = 0; k < dims; k++)
					row[k] = (float) (row[k] - dot * other[k]);
			}
		}
		/* what is left when there are no more directions */
		if (length_of(row, dims) < 1e-4)
			memset(row, 0, sizeof(float) * dims);
		else
			set_length(row, dims, 1.0);
	}
}

/* As large as |B| <= 1 lets it be, more or less. */
static void
make_correct(float *rows, int count, int dims)
{
	while (!ek_basis_is_correct(rows, count, dims))
	{
		double		limit = 1.0;
		double		factor;

		for (int i = 0; i < count; i++)
		{
			double		sum = 0.0;

			for (int j = 0; j < count; j++)
				sum += fabs(dot_of(rows + (Size) i * dims, rows + (Size) j * dims, dims));
			limit = Max(limit, sum);
		}
		factor = (1.0 - FLT_EPSILON) / sqrt(limit);
		for (Size i = 0; i < (Size) count * dims; i++)
			rows[i] = (float) (rows[i] * factor);
	}
}

static void
make_basis(scene *s, const ek_basis *basis)
{
	float	   *rows = basis->rows;
	const int	count = basis->coarse_dims;
	const int	kind = s->exact ? 5 : take(s) % 8;
	const Size	floats = (Size) count * s->dims;

	for (int i = 0; i < count; i++)
		fill_random(s, rows + (Size) i * s->dims);
	if (kind < 4)
		orthonormalize(rows, count, s->dims);
	else if (kind == 4)
		fill_raw(s, rows, floats);
	else if (kind == 5)
	{
		memset(rows, 0, sizeof(float) * floats);
		for (int i = 0; i < count; i++)
			rows[(Size) i * s->dims + i % s->dims] = 1.0f;
	}
	else if (kind == 6)
	{
		for (int i = 1; i < count; i++)
			memcpy(rows + (Size) i * s->dims, rows, sizeof(float) * s->dims);
	}
	make_correct(rows, count, s->dims);
}

/*
 * Coordinates
 */

static uint32
take_bits(scene *s)
{
	return 2 * (1 + take(s) % 4);
}

/* Bits for the coordinates that fit, and the steps that they take. */
static void
choose_bits(scene *s, uint32 *bits, ek_basis_slot *slot)
{
	const int	count = slot->coarse_dims;
	const bool	most = s->exact || take(s) % 8 == 0;
	int			steps4;
	int			steps2;

	for (int least = count;; least--)
	{
		int			slots4 = 0;
		int			slots2 = 0;

		for (int i = 0; i < count; i++)
		{
			if (least == count)
				bits[i] = most ? 8 : take_bits(s);
			else if (i >= least)
				bits[i] = 2;
			slots4 += (int) bits[i] / 4;
			slots2 += bits[i] % 4 == 2;
		}
		steps4 = (slots4 + EK_STEP_VALUES4 - 1) / EK_STEP_VALUES4;
		steps2 = (slots2 + EK_STEP_VALUES2 - 1) / EK_STEP_VALUES2;
		if (steps4 + steps2 <= EK_MAX_STEPS)
			break;
	}
	/* more than are needed will do */
	if (steps4 + steps2 < EK_MAX_STEPS && take(s) % 4 == 0)
		steps4++;
	if (steps4 + steps2 < EK_MAX_STEPS && take(s) % 4 == 0)
		steps2++;
	slot->steps4 = (uint8) steps4;
	slot->steps2 = (uint8) steps2;
}

/* Of the fine code of a vector. */
static double
scale_of(const float *vector, int n)
{
	double		largest = 0.0;

	for (int i = 0; i < n; i++)
		largest = Max(largest, fabs(vector[i]));
	return (float) (largest / EK_MAX_CODE / Max(length_of(vector, n), DBL_MIN));
}

/*
 * `y` is the coordinate of some vector, of which others may be near.  With the last
 * kind of mean and step, codes of 8 bits stand for what fine codes stand for.
 */
static float
take_mean(scene *s, int kind, double y)
{
	switch (kind)
	{
		case 0:
			return 0.0f;
		case 1:
			return (float) (random_fraction(s) * 0.1);
		case 2:
			return (float) y;
		case 3:
			return (float) ldexp(random_fraction(s), take(s) % 128);
		case 4:
			return (float) (FLT_MAX * random_fraction(s));
		case 5:
			return take_float(s);
		default:
			return (float) (scale_of(s->query, s->dims) / 2.0);
	}
}

static float
take_step(scene *s, int kind, uint32 bits)
{
	const double fraction = 0.5 * random_fraction(s) + 0.5;
	float		raw;

	switch (kind)
	{
		case 0:
			return (float) (ldexp(fraction, -(int) bits) + 1e-9);
		case 1:
			return (float) ldexp(fraction + 1e-9, -(int) (take(s) % 24));
		case 2:
			return (float) ldexp(fraction + 1e-9, take(s) % 128);
		case 3:
			return (float) ldexp(1.0, -149 + take(s) % 32);
		case 4:
			return (float) (FLT_MAX * fraction);
		case 5:
			raw = fabsf(take_float(s));
			return Max(raw, FLT_TRUE_MIN);
		default:
			return Max((float) scale_of(s->query, s->dims), FLT_TRUE_MIN);
	}
}

/* All of a kind, or each of its own; more than half are what a build makes. */
static void
make_coordinates(scene *s, const ek_basis *basis, const uint32 *bits)
{
	static const int kinds[16] = {0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 3, 4, 4, 5};
	const bool	as_fine = s->exact || take(s) % 8 == 0;
	const bool	mixed = take(s) % 4 == 0;
	const bool	equal_weights = take(s) % 4 == 0;
	int			mean = as_fine ? 6 : kinds[take(s) % 16];
	int			step = as_fine ? 6 : kinds[take(s) % 16];
	const double length = Max(length_of(s->query, s->dims), DBL_MIN);

	for (int i = 0; i < basis->coarse_dims; i++)
	{
		const double y = dot_of(basis->rows + (Size) i * s->dims, s->query, s->dims) / length;

		if (mixed && !as_fine)
		{
			mean = kinds[take(s) % 16];
			step = kinds[take(s) % 16];
		}
		basis->coordinates[i] = (ek_coordinate)
		{
			.mean = take_mean(s, mean, y),
				.step = take_step(s, step, bits[i]),
				.weight = equal_weights ? EK_MOST_WEIGHT :
				(float) exp2(5.0 * random_fraction(s) - 5.0),
				.bits = bits[i]
		};
	}
}

/*
 * Vectors
 */

static void
scale_by(float *vector, int n, int exponent)
{
	for (int i = 0; i < n; i++)
		vector[i] = make_finite(ldexpf(vector[i], exponent));
}

static void
fill_sparse(scene *s, float *vector)
{
	memset(vector, 0, sizeof(float) * s->dims);
	for (int i = 0; i < 3; i++)
		vector[random_below(&s->random, s->dims)] = (float) random_fraction(s);
}

/* Rows of the basis put together; with `without`, what of a vector they do not have. */
static void
fill_by_basis(scene *s, float *vector, bool without)
{
	const int	count = s->basis->coarse_dims;

	if (without)
		fill_random(s, vector);
	else
		memset(vector, 0, sizeof(float) * s->dims);
	for (int i = 0; i < count; i++)
	{
		const float *row = s->basis->rows + (Size) i * s->dims;
		const double factor = without ? -dot_of(vector, row, s->dims) :
			random_below(&s->random, 4) == 0 ? 1.0 : random_fraction(s);

		for (int k = 0; k < s->dims; k++)
			vector[k] = make_finite((float) (vector[k] + factor * row[k]));
	}
}

/*
 * Large elements at the ends, beside which a sum of floats loses each product of others, or
 * takes twice as much, and which may cancel in the end.
 */
static void
fill_losing(scene *s, float *vector)
{
	const float small = ldexpf(0.5f + take(s) / 256.0f, -12);

	for (int i = 0; i < s->dims; i++)
		vector[i] = random_below(&s->random, 32) == 0 ? -small : small;
	vector[0] = 1.0f;
	vector[s->dims - 1] = (float) (take(s) % 3) - 1.0f;
}

/* Close to what it is. */
static void
disturb(scene *s, float *vector)
{
	const double size = ldexp(1.0, -(int) (take(s) % 40));

	if (take(s) % 2 == 0)
	{
		const size_t i = random_below(&s->random, s->dims);

		vector[i] = make_finite(nextafterf(vector[i], (float) random_fraction(s)));
		return;
	}
	for (int i = 0; i < s->dims; i++)
		vector[i] = make_finite((float) (vector[i] * (1.0 + size * random_fraction(s))));
}

/* To norms that somebody has, or at which something ends. */
static void
rescale(scene *s, float *vector)
{
	static const int ends[] = {30, -30, 60, -40, 63};

	switch (take(s) % 8)
	{
		case 0:
			scale_by(vector, s->dims, (int) (take(s) % 121) - 60);
			break;
		case 1:
			set_length(vector, s->dims, ldexp(1.0 + random_fraction(s) * 1e-6, ends[take(s) % lengthof(ends)]));
			break;
		case 2:
			set_length(vector, s->dims, 1.0);
			break;
		default:
			break;
	}
}

/* `like` is another vector, or NULL. */
static void
make_vector(scene *s, float *vector, const float *like)
{
	const int	kind = take(s) % 16;

	fill_random(s, vector);
	if (kind >= 11 && like != NULL)
		memcpy(vector, like, sizeof(float) * s->dims);
	switch (kind)
	{
		case 0:
			fill_raw(s, vector, s->dims);
			return;
		case 1:
			fill_vector(&s->random, take(s) % NATURE_COUNT, vector, s->dims);
			return;
		case 2:
			fill_sparse(s, vector);
			break;
		case 3:
			if (take(s) % 2 == 0)
				memset(vector, 0, sizeof(float) * s->dims);
			else
				scale_by(vector, s->dims, -130 - take(s) % 20);
			return;
		case 4:
			vector[random_below(&s->random, s->dims)] *= ldexpf(1.0f, take(s) % 120);
			return;
		case 5:
		case 6:
			fill_by_basis(s, vector, kind == 6);
			break;
		case 7:
			fill_losing(s, vector);
			break;
		case 11:
		case 12:
			disturb(s, vector);
			break;
		case 13:
			for (int i = 0; i < s->dims; i++)
				vector[i] = -vector[i];
			break;
		default:
			break;
	}
	rescale(s, vector);
}

/* How much a residual grew when it was rounded up, as a share. */
static double
rounded_up(const scene *s, ek_encoder *encoder, const float *entry)
{
	const int	dims = s->dims;
	const double length = length_of(entry, dims);
	const ek_encoded *encoded = ek_encode(encoder, entry);
	double		rest2 = 1.0;

	for (int i = 0; i < s->basis->coarse_dims; i++)
	{
		const ek_coordinate *c = &s->basis->coordinates[i];
		const double y = dot_of(s->basis->rows + (Size) i * dims, entry, dims) / length;
		const double rest = (y - ek_decode(c, encoded->coarse[i])) / c->weight;

		rest2 += rest * rest - y * y;
	}
	return encoded->coarse_residual / sqrt(rest2) - 1.0;
}

/* Of some entries, one whose bound leaves the least room. */
static const float *
tightest(scene *s, ek_encoder *encoder)
{
	const int	first = (int) random_below(&s->random, s->entries);
	const float *best = s->entry + (Size) first * s->dims;
	double		least = INFINITY;

	if (s->cache->geometry.format == EK_FORMAT_1)
		return best;
	for (int i = first; i < s->entries; i++)
	{
		const float *entry = s->entry + (Size) i * s->dims;
		const double room = rounded_up(s, encoder, entry);

		if (room < least)
		{
			least = room;
			best = entry;
		}
	}
	return best;
}

/* unit = what the entry's fine code stands for; without is what it leaves out. */
static void
decode(const scene *s, ek_encoder *encoder, const float *entry, float *unit, float *without)
{
	const double length = length_of(entry, s->dims);
	const ek_encoded *encoded = ek_encode(encoder, entry);

	for (int k = 0; k < s->dims; k++)
	{
		const double decoded = (double) encoded->fine_certificate.scale * encoded->fine[k];

		unit[k] = (float) decoded;
		without[k] = (float) (entry[k] / length - decoded);
	}
}

/*
 * query = unit, but its coordinates are what the code leaves out of those, by the
 * squares of the weights.
 */
static void
oppose_coarse(scene *s, float *query, const float *unit)
{
	for (int k = 0; k < s->dims; k++)
		query[k] = unit[k];
	for (int i = 0; i < s->basis->coarse_dims; i++)
	{
		const float *row = s->basis->rows + (Size) i * s->dims;
		const ek_coordinate *c = &s->basis->coordinates[i];
		const double y = dot_of(row, unit, s->dims);
		double		w = -y;

		if (s->cache->geometry.format == EK_FORMAT_1)
			w += y / 128.0 * random_fraction(s);
		else
			w += (y - ek_decode(c, ek_value_of(c, y))) / ((double) c->weight * c->weight);
		for (int k = 0; k < s->dims; k++)
			query[k] = make_finite((float) (query[k] + w * row[k]));
	}
}

/*
 * A query for which the coarse bound of an entry is as tight as can be, by Cauchy
 * and Schwarz: its coordinates are what the code leaves out of those of the entry,
 * by the squares of the weights, and it has the entry's own tail.  If the code is one
 * of the fine code, the entry is what that stands for; and the query may be what that
 * leaves out, or something of both.
 */
static void
oppose(scene *s, ek_encoder *encoder, float *query, const float *entry)
{
	const double length = length_of(entry, s->dims);
	const bool	recoded = s->cache->geometry.format >= EK_FORMAT_3 && take(s) % 4 != 0;
	float	   *unit;
	float	   *without;
	double		share;

	if (length == 0.0)
		return;
	unit = palloc_floats(s->dims);
	without = palloc_floats(s->dims);
	if (recoded)
		decode(s, encoder, entry, unit, without);
	for (int k = 0; !recoded && k < s->dims; k++)
		unit[k] = (float) (entry[k] / length);
	oppose_coarse(s, query, unit);
	share = recoded ? ldexp(1.0, (int) (take(s) % 32) - 24) : 0.0;
	if (recoded && (s->exact || take(s) % 4 == 0))
		memcpy(query, without, sizeof(float) * s->dims);
	else if (recoded)
	{
		set_length(query, s->dims, 1.0);
		set_length(without, s->dims, share);
		for (int k = 0; k < s->dims; k++)
			query[k] += without[k];
	}
	rescale(s, query);
}

/*
 * A scene
 */

static int
take_dims(scene *s)
{
	const int	kind = take(s) % 16;

	return 1 + (int) take_under(s, kind == 0 ? MOST_DIMS :
								kind < 8 ? FEW_DIMS : USUAL_DIMS);
}

static int
take_coarse_dims(scene *s, ek_format format)
{
	int			count = (int) take_under(s, take(s) % 4 == 0 ?
										 EK_MAX_COARSE_DIMS + 1 : 33);

	if (s->exact)
		return s->dims;
	count = Min(count, (int) sqrt(s->limits->basis / s->dims));
	if (format >= EK_FORMAT_3)
		count = Min(count, s->dims);
	return format == EK_FORMAT_1 ? Min(count, EK_MAX_COARSE_DIMS_1) / 4 * 4 : count;
}

/* One basis in the first two formats, two at most in the third; there may be none. */
static ek_meta
make_meta(scene *s, uint32 (*bits)[EK_MAX_COARSE_DIMS])
{
	static const ek_format formats[8] = {
		EK_FORMAT_1, EK_FORMAT_2, EK_FORMAT_2, EK_FORMAT_3, EK_FORMAT_3, EK_FORMAT_3, EK_FORMAT_5, EK_FORMAT_5
	};
	const ek_format format = s->exact ? EK_FORMAT_3 : formats[take(s) % 8];
	const int	most = format >= EK_FORMAT_3 && !s->exact ? 1 + (take(s) % 4 == 0) : 1;
	ek_meta		meta = {
		.format = format,.dims = (uint32) s->dims,.first_block = 1,
		.arithmetic = format == EK_FORMAT_5 ? EK_SUMS_IN_FLOAT : EK_SUMS_IN_DOUBLE
	};
	ek_basis_slot *slots = meta.slots;

	for (int i = 0; i < most; i++)
	{
		slots[i].coarse_dims = (uint8) take_coarse_dims(s, format);
		if (slots[i].coarse_dims == 0)
			continue;
		slots[i].id = (uint32) (EK_FIRST_BASIS + i);
		if (format != EK_FORMAT_1)
			choose_bits(s, bits[i], &slots[i]);
		meta.current = slots[i].id;
		meta.steps = (uint32) Max((int) meta.steps, slots[i].steps4 + slots[i].steps2);
	}
	if (format >= EK_FORMAT_3)
	{
		meta.steps = Max(1, meta.steps);
		if (take(s) % 2 == 0)
			meta.steps = Min(EK_MAX_STEPS, meta.steps + take(s) % 8);
		return meta;
	}
	meta.coarse_dims = slots[0].coarse_dims;
	meta.steps4 = slots[0].steps4;
	meta.steps2 = slots[0].steps2;
	meta.basis_id = format == EK_FORMAT_2 ? (uint8) slots[0].id : 0;
	memset(slots, 0, sizeof(meta.slots));
	meta.current = meta.steps = 0;
	return meta;
}

static void
make_index(scene *s)
{
	uint32		bits[EK_BASIS_SLOTS][EK_MAX_COARSE_DIMS];
	const ek_meta meta = make_meta(s, bits);

	s->cache = ek_cache_create(CurrentMemoryContext, &meta, 0);
	s->basis = &s->cache->bases[take(s) % s->cache->basis_count];
	for (int i = 0; i < s->cache->basis_count; i++)
	{
		if (s->cache->bases[i].coarse_dims > 0)
			make_basis(s, &s->cache->bases[i]);
	}
	for (int i = 0; i < s->queries; i++)
		make_vector(s, s->query + (Size) i * s->dims, i > 0 ? s->query : NULL);
	if (meta.format == EK_FORMAT_1)
		return;
	for (int i = 0; i < s->cache->basis_count; i++)
	{
		const ek_basis *basis = &s->cache->bases[i];

		if (basis->coarse_dims == 0)
			continue;
		make_coordinates(s, basis, bits[basis->id - EK_FIRST_BASIS]);
		if (!ek_lay_out(basis->coordinates, basis->coarse_dims, basis->steps4, basis->steps2,
						basis->slots))
			abort();
	}
}

/* What a query is to have at least, as the basis has it: about what some query has. */
static float
take_usual_weight(scene *s, const ek_basis *basis)
{
	const float *vector = s->query + random_below(&s->random, s->queries) * s->dims;
	const ek_coded_query *query = ek_encode_query(s->cache, EK_METRIC_COSINE, vector);
	const float weight = query->coarse[basis - s->cache->bases].bound.residual;

	switch (take(s) % 12)
	{
		case 0:
			return 0.0f;
		case 1:
			return FLT_TRUE_MIN;
		case 2:
			return FLT_MAX;
		case 3:
			return ldexpf(1.0f, (int) take(s) - 140);
		case 4:
			return fabsf(take_float(s));
		case 5:
			return nextafterf(weight, take(s) % 2 == 0 ? 0.0f : INFINITY);
		case 6:
			return weight;
		case 7:
			return 2.0f * weight;
		case 8:
			return 0.5f * weight;
		default:
			return (float) (weight * (1.0 + random_fraction(s)));
	}
}

/* Which entries have codes of their fine codes: all, none or some. */
static void
choose_recoded(scene *s)
{
	const int	kind = take(s) % 8;

	for (int i = 0; i < s->entries; i++)
		s->is_recoded[i] = s->cache->geometry.format >= EK_FORMAT_3 &&
			(kind < 4 || (kind < 6 && random_below(&s->random, 2) == 0));
	for (int i = 0; i < s->cache->basis_count; i++)
	{
		if (s->cache->geometry.format >= EK_FORMAT_3 && s->cache->bases[i].coarse_dims > 0)
			s->cache->bases[i].header->usual_weight = take_usual_weight(s, &s->cache->bases[i]);
	}
}

/* As a query, but for order and signs: its fine code has the same scale. */
static void
shuffle(scene *s, float *vector, const float *like)
{
	memcpy(vector, like, sizeof(float) * s->dims);
	for (int i = s->dims - 1; i > 0; i--)
	{
		const size_t j = random_below(&s->random, i + 1);
		const float other = vector[j];

		vector[j] = vector[i];
		vector[i] = random_below(&s->random, 2) == 0 ? other : -other;
	}
}

static scene
make_scene(const uint8_t *bytes, size_t size, const bound_limits *limits)
{
	scene		s = {.from = {bytes, size},.limits = limits};
	ek_encoder *encoder;

	fill_bytes(&s.from, 0, &s.random.state, Min(size, sizeof(s.random.state)));
	s.exact = take(&s) % 8 == 0;
	s.dims = s.exact ? 1 + (int) take_under(&s, 32) : take_dims(&s);
	s.queries = 1 + (int) take_under(&s, limits->queries);
	s.query = palloc_floats((Size) s.queries * s.dims);
	make_index(&s);
	s.entries = 1 + (int) take_under(&s, limits->groups * EK_LANES);
	s.entries = Min(s.entries, (int) s.cache->geometry.coarse_per_page);
	s.entry = palloc_floats((Size) s.entries * s.dims);
	s.is_null = palloc0(s.entries);
	s.is_recoded = palloc0(s.entries);
	for (int i = 0; i < s.entries; i++)
	{
		const size_t like = random_below(&s.random, s.queries);

		make_vector(&s, s.entry + (Size) i * s.dims, s.query + like * s.dims);
		if (s.exact && random_below(&s.random, 4) != 0)
			shuffle(&s, s.entry + (Size) i * s.dims, s.query);
		s.is_null[i] = random_below(&s.random, 64) == 0;
	}
	encoder = ek_encoder_create(&s.cache->geometry, s.basis);
	for (int i = 0; i < s.queries; i++)
	{
		if (take(&s) % 2 == 0)
			oppose(&s, encoder, s.query + (Size) i * s.dims, tightest(&s, encoder));
	}
	choose_recoded(&s);
	return s;
}

/*
 * Its pages
 */

static Page
page_of(const pages *p, BlockNumber block)
{
	return (Page) (p->all + (Size) block * BLCKSZ);
}

/* Where an entry is, with pages counted from the coarse page. */
static ek_place
place_of(const scene *s, int entry)
{
	ek_place	place = ek_place_of(&s->cache->geometry, (uint32) entry);
	const ek_place first = ek_place_of(&s->cache->geometry, 0);

	place.coarse_block = 0;
	place.fine_block -= first.fine_block - 1;
	return place;
}

/*
 * What learn.c does to an entry that is stored already: from what its fine page says to
 * another coarse code.
 */
static void
recode(const scene *s, ek_encoder *encoder, Page coarse, Page fine_page, const ek_place *place)
{
	const ek_geometry *g = &s->cache->geometry;
	const ek_entry_row row = ek_row_on(g, fine_page, place);
	ek_certificate *fine = ek_fine_on(g, fine_page, place->fine_slot);
	ek_coarse_header *header = ek_coarse_header_on(coarse);

	ek_store_coarse(g, s->basis, ek_recode(encoder, (ek_entry_state) *row.state, *row.norm, fine,
										   ek_fine_codes(fine)), coarse, place);
	header->slack = Max(header->slack, ek_float_above(ek_recode_slack(g, fine)));
}

static pages
store_entries(const scene *s)
{
	const ek_geometry *g = &s->cache->geometry;
	const uint32 fine_pages = place_of(s, s->entries - 1).fine_block;
	ek_encoder *encoder = ek_encoder_create(g, s->basis);
	ItemPointerData tid = {{0, 1}, 1};
	pages		p = {.size = (Size) (1 + fine_pages) * BLCKSZ};

	p.all = palloc0(p.size);
	ek_page_init(page_of(&p, 0), EK_PAGE_COARSE, g);
	for (uint32 i = 1; i <= fine_pages; i++)
		ek_page_init(page_of(&p, i), EK_PAGE_FINE, g);
	for (int i = 0; i < s->entries; i++)
	{
		const ek_place place = place_of(s, i);

		if (s->is_null[i])
			ek_encode_null(encoder);
		else
			ek_encode(encoder, s->entry + (Size) i * s->dims);
		ek_encoded_store(encoder, page_of(&p, 0), page_of(&p, place.fine_block), &place, &tid);
		if (s->is_recoded[i] && !s->is_null[i])
			recode(s, encoder, page_of(&p, 0), page_of(&p, place.fine_block), &place);
	}
	return p;
}

/*
 * Its bounds
 */

/*
 * A bound of the coarse code, of the fine code in a pass without coarse codes, and of
 * the fine code; and what the kernel said.
 */
typedef struct bounds
{
	double		coarse;
	double		instead;
	double		fine;
	float		kernel;
} bounds;

static const ek_coarse_query *
coarse_query(const scene *s, const ek_coded_query *query)
{
	return &query->coarse[s->basis - s->cache->bases];
}

/* Norms with which there are coarse bounds, if there is a basis: see coarse.c. */
static bool
is_usual_norm(double norm)
{
	return norm >= 0x1p-30 && norm <= 0x1p30;
}

static void
bound_by_coarse_codes(const scene *s, Page page, const ek_coded_query *query, Size groups,
					  double *bounds, float *kernel)
{
	const ek_geometry *g = &s->cache->geometry;
	const ek_coarse_query *coarse = coarse_query(s, query);
	const float slack = g->format >= EK_FORMAT_3 ? ek_coarse_header_on(page)->slack : 0.0f;
	uint16	   *masks = palloc0(sizeof(uint16) * groups);
	ek_bound_query bound;

	if (g->format == EK_FORMAT_1)
	{
		for (Size group = 0; group < groups; group++)
			ek_bound_group_1(query, ek_group_on(g, page, (uint32) group), bounds + group * EK_LANES);
		return;
	}
	bound = ek_bound_on_page(coarse, slack, 0.0f);
	ek_compute_bound_groups(&bound, ek_codes_on(page), ek_residuals_on(g, page),
							query->metric == EK_METRIC_COSINE ? NULL : ek_norms_on(g, page),
							groups, 0, kernel, masks);
	for (Size i = 0; i < groups * EK_LANES; i++)
	{
		bounds[i] = ek_distance_of(query, isnan(kernel[i]) ? INFINITY : kernel[i]);
		if (kernel[i] >= 0.0f && (masks[i / EK_LANES] >> i % EK_LANES & 1) == 0)
			abort();
	}
}

static double
bound_instead(const ek_coded_query *query, const ek_geometry *g, const ek_certificate *fine,
			  const int8 *codes, double norm)
{
	const float bound = ek_kernel_bound(query, norm, ek_fine_cosine(query, g, fine, codes));

	return ek_distance_of(query, isnan(bound) ? INFINITY : bound);
}

static void
bound_entries(const scene *s, const pages *p, const ek_coded_query *query, bounds *found)
{
	const ek_geometry *g = &s->cache->geometry;
	const Page	coarse = page_of(p, 0);
	const Size	groups = (s->entries + EK_LANES - 1) / EK_LANES;
	double	   *of_groups = palloc0(sizeof(double) * groups * EK_LANES);
	float	   *kernel = palloc_floats(groups * EK_LANES);

	for (Size i = 0; i < groups * EK_LANES; i++)
		of_groups[i] = -INFINITY;
	if (coarse_query(s, query)->has_coarse)
		bound_by_coarse_codes(s, coarse, query, groups, of_groups, kernel);
	for (int i = 0; i < s->entries; i++)
	{
		const ek_place place = place_of(s, i);
		const Page	fine_page = page_of(p, place.fine_block);
		ek_certificate *fine = ek_fine_on(g, fine_page, place.fine_slot);
		const ek_entry_row row = ek_row_on(g, g->format == EK_FORMAT_1 ? coarse : fine_page,
										   &place);

		found[i] = (bounds)
		{
			.coarse = of_groups[i],
				.kernel = kernel[i],
				.instead = g->format != EK_FORMAT_1 && is_usual_norm(query->norm) ?
				bound_instead(query, g, fine, ek_fine_codes(fine), *row.norm) : -INFINITY,
				.fine = ek_distance_bound(query, *row.norm, ek_fine_cosine(query, g, fine, ek_fine_codes(fine)))
		};
	}
}

/*
 * Checks
 */

static long double
true_dot(const float *a, const float *b, int n)
{
	long double sum = 0.0L;

	for (int i = 0; i < n; i++)
		sum += (long double) a[i] * b[i];
	return sum;
}

/* What operators that sum in floats compute; from a zero vector nothing has an angle. */
static void
compare_in_floats(const float *x, const float *q, int n, distances *d)
{
	for (int m = 0; m < EK_INDEXED_METRIC_COUNT; m++)
		d->computed[m] = least_in_floats(metrics[m], x, q, n);
	if (d->unit[0] == 0.0)
		d->true_one[0] = INFINITY;
}

static distances
compare_vectors(const scene *s, const float *x, const float *q, int n)
{
	const ek_kernels *scalar = scalar_level();
	const ek_cosine_sums sums = scalar->cosine(x, q, n);
	const long double lengths = sqrtl(true_dot(x, x, n)) * sqrtl(true_dot(q, q, n));
	const long double dot = true_dot(x, q, n);
	long double apart = 0.0L;
	distances	d;

	for (int i = 0; i < n; i++)
		apart += ((long double) x[i] - q[i]) * ((long double) x[i] - q[i]);
	d.computed[0] = 1.0 - ek_cosine_similarity(sums.dot, sums.norm2_a, sums.norm2_b);
	d.computed[1] = 0.0 - scalar->dot(x, q, n);
	d.computed[2] = sqrt(scalar->l2_squared(x, q, n));
	d.true_one[0] = lengths == 0.0L ? 1.0L : 1.0L - dot / lengths;
	d.true_one[1] = -dot;
	d.true_one[2] = sqrtl(apart);
	d.unit[0] = lengths == 0.0L ? 0.0 : 1.0;
	d.unit[1] = (double) lengths;
	d.unit[2] = lengths == 0.0L ? 0.0 : d.computed[2];
	if (s->cache->geometry.arithmetic == EK_SUMS_IN_FLOAT)
		compare_in_floats(x, q, n, &d);
	return d;
}

pg_noreturn static void
fail(const scene *s, const char *what, int m, int entry, const bounds *found, const distances *d)
{
	fprintf(stderr, "%s, metric %d, entry %d of %d: %d dimensions, format %d, %d coordinates, "
			"%d and %d steps, %s, usual weight %a\n", what, metrics[m], entry, s->entries, s->dims,
			s->cache->geometry.format, s->basis->coarse_dims, s->basis->steps4, s->basis->steps2,
			s->is_recoded[entry] ? "recoded" : "coded", s->cache->geometry.format >= EK_FORMAT_3 &&
			s->basis->coarse_dims > 0 ? (double) s->basis->header->usual_weight : 0.0);
	fprintf(stderr, "coarse bound %a (%g), of the kernel's %a; instead %a (%g); fine bound %a (%g)\n",
			found->coarse, found->coarse, (double) found->kernel, found->instead, found->instead,
			found->fine, found->fine);
	if (d != NULL)
		fprintf(stderr, "operator %a (%g), truly %La; less the coarse bound %g, less the fine %g\n",
				d->computed[m], d->computed[m], d->true_one[m], d->computed[m] - found->coarse,
				d->computed[m] - found->fine);
	abort();
}

/* Is it above? */
static bool
holds(double bound, int m, const distances *d, bound_kind kind, bound_tally *tally)
{
	const long double tolerance = TOLERANCE * d->unit[m];
	const double margin = (d->computed[m] - bound) / d->unit[m];

	tally->bounds++;
	if (isnan(bound) || bound == -INFINITY)
	{
		tally->void_bounds++;
		return true;
	}
	if (d->unit[m] > 0.0 && (bound != 0.0 || metrics[m] == EK_METRIC_INNER_PRODUCT))
		tally->least[kind][m] = Min(tally->least[kind][m], margin);
	return bound <= d->computed[m] && bound <= d->true_one[m] + tolerance;
}

static bound_kind
coarse_kind(ek_format format)
{
	return format == EK_FORMAT_5 ? BOUND_COARSE_5 : (bound_kind) (BOUND_COARSE_1 + format - EK_FORMAT_1);
}

/* Such a query has its rows listed, and no bounds: see scan.c. */
static bool
is_listed(const scene *s, int m, double norm)
{
	return metrics[m] == EK_METRIC_COSINE && s->cache->geometry.arithmetic == EK_SUMS_IN_FLOAT &&
		(norm == 0.0 || ek_is_beyond_floats(EK_SUMS_IN_FLOAT, norm));
}

static void
check_entries(const scene *s, int m, const distances *d, const bounds *found, bound_tally *tally)
{
	for (int i = 0; i < s->entries; i++)
	{
		const bound_kind coarse = s->is_recoded[i] ? BOUND_RECODED :
			coarse_kind(s->cache->geometry.format);

		if (s->is_null[i])
			continue;
		if (!holds(found[i].coarse, m, &d[i], coarse, tally))
			fail(s, "the coarse bound is above", m, i, &found[i], &d[i]);
		if (!holds(found[i].instead, m, &d[i], BOUND_INSTEAD, tally))
			fail(s, "the bound instead of a coarse one is above", m, i, &found[i], &d[i]);
		if (!holds(found[i].fine, m, &d[i], BOUND_FINE, tally))
			fail(s, "the fine bound is above", m, i, &found[i], &d[i]);
	}
}

static void
require_same_bounds(const scene *s, int m, const bounds *found, const bounds *expected)
{
	for (int i = 0; i < s->entries; i++)
	{
		if (!same_bits(found[i].coarse, expected[i].coarse) ||
			!same_bits(found[i].instead, expected[i].instead) ||
			!same_bits(found[i].fine, expected[i].fine))
			fail(s, ek_active_kernels->name, m, i, &found[i], NULL);
	}
}

static void
check_query(const scene *s, const pages *p, const float *vector, bound_tally *tally)
{
	const level_list levels = runnable_code_levels();
	distances  *d = palloc0(sizeof(distances) * s->entries);
	bounds	   *expected = palloc0(sizeof(bounds) * s->entries);
	bounds	   *found = palloc0(sizeof(bounds) * s->entries);

	for (int i = 0; i < s->entries; i++)
	{
		d[i] = compare_vectors(s, s->entry + (Size) i * s->dims, vector, s->dims);
		tally->pairs += !s->is_null[i];
	}
	for (int m = 0; m < EK_INDEXED_METRIC_COUNT; m++)
	{
		const ek_coded_query *query;

		ek_active_kernels = scalar_level();
		query = ek_encode_query(s->cache, metrics[m], vector);
		bound_entries(s, p, query, expected);
		if (!is_listed(s, m, query->norm))
			check_entries(s, m, d, expected, tally);
		for (size_t i = 0; i < levels.count; i++)
		{
			ek_active_kernels = levels.kernels[i];
			bound_entries(s, p, ek_encode_query(s->cache, metrics[m], vector), found);
			require_same_bounds(s, m, found, expected);
		}
	}
}

void
check_bounds(const uint8_t *bytes, size_t size, const bound_limits *limits, bound_tally *tally)
{
	const level_list levels = runnable_code_levels();
	scene		s;
	pages		p;

	/* nothing here raises an error */
	if (sigsetjmp(error_handler, 0) != 0)
		abort();
	ek_active_kernels = scalar_level();
	s = make_scene(bytes, size, limits);
	p = store_entries(&s);
	for (size_t i = 0; i < levels.count; i++)
	{
		pages		again;

		ek_active_kernels = levels.kernels[i];
		again = store_entries(&s);
		if (memcmp(again.all, p.all, p.size) != 0)
		{
			fprintf(stderr, "%s stores other codes\n", ek_active_kernels->name);
			abort();
		}
	}
	for (int i = 0; i < s.queries; i++)
		check_query(&s, &p, s.query + (Size) i * s.dims, tally);
	free_palloced();
}
