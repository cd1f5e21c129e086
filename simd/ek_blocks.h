/*
 * ek_blocks.h
 *		The block product of codes with AVX-512, written once for two steps.
 *
 * ek_avx512.c includes this file in each of its target regions, after it has
 * defined EK_CODE(op) to give each function its name, and these:
 *
 *		EK_CODE(unsigned) (codes)	sixty-four codes, with a number added that makes
 *									them unsigned
 *		EK_CODE(step) (acc, codes, four)
 *									acc, and the sums of four products
 *		EK_CODE(bias) (query, n)	what the number that was added adds to a sum
 */

static inline __m512i
EK_CODE(broadcast) (const int8_t *four_codes)
{
	int32_t		four;

	memcpy(&four, four_codes, sizeof(four));
	return _mm512_set1_epi32(four);
}

/*
 * Eight queries share each load of a code; eight chains also cover the latency
 * of a step.  Named one by one: gcc -O2 spills arrays.
 */
static inline void
EK_CODE(eight) (const int8_t *q, size_t stride, const int8_t *packed,
				size_t n, int32_t *dots)
{
	__m512i		acc0 = _mm512_setzero_si512();
	__m512i		acc1 = _mm512_setzero_si512();
	__m512i		acc2 = _mm512_setzero_si512();
	__m512i		acc3 = _mm512_setzero_si512();
	__m512i		acc4 = _mm512_setzero_si512();
	__m512i		acc5 = _mm512_setzero_si512();
	__m512i		acc6 = _mm512_setzero_si512();
	__m512i		acc7 = _mm512_setzero_si512();

	for (size_t i = 0; i < n; i += 4, packed += EK_PACKED_STEP)
	{
		const __m512i code = EK_CODE(unsigned) (_mm512_loadu_si512(packed));

#define EK_STEP(acc, number) \
		EK_CODE(step) (acc, code, EK_CODE(broadcast) (q + (number) * stride + i))
		acc0 = EK_STEP(acc0, 0);
		acc1 = EK_STEP(acc1, 1);
		acc2 = EK_STEP(acc2, 2);
		acc3 = EK_STEP(acc3, 3);
		acc4 = EK_STEP(acc4, 4);
		acc5 = EK_STEP(acc5, 5);
		acc6 = EK_STEP(acc6, 6);
		acc7 = EK_STEP(acc7, 7);
#undef EK_STEP
	}
	_mm512_storeu_si512(dots, acc0);
	_mm512_storeu_si512(dots + EK_LANES, acc1);
	_mm512_storeu_si512(dots + (size_t) 2 * EK_LANES, acc2);
	_mm512_storeu_si512(dots + (size_t) 3 * EK_LANES, acc3);
	_mm512_storeu_si512(dots + (size_t) 4 * EK_LANES, acc4);
	_mm512_storeu_si512(dots + (size_t) 5 * EK_LANES, acc5);
	_mm512_storeu_si512(dots + (size_t) 6 * EK_LANES, acc6);
	_mm512_storeu_si512(dots + (size_t) 7 * EK_LANES, acc7);
}

static void
EK_CODE(dot_block) (const int8_t *queries, size_t stride, const int8_t *packed,
					size_t tiles, size_t n, int32_t *dots)
{
	for (size_t tile = 0; tile < tiles; tile++)
		EK_CODE(eight) (queries, stride, packed + tile * n * EK_LANES, n,
						dots + tile * EK_CODE_QUERIES * EK_LANES);
	for (size_t q = 0; q < EK_CODE_QUERIES; q++)
	{
		const __m512i bias = EK_CODE(bias) (queries + q * stride, n);

		for (size_t tile = 0; tile < tiles; tile++)
		{
			int32_t    *these = dots + (tile * EK_CODE_QUERIES + q) * EK_LANES;

			_mm512_storeu_si512(these, _mm512_sub_epi32(_mm512_loadu_si512(these), bias));
		}
	}
}
