/*
 * radius.c
 *		Everything within a distance: engram_cosine_within() and its siblings, and how an
 *		index serves them.
 *
 * For the planner engram_cosine_within(embedding, query, radius) is the condition
 * embedding <=>@ engram_ball(query, radius), which an operator class can have: a query and
 * a radius in one value.  So it goes wherever an index condition goes: with an order or
 * without, with filters, and on the inner side of a join.  The executor checks each row
 * with that operator.
 */
#include "postgres.h"

#include <math.h>

#include "access/htup_details.h"
#include "catalog/pg_amop.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "fmgr.h"
#include "funcapi.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "nodes/supportnodes.h"
#include "optimizer/optimizer.h"
#include "parser/parse_func.h"
#include "utils/builtins.h"
#include "utils/catcache.h"
#include "utils/float.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "index/index.h"
#include "vector/functions.h"

PG_FUNCTION_INFO_V1(ek_sql_ball);
PG_FUNCTION_INFO_V1(ek_sql_cosine_in_ball);
PG_FUNCTION_INFO_V1(ek_sql_inner_product_in_ball);
PG_FUNCTION_INFO_V1(ek_sql_l2_in_ball);
PG_FUNCTION_INFO_V1(ek_sql_cosine_within_support);
PG_FUNCTION_INFO_V1(ek_sql_inner_product_within_support);
PG_FUNCTION_INFO_V1(ek_sql_l2_within_support);

/* Nobody can know: few, but more than none. */
#define USUAL_SELECTIVITY	0.001

/*
 * engram_ball(center real[], radius double precision) returns engram_ball
 *
 * What is wrong with either raises an error when it is used, by the function that a row
 * is checked with.
 */
Datum
ek_sql_ball(PG_FUNCTION_ARGS)
{
	TupleDesc	columns;
	Datum		values[2] = {PG_GETARG_DATUM(0), PG_GETARG_DATUM(1)};
	bool		nulls[2] = {false};

	if (get_call_result_type(fcinfo, NULL, &columns) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(columns), values, nulls)));
}

bool
ek_ball_of(Datum value, Datum *center, double *radius)
{
	HeapTupleHeader tuple = DatumGetHeapTupleHeader(value);
	bool		no_center;
	bool		no_radius;

	*center = GetAttributeByNum(tuple, 1, &no_center);
	*radius = DatumGetFloat8(GetAttributeByNum(tuple, 2, &no_radius));
	return !no_center && !no_radius;
}

/* A ball that somebody has made by hand may have NULLs. */
static Datum
in_ball(FunctionCallInfo fcinfo, PGFunction distance)
{
	Datum		center;
	double		radius;

	if (!ek_ball_of(PG_GETARG_DATUM(1), &center, &radius))
		PG_RETURN_NULL();
	/* every distance is less than NaN, as everywhere in PostgreSQL */
	PG_RETURN_BOOL(float8_le(DatumGetFloat8(DirectFunctionCall2(distance, PG_GETARG_DATUM(0), center)),
							 radius));
}

/*
 * engram_cosine_in_ball(a real[], ball engram_ball) returns boolean, and its siblings
 *
 * What the operators of balls do.
 */
Datum
ek_sql_cosine_in_ball(PG_FUNCTION_ARGS)
{
	return in_ball(fcinfo, ek_sql_cosine_distance);
}

Datum
ek_sql_inner_product_in_ball(PG_FUNCTION_ARGS)
{
	return in_ball(fcinfo, ek_sql_negative_inner_product);
}

Datum
ek_sql_l2_in_ball(PG_FUNCTION_ARGS)
{
	return in_ball(fcinfo, ek_sql_l2_distance);
}

/*
 * Planning
 */

