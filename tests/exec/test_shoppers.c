/* SPDX-License-Identifier: MIT */
/* tests/exec/test_shoppers.c - a trained model, against the scores PyTorch gave its held-out rows
 */
#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "exec/engine.h"
#include "tests/suite.h"
#include "tools/hearthctl/requests/npy.h"

#define DATA "tests/data/shoppers/"
#define ROWS 2500
#define DENSE 10
#define IDS 7
#define CROSSES 6
#define SEED 20260211

static struct npy dense, ids, crosses, scores[2];

static void data_read(void)
{
	ck_assert_int_eq(npy_read(DATA "dense.npy", &dense), 0);
	ck_assert_int_eq(npy_read(DATA "ids.npy", &ids), 0);
	ck_assert_int_eq(npy_read(DATA "crosses.npy", &crosses), 0);
	ck_assert_int_eq(npy_read(DATA "score_v1.npy", &scores[0]), 0);
	ck_assert_int_eq(npy_read(DATA "score_v2.npy", &scores[1]), 0);
	ck_assert_uint_eq(dense.dims[0], ROWS);
}

static void data_free(void)
{
	npy_free(&dense);
	npy_free(&ids);
	npy_free(&crosses);
	npy_free(&scores[0]);
	npy_free(&scores[1]);
}

static struct engine *shoppers_load(int version, const struct device *device, uint32_t rows_max)
{
	struct engine_options options = {.device = device, .rows_max = rows_max, .node = -1};
	struct engine *engine = NULL;
	char path[128];
	int directory_fd;
	int r;

	(void)snprintf(path, sizeof(path), DATA "repository/shoppers/%d", version);
	directory_fd = open(path, O_RDONLY | O_DIRECTORY);
	ck_assert_int_ge(directory_fd, 0);
	r = engine_new(directory_fd, "shoppers", &options, &engine);
	ck_assert_msg(r == 0, "%s", err_message());
	(void)close(directory_fd);
	return engine;
}

/* Scores rows [first, first + count) as one batch, from aligned copies. */
static void score(struct engine *engine, uint32_t first, uint32_t count, float *ret_scores)
{
	const struct npy *sources[] = {&dense, &ids, &crosses};
	const struct signature *signature = engine_signature(engine);
	struct signature_shape shapes[3];
	int64_t symbols[SIGNATURE_SYMBOLS_MAX];
	void *inputs[3];
	void *outputs[1];
	struct row_status *status = calloc(count, sizeof(*status));
	uint32_t mismatch;

	for (uint32_t input = 0; input < 3; input++) {
		size_t row_bytes = npy_row_bytes(sources[input]);

		shapes[input] = (struct signature_shape){
			.rank = 2,
			.dims = {count, (uint32_t)sources[input]->dims[1]},
		};
		inputs[input] = aligned_alloc(64, (count * row_bytes + 127) & ~(size_t)63);
		memcpy(inputs[input], (const char *)sources[input]->data + first * row_bytes,
		       count * row_bytes);
	}
	outputs[0] = aligned_alloc(64, (count * sizeof(float) + 127) & ~(size_t)63);
	ck_assert_int_eq(signature_solve(signature, shapes, symbols, &mismatch), 0);
	ck_assert(engine_fits(engine, symbols));
	engine_run(engine, symbols, (const void *const *)inputs, outputs, status);
	memcpy(ret_scores, outputs[0], count * sizeof(float));
	for (uint32_t row = 0; row < count; row++) {
		ck_assert_uint_eq(status[row].error, 0);
		ck_assert_uint_eq(status[row].substituted, 0);
	}
	for (uint32_t input = 0; input < 3; input++)
		free(inputs[input]);
	free(outputs[0]);
	free(status);
}

START_TEST(scores_are_within_1e_5_of_pytorch_at_every_batch)
{
	static const uint32_t batches[] = {1, 7, 64, ROWS};
	const float *wanted;
	struct engine *engine;
	float got[ROWS];

	data_read();
	wanted = scores[_i].data;
	engine = shoppers_load(_i + 1, NULL, ROWS);
	for (size_t index = 0; index < sizeof(batches) / sizeof(batches[0]); index++) {
		uint32_t batch = batches[index];

		for (uint32_t row = 0; row < ROWS; row += batch) {
			if (batch == 1 && row % 10 != 0)
				continue;
			score(engine, row, row + batch > ROWS ? ROWS - row : batch, got + row);
			for (uint32_t item = row; item < row + batch && item < ROWS; item++)
				ck_assert_float_eq_tol(got[item], wanted[item], 1e-5f);
		}
	}
	engine_free(engine);
	data_free();
}
END_TEST

