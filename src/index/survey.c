/*
 * survey.c
 *		How an index is doing, by some of its coarse pages; and why a scan is slower than
 *		it could be, in words.
 *
 * A thousand pages are looked at, or all if there are fewer, so what it costs has a
 * limit.  VACUUM asks before it looks for another basis, monitoring asks at any time,
 * and both get the same answer.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/relation.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"

#include "base/scratch.h"
#include "index/index.h"

PG_FUNCTION_INFO_V1(ek_sql_index_slow_because);

/* Coarse pages that are looked at, at most. */
#define SURVEYED_PAGES		1000

/* Without a basis so few vectors are compared in no time. */
#define LEAST_VECTORS		1000

/*
 * When to look for another basis: with so many times as many vectors as when that was
 * done last, or with residuals so much larger.  A residual is what a bound is too high
 * by, so survivors go up much faster.  Smaller ones do not say that all is well: vectors
 * that are close to each other have them, and neighbours that are closer still.
 */
#define GROWTH_WITHOUT		1.5
#define GROWTH_WITH			4.0
#define LARGER_RESIDUALS	1.03
#define SMALLER_RESIDUALS	0.8

/* So many of the entries that a pass reads may be free. */
#define MOST_HOLES			0.2

/* What exchanged codes have in their residuals beside, of the most that it is on a page. */
#define USUAL_SLACK			0.75

/*
 * Of the vectors of a page, if their codes are in the current basis.  What the residuals
 * of exchanged codes cover beside is left out, or it would seem that the vectors that
 * come later are closer to the basis.
 */
static void
add_residuals(const ek_geometry *geometry, const ek_basis *basis, Page page, ek_survey *survey)
{
	const ek_coarse_header *header = ek_coarse_header_on(page);
	const uint32 begun = Min(header->begun, geometry->coarse_per_page);
	const double slack = basis->coarse_dims > 0 && basis->header->usual_weight > 0.0f ?
		USUAL_SLACK * header->slack / basis->header->usual_weight : 0.0;

	if (ek_page_opaque_of(page)->count != geometry->basis_id)
		return;
	for (uint32 i = 0; i < begun; i++)
	{
		if (ek_coarse_state(geometry, page, i) != EK_ENTRY_VECTOR)
			continue;
		survey->residual += Max(0.0, ek_known_residual(ek_coarse_residual(geometry, page, i)) - slack);
		survey->coded += 1.0;
	}
}

static void
survey_page(Relation index, BufferAccessStrategy strategy, const ek_geometry *geometry,
			const ek_basis *basis, uint32 number, ek_survey *survey)
{
	Buffer		buffer = ReadBufferExtended(index, MAIN_FORKNUM, ek_coarse_block(geometry, number),
											RBM_NORMAL, strategy);
	Page		page = BufferGetPage(buffer);
	const ek_coarse_header *header = ek_coarse_header_on(page);

	LockBuffer(buffer, BUFFER_LOCK_SHARE);
	ek_require_page(index, buffer, EK_PAGE_COARSE, geometry);
	survey->begun += Min(header->begun, geometry->coarse_per_page);
	survey->vectors += header->vectors;
	survey->nulls += header->nulls;
	add_residuals(geometry, basis, page, survey);
	UnlockReleaseBuffer(buffer);
}

ek_survey
ek_survey_index(Relation index, BufferAccessStrategy strategy, const ek_meta *meta)
{
	const ek_geometry geometry = ek_geometry_of(meta);
	const ek_live_pages live = ek_find_live_pages(index, meta, &geometry);
	const ek_basis *basis = ek_cache_current(ek_cache_get(index));
	const uint32 step = Max(1, live.count / SURVEYED_PAGES);
	ek_survey	survey = {0};
	uint32		looked = 0;

	for (uint32 i = 0; i < live.count; i += step, looked++)
	{
		CHECK_FOR_INTERRUPTS();
		survey_page(index, strategy, &geometry, basis, ek_live_page(&live, i), &survey);
	}
	survey.residual /= Max(survey.coded, 1.0);
	survey.vectors *= (double) live.count / Max(looked, 1);
	survey.nulls *= (double) live.count / Max(looked, 1);
	survey.begun *= (double) live.count / Max(looked, 1);
	return survey;
}

bool
ek_wants_basis(const ek_meta *meta, const ek_survey *survey)
{
	if (survey->vectors < LEAST_VECTORS)
		return false;
	if (meta->current == 0)
		return survey->vectors >= GROWTH_WITHOUT * meta->tried;
	return survey->vectors >= GROWTH_WITH * meta->tried ||
		survey->residual > LARGER_RESIDUALS * meta->tried_residual ||
		survey->residual < SMALLER_RESIDUALS * meta->tried_residual;
}

/* Is a scan of this session without the memory that it is expected to take? */
static bool
has_small_arena(Relation index)
{
	const ek_basis *basis = ek_cache_current(ek_cache_get(index));

	return basis->coarse_dims > 0 && ek_scan_bytes(basis) > ek_scratch_size();
}

static int
find_reasons(Relation index, const char **reasons)
{
	const ek_meta meta = ek_read_meta(index);
	ek_survey	survey;
	int			count = 0;

	if (meta.dims == 0)
		return 0;
	if (meta.format < EK_FORMAT_3)
	{
		reasons[count++] = "old format";
		return count;
	}
	ek_cache_refresh(index, &meta);
	survey = ek_survey_index(index, NULL, &meta);
	if (ek_wants_basis(&meta, &survey))
		reasons[count++] = meta.current == 0 ? "no basis" : "another basis";
	if (meta.recoding)
		reasons[count++] = "recoding";
	if (meta.cramped)
		reasons[count++] = "short codes";
	if (survey.begun - survey.vectors - survey.nulls > MOST_HOLES * survey.begun)
		reasons[count++] = "holes";
	if (has_small_arena(index))
		reasons[count++] = "small arena";
	return count;
}

ArrayType *
ek_slow_because(Relation index)
{
	const char *reasons[8];
	Datum		texts[8];
	const int	count = find_reasons(index, reasons);

	for (int i = 0; i < count; i++)
		texts[i] = CStringGetTextDatum(reasons[i]);
	return construct_array(texts, count, TEXTOID, -1, false, TYPALIGN_INT);
}

/*
 * engram_index_slow_because(index regclass) returns text[]
 *
 * Empty if a scan is as fast as it could be.  NULL if that cannot be told: somebody
 * has locked the index, or it is gone; it belongs to another session, or to this
 * server's primary; or the user may not read the table.  So it can be asked of every
 * index of a database.
 */
Datum
ek_sql_index_slow_because(PG_FUNCTION_ARGS)
{
	const Oid	oid = PG_GETARG_OID(0);
	Relation	index;
	ArrayType  *reasons = NULL;

	if (!ConditionalLockRelationOid(oid, AccessShareLock))
		PG_RETURN_NULL();
	index = try_relation_open(oid, NoLock);
	if (index == NULL)
	{
		UnlockRelationOid(oid, AccessShareLock);
		PG_RETURN_NULL();
	}
	if (ek_is_ours(index) && ek_is_readable(index) &&
		pg_class_aclcheck(index->rd_index->indrelid, GetUserId(), ACL_SELECT) == ACLCHECK_OK)
		reasons = ek_slow_because(index);
	relation_close(index, AccessShareLock);
	if (reasons == NULL)
		PG_RETURN_NULL();
	PG_RETURN_ARRAYTYPE_P(reasons);
}
