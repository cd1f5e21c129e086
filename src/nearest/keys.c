/*
 * keys.c
 *		What queries and targets are joined by: which queries have the key of a target.
 *
 * Keys are equal as the type's own = and hash function say, under the collation of
 * their column.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/fmgroids.h"
#include "utils/typcache.h"

#include "base/stats.h"
#include "nearest/keys.h"

/* What is known of one key.  Its queries are counted first, and get their places then. */
typedef struct key_entry
{
	Datum		key;
	uint32		hash;
	int			number;			/* in the order of their first queries */
	char		status;
} key_entry;

#define SH_PREFIX		key_table
#define SH_ELEMENT_TYPE	key_entry
#define SH_KEY_TYPE		Datum
#define SH_KEY			key
#define SH_HASH_KEY(table, k)	hash_key((table)->private_data, k)
#define SH_EQUAL(table, a, b)	are_equal((table)->private_data, a, b)
#define SH_STORE_HASH
#define SH_GET_HASH(table, entry)	(entry)->hash
#define SH_SCOPE		static inline
#define SH_DECLARE
#define SH_DEFINE

struct ek_keys
{
	TypeCacheEntry *type;
	FmgrInfo	hash;
	Oid			collation;
	struct key_table_hash *table;
	int			count;			/* queries */
	int			capacity;
	int		   *numbers;		/* the key of each */
	int		   *ends;			/* once sorted: where the queries of a key end, */
	int			key_count;		/* of so many */
};

static inline uint32
hash_key(const ek_keys *keys, Datum key)
{
	return DatumGetUInt32(FunctionCall1Coll(unconstify(FmgrInfo *, &keys->hash), keys->collation, key));
}

static inline bool
are_equal(const ek_keys *keys, Datum a, Datum b)
{
	return DatumGetBool(FunctionCall2Coll(&keys->type->eq_opr_finfo, keys->collation, a, b));
}

#include "lib/simplehash.h"

/* Queries that there is room for at first; it doubles as they come. */
#define FIRST_QUERIES	64

ek_keys *
ek_keys_create(Oid type, Oid collation)
{
	ek_keys    *keys = palloc0(sizeof(ek_keys));
	Oid			hash_function;

	keys->type = lookup_type_cache(type, TYPECACHE_HASH_PROC | TYPECACHE_EQ_OPR_FINFO);
	/* the cache cannot know of a row of no named type; its function looks at the columns */
	hash_function = type == RECORDOID ? F_HASH_RECORD : keys->type->hash_proc;
	if (!OidIsValid(hash_function) || !OidIsValid(keys->type->eq_opr))
	{
		ek_stats_count_error(EK_ERROR_OTHER);
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_FUNCTION),
				 errmsg("could not identify a hash function for type %s", format_type_be(type))));
	}
	fmgr_info(hash_function, &keys->hash);
	keys->collation = collation;
	keys->table = key_table_create(CurrentMemoryContext, FIRST_QUERIES, keys);
	keys->capacity = FIRST_QUERIES;
	keys->numbers = palloc(sizeof(int) * keys->capacity);
	return keys;
}

void
ek_keys_add(ek_keys *keys, Datum key)
{
	bool		found;
	key_entry  *entry = key_table_insert(keys->table, key, &found);

	if (!found)
	{
		MemoryContext caller = MemoryContextSwitchTo(keys->table->ctx);

		entry->key = keys->type->typlen == -1 ? PointerGetDatum(PG_DETOAST_DATUM_COPY(key)) :
			datumCopy(key, keys->type->typbyval, keys->type->typlen);
		entry->number = keys->key_count++;
		MemoryContextSwitchTo(caller);
	}
	if (keys->count == keys->capacity)
	{
		keys->capacity *= 2;
		keys->numbers = repalloc_huge(keys->numbers, sizeof(int) * (Size) keys->capacity);
	}
	keys->numbers[keys->count++] = entry->number;
}

int *
ek_keys_sort(ek_keys *keys)
{
	int		   *places = MemoryContextAllocHuge(keys->table->ctx, sizeof(int) * (Size) keys->count);
	int		   *next = MemoryContextAllocZero(keys->table->ctx, sizeof(int) * (Size) (keys->key_count + 1));

	for (int q = 0; q < keys->count; q++)
		next[keys->numbers[q] + 1]++;
	for (int key = 0; key < keys->key_count; key++)
		next[key + 1] += next[key];
	for (int q = 0; q < keys->count; q++)
		places[q] = next[keys->numbers[q]]++;
	/* each has arrived where the next one began */
	keys->ends = next;
	return places;
}

ek_range
ek_keys_find(const ek_keys *keys, Datum key)
{
	const key_entry *entry = key_table_lookup(keys->table, key);

	if (entry == NULL)
		return (ek_range) {0, 0};
	return (ek_range)
	{
		.first = entry->number > 0 ? keys->ends[entry->number - 1] : 0,
			.end = keys->ends[entry->number]
	};
}
