/*
 * engramk.c
 *		The module: magic, and what happens when the library is loaded.
 *
 * Nothing is hooked and nothing is shared between backends, so the library
 * needs no preloading: the first call of one of its functions loads it.
 * _PG_init must not raise an error: the library would stay mapped without
 * being registered.
 */
#include "postgres.h"

#include "fmgr.h"

#include "guc.h"
#include "level.h"

PG_MODULE_MAGIC;

extern PGDLLEXPORT void _PG_init(void);

void
_PG_init(void)
{
	ek_level_init();
	ek_guc_init();
}
