/* SPDX-License-Identifier: MIT */
/*
 * tests/exec/test_einsum.c - equations against sums over every letter, and what must be refused
 *
 * Operands are small whole numbers, so that every order of a sum has the same bits.
 */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "kernels/ref/ref.h"
#include "tests/exec/engine_fixture.h"
#include "tests/exec/operand.h"
#include "tests/graph/graph_fixture.h"
#include "tests/suite.h"

#define COUNT(sweep) (sizeof(sweep) / sizeof((sweep)[0]))
#define SEEDS 6
#define HOSTILE 400

/* What the equation means, an axis of an ellipsis being X or Y. */
struct meaning {
	const char *equation;
	const char *a, *b, *y; /* b NULL: one operand */
};

static const struct meaning meanings[] = {
	{"ij->ji", "ij", NULL, "ji"},
	{"ji", "ji", NULL, "ij"},
	{"ij->ij", "ij", NULL, "ij"},
	{" i j k -> j ", "ijk", NULL, "j"},
	{"ijk->ki", "ijk", NULL, "ki"},
	{"i->", "i", NULL, ""},
	{"->", "", NULL, ""},
	{"...i->...", "XYi", NULL, "XY"},
	{"i...->...i", "iXY", NULL, "XYi"},
	{"b...a", "bXYa", NULL, "XYab"},
	{",", "", "", ""},
	{"i,->i", "i", "", "i"},
	{"i,i", "i", "i", ""},
	{"i,i->i", "i", "i", "i"},
	{"i,j->ij", "i", "j", "ij"},
	{"i,j->ji", "i", "j", "ji"},
	{"ij,jk", "ij", "jk", "ik"},
	{"ij,jk->ki", "ij", "jk", "ki"},
	{"ij,kj->ik", "ij", "kj", "ik"},
	{"ji,jk->ik", "ji", "jk", "ik"},
	{"jk,bk->bj", "jk", "bk", "bj"},
	{"bA,Ac", "bA", "Ac", "bc"},
	{"bij,bjk->bik", "bij", "bjk", "bik"},
	{"bij,bkj->bik", "bij", "bkj", "bik"},
	{"bi,bij->bj", "bi", "bij", "bj"},
	{"bij,bj->bi", "bij", "bj", "bi"},
	{"bi,bi->b", "bi", "bi", "b"},
	{"bi,bi->", "bi", "bi", ""},
	{"bij,ij->b", "bij", "ij", "b"},
	{"bi,bjk->bijk", "bi", "bjk", "bijk"},
	{"bi,bj->bij", "bi", "bj", "bij"},
	{"ijk,jil->kl", "ijk", "jil", "kl"},
	{"ijk,kjl->il", "ijk", "kjl", "il"},
	{"ab,cd->", "ab", "cd", ""},
	{"ab,bc->a", "ab", "bc", "a"},
	{"a,ab->b", "a", "ab", "b"},
	{"bhqd,bkhd->bhqk", "bhqd", "bkhd", "bhqk"},
	{"bhqk,bkhd->bqhd", "bhqk", "bkhd", "bqhd"},
	{"bsd,dhe->bshe", "bsd", "dhe", "bshe"},
	{"bshe,hed->bsd", "bshe", "hed", "bsd"},
	{"bsd,dhe->bhse", "bsd", "dhe", "bhse"},
	{"abcd,bedf->eacf", "abcd", "bedf", "eacf"},
	{"bxi,bij->bxj", "bxi", "bij", "bxj"},
	{"bxyi,bij->bxyj", "bxyi", "bij", "bxyj"},
	{"abxi,abiy->abxy", "abxi", "abiy", "abxy"},
	{"...ik,...kj->...ij", "XYik", "XYkj", "XYij"},
	{"...k,kn->...n", "XYk", "kn", "XYn"},
	{"a...,b...->ab...", "aX", "bX", "abX"},
	{"...,...", "XY", "XY", "XY"},
};

static uint32_t seed;

static int64_t number_below(int64_t bound)
{
	int64_t number;

	fixture_ids(&number, 1, bound, &seed);
	return number;
}

