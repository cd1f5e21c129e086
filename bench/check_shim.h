/*
 * check_shim.h
 *		What check_kernels.c calls in the kernels of either version.
 */
#ifndef CHECK_SHIM_H
#define CHECK_SHIM_H

#include <stdbool.h>
#include <stddef.h>

/* What a kernel works on; memory is the caller's. */
typedef struct check_data
{
	size_t		dims;
	size_t		count;			/* of the rows */
	const float *rows;			/* next to each other */
	const float *query;
	double	   *prepared;		/* room for a prepared query, aligned to 64 */
	double	   *results;		/* room for two results a row */
} check_data;

/* Names by number, from 0 to the first NULL. */
extern const char *check_kernel_name(size_t i);
extern const char *check_level_name(size_t i);

/* Chooses what check_pass() does; false if this version or CPU has no such. */
extern bool check_choose(const char *level, const char *kernel,
						 const check_data *data);

/* Compares the query with every row, so many times. */
extern void check_pass(size_t times);

#endif							/* CHECK_SHIM_H */
