/*
 * type.c
 *		Which types hold vectors, and how they are read.
 *
 * real[] does.  Of another type an operator class of the engramk access method says so,
 * with its support function 1, (internal) returns internal, which gives an ek_vector_type;
 * classes for filters have hashes there, which take something else.  So a type is known by
 * what the catalog says of it, and never by its name.
 */
#include "postgres.h"

#include "access/genam.h"
#include "catalog/pg_type.h"
#include "commands/defrem.h"
#include "utils/lsyscache.h"

#include "vector/vector.h"

PG_FUNCTION_INFO_V1(ek_sql_type_vector);
PG_FUNCTION_INFO_V1(ek_sql_type_halfvec);

/*
 * engram_vector_support(internal) returns internal, engram_halfvec_support(internal)
 */
Datum
ek_sql_type_vector(PG_FUNCTION_ARGS pg_attribute_unused())
{
	PG_RETURN_POINTER(&ek_type_vector);
}

Datum
ek_sql_type_halfvec(PG_FUNCTION_ARGS pg_attribute_unused())
{
	PG_RETURN_POINTER(&ek_type_halfvec);
}

bool
ek_is_type_support(Oid function)
{
	Oid		   *arguments;
	int			count;

	return OidIsValid(function) && get_func_signature(function, &arguments, &count) == INTERNALOID &&
		count == 1 && arguments[0] == INTERNALOID;
}

const ek_vector_type *
ek_call_type_support(FmgrInfo *function)
{
	return (const ek_vector_type *) DatumGetPointer(FunctionCall1(function, PointerGetDatum(NULL)));
}

const ek_vector_type *
ek_find_vector_type(Oid type)
{
	const Oid	base = getBaseType(type);
	FmgrInfo	function;
	Oid			class;
	Oid			support;

	if (base == FLOAT4ARRAYOID)
		return &ek_type_real_array;
	class = GetDefaultOpClass(base, get_am_oid("engramk", true));
	if (!OidIsValid(class))
		return NULL;
	support = get_opfamily_proc(get_opclass_family(class), base, base, EK_TYPE_SUPPORT);
	if (!ek_is_type_support(support))
		return NULL;
	fmgr_info(support, &function);
	return ek_call_type_support(&function);
}
