/*
 * validate.c
 *		Does an operator class make sense for this access method?
 *
 * It needs the three operators of its strategies, for ordering, and no support
 * function: what they compute is built in.
 */
#include "postgres.h"

#include "access/amvalidate.h"
#include "access/htup_details.h"
#include "catalog/pg_amop.h"
#include "catalog/pg_opclass.h"
#include "catalog/pg_type.h"
#include "utils/catcache.h"
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
valid_operator(Oid family, Form_pg_amop op)
{
	if (op->amopstrategy < 1 || op->amopstrategy > EK_INDEXED_METRIC_COUNT)
		return complain(family, "has an operator with a strategy that is not 1, 2 or 3");
	if (op->amoppurpose != AMOP_ORDER)
		return complain(family, "has an operator that is not for ordering");
	if (op->amoplefttype != FLOAT4ARRAYOID || op->amoprighttype != FLOAT4ARRAYOID)
		return complain(family, "has an operator of other types than real[]");
	return true;
}

bool
ek_validate(Oid opclass)
{
	HeapTuple	tuple = SearchSysCache1(CLAOID, ObjectIdGetDatum(opclass));
	Form_pg_opclass class_form;
	Oid			family;
	CatCList   *operators;
	bool		valid = true;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for operator class %u", opclass);
	class_form = (Form_pg_opclass) GETSTRUCT(tuple);
	family = class_form->opcfamily;
	if (class_form->opcintype != FLOAT4ARRAYOID)
		valid = complain(family, "is not for real[]");
	ReleaseSysCache(tuple);

	operators = SearchSysCacheList1(AMOPSTRATEGY, ObjectIdGetDatum(family));
	if (operators->n_members != EK_INDEXED_METRIC_COUNT)
		valid = complain(family, "does not have three operators");
	for (int i = 0; i < operators->n_members; i++)
	{
		Form_pg_amop op = (Form_pg_amop) GETSTRUCT(&operators->members[i]->tuple);

		valid = valid_operator(family, op) && valid;
	}
	ReleaseCatCacheList(operators);
	return valid;
}
