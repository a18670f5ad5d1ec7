/* SPDX-License-Identifier: MIT */
/*
 * tests/exec/test_kept_models.c - models with every operator are kept, and adopted with their bits
 *
 * The graph that is made again of what was kept has to want the same constants, in the same places,
 * as the one that was made of the files. The peer is the engine that was loaded from them.
 */
#include <check.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/exec/engine_fixture.h"
#include "tests/model/onnx_seeds.h"
#include "tests/model/scratch.h"
#include "tests/model/traps.h"
#include "tests/suite.h"

#define TENSOR_BYTES_MAX (64 << 10)

struct answer {
	uint8_t outputs[SIGNATURE_TENSORS_MAX][TENSOR_BYTES_MAX];
	struct row_status status[8];
};

static bool is_small(const struct signature_tensor *tensor, const int64_t symbols[])
{
	return signature_elements(tensor, symbols) * (int64_t)dtype_bytes(tensor->dtype) <=
	       TENSOR_BYTES_MAX;
}

/* One of each free size, and inputs of zeroes and ones, which are ids of any table. Nothing of a
 * model whose fixed sizes are large. */
static void answer_of(struct engine *engine, struct answer *answer)
{
	static uint8_t ones[TENSOR_BYTES_MAX];
	const struct signature *signature = engine_signature(engine);
	const void *inputs[ENGINE_INPUTS_MAX];
	void *outputs[SIGNATURE_TENSORS_MAX];
	int64_t symbols[SIGNATURE_SYMBOLS_MAX];
	bool runs;

	for (uint32_t symbol = 0; symbol < SIGNATURE_SYMBOLS_MAX; symbol++)
		symbols[symbol] = 1;
	for (uint32_t at = 0; at < TENSOR_BYTES_MAX; at++)
		ones[at] = at % 40 == 0;
	memset(answer, 0, sizeof(*answer));
	runs = engine_fits(engine, symbols);
	for (uint32_t input = 0; input < signature->input_count; input++) {
		runs = runs && is_small(&signature->inputs[input], symbols);
		inputs[input] = ones;
	}
	for (uint32_t output = 0; output < signature->output_count; output++) {
		runs = runs && is_small(&signature->outputs[output], symbols);
		outputs[output] = answer->outputs[output];
	}
	if (runs)
		fixture_run(engine, symbols, inputs, outputs, answer->status);
}

static void seed_check(const struct onnx_seed *seed)
{
	static struct answer wanted, got;
	struct engine_options options = { .rows_max = 4, .node = -1, .keeps = true };
	struct engine *loaded = NULL, *adopted = NULL;
	int r;

	scratch_write(traps_open(), "model.onnx", seed->bytes, seed->byte_count);
	r = engine_new(traps_open(), seed->name, &options, &loaded);
	(void)unlinkat(traps_open(), "model.onnx", 0);
	ck_assert_msg(r == 0, "%s", err_message());
	options.kept = engine_kept(loaded);
	ck_assert_msg(options.kept, "%s: %s", seed->name, engine_unkept(loaded));
	r = engine_new(-1, seed->name, &options, &adopted);
	ck_assert_msg(r == 0, "%s", err_message());
	answer_of(loaded, &wanted);
	answer_of(adopted, &got);
	ck_assert_msg(memcmp(&wanted, &got, sizeof(got)) == 0, "%s: other bits", seed->name);
	engine_free(adopted);
	engine_free(loaded);
}

START_TEST(each_sound_model_is_adopted_with_its_bits)
{
	struct onnx_seed seed;
	uint32_t sound_count = 0;

	for (int number = 0; onnx_seed_make(number, &seed); number++) {
		if (!seed.words) {
			seed_check(&seed);
			sound_count++;
		}
		free(seed.bytes);
	}
	printf("%u models\n", sound_count);
	ck_assert_uint_gt(sound_count, 10);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("kept models");
	TCase *tests = tcase_create("kept models");

	(void)traps_open(); /* it goes with this process, whatever becomes of a test */
	tcase_add_test(tests, each_sound_model_is_adopted_with_its_bits);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}
