/*
 * compute.h
 *		The kernels as SQL functions call them: run, and perhaps verified.
 *
 * Each of these uses the level in use and returns the sums of its kernel; the
 * caller tests whether they are finite.
 *
 * verification: a share of the kernel calls, engramk.verify_rate, is computed
 * again by scalar and compared bit for bit.  divergence: a difference.  The
 * scalar result is returned then, and the level is withdrawn: this backend
 * does not use it again.
 */
#ifndef EK_COMPUTE_H
#define EK_COMPUTE_H

#include "operands.h"
#include "vector.h"

/* engramk.verify_rate */
extern double ek_verify_rate;

#ifdef EK_FAULT_INJECTION
/* engramk.inject_fault: every level but scalar gives a wrong last bit */
extern bool ek_inject_fault;
#endif

extern ek_cosine_sums ek_compute_cosine(const ek_operands *operands);
extern double ek_compute_dot(const ek_operands *operands);
extern double ek_compute_l2_squared(const ek_operands *operands);
extern double ek_compute_l1(const ek_operands *operands);
extern double ek_compute_norm2(ek_vector vector);
extern void ek_compute_cosine_rows(const ek_query *query, const ek_rows *rows,
								   double *dot, double *norm2);

#endif							/* EK_COMPUTE_H */
