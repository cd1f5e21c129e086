/*
 * handler.c
 *		The access method, as PostgreSQL asks for it; and in which format it builds.
 *
 * The library reads and writes every format.  What it builds follows the SQL version
 * of the database, so that nothing is built under 1.4 that the library of 1.4 cannot
 * read.  The handler is the same in every SQL version:
 * PostgreSQL asks it whenever it opens an index anew, for any statement on the
 * table, and a session may still have a library from before an ALTER EXTENSION.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/table.h"
#include "catalog/dependency.h"
#include "catalog/index.h"
#include "catalog/pg_am.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_proc.h"
#include "commands/vacuum.h"
#include "fmgr.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"

#include "index/index.h"

PG_FUNCTION_INFO_V1(ek_sql_index_handler);

/*
 * engramk_handler(internal) returns index_am_handler
 */
Datum
ek_sql_index_handler(PG_FUNCTION_ARGS pg_attribute_unused())
{
	IndexAmRoutine *am = makeNode(IndexAmRoutine);

	am->amstrategies = EK_STRATEGY_COUNT;
	am->amsupport = EK_SUPPORT_COUNT;
	am->amcanorderbyop = true;
	am->amcanmulticol = true;
	am->amoptionalkey = true;
	am->amsearcharray = true;
	am->amsearchnulls = true;
	am->amcanparallel = true;
	am->amkeytype = InvalidOid;
	am->amparallelvacuumoptions = VACUUM_OPTION_PARALLEL_BULKDEL;

	am->ambuild = ek_build;
	am->ambuildempty = ek_build_empty;
	am->aminsert = ek_insert;
	am->ambulkdelete = ek_bulk_delete;
	am->amvacuumcleanup = ek_vacuum_cleanup;
	am->amcostestimate = ek_cost_estimate;
	am->amoptions = ek_options;
	am->ambuildphasename = ek_build_phase_name;
	am->amvalidate = ek_validate;
	am->ambeginscan = ek_scan_begin;
	am->amrescan = ek_scan_rescan;
	am->amgettuple = ek_scan_next;
	am->amendscan = ek_scan_end;
	am->amestimateparallelscan = ek_parallel_size;
	am->aminitparallelscan = ek_parallel_init;
	am->amparallelrescan = ek_parallel_rescan;
	PG_RETURN_POINTER(am);
}

/* Of the versions before 1.5, three have the access method. */
static ek_format
format_of_version(const char *version)
{
	if (strcmp(version, "1.2") == 0 || strcmp(version, "1.3") == 0 || strcmp(version, "1.4") == 0)
		return EK_FORMAT_1;
	if (strcmp(version, "1.5") == 0)
		return EK_FORMAT_2;
	if (strcmp(version, "1.6") == 0)
		return EK_FORMAT_3;
	return strcmp(version, "1.7") == 0 ? EK_FORMAT_4 : EK_FORMAT_5;
}

/* In which format does this version of the extension want indexes? */
static ek_format
format_of_extension(Oid extension)
{
	ek_format	format = EK_FORMAT_5;
	Relation	extensions = table_open(ExtensionRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&key, Anum_pg_extension_oid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(extension));
	scan = systable_beginscan(extensions, ExtensionOidIndexId, true, NULL, 1, &key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
	{
		bool		isnull;
		const Datum version = heap_getattr(tuple, Anum_pg_extension_extversion,
										   RelationGetDescr(extensions), &isnull);

		if (!isnull)
			format = format_of_version(TextDatumGetCString(version));
	}
	systable_endscan(scan);
	table_close(extensions, AccessShareLock);
	return format;
}

/*
 * The lock is held until the transaction ends, so that whoever goes back to an
 * older version waits for builds, and finds what they built.  Whoever had to wait
 * for it sees what the other has committed.
 */
ek_format
ek_format_to_build(Relation index)
{
	ek_format	format;

	LockDatabaseObject(AccessMethodRelationId, index->rd_rel->relam, 0, RowExclusiveLock);
	format = format_of_extension(getExtensionOfObject(ProcedureRelationId, index->rd_amhandler));
	if (ek_type_of(index)->arithmetic != EK_SUMS_IN_DOUBLE)
	{
		if (format < EK_FORMAT_5)
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("this version of engramk has no indexes of other types than real[]"),
					 errhint("ALTER EXTENSION engramk UPDATE.")));
		return EK_FORMAT_5;
	}
	if (IndexRelationGetNumberOfKeyAttributes(index) == 1)
		return Min(format, EK_FORMAT_3);
	if (format < EK_FORMAT_4)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("this version of engramk has no indexes of several columns"),
				 errhint("ALTER EXTENSION engramk UPDATE.")));
	return EK_FORMAT_4;
}
