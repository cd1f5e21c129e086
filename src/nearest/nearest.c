/*
 * nearest.c
 *		Many queries against a stream of vectors: the k nearest of each query.
 *
 * Most targets are far from most queries, and most of the arithmetic goes into
 * finding that out.  So it is found out from codes of 8 bits, by products of
 * integers, for many queries and many targets at once; the exact kernels run
 * for what may be among the k nearest, and their distances alone are compared
 * in the end.
 *
 * Targets are collected in a block.  A full block is packed in tiles of EK_LANES,
 * sorted by the queries that the targets are for, and compared with EK_CODE_QUERIES
 * queries at a time: with those of its tiles that have a target for one of them.
 *
 * What is skipped is proven to be farther than the k-th neighbour so far (screen.c).
 * There is no such limit of L1.  It is computed for all, and so is everything
 * where there are few queries, long vectors, or no fast integer products.
 */
#include "postgres.h"

#include <math.h>

#include "miscadmin.h"
#include "port/pg_bitutils.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "base/level.h"
#include "base/scratch.h"
#include "nearest/nearest.h"
#include "nearest/screen.h"
#include "nearest/shadow.h"
#include "vector/compute.h"
#include "vector/encode.h"

/*
 * Shadows pay while no more than one pair in so many survives.  To find directions takes
 * as long as the first so many pairs.
 */
#define LEAST_PAIRS_A_SURVIVOR		8
#define PAIRS_BEFORE_SHADOWS		(UINT64CONST(1) << 24)

/* If none would pay so early, they may after four times as many pairs, and so on. */
#define MOST_TRIALS					4

/* Tiles of a block, if they fit an eighth of the budget. */
#define MAX_TILES	32

struct ek_nearest
{
	/* set once */
	const ek_queries *queries;	/* NULL if there is nothing but neighbours */
	int			count;
	int			k;
	double		max_distance;
	ek_metric metric;
	uint64		identity;
	const ek_id *own;
	ek_operation operation;
	MemoryContext context;

	ek_neighbours *neighbours;	/* count of them */

	/* the budget */
	Size		used;
	bool		exceeded;
	bool		published;

	/* the block, where targets are screened */
	ek_screen_query *screens;	/* of count rounded up to EK_CODE_QUERIES */
	int			capacity;		/* targets */
	int			wanted;			/* of them, for this block */
	int			pending;
	float	   *values;
	double	   *norm2;
	ek_id	   *ids;
	ek_range   *ranges;			/* of the queries that it is for */
	int8	   *codes;
	ek_certificate *certificates;
	ek_factors *factors;
	uint16	   *places;			/* of each target, where it is packed */
	uint16	   *rows;			/* the other way round */
	int8	   *packed;			/* what the screen compares with this: */
	const int8 *screened;		/* of each query, the codes or those of its shadow */
	Size		screened_size;
	ek_screen_tile *tiles;
	int32	   *dots;
	uint16	   *masks;			/* of targets that survive, for each tile and query */

	/* shadows, if there are any: what survives them is screened again */
	ek_learnt  *learnt;
	ek_learnt	alone;			/* what this stream learns if no others do */
	ek_shadows *shadows;
	int8	   *shadow;			/* of one target */
};

ek_metric
ek_metric_of(const text *name)
{
	static const char *const names[] = {
		[EK_METRIC_COSINE] = "cosine",
		[EK_METRIC_INNER_PRODUCT] = "inner_product",
		[EK_METRIC_L2] = "l2",
		[EK_METRIC_L1] = "l1"
	};

	for (int i = EK_METRIC_COSINE; i < (int) lengthof(names); i++)
	{
		if (strlen(names[i]) == VARSIZE_ANY_EXHDR(name) &&
			memcmp(names[i], VARDATA_ANY(name), strlen(names[i])) == 0)
			return (ek_metric) i;
	}
	ek_stats_count_error(EK_ERROR_OTHER);
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("metric \"%s\" does not exist", text_to_cstring(name)),
			 errhint("Metrics are \"cosine\", \"inner_product\", \"l2\" and \"l1\".")));
}

