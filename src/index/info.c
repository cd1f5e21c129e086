/*
 * info.c
 *		Looking into an engramk index: what it holds, and what its scans did.
 */
#include "postgres.h"

#include <math.h>

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "access/table.h"
#include "access/xlog.h"
#include "catalog/dependency.h"
#include "catalog/namespace.h"
#include "catalog/pg_am.h"
#include "catalog/pg_class.h"
#include "catalog/pg_opclass.h"
#include "catalog/pg_type.h"
#include "commands/defrem.h"
#include "commands/extension.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "nodes/pg_list.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"

#include "base/rows.h"
#include "base/stats.h"
#include "index/index.h"

PG_FUNCTION_INFO_V1(ek_sql_index_info);
PG_FUNCTION_INFO_V1(ek_sql_index_info_1_5);
PG_FUNCTION_INFO_V1(ek_sql_index_info_1_6);
PG_FUNCTION_INFO_V1(ek_sql_index_counts);
PG_FUNCTION_INFO_V1(ek_sql_filter_counts);
PG_FUNCTION_INFO_V1(ek_sql_require_format);

bool
ek_is_ours(Relation index)
{
	return index->rd_rel->relkind == RELKIND_INDEX &&
		index->rd_indam != NULL && index->rd_indam->amgettuple == ek_scan_next;
}

bool
ek_is_readable(Relation index)
{
	return !RELATION_IS_OTHER_TEMP(index) &&
		(!RecoveryInProgress() || RelationIsPermanent(index)) &&
		RelationGetNumberOfBlocks(index) > 0;
}

Relation
ek_open_index(Oid oid)
{
	Relation	index = relation_open(oid, AccessShareLock);
	AclResult	allowed;

	if (!ek_is_ours(index))
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" is not an engramk index", RelationGetRelationName(index))));
	if (RELATION_IS_OTHER_TEMP(index))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot access temporary indexes of other sessions")));
	/* there it has no pages, not even the first */
	if (RecoveryInProgress() && !RelationIsPermanent(index))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot access temporary or unlogged relations during recovery")));

	allowed = pg_class_aclcheck(index->rd_index->indrelid, GetUserId(), ACL_SELECT);
	if (allowed != ACLCHECK_OK)
		aclcheck_error(allowed, OBJECT_TABLE, get_rel_name(index->rd_index->indrelid));
	return index;
}

/* {bits of each coordinate}, by width: how many coordinates have 8, 6, 4 and 2 bits. */
static Datum
count_widths(const ek_cache *cache)
{
	int			lengths[1] = {5};
	ArrayType  *array = ek_make_array(INT4OID, sizeof(int32), 1, lengths);
	int32	   *counts = (int32 *) ARR_DATA_PTR(array);
	const ek_basis *basis = ek_cache_current(cache);

	counts[0] = cache->geometry.dims;
	for (int i = 0; i < basis->coarse_dims; i++)
	{
		const uint32 bits = cache->meta.format == EK_FORMAT_1 ? 8 : basis->coordinates[i].bits;

		counts[bits / 2]++;
		counts[0]--;
	}
	return PointerGetDatum(array);
}

/* What an index has entries for, and what waits to be used. */
typedef struct entry_counts
{
	uint64		used;			/* NULLs that came before the first vector left out */
	uint64		dead;
} entry_counts;

/* In format 3 nobody counts all of them but each coarse page its own. */
static entry_counts
count_entries(Relation index, const ek_meta *meta)
{
	entry_counts counts = {meta->entries - meta->free_entries, meta->free_entries};
	ek_geometry geometry;
	uint32		pages;

	if (meta->format < EK_FORMAT_3 || meta->dims == 0)
		return counts;
	geometry = ek_geometry_of(meta);
	pages = ek_coarse_pages(meta, &geometry);
	counts = (entry_counts) {0, 0};
	for (uint32 number = 0; number < pages; number++)
	{
		Buffer		buffer;
		const ek_coarse_header *header;

		CHECK_FOR_INTERRUPTS();
		buffer = ek_read_page(index, ek_coarse_block(&geometry, number), BUFFER_LOCK_SHARE,
							  EK_PAGE_COARSE, &geometry);
		header = ek_coarse_header_on(BufferGetPage(buffer));
		counts.used += header->vectors + header->nulls;
		counts.dead += header->begun - Min(header->begun, header->vectors + header->nulls);
		UnlockReleaseBuffer(buffer);
	}
	return counts;
}

/* Fine codes that a scan has read, on average. */
static double
survivors_of(Oid index)
{
	ek_index_counts counts;

	if (!ek_index_stats_read(index, &counts) || counts.scans == 0)
		return NAN;
	return (double) counts.fine_codes / (double) counts.scans;
}

/* VACUUM may have found a basis since this session read the index. */
static const ek_cache *
up_to_date_cache(Relation index, const ek_meta *meta)
{
	if (meta->format >= EK_FORMAT_3)
		ek_cache_refresh(index, meta);
	return ek_cache_get(index);
}

