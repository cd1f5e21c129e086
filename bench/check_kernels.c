/*
 * check_kernels.c
 *		Times the kernels of two versions against each other, in turns.
 *
 * Usage: check_kernels NEW.so AGAIN.so OLD.so
 * where AGAIN is a copy of NEW: what those two differ by is noise.
 *
 * Prints one line a kernel, separated by tabs: its name, then the median of
 * NEW / OLD and the median of AGAIN / NEW over the rounds.  The three take
 * turns in each round, in an order that rotates, and a ratio is of turns of
 * the same round; so what the machine does besides falls on all of them.
 *
 * ROUNDS in the environment sets the number of rounds (default 61).
 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "check_shim.h"

#define CONTESTANTS		3
#define MAX_ROUNDS		1001
#define TURN_NS			300e3
#define ROWS			32
#define MAX_DIMS		1536

static const size_t all_dims[] = {100, 768, 1536};

typedef struct contestant
{
	const char *(*kernel_name) (size_t);
	const char *(*level_name) (size_t);
	bool		(*choose) (const char *, const char *, const check_data *);
	void		(*pass) (size_t);
} contestant;

static contestant contestants[CONTESTANTS];
static double rounds_ns[CONTESTANTS][MAX_ROUNDS];

static void
die(const char *what)
{
	fprintf(stderr, "check_kernels: %s\n", what);
	exit(2);
}

/* Separate copies, each with its own state and its own symbols. */
static contestant
load(const char *path)
{
	void	   *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	contestant	result;

	if (handle == NULL)
		die(dlerror());
	*(void **) &result.kernel_name = dlsym(handle, "check_kernel_name");
	*(void **) &result.level_name = dlsym(handle, "check_level_name");
	*(void **) &result.choose = dlsym(handle, "check_choose");
	*(void **) &result.pass = dlsym(handle, "check_pass");
	if (result.kernel_name == NULL || result.level_name == NULL ||
		result.choose == NULL || result.pass == NULL)
		die(path);
	return result;
}

static double
now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e9 + t.tv_nsec;
}

static double
turn(const contestant *c, size_t passes)
{
	double		start = now_ns();

	c->pass(passes);
	return now_ns() - start;
}

static int
compare_doubles(const void *a, const void *b)
{
	double		x = *(const double *) a;
	double		y = *(const double *) b;

	return (x > y) - (x < y);
}

static double
median_ratio(const double *a, const double *b, int rounds)
{
	static double ratios[MAX_ROUNDS];

	for (int i = 0; i < rounds; i++)
		ratios[i] = a[i] / b[i];
	qsort(ratios, rounds, sizeof(double), compare_doubles);
	return ratios[rounds / 2];
}

static void
measure(const char *level, const char *kernel, const check_data *data, int rounds)
{
	size_t		passes = 1;

	for (int c = 0; c < CONTESTANTS; c++)
	{
		if (!contestants[c].choose(level, kernel, data))
			return;
	}
	while (turn(&contestants[0], passes) < TURN_NS)
		passes *= 2;

	for (int round = 0; round < rounds; round++)
	{
		for (int i = 0; i < CONTESTANTS; i++)
		{
			int			c = (round + i) % CONTESTANTS;

			rounds_ns[c][round] = turn(&contestants[c], passes);
		}
	}
	printf("%s %s %zu\t%.4f\t%.4f\n", level, kernel, data->dims,
		   median_ratio(rounds_ns[0], rounds_ns[2], rounds),
		   median_ratio(rounds_ns[1], rounds_ns[0], rounds));
	fflush(stdout);
}

static void
fill(float *values, size_t count)
{
	unsigned	state = 1;

	for (size_t i = 0; i < count; i++)
	{
		state = state * 1664525u + 1013904223u;
		values[i] = (float) (state >> 8) / (float) (1 << 24) - 0.5f;
	}
}

int
main(int argc, char **argv)
{
	const char *rounds_wanted = getenv("ROUNDS");
	int			rounds = rounds_wanted ? atoi(rounds_wanted) : 61;
	float	   *rows = aligned_alloc(64, sizeof(float) * ROWS * MAX_DIMS);
	float	   *query = aligned_alloc(64, sizeof(float) * MAX_DIMS);
	double	   *prepared = aligned_alloc(64, sizeof(double) * MAX_DIMS * 2);
	double	   *results = aligned_alloc(64, sizeof(double) * ROWS * 2);

	if (argc != CONTESTANTS + 1)
		die("usage: check_kernels NEW.so AGAIN.so OLD.so");
	if (rounds < 1 || rounds > MAX_ROUNDS)
		die("ROUNDS is out of range");
	for (int c = 0; c < CONTESTANTS; c++)
		contestants[c] = load(argv[c + 1]);
	fill(rows, ROWS * MAX_DIMS);
	fill(query, MAX_DIMS);

	for (size_t l = 0; contestants[0].level_name(l) != NULL; l++)
	{
		for (size_t k = 0; contestants[0].kernel_name(k) != NULL; k++)
		{
			for (size_t d = 0; d < sizeof(all_dims) / sizeof(all_dims[0]); d++)
			{
				check_data	data = {all_dims[d], ROWS, rows, query, prepared, results};

				measure(contestants[0].level_name(l), contestants[0].kernel_name(k),
						&data, rounds);
			}
		}
	}
	return 0;
}
