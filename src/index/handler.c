/*
 * handler.c
 *		The access method, as PostgreSQL asks for it; and in which format it builds.
 *
 * Every version of the library reads and writes both formats.  What is built
 * follows the SQL version of the database: the handler of 1.5 says format 2, that
 * of the versions before format 1, so that nothing is built under 1.4 that the
 * library of 1.4 cannot read.
 */
#include "postgres.h"

#include "access/genam.h"
#include "catalog/index.h"
#include "catalog/pg_am.h"
#include "commands/vacuum.h"
#include "fmgr.h"
#include "storage/lmgr.h"

#include "index/index.h"

PG_FUNCTION_INFO_V1(ek_sql_index_handler);
PG_FUNCTION_INFO_V1(ek_sql_index_handler_2);

static IndexAmRoutine *
make_routine(void)
{
	IndexAmRoutine *am = makeNode(IndexAmRoutine);

	am->amstrategies = EK_INDEXED_METRIC_COUNT;
	am->amsupport = 0;
	am->amcanorderbyop = true;
	am->amoptionalkey = true;
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
	return am;
}

/* By its name a build knows that the database is of 1.4 or before. */
static IndexBuildResult *
build_1(Relation heap, Relation index, IndexInfo *info)
{
	return ek_build(heap, index, info);
}

/*
 * engramk_handler(internal) returns index_am_handler, up to 1.4
 */
Datum
ek_sql_index_handler(PG_FUNCTION_ARGS pg_attribute_unused())
{
	IndexAmRoutine *am = make_routine();

	am->ambuild = build_1;
	PG_RETURN_POINTER(am);
}

/*
 * engramk_handler(internal) returns index_am_handler, from 1.5 on
 */
Datum
ek_sql_index_handler_2(PG_FUNCTION_ARGS pg_attribute_unused())
{
	PG_RETURN_POINTER(make_routine());
}

/*
 * The handler is asked anew: a session may have opened the index before an
 * ALTER EXTENSION.  The lock is held until the transaction ends, so that whoever
 * goes back to an older version waits for builds, and finds what they built.
 */
ek_format
ek_format_to_build(Relation index)
{
	const Oid	am = index->rd_rel->relam;

	LockDatabaseObject(AccessMethodRelationId, am, 0, RowExclusiveLock);
	return GetIndexAmRoutineByAmId(am, false)->ambuild == build_1 ? EK_FORMAT_1 : EK_FORMAT_2;
}
