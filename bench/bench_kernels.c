/*
 * bench_kernels.c
 *		How fast are the kernels, and how far from what the machine can do?
 *
 * Every kernel of every level that this CPU supports is timed at several
 * dimensions and in three places: 8 rows (the first cache), 512 rows (a later
 * cache) and as many rows as take 200 MB (memory).  The same run times two
 * yardsticks: reading the same bytes and doing nothing with them, and
 * OpenBLAS's sgemv, where it was found when this was compiled.
 *
 * The bounds of coarse codes are timed as a scan of an index computes them: over
 * pages in a cache, and over pages anywhere in 200 MB of memory, for entries of 48
 * and 64 bytes.  There "dims" are bytes and rows are entries.
 *
 * The machine is taken to be shared and noisy.  So the contestants of a place
 * take turns, round after round, and the median of the rounds is reported
 * beside the best.  Ratios are of two medians of the same rounds.
 *
 * The answers are compared before anything is timed: a level that differs
 * from scalar in one bit ends the program with status 1.
 *
 * Usage: bench_kernels RESULTS
 * writes one line a measurement to the file RESULTS, separated by tabs, and
 * tables to standard output.  ROUNDS in the environment sets the number of
 * rounds (default 31).
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#ifdef HAVE_OPENBLAS
#include <cblas.h>
#endif
#ifdef __x86_64__
#include <immintrin.h>
#endif

#include "../simd/ek_simd.h"

#define MEMORY_BYTES	((size_t) 200 * 1000 * 1000)
#define LINE_BYTES		64
#define BLOCK_BYTES		8192	/* of PostgreSQL */

/* A turn lasts about this long, unless one pass takes longer. */
#define TURN_NS			500e3

#define DEFAULT_ROUNDS	31
#define MAX_ROUNDS		1001
#define MAX_CONTESTANTS	64

/* How far ahead the read yardstick may prefetch, in bytes; 0: not at all. */
static const size_t read_distances[] = {0, 1024, 2048, 4096, 6144, 8192, 12288, 16384};

static const size_t all_dims[] = {100, 384, 768, 1536};

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

typedef struct place
{
	const char *name;
	size_t		rows;			/* 0: as many as take MEMORY_BYTES */
} place;

static const place places[] = {{"8 rows", 8}, {"512 rows", 512}, {"memory", 0}};

/* Of coarse codes, all of them in values of 4 bits. */
static const size_t all_entry_bytes[] = {48, 64};

typedef struct page_place
{
	const char *name;
	size_t		pages;
} page_place;

static const page_place page_places[] = {{"cache", 4}, {"pages", MEMORY_BYTES / BLOCK_BYTES}};

/* What the contestants of a place work on. */
typedef struct workload
{
	size_t		dims;
	size_t		row_bytes;
	const float *vector;		/* the query, not prepared */
	ek_query	query;
	ek_rows		rows;			/* one after the other */
	const float *const *scattered;	/* the same rows, shuffled */
	double	   *out;
	double	   *out2;
	float	   *out_float;
	const char *place;
	ek_bound_query bound_query;
	const uint8_t *const *pages;	/* codes, then residuals; shuffled */
	size_t		page_count;
	size_t		page_groups;
	size_t		page_out;		/* groups from the results of a page to the next */
} workload;

typedef struct contestant contestant;
typedef void (*pass_function) (const contestant *self, const workload *work);

struct contestant
{
	const char *kernel;
	const char *level;
	const ek_kernels *kernels;	/* NULL for the yardsticks */
	pass_function pass;			/* compares the query with every row, once */
	size_t		distance;		/* of the read yardstick */
	size_t		passes;			/* in one turn */
	double		ns[MAX_ROUNDS]; /* a pair, by round */
	double		median;
	double		best;
};

static contestant contestants[MAX_CONTESTANTS];
static size_t contestant_count;
static volatile uint64_t sink;

static void *
allocate(size_t bytes)
{
	void	   *memory = NULL;

	if (posix_memalign(&memory, EK_ALIGNMENT, bytes) != 0)
	{
		fputs("bench_kernels: out of memory\n", stderr);
		exit(1);
	}
	return memory;
}


