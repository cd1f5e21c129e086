/*
 * ek_kernels.h
 *		The kernels of the SIMD levels, written once over sixteen lanes.
 *
 * A level file defines `lanes`, the sixteen running sums in its registers,
 * with these operations, and EK_KERNEL(op) to give each kernel its name; then
 * it includes this file inside its target region and gets every kernel.
 *
 *		lanes_zero()				sixteen times +0.0
 *		lanes_load(q)				sixteen doubles, aligned
 *		lanes_widen(x)				sixteen floats
 *		lanes_widen_some(x, n)		n < 16 floats, then +0.0; reads no further
 *		lanes_fma(acc, a, b)		acc + a * b, where the product is exact
 *		lanes_add, _sub, _mul		rounded one by one, never fused
 *		lanes_abs(a)
 *		lanes_max(a, b)				of finite numbers
 *		lanes_sum(acc)				the tree j + 8, j + 4, j + 2, j + 1
 *		lanes_all(x)				sixteen times x
 *		lanes_store(p, a)			sixteen doubles
 *		lanes_store_codes(p, a)		sixteen integers, -127 to 127, as bytes
 *
 * A level whose registers do not hold what a cosine of a pair needs defines
 * EK_OWN_COSINE and has one of its own.
 *
 * A tail padded with +0.0 adds +0.0 to lanes that are never -0.0 (they start
 * from +0.0 and a sum is -0.0 only if both terms are), so it changes nothing.
 *
 * The scalar level is not made from this file: it is the definition that
 * these kernels are tested against.  Includes of this file need no guard; it
 * is included once by each level file.
 */

static double
EK_KERNEL(dot) (const float *a, const float *b, size_t n)
{
	const size_t whole = n - n % EK_LANES;
	lanes		dot = lanes_zero();

	for (size_t i = 0; i < whole; i += EK_LANES)
		dot = lanes_fma(dot, lanes_widen(a + i), lanes_widen(b + i));
	if (whole < n)
		dot = lanes_fma(dot, lanes_widen_some(a + whole, n - whole),
						lanes_widen_some(b + whole, n - whole));
	return lanes_sum(dot);
}

static double
EK_KERNEL(norm2) (const float *a, size_t n)
{
	const size_t whole = n - n % EK_LANES;
	lanes		norm2 = lanes_zero();

	for (size_t i = 0; i < whole; i += EK_LANES)
	{
		lanes		x = lanes_widen(a + i);

		norm2 = lanes_fma(norm2, x, x);
	}
	if (whole < n)
	{
		lanes		x = lanes_widen_some(a + whole, n - whole);

		norm2 = lanes_fma(norm2, x, x);
	}
	return lanes_sum(norm2);
}

static inline lanes
EK_KERNEL(l2_step) (lanes acc, lanes a, lanes b)
{
	lanes		difference = lanes_sub(a, b);

	return lanes_add(acc, lanes_mul(difference, difference));
}

static double
EK_KERNEL(l2_squared) (const float *a, const float *b, size_t n)
{
	const size_t whole = n - n % EK_LANES;
	lanes		acc = lanes_zero();

	for (size_t i = 0; i < whole; i += EK_LANES)
		acc = EK_KERNEL(l2_step) (acc, lanes_widen(a + i), lanes_widen(b + i));
	if (whole < n)
		acc = EK_KERNEL(l2_step) (acc, lanes_widen_some(a + whole, n - whole),
								  lanes_widen_some(b + whole, n - whole));
	return lanes_sum(acc);
}

static double
EK_KERNEL(l1) (const float *a, const float *b, size_t n)
{
	const size_t whole = n - n % EK_LANES;
	lanes		acc = lanes_zero();

	for (size_t i = 0; i < whole; i += EK_LANES)
		acc = lanes_add(acc, lanes_abs(lanes_sub(lanes_widen(a + i),
												 lanes_widen(b + i))));
	if (whole < n)
		acc = lanes_add(acc, lanes_abs(lanes_sub(lanes_widen_some(a + whole, n - whole),
												 lanes_widen_some(b + whole, n - whole))));
	return lanes_sum(acc);
}

#ifndef EK_OWN_COSINE
static ek_cosine_sums
EK_KERNEL(cosine) (const float *a, const float *b, size_t n)
{
	const size_t whole = n - n % EK_LANES;
	lanes		dot = lanes_zero();
	lanes		norm2_a = lanes_zero();
	lanes		norm2_b = lanes_zero();
	ek_cosine_sums sums;

	for (size_t i = 0; i < whole; i += EK_LANES)
	{
		lanes		x = lanes_widen(a + i);
		lanes		y = lanes_widen(b + i);

		dot = lanes_fma(dot, x, y);
		norm2_a = lanes_fma(norm2_a, x, x);
		norm2_b = lanes_fma(norm2_b, y, y);
	}
	if (whole < n)
	{
		lanes		x = lanes_widen_some(a + whole, n - whole);
		lanes		y = lanes_widen_some(b + whole, n - whole);

		dot = lanes_fma(dot, x, y);
		norm2_a = lanes_fma(norm2_a, x, x);
		norm2_b = lanes_fma(norm2_b, y, y);
	}
	sums.dot = lanes_sum(dot);
	sums.norm2_a = lanes_sum(norm2_a);
	sums.norm2_b = lanes_sum(norm2_b);
	return sums;
}
#endif							/* EK_OWN_COSINE */

