/*
 * options.c
 *		There is nothing that a user could choose better than the index does.
 */
#include "postgres.h"

#include "access/reloptions.h"

#include "index/index.h"

bytea *
ek_options(Datum reloptions, bool validate)
{
	static relopt_kind kind = 0;

	if (kind == 0)
		kind = add_reloption_kind();
	return build_reloptions(reloptions, validate, kind, 0, NULL, 0);
}
