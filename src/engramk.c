/*
 * engramk.c
 *		The module: magic, and what happens when the library is loaded.
 *
 * Nothing has to be preloaded: the first call of one of its functions loads the
 * library, and the planner calls one for each table that has an index of ours.  _PG_init must not raise an error: the library
 * would stay mapped without being registered.
 */
#include "postgres.h"

#include "access/xact.h"
#include "fmgr.h"

#include "base/guc.h"
#include "base/level.h"
#include "base/stats.h"
#include "index/index.h"

PG_MODULE_MAGIC;

extern PGDLLEXPORT void _PG_init(void);

/* Whatever this backend has counted is for all to see between transactions. */
static void
at_transaction_end(XactEvent event, void *arg pg_attribute_unused())
{
	switch (event)
	{
		case XACT_EVENT_COMMIT:
		case XACT_EVENT_PARALLEL_COMMIT:
		case XACT_EVENT_ABORT:
		case XACT_EVENT_PARALLEL_ABORT:
		case XACT_EVENT_PREPARE:
			ek_stats_publish();
			break;
		case XACT_EVENT_PRE_COMMIT:
		case XACT_EVENT_PARALLEL_PRE_COMMIT:
		case XACT_EVENT_PRE_PREPARE:
			break;
	}
}

void
_PG_init(void)
{
	ek_level_init();
	ek_level_observer = ek_stats_show_level;
	ek_guc_init();
	/* after the parameters, so that the level it shows is the right one */
	ek_stats_init();
	ek_cost_init();
	RegisterXactCallback(at_transaction_end, NULL);
}
