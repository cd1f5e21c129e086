/*
 * fuzz_filter.c
 *		Values of filter columns, and conditions of any kind: has a row that passes a
 *		code that passes?
 *
 * The bytes say what values rows have and what a scan asks of them.  Codes go onto a
 * filter page and are looked at there, as by an insert and a scan.  What passes must be
 * what passes by the values themselves; and, no less and no more, what passes as far as
 * codes can tell: numbers are clamped to those of the column, the two least ones are
 * one, less is as good as equal, and values of one hash are equal.
 */
#include "postgres.h"

#include <stdlib.h>

#include "access/relscan.h"
#include "access/skey.h"
#include "access/stratnum.h"
#include "catalog/pg_type.h"

#include "filter_stubs.h"
#include "index/index.h"
#include "input.h"
#include "server_stubs.h"

#define GROUPS			3
#define ROWS			(GROUPS * EK_LANES)
#define MOST_KEYS		3

/* Of a row, or of what a column is compared with. */
typedef struct value
{
	int64		number;
	bool		is_null;
} value;

typedef enum question
{
	ASKED_ONE,
	ASKED_ANY,
	ASKED_NULL,
	ASKED_NOT_NULL
} question;

typedef struct asked
{
	int			column;			/* of the filters, from 0 on */
	question	question;
	StrategyNumber strategy;
	Oid			type;			/* of what it is compared with */
	int			count;
	value		values[MOST_ELEMENTS];
} asked;

static const Oid column_types[FILTERS] = {INT4OID, INT8OID, HASHED_TYPE};

static int64
as_type(Oid type, int64 number)
{
	if (type == INT2OID)
		return (int16) number;
	return type == INT4OID ? (int32) number : number;
}

/* Where clamping, halves and signs matter, and a little beside that; or anything. */
static value
take_value(input *from, Oid type)
{
	static const int64 corners[] = {0, PG_INT32_MIN, PG_INT32_MAX, PG_INT64_MIN, PG_INT64_MAX,
		(int64) 1 << 32, -((int64) 1 << 32), PG_INT16_MIN};
	const unsigned choice = take_byte(from);
	const int64 beside = (int64) (choice >> 4 & 7) - 3;
	int64		number;

	if (choice >= 240)
		return (value) {.is_null = true};
	fill_bytes(from, 0, &number, sizeof(number));
	if (choice < 128)
		number = (int64) ((uint64) corners[choice & 7] + (uint64) beside);
	else if (choice < 192)
		number = beside;
	return (value) {.number = as_type(type, number)};
}

static asked
take_question(input *from)
{
	asked		a = {.column = (int) take_below(from, FILTERS),.question = take_byte(from) % 4};

	a.strategy = (StrategyNumber) (1 + take_below(from, BTMaxStrategyNumber));
	a.type = column_types[a.column];
	if (a.type != HASHED_TYPE)
		a.type = (Oid[]) {INT2OID, INT4OID, INT8OID}[take_below(from, 3)];
	a.count = a.question == ASKED_ANY ? (int) take_below(from, MOST_ELEMENTS + 1) : 1;
	for (int i = 0; i < a.count; i++)
		a.values[i] = take_value(from, a.type);
	return a;
}

static ScanKeyData
key_of(const asked *a)
{
	ScanKeyData key = {
		.sk_attno = (AttrNumber) (a->column + 2),
		.sk_strategy = a->strategy,
		.sk_subtype = a->type
	};
	element_array *array = palloc0(sizeof(element_array));

	if (a->question == ASKED_NULL || a->question == ASKED_NOT_NULL)
	{
		key.sk_flags = SK_ISNULL | (a->question == ASKED_NULL ? SK_SEARCHNULL : SK_SEARCHNOTNULL);
		return key;
	}
	array->count = a->count;
	array->header.elemtype = a->type;
	for (int i = 0; i < a->count; i++)
	{
		array->values[i] = to_datum(a->type, a->values[i].number);
		array->nulls[i] = a->values[i].is_null;
	}
	key.sk_argument = array->values[0];
	if (a->question == ASKED_ANY)
	{
		key.sk_flags = SK_SEARCHARRAY;
		key.sk_argument = PointerGetDatum(array);
	}
	else if (array->nulls[0])
		key.sk_flags = SK_ISNULL;
	return key;
}

static bool
compare(StrategyNumber strategy, int64 x, int64 y)
{
	switch (strategy)
	{
		case BTLessStrategyNumber:
			return x < y;
		case BTLessEqualStrategyNumber:
			return x <= y;
		case BTEqualStrategyNumber:
			return x == y;
		case BTGreaterEqualStrategyNumber:
			return x >= y;
		default:
			return x > y;
	}
}

