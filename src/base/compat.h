/*
 * compat.h
 *		What PostgreSQL 14 to 18 spell differently.
 */
#ifndef EK_COMPAT_H
#define EK_COMPAT_H

#include "storage/smgr.h"

/* 16 took the macros of variable-length types out of postgres.h */
#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif

/* 18 has pg_noreturn, and no longer pg_attribute_noreturn() */
#ifndef pg_noreturn
#define pg_noreturn __attribute__((noreturn))
#endif

/* 18 wants to know whether the caller is ANALYZE */
#if PG_VERSION_NUM >= 180000
#define ek_vacuum_delay_point()	vacuum_delay_point(false)
#else
#define ek_vacuum_delay_point()	vacuum_delay_point()
#endif

/* 16 renamed what says where a relation's files are */
#if PG_VERSION_NUM >= 160000
#define ek_locator_of(relation)	((relation)->rd_locator)
#else
#define ek_locator_of(relation)	((relation)->rd_node)
#endif

/* 16 makes many pages at once, without writing all of their zeros */
static inline void
ek_smgr_zeroextend(SMgrRelation smgr, BlockNumber first, BlockNumber count)
{
#if PG_VERSION_NUM >= 160000
	smgrzeroextend(smgr, MAIN_FORKNUM, first, (int) count, false);
#else
	static char zeros[BLCKSZ];

	for (BlockNumber i = 0; i < count; i++)
		smgrextend(smgr, MAIN_FORKNUM, first + i, zeros, false);
#endif
}

/* 18 renamed where in a parallel scan the access method has its part */
#if PG_VERSION_NUM >= 180000
#define ek_parallel_offset(scan)	((scan)->ps_offset_am)
#else
#define ek_parallel_offset(scan)	((scan)->ps_offset)
#endif

/* 16 has functions for tags of buffers, where there were macros */
#if PG_VERSION_NUM >= 160000
#define ek_init_buffer_tag(tag, relation, block) \
	InitBufferTag(tag, &(relation)->rd_locator, MAIN_FORKNUM, block)
#else
#define ek_init_buffer_tag(tag, relation, block) \
	INIT_BUFFERTAG(*(tag), (relation)->rd_node, MAIN_FORKNUM, block)
#endif

/* 17 rules out that functions of an index depend on the caller's search_path */
#if PG_VERSION_NUM >= 170000
#define ek_restrict_search_path()	RestrictSearchPath()
#else
#define ek_restrict_search_path()	((void) 0)
#endif

/* 16 asks for the rights on an object in one way, whatever it is */
#if PG_VERSION_NUM >= 160000
#define ek_server_aclcheck(server) \
	object_aclcheck(ForeignServerRelationId, server, GetUserId(), ACL_USAGE)
#else
#define ek_server_aclcheck(server)	pg_foreign_server_aclcheck(server, GetUserId(), ACL_USAGE)
#endif

/* 17 releases a set of events with the resource owner's other things */
#if PG_VERSION_NUM >= 170000
#define ek_create_wait_event_set(count)	CreateWaitEventSet(CurrentResourceOwner, count)
#else
#define ek_create_wait_event_set(count)	CreateWaitEventSet(CurrentMemoryContext, count)
#endif

/* 17 knows what an extension waits for by name; `event`, a variable, is 0 before the first time */
#if PG_VERSION_NUM >= 170000
#define ek_wait_event_named(event, name) \
	((event) != 0 ? (event) : ((event) = WaitEventExtensionNew(name)))
#else
#define ek_wait_event_named(event, name)	((void) (event), PG_WAIT_EXTENSION)
#endif

/* 17 took old_snapshot_threshold away */
#if PG_VERSION_NUM >= 170000
#define ek_test_for_old_snapshot(snapshot, relation, page)	((void) 0)
#else
#define ek_test_for_old_snapshot(snapshot, relation, page) \
	TestForOldSnapshot(snapshot, relation, page)
#endif

#endif							/* EK_COMPAT_H */