/* ---- the kernels ---- */

static void
pass_cosine_rows(const contestant *self, const workload *work)
{
	self->kernels->cosine_rows(&work->query, &work->rows, work->out, work->out2);
}

/* As an operator in a scan does it: one call a row, wherever the row lies. */
static void
pass_cosine_one(const contestant *self, const workload *work)
{
	for (size_t r = 0; r < work->rows.count; r++)
	{
		ek_rows		one = {work->scattered[r], 1};

		self->kernels->cosine_rows(&work->query, &one, work->out + r, work->out2 + r);
	}
}

static void
pass_cosine_pair(const contestant *self, const workload *work)
{
	for (size_t r = 0; r < work->rows.count; r++)
	{
		ek_cosine_sums sums = self->kernels->cosine(work->vector,
													work->rows.first + r * work->dims,
													work->dims);

		work->out[r] = sums.dot;
		work->out2[r] = sums.norm2_b;
	}
}

static void
pass_dot_rows(const contestant *self, const workload *work)
{
	self->kernels->dot_rows(&work->query, &work->rows, work->out);
}

static void
pass_l2_squared_rows(const contestant *self, const workload *work)
{
	self->kernels->l2_squared_rows(&work->query, &work->rows, work->out);
}

static void
pass_l1_rows(const contestant *self, const workload *work)
{
	self->kernels->l1_rows(&work->query, &work->rows, work->out);
}

/* Where the codes are that are read after those of this page. */
static ptrdiff_t
page_ahead(const workload *work, size_t page)
{
	return page + 1 < work->page_count ? work->pages[page + 1] - work->pages[page] : 0;
}

static void
pass_bound_groups(const contestant *self, const workload *work)
{
	const size_t entries = work->page_groups * EK_LANES;
	float	   *bounds = (float *) work->out;
	uint16_t   *masks = (uint16_t *) work->out2;

	for (size_t page = 0; page < work->page_count; page++)
	{
		const uint8_t *codes = work->pages[page];

		self->kernels->bound_groups(&work->bound_query, codes,
									(const uint16_t *) (codes + entries * work->row_bytes),
									NULL, work->page_groups, page_ahead(work, page),
									bounds + page * work->page_out * EK_LANES,
									masks + page * work->page_out);
	}
}

typedef struct kernel_pass
{
	const char *name;
	pass_function pass;
} kernel_pass;

static const kernel_pass kernel_passes[] = {
	{"cosine_rows", pass_cosine_rows},
	{"cosine_rows, one a call", pass_cosine_one},
	{"cosine (pair)", pass_cosine_pair},
	{"dot_rows", pass_dot_rows},
	{"l2_squared_rows", pass_l2_squared_rows},
	{"l1_rows", pass_l1_rows}
};

#define BOUNDS_NAME		"bound_groups"


/* ---- the yardsticks ---- */

#define READ_NAME	"read only"

/* As the kernels do, see ek_level.h. */
static inline void
ask_for(const void *now, size_t ahead)
{
	__builtin_prefetch((const void *) ((uintptr_t) now + ahead), 0, 2);
}

/*
 * Reading: every byte reaches a register, and nothing is computed but an "or"
 * that keeps the compiler from leaving the loads out.
 */
static uint64_t
read_plain(const char *data, size_t bytes, size_t ahead)
{
	const uint64_t *words = (const uint64_t *) data;
	uint64_t	a = 0;
	uint64_t	b = 0;
	uint64_t	c = 0;
	uint64_t	d = 0;

	for (size_t i = 0; i + 7 < bytes / sizeof(uint64_t); i += 8)
	{
		if (ahead)
			ask_for(words + i, ahead);
		a |= words[i] | words[i + 4];
		b |= words[i + 1] | words[i + 5];
		c |= words[i + 2] | words[i + 6];
		d |= words[i + 3] | words[i + 7];
	}
	return a | b | c | d;
}

#ifdef __x86_64__

