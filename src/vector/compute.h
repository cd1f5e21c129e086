/*
 * compute.h
 *		The kernels as SQL functions call them: run, and perhaps verified.
 *
 * Each of these uses the level in use and gives the results of its kernel; the
 * caller tests whether sums are finite.  Everybody but the self-test computes
 * through here: what goes past is not verified.
 *
 * verification: a share of the kernel calls, engramk.verify_rate, is computed
 * again by scalar and compared bit for bit.  divergence: a difference.  The
 * scalar result is returned then, and the level is withdrawn: this backend
 * does not use it again.
 */
#ifndef EK_COMPUTE_H
#define EK_COMPUTE_H

#include "vector/operands.h"
#include "vector/vector.h"

extern ek_cosine_sums ek_compute_cosine(const ek_operands *operands);
extern double ek_compute_dot(const ek_operands *operands);
extern double ek_compute_l2_squared(const ek_operands *operands);
extern double ek_compute_l1(const ek_operands *operands);
extern double ek_compute_norm2(ek_vector vector);
extern void ek_compute_cosine_rows(const ek_query *query, const ek_rows *rows,
								   double *dot, double *norm2);
extern void ek_compute_dot_rows(const ek_query *query, const ek_rows *rows,
								double *dot);

/* Of codes; see ek_kernels. */
extern int32 ek_compute_code_dot(const int8 *a, const int8 *b, Size n);
extern void ek_compute_code_dot_packed(const int8 *query, const int8 *packed,
									   Size n, int32 *dots);
extern void ek_compute_code_dot_block(const int8 *queries, Size stride,
									  const int8 *packed, Size tiles, Size n,
									  int32 *dots);
extern void ek_compute_screen(const ek_screen_query *queries, const ek_screen_tile *tile,
							  Size tiles, const int32 *dots, uint16 *masks);
extern void ek_compute_bound_groups(const ek_bound_query *query, const uint8 *codes,
									const uint16 *residuals, const float *norms,
									Size count, ptrdiff_t ahead, float *bounds,
									uint16 *masks);

/* Of a finite vector; see ek_kernels. */
extern double ek_compute_largest(ek_vector vector);
extern double ek_compute_quantize(ek_vector vector, double inverse, double scale,
								  int8 *codes);

#endif							/* EK_COMPUTE_H */
