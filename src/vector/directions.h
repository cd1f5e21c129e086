/*
 * directions.h
 *		Principal directions of a sample of vectors.
 */
#ifndef EK_DIRECTIONS_H
#define EK_DIRECTIONS_H

#include "vector/vector.h"

typedef struct ek_directions
{
	int			count;
	Size		row_size;		/* of values and of coordinates, in doubles */
	double	   *values;			/* count x dims, rows aligned */
	Size		coordinate_size;
	double	   *coordinates;	/* count x vectors of the sample, rows aligned */
} ek_directions;

static inline double *
ek_direction(const ek_directions *d, int i)
{
	return d->values + i * d->row_size;
}

/* Of each vector of the sample, in this direction. */
static inline double *
ek_coordinates_of(const ek_directions *d, int i)
{
	return d->coordinates + i * d->coordinate_size;
}

/*
 * Orthonormal as far as double goes, but for those that vanish, which are zero; the
 * most telling first.  Everything in the current memory context.
 */
extern ek_directions ek_find_directions(ek_vectors sample, int count);

/* Room for the coordinates of another sample, not larger than the first. */
extern double *ek_alloc_coordinates(const ek_directions *d);
/* Writes the coordinates of these vectors; the directions are rounded to floats. */
extern void ek_directions_project(ek_directions *d, ek_vectors sample);

extern double ek_dot_of_rows(const float *a, const float *b, int dims);

/*
 * An upper limit of |B|^2 in the spectral norm, for these floats, which are as large
 * as those of directions or larger: the largest sum of magnitudes in a row of BB'.
 */
extern double ek_spectral_limit(const float *rows, int count, int dims);

#endif							/* EK_DIRECTIONS_H */
