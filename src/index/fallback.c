/*
 * fallback.c
 *		A scan by the index that ends in another plan when it takes too long.
 *
 * The planner chooses the index for ORDER BY ... LIMIT by how many rows it expects
 * to visit until enough have passed the filter.  It cannot know whether the rows that
 * pass are near the query or far from it; if far, nearly all rows are visited, each
 * at random, which takes a hundred times what the rows that pass would have taken by
 * themselves.
 *
 * So a scan by the index under a filter is planned with what would have been the
 * best plan without the index, sorted: the fallback.  The index may cost TIMES what the
 * fallback does, by the rows that it visits, the fine codes that it reads and the passes
 * that it makes.  If that is not enough, the fallback runs instead, and leaves out the
 * rows that have been returned, which it knows by their place: both plans have one
 * snapshot.  Whatever the filter, a query then takes at most so many times the best plan,
 * by the planner's costs.
 *
 * What the index returned until then are the nearest rows in order, and all others
 * are no nearer, so rows come in the order and with the distances of either plan.
 * That is so as long as the filter says the same of a row when it is asked again: it
 * may not be volatile, and a setting that it reads may not change between FETCHes.
 */
#include "postgres.h"

#include "access/sysattr.h"
#include "access/table.h"
#include "commands/explain.h"
#include "executor/executor.h"
#include "nodes/extensible.h"
#include "nodes/makefuncs.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "optimizer/paths.h"
#include "optimizer/restrictinfo.h"
#include "optimizer/tlist.h"
#include "utils/memutils.h"
#if PG_VERSION_NUM >= 180000
#include "commands/explain_format.h"
#endif

#include "base/guc.h"
#include "index/index.h"

#define FALLBACK_NAME	"EngramkFallback"

/*
 * Rows that pass by chance come after so many visits only on average: with less, plans
 * fall back that were nearly done.
 */
#define TIMES			1.5
#define LEAST_VISITS	100.0

typedef struct fallback_state
{
	CustomScanState css;
	IndexScanState *by_index;
	ek_visits  *visits;
	PlanState  *fallback;
	AttrNumber	tid;			/* the column that says where a row is */
	bool		fell_back;
	int			fallbacks;		/* of all that was asked of this node */
	int			limit;			/* rows that the fallback has at most; 0 for all */
	int			sorted;			/* rows that it has given, returned before or not */

	/* what the index returned; in order once it has fallen back */
	ItemPointer returned;
	Size		count;
	Size		room;
} fallback_state;

static Plan *plan_fallback(PlannerInfo *root, RelOptInfo *rel, CustomPath *path,
						   List *tlist, List *clauses, List *children);
static Node *create_state(CustomScan *scan);
static void begin(CustomScanState *css, EState *estate, int eflags);
static TupleTableSlot *execute(CustomScanState *css);
static void rescan(CustomScanState *css);
static void end(CustomScanState *css);
static void explain(CustomScanState *css, List *ancestors, ExplainState *es);

static const CustomPathMethods path_methods = {
	.CustomName = FALLBACK_NAME,
	.PlanCustomPath = plan_fallback,
};

static const CustomScanMethods scan_methods = {
	.CustomName = FALLBACK_NAME,
	.CreateCustomScanState = create_state,
};

static const CustomExecMethods exec_methods = {
	.CustomName = FALLBACK_NAME,
	.BeginCustomScan = begin,
	.ExecCustomScan = execute,
	.EndCustomScan = end,
	.ReScanCustomScan = rescan,
	.ExplainCustomScan = explain,
};

void
ek_fallback_init(void)
{
	RegisterCustomScanMethods(&scan_methods);
}

/*
 * Planning
 */

/*
 * Filters may have sub-selects, which are plans by now; it is enough to look at all that
 * the whole query has.
 */
static bool
has_volatile_filter(const PlannerInfo *root, const RelOptInfo *rel)
{
	ListCell   *cell;

	foreach(cell, root->glob->subroots)
	{
		if (contain_volatile_functions((Node *) ((PlannerInfo *) lfirst(cell))->parse))
			return true;
	}
	return contain_volatile_functions((Node *) extract_actual_clauses(rel->baserestrictinfo, false));
}

/*
 * Are the rows of a plan known by their place, and does a filter say the same of a
 * row whenever it is asked?  Who locks or changes rows asks a plan about single ones.
 */
