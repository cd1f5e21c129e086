/*
 * match.c
 *		Conditions that PostgreSQL itself does not bring together with an order, and orders
 *		of which an index gives the first column only.
 *
 * Before release 17 it leaves out of an ordered scan whatever asks a later column for
 * one of several values, for other access methods would lose the order; and some releases
 * know conditions of a boolean, WHERE published, for their own access methods alone.  None
 * knows that embedding <=> $1 < 0.3 is a radius.  Here a path by one of our indexes gets a
 * second one beside it, with these conditions, too.
 */
#include "postgres.h"

#include "access/sysattr.h"
#include "catalog/pg_amop.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "optimizer/paths.h"
#include "optimizer/restrictinfo.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "index/index.h"

/* column = ANY (something that the table has no part in) */
static bool
is_any_of(PlannerInfo *root, IndexOptInfo *index, int column, Expr *clause)
{
	const ScalarArrayOpExpr *expr = (const ScalarArrayOpExpr *) clause;
	Node	   *right;

	if (!IsA(clause, ScalarArrayOpExpr) || !expr->useOr)
		return false;
	right = lsecond(expr->args);
	return match_index_to_operand(linitial(expr->args), column, index) &&
		(!OidIsValid(index->indexcollations[column]) ||
		 index->indexcollations[column] == expr->inputcollid) &&
		op_in_opfamily(expr->opno, index->opfamily[column]) &&
		!bms_is_member((int) index->rel->relid, pull_varnos(root, right)) &&
		!contain_volatile_functions(right);
}

/* Of a boolean column, column = true or column = false if that is what a clause says; or NULL. */
static Expr *
as_equality(IndexOptInfo *index, int column, Expr *clause)
{
	Node	   *operand = (Node *) clause;
	bool		value = true;

	if (is_notclause(clause))
	{
		operand = (Node *) get_notclausearg(clause);
		value = false;
	}
	else if (IsA(clause, BooleanTest))
	{
		const BooleanTest *test = (const BooleanTest *) clause;

		if (test->booltesttype != IS_TRUE && test->booltesttype != IS_FALSE)
			return NULL;
		operand = (Node *) test->arg;
		value = test->booltesttype == IS_TRUE;
	}
	if (exprType(operand) != BOOLOID || !match_index_to_operand(operand, column, index) ||
		!op_in_opfamily(BooleanEqualOperator, index->opfamily[column]))
		return NULL;
	return make_opclause(BooleanEqualOperator, BOOLOID, false, (Expr *) operand,
						 (Expr *) makeBoolConst(value, false), InvalidOid, InvalidOid);
}

/* Is it the distance of the index's vector from another one?  Then that one, or NULL. */
static Node *
other_vector(IndexOptInfo *index, Node *expr, ek_metric *metric, Node **column)
{
	const OpExpr *distance = (const OpExpr *) expr;
	int			strategy;
	Oid			left;
	Oid			right;

	if (!IsA(expr, OpExpr) || list_length(distance->args) != 2 ||
		!SearchSysCacheExists3(AMOPOPID, ObjectIdGetDatum(distance->opno), CharGetDatum(AMOP_ORDER),
							   ObjectIdGetDatum(index->opfamily[0])))
		return NULL;
	get_op_opfamily_properties(distance->opno, index->opfamily[0], true, &strategy, &left, &right);
	*metric = (ek_metric) strategy;
	for (int i = 0; i < 2; i++)
	{
		*column = list_nth(distance->args, i);
		if (match_index_to_operand(*column, 0, index))
			return list_nth(distance->args, 1 - i);
	}
	return NULL;
}

static Node *
as_double(Node *number)
{
	return exprType(number) == FLOAT8OID ? number :
		(Node *) makeFuncExpr(F_FLOAT8_FLOAT4, FLOAT8OID, list_make1(number), InvalidOid, InvalidOid,
							  COERCE_IMPLICIT_CAST);
}

/*
 * A distance that is less than something, or at most that: the distance from what the
 * index is asked about or another one.
 */
static Expr *
as_radius(PlannerInfo *root, IndexOptInfo *index, Expr *clause)
{
	const OpExpr *comparison = (const OpExpr *) clause;
	Node	   *distance;
	Node	   *radius;
	Node	   *column;
	Node	   *center;
	ek_metric	metric;

	if (!IsA(clause, OpExpr) || list_length(comparison->args) != 2)
		return NULL;
	distance = linitial(comparison->args);
	radius = lsecond(comparison->args);
	switch (get_opcode(comparison->opno))
	{
		case F_FLOAT8LT:
		case F_FLOAT8LE:
		case F_FLOAT84LT:
		case F_FLOAT84LE:
			break;
		case F_FLOAT8GT:
		case F_FLOAT8GE:
		case F_FLOAT48GT:
		case F_FLOAT48GE:
			distance = lsecond(comparison->args);
			radius = linitial(comparison->args);
			break;
		default:
			return NULL;
	}
	center = other_vector(index, distance, &metric, &column);
	if (center == NULL)
		return NULL;
	return ek_radius_condition(root, index, index->opfamily[0], metric, column, center,
							   as_double(radius), true);
}

