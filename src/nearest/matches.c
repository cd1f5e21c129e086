/*
 * matches.c
 *		Neighbours as SQL sees them: arrays of engram_match or engram_uuid_match.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "port/pg_bswap.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/typcache.h"
#include "utils/uuid.h"

#include "base/rows.h"
#include "base/stats.h"
#include "nearest/matches.h"

static ek_id
id_of_uuid(const pg_uuid_t *uuid)
{
	uint64		halves[2];

	memcpy(halves, uuid->data, UUID_LEN);
	return (ek_id)
	{
		.high = pg_ntoh64(halves[0]),.low = pg_ntoh64(halves[1])
	};
}

ek_id
ek_id_of_datum(ek_id_type ids, Datum datum)
{
	if (ids == EK_ID_UUID)
		return id_of_uuid(DatumGetUUIDP(datum));
	return ek_id_of_bigint(DatumGetInt64(datum));
}

Datum
ek_datum_of_id(ek_id_type ids, ek_id id, pg_uuid_t *uuid)
{
	uint64		halves[2] = {pg_hton64(id.high), pg_hton64(id.low)};

	if (ids == EK_ID_BIGINT)
		return Int64GetDatum(ek_bigint_of_id(id));
	memcpy(uuid->data, halves, UUID_LEN);
	return UUIDPGetDatum(uuid);
}

TupleDesc
ek_match_columns(Oid type, ek_id_type ids)
{
	const Oid	types[] = {INT4OID, ids == EK_ID_UUID ? UUIDOID : INT8OID, FLOAT8OID};
	TupleDesc	columns = lookup_rowtype_tupdesc(type, -1);
	bool		is_ours = columns->natts == lengthof(types);

	for (int i = 0; is_ours && i < (int) lengthof(types); i++)
		is_ours = TupleDescAttr(columns, i)->atttypid == types[i];
	if (!is_ours)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("type %s was altered", format_type_be(type))));
	return columns;
}

/*
 * Which type the ids of a state are of is not in its bytes, but one that takes more than a
 * bigint has room for is none.
 */
static HeapTuple
form_match(const ek_matches *matches, int query, const ek_neighbour *neighbour)
{
	pg_uuid_t	uuid;
	Datum		values[] = {
		Int32GetDatum(query),
		ek_datum_of_id(matches->ids, neighbour->id, &uuid),
		Float8GetDatum(neighbour->distance)
	};
	bool		nulls[lengthof(values)] = {false};

	ek_state_require(matches->aggregate, matches->ids == EK_ID_UUID || neighbour->id.low == 0);
	return heap_form_tuple(matches->columns, values, nulls);
}

/* What each takes in an array: there are no nulls, so all are of one size. */
static Size
size_of_match(const ek_matches *matches)
{
	const ek_neighbour any = {0};
	HeapTuple	match = form_match(matches, 1, &any);
	Size		size = TYPEALIGN(ALIGNOF_DOUBLE, match->t_len);

	heap_freetuple(match);
	return size;
}

ek_matches
ek_matches_begin(FunctionCallInfo fcinfo, ek_aggregate aggregate, ek_id_type ids, int64 count)
{
	const Oid	type = get_element_type(get_func_rettype(fcinfo->flinfo->fn_oid));
	const int	length = (int) Min(count, PG_INT32_MAX);
	ek_matches	matches = {.aggregate = aggregate,.ids = ids};

	if (!OidIsValid(type))
		elog(ERROR, "the result is not declared as an array");
	matches.columns = ek_match_columns(type, ids);
	matches.size_of_match = size_of_match(&matches);
	matches.array = ek_make_array(type, matches.size_of_match, 1, &length);
	if (matches.array == NULL)
	{
		ek_stats_count_error(EK_ERROR_OTHER);
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("an array cannot hold %lld neighbours", (long long) count)));
	}
	matches.next = ARR_DATA_PTR(matches.array);
	return matches;
}

/* Formed where it ends up, since all at once may be many. */
void
ek_matches_put(ek_matches *matches, int query, const ek_neighbour *neighbour)
{
	HeapTuple	match = form_match(matches, query, neighbour);

	memcpy(matches->next, match->t_data, match->t_len);
	matches->next += matches->size_of_match;
	heap_freetuple(match);
}

Datum
ek_matches_end(ek_matches *matches)
{
	ReleaseTupleDesc(matches->columns);
	return PointerGetDatum(matches->array);
}
