/* SPDX-License-Identifier: MIT */
/* tests/kernels/test_store.c - integers land in their type and nowhere else */
#include "kernels/ref/ref.h"
#include "kernels/store.h"
#include "tests/kernels/kernel_test.h"
#include "tests/suite.h"

START_TEST(every_count_of_both_types_is_stored)
{
	const enum dtype dtypes[] = { DTYPE_I32, DTYPE_I64 };

	for (uint32_t count = 0; count <= STORE_VALUES_MAX; count++)
		for (int dtype = 0; dtype < 2; dtype++) {
			struct store_args args = { .count = count, .dtype = dtypes[dtype] };
			int64_t expected[STORE_VALUES_MAX];
			struct kernel_outputs outputs;

			for (uint32_t index = 0; index < count; index++)
				args.values[index] = (int64_t)index * -1000003;
			ref_store(&args, expected);
			kernel_outputs_init(&outputs, count * dtype_bytes(args.dtype));
			for (int device = 0; device < outputs.count; device++) {
				args.y = outputs.y[device];
				outputs.devices[device]->kernels[KERNEL_STORE](&args);
				for (uint32_t index = 0; index < count; index++)
					expect_int(args.dtype == DTYPE_I32 ?
								 ((int32_t *)args.y)[index] :
								 ((int64_t *)args.y)[index],
							 expected[index]);
			}
			kernel_outputs_check(&outputs);
			kernel_outputs_deinit(&outputs);
		}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("store");
	TCase *tcase = tcase_create("store");

	tcase_add_test(tcase, every_count_of_both_types_is_stored);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