/* Where the letters' places are in an operand, a size of 1 being broadcast. */
static int64_t place_of(const struct test_operand *operand, const char *letters, const int64_t at[])
{
	int64_t place = 0;

	for (uint32_t axis = 0; axis < operand->rank; axis++)
		place = place * operand->dims[axis] +
			(operand->dims[axis] == 1 ? 0 : at[(uint8_t)letters[axis]]);
	return place;
}

static void oracle(const struct meaning *meaning, const struct test_operand *a, const struct test_operand *b,
		   const int64_t sizes[256], double sums[OPERAND_ELEMENTS_MAX])
{
	char letters[32] = "";
	int64_t total = 1;

	for (int term = 0; term < 2; term++)
		for (const char *at = term ? meaning->b : meaning->a; at && *at; at++)
			if (!strchr(letters, *at))
				letters[strlen(letters)] = *at;
	for (const char *at = letters; *at; at++)
		total *= sizes[(uint8_t)*at];
	for (int64_t index = 0; index < total; index++) {
		int64_t at[256] = {0}, rest = index, place = 0;

		for (const char *letter = letters; *letter; letter++) {
			at[(uint8_t)*letter] = rest % sizes[(uint8_t)*letter];
			rest /= sizes[(uint8_t)*letter];
		}
		for (const char *letter = meaning->y; *letter; letter++)
			place = place * sizes[(uint8_t)*letter] + at[(uint8_t)*letter];
		sums[place] += operand_at(a, place_of(a, meaning->a, at)) *
			       (b ? operand_at(b, place_of(b, meaning->b, at)) : 1);
	}
}

/* `narrow`: that letter is 1 in the second operand. */
static void check(const struct meaning *meaning, enum dtype dtype, uint32_t constants, char narrow)
{
	struct test_operand a = {"a", dtype, 0, {0}, ""}, b = {"b", dtype, 0, {0}, ""};
	const struct test_operand *operands[] = {&a, &b};
	struct onnx_writer *writer = onnx_writer_new(13);
	double sums[OPERAND_ELEMENTS_MAX] = {0};
	char y[OPERAND_BYTES_MAX];
	void *outputs[] = {y};
	int64_t sizes[256], count = 1;

	for (size_t letter = 0; letter < COUNT(sizes); letter++)
		sizes[letter] = 1 + number_below(4);
	for (const char *letter = meaning->a; *letter; letter++)
		a.dims[a.rank++] = sizes[(uint8_t)*letter];
	for (const char *letter = meaning->b; letter && *letter; letter++)
		b.dims[b.rank++] = *letter == narrow ? 1 : sizes[(uint8_t)*letter];
	for (const char *letter = meaning->y; *letter; letter++)
		count *= sizes[(uint8_t)*letter];
	operand_fill(&a, -3, 7, &seed);
	operand_fill(&b, -3, 7, &seed);
	oracle(meaning, &a, meaning->b ? &b : NULL, sizes, sums);
	onnx_writer_node(writer, "Einsum", meaning->b ? "a,b" : "a", "y");
	onnx_writer_string(writer, "equation", meaning->equation);
	onnx_writer_output(writer, "y", (int32_t)dtype, NULL);
	operand_run(writer, operands, meaning->b ? 2 : 1, constants, outputs);
	for (int64_t index = 0; index < count; index++)
		ck_assert_msg(ref_read(y, dtype, index) == sums[index],
			      "'%s', constants %u: element %lld is %g, wanted %g", meaning->equation,
			      constants, (long long)index, ref_read(y, dtype, index), sums[index]);
}

START_TEST(an_equation_has_the_sums_that_it_says)
{
	static const enum dtype dtypes[] = {DTYPE_F32, DTYPE_I32, DTYPE_F32, DTYPE_I64};

	seed = 70 + (uint32_t)_i;
	for (uint32_t run = 0; run < SEEDS; run++)
		check(&meanings[_i], dtypes[run % COUNT(dtypes)], run % 4, '\0');
}
END_TEST

START_TEST(a_size_of_1_is_broadcast)
{
	static const struct meaning broadcast[] = {
		{"...ik,...kj->...ij", "Xik", "Xkj", "Xij"}, {"...,...->...", "X", "X", "X"},
		{"Xi,Xi->X", "Xi", "Xi", "X"}, {"Xi,Xi->i", "Xi", "Xi", "i"},
	};

	seed = 170 + (uint32_t)_i;
	for (uint32_t run = 0; run < SEEDS; run++)
		check(&broadcast[_i], DTYPE_F32, run % 4, 'X');
}
END_TEST