/* The operator of a family that compares with balls in this metric; false if it has none. */
static bool
find_operator(Oid family, ek_metric metric, Oid *operator, Oid *ball)
{
	CatCList   *operators = SearchSysCacheList1(AMOPSTRATEGY, ObjectIdGetDatum(family));
	bool		found = false;

	for (int i = 0; i < operators->n_members; i++)
	{
		const Form_pg_amop op = (Form_pg_amop) GETSTRUCT(&operators->members[i]->tuple);

		if (op->amopstrategy != (int16) EK_RADIUS_STRATEGY(metric))
			continue;
		*operator = op->amopopr;
		*ball = op->amoprighttype;
		found = true;
	}
	ReleaseCatCacheList(operators);
	return found;
}

/* engram_ball(), which is where the function is that asks. */
static Oid
find_constructor(Oid function)
{
	const Oid	arguments[] = {FLOAT4ARRAYOID, FLOAT8OID};

	return LookupFuncName(list_make2(makeString(get_namespace_name(get_func_namespace(function))),
									 makeString("engram_ball")), 2, arguments, true);
}

Expr *
ek_radius_condition(PlannerInfo *root, const IndexOptInfo *index, Oid family, ek_metric metric,
					Oid function, Node *column, Node *center, Node *radius)
{
	Node	   *others = (Node *) list_make2(center, radius);
	Oid			operator;
	Oid			ball;
	Oid			constructor;

	if (bms_is_member((int) index->rel->relid, pull_varnos(root, others)) ||
		contain_volatile_functions(others) ||
		!find_operator(family, metric, &operator, &ball))
		return NULL;
	constructor = find_constructor(function);
	if (!OidIsValid(constructor))
		return NULL;
	return make_opclause(operator, BOOLOID, false, (Expr *) column,
						 (Expr *) makeFuncExpr(constructor, ball, list_make2(center, radius),
											   InvalidOid, InvalidOid, COERCE_EXPLICIT_CALL),
						 InvalidOid, InvalidOid);
}

/* The vector of the index may be either argument, since the distance is the same. */
static Node *
index_condition(const SupportRequestIndexCondition *request, ek_metric metric)
{
	const FuncExpr *call = (const FuncExpr *) request->node;
	Expr	   *condition;

	if (request->indexarg > 1)
		return NULL;
	condition = ek_radius_condition(request->root, request->index, request->opfamily, metric,
									request->funcid, list_nth(call->args, request->indexarg),
									list_nth(call->args, 1 - request->indexarg), lthird(call->args));
	return condition == NULL ? NULL : (Node *) list_make1(condition);
}

static bool
is_number(const Node *radius)
{
	const Const *value = (const Const *) radius;

	return IsA(radius, Const) && !value->constisnull && !isnan(DatumGetFloat8(value->constvalue));
}

static Node *
support(FunctionCallInfo fcinfo, ek_metric metric)
{
	Node	   *raw = (Node *) PG_GETARG_POINTER(0);

	if (IsA(raw, SupportRequestIndexCondition) && is_funcclause(((SupportRequestIndexCondition *) raw)->node))
	{
		SupportRequestIndexCondition *request = (SupportRequestIndexCondition *) raw;
		/* the function refuses NaN, which a constant is not */
		request->lossy = !is_number(lthird(((FuncExpr *) request->node)->args));
		return index_condition(request, metric);
	}
	if (IsA(raw, SupportRequestSelectivity))
	{
		((SupportRequestSelectivity *) raw)->selectivity = USUAL_SELECTIVITY;
		return raw;
	}
	return NULL;
}

/*
 * engram_cosine_within_support(internal) returns internal, and its siblings
 */
Datum
ek_sql_cosine_within_support(PG_FUNCTION_ARGS)
{
	PG_RETURN_POINTER(support(fcinfo, EK_METRIC_COSINE));
}

Datum
ek_sql_inner_product_within_support(PG_FUNCTION_ARGS)
{
	PG_RETURN_POINTER(support(fcinfo, EK_METRIC_INNER_PRODUCT));
}

Datum
ek_sql_l2_within_support(PG_FUNCTION_ARGS)
{
	PG_RETURN_POINTER(support(fcinfo, EK_METRIC_L2));
}
