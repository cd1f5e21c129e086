/*
 * options.c
 *		There is nothing that a user could choose better than the index does.
 *
 * Tools that write statements for indexes of pgvector put its parameters there.  They are
 * taken, so that nothing but the access method has to be changed, and have no effect.
 */
#include "postgres.h"

#include "access/reloptions.h"
#include "lib/stringinfo.h"

#include "index/index.h"

typedef struct index_options
{
	int32		length;			/* see VARSIZE */
	int			values[3];
} index_options;

/* Those of hnsw, and of ivfflat. */
static const char *const ignored[] = {"m", "ef_construction", "lists"};

#define NOT_GIVEN	(-1)

static relopt_kind
kind_of_options(void)
{
	static relopt_kind kind = 0;

	if (kind != 0)
		return kind;
	kind = add_reloption_kind();
	for (size_t i = 0; i < lengthof(ignored); i++)
		add_int_reloption(kind, ignored[i], "Has no effect; for statements that were made for pgvector.",
						  NOT_GIVEN, 0, PG_INT32_MAX, AccessExclusiveLock);
	return kind;
}

static void
say_ignored(const index_options *options)
{
	StringInfoData names;

	initStringInfo(&names);
	for (size_t i = 0; i < lengthof(ignored); i++)
	{
		if (options->values[i] != NOT_GIVEN)
			appendStringInfo(&names, "%s\"%s\"", names.len > 0 ? ", " : "", ignored[i]);
	}
	if (names.len > 0)
		ereport(NOTICE,
				(errmsg("storage parameters without effect on an engramk index: %s", names.data),
				 errdetail("It is exact, and has nothing to tune.")));
}

bytea *
ek_options(Datum reloptions, bool validate)
{
	relopt_parse_elt places[lengthof(ignored)];
	bytea	   *options;

	for (size_t i = 0; i < lengthof(ignored); i++)
		places[i] = (relopt_parse_elt)
	{
		.optname = ignored[i],.opttype = RELOPT_TYPE_INT,
			.offset = (int) (offsetof(index_options, values) + sizeof(int) * i)
	};
	options = build_reloptions(reloptions, validate, kind_of_options(), sizeof(index_options), places,
							   lengthof(ignored));
	if (validate && options != NULL)
		say_ignored((const index_options *) options);
	return options;
}