/* --- plans --- */

static const float floats[64] = {1, -2, 3, -4, 5, -6, 7, -8};

static struct onnx_writer *put_equation(const char *equation, const char *inputs)
{
	struct onnx_writer *writer = onnx_writer_new(13);

	onnx_writer_input(writer, "x", DTYPE_F32, "batch,4");
	onnx_writer_input(writer, "z", DTYPE_F32, "batch,3,4");
	onnx_writer_tensor(writer, "w", DTYPE_F32, "4,4", floats, 64);
	onnx_writer_tensor(writer, "v", DTYPE_F32, "4,2,2", floats, 64);
	onnx_writer_node(writer, "Einsum", inputs, "y");
	onnx_writer_string(writer, "equation", equation);
	onnx_writer_output(writer, "y", DTYPE_F32, NULL);
	return writer;
}

static const struct {
	const char *equation, *inputs;
	bool are_rows;
	uint32_t gemms, copies; /* steps */
} plans[] = {
	{"bi,ij->bj", "x,w", true, 1, 0},
	{"bi,ji->bj", "x,w", true, 1, 0},
	{"ji,bi->bj", "w,x", true, 1, 0},
	{"bi,ij->jb", "x,w", false, 0, 0},
	{"bsd,dhe->bshe", "z,v", true, 1, 0},
	{"bsd,bd->bs", "z,x", true, 0, 0},
	{"bid,bjd->bij", "z,z", true, 0, 0},
	{"bi,bi->b", "x,x", true, 0, 0},
	{"bi,bj->ij", "x,x", false, 0, 0},
	{"bsd->bs", "z", true, 0, 0},
};

START_TEST(rows_stay_rows_and_weights_are_packed)
{
	struct built built;
	bool made = built_init(&built, put_equation(plans[_i].equation, plans[_i].inputs));

	ck_assert_msg(made, "%s", err_message());
	ck_assert_msg((built.lowering.row_symbol == 0) == plans[_i].are_rows, "'%s'",
		      plans[_i].equation);
	ck_assert_uint_eq(built_count(&built, KERNEL_GEMM), plans[_i].gemms);
	if (plans[_i].gemms > 0)
		ck_assert_uint_eq(built_count(&built, KERNEL_COPY), plans[_i].copies);
	built_deinit(&built);
}
END_TEST

/* --- refusals --- */

static const struct {
	const char *equation, *inputs, *sentence;
} refusals[] = {
	{"ii->i", "w", "equation 'ii->i': 'i' is twice in one term"},
	{"ij->iij", "w", "'i' is twice"},
	{"ij,jk,kl->il", "w,w,w", "equation 'ij,jk,kl->il': 3 operands; at most 2"},
	{"ij,jk->il", "w,w", "'l' of the output is in no input"},
	{"ijk->i", "w", "term 0 has 3 letters; input 'w' has 2 dimensions"},
	{"ij", "w,w", "it has not one term for each of 2 inputs"},
	{"ij,jk", "w", "it has not one term for each of 1 inputs"},
	{"ij,jk->ik->i", "w,w", "it goes on behind its output"},
	{"i1->i", "w", "byte 1 (0x31)"},
	{"i.->i", "w", "byte 1 (0x2e)"},
	{"ij-", "w", "byte 2 (0x2d)"},
	{"i\xff", "w", "byte 1 (0xff)"},
	{"abcdefghijklmnopqrstuvwxyz", "w", "a term has more than"},
	{"......", "w", "a term has two ellipses"},
	{"i...->i", "w", "its output has no '...'"},
	{"...i,...jk->...", "w,w", "its ellipses stand for 1 and 0 dimensions"},
	{"bi,ij->bj", "z,w", "term 0 has 2 letters"},
	{"bij,jk->bik", "z,x", "'j' is 4 in one operand and batch in the other"},
};

