/*
 * stat_functions.h
 *		What the SQL functions of the statistics share with the module.
 */
#ifndef EK_STAT_FUNCTIONS_H
#define EK_STAT_FUNCTIONS_H

/*
 * Adds what this backend has counted to shared memory.  The arena and the
 * statistics do not know each other; this carries the counters across.
 */
extern void ek_publish_counts(void);

#endif							/* EK_STAT_FUNCTIONS_H */
