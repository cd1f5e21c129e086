/*
 * rows.c
 *		What SQL functions return beyond a number: a row, a set of rows, an array.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "miscadmin.h"
#include "utils/memutils.h"

#include "base/rows.h"

Datum
ek_make_row(TupleDesc columns, Datum *values)
{
	bool		nulls[8] = {false};

	Assert(columns->natts <= (int) lengthof(nulls));
	return HeapTupleGetDatum(heap_form_tuple(columns, values, nulls));
}

Datum
ek_make_single_row(FunctionCallInfo fcinfo, Datum *values)
{
	TupleDesc	columns;

	if (get_call_result_type(fcinfo, NULL, &columns) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	return ek_make_row(BlessTupleDesc(columns), values);
}

FuncCallContext *
ek_begin_set(FunctionCallInfo fcinfo, int calls)
{
	FuncCallContext *funcctx = SRF_FIRSTCALL_INIT();
	MemoryContext caller = MemoryContextSwitchTo(funcctx->multi_call_memory_ctx);
	TupleDesc	columns;

	get_call_result_type(fcinfo, NULL, &columns);
	funcctx->tuple_desc = BlessTupleDesc(columns);
	funcctx->max_calls = (uint64) calls;
	MemoryContextSwitchTo(caller);
	return funcctx;
}

ek_row_set
ek_begin_row_set(FunctionCallInfo fcinfo, const char *function)
{
	ReturnSetInfo *set = (ReturnSetInfo *) fcinfo->resultinfo;
	ek_row_set		rows;
	TupleDesc	columns;
	MemoryContext caller;

	if (set == NULL || !IsA(set, ReturnSetInfo) || !(set->allowedModes & SFRM_Materialize))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("%s was called in a context that cannot take its rows", function)));

	/* not in the memory of the query, of which it would take more than it gives */
	if (get_call_result_type(fcinfo, NULL, &columns) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	caller = MemoryContextSwitchTo(set->econtext->ecxt_per_query_memory);
	rows.columns = CreateTupleDescCopy(columns);
	rows.store = tuplestore_begin_heap((set->allowedModes & SFRM_Materialize_Random) != 0,
									   false, work_mem);
	set->returnMode = SFRM_Materialize;
	set->setResult = rows.store;
	set->setDesc = rows.columns;
	MemoryContextSwitchTo(caller);
	return rows;
}

ArrayType *
ek_make_array(Oid type, Size element_size, int ndim, const int *lengths)
{
	const Size	overhead = ARR_OVERHEAD_NONULLS(ndim);
	Size		count = 1;
	ArrayType  *array;

	for (int i = 0; i < ndim; i++)
		count *= lengths[i];
	if (count == 0)
		return construct_empty_array(type);
	if (count > Min(MaxArraySize, (MaxAllocSize - overhead) / element_size))
		return NULL;

	array = palloc0(overhead + count * element_size);
	SET_VARSIZE(array, overhead + count * element_size);
	array->ndim = ndim;
	array->elemtype = type;
	for (int i = 0; i < ndim; i++)
	{
		ARR_DIMS(array)[i] = lengths[i];
		ARR_LBOUND(array)[i] = 1;
	}
	return array;
}
