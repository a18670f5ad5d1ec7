/* SPDX-License-Identifier: MIT */
/*
 * tests/exec/test_kept.c - weights that outlive the engine that loaded them have the same bits
 *
 * The peer is an engine that read the files into memory of its own.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "memory/sealed.h"
#include "tests/exec/cold_model.h"
#include "tests/exec/engine_fixture.h"
#include "tests/model/scratch.h"
#include "tests/suite.h"

#define ROWS 48
#define WIDTH 64
#define TABLE_ROWS 3000
#define TABLE_DIM 16
#define HIDDEN 256
#define OUT 4
#define SIZE(array) (sizeof(array) / sizeof((array)[0]))

static float table[TABLE_ROWS * TABLE_DIM];
static float wide[(WIDTH + TABLE_DIM) * HIDDEN];
static float narrow[HIDDEN * OUT];
static float bias[HIDDEN];
static const float ones[OUT] = { 1, 1, 1, 1 };

/* y = (relu([x, table[ids]] wide + bias) narrow) * (ones + ones): a table as it is, a matrix that
 * streams and one that does not, a vector in model.onnx, and what is computed of constants. */
static struct onnx_writer *model(uint32_t seed)
{
	struct onnx_writer *writer = onnx_writer_new(17);

	fixture_floats(table, SIZE(table), &seed);
	fixture_floats(wide, SIZE(wide), &seed);
	fixture_floats(narrow, SIZE(narrow), &seed);
	fixture_floats(bias, SIZE(bias), &seed);
	onnx_writer_input(writer, "x", DTYPE_F32, "batch,64");
	onnx_writer_input(writer, "ids", DTYPE_I64, "batch");
	onnx_writer_external(writer, "table", DTYPE_F32, "3000,16", table, sizeof(table),
			     "model.bin", 64);
	onnx_writer_external(writer, "wide", DTYPE_F32, "80,256", wide, sizeof(wide), "model.bin",
			     64);
	onnx_writer_external(writer, "narrow", DTYPE_F32, "256,4", narrow, sizeof(narrow),
			     "model.bin", 64);
	onnx_writer_tensor(writer, "bias", DTYPE_F32, "256", bias, sizeof(bias));
	onnx_writer_tensor(writer, "one", DTYPE_F32, "4", ones, sizeof(ones));
	onnx_writer_node(writer, "Gather", "table,ids", "rows");
	onnx_writer_node(writer, "Concat", "x,rows", "both");
	onnx_writer_int(writer, "axis", 1);
	onnx_writer_node(writer, "Gemm", "both,wide,bias", "hidden");
	onnx_writer_node(writer, "Relu", "hidden", "positive");
	onnx_writer_node(writer, "MatMul", "positive,narrow", "logits");
	onnx_writer_node(writer, "Add", "one,one", "two");
	onnx_writer_node(writer, "Mul", "logits,two", "y");
	onnx_writer_output(writer, "y", DTYPE_F32, "batch,4");
	return writer;
}

static struct engine_options options_of(bool keeps, const struct engine_kept *kept)
{
	return (struct engine_options){
		.rows_max = ROWS,
		.node = -1,
		.keeps = keeps,
		.kept = kept,
	};
}

static struct engine *load(uint32_t seed, bool keeps)
{
	const struct engine_options options = options_of(keeps, NULL);
	struct engine *engine = fixture_engine(model(seed), &options);

	ck_assert_msg(engine, "%s", err_message());
	return engine;
}

/* What the engine keeps, when it is gone. */
static struct engine_kept outlive(struct engine *engine)
{
	struct engine_kept kept;

	ck_assert_msg(engine_kept(engine), "not kept: %s", engine_unkept(engine));
	kept = *engine_kept(engine);
	kept.model_fd = dup(kept.model_fd);
	kept.weights_fd = dup(kept.weights_fd);
	engine_free(engine);
	return kept;
}

static void kept_close(const struct engine_kept *kept)
{
	close(kept->model_fd);
	close(kept->weights_fd);
}

static struct engine *adopt(const struct engine_kept *kept)
{
	const struct engine_options options = options_of(true, kept);
	struct engine *engine = NULL;

	ck_assert_msg(engine_new(-1, "kept/1", &options, &engine) == 0, "%s", err_message());
	return engine;
}

static void expect_refusal(const struct engine_options *options, int error, const char *words)
{
	struct engine *engine = NULL;
	int r;

	r = engine_new(-1, "kept/1", options, &engine);
	ck_assert_msg(r == error, "%d, %s", r, err_message());
	ck_assert_msg(strstr(err_message(), words), "'%s' is not in: %s", words, err_message());
	ck_assert_ptr_null(engine);
}

