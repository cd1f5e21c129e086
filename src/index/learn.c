/*
 * learn.c
 *		A better basis for an index that is there.
 *
 * An index that was created empty has no basis, and one whose table has other vectors
 * than it had does not have the right one.  VACUUM finds out, of its own accord or
 * that of autovacuum, and goes over to a basis of the vectors of now: it writes that
 * beside the one in use, from when on new pages have it; exchanges the coarse codes of
 * every other page, each in a WAL record; and takes the old basis away.  A page says
 * which basis its codes are in, so it does not matter when a scan, an insert or a
 * crash comes in between, and the next VACUUM goes on where one ended.
 *
 * The table is not read.  What a fine code stands for is close to its vector, the
 * certificate says how close, and so is a coarse code of it: see ek_coarse_header.
 *
 * Whether it is worth while to look is told by the residuals of the coarse codes,
 * which are what a basis makes small, and by how much the index has grown; whether to
 * go over, by what scans would pay.
 */
#include "postgres.h"

#include <math.h>

#include "commands/vacuum.h"
#include "miscadmin.h"
#include "utils/memutils.h"

#include "index/index.h"
#include "vector/encode.h"

/* When to go over to it: it must take no more than this of what scans pay now. */
#define WORTH_WHILE			0.9

typedef struct learner
{
	Relation	index;
	BufferAccessStrategy strategy;
	ek_meta		meta;			/* as it was read last */
	ek_geometry geometry;
	ek_survey	survey;
	uint32		sampled;		/* vectors that a better basis was found from */
	bool		cramped;		/* longer codes would be better */

	/* while pages are recoded */
	const ek_basis *basis;
	ek_encoder *encoder;
	uint32		pages;
	char	   *rows;			/* those of a coarse page, as they were encoded */
	bool	   *is_vector;
	ek_encoded *encoded;
} learner;

static void
set_meta(learner *l, const ek_meta *meta)
{
	l->meta = *meta;
	l->geometry = ek_geometry_of(&l->meta);
	l->pages = ek_coarse_pages(&l->meta, &l->geometry);
}

static Buffer
lock_page(learner *l, BlockNumber block, int lock, ek_page_kind kind)
{
	Buffer		buffer = ReadBufferExtended(l->index, MAIN_FORKNUM, block, RBM_NORMAL, l->strategy);

	LockBuffer(buffer, lock);
	ek_require_page(l->index, buffer, kind, &l->geometry);
	return buffer;
}

/*
 * The metapage
 */

typedef void (*change) (learner *l, ek_meta *meta);

static void
change_meta(learner *l, change how)
{
	Buffer		buffer = ek_read_page(l->index, EK_META_BLOCK, BUFFER_LOCK_EXCLUSIVE, EK_PAGE_META,
									  NULL);
	GenericXLogState *state = GenericXLogStart(l->index);
	Page		page = GenericXLogRegisterBuffer(state, buffer, 0);

	how(l, ek_meta_on(page));
	set_meta(l, ek_meta_on(page));
	ek_page_seal(page);
	GenericXLogFinish(state);
	UnlockReleaseBuffer(buffer);
}

static void
remember_try(learner *l, ek_meta *meta)
{
	meta->tried = (uint32) Min(l->survey.vectors, (double) PG_UINT32_MAX);
	meta->tried_residual = (float) l->survey.residual;
	meta->cramped = l->cramped;
}

/* The slot that the basis in use is not in. */
static ek_basis_slot *
other_slot(ek_meta *meta)
{
	return &meta->slots[meta->slots[0].id == meta->current && meta->current != 0 ? 1 : 0];
}

/* Room for a basis comes where a stretch would begin that has not begun. */
static void
make_room(learner *l pg_attribute_unused(), ek_meta *meta)
{
	const ek_geometry geometry = ek_geometry_of(meta);
	ek_basis_slot *slot = other_slot(meta);

	if (slot->block != 0)
		return;
	slot->from = ek_next_stretch(&geometry, ek_coarse_pages(meta, &geometry));
	slot->block = ek_stretch_block(&geometry, slot->from);
}

