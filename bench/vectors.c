/*
 * vectors.c
 *		As many vectors as wanted, like those of real things, for COPY (FORMAT binary).
 *
 *	zcat test/data/glove100-10k.tsv.gz | vectors COUNT DIMS [SEED]
 *
 * Each is a mixture of three words, u + 0.45 (v - w), as unit vectors: the mixtures
 * have the spectrum of the words, and neighbours about as near as theirs.  Further
 * dimensions than a word's are those of another mixture, at half the length.  Rows
 * are (id integer, embedding real[]), ids from 1 on.
 */
#include <endian.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST_WORDS	20000
#define WORD_DIMS	100
#define MOST_DIMS	1000
#define ARRAY_OID	700			/* of its elements, which are real */

static float words[MOST_WORDS][WORD_DIMS];
static size_t word_count;
static uint64_t state;

static uint32_t
next_random(uint32_t below)
{
	state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t) ((state >> 32) * below >> 32);
}

static void
read_words(void)
{
	char	   *line = NULL;
	size_t		room = 0;

	while (word_count < MOST_WORDS && getline(&line, &room, stdin) > 0)
	{
		char	   *at = strchr(line, '{');
		float	   *word = words[word_count];
		double		norm2 = 0.0;

		for (int i = 0; at != NULL && i < WORD_DIMS; i++)
		{
			word[i] = strtof(at + 1, &at);
			norm2 += word[i] * word[i];
		}
		if (norm2 == 0.0)
			continue;
		for (int i = 0; i < WORD_DIMS; i++)
			word[i] /= (float) sqrt(norm2);
		word_count++;
	}
	free(line);
}

static void
mix(float *vector, int dims, float length)
{
	const float *u = words[next_random(word_count)];
	const float *v = words[next_random(word_count)];
	const float *w = words[next_random(word_count)];

	for (int i = 0; i < dims; i++)
		vector[i] = length * (u[i] + 0.45f * (v[i] - w[i]));
}

static void
put32(uint32_t value)
{
	value = htobe32(value);
	fwrite(&value, sizeof(value), 1, stdout);
}

static void
put16(uint16_t value)
{
	value = htobe16(value);
	fwrite(&value, sizeof(value), 1, stdout);
}

static void
put_row(uint32_t id, const float *vector, int dims)
{
	put16(2);
	put32(4);
	put32(id);
	put32(20 + 8 * (uint32_t) dims);
	put32(1);					/* dimension of the array */
	put32(0);					/* no NULLs */
	put32(ARRAY_OID);
	put32((uint32_t) dims);
	put32(1);
	for (int i = 0; i < dims; i++)
	{
		uint32_t	bits;

		memcpy(&bits, &vector[i], sizeof(bits));
		put32(4);
		put32(bits);
	}
}

int
main(int argc, char **argv)
{
	static float vector[MOST_DIMS];
	const uint32_t count = argc > 2 ? (uint32_t) strtoul(argv[1], NULL, 10) : 0;
	const int	dims = argc > 2 ? atoi(argv[2]) : 0;

	state = argc > 3 ? strtoull(argv[3], NULL, 10) : 1;
	read_words();
	if (count == 0 || dims < 1 || dims > MOST_DIMS || word_count == 0)
	{
		fputs("usage: vectors COUNT DIMS [SEED] < WORDS\n", stderr);
		return 2;
	}
	fwrite("PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0\0", 19, 1, stdout);
	for (uint32_t id = 1; id <= count; id++)
	{
		for (int i = 0; i < dims; i += WORD_DIMS)
			mix(vector + i, dims - i < WORD_DIMS ? dims - i : WORD_DIMS, i == 0 ? 1.0f : 0.5f);
		put_row(id, vector, dims);
	}
	put16(0xffff);
	return fflush(stdout) != 0 || ferror(stdout);
}
