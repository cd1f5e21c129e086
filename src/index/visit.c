/*
 * visit.c
 *		The rows of an index scan that pass its filter, in order of their distances,
 *		as long as it has not cost too much.
 *
 * PostgreSQL's own loop over an index that gives bounds computes the distance of every
 * row that it visits and keeps a copy until its turn has come; only then does it look at
 * the filter.  This one looks first: what does not pass costs neither.  It goes on from
 * the state of PostgreSQL's node, which has the keys, the filter and the slots, and
 * which EXPLAIN shows.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/relscan.h"
#include "access/tableam.h"
#include "executor/executor.h"
#include "lib/pairingheap.h"
#include "miscadmin.h"
#include "utils/float.h"

#include "index/index.h"

/* A row that passed, and waits until no other can come before it. */
typedef struct waiting_row
{
	pairingheap_node node;
	double		distance;
	bool		is_null;		/* the distance; these come last */
	HeapTuple	tuple;
} waiting_row;

struct ek_visits
{
	IndexScanState *scan;
	ek_work_limit limit;
	pairingheap *waiting;
	bool		at_end;			/* of the index: or else what follows has */
	double		bound;			/* at least this distance, */
	bool		bound_is_null;	/* or none */
};

static int
compare_distances(double a, bool a_is_null, double b, bool b_is_null)
{
	if (a_is_null || b_is_null)
		return (int) a_is_null - (int) b_is_null;
	return float8_cmp_internal(a, b);
}

/* The first is on top. */
static int
compare_rows(const pairingheap_node *a, const pairingheap_node *b, void *arg pg_attribute_unused())
{
	const waiting_row *x = pairingheap_const_container(waiting_row, node, a);
	const waiting_row *y = pairingheap_const_container(waiting_row, node, b);

	return compare_distances(y->distance, y->is_null, x->distance, x->is_null);
}

ek_visits *
ek_visits_create(IndexScanState *scan, const ek_work_limit *limit)
{
	ek_visits  *visits = palloc0(sizeof(ek_visits));

	visits->scan = scan;
	visits->limit = *limit;
	visits->waiting = pairingheap_allocate(compare_rows, NULL);
	visits->bound = -get_float8_infinity();
	return visits;
}

/* As PostgreSQL would, but that the scan is told when to stop. */
static void
begin(ek_visits *visits)
{
	IndexScanState *scan = visits->scan;

	scan->iss_ScanDesc = index_beginscan(scan->ss.ss_currentRelation, scan->iss_RelationDesc,
										 scan->ss.ps.state->es_snapshot,
#if PG_VERSION_NUM >= 180000
										 &scan->iss_Instrument,
#endif
										 scan->iss_NumScanKeys, scan->iss_NumOrderByKeys);
	ek_scan_limit(scan->iss_ScanDesc, &visits->limit);
	if (scan->iss_NumRuntimeKeys == 0 || scan->iss_RuntimeKeysReady)
		index_rescan(scan->iss_ScanDesc, scan->iss_ScanKeys, scan->iss_NumScanKeys,
					 scan->iss_OrderByKeys, scan->iss_NumOrderByKeys);
}

/* Keeps the row in the slot, if it passes. */
static void
keep(ek_visits *visits, TupleTableSlot *slot)
{
	IndexScanState *scan = visits->scan;
	ExprContext *econtext = scan->ss.ps.ps_ExprContext;
	MemoryContext caller;
	waiting_row *row;
	Datum		distance;
	bool		is_null;

	econtext->ecxt_scantuple = slot;
	ResetExprContext(econtext);
	if (scan->iss_ScanDesc->xs_recheck && !ExecQual(scan->indexqualorig, econtext))
	{
		InstrCountFiltered2(scan, 1);
		return;
	}
	if (!ExecQual(scan->ss.ps.qual, econtext))
	{
		InstrCountFiltered1(scan, 1);
		return;
	}
	distance = ExecEvalExprSwitchContext(linitial(scan->indexorderbyorig), econtext, &is_null);

	caller = MemoryContextSwitchTo(scan->ss.ps.state->es_query_cxt);
	row = palloc(sizeof(waiting_row));
	row->is_null = is_null;
	row->distance = is_null ? 0.0 : DatumGetFloat8(distance);
	row->tuple = ExecCopySlotHeapTuple(slot);
	MemoryContextSwitchTo(caller);
	if (compare_distances(row->distance, is_null, visits->bound, visits->bound_is_null) < 0)
		elog(ERROR, "index returned tuples in wrong order");
	pairingheap_add(visits->waiting, &row->node);
}