static void
describe(const learner *l, ek_meta *meta)
{
	ek_basis_slot *slot = other_slot(meta);

	slot->id = meta->current + 1;
	slot->coarse_dims = (uint8) l->basis->coarse_dims;
	slot->steps4 = (uint8) l->basis->steps4;
	slot->steps2 = (uint8) l->basis->steps2;
}

/* From here on new pages are in this basis, and others are to be. */
static void
publish(learner *l, ek_meta *meta)
{
	describe(l, meta);
	meta->current++;
	meta->sampled = l->sampled;
	meta->recoding = 1;
}

/* No page has codes in another basis than the current one. */
static void
retire(learner *l pg_attribute_unused(), ek_meta *meta)
{
	ek_basis_slot *slot = other_slot(meta);

	slot->id = 0;
	slot->coarse_dims = slot->steps4 = slot->steps2 = 0;
	meta->recoding = 0;
}

/*
 * Recoding
 */

/* Copies the rows of the entries of a coarse page that are vectors. */
static void
copy_rows(learner *l, uint32 number)
{
	const ek_geometry *g = &l->geometry;
	const uint32 first = number * g->coarse_per_page;

	for (uint32 i = 0; i < g->coarse_per_page;)
	{
		const ek_row_page rows = ek_row_page_of(g, first + i);
		Buffer		buffer = InvalidBuffer;

		for (; first + i < rows.end; i++)
		{
			const ek_place place = ek_place_of(g, first + i);

			if (!l->is_vector[i])
				continue;
			if (!BufferIsValid(buffer))
				buffer = lock_page(l, rows.block, BUFFER_LOCK_SHARE, EK_PAGE_FINE);
			memcpy(l->rows + i * g->fine_size,
				   ek_page_bytes(BufferGetPage(buffer)) + place.fine_slot * g->fine_size,
				   g->fine_size);
		}
		if (BufferIsValid(buffer))
			UnlockReleaseBuffer(buffer);
	}
}

/* Which entries are vectors; false if there is nothing to do. */
static bool
find_vectors(learner *l, Page page)
{
	if (ek_page_opaque_of(page)->count == l->basis->id)
		return false;
	for (uint32 i = 0; i < l->geometry.coarse_per_page; i++)
		l->is_vector[i] = ek_coarse_state(&l->geometry, page, i) == EK_ENTRY_VECTOR;
	return true;
}

static void
encode_row(learner *l, uint32 number, uint32 i)
{
	char	   *row = l->rows + i * l->geometry.fine_size;
	ek_row_header *header = (ek_row_header *) row;
	ek_certificate *fine = (ek_certificate *) (header + 1);
	uint8	   *coarse = l->encoded[i].coarse;

	/* a page's slack would be too small for others, too */
	if ((header->state != EK_ENTRY_VECTOR && header->state != EK_ENTRY_ZERO) ||
		!isfinite(fine->scale) || !isfinite(fine->residual))
		ek_raise_corrupted_block(l->index,
								 ek_row_page_of(&l->geometry, number * l->geometry.coarse_per_page + i).block,
								 "an entry has no fine code that another coarse code could be made of");
	l->encoded[i] = *ek_recode(l->encoder, (ek_entry_state) header->state, header->norm, fine,
							   ek_fine_codes(fine));
	memcpy(coarse, l->encoded[i].coarse, l->basis->coarse_dims);
	l->encoded[i].coarse = coarse;
}

static void
encode_rows(learner *l, uint32 number)
{
	for (uint32 i = 0; i < l->geometry.coarse_per_page; i++)
	{
		if (l->is_vector[i])
			encode_row(l, number, i);
	}
}