/* As far as codes of a column can tell */
static bool
compare_codes(Oid column_type, StrategyNumber strategy, int64 x, int64 y)
{
	const int64 least = column_type == INT4OID ? PG_INT32_MIN + 1 : PG_INT64_MIN + 1;
	const int64 most = column_type == INT4OID ? PG_INT32_MAX : PG_INT64_MAX;

	if (column_type == HASHED_TYPE)
		return Max(hash_of_value(x), 1) == Max(hash_of_value(y), 1);
	if (strategy == BTLessStrategyNumber)
		strategy = BTLessEqualStrategyNumber;
	if (strategy == BTGreaterStrategyNumber)
		strategy = BTGreaterEqualStrategyNumber;
	return compare(strategy, Min(Max(x, least), most), Min(Max(y, least), most));
}

static bool
passes(const asked *a, const value *row, bool by_codes)
{
	const Oid	type = column_types[a->column];
	const bool	is_null = row[a->column].is_null;

	if (a->question == ASKED_NULL || a->question == ASKED_NOT_NULL)
		return is_null == (a->question == ASKED_NULL);
	for (int i = 0; i < a->count; i++)
	{
		const int64 x = row[a->column].number;
		const int64 y = a->values[i].number;

		if (!is_null && !a->values[i].is_null &&
			(by_codes ? compare_codes(type, a->strategy, x, y) : compare(a->strategy, x, y)))
			return true;
	}
	return false;
}

/* A hash says nothing of what is not equality, unless that is with NULL. */
static bool
may_pass(const asked *a, const value *row)
{
	const bool	is_comparison = a->question == ASKED_ONE || a->question == ASKED_ANY;
	const bool	with_null = a->question == ASKED_ONE && a->values[0].is_null;

	if (column_types[a->column] == HASHED_TYPE && a->strategy != BTEqualStrategyNumber &&
		is_comparison && !with_null)
		return true;
	return passes(a, row, true);
}

static ek_geometry
make_geometry(Relation index)
{
	ek_meta		meta = {.format = EK_FORMAT_4,.dims = 8,.steps = 1,.first_block = 1};

	ek_describe_columns(index, &meta);
	return ek_geometry_of(&meta);
}

static void
store_row(Relation index, const ek_geometry *geometry, const value *row, Page page, uint32 slot)
{
	Datum		values[FILTERS + 1] = {0};
	bool		is_null[FILTERS + 1] = {false};
	uint64		codes[EK_MOST_FILTERS];
	uint64		fetched[EK_MOST_FILTERS];
	const ek_place place = {.filter_slot = slot};

	for (int i = 0; i < FILTERS; i++)
	{
		values[i + 1] = to_datum(column_types[i], row[i].number);
		is_null[i + 1] = row[i].is_null;
	}
	ek_encode_filters(index, values, is_null, codes);
	ek_store_filters(geometry, codes, page, &place);
	ek_fetch_filters(geometry, page, &place, fetched);
	if (memcmp(codes, fetched, sizeof(uint64) * FILTERS) != 0)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	static PGAlignedBlock block;
	input		from = {bytes, size};
	Relation	index = make_index();
	const ek_geometry geometry = make_geometry(index);
	const uint32 slot = take_below(&from, geometry.filter_per_page / EK_LANES - GROUPS + 1) * EK_LANES;
	asked		questions[MOST_KEYS];
	ScanKeyData keys[MOST_KEYS];
	IndexScanDescData scan = {.indexRelation = index,.keyData = keys};
	value		rows[ROWS][FILTERS];
	uint16		masks[GROUPS];

	scan.numberOfKeys = 1 + (int) take_below(&from, MOST_KEYS);
	for (int i = 0; i < scan.numberOfKeys; i++)
	{
		questions[i] = take_question(&from);
		keys[i] = key_of(&questions[i]);
	}
	memset(block.data, 0xA5, BLCKSZ);
	for (int i = 0; i < ROWS; i++)
	{
		for (int j = 0; j < FILTERS; j++)
			rows[i][j] = take_value(&from, column_types[j]);
		store_row(index, &geometry, rows[i], block.data, slot + (uint32) i);
	}
	ek_pass_groups(&geometry, ek_conditions_create(&scan), block.data, slot, GROUPS, 0, masks);

	for (int i = 0; i < ROWS; i++)
	{
		const bool	has_passed = (masks[i / EK_LANES] >> i % EK_LANES & 1) != 0;
		bool		should = true;
		bool		may = true;

		for (int j = 0; j < scan.numberOfKeys; j++)
		{
			should = should && passes(&questions[j], rows[i], false);
			may = may && may_pass(&questions[j], rows[i]);
		}
		if (has_passed != may || (should && !may))
			abort();
	}
	free_palloced();
	return 0;
}
