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
#include "utils/typcache.h"

#include "index/index.h"
#include "vector/functions.h"

PG_FUNCTION_INFO_V1(ek_sql_ball);
PG_FUNCTION_INFO_V1(ek_sql_lossy_ball);
PG_FUNCTION_INFO_V1(ek_sql_cosine_within_support);
PG_FUNCTION_INFO_V1(ek_sql_inner_product_within_support);
PG_FUNCTION_INFO_V1(ek_sql_l2_within_support);

/* Nobody can know: few, but more than none.  Of angles, half are no more than a right one. */
#define USUAL_SELECTIVITY	0.001
#define RIGHT_ANGLE			1.0
#define OPPOSITE			2.0

/* A ball's columns; those of real[], whose operators and functions are of one mind, have no third. */
#define CENTER			1
#define RADIUS			2
#define LOSSY			3

static Datum
make_ball(FunctionCallInfo fcinfo, bool lossy)
{
	TupleDesc	columns;
	Datum		values[] = {PG_GETARG_DATUM(0), PG_GETARG_DATUM(1), BoolGetDatum(lossy)};
	bool		nulls[lengthof(values)] = {false};

	if (get_call_result_type(fcinfo, NULL, &columns) != TYPEFUNC_COMPOSITE || columns->natts > LOSSY)
		elog(ERROR, "return type must be a row type");
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(columns), values, nulls)));
}

/*
 * engram_ball(center real[], radius double precision) returns engram_ball, and of vector
 * and halfvec
 *
 * What is wrong with either raises an error when it is used, by the function that a row
 * is checked with.
 */
Datum
ek_sql_ball(PG_FUNCTION_ARGS)
{
	return make_ball(fcinfo, false);
}

/*
 * engram_ball(center vector, radius double precision, lossy boolean)
 * returns engram_vector_ball, and of halfvec
 *
 * With lossy = true, whoever asks looks himself at what is within, by the operator of the
 * type, whose distances are not ours: this only tells an index where to look.
 */
Datum
ek_sql_lossy_ball(PG_FUNCTION_ARGS)
{
	return make_ball(fcinfo, PG_GETARG_BOOL(2));
}

bool
ek_ball_of(Datum value, Datum *center, double *radius)
{
	HeapTupleHeader tuple = DatumGetHeapTupleHeader(value);
	bool		no_center;
	bool		no_radius;

	*center = GetAttributeByNum(tuple, CENTER, &no_center);
	*radius = DatumGetFloat8(GetAttributeByNum(tuple, RADIUS, &no_radius));
	return !no_center && !no_radius;
}

static bool
is_lossy(HeapTupleHeader ball)
{
	bool		isnull;

	return HeapTupleHeaderGetNatts(ball) == LOSSY &&
		DatumGetBool(GetAttributeByNum(ball, LOSSY, &isnull));
}

/* A ball that somebody has made by hand may have NULLs. */
static Datum
in_ball(FunctionCallInfo fcinfo, ek_pair_distance distance, const ek_vector_type *type)
{
	LOCAL_FCINFO(pair, 2);
	double		radius;

	InitFunctionCallInfoData(*pair, NULL, 2, InvalidOid, NULL, NULL);
	pair->args[0] = fcinfo->args[0];
	pair->args[1].isnull = false;
	if (!ek_ball_of(PG_GETARG_DATUM(1), &pair->args[1].value, &radius))
		PG_RETURN_NULL();
	if (is_lossy(PG_GETARG_HEAPTUPLEHEADER(1)))
		PG_RETURN_BOOL(true);
	/* every distance is less than NaN, as everywhere in PostgreSQL */
	PG_RETURN_BOOL(float8_le(distance(pair, type), radius));
}

/*
 * engram_cosine_in_ball(a real[], ball engram_ball) returns boolean, its siblings, and all
 * of them for vector and halfvec
 *
 * What the operators of balls do.
 */
EK_SQL_OF_TYPES(cosine_in_ball, in_ball(fcinfo, ek_cosine_distance, type));
EK_SQL_OF_TYPES(inner_product_in_ball, in_ball(fcinfo, ek_negative_inner_product, type));
EK_SQL_OF_TYPES(l2_in_ball, in_ball(fcinfo, ek_l2_distance, type));