static void run(struct engine *engine, float y[ROWS * OUT])
{
	static float x[ROWS * WIDTH];
	static int64_t ids[ROWS];
	const int64_t symbols[SIGNATURE_SYMBOLS_MAX] = { ROWS };
	const void *inputs[] = { x, ids };
	void *outputs[] = { y };
	struct row_status status[ROWS] = { { 0 } };
	uint32_t seed = 5;

	fixture_floats(x, SIZE(x), &seed);
	fixture_ids(ids, ROWS, TABLE_ROWS, &seed);
	fixture_run(engine, symbols, inputs, outputs, status);
}

static void expect_bits_of(struct engine *engine, uint32_t seed)
{
	struct engine *peer = load(seed, false);
	float y[ROWS * OUT], wanted[ROWS * OUT];

	run(engine, y);
	run(peer, wanted);
	ck_assert_mem_eq(y, wanted, sizeof(y));
	engine_free(peer);
}

/* --- what is kept -------------------------------------------------------------------------------- */

START_TEST(weights_that_are_kept_are_sealed_and_run_as_others_do)
{
	struct engine *engine = load(1, true);
	const struct engine_kept *kept = engine_kept(engine);
	uint64_t bytes = 0;

	ck_assert_msg(kept, "%s", engine_unkept(engine));
	ck_assert_ptr_null(engine_unkept(engine));
	ck_assert(!engine_is_outdated(engine));
	ck_assert_uint_eq(kept->weights_bytes, engine_memory(engine).weights->bytes);
	ck_assert_int_eq(sealed_check(kept->weights_fd, "weights", &bytes), 0);
	ck_assert_int_eq(sealed_check(kept->model_fd, "model", &bytes), 0);
	ck_assert_ptr_eq(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, kept->weights_fd, 0),
			 MAP_FAILED);
	expect_bits_of(engine, 1);
	engine_free(engine);
}
END_TEST

START_TEST(without_being_asked_nothing_is_kept)
{
	struct engine *engine = load(1, false);

	ck_assert_ptr_null(engine_kept(engine));
	ck_assert_str_eq(engine_unkept(engine), "nobody asked for it");
	engine_free(engine);
}
END_TEST

START_TEST(a_model_with_cold_tables_is_served_and_not_kept)
{
	static const char *const every[] = { "*" };
	struct engine_options options = options_of(true, NULL);
	struct engine *engine;

	options.cold = every;
	options.cold_count = 1;
	engine = fixture_engine(cold_model(), &options);
	ck_assert_msg(engine, "%s", err_message());
	ck_assert_ptr_null(engine_kept(engine));
	ck_assert_ptr_nonnull(strstr(engine_unkept(engine), "cold tables"));
	engine_free(engine);
}
END_TEST

/* y = x + (large + large): the sum is computed at load, of more than is kept of a file. */
START_TEST(a_graph_made_of_large_constants_is_served_and_not_kept)
{
	static float large[64 << 10];
	struct engine_options options = options_of(true, NULL);
	struct onnx_writer *writer = onnx_writer_new(17);
	struct engine *engine;

	onnx_writer_input(writer, "x", DTYPE_F32, "batch,65536");
	onnx_writer_external(writer, "large", DTYPE_F32, "65536", large, sizeof(large), "model.bin",
			     64);
	onnx_writer_node(writer, "Add", "large,large", "sum");
	onnx_writer_node(writer, "Add", "x,sum", "y");
	onnx_writer_output(writer, "y", DTYPE_F32, "batch,65536");
	engine = fixture_engine(writer, &options);
	ck_assert_msg(engine, "%s", err_message());
	ck_assert_ptr_null(engine_kept(engine));
	ck_assert_ptr_nonnull(strstr(engine_unkept(engine), "large constants"));
	engine_free(engine);
}
END_TEST

/* --- what is adopted ----------------------------------------------------------------------------- */

START_TEST(an_adopted_engine_has_the_bits_of_the_first_that_is_gone)
{
	struct engine_kept kept = outlive(load(2, true));
	struct engine *engine = adopt(&kept);

	kept_close(&kept);
	expect_bits_of(engine, 2);
	engine_free(engine);
}
END_TEST

START_TEST(what_was_adopted_is_kept_again)
{
	struct engine_kept first = outlive(load(3, true));
	struct engine_kept second = outlive(adopt(&first));
	struct engine *engine = adopt(&second);

	ck_assert_uint_eq(first.layout_hash, second.layout_hash);
	ck_assert_uint_eq(first.files_hash, second.files_hash);
	ck_assert_uint_eq(first.weights_bytes, second.weights_bytes);
	kept_close(&first);
	kept_close(&second);
	expect_bits_of(engine, 3);
	engine_free(engine);
}
END_TEST

