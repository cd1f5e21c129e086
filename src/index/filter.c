/*
 * filter.c
 *		The columns after the vector: what an index keeps of their values, and what a
 *		query asks of that.
 *
 * A filter has a code for each entry.  NULL is 0, and what is not NULL is more.  Of a
 * type that has an order the code is a number that does not fall where values rise; of
 * others it is a hash.  So what a condition says of a value says something of its code:
 * that it is in one of some ranges.  Values that pass have codes that pass, always;
 * the other way round nothing is promised, and the executor checks each row again.
 *
 * Support function 1 of an operator class is the hash, (type) returns integer, and 2 the
 * number, (type) returns bigint: a <= b implies f(a) <= f(b).  A class has one of them at
 * least; with 2 its operators may be those of a B-tree, else equality alone.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/relscan.h"
#include "access/stratnum.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "port/pg_bitutils.h"
#include "utils/array.h"
#include "utils/lsyscache.h"

#include "index/index.h"

PG_FUNCTION_INFO_V1(ek_sql_filter_number_bool);
PG_FUNCTION_INFO_V1(ek_sql_filter_number_int2);
PG_FUNCTION_INFO_V1(ek_sql_filter_number_int4);
PG_FUNCTION_INFO_V1(ek_sql_filter_number_int8);

#define CODE_OF_NULL	UINT64CONST(0)
#define LEAST_CODE		UINT64CONST(1)

/* Of a column, counted from 0: the vector is 0, and of no use here. */
static Oid
support_of(Relation index, int column, int number)
{
	return index_getprocid(index, (AttrNumber) (column + 1), (uint16) number);
}

static bool
is_vector(Relation index, int column)
{
	return index->rd_opcintype[column] == FLOAT4ARRAYOID ||
		ek_is_type_support(support_of(index, column, EK_TYPE_SUPPORT));
}

static bool
is_filter(Relation index, int column)
{
	return !is_vector(index, column) &&
		(OidIsValid(support_of(index, column, EK_FILTER_HASH)) ||
		 OidIsValid(support_of(index, column, EK_FILTER_NUMBER)));
}

static uint8
bytes_of(Relation index, int column)
{
	const int	length = TupleDescAttr(RelationGetDescr(index), column)->attlen;

	if (!OidIsValid(support_of(index, column, EK_FILTER_NUMBER)))
		return sizeof(uint32);
	return length > 0 && length <= (int) sizeof(int32) ? sizeof(uint32) : sizeof(uint64);
}

static void
raise_if_wrong(Relation index, int column)
{
	const char *name = NameStr(TupleDescAttr(RelationGetDescr(index), column)->attname);

	if (column == 0 && is_filter(index, column))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("the first column of an engramk index must be a vector"),
				 errdetail("Column \"%s\" of index \"%s\" can only filter.", name,
						   RelationGetRelationName(index))));
	if (column == 0 ? is_vector(index, column) : is_filter(index, column))
		return;
	if (!is_vector(index, column))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
				 errmsg("operator class of column \"%s\" of index \"%s\" has neither support function %d nor %d",
						name, RelationGetRelationName(index), EK_FILTER_HASH, EK_FILTER_NUMBER)));
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("only the first column of an engramk index can be a vector"),
			 errdetail("Column \"%s\" of index \"%s\" is one, too.", name,
					   RelationGetRelationName(index)),
			 errhint("Make an index of each.")));
}

void
ek_describe_columns(Relation index, ek_meta *meta)
{
	const int	columns = IndexRelationGetNumberOfKeyAttributes(index);

	for (int i = 0; i < columns; i++)
	{
		raise_if_wrong(index, i);
		if (i > 0)
			meta->filter_bytes[i - 1] = bytes_of(index, i);
	}
	meta->filters = (uint8) (columns - 1);
	meta->arithmetic = ek_type_of(index)->arithmetic;
}

/*
 * engram_filter_number(...) returns bigint
 *
 * Of a boolean; of a smallint; of an integer or a date; of a bigint or a timestamp.
 */
Datum
ek_sql_filter_number_bool(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT64(PG_GETARG_BOOL(0) ? 1 : 0);
}

Datum
ek_sql_filter_number_int2(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT64(PG_GETARG_INT16(0));
}

Datum
ek_sql_filter_number_int4(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT64(PG_GETARG_INT32(0));
}

Datum
ek_sql_filter_number_int8(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT64(PG_GETARG_INT64(0));
}

/*
 * Codes
 */