/*
 * engram_index_info(index regclass)
 * returns record (dimensions integer, vectors bigint, dead bigint,
 *				   bytes_per_vector double precision, basis integer,
 *				   coarse_bits integer, sampled integer, pages bigint,
 *				   format integer, coarse_bytes double precision,
 *				   fine_bytes double precision, widths integer[],
 *				   survivors_expected bigint, survivors double precision,
 *				   basis_vectors bigint, recoding boolean, slow_because text[])
 *
 * vectors counts entries in use, NULLs among them unless they came before the
 * first vector; dead counts those that wait to be used again.  widths has how
 * many dimensions have 0, 2, 4, 6 and 8 bits.  survivors are the fine codes that a
 * scan reads: as the build expected them, and as the statistics count them; NULL
 * before the first scan.  basis_vectors is how many vectors there were when a basis was
 * last looked for.
 */
Datum
ek_sql_index_info_1_6(PG_FUNCTION_ARGS)
{
	Relation	index = ek_open_index(PG_GETARG_OID(0));
	ek_meta		meta = ek_read_meta(index);
	const ek_cache *cache = up_to_date_cache(index, &meta);
	const ek_basis *basis = ek_cache_current(cache);
	BlockNumber pages = RelationGetNumberOfBlocks(index);
	const entry_counts counts = count_entries(index, &meta);
	const int	bits = meta.format == EK_FORMAT_1 ? 8 * basis->coarse_dims :
		32 * (basis->steps4 + basis->steps2);
	const Size	group_size = meta.format == EK_FORMAT_1 ? cache->geometry.group_size : basis->group_size;
	const double survivors = survivors_of(RelationGetRelid(index));
	bool		nulls[17] = {false};
	TupleDesc	columns;
	Datum		values[17] = {
		Int32GetDatum((int32) meta.dims),
		Int64GetDatum((int64) counts.used),
		Int64GetDatum((int64) counts.dead),
		Float8GetDatum(counts.used == 0 ? 0.0 : (double) pages * BLCKSZ / counts.used),
		Int32GetDatum(basis->coarse_dims),
		Int32GetDatum(basis->coarse_dims == 0 ? 0 : bits / basis->coarse_dims),
		Int32GetDatum((int32) meta.sampled),
		Int64GetDatum(pages),
		Int32GetDatum((int32) meta.format),
		Float8GetDatum(meta.dims == 0 ? 0.0 : ek_pass_bytes(&cache->geometry, group_size)),
		Float8GetDatum((double) cache->geometry.fine_size),
		count_widths(cache),
		Int64GetDatum(basis->header == NULL || meta.format == EK_FORMAT_1 ? 0 : basis->header->survivors),
		Float8GetDatum(survivors),
		Int64GetDatum(meta.tried),
		BoolGetDatum(meta.recoding != 0),
		PointerGetDatum(ek_slow_because(index))
	};

	nulls[13] = isnan(survivors);
	relation_close(index, AccessShareLock);
	if (get_call_result_type(fcinfo, NULL, &columns) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(columns), values, nulls)));
}

/*
 * Up to 1.4 the first eight of these columns, and in 1.5 the first 14.  A library of
 * that time would fill in as many of however many SQL declares, so it must not be
 * called for more.
 */
Datum
ek_sql_index_info_1_5(PG_FUNCTION_ARGS)
{
	return ek_sql_index_info_1_6(fcinfo);
}

Datum
ek_sql_index_info(PG_FUNCTION_ARGS)
{
	return ek_sql_index_info_1_6(fcinfo);
}

/*
 * engram_stat_get_index(index oid)
 * returns record (scans bigint, passes bigint, coarse_codes bigint,
 *				   fine_codes bigint, reranked bigint)
 *
 * Since stats_reset; zeros for an index that has not been scanned, and NULLs
 * for one that nobody has room to count.
 */
Datum
ek_sql_index_counts(PG_FUNCTION_ARGS)
{
	ek_index_counts counts;
	Datum		values[5];

	if (!ek_index_stats_read(PG_GETARG_OID(0), &counts))
		PG_RETURN_NULL();
	values[0] = Int64GetDatum((int64) counts.scans);
	values[1] = Int64GetDatum((int64) counts.passes);
	values[2] = Int64GetDatum((int64) counts.coarse_codes);
	values[3] = Int64GetDatum((int64) counts.fine_codes);
	values[4] = Int64GetDatum((int64) counts.returned);
	PG_RETURN_DATUM(ek_make_single_row(fcinfo, values));
}

/*
 * engram_stat_get_filter(index oid) returns record (filter_codes bigint, passed bigint)
 *
 * The same of its filter columns: entries that a scan has looked at, and that passed.
 */
Datum
ek_sql_filter_counts(PG_FUNCTION_ARGS)
{
	ek_index_counts counts;
	Datum		values[2];

	if (!ek_index_stats_read(PG_GETARG_OID(0), &counts))
		PG_RETURN_NULL();
	values[0] = Int64GetDatum((int64) counts.filtered);
	values[1] = Int64GetDatum((int64) counts.passed);
	PG_RETURN_DATUM(ek_make_single_row(fcinfo, values));
}

