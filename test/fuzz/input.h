/*
 * input.h
 *		The fuzzer's bytes, taken one after another; zeros when they run out.
 */
#ifndef INPUT_H
#define INPUT_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef struct input
{
	const uint8_t *bytes;
	size_t		left;
} input;

static inline uint8_t
take_byte(input *from)
{
	if (from->left == 0)
		return 0;
	from->left--;
	return *from->bytes++;
}

static inline unsigned
take_below(input *from, unsigned limit)
{
	unsigned	high = take_byte(from);

	return (high << 8 | take_byte(from)) % limit;
}

/*
 * A short input says little, so the bytes are gone through again and again, each
 * time at another offset.
 */
static inline void
fill_bytes(const input *from, size_t start, void *bytes, size_t count)
{
	uint8_t    *to = bytes;
	size_t		position = from->left == 0 ? 0 : start % from->left;

	for (size_t i = 0; i < count; i++)
	{
		to[i] = from->left == 0 ? 0 : from->bytes[position++];
		if (position == from->left)
			position = 0;
	}
}

/* Any bit pattern that a float can have. */
static inline void
fill_floats(const input *from, size_t start, float *floats, size_t count)
{
	fill_bytes(from, start, floats, count * sizeof(float));
}

extern int	LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

#endif							/* INPUT_H */