void
ek_nearest_check_k(int k)
{
	if (k >= 1)
		return;
	ek_stats_count_error(EK_ERROR_OTHER);
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("k must be between 1 and %d", PG_INT32_MAX)));
}

/*
 * The budget
 */

Size
ek_nearest_size_of_query(ek_metric metric, int dims, int k)
{
	Size		size = sizeof(ek_neighbours) + sizeof(ek_id) + dims * sizeof(float);

	if (metric != EK_METRIC_L1)
		size += ek_code_stride(dims) + sizeof(double) + sizeof(ek_certificate) +
			sizeof(ek_factors) + sizeof(ek_screen_query) + EK_MOST_SHADOW;
	return size + (Size) k * sizeof(ek_neighbour);
}

static Size
size_of_tile(int dims)
{
	return sizeof(ek_screen_tile) + EK_CODE_QUERIES * sizeof(uint16) + EK_LANES *
		(dims * sizeof(float) + 2 * ek_code_stride(dims) + sizeof(double) + sizeof(ek_id) +
		 sizeof(ek_range) + sizeof(ek_certificate) + sizeof(ek_factors) +
		 2 * sizeof(uint16) + EK_CODE_QUERIES * sizeof(int32));
}

static int
tiles_in_block(int dims)
{
	return (int) Max(1, Min(MAX_TILES, ek_scratch_size() / 8 / size_of_tile(dims)));
}

Size
ek_nearest_room_for_queries(int dims)
{
	const Size	block = tiles_in_block(dims) * size_of_tile(dims);

	return ek_scratch_size() > block ? ek_scratch_size() - block : 0;
}

static void
take_up(ek_nearest *nearest, Size bytes)
{
	nearest->used += bytes;
	if (likely(nearest->used <= ek_scratch_size()) || nearest->exceeded)
		return;
	nearest->exceeded = true;
	ek_budget_exceed(nearest->used);
}

/*
 * The block
 */

/* What is further away cannot be among the k nearest any more, or was not to be at all. */
static double
limit_of(const ek_nearest *nearest, int q)
{
	const ek_neighbours *neighbours = &nearest->neighbours[q];

	return neighbours->count < nearest->k ? nearest->max_distance :
		Min(neighbours->heap[0].distance, nearest->max_distance);
}

static void
raise_need(ek_nearest *nearest, int q)
{
	const ek_queries *queries = nearest->queries;

	ek_screen_set_need(&nearest->screens[q],
					   ek_needed_reach(nearest->metric, queries->vectors.dims, queries->norm2[q],
									   limit_of(nearest, q)));
}

static void
set_screen(ek_nearest *nearest, int q, const ek_factors *factors)
{
	ek_screen_set_query(&nearest->screens[q], factors);
	raise_need(nearest, q);
}

/* From here on codes are compared, or again. */
static void
screen_codes(ek_nearest *nearest)
{
	nearest->screened = nearest->queries->codes;
	nearest->screened_size = nearest->queries->stride;
	for (int q = 0; q < nearest->count; q++)
		set_screen(nearest, q, &nearest->queries->factors[q]);
}

static void
create_screens(ek_nearest *nearest)
{
	const Size	rows = TYPEALIGN(EK_CODE_QUERIES, (Size) nearest->count);

	nearest->screens = MemoryContextAllocHuge(nearest->context, sizeof(ek_screen_query) * rows);
	memset(nearest->screens, 0, sizeof(ek_screen_query) * rows);
	screen_codes(nearest);
}