START_TEST(signature_names_what_the_file_names)
{
	struct engine *engine = shoppers_load(2, NULL, 64);
	const struct signature *signature = engine_signature(engine);

	ck_assert_uint_eq(signature->input_count, 3);
	ck_assert_uint_eq(signature->output_count, 1);
	ck_assert_uint_eq(signature->symbol_count, 1);
	ck_assert_str_eq(signature->symbols[0], "batch");
	ck_assert_str_eq(signature->inputs[0].name, "dense");
	ck_assert_str_eq(signature->inputs[2].name, "crosses");
	ck_assert_int_eq((int)signature->inputs[1].dtype, DTYPE_I64);
	ck_assert_str_eq(signature->outputs[0].name, "score");
	ck_assert_int_eq(signature->outputs[0].dims[1].constant, 1);
	ck_assert_int_eq(signature->row_symbol, 0);
	ck_assert_uint_eq(engine_rows_max(engine), 64);
	engine_free(engine);
}
END_TEST

START_TEST(a_rows_bits_do_not_depend_on_its_batch_on_any_isa)
{
	static const char *const isas[] = {"baseline", "v3", "v4"};
	const struct device *device = cpu_device_by_name(isas[_i]);
	unsigned int seed = SEED;
	struct engine *engine;
	float whole[ROWS];
	float split[ROWS];

	if (!device) {
		printf("SKIP: this processor lacks %s\n", isas[_i]);
		return;
	}
	data_read();
	engine = shoppers_load(2, device, ROWS);
	score(engine, 0, ROWS, whole);
	for (uint32_t row = 0; row < ROWS; row++)
		ck_assert_float_eq_tol(whole[row], ((float *)scores[1].data)[row], 1e-5f);
	for (uint32_t repeat = 0; repeat < 3; repeat++) {
		for (uint32_t row = 0; row < ROWS;) {
			uint32_t count = 1 + (uint32_t)rand_r(&seed) % (repeat == 0 ? 9 : 200);

			count = count > ROWS - row ? ROWS - row : count;
			score(engine, row, count, split + row);
			row += count;
		}
		ck_assert_msg(memcmp(whole, split, sizeof(whole)) == 0, "seed %d repeat %u", SEED,
			      repeat);
	}
	engine_free(engine);
	data_free();
}
END_TEST

START_TEST(a_bad_id_blames_its_input_and_only_its_row)
{
	struct engine *engine;
	int64_t symbols[SIGNATURE_SYMBOLS_MAX] = {4};
	struct row_status status[4] = {0};
	const void *inputs[3];
	void *outputs[1];
	float clean[4];
	int64_t *bad;

	data_read();
	engine = shoppers_load(1, NULL, 8);
	score(engine, 0, 4, clean);
	bad = ids.data;
	bad[2 * IDS + 3] = 1000000;
	inputs[0] = dense.data;
	inputs[1] = ids.data;
	inputs[2] = crosses.data;
	outputs[0] = aligned_alloc(64, 64);
	engine_run(engine, symbols, inputs, outputs, status);
	for (uint32_t row = 0; row < 4; row++) {
		if (row == 2)
			continue;
		ck_assert_uint_eq(status[row].error, 0);
		ck_assert_int_eq(memcmp((float *)outputs[0] + row, &clean[row], sizeof(float)), 0);
	}
	ck_assert_uint_ne(status[2].error, 0);
	ck_assert_int_eq(engine_error_input(engine, status[2].error), 1);
	free(outputs[0]);
	engine_free(engine);
	data_free();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("shoppers");
	TCase *tests = tcase_create("shoppers");

	tcase_add_test(tests, signature_names_what_the_file_names);
	tcase_add_loop_test(tests, scores_are_within_1e_5_of_pytorch_at_every_batch, 0, 2);
	tcase_add_loop_test(tests, a_rows_bits_do_not_depend_on_its_batch_on_any_isa, 0, 3);
	tcase_add_test(tests, a_bad_id_blames_its_input_and_only_its_row);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}