/* In four bytes, numbers beyond them are as good as the last one there. */
static uint64
code_of_number(int64 number, uint32 bytes)
{
	const int64 clamped = Max(Min(number, PG_INT32_MAX), PG_INT32_MIN);

	if (bytes == sizeof(uint32))
		return Max((uint64) (clamped - PG_INT32_MIN), LEAST_CODE);
	return Max((uint64) number ^ (UINT64CONST(1) << 63), LEAST_CODE);
}

static uint64
code_of_hash(uint32 hash)
{
	return Max((uint64) hash, LEAST_CODE);
}

static uint64
call_support(FmgrInfo *function, int number, Oid collation, Datum value, uint32 bytes)
{
	const Datum result = FunctionCall1Coll(function, collation, value);

	return number == EK_FILTER_NUMBER ? code_of_number(DatumGetInt64(result), bytes) :
		code_of_hash((uint32) DatumGetInt32(result));
}

static int
number_of_support(Relation index, int column)
{
	return OidIsValid(support_of(index, column, EK_FILTER_NUMBER)) ? EK_FILTER_NUMBER : EK_FILTER_HASH;
}

void
ek_encode_filters(Relation index, const Datum *values, const bool *isnull, uint64 *codes)
{
	const int	columns = IndexRelationGetNumberOfKeyAttributes(index);

	for (int i = 1; i < columns; i++)
	{
		const int	number = number_of_support(index, i);

		codes[i - 1] = isnull[i] ? CODE_OF_NULL :
			call_support(index_getprocinfo(index, (AttrNumber) (i + 1), (uint16) number), number,
						 index->rd_indcollation[i], values[i], bytes_of(index, i));
	}
}

static inline bool
is_wide(const ek_geometry *geometry, uint32 filter)
{
	return geometry->filter_bytes[filter] == sizeof(uint64);
}

void
ek_store_filters(const ek_geometry *geometry, const uint64 *codes, Page page, const ek_place *place)
{
	for (uint32 i = 0; i < geometry->filters; i++)
	{
		uint32	   *stored = ek_filter_codes_on(geometry, page, i) + place->filter_slot;

		*stored = (uint32) (is_wide(geometry, i) ? codes[i] >> 32 : codes[i]);
		if (is_wide(geometry, i))
			stored[geometry->filter_per_page] = (uint32) codes[i];
	}
}

void
ek_fetch_filters(const ek_geometry *geometry, Page page, const ek_place *place, uint64 *codes)
{
	for (uint32 i = 0; i < geometry->filters; i++)
	{
		const uint32 *stored = ek_filter_codes_on(geometry, page, i) + place->filter_slot;

		codes[i] = is_wide(geometry, i) ? (uint64) *stored << 32 | stored[geometry->filter_per_page] :
			*stored;
	}
}

/*
 * Conditions
 */

/* Codes from `low` to `high`, both included. */
typedef struct code_range
{
	uint64		low;
	uint64		high;
} code_range;

/*
 * A code of a filter is in one of the ranges, which are apart and in order.  Where many
 * codes are asked for, one by one, most others are told by a bit of a hash of theirs,
 * and the rest by a hash table.
 */
typedef struct condition
{
	uint32		filter;
	uint32		count;
	code_range *ranges;
	uint32	   *sieve;			/* NULL for few, or for real ranges */
	uint64	   *table;			/* of the codes; what is nobody's is zero */
	uint32		table_mask;
} condition;

#define FEW_RANGES		4
/* In the first cache, all of them. */
#define SIEVE_BITS		65536

struct ek_conditions
{
	int			count;
	condition	each[FLEXIBLE_ARRAY_MEMBER];
};

static uint64
most_code(uint32 bytes)
{
	return bytes == sizeof(uint32) ? PG_UINT32_MAX : PG_UINT64_MAX;
}

/*
 * The support function for a value that is compared with a column, which may be of another
 * type of the same family; false if there is none, and so nothing is known of its code.
 */
static bool
find_support(Relation index, int column, Oid type, int number, FmgrInfo *function)
{
	Oid			procedure = support_of(index, column, number);

	if (OidIsValid(type) && type != index->rd_opcintype[column])
		procedure = get_opfamily_proc(index->rd_opfamily[column], type, type, (int16) number);
	if (!OidIsValid(procedure))
		return false;
	fmgr_info(procedure, function);
	return true;
}

/* What of codes passes a comparison with a value of this code. */
static code_range
range_of(StrategyNumber strategy, uint64 code, uint64 most)
{
	switch (strategy)
	{
		case BTLessStrategyNumber:
		case BTLessEqualStrategyNumber:
			return (code_range) {LEAST_CODE, code};
		case BTGreaterEqualStrategyNumber:
		case BTGreaterStrategyNumber:
			return (code_range) {code, most};
		default:
			return (code_range) {code, code};
	}
}