__attribute__((target("avx2"))) static uint64_t
read_avx2(const char *data, size_t bytes, size_t ahead)
{
	__m256i		a = _mm256_setzero_si256();
	__m256i		b = a;
	__m256i		c = a;
	__m256i		d = a;

	for (size_t i = 0; i + 2 * LINE_BYTES <= bytes; i += 2 * LINE_BYTES)
	{
		const __m256i *x = (const __m256i *) (data + i);

		if (ahead)
		{
			ask_for(x, ahead);
			ask_for(x, ahead + LINE_BYTES);
		}
		a = _mm256_or_si256(a, _mm256_loadu_si256(x));
		b = _mm256_or_si256(b, _mm256_loadu_si256(x + 1));
		c = _mm256_or_si256(c, _mm256_loadu_si256(x + 2));
		d = _mm256_or_si256(d, _mm256_loadu_si256(x + 3));
	}
	a = _mm256_or_si256(_mm256_or_si256(a, b), _mm256_or_si256(c, d));
	return (uint64_t) (_mm256_extract_epi64(a, 0) | _mm256_extract_epi64(a, 1) |
					   _mm256_extract_epi64(a, 2) | _mm256_extract_epi64(a, 3));
}

__attribute__((target("avx512f"))) static uint64_t
read_avx512(const char *data, size_t bytes, size_t ahead)
{
	__m512i		a = _mm512_setzero_si512();
	__m512i		b = a;
	__m512i		c = a;
	__m512i		d = a;

	for (size_t i = 0; i + 4 * LINE_BYTES <= bytes; i += 4 * LINE_BYTES)
	{
		const char *x = data + i;

		if (ahead)
		{
			ask_for(x, ahead);
			ask_for(x, ahead + LINE_BYTES);
			ask_for(x, ahead + 2 * LINE_BYTES);
			ask_for(x, ahead + 3 * LINE_BYTES);
		}
		a = _mm512_or_si512(a, _mm512_loadu_si512(x));
		b = _mm512_or_si512(b, _mm512_loadu_si512(x + LINE_BYTES));
		c = _mm512_or_si512(c, _mm512_loadu_si512(x + 2 * LINE_BYTES));
		d = _mm512_or_si512(d, _mm512_loadu_si512(x + 3 * LINE_BYTES));
	}
	a = _mm512_or_si512(_mm512_or_si512(a, b), _mm512_or_si512(c, d));
	return (uint64_t) _mm512_reduce_or_epi64(a);
}

#endif							/* __x86_64__ */

typedef uint64_t (*read_function) (const char *data, size_t bytes, size_t ahead);

static read_function read_all = read_plain;
static const char *read_level = "plain";

static void
choose_read(void)
{
#ifdef __x86_64__
	if (ek_cpu_supports(EK_LEVEL_AVX512))
	{
		read_all = read_avx512;
		read_level = "avx512";
	}
	else if (ek_cpu_supports(EK_LEVEL_AVX2))
	{
		read_all = read_avx2;
		read_level = "avx2";
	}
#endif
}

static void
pass_read(const contestant *self, const workload *work)
{
	sink |= read_all((const char *) work->rows.first,
					 work->rows.count * work->dims * sizeof(float),
					 self->distance);
}

static void
pass_read_pages(const contestant *self, const workload *work)
{
	(void) self;
	for (size_t page = 0; page < work->page_count; page++)
		sink |= read_all((const char *) work->pages[page],
						 work->page_groups * EK_LANES * work->row_bytes,
						 (size_t) page_ahead(work, page));
}

#ifdef HAVE_OPENBLAS

/* Single precision throughout, and no norms: less work than cosine_rows. */
static void
pass_sgemv(const contestant *self, const workload *work)
{
	(void) self;
	cblas_sgemv(CblasRowMajor, CblasNoTrans, (blasint) work->rows.count,
				(blasint) work->dims, 1.0f, work->rows.first,
				(blasint) work->dims, work->vector, 1, 0.0f,
				work->out_float, 1);
}

#endif


/* ---- the contestants of a place ---- */

static contestant *
add_contestant(const char *kernel, const char *level, pass_function pass)
{
	contestant *added = &contestants[contestant_count];

	if (contestant_count == MAX_CONTESTANTS)
	{
		fprintf(stderr, "bench_kernels: more than %d contestants\n", MAX_CONTESTANTS);
		exit(1);
	}
	contestant_count++;
	added->kernel = kernel;
	added->level = level;
	added->kernels = NULL;
	added->pass = pass;
	added->distance = 0;
	return added;
}

