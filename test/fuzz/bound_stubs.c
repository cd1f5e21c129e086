/*
 * bound_stubs.c
 *		As much of a PostgreSQL server, and of engramk, as the making of codes and
 *		bounds calls, beside server_stubs.c.
 *
 * What it does not call is missing, as in state_stubs.c.
 */
#include "postgres.h"

#include "storage/bufpage.h"

#include "base/guc.h"
#include "base/level.h"
#include "server_stubs.h"

const ek_kernels *ek_active_kernels = NULL;
double		ek_verify_rate = 0.0;
#ifdef EK_FAULT_INJECTION
int			ek_inject_fault = EK_FAULT_NONE;
#endif

void
PageInit(Page page, Size page_size, Size special_size)
{
	PageHeader	header = (PageHeader) page;

	memset(page, 0, page_size);
	header->pd_lower = SizeOfPageHeaderData;
	header->pd_upper = (LocationIndex) (page_size - MAXALIGN(special_size));
	header->pd_special = header->pd_upper;
	PageSetPageSizeAndVersion(page, page_size, PG_PAGE_LAYOUT_VERSION);
}

/* There is one. */
void
ek_level_raise_none(void)
{
	abort();
}
