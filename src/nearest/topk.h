/*
 * topk.h
 *		The k best of what was offered, ties by ordinal.
 */
#ifndef EK_TOPK_H
#define EK_TOPK_H

typedef struct ek_match
{
	double		similarity;
	int			ordinal;
} ek_match;

/* A binary heap with the worst kept match on top.  The caller owns `matches`. */
typedef struct ek_topk
{
	ek_match   *matches;		/* room for k */
	int			k;				/* at least 1 */
	int			count;
} ek_topk;

extern void ek_topk_offer(ek_topk *topk, double similarity, int ordinal);

/* Sorts topk->matches, best first; nothing can be offered after that. */
extern void ek_topk_sort(ek_topk *topk);

#endif							/* EK_TOPK_H */
