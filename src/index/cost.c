/*
 * cost.c
 *		What a scan costs, so that the planner can choose between the index, a
 *		bitmap scan with a sort, and a sequential scan with a sort.
 *
 * Before its first row a scan reads every coarse code, or every fine code where there
 * are none: that is its start-up cost.  The executor visits VISITS rows of the heap for
 * each that comes next in order, since their bounds say no more than that they might;
 * and for each of these the scan reads the fine codes of SURVIVORS, which are all
 * somewhere else in memory.  There are more of both for the nearest ten rows, and fewer
 * after ten thousand; in between is where filters make the planner choose.
 *
 * Rows come in no order of the heap, so each is a page at random, unless the table has
 * but few of them.  PostgreSQL adds the cost of the pages that all rows are on together,
 * and takes a LIMIT's share of that; for the few rows of a LIMIT it is twenty times too
 * little.  Without the rest, the index would be chosen under filters that let one row
 * in two hundred pass.
 */
#include "postgres.h"

#include <math.h>

#include "access/genam.h"
#include "access/heaptoast.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/clauses.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "optimizer/paths.h"
#include "optimizer/plancat.h"
#include "utils/float.h"
#include "utils/lsyscache.h"
#include "utils/selfuncs.h"
#include "utils/spccache.h"

#include "index/index.h"

/*
 * In units of cpu_operator_cost, as measured beside a distance.  A survivor costs
 * three times as much in an index that is too large for a cache.  Of a pass, three
 * quarters are waiting for memory, which processes share.
 */
#define DISTANCE_COST		20.0
#define CHUNK_COST			150.0
#define COARSE_CODE_COST	2.0
#define FINE_CODE_COST		10.0
#define FILTER_CODE_COST	0.35
#define UNKNOWN_FILTER_COST	0.45
#define SURVIVOR_COST		300.0
#define CACHED_COST			100.0
#define CACHE_PAGES			(16.0 * 1024 * 1024 / BLCKSZ)
#define DIVISIBLE			0.25
#define SURVIVORS			4.0
#define VISITS				2.5
#define FEW_PAGES			32.0

static set_rel_pathlist_hook_type earlier_hook;

/* What planning needs to know of an index. */
typedef struct index_facts
{
	bool		has_basis;		/* or else a pass reads fine codes */
	bool		is_for_workers;
	double		chunks;			/* of TOAST that a vector takes; 0 if it is in the row */
} index_facts;

/* What does not fit the pages that rows have must be elsewhere. */
static double
chunks_of_vector(const RelOptInfo *rel, double bytes)
{
	if (rel->tuples <= 0.0 || bytes <= rel->pages * (double) BLCKSZ / rel->tuples)
		return 0.0;
	return ceil(bytes / TOAST_MAX_CHUNK_SIZE);
}

/*
 * A session that has not used the index yet expects a basis, and looks at the format
 * alone: whatever is damaged is in no other plan's way.
 *
 * A worker may have loaded the library of 1.5 meanwhile, which does not know of
 * parallel scans: each process would return every row.  It cannot read format 3.
 */
static index_facts
look_at(const IndexOptInfo *info)
{
	index_facts facts = {.has_basis = true};
	Relation	index;
	const ek_cache *cache;
	uint32		format = 0;
	uint32		dims = 0;

	if (info->hypothetical)
		return facts;
	index = index_open(info->indexoid, NoLock);
	cache = ek_cache_known(index);
	if (cache != NULL && cache->meta.dims != 0)
	{
		facts.has_basis = ek_cache_current(cache)->coarse_dims > 0;
		format = cache->geometry.format;
		dims = cache->meta.dims;
	}
	else if (ek_is_readable(index))
		(void) ek_peek(index, &format, &dims);
	facts.is_for_workers = format >= EK_FORMAT_3;
	facts.chunks = chunks_of_vector(info->rel, dims * (double) ek_type_of(index)->element);
	index_close(index, NoLock);
	return facts;
}

/* What a path asks of filter columns. */
typedef struct filter_facts
{
	int			conditions;
	Selectivity passing;		/* the share of entries that pass */
} filter_facts;

static filter_facts
look_at_filters(PlannerInfo *root, const IndexPath *path)
{
	List	   *clauses = NIL;
	ListCell   *cell;

	foreach(cell, path->indexclauses)
	{
		const IndexClause *clause = lfirst_node(IndexClause, cell);

		/* what a function says of itself is lost in what becomes of it */
		clauses = list_concat(clauses, is_funcclause(clause->rinfo->clause) ? list_make1(clause->rinfo) :
							  clause->indexquals);
	}
	return (filter_facts)
	{
		.conditions = list_length(path->indexclauses),
			.passing = clauselist_selectivity(root, clauses, (int) path->indexinfo->rel->relid,
											  JOIN_INNER, NULL)
	};
}

