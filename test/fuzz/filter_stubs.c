/*
 * filter_stubs.c
 *		See filter_stubs.h.
 *
 * A procedure that is looked up is known by the type that it takes.
 */
#include "filter_stubs.h"

#include <stdlib.h>

#include "access/genam.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/lsyscache.h"

#include "index/index.h"
#include "server_stubs.h"

extern Datum ek_sql_filter_number_int2(PG_FUNCTION_ARGS);
extern Datum ek_sql_filter_number_int4(PG_FUNCTION_ARGS);
extern Datum ek_sql_filter_number_int8(PG_FUNCTION_ARGS);

static const Oid types[FILTERS + 1] = {FLOAT4ARRAYOID, INT4OID, INT8OID, HASHED_TYPE};
static const int16 lengths[FILTERS + 1] = {-1, sizeof(int32), sizeof(int64), sizeof(int64)};

RelationData *
make_index(void)
{
	RelationData *index = palloc0(sizeof(RelationData));
	TupleDesc	columns = palloc0(offsetof(TupleDescData, attrs) +
								  sizeof(FormData_pg_attribute) * (FILTERS + 1));

	index->rd_att = columns;
	index->rd_index = palloc0(sizeof(FormData_pg_index));
	index->rd_index->indnkeyatts = FILTERS + 1;
	index->rd_opcintype = palloc0(sizeof(types));
	index->rd_opfamily = palloc0(sizeof(types));
	index->rd_indcollation = palloc0(sizeof(types));
	columns->natts = FILTERS + 1;
	for (int i = 0; i <= FILTERS; i++)
	{
		TupleDescAttr(columns, i)->attlen = lengths[i];
		index->rd_opcintype[i] = types[i];
		index->rd_opfamily[i] = types[i];
	}
	return index;
}

Datum
to_datum(Oid type, int64 value)
{
	if (type == INT2OID)
		return Int16GetDatum((int16) value);
	return type == INT4OID ? Int32GetDatum((int32) value) : Int64GetDatum(value);
}

uint32
hash_of_value(int64 value)
{
	return (uint32) ((uint64) value % 11) * 0x33333333u;
}

RegProcedure
index_getprocid(Relation index, AttrNumber attnum, uint16 procnum)
{
	const Oid	type = types[attnum - 1];
	const bool	has_it = type == HASHED_TYPE ? procnum == EK_FILTER_HASH : procnum == EK_FILTER_NUMBER;

	return attnum > 1 && has_it ? type : InvalidOid;
}

/* The vector is a real[]. */
bool
ek_is_type_support(Oid function)
{
	return false;
}

const ek_vector_type *
ek_type_of(Relation index)
{
	static const ek_vector_type real_array = {.arithmetic = EK_SUMS_IN_DOUBLE};

	return &real_array;
}

FmgrInfo *
index_getprocinfo(Relation index, AttrNumber attnum, uint16 procnum)
{
	FmgrInfo   *function = palloc0(sizeof(FmgrInfo));

	function->fn_oid = index_getprocid(index, attnum, procnum);
	return function;
}

Oid
get_opfamily_proc(Oid opfamily, Oid lefttype, Oid righttype, int16 procnum)
{
	return procnum == EK_FILTER_NUMBER && opfamily != HASHED_TYPE ? lefttype : InvalidOid;
}

void
fmgr_info(Oid functionId, FmgrInfo *finfo)
{
	finfo->fn_oid = functionId;
}

Datum
FunctionCall1Coll(FmgrInfo *flinfo, Oid collation, Datum arg1)
{
	LOCAL_FCINFO(fcinfo, 1);

	fcinfo->args[0].value = arg1;
	switch (flinfo->fn_oid)
	{
		case INT2OID:
			return ek_sql_filter_number_int2(fcinfo);
		case INT4OID:
			return ek_sql_filter_number_int4(fcinfo);
		case INT8OID:
			return ek_sql_filter_number_int8(fcinfo);
		case HASHED_TYPE:
			return Int32GetDatum((int32) hash_of_value(DatumGetInt64(arg1)));
		default:
			abort();
	}
}

struct varlena *
pg_detoast_datum(struct varlena *datum)
{
	return datum;
}

void
get_typlenbyvalalign(Oid typid, int16 *typlen, bool *typbyval, char *typalign)
{
	*typlen = sizeof(Datum);
	*typbyval = true;
	*typalign = TYPALIGN_DOUBLE;
}

void
deconstruct_array(ArrayType *array, Oid elmtype, int elmlen, bool elmbyval, char elmalign,
				  Datum **elemsp, bool **nullsp, int *nelemsp)
{
	const element_array *from = (const element_array *) array;

	*nelemsp = from->count;
	*elemsp = palloc(sizeof(from->values));
	*nullsp = palloc(sizeof(from->nulls));
	memcpy(*elemsp, from->values, sizeof(from->values));
	memcpy(*nullsp, from->nulls, sizeof(from->nulls));
}
