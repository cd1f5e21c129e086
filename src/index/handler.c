/*
 * handler.c
 *		The access method, as PostgreSQL asks for it.
 */
#include "postgres.h"

#include "commands/vacuum.h"
#include "fmgr.h"

#include "index/index.h"

PG_FUNCTION_INFO_V1(ek_sql_index_handler);

/*
 * engramk_handler(internal) returns index_am_handler
 */
Datum
ek_sql_index_handler(PG_FUNCTION_ARGS pg_attribute_unused())
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

	PG_RETURN_POINTER(am);
}