static bool
may_fall_back(const PlannerInfo *root, const RelOptInfo *rel, const RangeTblEntry *rte)
{
	return ek_enable_fallback && rte->rtekind == RTE_RELATION && rte->tablesample == NULL &&
		(rte->relkind == RELKIND_RELATION || rte->relkind == RELKIND_MATVIEW) &&
		rel->baserestrictinfo != NIL &&
		root->parse->commandType == CMD_SELECT && root->parse->rowMarks == NIL &&
		!root->hasPseudoConstantQuals && !has_volatile_filter(root, rel);
}

/* The best plan that is in no order of an index. */
static Path *
best_to_sort(const RelOptInfo *rel)
{
	Path	   *best = NULL;
	ListCell   *cell;

	foreach(cell, rel->pathlist)
	{
		Path	   *path = lfirst(cell);

		if (path->param_info != NULL ||
			(IsA(path, IndexPath) && ((IndexPath *) path)->indexorderbys != NIL))
			continue;
		if (best == NULL || path->total_cost < best->total_cost)
			best = path;
	}
	return best;
}

/* Do settings speak against the fallback, but not against the index? */
static bool
is_ruled_out(const Path *fallback, const Path *by_index)
{
#if PG_VERSION_NUM >= 180000
	return fallback->disabled_nodes > by_index->disabled_nodes;
#else
	return fallback->total_cost >= disable_cost && by_index->total_cost < disable_cost;
#endif
}

/* How many rows are wanted, if the query says so for certain; 0 if not. */
static int
limit_of(const PlannerInfo *root)
{
	const Query *query = root->parse;
	const bool	is_certain = query->limitCount != NULL && IsA(query->limitCount, Const) &&
		(query->limitOffset == NULL || IsA(query->limitOffset, Const)) &&
		query->limitOption == LIMIT_OPTION_COUNT &&
		bms_membership(root->all_baserels) == BMS_SINGLETON;

	return is_certain && root->limit_tuples > 0 && root->limit_tuples < PG_INT32_MAX ?
		(int) root->limit_tuples : 0;
}

/* Is the order of the query this one and more, of which a sort of the table can give all? */
static bool
can_sort_by_more(const PlannerInfo *root, List *order)
{
	ListCell   *cell;

	if (!pathkeys_contained_in(order, root->query_pathkeys))
		return false;
	foreach(cell, root->query_pathkeys)
	{
		if (lfirst_node(PathKey, cell)->pk_eclass->ec_has_volatile)
			return false;
	}
	return true;
}

/*
 * Where PostgreSQL sorts what is just as far by more, it asks for a row that is farther
 * than the last one wanted, or for the end.  A fallback that has no more than are wanted
 * gives the right ones if it is sorted by all of that, too.
 */
static List *
order_of_fallback(const PlannerInfo *root, const IndexPath *by_index, int *limit)
{
	List	   *order = by_index->path.pathkeys;

	*limit = limit_of(root);
	if (*limit == 0 || pathkeys_contained_in(root->query_pathkeys, order))
		return order;
	if (can_sort_by_more(root, order))
		return root->query_pathkeys;
	*limit = 0;
	return order;
}

/* As a plan can have them. */
static List *
costs_as_list(const ek_work_limit *limit)
{
	return list_make5(makeFloat(psprintf("%.17g", limit->most)),
					  makeFloat(psprintf("%.17g", limit->visit)),
					  makeFloat(psprintf("%.17g", limit->survivor)),
					  makeFloat(psprintf("%.17g", limit->pass)),
					  makeFloat(psprintf("%.17g", limit->key_pass)));
}

static ek_work_limit
costs_of(const CustomScan *scan)
{
	const List *costs = linitial(scan->custom_private);

	return (ek_work_limit)
	{
		.most = floatVal(linitial(costs)),
			.visit = floatVal(lsecond(costs)),
			.survivor = floatVal(lthird(costs)),
			.pass = floatVal(lfourth(costs)),
			.key_pass = floatVal(llast(costs))
	};
}

