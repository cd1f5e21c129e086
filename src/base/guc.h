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

/* What engramk.inject_fault makes lie, at every level but scalar. */
typedef enum ek_fault
{
	EK_FAULT_NONE,
	EK_FAULT_ALL,
	EK_FAULT_COSINE,
	EK_FAULT_DOT,
	EK_FAULT_L2_SQUARED,
	EK_FAULT_L1,
	EK_FAULT_NORM2,
	EK_FAULT_COSINE_ROWS,
	EK_FAULT_DOT_ROWS,
	EK_FAULT_CODE_DOT,
	EK_FAULT_CODE_DOT_PACKED,
	EK_FAULT_CODE_DOT_BLOCK,
	EK_FAULT_SCREEN,
	EK_FAULT_BOUND_GROUPS,
	EK_FAULT_LARGEST,
	EK_FAULT_QUANTIZE
} ek_fault;

extern int	ek_arena_overflow;	/* an ek_arena_overflow_action */
extern int	ek_arena_size;		/* in kB */
extern bool ek_enable_fallback;
extern bool ek_track_timing;
extern double ek_verify_rate;
#ifdef EK_FAULT_INJECTION
extern int	ek_inject_fault;	/* an ek_fault */
#endif

extern void ek_guc_init(void);

#endif							/* EK_GUC_H */