/* Visits the next row of the index. */
static void
visit_next(ek_visits *visits)
{
	IndexScanDesc desc = visits->scan->iss_ScanDesc;
	TupleTableSlot *slot = visits->scan->ss.ss_ScanTupleSlot;

	CHECK_FOR_INTERRUPTS();
	if (!index_getnext_slot(desc, ForwardScanDirection, slot))
	{
		visits->at_end = true;
		return;
	}
	visits->bound = DatumGetFloat8(desc->xs_orderbyvals[0]);
	visits->bound_is_null = desc->xs_orderbynulls[0];
	keep(visits, slot);
}

/* May the row on top be returned? */
static bool
is_next(const ek_visits *visits)
{
	const waiting_row *top;

	if (pairingheap_is_empty(visits->waiting))
		return false;
	top = pairingheap_container(waiting_row, node, pairingheap_first(visits->waiting));
	return visits->at_end ||
		compare_distances(top->distance, top->is_null, visits->bound, visits->bound_is_null) <= 0;
}

static TupleTableSlot *
take_next(ek_visits *visits)
{
	ScanState  *ss = &visits->scan->ss;
	waiting_row *row = pairingheap_container(waiting_row, node,
											 pairingheap_remove_first(visits->waiting));
	const ItemPointerData tid = row->tuple->t_self;

	ExecForceStoreHeapTuple(row->tuple, ss->ss_ScanTupleSlot, true);
	/* in some releases the place of the row is lost there */
	ss->ss_ScanTupleSlot->tts_tid = tid;
	ss->ss_ScanTupleSlot->tts_tableOid = RelationGetRelid(ss->ss_currentRelation);
	pfree(row);
	if (ss->ps.ps_ProjInfo == NULL)
		return ss->ss_ScanTupleSlot;
	ss->ps.ps_ExprContext->ecxt_scantuple = ss->ss_ScanTupleSlot;
	ResetExprContext(ss->ps.ps_ExprContext);
	return ExecProject(ss->ps.ps_ProjInfo);
}

TupleTableSlot *
ek_visits_next(ek_visits *visits)
{
	PlanState  *ps = &visits->scan->ss.ps;
	TupleTableSlot *result = NULL;

	if (ps->chgParam != NULL ||
		(visits->scan->iss_NumRuntimeKeys != 0 && !visits->scan->iss_RuntimeKeysReady))
		ExecReScan(ps);
	if (ps->instrument != NULL)
		InstrStartNode(ps->instrument);
	if (visits->scan->iss_ScanDesc == NULL)
		begin(visits);
	while (!visits->at_end && !is_next(visits))
		visit_next(visits);
	if (is_next(visits) && !ek_visits_stopped(visits))
		result = take_next(visits);
	if (ps->instrument != NULL)
		InstrStopNode(ps->instrument, result == NULL ? 0.0 : 1.0);
	return result;
}

bool
ek_visits_stopped(const ek_visits *visits)
{
	return visits->at_end && ek_scan_stopped(visits->scan->iss_ScanDesc);
}

void
ek_visits_rescan(ek_visits *visits)
{
	while (!pairingheap_is_empty(visits->waiting))
	{
		waiting_row *row = pairingheap_container(waiting_row, node,
												 pairingheap_remove_first(visits->waiting));

		heap_freetuple(row->tuple);
		pfree(row);
	}
	visits->at_end = false;
	visits->bound = -get_float8_infinity();
	visits->bound_is_null = false;
}
