/* SPDX-License-Identifier: MIT */
/* tests/kernels/test_copy.c - strided copies move every element to its place and nothing else */
#include <stdlib.h>
#include <string.h>

#include "kernels/copy.h"
#include "kernels/ref/ref.h"
#include "tests/kernels/kernel_test.h"
#include "tests/suite.h"

#define INPUT_WORDS 20000
#define COUNT(sweep) (sizeof(sweep) / sizeof((sweep)[0]))

static uint64_t *inputs;

static void setup(void)
{
	random_begin(91);
	inputs = malloc(INPUT_WORDS * sizeof(uint64_t));
	for (int index = 0; index < INPUT_WORDS; index++)
		inputs[index] = random_u64();
}

static void teardown(void)
{
	free(inputs);
}

/* y_elements is the whole output, of which the copy may fill a part, from y_first on. */
static void run_copy(struct copy_args args, int64_t x_first, int64_t y_first, int64_t y_elements)
{
	for (args.element_bytes = 1; args.element_bytes <= 8; args.element_bytes *= 2) {
		size_t bytes = (size_t)y_elements * args.element_bytes;
		unsigned char *expected = malloc(bytes + 1);
		struct kernel_outputs outputs;

		memset(expected, KERNEL_FILLER, bytes);
		args.x = (const char *)inputs + x_first * args.element_bytes;
		ref_copy(&args, expected + y_first * args.element_bytes);
		kernel_outputs_init(&outputs, bytes);
		for (int device = 0; device < outputs.count; device++) {
			args.y = (char *)outputs.y[device] + y_first * args.element_bytes;
			outputs.devices[device]->kernels[KERNEL_COPY](&args);
			expect(memcmp(outputs.y[device], expected, bytes) == 0);
		}
		kernel_outputs_check(&outputs);
		kernel_outputs_deinit(&outputs);
		free(expected);
	}
}

START_TEST(runs_of_every_length_are_copied_whole)
{
	for (int64_t length = 0; length <= 600; length += length < 70 ? 1 : 53) {
		struct copy_args whole = { .dims = { length }, .x_strides = { 1 },
					   .y_strides = { 1 }, .rank = 1 };
		struct copy_args rows = { .dims = { 3, length }, .x_strides = { length + 1, 1 },
					  .y_strides = { length + 5, 1 }, .rank = 2 };

		run_copy(whole, 0, 0, length);
		run_copy(rows, 1, 2, 3 * (length + 5));
	}
}
END_TEST

START_TEST(transposes_of_every_size_are_right)
{
	const int64_t sizes[] = { 1, 2, 15, 16, 17, 33, 50 };

	for (size_t row = 0; row < COUNT(sizes); row++)
		for (size_t column = 0; column < COUNT(sizes); column++) {
			int64_t rows = sizes[row], columns = sizes[column];
			struct copy_args plain = { .dims = { rows, columns },
						   .x_strides = { 1, rows },
						   .y_strides = { columns, 1 },
						   .rank = 2 };
			struct copy_args batched = { .dims = { 3, rows, columns },
						     .x_strides = { rows * columns, 1, rows },
						     .y_strides = { rows * columns, columns, 1 },
						     .rank = 3 };

			run_copy(plain, 0, 0, rows * columns);
			run_copy(batched, 0, 0, 3 * rows * columns);
		}
}
END_TEST

START_TEST(permutations_expansions_and_reversals_are_right)
{
	struct copy_args permuted = { .dims = { 2, 4, 3, 5 }, .x_strides = { 60, 5, 20, 1 },
				      .y_strides = { 60, 15, 5, 1 }, .rank = 4 };
	struct copy_args expanded = { .dims = { 4, 3, 7 }, .x_strides = { 0, 1, 0 },
				      .y_strides = { 21, 7, 1 }, .rank = 3 };
	struct copy_args reversed = { .dims = { 5, 20 }, .x_strides = { -20, -1 },
				      .y_strides = { 20, 1 }, .rank = 2 };
	struct copy_args stepped = { .dims = { 5, 10 }, .x_strides = { 40, 2 },
				     .y_strides = { 10, 1 }, .rank = 2 };
	struct copy_args into_reverse = { .dims = { 6, 4 }, .x_strides = { 4, 1 },
					  .y_strides = { -4, 1 }, .rank = 2 };
	struct copy_args column = { .dims = { 40, 1 }, .x_strides = { 1, 1 },
				    .y_strides = { 27, 1 }, .rank = 2 };
	struct copy_args scalar = { .rank = 0 };
	struct copy_args nothing = { .dims = { 3, 0, 2 }, .x_strides = { 0, 2, 1 },
				     .y_strides = { 0, 2, 1 }, .rank = 3 };
	struct copy_args deep = { .dims = { 2, 2, 2, 2, 2, 3 },
				  .x_strides = { 1, 2, 4, 8, 16, 32 },
				  .y_strides = { 48, 24, 12, 6, 3, 1 }, .rank = 6 };

	run_copy(permuted, 0, 0, 120);
	run_copy(expanded, 0, 0, 84);
	run_copy(reversed, 99, 0, 100);
	run_copy(stepped, 0, 0, 50);
	run_copy(into_reverse, 0, 20, 24);
	run_copy(column, 0, 3, 40 * 27);
	run_copy(scalar, 2, 1, 3);
	run_copy(nothing, 0, 0, 4);
	run_copy(deep, 0, 0, 96);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("copy");
	TCase *tcase = tcase_create("copy");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, runs_of_every_length_are_copied_whole);
	tcase_add_test(tcase, transposes_of_every_size_are_right);
	tcase_add_test(tcase, permutations_expansions_and_reversals_are_right);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