/* Prefetching is for memory; in cache it can only cost. */
static void
add_reads(bool in_memory)
{
	size_t		distances = in_memory ? LENGTH(read_distances) : 1;

	for (size_t i = 0; i < distances; i++)
		add_contestant(READ_NAME, read_level, pass_read)->distance = read_distances[i];
}

static void
add_levels(const char *kernel, pass_function pass)
{
	for (size_t i = EK_LEVEL_COUNT; i-- > 0;)
	{
		ek_level	level = ek_level_priority[i];
		const ek_kernels *kernels = ek_level_kernels(level);

		if (kernels && ek_cpu_supports(level))
			add_contestant(kernel, kernels->name, pass)->kernels = kernels;
	}
}

static void
add_contestants(bool in_memory)
{
	contestant_count = 0;
	for (size_t k = 0; k < LENGTH(kernel_passes); k++)
		add_levels(kernel_passes[k].name, kernel_passes[k].pass);
	add_reads(in_memory);
#ifdef HAVE_OPENBLAS
	add_contestant("sgemv", "openblas", pass_sgemv);
#endif
}


/* ---- time ---- */

static double
now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double) t.tv_sec * 1e9 + (double) t.tv_nsec;
}

#define ADD_1	do { x += y; __asm__ volatile ("" : "+r" (x)); } while (0)
#define ADD_8	do { ADD_1; ADD_1; ADD_1; ADD_1; ADD_1; ADD_1; ADD_1; ADD_1; } while (0)
#define CHAIN_ADDS	64
#define CHAIN_LOOPS	20000

/*
 * The speed of the core, from a chain of additions that each wait for the one
 * before: one cycle each.  Two registers are added, since some CPUs do not
 * execute the addition of a constant at all.
 */
static double
core_ghz(void)
{
	uint64_t	x = 1;
	uint64_t	y = 1;
	double		start;

	__asm__ volatile ("" : "+r" (y));
	start = now_ns();
	for (int i = 0; i < CHAIN_LOOPS; i++)
	{
		ADD_8;
		ADD_8;
		ADD_8;
		ADD_8;
		ADD_8;
		ADD_8;
		ADD_8;
		ADD_8;
	}
	return (double) CHAIN_LOOPS * CHAIN_ADDS / (now_ns() - start);
}

static double
take_turn(const contestant *self, const workload *work)
{
	double		start = now_ns();

	for (size_t i = 0; i < self->passes; i++)
		self->pass(self, work);
	return (now_ns() - start) / ((double) self->passes * (double) work->rows.count);
}

/* The first turn warms the cache up, the second counts. */
static void
set_passes(contestant *self, const workload *work)
{
	double		pass_ns;

	self->passes = 1;
	take_turn(self, work);
	pass_ns = take_turn(self, work) * (double) work->rows.count;
	if (pass_ns < TURN_NS)
		self->passes = (size_t) (TURN_NS / (pass_ns + 1.0)) + 1;
}

static int
compare_doubles(const void *a, const void *b)
{
	double		x = *(const double *) a;
	double		y = *(const double *) b;

	return (x > y) - (x < y);
}

/* Sorts its input. */
static double
median(double *values, size_t count)
{
	qsort(values, count, sizeof(double), compare_doubles);
	return (values[(count - 1) / 2] + values[count / 2]) / 2;
}

/* Returns the median speed of the core during the rounds, in GHz. */
static double
run_rounds(const workload *work, size_t rounds)
{
	double		ghz[MAX_ROUNDS];

	for (size_t c = 0; c < contestant_count; c++)
		set_passes(&contestants[c], work);
	for (size_t round = 0; round < rounds; round++)
	{
		ghz[round] = core_ghz();
		for (size_t c = 0; c < contestant_count; c++)
			contestants[c].ns[round] = take_turn(&contestants[c], work);
	}
	for (size_t c = 0; c < contestant_count; c++)
	{
		contestants[c].median = median(contestants[c].ns, rounds);
		contestants[c].best = contestants[c].ns[0];
	}
	return median(ghz, rounds);
}