static int
compare_ranges(const void *a, const void *b)
{
	const code_range *x = a;
	const code_range *y = b;

	return x->low < y->low ? -1 : x->low > y->low;
}

/* Puts ranges in order, and those into one that overlap. */
static void
unite(condition *c)
{
	uint32		count = 0;

	qsort(c->ranges, c->count, sizeof(code_range), compare_ranges);
	for (uint32 i = 0; i < c->count; i++)
	{
		if (count > 0 && c->ranges[i].low <= c->ranges[count - 1].high)
			c->ranges[count - 1].high = Max(c->ranges[count - 1].high, c->ranges[i].high);
		else
			c->ranges[count++] = c->ranges[i];
	}
	c->count = count;
}

static inline uint32
hash_of(uint64 code)
{
	return (uint32) (code ^ code >> 32) * 0x9E3779B1u;
}

static inline uint32
sieve_bit(uint64 code)
{
	return hash_of(code) >> 16;
}

/* The place of a code in the table, or a free one. */
static inline uint64 *
look_up(const condition *c, uint64 code)
{
	uint32		place = hash_of(code) * 0x85EBCA6Bu >> 8 & c->table_mask;

	while (c->table[place] != 0 && c->table[place] != code)
		place = (place + 1) & c->table_mask;
	return &c->table[place];
}