/* With the coarse page locked: what others have changed is encoded again. */
static void
encode_changed_rows(learner *l, uint32 number, Page page)
{
	const Size	size = l->geometry.fine_size;
	const uint32 count = l->geometry.coarse_per_page;
	char	   *before = palloc(count * size);
	bool	   *was_vector = palloc(sizeof(bool) * count);

	memcpy(before, l->rows, count * size);
	memcpy(was_vector, l->is_vector, sizeof(bool) * count);
	find_vectors(l, page);
	copy_rows(l, number);
	for (uint32 i = 0; i < count; i++)
	{
		if (l->is_vector[i] &&
			(!was_vector[i] || memcmp(before + i * size, l->rows + i * size, size) != 0))
			encode_row(l, number, i);
	}
	pfree(was_vector);
	pfree(before);
}

/* How far vectors may be from what their fine codes stand for. */
static float
slack_of(const learner *l)
{
	double		most = 0.0;

	for (uint32 i = 0; i < l->geometry.coarse_per_page; i++)
	{
		const ek_row_header *header = (ek_row_header *) (l->rows + i * l->geometry.fine_size);

		if (l->is_vector[i])
			most = Max(most, ek_recode_slack(&l->geometry, (const ek_certificate *) (header + 1)));
	}
	return ek_float_above(most);
}

static void
store_codes(learner *l, Page page)
{
	const ek_geometry *g = &l->geometry;

	memset(ek_codes_on(page), 0, g->groups_per_page * g->group_size);
	for (uint32 i = 0; i < g->coarse_per_page; i++)
	{
		if (l->is_vector[i])
			ek_store_coarse(g, l->basis, &l->encoded[i], page,
							&(ek_place) {.group = i / EK_LANES,.lane = i % EK_LANES});
	}
	ek_page_opaque_of(page)->count = l->basis->id;
	ek_coarse_header_on(page)->slack = slack_of(l);
	ek_page_seal(page);
}

/*
 * Most of the work is done before the page is locked against others: a scan would
 * wait for it.
 */
static void
recode_page(learner *l, uint32 number)
{
	const BlockNumber block = ek_coarse_block(&l->geometry, number);
	Buffer		buffer = lock_page(l, block, BUFFER_LOCK_SHARE, EK_PAGE_COARSE);
	const bool	wanted = find_vectors(l, BufferGetPage(buffer));
	GenericXLogState *state;

	LockBuffer(buffer, BUFFER_LOCK_UNLOCK);
	if (wanted)
	{
		copy_rows(l, number);
		encode_rows(l, number);
		LockBuffer(buffer, BUFFER_LOCK_EXCLUSIVE);
		encode_changed_rows(l, number, BufferGetPage(buffer));
		state = GenericXLogStart(l->index);
		store_codes(l, GenericXLogRegisterBuffer(state, buffer, GENERIC_XLOG_FULL_IMAGE));
		GenericXLogFinish(state);
		LockBuffer(buffer, BUFFER_LOCK_UNLOCK);
	}
	ReleaseBuffer(buffer);
}

static void
recode(learner *l)
{
	const uint32 count = l->geometry.coarse_per_page;

	l->basis = ek_cache_current(ek_cache_copy(l->index));
	l->encoder = ek_encoder_create(&l->geometry, l->basis);
	l->rows = palloc0(count * l->geometry.fine_size);
	l->is_vector = palloc0(sizeof(bool) * count);
	l->encoded = palloc0(sizeof(ek_encoded) * count);
	for (uint32 i = 0; i < count; i++)
		l->encoded[i].coarse = palloc(l->basis->coarse_dims + 1);
	for (uint32 number = 0; number < l->pages; number++)
	{
		ek_vacuum_delay_point();
		recode_page(l, number);
	}
	change_meta(l, retire);
}

/*
 * Another basis
 */