/* ---- the same answers? ---- */

static void
require_same(const workload *work, const contestant *self,
			 const double *expected, const double *actual)
{
	if (memcmp(expected, actual, work->rows.count * sizeof(double)) == 0)
		return;
	fprintf(stderr, "bench_kernels: %s differs between scalar and %s at %zu dimensions\n",
			self->kernel, self->level, work->dims);
	exit(1);
}

/* The contestants of a kernel follow each other, scalar first. */
static void
check_answers(const workload *work)
{
	size_t		bytes = work->rows.count * sizeof(double);
	double	   *expected = allocate(bytes);
	double	   *expected2 = allocate(bytes);

	memset(work->out, 0, bytes);
	memset(work->out2, 0, bytes);
	for (size_t c = 0; c < contestant_count; c++)
	{
		contestant *self = &contestants[c];

		if (!self->kernels)
			continue;
		self->pass(self, work);
		if (self->kernels->level == EK_LEVEL_SCALAR)
		{
			memcpy(expected, work->out, bytes);
			memcpy(expected2, work->out2, bytes);
		}
		require_same(work, self, expected, work->out);
		require_same(work, self, expected2, work->out2);
	}
	free(expected);
	free(expected2);
}


/* ---- the report ---- */

/* The fastest of those with this name (and level, unless NULL), or NULL. */
static const contestant *
fastest(const char *kernel, const char *level)
{
	const contestant *found = NULL;

	for (size_t c = 0; c < contestant_count; c++)
		if (strcmp(contestants[c].kernel, kernel) == 0 &&
			(!level || strcmp(contestants[c].level, level) == 0) &&
			(!found || contestants[c].median < found->median))
			found = &contestants[c];
	return found;
}

static void
write_results(FILE *results, const workload *work, double ghz)
{
	const contestant *limit = fastest(READ_NAME, NULL);

	for (size_t c = 0; c < contestant_count; c++)
	{
		const contestant *self = &contestants[c];

		fprintf(results, "%s\t%zu\t%zu\t%s\t%s\t%zu\t%.2f\t%.2f\t%.2f\t%.1f\t%.3f\t%.3f\n",
				work->place, work->rows.count, work->dims, self->kernel,
				self->level, self->distance, self->median, self->best,
				(double) work->row_bytes / self->median,
				self->median * ghz, ghz, limit->median / self->median);
	}
	fflush(results);
}

#define NAME_FORMAT		"%-8s %5zu  %-24s"
#define HEADING_FORMAT	"\n%-8s %5s  %-24s"

/* Levels come slowest first, as in the list of contestants. */
static void
print_heading(const char *size, const char *unit)
{
	printf(HEADING_FORMAT, "place", size, unit);
	for (size_t i = EK_LEVEL_COUNT; i-- > 0;)
	{
		ek_level	level = ek_level_priority[i];

		if (ek_level_kernels(level) && ek_cpu_supports(level))
			printf(" %17s", ek_level_name(level));
	}
	printf(" %6s %7s %8s %7s\n", "GB/s", "cycles", "scalar/", "read/");
}

/* The last four columns are of the fastest level. */
static void
print_kernel(const workload *work, const char *kernel, double ghz)
{
	const contestant *best = fastest(kernel, NULL);

	printf(NAME_FORMAT, work->place, work->dims, kernel);
	for (size_t c = 0; c < contestant_count; c++)
		if (strcmp(contestants[c].kernel, kernel) == 0)
			printf(" %7.1f (%7.1f)", contestants[c].median, contestants[c].best);
	printf(" %6.1f %7.0f %8.2f %7.2f\n",
		   (double) work->row_bytes / best->median,
		   best->median * ghz,
		   fastest(kernel, "scalar")->median / best->median,
		   fastest(READ_NAME, NULL)->median / best->median);
}

static void
print_yardstick(const workload *work, const contestant *self)
{
	printf(NAME_FORMAT " %7.1f (%7.1f)  %s", work->place, work->dims,
		   self->kernel, self->median, self->best, self->level);
	if (self->distance)
		printf(", %zu bytes ahead", self->distance);
	printf(", %.1f GB/s\n", (double) work->row_bytes / self->median);
}