static void
create_block(ek_nearest *nearest)
{
	const int	dims = nearest->queries->vectors.dims;
	const Size	stride = nearest->queries->stride;
	const int	tiles = tiles_in_block(dims);
	const int	capacity = tiles * EK_LANES;

	nearest->capacity = capacity;
	nearest->wanted = EK_LANES;
	create_screens(nearest);
	nearest->values = ek_alloc_aligned(CurrentMemoryContext, sizeof(float) * (Size) capacity * dims);
	nearest->norm2 = palloc(sizeof(double) * capacity);
	nearest->ids = palloc(sizeof(ek_id) * capacity);
	nearest->ranges = palloc(sizeof(ek_range) * capacity);
	/* the last one's are written up to a whole number of lanes */
	nearest->codes = ek_alloc_aligned(CurrentMemoryContext, capacity * stride + EK_LANES);
	nearest->certificates = palloc(sizeof(ek_certificate) * capacity);
	nearest->factors = palloc(sizeof(ek_factors) * capacity);
	nearest->places = palloc(sizeof(uint16) * capacity);
	nearest->rows = palloc(sizeof(uint16) * capacity);
	nearest->packed = ek_alloc_aligned(CurrentMemoryContext, capacity * stride);
	nearest->tiles = palloc0(sizeof(ek_screen_tile) * tiles);
	nearest->dots = palloc(sizeof(int32) * capacity * EK_CODE_QUERIES);
	nearest->masks = palloc(sizeof(uint16) * tiles * EK_CODE_QUERIES);
	take_up(nearest, tiles * size_of_tile(dims) + nearest->count * sizeof(ek_screen_query));
}

static inline int8 *
codes_of_row(const ek_nearest *nearest, int row)
{
	return nearest->codes + row * nearest->queries->stride;
}

static void
add_to_block(ek_nearest *nearest, ek_id id, ek_vector vector, ek_range queries)
{
	const int	row = nearest->pending;
	const double norm2 = ek_compute_norm2(vector);
	const int	most = nearest->shadows != NULL ? EK_MAX_CODE : EK_NARROW_CODE;
	ek_certificate certificate;

	if (unlikely(!isfinite(norm2)))
		ek_vector_require_finite(vector.values, vector.dims, "the vector");
	certificate = ek_encode_row(vector, sqrt(norm2), most, codes_of_row(nearest, row));
	memcpy(nearest->values + (Size) row * vector.dims, vector.values,
		   sizeof(float) * vector.dims);
	nearest->norm2[row] = norm2;
	nearest->ids[row] = id;
	nearest->ranges[row] = queries;
	nearest->certificates[row] = certificate;
	nearest->factors[row] = ek_factors_of_target(nearest->metric, vector.dims, norm2,
												 certificate.scale, certificate.residual);
	nearest->pending++;
}

static int
compare_ranges(const void *a, const void *b, void *arg)
{
	const ek_range *ranges = arg;
	const int	first_a = ranges[*(const uint16 *) a].first;
	const int	first_b = ranges[*(const uint16 *) b].first;

	return (first_a > first_b) - (first_a < first_b);
}

static void
find_places(ek_nearest *nearest)
{
	for (int row = 0; row < nearest->pending; row++)
		nearest->rows[row] = (uint16) row;
	qsort_arg(nearest->rows, nearest->pending, sizeof(uint16), compare_ranges, nearest->ranges);
	for (int place = 0; place < nearest->pending; place++)
		nearest->places[nearest->rows[place]] = (uint16) place;
}

static void
pack(ek_nearest *nearest, int row, const int8 *codes, const ek_factors *factors)
{
	const int	place = nearest->places[row];
	const int	lane = place % EK_LANES;
	int8	   *packed = nearest->packed +
		(Size) (place - lane) * nearest->screened_size + (Size) 4 * lane;

	for (Size i = 0; i < nearest->screened_size; i += 4, packed += (Size) 4 * EK_LANES)
		memcpy(packed, codes + i, 4);
	ek_screen_set_target(&nearest->tiles[place / EK_LANES], lane, factors);
}

static void
pack_codes(ek_nearest *nearest)
{
	for (int row = 0; row < nearest->pending; row++)
		pack(nearest, row, codes_of_row(nearest, row), &nearest->factors[row]);
}

