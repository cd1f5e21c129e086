/*
 * info.c
 *		Looking into an engramk index: what it holds, and what its scans did.
 */
#include "postgres.h"

#include "access/relation.h"
#include "access/xlog.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/lsyscache.h"

#include "base/rows.h"
#include "base/stats.h"
#include "index/index.h"

PG_FUNCTION_INFO_V1(ek_sql_index_info);
PG_FUNCTION_INFO_V1(ek_sql_index_counts);

Relation
ek_open_index(Oid oid)
{
	Relation	index = relation_open(oid, AccessShareLock);
	AclResult	allowed;

	if (index->rd_rel->relkind != RELKIND_INDEX ||
		index->rd_indam == NULL || index->rd_indam->ambuild != ek_build)
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

/*
 * engram_index_info(index regclass)
 * returns record (dimensions integer, vectors bigint, dead bigint,
 *				   bytes_per_vector double precision, basis integer,
 *				   coarse_bits integer, sampled integer, pages bigint)
 *
 * vectors counts entries in use, NULLs among them unless they came before the
 * first vector; dead counts those that wait to be used again.
 */
Datum
ek_sql_index_info(PG_FUNCTION_ARGS)
{
	Relation	index = ek_open_index(PG_GETARG_OID(0));
	ek_meta		meta = ek_read_meta(index);
	BlockNumber pages = RelationGetNumberOfBlocks(index);
	uint32		used = meta.entries - meta.free_entries;
	Datum		values[8] = {
		Int32GetDatum((int32) meta.dims),
		Int64GetDatum(used),
		Int64GetDatum(meta.free_entries),
		Float8GetDatum(used == 0 ? 0.0 : (double) pages * BLCKSZ / used),
		Int32GetDatum((int32) meta.coarse_dims),
		Int32GetDatum(meta.coarse_dims == 0 ? 0 : 8),
		Int32GetDatum((int32) meta.sampled),
		Int64GetDatum(pages)
	};

	relation_close(index, AccessShareLock);
	PG_RETURN_DATUM(ek_make_single_row(fcinfo, values));
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
