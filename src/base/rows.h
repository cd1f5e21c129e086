/*
 * rows.h
 *		What SQL functions return beyond a number: a row, a set of rows, an array.
 *
 * Everything is in the current memory context, and without nulls, where not said otherwise.
 */
#ifndef EK_ROWS_H
#define EK_ROWS_H

#include "fmgr.h"
#include "funcapi.h"
#include "utils/array.h"
#include "utils/tuplestore.h"

/* A row of these columns. */
extern Datum ek_make_row(TupleDesc columns, Datum *values);

/* The only row of a function that returns one. */
extern Datum ek_make_single_row(FunctionCallInfo fcinfo, Datum *values);

/* At the first call of a function that returns a set, a row or none a call. */
extern FuncCallContext *ek_begin_set(FunctionCallInfo fcinfo, int calls);

/* The rows of a function that returns them all at once, and their type. */
typedef struct ek_row_set
{
	Tuplestorestate *store;
	TupleDesc	columns;
} ek_row_set;

/* Of the function of this name; in the memory of the query, whatever the context. */
extern ek_row_set ek_begin_row_set(FunctionCallInfo fcinfo, const char *function);

/*
 * An array of a type of this size, a multiple of its alignment, for the caller
 * to fill in from ARR_DATA_PTR() on; it is all zeros.  Empty if a length is 0.
 * NULL if an array cannot be so large.
 */
extern ArrayType *ek_make_array(Oid type, Size element_size, int ndim, const int *lengths);

#endif							/* EK_ROWS_H */