static void
pack_shadows(ek_nearest *nearest)
{
	for (int row = 0; row < nearest->pending; row++)
	{
		const int8 *codes = codes_of_row(nearest, row);
		const int	which = row % EK_CODE_QUERIES;
		ek_certificate shadow;
		ek_factors	factors;

		if (which == 0)
			ek_cast_shadows(nearest->shadows, codes);
		shadow = ek_encode_shadow(nearest->shadows, which, codes, nearest->certificates[row],
								  EK_NARROW_CODE, nearest->shadow);
		factors = ek_factors_of_target_shadow(nearest->metric, nearest->queries->vectors.dims,
											  nearest->norm2[row], nearest->certificates[row],
											  shadow);
		pack(nearest, row, nearest->shadow, &factors);
	}
}

/*
 * Exact distances
 */

static double
cosine_distance(const ek_operands *operands)
{
	ek_cosine_sums sums = ek_compute_cosine(operands);

	/* an infinite norm need not show in the similarity */
	if (unlikely(!isfinite(sums.norm2_a) || !isfinite(sums.norm2_b)))
		return NAN;
	return 1.0 - ek_cosine_similarity(sums.dot, sums.norm2_a, sums.norm2_b);
}

/* As the operator computes it; not finite if the target is not. */
static double
exact_distance(const ek_queries *queries, int q, ek_vector target)
{
	ek_operands operands = {
		.query = queries->prepared != NULL ? &queries->prepared[q] : NULL,
		.query_argument = 1,
		.vector = target,
		.other = ek_query_vector(queries, q)
	};

	switch (queries->metric)
	{
		case EK_METRIC_COSINE:
			return cosine_distance(&operands);
		case EK_METRIC_INNER_PRODUCT:
			return 0.0 - ek_compute_dot(&operands);
		case EK_METRIC_L2:
			return sqrt(ek_compute_l2_squared(&operands));
		case EK_METRIC_L1:
			return ek_compute_l1(&operands);
	}
	pg_unreachable();
}

/* The same bits; the norms are known to be finite. */
static double
exact_distance_of_pending(const ek_nearest *nearest, int q, int row)
{
	const ek_queries *queries = nearest->queries;
	const int	dims = queries->vectors.dims;
	ek_operands operands = {
		.vector = {.values = nearest->values + (Size) row * dims,.dims = dims},
		.other = ek_query_vector(queries, q)
	};

	if (queries->metric == EK_METRIC_COSINE)
		return 1.0 - ek_cosine_similarity(ek_compute_dot(&operands),
										  queries->norm2[q], nearest->norm2[row]);
	return exact_distance(queries, q, operands.vector);
}

static inline bool
offer(ek_nearest *nearest, int q, ek_id id, double distance)
{
	ek_neighbour neighbour = {distance, id};
	bool		kept;
	Size		grown;

	if (distance > nearest->max_distance || (nearest->own != NULL && ek_same_id(nearest->own[q], id)))
		return false;
	grown = ek_neighbours_offer(&nearest->neighbours[q], nearest->k, neighbour,
								nearest->context, &kept);
	if (unlikely(grown > 0))
		take_up(nearest, grown);
	return kept;
}

/*
 * Screening
 */

/* Whose shadow survived: by its codes, might it be near? */
static bool
survives_again(const ek_nearest *nearest, int q, int row)
{
	const ek_queries *queries = nearest->queries;
	const int32 dot = ek_compute_code_dot(queries->codes + q * queries->stride,
										  codes_of_row(nearest, row), queries->stride);

	return ek_reach(&queries->factors[q], &nearest->factors[row], dot) >= nearest->screens[q].need;
}

static inline bool
is_for(const ek_nearest *nearest, int row, int q)
{
	return q >= nearest->ranges[row].first && q < nearest->ranges[row].end;
}

