/* SPDX-License-Identifier: MIT */
/* tests/kernels/test_matmul_integer.c - every sign, zero point and layout has the exact sums */
#include <stdlib.h>
#include <string.h>

#include "kernels/matmul_integer.h"
#include "kernels/ref/ref.h"
#include "tests/kernels/kernel_test.h"
#include "tests/suite.h"

#define INPUT_BYTES 400000
#define COUNT(sweep) (sizeof(sweep) / sizeof((sweep)[0]))

static uint8_t *a_bytes, *b_bytes;
static uint8_t a_zeros[1024], b_zeros[1024];

static void setup(void)
{
	random_begin(61);
	a_bytes = malloc(INPUT_BYTES);
	b_bytes = malloc(INPUT_BYTES);
	ck_assert(a_bytes && b_bytes);
	for (int index = 0; index < INPUT_BYTES; index++) {
		a_bytes[index] = (uint8_t)random_u64();
		b_bytes[index] = (uint8_t)random_u64();
	}
	/* The products that instructions of 16 bits would saturate. */
	memset(a_bytes, 0xff, 64);
	memset(b_bytes, 0x80, 64);
	for (int index = 0; index < 1024; index++) {
		a_zeros[index] = (uint8_t)random_u64();
		b_zeros[index] = (uint8_t)random_u64();
	}
}

static void teardown(void)
{
	free(a_bytes);
	free(b_bytes);
}

/* Operands end where their block ends, so that a sanitizer sees a read beyond. */
static void *exact(const void *bytes, int64_t count)
{
	void *copy = malloc((size_t)count + 1);

	ck_assert_ptr_nonnull(copy);
	memcpy((char *)copy + 1, bytes, (size_t)count);
	return copy;
}

static void run(struct matmul_integer_args *args, const void *b)
{
	int64_t count = args->batch[0] * args->batch[1] * args->batch[2] * args->m * args->n;
	int64_t *expected = malloc((size_t)(count + 1) * sizeof(*expected));
	struct kernel_outputs outputs;

	ck_assert_ptr_nonnull(expected);
	ref_matmul_integer(args, b, expected);
	kernel_outputs_init(&outputs, (size_t)count * sizeof(int32_t));
	for (int device = 0; device < outputs.count; device++) {
		const int32_t *y = args->y = outputs.y[device];

		outputs.devices[device]->kernels[KERNEL_MATMUL_INTEGER](args);
		for (int64_t index = 0; index < count; index++)
			expect_msg(y[index] == expected[index],
				   "%s m %ld k %ld n %ld packed %d signs %d %d: element %ld is %d, not %ld",
				   outputs.devices[device]->name, (long)args->m, (long)args->k,
				   (long)args->n, args->is_packed, args->a_signed, args->b_signed,
				   (long)index, y[index], (long)expected[index]);
	}
	kernel_outputs_check(&outputs);
	kernel_outputs_deinit(&outputs);
	free(expected);
}

/* One matrix, as it is and packed. */
static void run_both(struct matmul_integer_args *args)
{
	size_t bytes = matmul_integer_packed_bytes(args->k, args->n);
	char *a = exact(a_bytes, args->m * args->k);
	char *b = exact(b_bytes, args->k * args->n);
	void *packed = aligned_alloc(64, bytes + 64);

	ck_assert_ptr_nonnull(packed);
	args->batch[0] = args->batch[1] = args->batch[2] = 1;
	args->a = a + 1;
	args->b = b + 1;
	args->is_packed = false;
	run(args, args->b);
	matmul_integer_pack(packed, b + 1, args->k, args->n, args->n, args->a_signed,
			    args->b_signed);
	args->b = packed;
	args->is_packed = true;
	run(args, b + 1);
	free(packed);
	free(a);
	free(b);
}

/* _i: signs of a and b, whether a zero is of each row and column, and whether there is any */
START_TEST(every_shape_sign_and_zero_has_the_exact_sums)
{
	static const int64_t ms[] = { 1, 2, 5, 6, 7, 13 };
	static const int64_t ks[] = { 1, 3, 4, 5, 64, 67, 515 };
	static const int64_t ns[] = { 1, 15, 16, 17, 63, 64, 65, 100, 130 };

	for (size_t m = 0; m < COUNT(ms); m++)
		for (size_t k = 0; k < COUNT(ks); k++)
			for (size_t n = 0; n < COUNT(ns); n++) {
				struct matmul_integer_args args = {
					.m = ms[m],
					.k = ks[k],
					.n = ns[n],
					.a_signed = _i & 1,
					.b_signed = _i & 2,
					.a_zero_step = _i >> 2 & 1,
					.b_zero_step = _i >> 2 & 1,
					.a_zero = _i & 8 ? NULL : a_zeros,
					.b_zero = _i & 8 ? NULL : b_zeros,
				};

				run_both(&args);
			}
}
END_TEST

START_TEST(many_rows_go_in_blocks)
{
	for (int sign = 0; sign < 4; sign++) {
		struct matmul_integer_args args = {
			.m = 401, .k = 37, .n = 33, .a_signed = sign & 1, .b_signed = sign & 2,
			.a_zero = a_zeros, .b_zero = b_zeros, .a_zero_step = 1, .b_zero_step = 1,
		};

		run_both(&args);
	}
}
END_TEST

START_TEST(no_k_gives_zeros_and_no_rows_write_nothing)
{
	struct matmul_integer_args args = { .m = 3, .k = 0, .n = 17, .a_zero = a_zeros };

	run_both(&args);
	args.m = 0;
	args.k = 5;
	run_both(&args);
}
END_TEST

START_TEST(the_extremes_do_not_saturate)
{
	static uint8_t a[2 * 1024], b[1024 * 16], zeros[2] = { 255, 0 };
	struct matmul_integer_args args = {
		.a = a, .b = b, .batch = { 1, 1, 1 }, .m = 2, .k = 1024, .n = 16,
	};

	memset(a, 255, 1024);
	for (int sign = 0; sign < 4; sign++)
		for (int level = 0; level < 2; level++) {
			memset(b, level ? 255 : 128, sizeof(b));
			args.a_signed = sign & 1;
			args.b_signed = sign & 2;
			args.b_zero = level ? NULL : zeros;
			run(&args, b);
		}
}
END_TEST

START_TEST(batches_broadcast_and_have_zeros_of_their_own)
{
	struct matmul_integer_args args = {
		.a = a_bytes,
		.b = b_bytes,
		.a_zero = a_zeros,
		.b_zero = b_zeros,
		.batch = { 2, 3, 2 },
		.a_batch = { 6 * 35, 0, 35 },
		.b_batch = { 0, 7 * 18, 0 },
		.a_zero_batch = { 10, 0, 5 },
		.b_zero_batch = { 0, 18, 0 },
		.m = 5,
		.k = 7,
		.n = 18,
		.a_zero_step = 1,
		.b_zero_step = 1,
		.b_signed = true,
	};

	run(&args, b_bytes);
	args.a_zero_step = 0;
	args.a_signed = true;
	run(&args, b_bytes);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("matmul_integer");
	TCase *tcase = tcase_create("matmul_integer");

	tcase_set_timeout(tcase, 120);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_loop_test(tcase, every_shape_sign_and_zero_has_the_exact_sums, 0, 16);
	tcase_add_test(tcase, many_rows_go_in_blocks);
	tcase_add_test(tcase, no_k_gives_zeros_and_no_rows_write_nothing);
	tcase_add_test(tcase, the_extremes_do_not_saturate);
	tcase_add_test(tcase, batches_broadcast_and_have_zeros_of_their_own);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
