/*
 * operands.c
 *		The two vectors of an operator's call, one of them perhaps prepared.
 *
 * In ORDER BY embedding <=> $1 one argument is the same for every row.  It is
 * fetched, widened and its norm taken once, and kept in fn_extra.
 *
 * It must never go stale.  Only a Const is known to stay as it is for as long
 * as fn_extra lives.  Anything else may change between calls, even where
 * get_fn_expr_arg_stable() says that it is stable: PL/pgSQL keeps fn_extra
 * while it changes its parameters.  So the raw bytes of such an argument are
 * compared first.  That is cheap where it gains most, for a value out of line:
 * its pointer has 18 bytes, and what it points to does not change.  And the
 * query is prepared when it is seen for the second time, so that an argument
 * which always changes costs no more than a copy of its bytes.
 *
 * The other argument comes from row after row of a table, and waiting for those
 * to come from memory takes longer than the arithmetic.  Where the next one will
 * be is learnt from where the last ones were.
 */
#include "postgres.h"

#include <math.h>

#include "nodes/primnodes.h"
#include "utils/expandeddatum.h"
#include "utils/memutils.h"

#include "vector/operands.h"

#define NO_ARGUMENT		(-1)

typedef struct prepared_query
{
	/* set once */
	int			argument;		/* 0 or 1, or NO_ARGUMENT to prepare none */
	bool		constant;		/* it is a Const */

	/* what was seen last, if not constant */
	char	   *seen;
	Size		seen_size;
	Size		seen_capacity;

	/* where the rows were that it was compared with */
	uintptr_t	row;			/* the last */
	ptrdiff_t	step;			/* to the next on the same page */
	bool		in_order;		/* the next page lies behind this one */

	/* the query, if prepared */
	bool		prepared;
	ek_query	query;
	char	   *block;
	Size		block_capacity;
} prepared_query;

static Node *
argument_node(FmgrInfo *flinfo, int argument)
{
	Node	   *call = flinfo->fn_expr;
	List	   *arguments = NIL;

	if (call != NULL && IsA(call, OpExpr))
		arguments = ((OpExpr *) call)->args;
	else if (call != NULL && IsA(call, FuncExpr))
		arguments = ((FuncExpr *) call)->args;

	return argument < list_length(arguments) ?
		(Node *) list_nth(arguments, argument) : NULL;
}

/* The argument that is likely to stay: a constant, else one that is no column. */
static void
choose_argument(prepared_query *state, FmgrInfo *flinfo)
{
	Node	   *nodes[2] = {argument_node(flinfo, 0), argument_node(flinfo, 1)};

	state->argument = NO_ARGUMENT;
	for (int i = 1; i >= 0; i--)
	{
		if (nodes[i] != NULL && IsA(nodes[i], Const))
		{
			state->argument = i;
			state->constant = true;
			return;
		}
	}
	for (int i = 1; i >= 0; i--)
	{
		if (nodes[i] != NULL && !IsA(nodes[i], Var))
		{
			state->argument = i;
			return;
		}
	}
}

static prepared_query *
state_of_call(FunctionCallInfo fcinfo)
{
	FmgrInfo   *flinfo = fcinfo->flinfo;

	if (flinfo == NULL)
		return NULL;
	if (flinfo->fn_extra == NULL)
	{
		prepared_query *state = MemoryContextAllocZero(flinfo->fn_mcxt,
													   sizeof(prepared_query));

		choose_argument(state, flinfo);
		flinfo->fn_extra = state;
	}
	return flinfo->fn_extra;
}

/* A buffer of at least `size` bytes; what it held is lost if it must grow. */
static void
ensure_capacity(MemoryContext context, char **buffer, Size *capacity, Size size)
{
	if (size <= *capacity)
		return;
	if (*buffer != NULL)
		pfree(*buffer);
	*buffer = NULL;
	*capacity = 0;
	*buffer = MemoryContextAllocHuge(context, size);
	*capacity = size;
}

/*
 * Was the same value seen by the last call?  If not, remembers this one.  A
 * pointer to memory that may change under it is never the same.
 */