/*
 * A condition that the index does not look at may let pass none of what comes first.  So
 * it costs a little more than one that it does look at, and of two indexes the one with
 * the filter column is taken.
 */
static Cost
risk_of_others(const IndexPath *path, const filter_facts *filters)
{
	const int	others = list_length(path->indexinfo->indrestrictinfo) - filters->conditions;

	return Max(others, 0) * UNKNOWN_FILTER_COST * path->indexinfo->tuples * cpu_operator_cost;
}

/* Codes are read of the groups in which an entry passes, if these are scattered. */
static Cost
pass_cost(const IndexOptInfo *info, bool by_coarse_codes, const filter_facts *filters)
{
	const double code = by_coarse_codes ? COARSE_CODE_COST : FINE_CODE_COST;
	const double groups = 1.0 - pow(1.0 - filters->passing, EK_LANES);

	return Max(info->tuples, 1.0) * cpu_operator_cost *
		(filters->conditions * FILTER_CODE_COST + groups * code);
}

static ek_work_limit
work_costs(const IndexOptInfo *info, const index_facts *facts, const filter_facts *filters)
{
	double		page;

	get_tablespace_page_costs(info->rel->reltablespace, &page, NULL);
	return (ek_work_limit)
	{
		.most = get_float8_infinity(),
			.visit = page * Min(1.0, info->rel->pages / FEW_PAGES) + cpu_index_tuple_cost +
			facts->chunks * CHUNK_COST * cpu_operator_cost,
			.survivor = (CACHED_COST + (SURVIVOR_COST - CACHED_COST) * Min(1.0, info->pages / CACHE_PAGES)) *
			cpu_operator_cost,
			.pass = pass_cost(info, facts->has_basis, filters),
			.key_pass = pass_cost(info, false, filters)
	};
}

ek_work_limit
ek_work_costs(PlannerInfo *root, const IndexPath *path)
{
	const index_facts facts = look_at(path->indexinfo);
	const filter_facts filters = look_at_filters(root, path);

	return work_costs(path->indexinfo, &facts, &filters);
}

Cost
ek_visit_cost(const ek_work_limit *costs)
{
	return costs->visit + SURVIVORS * costs->survivor;
}

bool
ek_has_our_costs(const IndexOptInfo *index)
{
	return index->amcostestimate == (void (*) ()) ek_cost_estimate;
}

bool
ek_is_by_index(const Path *path)
{
	return IsA(path, IndexPath) && ek_has_our_costs(((const IndexPath *) path)->indexinfo);
}

/*
 * PostgreSQL does not know that the processes of a parallel scan share the pass, and
 * does not say when it asks what a scan costs whether it is for one of these.  So it is
 * told afterwards, and before it puts a Gather on top.  A path is taken out of the list
 * and added again, since the list is in order of costs.
 */
static void
share_pass(PlannerInfo *root, RelOptInfo *rel, IndexPath *path)
{
	double		divisor = path->path.parallel_workers;
	Cost		saved;

	/* the leader helps as long as it has little else to do, see get_parallel_divisor */
	if (parallel_leader_participation)
		divisor += Max(0.0, 1.0 - 0.3 * path->path.parallel_workers);
	saved = DIVISIBLE * ek_work_costs(root, path).pass * (1.0 - 1.0 / divisor);
	path->path.startup_cost -= saved;
	path->path.total_cost -= saved;
	rel->partial_pathlist = list_delete_ptr(rel->partial_pathlist, path);
	add_partial_path(rel, &path->path);
}

static void
share_passes(PlannerInfo *root, RelOptInfo *rel)
{
	List	   *paths = list_copy(rel->partial_pathlist);
	ListCell   *cell;

	foreach(cell, paths)
	{
		if (ek_is_by_index(lfirst(cell)))
			share_pass(root, rel, lfirst(cell));
	}
	list_free(paths);
}

/* What a distance that a path orders by costs, and the planner does not know; 0 without. */
static Cost
missing_cost(PlannerInfo *root, const Path *path)
{
	const OpExpr *distance;
	QualCost	known = {0};

	if (!ek_is_by_index(path) || ((const IndexPath *) path)->indexorderbys == NIL)
		return 0.0;
	distance = linitial(((const IndexPath *) path)->indexorderbys);
	add_function_cost(root, get_opcode(distance->opno), (Node *) distance, &known);
	return Max(0.0, DISTANCE_COST * cpu_operator_cost - known.per_tuple) +
		look_at(((const IndexPath *) path)->indexinfo).chunks * CHUNK_COST * cpu_operator_cost;
}