/* The path of the index with a fallback; NULL if the index may as well go on to its end. */
static Path *
with_fallback(PlannerInfo *root, RelOptInfo *rel, IndexPath *by_index)
{
	Path	   *best = best_to_sort(rel);
	PathTarget *target;
	CustomPath *path;
	Path	   *sort;
	List	   *order;
	int			rows;
	ek_work_limit limit = ek_work_costs(root, by_index);

	if (best == NULL)
		return NULL;
	target = copy_pathtarget(rel->reltarget);
	add_new_column_to_pathtarget(target, (Expr *) makeVar(rel->relid, SelfItemPointerAttributeNumber,
														  TIDOID, -1, InvalidOid, 0));
	order = order_of_fallback(root, by_index, &rows);
	sort = (Path *) create_sort_path(root, rel,
									 (Path *) create_projection_path(root, rel, best, target),
									 order, root->limit_tuples);
	if (is_ruled_out(sort, &by_index->path))
		return NULL;
	limit.most = limit.pass + Max(TIMES * sort->total_cost, LEAST_VISITS * ek_visit_cost(&limit));
	if (limit.most >= limit.pass + by_index->indexinfo->tuples * by_index->indexselectivity * ek_visit_cost(&limit))
		return NULL;

	path = makeNode(CustomPath);
	path->path = by_index->path;
	path->path.type = T_CustomPath;
	path->path.pathtype = T_CustomScan;
	/* what the query sorts by besides may be more than a worker may compute */
	path->path.parallel_safe = by_index->path.parallel_safe && sort->parallel_safe &&
		order == by_index->path.pathkeys;
#if PG_VERSION_NUM >= 150000
	path->flags = CUSTOMPATH_SUPPORT_PROJECTION;
#endif
	path->custom_paths = list_make2(create_projection_path(root, rel, &by_index->path, target), sort);
	path->custom_private = list_make2(costs_as_list(&limit), list_make1_int(rows));
	path->methods = &path_methods;
	return &path->path;
}

/* Is there a filter that the index does not know of? */
static bool
has_other_filter(const RelOptInfo *rel, const IndexPath *path)
{
	ListCell   *cell;

	foreach(cell, rel->baserestrictinfo)
	{
		if (!is_redundant_with_indexclauses(lfirst_node(RestrictInfo, cell), path->indexclauses))
			return true;
	}
	return false;
}

/* Gives each path by one of our indexes under a filter of the table alone a fallback. */
void
ek_fallback_offer(PlannerInfo *root, RelOptInfo *rel, const RangeTblEntry *rte)
{
	List	   *paths = list_copy(rel->pathlist);
	ListCell   *cell;

	foreach(cell, paths)
	{
		IndexPath  *path = lfirst(cell);
		Path	   *with;

		if (!ek_is_by_index(&path->path) || path->path.param_info != NULL ||
			!has_other_filter(rel, path))
			continue;
		if (!may_fall_back(root, rel, rte))
			break;
		with = with_fallback(root, rel, path);
		if (with == NULL)
			continue;
		rel->pathlist = list_delete_ptr(rel->pathlist, path);
		add_path(rel, with);
	}
	list_free(paths);
}

static Plan *
plan_fallback(PlannerInfo *root pg_attribute_unused(), RelOptInfo *rel, CustomPath *path,
			  List *tlist, List *clauses pg_attribute_unused(), List *children)
{
	CustomScan *scan = makeNode(CustomScan);

	scan->scan.plan.targetlist = tlist;
	scan->scan.scanrelid = rel->relid;
	scan->flags = path->flags;
	scan->custom_plans = children;
	scan->custom_private = path->custom_private;
	scan->custom_scan_tlist = copyObject(((Plan *) linitial(children))->targetlist);
	scan->methods = &scan_methods;
	return &scan->scan.plan;
}

/*
 * Execution
 */

static Node *
create_state(CustomScan *scan pg_attribute_unused())
{
	fallback_state *state = palloc0(sizeof(fallback_state));

	NodeSetTag(state, T_CustomScanState);
	state->css.methods = &exec_methods;
	return (Node *) state;
}

/* The column that says where a row is. */
static AttrNumber
tid_column(const CustomScan *scan)
{
	ListCell   *cell;

	foreach(cell, scan->custom_scan_tlist)
	{
		const TargetEntry *entry = lfirst(cell);

		if (IsA(entry->expr, Var) && ((Var *) entry->expr)->varattno == SelfItemPointerAttributeNumber)
			return entry->resno;
	}
	elog(ERROR, "a plan with a fallback does not say where its rows are");
}

static void
begin(CustomScanState *css, EState *estate, int eflags)
{
	fallback_state *state = (fallback_state *) css;
	const CustomScan *scan = (CustomScan *) css->ss.ps.plan;
	const ek_work_limit costs = costs_of(scan);

	state->by_index = castNode(IndexScanState, ExecInitNode(linitial(scan->custom_plans), estate, eflags));
	state->fallback = ExecInitNode(lsecond(scan->custom_plans), estate, eflags);
	css->custom_ps = list_make2(state->by_index, state->fallback);
	state->visits = ek_visits_create(state->by_index, &costs);
	state->tid = tid_column(scan);
	/* with what was returned, these are all that are wanted */
	state->limit = linitial_int(lsecond(scan->custom_private));
	if (state->limit > 0)
		ExecSetTupleBound(state->limit, state->fallback);
}