START_TEST(another_process_adopts_what_outlived_this_one_s_engine)
{
	struct engine_kept kept = outlive(load(4, true));
	int status = -1;
	pid_t child = fork();

	if (child == 0) {
		struct engine *engine = adopt(&kept);

		expect_bits_of(engine, 4);
		engine_free(engine);
		_exit(0);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status, 0);
	kept_close(&kept);
}
END_TEST

static uint64_t hash_of(struct engine *engine)
{
	struct engine_hash hash = { 0 };

	while (engine_hash(engine, &hash))
		;
	ck_assert_uint_eq(hash.offset, engine_memory(engine).weights->bytes);
	engine_free(engine);
	return hash.value;
}

/* y = table[ids] of one column. */
static struct engine *large_load(uint64_t elements, float last)
{
	const struct engine_options options = options_of(true, NULL);
	struct onnx_writer *writer = onnx_writer_new(17);
	float *large = calloc(elements, sizeof(*large));
	struct engine *engine;
	char shape[32];

	large[elements - 1] = last;
	snprintf(shape, sizeof(shape), "%llu,1", (unsigned long long)elements);
	onnx_writer_input(writer, "ids", DTYPE_I64, "batch");
	onnx_writer_external(writer, "table", DTYPE_F32, shape, large, elements * sizeof(*large),
			     "model.bin", 64);
	onnx_writer_node(writer, "Gather", "table,ids", "y");
	onnx_writer_output(writer, "y", DTYPE_F32, "batch,1");
	engine = fixture_engine(writer, &options);
	ck_assert_msg(engine, "%s", err_message());
	free(large);
	return engine;
}

START_TEST(the_hash_of_what_is_adopted_is_that_of_what_was_loaded)
{
	struct engine_kept kept = outlive(load(5, true));
	uint64_t hash = hash_of(load(5, true));

	ck_assert_uint_eq(hash_of(adopt(&kept)), hash);
	ck_assert_uint_ne(hash_of(load(6, true)), hash);
	kept_close(&kept);
}
END_TEST

/* _i: elements less or more than two slices have. */
START_TEST(the_hash_is_of_every_byte_to_the_last)
{
	uint64_t elements = 2 * ENGINE_SLICE_BYTES / sizeof(float) + (uint64_t)(int64_t)_i;

	ck_assert_uint_ne(hash_of(large_load(elements, 1)), hash_of(large_load(elements, 2)));
}
END_TEST

/* --- what is refused ----------------------------------------------------------------------------- */

START_TEST(another_layout_is_refused_as_stale)
{
	struct engine_kept kept = outlive(load(1, true));
	struct engine_kept changed = kept;
	struct engine_options options = options_of(true, &changed);
	struct device other = *cpu_device();

	changed.layout_hash++;
	expect_refusal(&options, -ESTALE, "load it from its files");
	changed = kept;
	changed.weights_bytes += 64;
	expect_refusal(&options, -ESTALE, "load it from its files");
	changed = kept;
	other.numerics = other.numerics == NUMERICS_F32 ? NUMERICS_F32_FMA : NUMERICS_F32;
	options.device = &other;
	expect_refusal(&options, -ESTALE, "load it from its files");
	kept_close(&kept);
}
END_TEST

START_TEST(the_graph_of_another_model_is_refused_as_stale)
{
	const struct engine_options keeps = options_of(true, NULL);
	struct engine_kept kept = outlive(load(1, true));
	struct engine_kept other = outlive(fixture_engine(cold_model(), &keeps));
	struct engine_kept mixed = kept;
	const struct engine_options options = options_of(true, &mixed);

	mixed.model_fd = other.model_fd;
	expect_refusal(&options, -ESTALE, "load it from its files");
	kept_close(&kept);
	kept_close(&other);
}
END_TEST

/* Memory of `bytes`, written whole, with or without a seal. */
static int memory(uint64_t bytes, bool is_written, bool is_sealed)
{
	int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	ck_assert_int_eq(ftruncate(fd, (off_t)bytes), 0);
	if (is_written)
		ck_assert_int_eq(fallocate(fd, 0, 0, (off_t)bytes), 0);
	if (is_sealed)
		ck_assert_int_eq(sealed_end(fd), 0);
	return fd;
}

static const struct {
	int64_t missing_bytes;
	bool is_written, is_sealed;
	const char *words;
} damaged[] = {
	{ 0, true, false, "is not sealed" },
	{ 4096, true, true, "are wanted, and it has" },
	{ -4096, true, true, "are wanted, and it has" },
	{ 0, false, true, "of which 0 are in memory" },
};