/* The condition that a clause is; NULL if it is none. */
static IndexClause *
match(PlannerInfo *root, IndexOptInfo *index, RestrictInfo *rinfo)
{
	IndexClause *result = makeNode(IndexClause);
	Expr	   *radius = as_radius(root, index, rinfo->clause);

	result->rinfo = rinfo;
	if (radius != NULL)
	{
		/* the executor keeps the clause, which may leave out what is just as far */
		result->indexquals = list_make1(make_simple_restrictinfo(root, radius));
		result->lossy = true;
		return result;
	}
	for (int column = 1; column < index->nkeycolumns; column++)
	{
		Expr	   *equality = as_equality(index, column, rinfo->clause);

		result->indexcol = (AttrNumber) column;
		if (equality != NULL)
			result->indexquals = list_make1(make_simple_restrictinfo(root, equality));
		else if (is_any_of(root, index, column, rinfo->clause))
			result->indexquals = list_make1(rinfo);
		if (result->indexquals != NIL)
			return result;
	}
	return NULL;
}

static int
compare_columns(const ListCell *a, const ListCell *b)
{
	return lfirst_node(IndexClause, a)->indexcol - lfirst_node(IndexClause, b)->indexcol;
}

/* What a path has, and what it could have, by columns; NIL if that is no more. */
static List *
all_conditions(PlannerInfo *root, const IndexPath *path)
{
	IndexOptInfo *index = path->indexinfo;
	List	   *all = list_copy(path->indexclauses);
	ListCell   *cell;

	foreach(cell, index->indrestrictinfo)
	{
		RestrictInfo *rinfo = lfirst_node(RestrictInfo, cell);
		IndexClause *found;

		if (rinfo->pseudoconstant || is_redundant_with_indexclauses(rinfo, path->indexclauses) ||
			!restriction_is_securely_promotable(rinfo, index->rel))
			continue;
		found = match(root, index, rinfo);
		if (found != NULL)
			all = lappend(all, found);
	}
	if (list_length(all) == list_length(path->indexclauses))
		return NIL;
	list_sort(all, compare_columns);
	return all;
}

static IndexPath *
with_more(PlannerInfo *root, const IndexPath *path, bool partial)
{
	List	   *conditions = path->indexorderbys == NIL ? NIL : all_conditions(root, path);

	if (conditions == NIL)
		return NULL;
	return create_index_path(root, path->indexinfo, conditions, path->indexorderbys,
							 path->indexorderbycols, path->path.pathkeys, ForwardScanDirection, false,
							 PATH_REQ_OUTER(&path->path), 1.0, partial);
}

static void
match_more_conditions(PlannerInfo *root, RelOptInfo *rel)
{
	List	   *paths = list_copy(rel->pathlist);
	List	   *partial_paths = list_copy(rel->partial_pathlist);
	ListCell   *cell;
	IndexPath  *more;

	foreach(cell, paths)
	{
		more = ek_is_by_index(lfirst(cell)) ? with_more(root, lfirst(cell), false) : NULL;
		if (more != NULL)
			add_path(rel, &more->path);
	}
	foreach(cell, partial_paths)
	{
		more = ek_is_by_index(lfirst(cell)) ? with_more(root, lfirst(cell), true) : NULL;
		if (more != NULL && more->path.parallel_workers > 0)
			add_partial_path(rel, &more->path);
	}
	list_free(partial_paths);
	list_free(paths);
}

#if PG_VERSION_NUM < 170000
static bool
needs_ctid(const RelOptInfo *rel)
{
	Bitmapset  *columns = NULL;
	ListCell   *cell;

	/* not attr_needed, which partitions do not have */
	pull_varattnos((Node *) rel->reltarget->exprs, rel->relid, &columns);
	foreach(cell, rel->baserestrictinfo)
	{
		pull_varattnos((Node *) lfirst_node(RestrictInfo, cell)->clause, rel->relid, &columns);
	}
	return bms_is_member(SelfItemPointerAttributeNumber - FirstLowInvalidHeapAttributeNumber, columns);
}

/*
 * Before release 17 an index is asked for the whole of an order or for none of it, and
 * ORDER BY embedding <=> $1, id LIMIT 10 would be a sort of all rows.  Here ours are asked
 * for the distance alone; PostgreSQL then sorts what is just as far.  But not of rows that
 * are locked, or whose ctid is asked for, which a scan in order of distance may lose; and
 * not of a table that a constant condition has proved empty, whose conditions are gone.
 */
static void
offer_first_of_order(PlannerInfo *root, RelOptInfo *rel)
{
	List	   *order = root->query_pathkeys;
	List	   *indexes = rel->indexlist;
	List	   *ours = NIL;
	ListCell   *cell;

	if (list_length(order) < 2 || root->rowMarks != NIL || IS_DUMMY_REL(rel) || needs_ctid(rel))
		return;
	foreach(cell, indexes)
	{
		if (ek_has_our_costs(lfirst(cell)))
			ours = lappend(ours, lfirst(cell));
	}
	if (ours == NIL)
		return;
	root->query_pathkeys = list_make1(linitial(order));
	rel->indexlist = ours;
	create_index_paths(root, rel);
	rel->indexlist = indexes;
	root->query_pathkeys = order;
}
#endif

void
ek_match_more(PlannerInfo *root, RelOptInfo *rel)
{
#if PG_VERSION_NUM < 170000
	offer_first_of_order(root, rel);
#endif
	match_more_conditions(root, rel);
}