static void
EK_KERNEL(dot_rows) (const ek_query *query, const ek_rows *rows, double *dot)
{
	const size_t dims = query->dims;
	const size_t whole = dims - dims % EK_LANES;

	for (size_t r = 0; r < rows->count; r++)
	{
		const float *x = ek_row(rows, dims, r);
		const uintptr_t ahead = ek_row_ahead(rows, dims, r);
		lanes		acc = lanes_zero();

		for (size_t i = 0; i < whole; i += EK_LANES)
		{
			ek_prefetch(ahead, i);
			acc = lanes_fma(acc, lanes_widen(x + i), lanes_load(query->values + i));
		}
		ek_prefetch(ahead, whole);
		if (whole < dims)
			acc = lanes_fma(acc, lanes_widen_some(x + whole, dims - whole),
							lanes_load(query->values + whole));
		dot[r] = lanes_sum(acc);
	}
}

static void
EK_KERNEL(l2_squared_rows) (const ek_query *query, const ek_rows *rows,
							double *l2_squared)
{
	const size_t dims = query->dims;
	const size_t whole = dims - dims % EK_LANES;

	for (size_t r = 0; r < rows->count; r++)
	{
		const float *x = ek_row(rows, dims, r);
		const uintptr_t ahead = ek_row_ahead(rows, dims, r);
		lanes		acc = lanes_zero();

		for (size_t i = 0; i < whole; i += EK_LANES)
		{
			ek_prefetch(ahead, i);
			acc = EK_KERNEL(l2_step) (acc, lanes_widen(x + i),
									  lanes_load(query->values + i));
		}
		ek_prefetch(ahead, whole);
		if (whole < dims)
			acc = EK_KERNEL(l2_step) (acc, lanes_widen_some(x + whole, dims - whole),
									  lanes_load(query->values + whole));
		l2_squared[r] = lanes_sum(acc);
	}
}

static void
EK_KERNEL(l1_rows) (const ek_query *query, const ek_rows *rows, double *l1)
{
	const size_t dims = query->dims;
	const size_t whole = dims - dims % EK_LANES;

	for (size_t r = 0; r < rows->count; r++)
	{
		const float *x = ek_row(rows, dims, r);
		const uintptr_t ahead = ek_row_ahead(rows, dims, r);
		lanes		acc = lanes_zero();

		for (size_t i = 0; i < whole; i += EK_LANES)
		{
			ek_prefetch(ahead, i);
			acc = lanes_add(acc, lanes_abs(lanes_sub(lanes_widen(x + i),
													 lanes_load(query->values + i))));
		}
		ek_prefetch(ahead, whole);
		if (whole < dims)
			acc = lanes_add(acc, lanes_abs(lanes_sub(lanes_widen_some(x + whole, dims - whole),
													 lanes_load(query->values + whole))));
		l1[r] = lanes_sum(acc);
	}
}

static void
EK_KERNEL(cosine_rows) (const ek_query *query, const ek_rows *rows,
						double *dot, double *norm2)
{
	const size_t dims = query->dims;
	const size_t whole = dims - dims % EK_LANES;

	for (size_t r = 0; r < rows->count; r++)
	{
		const float *x = ek_row(rows, dims, r);
		const uintptr_t ahead = ek_row_ahead(rows, dims, r);
		lanes		d = lanes_zero();
		lanes		s = lanes_zero();

		for (size_t i = 0; i < whole; i += EK_LANES)
		{
			lanes		v = lanes_widen(x + i);

			ek_prefetch(ahead, i);
			d = lanes_fma(d, v, lanes_load(query->values + i));
			s = lanes_fma(s, v, v);
		}
		ek_prefetch(ahead, whole);
		if (whole < dims)
		{
			lanes		v = lanes_widen_some(x + whole, dims - whole);

			d = lanes_fma(d, v, lanes_load(query->values + whole));
			s = lanes_fma(s, v, v);
		}
		dot[r] = lanes_sum(d);
		norm2[r] = lanes_sum(s);
	}
}

static double
EK_KERNEL(largest) (const float *x, size_t n)
{
	const size_t whole = n - n % EK_LANES;
	lanes		acc = lanes_zero();
	double		each[EK_LANES];
	double		largest = 0.0;

	for (size_t i = 0; i < whole; i += EK_LANES)
		acc = lanes_max(acc, lanes_abs(lanes_widen(x + i)));
	if (whole < n)
		acc = lanes_max(acc, lanes_abs(lanes_widen_some(x + whole, n - whole)));
	lanes_store(each, acc);
	for (size_t j = 0; j < EK_LANES; j++)
		largest = each[j] > largest ? each[j] : largest;
	return largest;
}

static inline lanes
EK_KERNEL(quantize_step) (lanes acc, lanes x, lanes inverse, lanes scale,
						  int8_t *codes)
{
	const lanes shift = lanes_all(EK_ROUNDING_SHIFT);
	lanes		code = lanes_sub(lanes_add(lanes_mul(x, inverse), shift), shift);
	lanes		rest = lanes_sub(x, lanes_mul(scale, code));

	lanes_store_codes(codes, code);
	return lanes_add(acc, lanes_mul(rest, rest));
}

static double
EK_KERNEL(quantize) (const float *x, size_t n, double inverse, double scale,
					 int8_t *codes)
{
	const size_t whole = n - n % EK_LANES;
	const lanes all_inverse = lanes_all(inverse);
	const lanes all_scale = lanes_all(scale);
	lanes		acc = lanes_zero();

	for (size_t i = 0; i < whole; i += EK_LANES)
		acc = EK_KERNEL(quantize_step) (acc, lanes_widen(x + i), all_inverse,
										all_scale, codes + i);
	if (whole < n)
		acc = EK_KERNEL(quantize_step) (acc, lanes_widen_some(x + whole, n - whole),
										all_inverse, all_scale, codes + whole);
	return lanes_sum(acc);
}