static void
print_yardsticks(const workload *work)
{
	for (size_t c = 0; c < contestant_count; c++)
		if (!contestants[c].kernels)
			print_yardstick(work, &contestants[c]);
	fflush(stdout);
}

static void
print_place(const workload *work, double ghz)
{
	print_heading("dims", "ns a pair: median (best)");
	for (size_t k = 0; k < LENGTH(kernel_passes); k++)
		print_kernel(work, kernel_passes[k].name, ghz);
	print_yardsticks(work);
}

static void
print_machine(size_t rounds)
{
	double		load[1] = {0};

	if (getloadavg(load, 1) != 1)
		load[0] = -1;
	printf("core %.2f GHz, load %.2f, %zu rounds; ", core_ghz(), load[0], rounds);
#ifdef HAVE_OPENBLAS
	printf("sgemv is OpenBLAS %s, one thread, single precision\n", openblas_get_corename());
#else
	printf("OpenBLAS is not installed\n");
#endif
	printf("GB/s, cycles and ratios are of the fastest level's median: scalar/ is how much faster\n"
		   "than scalar, read/ is 1 where it takes no longer than reading the bytes\n");
}


/* ---- the workload ---- */

/* The same numbers in every run (xorshift64). */
static uint64_t
next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

#define RANDOM_SEED		0x9e3779b97f4a7c15u

/* Uniform in [-0.5, 0.5). */
static void
fill(float *values, size_t count)
{
	uint64_t	state = RANDOM_SEED;

	for (size_t i = 0; i < count; i++)
		values[i] = (float) (next_random(&state) >> 40) / (float) (1 << 24) - 0.5f;
}

/*
 * Pointers to the rows in the order in which a scan of a table meets them:
 * one after the other within a block, and the blocks anywhere in memory.
 */
static void
scatter(const float **pointers, const float *values, size_t count, size_t dims)
{
	const size_t row_bytes = dims * sizeof(float);
	const size_t block_rows = row_bytes < BLOCK_BYTES ? BLOCK_BYTES / row_bytes : 1;
	const size_t blocks = count / block_rows;
	uint64_t	state = RANDOM_SEED;

	for (size_t r = 0; r < count; r++)
		pointers[r] = values + r * dims;
	for (size_t b = blocks; b > 1; b--)
	{
		const float **x = pointers + (b - 1) * block_rows;
		const float **y = pointers + next_random(&state) % b * block_rows;

		for (size_t r = 0; r < block_rows; r++)
		{
			const float *swapped = x[r];

			x[r] = y[r];
			y[r] = swapped;
		}
	}
}

static void
measure_place(FILE *results, const place *where, size_t dims,
			  const float *values, size_t rounds)
{
	size_t		count = where->rows ? where->rows : MEMORY_BYTES / (dims * sizeof(float));
	double	   *prepared = allocate(ek_query_size(dims));
	float	   *vector = allocate(dims * sizeof(float));
	const float **pointers = allocate(count * sizeof(float *));
	workload	work;
	double		ghz;

	scatter(pointers, values, count, dims);
	memcpy(vector, values + dims / 2, dims * sizeof(float));

	work.place = where->name;
	work.dims = dims;
	work.row_bytes = dims * sizeof(float);
	work.vector = vector;
	work.rows = (ek_rows) {values, count};
	work.scattered = pointers;
	work.out = allocate(count * sizeof(double));
	work.out2 = allocate(count * sizeof(double));
	work.out_float = allocate(count * sizeof(float));
	ek_query_prepare(ek_level_kernels(EK_LEVEL_SCALAR), vector, dims, prepared, &work.query);

	add_contestants(where->rows == 0);
	check_answers(&work);
	ghz = run_rounds(&work, rounds);
	write_results(results, &work, ghz);
	print_place(&work, ghz);

	free(work.out_float);
	free(work.out2);
	free(work.out);
	free(pointers);
	free(vector);
	free(prepared);
}

