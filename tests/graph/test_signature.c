/* SPDX-License-Identifier: MIT */
/* tests/graph/test_signature.c - free sizes solved from a request, and their arithmetic */
#include <check.h>

#include "graph/poly.h"
#include "graph/signature.h"
#include "tests/suite.h"

/* a [batch, 3], b [batch, length] */
static struct signature_tensor inputs[2] = {
	{.rank = 2, .dims = {{.symbol = 0, .factor = 1}, {.symbol = -1, .constant = 3}}},
	{.rank = 2, .dims = {{.symbol = 0, .factor = 1}, {.symbol = 1, .factor = 1}}},
};
static const struct signature signature = {
	.inputs = inputs,
	.input_count = 2,
	.symbol_count = 2,
	.row_symbol = 0,
};

START_TEST(symbols_follow_from_the_dims_of_a_request)
{
	const struct signature_shape shapes[] = {
		{.rank = 2, .dims = {7, 3}},
		{.rank = 2, .dims = {7, 11}},
	};
	int64_t symbols[SIGNATURE_SYMBOLS_MAX];
	uint32_t input = 9;

	ck_assert_int_eq(signature_solve(&signature, shapes, symbols, &input), 0);
	ck_assert_int_eq(symbols[0], 7);
	ck_assert_int_eq(symbols[1], 11);
	ck_assert_int_eq(symbols[2], 0);
	ck_assert_uint_eq(input, 9);
	ck_assert_int_eq(signature_elements(&inputs[1], symbols), 77);
}
END_TEST

START_TEST(an_input_that_does_not_fit_is_named)
{
	static const struct {
		struct signature_shape shapes[2];
		uint32_t input;
	} cases[] = {
		{{{.rank = 2, .dims = {7, 4}}, {.rank = 2, .dims = {7, 1}}}, 0},
		{{{.rank = 1, .dims = {7}}, {.rank = 2, .dims = {7, 1}}}, 0},
		{{{.rank = 2, .dims = {7, 3}}, {.rank = 2, .dims = {8, 1}}}, 1},
		{{{.rank = 2, .dims = {7, 3}}, {.rank = 3, .dims = {7, 1, 1}}}, 1},
		{{{.rank = 2, .dims = {0, 3}}, {.rank = 2, .dims = {UINT32_MAX, 1}}}, 1},
	};
	int64_t symbols[SIGNATURE_SYMBOLS_MAX] = {-5};
	uint32_t input;

	for (size_t index = 0; index < sizeof(cases) / sizeof(cases[0]); index++) {
		ck_assert_int_eq(signature_solve(&signature, cases[index].shapes, symbols, &input),
				 SIGNATURE_E_MISMATCH);
		ck_assert_uint_eq(input, cases[index].input);
		ck_assert_int_eq(symbols[0], -5);
	}
}
END_TEST

START_TEST(elements_that_do_not_fit_saturate)
{
	const struct signature_tensor tensor = {
		.rank = 3,
		.dims = {{.symbol = 0, .factor = 1}, {.symbol = 0, .factor = 1},
			 {.symbol = 0, .factor = 1}},
	};
	const int64_t symbols[SIGNATURE_SYMBOLS_MAX] = {UINT32_MAX};

	ck_assert_int_eq(signature_elements(&tensor, symbols), INT64_MAX);
}
END_TEST

START_TEST(elements_whose_bytes_do_not_fit_saturate)
{
	const struct signature_tensor tensor = {
		.rank = 2,
		.dims = {{.symbol = 0, .factor = 1}, {.symbol = 1, .factor = 1}},
	};
	const int64_t symbols[SIGNATURE_SYMBOLS_MAX] = {1LL << 31, 1LL << 31};
	const int64_t fewer[SIGNATURE_SYMBOLS_MAX] = {1LL << 30, 1LL << 29};

	/* 2^62 elements of 4 bytes would be 0 bytes of 64 bits. */
	ck_assert_int_eq(signature_elements(&tensor, symbols), INT64_MAX);
	ck_assert_int_eq(signature_elements(&tensor, fewer), 1LL << 59);
}
END_TEST