static void
compare_survivors(ek_nearest *nearest, int q, int first, uint32 survivors)
{
	bool		changed = false;

	while (survivors != 0)
	{
		const int	place = first + pg_rightmost_one_pos32(survivors);
		int			row;

		survivors &= survivors - 1;
		if (place >= nearest->pending)
			break;
		row = nearest->rows[place];
		if (!is_for(nearest, row, q))
			continue;
		nearest->learnt->survivors++;
		if (nearest->shadows != NULL && !survives_again(nearest, q, row))
			continue;
		if (offer(nearest, q, nearest->ids[row], exact_distance_of_pending(nearest, q, row)))
			changed = true;
	}
	if (changed && nearest->neighbours[q].count == nearest->k)
		raise_need(nearest, q);
}

static void
screen_group(ek_nearest *nearest, int first_query, int first_tile, int end_tile)
{
	const int	count = Min(EK_CODE_QUERIES, nearest->count - first_query);
	const int	tiles = end_tile - first_tile;

	ek_compute_code_dot_block(nearest->screened + first_query * nearest->screened_size,
							  nearest->screened_size,
							  nearest->packed + (Size) first_tile * EK_LANES * nearest->screened_size,
							  tiles, nearest->screened_size, nearest->dots);
	ek_compute_screen(nearest->screens + first_query, nearest->tiles + first_tile, tiles,
					  nearest->dots, nearest->masks);
	for (int tile = 0; tile < tiles; tile++)
	{
		for (int i = 0; i < count; i++)
		{
			const uint32 survivors = nearest->masks[tile * EK_CODE_QUERIES + i];

			if (survivors != 0)
				compare_survivors(nearest, first_query + i, (first_tile + tile) * EK_LANES,
								  survivors);
		}
	}
}

static const ek_range *
range_of_place(const ek_nearest *nearest, int place)
{
	return &nearest->ranges[nearest->rows[Min(place, nearest->pending - 1)]];
}

/* Queries and tiles are in one order, so both are gone through once. */
static void
screen_block(ek_nearest *nearest)
{
	const int	tiles = (nearest->pending + EK_LANES - 1) / EK_LANES;
	int			first = 0;
	int			end = 0;

	for (int q = 0; q < nearest->count; q += EK_CODE_QUERIES)
	{
		CHECK_FOR_INTERRUPTS();
		while (first < tiles && range_of_place(nearest, (first + 1) * EK_LANES - 1)->end <= q)
			first++;
		while (end < tiles && range_of_place(nearest, end * EK_LANES)->first < q + EK_CODE_QUERIES)
			end++;
		if (first < end)
			screen_group(nearest, q, first, end);
	}
}

/*
 * Shadows
 */

static Size
bytes_of_shadows(const ek_nearest *nearest, Size size)
{
	return TYPEALIGN(EK_CODE_QUERIES, (Size) nearest->count) * size;
}

/* What makes it faster must not be what exceeds the budget. */
static bool
may_have_shadows(const ek_nearest *nearest)
{
	return nearest->count >= EK_LEAST_COMPARED &&
		nearest->learnt->pairs >= EK_LEAST_COMPARED * nearest->learnt->targets &&
		nearest->used + bytes_of_shadows(nearest, EK_MOST_SHADOW) <= ek_scratch_size();
}

static void
screen_shadows(ek_nearest *nearest, ek_shadows *shadows)
{
	const ek_queries *queries = nearest->queries;
	const Size	size = ek_shadow_size(shadows);
	const Size	bytes = bytes_of_shadows(nearest, size);
	int8	   *codes = ek_alloc_aligned(CurrentMemoryContext, bytes);

	for (int q = 0; q < nearest->count; q++)
	{
		ek_certificate shadow;
		ek_factors	factors;

		CHECK_FOR_INTERRUPTS();
		if (q % EK_CODE_QUERIES == 0)
			ek_cast_shadows(shadows, queries->codes + q * queries->stride);
		shadow = ek_encode_shadow(shadows, q % EK_CODE_QUERIES,
								  queries->codes + q * queries->stride,
								  queries->certificates[q], EK_MAX_CODE, codes + q * size);
		factors = ek_factors_of_query_shadow(nearest->metric, queries->vectors.dims,
											 sqrt(queries->norm2[q]), queries->certificates[q],
											 shadow);
		set_screen(nearest, q, &factors);
	}
	nearest->screened = codes;
	nearest->screened_size = size;
	nearest->shadows = shadows;
	nearest->shadow = palloc(size);
	take_up(nearest, bytes);
}

