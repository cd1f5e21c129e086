/*
 * ek_bounds.h
 *		Upper bounds from coarse codes, written once over sixteen entries.
 *
 * A level file defines these, and EK_BOUND(op) to give the functions of its own
 * their names; then it includes this file inside its target region and gets
 * EK_BOUND(groups) and EK_BOUND(screen).
 *
 *		codes						a step, or four values of each entry as bytes
 *		codes_load(p)				a step
 *		codes_and(c, mask)			of each byte
 *		codes_shift2(c), _shift4(c)	right; the upper bits of a byte may be anything
 *
 *		EK_BOUND(products)			sums of products, as wide as the level wants
 *		EK_BOUND(no_products) ()
 *		EK_BOUND(multiply) (products, a, b, w)
 *									adds a times the four weights at w, and b times
 *									those at w + 8
 *		EK_BOUND_STEPS4, _STEPS2	products have room for so many steps
 *
 *		sums						sixteen integers of 32 bits
 *		sums_zero(), _load(p)
 *		EK_BOUND(add) (sums, high, low)
 *									sums + 256 * high + low
 *
 *		floats						sixteen of them
 *		floats_all(x)				sixteen times x
 *		floats_load(p), _store(p, a)
 *		floats_widen(p)				sixteen bfloat16
 *		floats_from(sums)			rounded to nearest
 *		floats_add, _sub, _mul		rounded one by one, never fused
 *		floats_not_below(a, b)		a mask with bit j set unless a[j] < b[j]
 *
 * The scalar level is not made from this file: it is the definition.
 */

static inline sums
EK_BOUND(steps4) (sums acc, const int8_t *weights, const uint8_t *step, size_t steps,
				  ptrdiff_t ahead)
{
	for (size_t rest = steps; rest > 0;)
	{
		const size_t some = rest < EK_BOUND_STEPS4 ? rest : EK_BOUND_STEPS4;
		EK_BOUND(products) high = EK_BOUND(no_products) ();
		EK_BOUND(products) low = EK_BOUND(no_products) ();

		for (size_t i = 0; i < some; i++, step += EK_STEP_BYTES, weights += EK_WEIGHTS4)
		{
			const codes all = codes_load(step);
			const codes a = codes_and(all, 15);
			const codes b = codes_and(codes_shift4(all), 15);

			ek_prefetch_ahead(step, ahead);
			high = EK_BOUND(multiply) (high, a, b, weights);
			low = EK_BOUND(multiply) (low, a, b, weights + 4);
		}
		acc = EK_BOUND(add) (acc, high, low);
		rest -= some;
	}
	return acc;
}

static inline sums
EK_BOUND(steps2) (sums acc, const int8_t *weights, const uint8_t *step, size_t steps,
				  ptrdiff_t ahead)
{
	for (size_t rest = steps; rest > 0;)
	{
		const size_t some = rest < EK_BOUND_STEPS2 ? rest : EK_BOUND_STEPS2;
		EK_BOUND(products) high = EK_BOUND(no_products) ();
		EK_BOUND(products) low = EK_BOUND(no_products) ();

		for (size_t i = 0; i < some; i++, step += EK_STEP_BYTES, weights += EK_WEIGHTS2)
		{
			const codes all = codes_load(step);
			const codes upper = codes_shift4(all);
			const codes a = codes_and(all, 3);
			const codes b = codes_and(codes_shift2(all), 3);
			const codes c = codes_and(upper, 3);
			const codes d = codes_and(codes_shift2(upper), 3);

			ek_prefetch_ahead(step, ahead);
			high = EK_BOUND(multiply) (high, a, b, weights);
			low = EK_BOUND(multiply) (low, a, b, weights + 4);
			high = EK_BOUND(multiply) (high, c, d, weights + 16);
			low = EK_BOUND(multiply) (low, c, d, weights + 20);
		}
		acc = EK_BOUND(add) (acc, high, low);
		rest -= some;
	}
	return acc;
}

static void
EK_BOUND(groups) (const ek_bound_query *query, const uint8_t *code, const uint16_t *residuals,
				  const float *norms, size_t count, ptrdiff_t ahead, float *bounds,
				  uint16_t *masks)
{
	const size_t bytes4 = query->steps4 * EK_STEP_BYTES;
	const size_t bytes2 = query->steps2 * EK_STEP_BYTES;
	const int8_t *weights2 = query->weights + query->steps4 * EK_WEIGHTS4;
	const floats scale = floats_all(query->scale);
	const floats residual = floats_all(query->residual);
	const floats constant = floats_all(query->constant);
	const floats decay = floats_all(query->decay);
	const floats threshold = floats_all(query->threshold);

	for (size_t group = 0; group < count; group++, code += bytes4 + bytes2)
	{
		const size_t first = group * EK_LANES;
		sums		acc = sums_zero();
		floats		bound;

		ek_prefetch_ahead(residuals + first, ahead);
		acc = EK_BOUND(steps4) (acc, query->weights, code, query->steps4, ahead);
		acc = EK_BOUND(steps2) (acc, weights2, code + bytes4, query->steps2, ahead);
		bound = floats_add(floats_add(floats_mul(floats_from(acc), scale),
									  floats_mul(floats_widen(residuals + first), residual)),
						   constant);
		if (norms != NULL)
		{
			const floats norm = floats_load(norms + first);

			ek_prefetch_ahead(norms + first, ahead);
			bound = floats_mul(norm, floats_sub(bound, floats_mul(decay, norm)));
		}
		floats_store(bounds + first, bound);
		masks[group] = floats_not_below(bound, threshold);
	}
}

static inline uint16_t
EK_BOUND(screen_lanes) (const ek_screen_query *query, const ek_screen_tile *tile,
						const int32_t *dots)
{
	const floats dot = floats_mul(floats_mul(floats_from(sums_load(dots)), floats_all(query->dot)),
								  floats_load(tile->dot));
	const floats length = floats_mul(floats_all(query->length), floats_load(tile->length));
	const floats one = floats_mul(floats_all(query->one), floats_load(tile->one));
	const floats reach = floats_add(floats_add(dot, length),
									floats_sub(one, floats_load(tile->off)));

	return floats_not_below(reach, floats_all(query->need));
}

static void
EK_BOUND(screen) (const ek_screen_query *queries, const ek_screen_tile *tile, size_t tiles,
				  const int32_t *dots, uint16_t *masks)
{
	for (const ek_screen_tile *end = tile + tiles; tile < end; tile++)
	{
		for (size_t q = 0; q < EK_CODE_QUERIES; q++, dots += EK_LANES)
			*masks++ = EK_BOUND(screen_lanes) (&queries[q], tile, dots);
	}
}