/* Adds it to what has to be sorted; the lists are in order of costs, and so made anew. */
static void
charge_paths(PlannerInfo *root, RelOptInfo *rel, List *paths, Cost missing, bool partial)
{
	ListCell   *cell;

	foreach(cell, paths)
	{
		Path	   *path = lfirst(cell);
		int			in_order;

		/* what comes by distance, and perhaps by no more, computes it for few rows */
		(void) pathkeys_count_contained_in(root->query_pathkeys, path->pathkeys, &in_order);
		if (in_order == 0)
			path->total_cost += path->rows * missing;
		if (partial)
			add_partial_path(rel, path);
		else
			add_path(rel, path);
	}
}

/*
 * Operators of pgvector have the usual cost of 1, though a distance takes as long as one of
 * ours; and what it takes to fetch a vector that is out of line, nobody tells the planner.
 * So a sort of all rows looks cheaper than it is, where there is no join that may leave only
 * some of them.
 */
static void
charge_distances(PlannerInfo *root, RelOptInfo *rel)
{
	List	   *paths = rel->pathlist;
	List	   *partial_paths = rel->partial_pathlist;
	Cost		missing = 0.0;
	ListCell   *cell;

	if (root->query_pathkeys == NIL || bms_membership(root->all_baserels) != BMS_SINGLETON)
		return;
	foreach(cell, paths)
	{
		missing = Max(missing, missing_cost(root, lfirst(cell)));
	}
	if (missing == 0.0)
		return;
	rel->pathlist = rel->partial_pathlist = NIL;
	charge_paths(root, rel, paths, missing, false);
	charge_paths(root, rel, partial_paths, missing, true);
}

static void
look_at_paths(PlannerInfo *root, RelOptInfo *rel, Index rti, RangeTblEntry *rte)
{
	if (earlier_hook != NULL)
		earlier_hook(root, rel, rti, rte);
	ek_match_more(root, rel);
	charge_distances(root, rel);
	share_passes(root, rel);
	ek_fallback_offer(root, rel, rte);
}

/* Hooks the planner. */
void
ek_cost_init(void)
{
	earlier_hook = set_rel_pathlist_hook;
	set_rel_pathlist_hook = look_at_paths;
	ek_fallback_init();
}

/*
 * PostgreSQL looks at amcanparallel after it has asked what a scan costs.  It asks of
 * filters and of what is selected whether workers can compute it, but not of what an index
 * orders by: a worker would not have a query vector that comes from an outer row, and
 * crash.
 */
static void
keep_from_workers(IndexPath *path)
{
	path->indexinfo->amcanparallel = false;
	path->path.parallel_safe = false;
}

/* Does a path ask for what is within a distance?  Of its vector, an index has no more to tell. */
static bool
has_radius(const IndexPath *path)
{
	ListCell   *cell;

	foreach(cell, path->indexclauses)
	{
		const IndexClause *clause = lfirst_node(IndexClause, cell);

		if (clause->indexcol == 0 && !IsA(clause->rinfo->clause, NullTest))
			return true;
	}
	return false;
}

void
ek_cost_estimate(PlannerInfo *root, IndexPath *path,
				 double loop_count pg_attribute_unused(),
				 Cost *startup_cost, Cost *total_cost,
				 Selectivity *selectivity, double *correlation, double *pages)
{
	double		entries = Max(path->indexinfo->tuples, 1.0);
	index_facts facts;
	filter_facts filters;
	ek_work_limit costs;

	/* this access method finds what is near; it does not merely list what passes */
	if (path->indexorderbys == NIL && !has_radius(path))
	{
		*startup_cost = *total_cost = get_float8_infinity();
		*selectivity = 0.0;
		*correlation = 0.0;
		*pages = 0.0;
#if PG_VERSION_NUM >= 180000
		/* counts before costs do; more than any other path can have */
		path->path.disabled_nodes = 2;
#endif
		return;
	}

	facts = look_at(path->indexinfo);
	if (!facts.is_for_workers)
		path->indexinfo->amcanparallel = false;
	if (!is_parallel_safe(root, (Node *) path->indexorderbys))
		keep_from_workers(path);
	filters = look_at_filters(root, path);
	costs = work_costs(path->indexinfo, &facts, &filters);
	*startup_cost = costs.pass + risk_of_others(path, &filters);
	*total_cost = *startup_cost + entries * filters.passing * VISITS * ek_visit_cost(&costs);
	*selectivity = filters.passing;
	*correlation = 0.0;
	*pages = path->indexinfo->pages;
}