static void
make_sieve(condition *c)
{
	bool		is_real = false;

	for (uint32 i = 0; i < c->count; i++)
		is_real |= c->ranges[i].low != c->ranges[i].high;
	if (c->count <= FEW_RANGES || is_real)
		return;
	c->sieve = palloc0(SIEVE_BITS / 8);
	c->table_mask = pg_nextpower2_32(2 * c->count) - 1;
	c->table = MemoryContextAllocExtended(CurrentMemoryContext,
										  sizeof(uint64) * ((Size) c->table_mask + 1),
										  MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	for (uint32 i = 0; i < c->count; i++)
	{
		const uint64 code = c->ranges[i].low;

		c->sieve[sieve_bit(code) / 32] |= 1u << sieve_bit(code) % 32;
		*look_up(c, code) = code;
	}
}

static void
add_range(condition *c, code_range range)
{
	c->ranges[c->count++] = range;
}

/* The elements of an array; of those that are NULL, none is equal. */
static Datum *
elements_of(const ScanKeyData *key, int *count)
{
	ArrayType  *array = DatumGetArrayTypeP(key->sk_argument);
	int16		length;
	bool		by_value;
	char		align;
	Datum	   *elements;
	bool	   *isnull;
	int			all;

	get_typlenbyvalalign(ARR_ELEMTYPE(array), &length, &by_value, &align);
	deconstruct_array(array, ARR_ELEMTYPE(array), length, by_value, align, &elements, &isnull, &all);
	*count = 0;
	for (int i = 0; i < all; i++)
	{
		if (!isnull[i])
			elements[(*count)++] = elements[i];
	}
	return elements;
}

/* What is asked of a filter; false if it is nothing that codes could tell. */
static bool
understand(Relation index, const ScanKeyData *key, condition *c)
{
	const int	column = key->sk_attno - 1;
	const int	number = number_of_support(index, column);
	const uint32 bytes = bytes_of(index, column);
	FmgrInfo	function;
	Datum		one = key->sk_argument;
	Datum	   *values = &one;
	int			count = 1;

	*c = (condition) {.filter = (uint32) column - 1};
	if (key->sk_flags & SK_SEARCHNULL)
	{
		c->ranges = palloc(sizeof(code_range));
		add_range(c, (code_range) {CODE_OF_NULL, CODE_OF_NULL});
		return true;
	}
	if (key->sk_flags & SK_SEARCHNOTNULL)
	{
		c->ranges = palloc(sizeof(code_range));
		add_range(c, (code_range) {LEAST_CODE, most_code(bytes)});
		return true;
	}
	/* operators are strict: nothing passes */
	if (key->sk_flags & SK_ISNULL)
		return true;
	if (number == EK_FILTER_HASH && key->sk_strategy != BTEqualStrategyNumber)
		return false;
	if (!find_support(index, column, key->sk_subtype, number, &function))
		return false;

	if (key->sk_flags & SK_SEARCHARRAY)
		values = elements_of(key, &count);
	c->ranges = palloc(sizeof(code_range) * Max(count, 1));
	for (int i = 0; i < count; i++)
		add_range(c, range_of(key->sk_strategy,
							  call_support(&function, number, key->sk_collation, values[i], bytes),
							  most_code(bytes)));
	unite(c);
	make_sieve(c);
	return true;
}

ek_conditions *
ek_conditions_create(IndexScanDesc scan)
{
	ek_conditions *result = palloc(offsetof(ek_conditions, each) +
								   sizeof(condition) * (Size) scan->numberOfKeys);

	result->count = 0;
	for (int i = 0; i < scan->numberOfKeys; i++)
	{
		if (scan->keyData[i].sk_attno > 1 &&
			understand(scan->indexRelation, &scan->keyData[i], &result->each[result->count]))
			result->count++;
	}
	return result;
}

static const uint32 bit_of[EK_LANES] = {
	1 << 0, 1 << 1, 1 << 2, 1 << 3, 1 << 4, 1 << 5, 1 << 6, 1 << 7,
	1 << 8, 1 << 9, 1 << 10, 1 << 11, 1 << 12, 1 << 13, 1 << 14, 1 << 15
};

/* Which of a group's numbers are from `low` to `high`: a form that compilers make vectors of. */
static inline uint32
lanes_within(const uint32 *numbers, uint32 low, uint32 high)
{
	const uint32 span = high - low;
	uint32		mask = 0;

	for (int lane = 0; lane < EK_LANES; lane++)
		mask |= numbers[lane] - low <= span ? bit_of[lane] : 0;
	return mask;
}

/* Of codes of eight bytes, whose upper halves are within the range's. */
static inline uint32
lanes_within_both(const uint32 *upper, const uint32 *lower, const code_range *r)
{
	const uint32 low = (uint32) (r->low >> 32);
	const uint32 high = (uint32) (r->high >> 32);
	uint32		mask = 0;

	for (int lane = 0; lane < EK_LANES; lane++)
	{
		const uint32 from = (upper[lane] > low) | ((upper[lane] == low) & (lower[lane] >= (uint32) r->low));
		const uint32 to = (upper[lane] < high) | ((upper[lane] == high) & (lower[lane] <= (uint32) r->high));

		mask |= (from & to) != 0 ? bit_of[lane] : 0;
	}
	return mask;
}

static inline uint32
pass_ranges(const condition *c, const uint32 *upper, const uint32 *lower)
{
	uint32		mask = 0;

	for (uint32 i = 0; i < c->count; i++)
	{
		const code_range *r = &c->ranges[i];

		if (lower == NULL)
			mask |= lanes_within(upper, (uint32) r->low, (uint32) r->high);
		else if (lanes_within(upper, (uint32) (r->low >> 32), (uint32) (r->high >> 32)) != 0)
			mask |= lanes_within_both(upper, lower, r);
	}
	return mask;
}

static inline uint64
code_of_lane(const uint32 *upper, const uint32 *lower, int lane)
{
	return lower == NULL ? upper[lane] : (uint64) upper[lane] << 32 | lower[lane];
}

static uint32
pass_sieve(const condition *c, const uint32 *upper, const uint32 *lower)
{
	uint32		mask = 0;

	for (int lane = 0; lane < EK_LANES; lane++)
	{
		const uint32 bit = sieve_bit(code_of_lane(upper, lower, lane));

		mask |= (c->sieve[bit / 32] >> bit % 32 & 1) << lane;
	}
	for (uint32 rest = mask; rest != 0; rest &= rest - 1)
	{
		const int	lane = pg_rightmost_one_pos32(rest);

		if (*look_up(c, code_of_lane(upper, lower, lane)) == 0)
			mask &= ~bit_of[lane];
	}
	return mask;
}

static void
pass_condition(const ek_geometry *geometry, const condition *c, Page page, uint32 slot,
			   uint32 groups, ptrdiff_t ahead, uint16 *masks)
{
	const uint32 *upper = ek_filter_codes_on(geometry, page, c->filter) + slot;
	const uint32 *lower = is_wide(geometry, c->filter) ? upper + geometry->filter_per_page : NULL;

	for (uint32 group = 0; group < groups; group++)
	{
		__builtin_prefetch((const char *) upper + ahead, 0, 2);
		if (masks[group] != 0)
			masks[group] &= (uint16) (c->sieve != NULL ? pass_sieve(c, upper, lower) :
									  pass_ranges(c, upper, lower));
		upper += EK_LANES;
		lower = lower == NULL ? NULL : lower + EK_LANES;
	}
}

void
ek_pass_groups(const ek_geometry *geometry, const ek_conditions *conditions, Page page,
			   uint32 slot, uint32 groups, ptrdiff_t ahead, uint16 *masks)
{
	for (uint32 group = 0; group < groups; group++)
		masks[group] = PG_UINT16_MAX;
	for (int i = 0; i < conditions->count; i++)
		pass_condition(geometry, &conditions->each[i], page, slot, groups, ahead, masks);
}
