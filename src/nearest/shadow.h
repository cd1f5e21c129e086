/*
 * shadow.h
 *		Vectors as they are seen along a few directions, for the first screen of many.
 */
#ifndef EK_SHADOW_H
#define EK_SHADOW_H

#include "vector/encode.h"
#include "vector/vector.h"

typedef struct ek_shadows ek_shadows;

/* Would a target be looked at again whose cosine with a query may be so large? */
typedef bool (*ek_may_be_near) (const void *arg, int query, int target, double cosine);

/*
 * Directions in which the queries differ most, which are many and finite; as many as
 * make the screen of shadows fastest, were the queries the targets as well, and each target
 * compared with so many queries.  NULL if it would save little.
 */
extern ek_shadows *ek_shadows_create(ek_vectors queries, uint64 compared,
									 ek_may_be_near may_be_near, const void *arg);

/* It saves nothing with fewer. */
#define EK_LEAST_COMPARED	512

/* Values of a shadow: a multiple of EK_LANES, at most EK_MOST_SHADOW. */
#define EK_MOST_SHADOW	((Size) 8 * EK_LANES)
extern Size ek_shadow_size(const ek_shadows *shadows);

/*
 * Casts the shadows of what EK_CODE_QUERIES vectors' codes stand for: dims of each,
 * and zeros up to a multiple of 4.
 */
extern void ek_cast_shadows(ek_shadows *shadows, const int8 *codes);

/*
 * Encodes the shadow of one of those that were cast last; the certificate is that of
 * the vector's codes, and that of the shadow is returned.  `shadow` has room for the
 * size of a shadow.
 */
extern ek_certificate ek_encode_shadow(ek_shadows *shadows, int which, const int8 *codes,
									   ek_certificate certificate, int most, int8 *shadow);

#endif							/* EK_SHADOW_H */