/* Codes of any values, and residuals from 0.5 on: denormal ones would take longer. */
static void
fill_page(uint8_t *page, size_t code_bytes, size_t entries, uint64_t *state)
{
	uint16_t   *residuals = (uint16_t *) (page + code_bytes);

	for (size_t i = 0; i < code_bytes; i++)
		page[i] = (uint8_t) (next_random(state) >> 32);
	for (size_t i = 0; i < entries; i++)
		residuals[i] = (uint16_t) (0x3f00 + i);
}

/* A page also holds, for each entry, its residual and 6 bytes that point to its row. */
static void
measure_bounds(FILE *results, const page_place *where, size_t entry_bytes,
			   float *memory, size_t rounds)
{
	const size_t groups = BLOCK_BYTES / (EK_LANES * (entry_bytes + 2 + 6));
	const size_t entries = groups * EK_LANES;
	const float **pages = allocate(where->pages * sizeof(float *));
	int8_t		weights[EK_BOUND_MAX_STEPS * EK_WEIGHTS4];
	uint64_t	state = RANDOM_SEED;
	workload	work = {
		.dims = entry_bytes,
		.row_bytes = entry_bytes,
		.rows = {memory, where->pages * entries},
		.place = where->name,
		.pages = (const uint8_t *const *) pages,
		.page_count = where->pages,
		.page_groups = groups,
		.page_out = groups,
		.bound_query = {
			.weights = weights,
			.steps4 = entry_bytes / 4,
			.scale = 0x1p-20f,
			.residual = 1.0f,
			.threshold = 1.0f
		}
	};
	double		ghz;

	for (size_t i = 0; i < sizeof(weights); i++)
		weights[i] = (int8_t) (next_random(&state) % 255 - 127);
	for (size_t page = 0; page < where->pages; page++)
		fill_page((uint8_t *) memory + page * BLOCK_BYTES, entries * entry_bytes, entries, &state);
	scatter(pages, memory, where->pages, BLOCK_BYTES / sizeof(float));
	work.out = allocate(work.rows.count * sizeof(double));
	work.out2 = allocate(work.rows.count * sizeof(double));

	contestant_count = 0;
	add_levels(BOUNDS_NAME, pass_bound_groups);
	add_contestant(READ_NAME, read_level, pass_read_pages);
	check_answers(&work);
	/* a scan keeps those of one page */
	work.page_out = 0;
	ghz = run_rounds(&work, rounds);
	write_results(results, &work, ghz);
	print_heading("bytes", "ns an entry: median (best)");
	print_kernel(&work, BOUNDS_NAME, ghz);
	print_yardsticks(&work);

	free(work.out2);
	free(work.out);
	free(pages);
}

static size_t
rounds_wanted(void)
{
	const char *value = getenv("ROUNDS");
	long		rounds = value ? strtol(value, NULL, 10) : DEFAULT_ROUNDS;

	if (rounds < 1 || rounds > MAX_ROUNDS)
	{
		fprintf(stderr, "bench_kernels: ROUNDS must be between 1 and %d\n", MAX_ROUNDS);
		exit(1);
	}
	return (size_t) rounds;
}

int
main(int argc, char **argv)
{
	size_t		rounds = rounds_wanted();
	float	   *values = allocate(MEMORY_BYTES);
	FILE	   *results;

	if (argc != 2 || !(results = fopen(argv[1], "w")))
	{
		fputs("usage: bench_kernels RESULTS (a file that can be written)\n", stderr);
		return 1;
	}
	fputs("place\trows\tdims\tkernel\tlevel\tbytes_ahead\tmedian_ns\tbest_ns\t"
		  "gb_per_s\tcycles\tghz\tread_ratio\n", results);
#ifdef HAVE_OPENBLAS
	openblas_set_num_threads(1);
#endif
	fill(values, MEMORY_BYTES / sizeof(float));
	choose_read();
	print_machine(rounds);
	for (size_t p = 0; p < LENGTH(places); p++)
		for (size_t d = 0; d < LENGTH(all_dims); d++)
			measure_place(results, &places[p], all_dims[d], values, rounds);
	for (size_t p = 0; p < LENGTH(page_places); p++)
		for (size_t b = 0; b < LENGTH(all_entry_bytes); b++)
			measure_bounds(results, &page_places[p], all_entry_bytes[b], values, rounds);
	free(values);
	return fclose(results) == 0 ? 0 : 1;
}