static ItemPointer
tid_of(const fallback_state *state, TupleTableSlot *child)
{
	bool		is_null;

	return (ItemPointer) DatumGetPointer(slot_getattr(child, state->tid, &is_null));
}

/* A row of a child, in the scan's own slot, where WHERE CURRENT OF finds its place. */
static TupleTableSlot *
store(fallback_state *state, TupleTableSlot *child)
{
	TupleTableSlot *slot = state->css.ss.ss_ScanTupleSlot;
	const int	columns = slot->tts_tupleDescriptor->natts;

	ExecClearTuple(slot);
	slot_getsomeattrs(child, columns);
	memcpy(slot->tts_values, child->tts_values, sizeof(Datum) * columns);
	memcpy(slot->tts_isnull, child->tts_isnull, sizeof(bool) * columns);
	slot->tts_tid = *tid_of(state, child);
	slot->tts_tableOid = RelationGetRelid(state->css.ss.ss_currentRelation);
	return ExecStoreVirtualTuple(slot);
}

static void
remember(fallback_state *state, TupleTableSlot *child)
{
	if (state->count == state->room)
	{
		const Size	room = Max(state->room * 2, 64);
		ItemPointer more = MemoryContextAllocHuge(state->css.ss.ps.state->es_query_cxt,
												  sizeof(ItemPointerData) * room);

		if (state->returned != NULL)
		{
			memcpy(more, state->returned, sizeof(ItemPointerData) * state->count);
			pfree(state->returned);
		}
		state->returned = more;
		state->room = room;
	}
	state->returned[state->count++] = *tid_of(state, child);
}

static int
compare_tids(const void *a, const void *b)
{
	return ItemPointerCompare((ItemPointer) a, (ItemPointer) b);
}

static bool
was_returned(const fallback_state *state, TupleTableSlot *child)
{
	return state->count > 0 &&
		bsearch(tid_of(state, child), state->returned, state->count, sizeof(ItemPointerData),
				compare_tids) != NULL;
}

static void
fall_back(fallback_state *state)
{
	state->fell_back = true;
	state->fallbacks++;
	qsort(state->returned, state->count, sizeof(ItemPointerData), compare_tids);
}

/* A sort that knows how many are wanted must not be asked for more. */
static TupleTableSlot *
next_sorted(fallback_state *state)
{
	if (state->limit > 0)
	{
		if (state->sorted == state->limit)
			return NULL;
		state->sorted++;
	}
	return ExecProcNode(state->fallback);
}

static TupleTableSlot *
next(ScanState *ss)
{
	fallback_state *state = (fallback_state *) ss;
	TupleTableSlot *child;

	if (!state->fell_back)
	{
		child = ek_visits_next(state->visits);
		if (child != NULL)
		{
			remember(state, child);
			return store(state, child);
		}
		if (!ek_visits_stopped(state->visits))
			return NULL;
		fall_back(state);
	}
	do
		child = next_sorted(state);
	while (!TupIsNull(child) && was_returned(state, child));
	return TupIsNull(child) ? NULL : store(state, child);
}

/* No row is asked about alone: see may_fall_back(). */
static bool
recheck(ScanState *ss pg_attribute_unused(), TupleTableSlot *slot pg_attribute_unused())
{
	return true;
}

static TupleTableSlot *
execute(CustomScanState *css)
{
	return ExecScan(&css->ss, next, recheck);
}

static void
rescan(CustomScanState *css)
{
	fallback_state *state = (fallback_state *) css;
	ListCell   *cell;

	foreach(cell, css->custom_ps)
	{
		PlanState  *child = lfirst(cell);

		if (css->ss.ps.chgParam != NULL)
			UpdateChangedParamSet(child, css->ss.ps.chgParam);
		/* or else it begins again by itself */
		if (child->chgParam == NULL)
			ExecReScan(child);
	}
	ek_visits_rescan(state->visits);
	state->fell_back = false;
	state->sorted = 0;
	state->count = 0;
	ExecScanReScan(&css->ss);
}

static void
end(CustomScanState *css)
{
	ListCell   *cell;

	foreach(cell, css->custom_ps)
	{
		ExecEndNode(lfirst(cell));
	}
}

static void
explain(CustomScanState *css, List *ancestors pg_attribute_unused(), ExplainState *es)
{
	const fallback_state *state = (fallback_state *) css;
	const CustomScan *scan = (CustomScan *) css->ss.ps.plan;

	ExplainPropertyFloat("Most Cost", NULL, costs_of(scan).most, 2, es);
	/* what a worker did is not known here */
	if (es->analyze && state->by_index->iss_ScanDesc != NULL)
		ExplainPropertyInteger("Fallbacks", NULL, state->fallbacks, es);
}