static bool
seen_before(prepared_query *state, MemoryContext context, Pointer raw)
{
	Size		size;

	if (VARATT_IS_EXTERNAL(raw) && !VARATT_IS_EXTERNAL_ONDISK(raw))
	{
		state->seen_size = 0;
		return false;
	}

	size = VARSIZE_ANY(raw);
	if (size == state->seen_size && memcmp(raw, state->seen, size) == 0)
		return true;

	state->seen_size = 0;
	ensure_capacity(context, &state->seen, &state->seen_capacity, size);
	memcpy(state->seen, raw, size);
	state->seen_size = size;
	return false;
}

ek_query
ek_prepare_query(ek_vector vector, double *values)
{
	ek_query	query;

	ek_query_prepare(ek_level_kernels(EK_LEVEL_SCALAR), vector.values, vector.dims,
					 values, &query);
	return query;
}

/* A query that is not finite is left to the pair's kernel, and to its error. */
static void
prepare(prepared_query *state, MemoryContext context, ek_vector vector)
{
	double	   *values;

	ensure_capacity(context, &state->block, &state->block_capacity,
					ek_query_size(vector.dims) + EK_ALIGNMENT);
	values = (double *) TYPEALIGN(EK_ALIGNMENT, state->block);
	state->query = ek_prepare_query(vector, values);
	state->prepared = isfinite(state->query.norm2);
}

/* The prepared query if this call's argument is still the same, else NULL. */
static const ek_query *
prepared_for_call(prepared_query *state, FunctionCallInfo fcinfo, const ek_vector_type *type)
{
	MemoryContext context;
	Datum		argument;

	if (state == NULL || state->argument == NO_ARGUMENT)
		return NULL;
	if (state->constant && state->prepared)
		return &state->query;

	context = fcinfo->flinfo->fn_mcxt;
	argument = PG_GETARG_DATUM(state->argument);
	if (!state->constant &&
		!seen_before(state, context, DatumGetPointer(argument)))
	{
		state->prepared = false;
		return NULL;
	}
	if (!state->prepared)
		prepare(state, context, type->get(argument));
	return state->prepared ? &state->query : NULL;
}

static void
ask_for(const char *bytes, Size size)
{
	for (Size i = 0; i < size; i += EK_ALIGNMENT)
		__builtin_prefetch(bytes + i);
}

/*
 * How far ahead of this row to ask for what comes next.
 *
 * A heap page fills from its end, so the next row on it lies below this one.
 * From page to page, the blocks of a table lie in order in shared buffers after
 * a start, and anywhere in a server that has run for a while: in order, what is
 * asked for a page ahead is the next page; elsewhere nobody would read it, but
 * the next row of this page can be had, and the whole of a row that begins a
 * page at once (make -C bench sql).
 */
static ptrdiff_t
look_ahead(prepared_query *state, ek_vector vector)
{
	const ptrdiff_t step = (ptrdiff_t) ((uintptr_t) vector.values - state->row);

	state->row = (uintptr_t) vector.values;
	if (step < 0 && step > -BLCKSZ)
		state->step = step;
	else
	{
		state->in_order = step > 0 && step < (ptrdiff_t) 2 * BLCKSZ;
		if (!state->in_order && step != 0)
			ask_for((const char *) vector.values, sizeof(float) * (Size) vector.dims);
	}
	return state->in_order ? BLCKSZ : state->step;
}

ek_operands
ek_operands_get(FunctionCallInfo fcinfo, const ek_vector_type *type)
{
	prepared_query *state = state_of_call(fcinfo);
	ek_operands operands = {0};

	operands.query = prepared_for_call(state, fcinfo, type);
	if (operands.query != NULL)
	{
		int			dims[2];

		operands.query_argument = state->argument;
		operands.vector = type->get(PG_GETARG_DATUM(1 - state->argument));
		dims[state->argument] = (int) operands.query->dims;
		dims[1 - state->argument] = operands.vector.dims;
		if (dims[0] != dims[1])
			ek_raise_different_dimensions(dims[0], dims[1]);
		operands.ahead = look_ahead(state, operands.vector);
		return operands;
	}

	operands.vector = type->get(PG_GETARG_DATUM(0));
	operands.other = type->get(PG_GETARG_DATUM(1));
	if (operands.vector.dims != operands.other.dims)
		ek_raise_different_dimensions(operands.vector.dims, operands.other.dims);
	return operands;
}