START_TEST(what_is_no_product_of_two_is_refused_by_a_sentence)
{
	struct built built;
	bool made = built_init(&built, put_equation(refusals[_i].equation, refusals[_i].inputs));

	ck_assert_msg(!made, "'%s' is accepted", refusals[_i].equation);
	ck_assert_msg(strstr(err_message(), refusals[_i].sentence) != NULL,
		      "\"%s\" is not in \"%s\"", refusals[_i].sentence, err_message());
	built_deinit(&built);
}
END_TEST

START_TEST(any_bytes_are_an_equation_or_refused)
{
	static const char bytes[] = "ijjkb..,,->  ...\x01\xff{Zij,jk->ik";
	static const char *const inputs[] = {"w", "w,w", "z,w", "x,v", "w,w,w", "z,x"};
	uint32_t loaded = 0;

	seed = 4242;
	for (int turn = 0; turn < HOSTILE; turn++) {
		char equation[48] = "ij,jk->ik";
		struct built built;
		int64_t changes = number_below(5);
		size_t length = turn % 2 ? strlen(equation) : (size_t)number_below(40);

		for (size_t index = 0; turn % 2 == 0 && index < length; index++)
			equation[index] = bytes[number_below(sizeof(bytes) - 1)];
		for (int64_t change = 0; turn % 2 && change < changes; change++)
			equation[number_below((int64_t)length)] =
				bytes[number_below(sizeof(bytes) - 1)];
		equation[length] = '\0';
		if (built_init(&built, put_equation(equation, inputs[number_below(6)])))
			loaded++;
		else
			ck_assert_msg(strstr(err_message(), "model: ") == err_message(), "\"%s\"",
				      err_message());
		built_deinit(&built);
	}
	ck_assert_uint_gt(loaded, 0);
	ck_assert_uint_lt(loaded, HOSTILE);
}
END_TEST

/* --- NonZero --- */

START_TEST(where_a_constant_is_not_zero_is_known_at_load)
{
	static const int64_t wanted[] = {0, 0, 1, 1, 0, 2, 0, 1};
	struct test_operand a = {"a", DTYPE_F32, 2, {2, 3}, ""};
	const struct test_operand *operands[] = {&a};
	struct onnx_writer *writer = onnx_writer_new(13);
	int64_t y[8];
	void *outputs[] = {y};

	operand_set(&a, 0, 7);
	operand_set(&a, 2, -1);
	operand_set(&a, 3, 1);
	operand_set(&a, 4, 1);
	((float *)(void *)a.data)[1] = -0.0f;
	onnx_writer_node(writer, "NonZero", "a", "y");
	onnx_writer_output(writer, "y", DTYPE_I64, NULL);
	operand_run(writer, operands, 1, 1, outputs);
	for (size_t index = 0; index < COUNT(wanted); index++)
		ck_assert_int_eq(y[index], wanted[index]);
}
END_TEST

START_TEST(where_an_input_is_not_zero_is_refused)
{
	struct onnx_writer *writer = onnx_writer_new(13);
	struct built built;

	onnx_writer_input(writer, "x", DTYPE_F32, "batch,4");
	onnx_writer_node(writer, "NonZero", "x", "y");
	onnx_writer_output(writer, "y", DTYPE_I64, NULL);
	ck_assert(!built_init(&built, writer));
	ck_assert_msg(strstr(err_message(), "shapes that depend on data do not load") != NULL, "%s",
		      err_message());
	built_deinit(&built);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("einsum");
	TCase *tests = tcase_create("einsum");

	tcase_set_timeout(tests, 120);
	tcase_add_loop_test(tests, an_equation_has_the_sums_that_it_says, 0, COUNT(meanings));
	tcase_add_loop_test(tests, a_size_of_1_is_broadcast, 0, 4);
	tcase_add_loop_test(tests, rows_stay_rows_and_weights_are_packed, 0, COUNT(plans));
	tcase_add_loop_test(tests, what_is_no_product_of_two_is_refused_by_a_sentence, 0,
			    COUNT(refusals));
	tcase_add_test(tests, any_bytes_are_an_equation_or_refused);
	tcase_add_test(tests, where_a_constant_is_not_zero_is_known_at_load);
	tcase_add_test(tests, where_an_input_is_not_zero_is_refused);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}
