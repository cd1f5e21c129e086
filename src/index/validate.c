/*
 * validate.c
 *		Does an operator class make sense for this access method; and what does one for
 *		vectors say of them?
 *
 * One for real[] needs the three operators for ordering and, from 1.7 on, those of
 * radii, and no support function: what they compute is built in.  One for another type
 * of vectors has the support function that tells how it is read, and those of these
 * operators that it likes.  One for filters has operators of a B-tree's strategies, and support functions for each
 * type that they compare with.
 */
#include "postgres.h"

#include "access/amvalidate.h"
#include "access/genam.h"
#include "access/htup_details.h"
#include "access/stratnum.h"
#include "catalog/pg_amop.h"
#include "catalog/pg_opclass.h"
#include "catalog/pg_type.h"
#include "utils/catcache.h"
#include "utils/lsyscache.h"
#include "utils/regproc.h"
#include "utils/syscache.h"

#include "index/index.h"

static bool
complain(Oid family, const char *what)
{
	ereport(INFO,
			(errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
			 errmsg("operator family %u of access method engramk %s", family, what)));
	return false;
}

static bool
valid_order(Oid family, Oid type, Form_pg_amop op)
{
	if (op->amopstrategy < 1 || op->amopstrategy > EK_STRATEGY_COUNT)
		return complain(family, "has an operator with a strategy that is not 1 to 6");
	if (op->amopstrategy > EK_INDEXED_METRIC_COUNT)
		return op->amoppurpose == AMOP_SEARCH ||
			complain(family, "has an operator of a radius that is for ordering");
	if (op->amoppurpose != AMOP_ORDER)
		return complain(family, "has an operator that is not for ordering");
	if (op->amoplefttype != type || op->amoprighttype != type)
		return complain(family, "has an operator of other types than its vectors");
	return true;
}

static bool
valid_vector_family(Oid family, Oid type, const CatCList *operators)
{
	bool		valid = true;

	/* radii have come later */
	if (type == FLOAT4ARRAYOID && operators->n_members != EK_INDEXED_METRIC_COUNT &&
		operators->n_members != EK_STRATEGY_COUNT)
		valid = complain(family, "has neither three operators nor six");
	for (int i = 0; i < operators->n_members; i++)
	{
		Form_pg_amop op = (Form_pg_amop) GETSTRUCT(&operators->members[i]->tuple);

		valid = valid_order(family, type, op) && valid;
	}
	return valid;
}

/* A support function for values of this type, with its signature. */
static bool
has_support(Oid family, Oid type, int16 number, Oid result)
{
	const Oid	procedure = get_opfamily_proc(family, type, type, number);

	return OidIsValid(procedure) && check_amproc_signature(procedure, result, false, 1, 1, type);
}

static bool
valid_condition(Oid family, Form_pg_amop op)
{
	const bool	is_number = has_support(family, op->amoprighttype, EK_FILTER_NUMBER, INT8OID);

	if (op->amoppurpose != AMOP_SEARCH)
		return complain(family, "has an operator of a filter that is for ordering");
	if (!is_number && !has_support(family, op->amoprighttype, EK_FILTER_HASH, INT4OID))
		return complain(family, "has an operator for a type without a support function");
	if (op->amopstrategy != BTEqualStrategyNumber && !is_number)
		return complain(family, "has a hash, and an operator that is not for equality");
	return true;
}

static bool
valid_filter_family(Oid family, const CatCList *operators)
{
	bool		valid = true;

	for (int i = 0; i < operators->n_members; i++)
	{
		Form_pg_amop op = (Form_pg_amop) GETSTRUCT(&operators->members[i]->tuple);

		valid = valid_condition(family, op) && valid;
	}
	return valid;
}

static bool
holds_vectors(Oid family, Oid type)
{
	return type == FLOAT4ARRAYOID ||
		ek_is_type_support(get_opfamily_proc(family, type, type, EK_TYPE_SUPPORT));
}

bool
ek_validate(Oid opclass)
{
	HeapTuple	tuple = SearchSysCache1(CLAOID, ObjectIdGetDatum(opclass));
	Form_pg_opclass class_form;
	Oid			family;
	Oid			type;
	CatCList   *operators;
	bool		valid;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for operator class %u", opclass);
	class_form = (Form_pg_opclass) GETSTRUCT(tuple);
	family = class_form->opcfamily;
	type = class_form->opcintype;
	ReleaseSysCache(tuple);

	operators = SearchSysCacheList1(AMOPSTRATEGY, ObjectIdGetDatum(family));
	valid = holds_vectors(family, type) ? valid_vector_family(family, type, operators) :
		valid_filter_family(family, operators);
	ReleaseCatCacheList(operators);
	return valid;
}

const ek_vector_type *
ek_type_of(Relation index)
{
	if (!ek_is_type_support(index_getprocid(index, 1, EK_TYPE_SUPPORT)))
		return &ek_type_real_array;
	return ek_call_type_support(index_getprocinfo(index, 1, EK_TYPE_SUPPORT));
}
