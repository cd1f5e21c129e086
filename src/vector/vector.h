/*
 * vector.h
 *		From a Datum to floats and a count.
 *
 * vector: a one-dimensional real[] without nulls, all elements finite; or a value of
 * another type that stands for one, see ek_vector_type.
 * dimensions: its length, at least 1.
 * query: the one vector that is compared with many; candidate: one of those.
 *
 * Nothing here looks at the elements, except to say which is not finite after
 * a kernel's sum has shown that one is.
 */
#ifndef EK_VECTOR_H
#define EK_VECTOR_H

#include "fmgr.h"

#include "base/compat.h"

/*
 * The floats belong to the array or, if that had to be detoasted, to the
 * current memory context.  Read only.
 */
typedef struct ek_vector
{
	const float *values;
	int			dims;
} ek_vector;

/* Candidates one after another, each with as many elements as the query. */
typedef struct ek_candidates
{
	const float *values;
	int			count;			/* can be 0 */
} ek_candidates;

/* Raises an error unless the array has the shape of a vector. */
extern ek_vector ek_vector_get(Datum array);

/* Is it a vector?  Never raises an error over what the array holds. */
extern bool ek_vector_is_valid(Datum array);
extern bool ek_is_finite(ek_vector vector);

/*
 * A two-dimensional array with `dims` columns, a flat one whose length is a
 * multiple of `dims`, or an empty one.  Raises an error for anything else.
 */
extern ek_candidates ek_candidates_get(Datum array, int dims);

/* Several vectors of the same length, one after another. */
typedef struct ek_vectors
{
	const float *values;
	int			count;			/* can be 0; dims is 0 then */
	int			dims;
} ek_vectors;

/*
 * One vector, a two-dimensional array of some, or an empty one.  `owner` goes
 * into "%s must be a one- or two-dimensional array".
 */
extern ek_vectors ek_vectors_get(Datum array, const char *owner);

pg_noreturn extern void ek_raise_nulls(void);
pg_noreturn extern void ek_raise_different_dimensions(int a, int b);

/* How the distance operators of a type compute. */
typedef enum ek_arithmetic
{
	EK_SUMS_IN_DOUBLE,			/* in one order, always: those of real[] */
	EK_SUMS_IN_FLOAT			/* in any order, fused or not: those of pgvector */
} ek_arithmetic;

/* A type whose values are vectors. */
typedef struct ek_vector_type
{
	ek_arithmetic arithmetic;
	Size		element;		/* bytes of one */
	bool		typmod_is_dims; /* is a column's typmod the dimensions of its vectors? */
	/* As ek_vector_get and ek_vector_is_valid, which are those of real[]. */
	ek_vector	(*get) (Datum value);
	bool		(*is_valid) (Datum value);

	/*
	 * As ek_vectors_get and ek_candidates_get, which take arrays of floats; of an array of
	 * such values, which are copied.
	 */
	ek_vectors	(*get_all) (Datum array, const char *owner);
	ek_candidates (*get_candidates) (Datum array, int dims);
} ek_vector_type;

extern const ek_vector_type ek_type_real_array;

/* pgvector.c */
extern const ek_vector_type ek_type_vector;
extern const ek_vector_type ek_type_halfvec;

/*
 * A SQL function of vectors of real[], ek_sql_NAME, and the same of pgvector's types,
 * ek_sql_vector_NAME and ek_sql_halfvec_NAME: `result` is a Datum, made of fcinfo and type.
 */
#define EK_SQL_OF_TYPES(name, result) \
	EK_SQL_OF_TYPE(ek_sql_##name, ek_type_real_array, result); \
	EK_SQL_OF_TYPE(ek_sql_vector_##name, ek_type_vector, result); \
	EK_SQL_OF_TYPE(ek_sql_halfvec_##name, ek_type_halfvec, result)

#define EK_SQL_OF_TYPE(function, of_type, result) \
	PG_FUNCTION_INFO_V1(function); \
	Datum \
	function(PG_FUNCTION_ARGS) \
	{ \
		const ek_vector_type *type = &of_type; \
		return (result); \
	} \
	extern int	no_such_variable

/* type.c: for types that an operator class of ours knows */

/* The number of the support function that tells how a type is read. */
#define EK_TYPE_SUPPORT		1
/* Is this function such a one? */
extern bool ek_is_type_support(Oid function);
/* What it tells. */
extern const ek_vector_type *ek_call_type_support(FmgrInfo *function);
/* Of real[], or of a type with a default operator class; NULL for one that holds no vectors. */
extern const ek_vector_type *ek_find_vector_type(Oid type);

/*
 * For after a sum was not finite: raises the error that names the element, if
 * it is among these.  `owner` goes into "Element 3 of %s is NaN."
 */
extern void ek_vector_require_finite(const float *values, int dims,
									 const char *owner);

#endif							/* EK_VECTOR_H */