/* An ek_may_be_near, of what the screen needs by now. */
static bool
may_be_near(const void *arg, int query, int target, double cosine)
{
	const ek_nearest *nearest = arg;
	const ek_queries *queries = nearest->queries;
	const int	dims = queries->vectors.dims;
	const ek_factors q = ek_factors_of_query(nearest->metric, dims, sqrt(queries->norm2[query]),
											 1.0, 0.0, 0.0);
	const ek_factors t = ek_factors_of_target(nearest->metric, dims, queries->norm2[target],
											  1.0, 0.0);

	return q.dot * t.dot * cosine + q.one * t.one - t.off >= nearest->screens[query].need;
}

/* Between two blocks: are there enough pairs for shadows?  Do they still pay? */
static void
reconsider_shadows(ek_nearest *nearest)
{
	ek_learnt  *learnt = nearest->learnt;
	MemoryContext caller = CurrentMemoryContext;

	if (nearest->shadows != NULL && learnt->pairs >= 4 * PAIRS_BEFORE_SHADOWS &&
		learnt->survivors > learnt->pairs / LEAST_PAIRS_A_SURVIVOR)
	{
		nearest->shadows = learnt->shadows = NULL;
		screen_codes(nearest);
	}
	else if (learnt->shadows == NULL && learnt->trials < MOST_TRIALS &&
			 learnt->pairs >= PAIRS_BEFORE_SHADOWS << (2 * learnt->trials) && may_have_shadows(nearest))
	{
		MemoryContextSwitchTo(learnt->context);
		learnt->shadows = ek_shadows_create(nearest->queries->vectors, learnt->pairs / learnt->targets,
											 may_be_near, nearest);
		MemoryContextSwitchTo(nearest->context);
		learnt->trials++;
		if (learnt->shadows != NULL)
		{
			learnt->targets = learnt->pairs = learnt->survivors = 0;
			elog(DEBUG1, "targets are screened by shadows of %zu values",
				 ek_shadow_size(learnt->shadows));
			screen_shadows(nearest, learnt->shadows);
		}
	}
	MemoryContextSwitchTo(caller);
}

static void
count_pairs(const ek_nearest *nearest, ek_stats_call call, uint64 pairs)
{
	ek_stats_count(nearest->operation, call, pairs,
				   pairs * nearest->queries->vectors.dims);
}

static inline int
length_of(ek_range range)
{
	return range.end - range.first;
}

void
ek_nearest_settle(ek_nearest *nearest)
{
	ek_stats_call call;
	uint64		pairs = 0;

	if (nearest->pending == 0)
		return;
	call = ek_stats_begin();
	find_places(nearest);
	if (nearest->shadows != NULL)
		pack_shadows(nearest);
	else
		pack_codes(nearest);
	screen_block(nearest);
	for (int row = 0; row < nearest->pending; row++)
		pairs += length_of(nearest->ranges[row]);
	count_pairs(nearest, call, pairs);
	nearest->learnt->targets += nearest->pending;
	nearest->learnt->pairs += pairs;
	nearest->pending = 0;
	nearest->wanted = Min(2 * nearest->wanted, nearest->capacity);
	reconsider_shadows(nearest);
}

/*
 * The stream
 */