/* Does this relation have pages of ours that this session can read? */
static bool
is_readable_index(Form_pg_class relation, Oid am)
{
	return relation->relkind == RELKIND_INDEX && relation->relam == am &&
		(relation->relpersistence != RELPERSISTENCE_TEMP ||
		 isTempOrTempToastNamespace(relation->relnamespace));
}

/* Of an index that this session has locked; what is gone has none. */
static bool
has_later_format(Oid oid, uint32 format)
{
	Relation	index = try_relation_open(oid, NoLock);
	bool		later;

	if (index == NULL)
		return false;
	later = RelationGetNumberOfBlocks(index) > 0 && ek_read_meta(index).format > format;
	relation_close(index, NoLock);
	return later;
}

/*
 * Makes a list of the indexes whose format is later, by their names.  Returns an
 * index that somebody has locked against readers, at which it ended; else
 * InvalidOid.
 */
static Oid
find_later_formats(Oid am, uint32 format, List **names)
{
	Oid			locked = InvalidOid;
	Relation	classes = table_open(RelationRelationId, AccessShareLock);
	SysScanDesc scan = systable_beginscan(classes, InvalidOid, false, NULL, 0, NULL);
	HeapTuple	tuple;

	*names = NIL;
	while (!OidIsValid(locked) && HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_class relation = (Form_pg_class) GETSTRUCT(tuple);

		CHECK_FOR_INTERRUPTS();
		if (!is_readable_index(relation, am))
			continue;
		if (!ConditionalLockRelationOid(relation->oid, AccessShareLock))
		{
			locked = relation->oid;
			continue;
		}
		if (has_later_format(relation->oid, format))
			*names = lappend(*names,
							 quote_qualified_identifier(get_namespace_name(relation->relnamespace),
														NameStr(relation->relname)));
		UnlockRelationOid(relation->oid, AccessShareLock);
	}
	systable_endscan(scan);
	table_close(classes, AccessShareLock);
	return locked;
}

static int
compare_names(const ListCell *a, const ListCell *b)
{
	return strcmp(lfirst(a), lfirst(b));
}

/* In order, and with commas. */
static char *
join_names(List *names)
{
	StringInfoData joined;
	ListCell   *cell;

	initStringInfo(&joined);
	list_sort(names, compare_names);
	foreach(cell, names)
	{
		appendStringInfo(&joined, "%s%s", joined.len > 0 ? ", " : "", (char *) lfirst(cell));
	}
	return joined.data;
}

/* What an operator class is part of: its extension, or else its own name. */
static char *
owner_of_class(Form_pg_opclass class)
{
	const Oid	extension = getExtensionOfObject(OperatorClassRelationId, class->oid);

	return OidIsValid(extension) ? get_extension_name(extension) : pstrdup(NameStr(class->opcname));
}

/* What an operator class for vectors of another type than real[] is part of; NULL if there is none. */
static char *
find_other_type(Oid am)
{
	char	   *name = NULL;
	Relation	classes = table_open(OperatorClassRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&key, Anum_pg_opclass_opcmethod, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(am));
	scan = systable_beginscan(classes, OpclassAmNameNspIndexId, true, NULL, 1, &key);
	while (name == NULL && HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_opclass class = (Form_pg_opclass) GETSTRUCT(tuple);

		if (ek_is_type_support(get_opfamily_proc(class->opcfamily, class->opcintype, class->opcintype,
												 EK_TYPE_SUPPORT)))
			name = owner_of_class(class);
	}
	systable_endscan(scan);
	table_close(classes, AccessShareLock);
	return name;
}

static void
require_no_other_types(Oid am)
{
	const char *name = find_other_type(am);

	if (name != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the older version of engramk has no indexes of other types than real[], as \"%s\" needs",
						name),
				 errhint("Drop it first.")));
}

/*
 * engram_require_format(format integer) returns void
 *
 * Raises an error if something is there that a version which knows no later format has no
 * use for: operator classes for other types than real[], and indexes, which it names.
 * Waits for builds, and keeps others from beginning until the transaction ends:
 * see ek_format_to_build().  Whoever has locked an index may be about to build
 * one, so nobody is kept from building while this waits for that lock.  Temporary
 * indexes of other sessions are left out; their sessions go on with the library
 * that they have.
 */
Datum
ek_sql_require_format(PG_FUNCTION_ARGS)
{
	const int32 format = PG_GETARG_INT32(0);
	const Oid	am = get_am_oid("engramk", false);
	List	   *names;
	Oid			locked;

	if (format < EK_FORMAT_5)
		require_no_other_types(am);
	for (;;)
	{
		LockDatabaseObject(AccessMethodRelationId, am, 0, ShareLock);
		locked = find_later_formats(am, (uint32) Max(format, 0), &names);
		if (!OidIsValid(locked))
			break;
		UnlockDatabaseObject(AccessMethodRelationId, am, 0, ShareLock);
		LockRelationOid(locked, AccessShareLock);
		UnlockRelationOid(locked, AccessShareLock);
	}
	if (names != NIL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("there are engramk indexes that the older version cannot read: %s",
						join_names(names)),
				 errdetail("Their format is later than %d.", format),
				 errhint("Drop them, go to the older version, and create them again.")));
	PG_RETURN_VOID();
}