static void
write_basis(learner *l)
{
	ek_meta		meta = l->meta;
	ek_cache   *cache;
	uint32		pages = ek_slot_pages(meta.dims);
	BlockNumber first = other_slot(&meta)->block;

	describe(l, &meta);
	meta.current++;
	cache = ek_cache_create(CurrentMemoryContext, &meta, 0);
	ek_cache_fill(cache, l->basis);
	/* the server may have crashed, or been a standby, since there was room */
	ek_extend_to(l->index, first + pages - 1);
	for (uint32 number = 0; number < pages; number++)
	{
		Buffer		buffer = ReadBuffer(l->index, first + number);
		GenericXLogState *state;
		Page		page;

		ek_vacuum_delay_point();
		LockBuffer(buffer, BUFFER_LOCK_EXCLUSIVE);
		state = GenericXLogStart(l->index);
		page = GenericXLogRegisterBuffer(state, buffer, GENERIC_XLOG_FULL_IMAGE);
		ek_page_init(page, EK_PAGE_BASIS, NULL);
		ek_store_basis(cache, number, page);
		ek_page_seal(page);
		GenericXLogFinish(state);
		UnlockReleaseBuffer(buffer);
	}
}

/*
 * A basis for the vectors of now, and codes of the length that is best; or, if pages
 * have no room for these, of the best that fits, and a note of it.
 */
static const ek_basis *
find_basis_that_fits(learner *l, const ek_sample *sample)
{
	const int	room = (int) l->meta.steps;
	ek_basis   *best = ek_basis_create(l->meta.dims);
	ek_basis   *fitting;

	ek_find_basis(sample, EK_FORMAT_3, EK_MAX_STEPS, best);
	if (best->steps4 + best->steps2 <= room)
		return best;
	fitting = ek_basis_create(l->meta.dims);
	ek_find_basis(sample, EK_FORMAT_3, room, fitting);
	l->cramped = ek_cost_with(sample, best) < WORTH_WHILE * ek_cost_with(sample, fitting);
	return fitting;
}

/* NULL unless it would be better than what there is. */
static const ek_basis *
find_better_basis(learner *l)
{
	const ek_basis *current = ek_cache_current(ek_cache_copy(l->index));
	const ek_basis *basis;
	ek_sample	sample = {0};
	double		now;
	double		then;

	ek_sample_index(l->index, l->strategy, &l->meta, l->survey.vectors,
					CurrentMemoryContext, &sample);
	l->sampled = (uint32) sample.count;
	basis = find_basis_that_fits(l, &sample);
	if (basis->coarse_dims == 0)
		return NULL;
	now = ek_cost_with(&sample, current);
	then = ek_cost_with(&sample, basis);
	elog(DEBUG1, "index \"%s\": a scan takes %.1f ns for each of %.0f vectors, and %.1f with another basis",
		 RelationGetRelationName(l->index), now, l->survey.vectors, then);
	return then <= WORTH_WHILE * now ? basis : NULL;
}

static void
learn(learner *l)
{
	const ek_meta meta = ek_read_meta(l->index);

	/* before the first vector there is no geometry */
	if (meta.format < EK_FORMAT_3 || meta.entries == 0)
		return;
	set_meta(l, &meta);
	/* another session may have begun, and been interrupted */
	ek_cache_forget(l->index);
	if (l->meta.recoding)
		recode(l);
	l->survey = ek_survey_index(l->index, l->strategy, &l->meta);
	if (!ek_wants_basis(&l->meta, &l->survey))
		return;
	l->basis = find_better_basis(l);
	if (l->basis != NULL)
	{
		change_meta(l, make_room);
		write_basis(l);
		change_meta(l, publish);
		ek_cache_forget(l->index);
		recode(l);
		l->survey = ek_survey_index(l->index, l->strategy, &l->meta);
	}
	change_meta(l, remember_try);
}

void
ek_learn(Relation index, BufferAccessStrategy strategy)
{
	learner		l = {.index = index,.strategy = strategy};
	MemoryContext work = AllocSetContextCreate(CurrentMemoryContext, "engramk basis",
											   ALLOCSET_DEFAULT_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(work);

	learn(&l);
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(work);
}