START_TEST(dims_stay_affine_in_one_symbol_or_say_no)
{
	struct dim batch = dim_symbol(0), length = dim_symbol(1), dim;

	ck_assert(dim_add(batch, batch, &dim));
	ck_assert_int_eq(dim.factor, 2);
	ck_assert(dim_add(dim, dim_constant(6), &dim));
	ck_assert(dim_divide(dim, 2, &dim));
	ck_assert(dim_equal(dim, (struct dim){.symbol = 0, .factor = 1, .constant = 3}));
	ck_assert(!dim_divide(dim, 2, &dim));
	ck_assert(dim_subtract(batch, batch, &dim));
	ck_assert(dim_is(dim, 0));
	ck_assert(!dim_add(batch, length, &dim));
	ck_assert(!dim_multiply(batch, batch, &dim));
	ck_assert(!dim_multiply(dim_constant(INT64_MAX), dim_constant(2), &dim));
	ck_assert(!dim_multiply(batch, dim_constant(1LL << 40), &dim));
	ck_assert(!dim_divide(dim_constant(INT64_MIN), -1, &dim));
	ck_assert(!dim_divide(dim_constant(1), 0, &dim));
}
END_TEST

START_TEST(polynomials_multiply_cancel_and_evaluate)
{
	const int64_t symbols[SIGNATURE_SYMBOLS_MAX] = {5, 7};
	struct poly batch = poly_dim(dim_symbol(0)), length = poly_dim(dim_symbol(1));
	struct poly sum = poly_add(batch, poly_constant(-1));
	struct poly product = poly_multiply(sum, poly_add(length, poly_constant(2)));
	struct poly zero = poly_add(batch, poly_scale(batch, -1));
	struct poly rows = poly_divide_symbol(poly_multiply(batch, length), 0);

	ck_assert_int_eq(poly_value(&product, symbols), 4 * 9);
	ck_assert(poly_is(&zero, 0));
	ck_assert(poly_equal(&rows, &length));
	rows = poly_divide_symbol(sum, 0);
	ck_assert_uint_eq(rows.count, POLY_INVALID);
	rows = poly_multiply(rows, batch);
	ck_assert_uint_eq(rows.count, POLY_INVALID);
	ck_assert(!poly_equal(&rows, &rows));
}
END_TEST

START_TEST(a_term_has_few_factors_of_any_symbol)
{
	int64_t symbols[SIGNATURE_SYMBOLS_MAX] = {3};
	struct poly first = poly_dim(dim_symbol(0));
	struct poly last = poly_dim(dim_symbol(SIGNATURE_SYMBOLS_MAX - 1));
	struct poly one_way = poly_multiply(poly_multiply(last, first), last);
	struct poly other_way = poly_multiply(last, poly_multiply(last, first));
	struct poly power = poly_constant(1);

	symbols[SIGNATURE_SYMBOLS_MAX - 1] = 5;
	ck_assert(poly_equal(&one_way, &other_way));
	ck_assert_int_eq(poly_value(&one_way, symbols), 75);
	one_way = poly_divide_symbol(one_way, SIGNATURE_SYMBOLS_MAX - 1);
	ck_assert_int_eq(poly_value(&one_way, symbols), 15);
	one_way = poly_divide_symbol(one_way, 0);
	ck_assert(poly_equal(&one_way, &last));
	for (int factor = 0; factor < POLY_FACTORS_MAX; factor++)
		power = poly_multiply(power, first);
	ck_assert_int_eq(poly_value(&power, symbols), 6561);
	power = poly_multiply(power, last);
	ck_assert_uint_eq(power.count, POLY_INVALID);
}
END_TEST

/* a * b + a * c divided by a: what was in order stays so. */
START_TEST(a_quotient_is_in_order)
{
	struct poly a = poly_dim(dim_symbol(4)), b = poly_dim(dim_symbol(2));
	struct poly c = poly_dim(dim_symbol(9));
	struct poly sum = poly_add(poly_multiply(a, b), poly_multiply(a, c));
	struct poly wanted = poly_add(c, b);

	sum = poly_divide_symbol(sum, 4);
	ck_assert(poly_equal(&sum, &wanted));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("signature");
	TCase *tests = tcase_create("signature");

	tcase_add_test(tests, symbols_follow_from_the_dims_of_a_request);
	tcase_add_test(tests, an_input_that_does_not_fit_is_named);
	tcase_add_test(tests, elements_that_do_not_fit_saturate);
	tcase_add_test(tests, elements_whose_bytes_do_not_fit_saturate);
	tcase_add_test(tests, dims_stay_affine_in_one_symbol_or_say_no);
	tcase_add_test(tests, polynomials_multiply_cancel_and_evaluate);
	tcase_add_test(tests, a_term_has_few_factors_of_any_symbol);
	tcase_add_test(tests, a_quotient_is_in_order);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}