ek_nearest *
ek_nearest_create_empty(int count, int k, ek_metric metric,
						uint64 identity, ek_operation operation)
{
	ek_nearest *nearest = palloc0(sizeof(ek_nearest));

	nearest->count = count;
	nearest->k = k;
	nearest->max_distance = INFINITY;
	nearest->metric = metric;
	nearest->identity = identity;
	nearest->operation = operation;
	nearest->context = CurrentMemoryContext;
	nearest->neighbours = MemoryContextAllocExtended(CurrentMemoryContext,
													 sizeof(ek_neighbours) * (Size) Max(count, 1),
													 MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	return nearest;
}

ek_nearest *
ek_nearest_create(const ek_queries *queries, int k, double max_distance, const ek_id *own,
				  ek_operation operation, ek_learnt *learnt)
{
	ek_nearest *nearest = ek_nearest_create_empty(queries->vectors.count, k, queries->metric,
												  queries->identity, operation);

	nearest->queries = queries;
	nearest->max_distance = max_distance;
	nearest->own = own;
	take_up(nearest, sizeof(ek_nearest) + queries->size + sizeof(ek_neighbours) * nearest->count);
	nearest->alone.context = nearest->context;
	nearest->learnt = learnt != NULL ? learnt : &nearest->alone;
	if (queries->screened)
		create_block(nearest);
	if (queries->screened && nearest->learnt->shadows != NULL && may_have_shadows(nearest))
		screen_shadows(nearest, nearest->learnt->shadows);
	return nearest;
}

static void
compare_all(ek_nearest *nearest, ek_id id, ek_vector vector, ek_range queries)
{
	ek_stats_call call = ek_stats_begin();

	for (int q = queries.first; q < queries.end; q++)
	{
		double		distance = exact_distance(nearest->queries, q, vector);

		if (unlikely(!isfinite(distance)))
			ek_vector_require_finite(vector.values, vector.dims, "the vector");
		offer(nearest, q, id, distance);
		CHECK_FOR_INTERRUPTS();
	}
	count_pairs(nearest, call, length_of(queries));
}

void
ek_nearest_add(ek_nearest *nearest, ek_id id, ek_vector vector, ek_range queries)
{
	if (nearest->count > 0 && vector.dims != nearest->queries->vectors.dims)
		ek_raise_different_dimensions(vector.dims, nearest->queries->vectors.dims);

	if (!nearest->queries->screened)
	{
		compare_all(nearest, id, vector, queries);
		return;
	}
	add_to_block(nearest, id, vector, queries);
	if (nearest->pending == nearest->wanted)
		ek_nearest_settle(nearest);
}

void
ek_nearest_add_neighbour(ek_nearest *nearest, int query, ek_neighbour neighbour)
{
	offer(nearest, query, neighbour.id, neighbour.distance);
}

void
ek_nearest_combine(ek_nearest *nearest, ek_nearest *other)
{
	ek_nearest_settle(other);
	for (int q = 0; q < nearest->count; q++)
	{
		CHECK_FOR_INTERRUPTS();
		for (int i = 0; i < other->neighbours[q].count; i++)
		{
			CHECK_FOR_INTERRUPTS();
			ek_nearest_add_neighbour(nearest, q, other->neighbours[q].heap[i]);
		}
	}
}

void
ek_nearest_finish(ek_nearest *nearest)
{
	ek_nearest_settle(nearest);
	for (int q = 0; q < nearest->count; q++)
	{
		CHECK_FOR_INTERRUPTS();
		ek_neighbours_sort(&nearest->neighbours[q]);
	}
	if (!nearest->published)
		ek_budget_count(nearest->used, false);
	nearest->published = true;
}

const ek_neighbours *
ek_nearest_neighbours(const ek_nearest *nearest, int query)
{
	return &nearest->neighbours[query];
}

int
ek_nearest_query_count(const ek_nearest *nearest)
{
	return nearest->count;
}

int
ek_nearest_k(const ek_nearest *nearest)
{
	return nearest->k;
}

ek_metric
ek_nearest_metric_in_use(const ek_nearest *nearest)
{
	return nearest->metric;
}

uint64
ek_nearest_identity(const ek_nearest *nearest)
{
	return nearest->identity;
}