START_TEST(memory_that_cannot_be_trusted_is_refused)
{
	struct engine_kept kept = outlive(load(1, true));
	struct engine_kept changed = kept;
	const struct engine_options options = options_of(true, &changed);
	struct stat status;

	ck_assert_int_eq(fstat(kept.weights_fd, &status), 0);
	changed.weights_fd = memory((uint64_t)(status.st_size - damaged[_i].missing_bytes),
				    damaged[_i].is_written, damaged[_i].is_sealed);
	expect_refusal(&options, -EINVAL, damaged[_i].words);
	close(changed.weights_fd);
	kept_close(&kept);
}
END_TEST

START_TEST(descriptors_that_are_no_memory_are_refused)
{
	struct engine_kept kept = outlive(load(1, true));
	struct engine_kept changed = kept;
	const struct engine_options options = options_of(true, &changed);
	int fds[2];

	ck_assert_int_eq(pipe(fds), 0);
	changed.weights_fd = fds[0];
	expect_refusal(&options, -EINVAL, "is no memfd");
	changed.weights_fd = -1;
	expect_refusal(&options, -EBADF, "cannot be duplicated");
	changed.weights_fd = kept.weights_fd;
	changed.model_fd = fds[0];
	expect_refusal(&options, -EINVAL, "is no memfd");
	close(fds[0]);
	close(fds[1]);
	kept_close(&kept);
}
END_TEST

/* --- files that go on without it ----------------------------------------------------------------- */

static void model_save(int directory_fd, uint32_t seed)
{
	struct onnx_writer *writer = model(seed);

	ck_assert_int_eq(onnx_writer_save_at(writer, directory_fd), 0);
	onnx_writer_free(writer);
}

static bool is_outdated(int directory_fd, const struct engine_kept *kept)
{
	const struct engine_options options = options_of(true, kept);
	struct engine *engine = NULL;
	bool answer;

	ck_assert_int_eq(engine_new(directory_fd, "kept/1", &options, &engine), 0);
	answer = engine_is_outdated(engine);
	engine_free(engine);
	return answer;
}

START_TEST(files_that_are_retrained_or_gone_are_told_of)
{
	const struct engine_options options = options_of(true, NULL);
	int directory_fd = scratch_open(scratch_directory());
	struct engine_kept first, second;
	struct engine *engine = NULL;

	model_save(directory_fd, 1);
	ck_assert_int_eq(engine_new(directory_fd, "kept/1", &options, &engine), 0);
	first = outlive(engine);
	ck_assert(!is_outdated(directory_fd, &first));
	ck_assert(is_outdated(-1, &first));
	model_save(directory_fd, 2);
	ck_assert(is_outdated(directory_fd, &first));
	ck_assert_int_eq(engine_new(directory_fd, "kept/1", &options, &engine), 0);
	second = outlive(engine);
	ck_assert_uint_ne(first.files_hash, second.files_hash);
	ck_assert_int_eq(unlinkat(directory_fd, "model.bin", 0), 0);
	ck_assert(is_outdated(directory_fd, &second));
	kept_close(&first);
	kept_close(&second);
	close(directory_fd);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("kept");
	TCase *tests = tcase_create("kept");

	tcase_add_unchecked_fixture(tests, scratch_begin, scratch_end);
	tcase_add_test(tests, weights_that_are_kept_are_sealed_and_run_as_others_do);
	tcase_add_test(tests, without_being_asked_nothing_is_kept);
	tcase_add_test(tests, a_model_with_cold_tables_is_served_and_not_kept);
	tcase_add_test(tests, a_graph_made_of_large_constants_is_served_and_not_kept);
	tcase_add_test(tests, an_adopted_engine_has_the_bits_of_the_first_that_is_gone);
	tcase_add_test(tests, what_was_adopted_is_kept_again);
	tcase_add_test(tests, another_process_adopts_what_outlived_this_one_s_engine);
	tcase_add_test(tests, the_hash_of_what_is_adopted_is_that_of_what_was_loaded);
	tcase_add_loop_test(tests, the_hash_is_of_every_byte_to_the_last, -1, 2);
	tcase_add_test(tests, another_layout_is_refused_as_stale);
	tcase_add_test(tests, the_graph_of_another_model_is_refused_as_stale);
	tcase_add_loop_test(tests, memory_that_cannot_be_trusted_is_refused, 0, SIZE(damaged));
	tcase_add_test(tests, descriptors_that_are_no_memory_are_refused);
	tcase_add_test(tests, files_that_are_retrained_or_gone_are_told_of);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}
