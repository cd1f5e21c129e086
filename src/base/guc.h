/*
 * guc.h
 *		The parameters of engramk; all of them are defined in guc.c.
 */
#ifndef EK_GUC_H
#define EK_GUC_H

typedef enum ek_arena_overflow_action
{
	EK_ARENA_FALLBACK,
	EK_ARENA_ERROR
} ek_arena_overflow_action;

extern int	ek_arena_overflow;	/* an ek_arena_overflow_action */
extern int	ek_arena_size;		/* in kB */

extern void ek_guc_init(void);

#endif							/* EK_GUC_H */