/*
 * Planning
 */

/* The operator of a family that compares with balls in this metric, and what it compares; or false. */
static bool
find_operator(Oid family, ek_metric metric, Oid *operator, Oid *vector, Oid *ball)
{
	CatCList   *operators = SearchSysCacheList1(AMOPSTRATEGY, ObjectIdGetDatum(family));
	bool		found = false;

	for (int i = 0; i < operators->n_members; i++)
	{
		const Form_pg_amop op = (Form_pg_amop) GETSTRUCT(&operators->members[i]->tuple);

		if (op->amopstrategy != (int16) EK_RADIUS_STRATEGY(metric))
			continue;
		*operator = op->amopopr;
		*vector = op->amoplefttype;
		*ball = op->amoprighttype;
		found = true;
	}
	ReleaseCatCacheList(operators);
	return found;
}

/* engram_ball() of such vectors, which is where the operator's function is. */
static Oid
find_constructor(Oid operator, Oid vector, bool lossy)
{
	const Oid	arguments[] = {vector, FLOAT8OID, BOOLOID};
	char	   *schema = get_namespace_name(get_func_namespace(get_opcode(operator)));

	return LookupFuncName(list_make2(makeString(schema), makeString("engram_ball")), lossy ? 3 : 2, arguments, true);
}

/* Of a type that has none, nobody's function of that name is taken for ours. */
static bool
has_lossy_ones(Oid ball)
{
	TupleDesc	columns = lookup_rowtype_tupdesc(ball, -1);
	const bool	result = columns->natts == LOSSY;

	ReleaseTupleDesc(columns);
	return result;
}

/* The ball of a condition. */
static Expr *
make_ball_expression(Oid operator, Oid vector, Oid ball, Node *center, Node *radius, bool lossy)
{
	const bool	with_lossy = lossy && has_lossy_ones(ball);
	const Oid	constructor = find_constructor(operator, vector, with_lossy);
	List	   *arguments = list_make2(center, radius);

	if (!OidIsValid(constructor))
		return NULL;
	if (with_lossy)
		arguments = lappend(arguments, makeBoolConst(true, false));
	return (Expr *) makeFuncExpr(constructor, ball, arguments, InvalidOid, InvalidOid, COERCE_EXPLICIT_CALL);
}

Expr *
ek_radius_condition(PlannerInfo *root, const IndexOptInfo *index, Oid family, ek_metric metric,
					Node *column, Node *center, Node *radius, bool lossy)
{
	Node	   *others = (Node *) list_make2(center, radius);
	Oid			operator;
	Oid			vector;
	Oid			ball;
	Expr	   *expression;

	if (bms_is_member((int) index->rel->relid, pull_varnos(root, others)) ||
		contain_volatile_functions(others) ||
		!find_operator(family, metric, &operator, &vector, &ball))
		return NULL;
	expression = make_ball_expression(operator, vector, ball, center, radius, lossy);
	if (expression == NULL)
		return NULL;
	return make_opclause(operator, BOOLOID, false, (Expr *) column, expression, InvalidOid, InvalidOid);
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
									list_nth(call->args, request->indexarg),
									list_nth(call->args, 1 - request->indexarg), lthird(call->args),
									false);
	return condition == NULL ? NULL : (Node *) list_make1(condition);
}

static bool
is_number(const Node *radius)
{
	const Const *value = (const Const *) radius;

	return IsA(radius, Const) && !value->constisnull && !isnan(DatumGetFloat8(value->constvalue));
}

static Selectivity
selectivity_of(ek_metric metric, const Node *radius)
{
	const double value = is_number(radius) ? DatumGetFloat8(((const Const *) radius)->constvalue) : 0.0;

	if (metric != EK_METRIC_COSINE || value < RIGHT_ANGLE)
		return USUAL_SELECTIVITY;
	return value < OPPOSITE ? 0.5 : 1.0;
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
		SupportRequestSelectivity *request = (SupportRequestSelectivity *) raw;

		request->selectivity = selectivity_of(metric, lthird(request->args));
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
