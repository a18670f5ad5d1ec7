/* SPDX-License-Identifier: MIT */
/*
 * tests/exec/test_weights_sliced.c - matrices that are packed in several slices, while files are read
 *
 * Of each shape of slices there is a matrix: many panels in one, a panel that is larger than a slice,
 * a last slice and a last panel that are not full, columns that lie in rows, a factor, integers. They
 * land at the end of a table's place, which is read meanwhile.
 *
 * A file is cut short, or fails, when the load tells that a part has arrived: that is where a slice
 * ends or in front of a matrix, and most of the file has not been asked for. To fail, its descriptors
 * become this process's own memory, where nothing is mapped.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "exec/weights_parts.h"
#include "graph/rows.h"
#include "tests/base/descriptors.h"
#include "tests/exec/engine_fixture.h"
#include "tests/memory/ring_flight.h"
#include "tests/model/onnx_folder.h"
#include "tests/suite.h"

#define UNTOUCHED 0xa5
#define TABLE_ROWS 60000
#define DIM 48 /* 11 MiB: two matrices land in it */

static const struct matrix {
	const char *name;
	int64_t k, n;
	bool is_transposed;
	float alpha;
	enum dtype dtype;
} matrices[] = {
	{ "wide", 300, 2005, false, 1.0f, DTYPE_F32 }, /* 54 panels a slice */
	{ "halved", 310, 1003, false, 0.5f, DTYPE_F32 },
	{ "tall", 5000, 70, false, 1.0f, DTYPE_F32 }, /* 3 panels a slice */
	{ "turned", 300, 1500, true, 1.0f, DTYPE_F32 },
	{ "long", 20000, 40, false, 1.0f, DTYPE_F32 }, /* a panel of 1.2 MiB */
	{ "bytes", 1500, 2001, false, 1.0f, DTYPE_I8 },
	{ "last", 299, 2000, true, 0.25f, DTYPE_F32 },
};
#define MATRICES (sizeof(matrices) / sizeof(matrices[0]))

struct sliced {
	struct onnx_model *model;
	struct graph graph;
	struct lowering lowering;
	struct weights_extent extent;
	int directory_fd;
	uint8_t *memory;
	void *data[MATRICES];
	float *table;
};

/* --- the model ----------------------------------------------------------------------------------- */

static void tensor_put(struct onnx_writer *writer, bool is_beside, const char *name,
		       enum dtype dtype, const char *shape, const void *data, uint64_t bytes)
{
	if (is_beside)
		onnx_writer_external(writer, name, dtype, shape, data, bytes, "model.bin", 64);
	else
		onnx_writer_tensor(writer, name, dtype, shape, data, bytes);
}

static void matrix_put(struct onnx_writer *writer, bool is_beside, const struct matrix *matrix,
		       const void *data)
{
	bool is_integer = matrix->dtype == DTYPE_I8;
	uint64_t bytes = (uint64_t)(matrix->k * matrix->n) * dtype_bytes(matrix->dtype);
	char shape[32], x_shape[32], x[16], inputs[32], y[16];

	snprintf(shape, sizeof(shape), "%lld,%lld",
		 (long long)(matrix->is_transposed ? matrix->n : matrix->k),
		 (long long)(matrix->is_transposed ? matrix->k : matrix->n));
	snprintf(x_shape, sizeof(x_shape), "batch,%lld", (long long)matrix->k);
	snprintf(x, sizeof(x), "x_%s", matrix->name);
	snprintf(inputs, sizeof(inputs), "x_%s,%s", matrix->name, matrix->name);
	snprintf(y, sizeof(y), "y_%s", matrix->name);
	tensor_put(writer, is_beside, matrix->name, matrix->dtype, shape, data, bytes);
	onnx_writer_input(writer, x, is_integer ? DTYPE_U8 : DTYPE_F32, x_shape);
	onnx_writer_node(writer, is_integer ? "MatMulInteger" : "Gemm", inputs, y);
	if (!is_integer) {
		onnx_writer_int(writer, "transB", matrix->is_transposed);
		onnx_writer_float(writer, "alpha", matrix->alpha);
	}
	onnx_writer_output(writer, y, is_integer ? DTYPE_I32 : DTYPE_F32, NULL);
}

static struct onnx_writer *model_make(struct sliced *sliced, bool is_beside)
{
	struct onnx_writer *writer = onnx_writer_new(17);
	uint32_t seed = 11;

	for (size_t index = 0; index < MATRICES; index++) {
		const struct matrix *matrix = &matrices[index];
		int64_t elements = matrix->k * matrix->n;
		bool is_integer = matrix->dtype == DTYPE_I8;

		sliced->data[index] = malloc((size_t)elements * dtype_bytes(matrix->dtype));
		/* Numbers without pattern, of which each byte is one as well. */
		fixture_floats(sliced->data[index], is_integer ? elements / 4 : elements, &seed);
		matrix_put(writer, is_beside, matrix, sliced->data[index]);
	}
	sliced->table = malloc(TABLE_ROWS * DIM * sizeof(float));
	fixture_floats(sliced->table, TABLE_ROWS * DIM, &seed);
	tensor_put(writer, is_beside, "table", DTYPE_F32, "60000,48", sliced->table,
		   TABLE_ROWS * DIM * sizeof(float));
	onnx_writer_input(writer, "ids", DTYPE_I64, "batch");
	onnx_writer_node(writer, "Gather", "table,ids", "rows");
	onnx_writer_output(writer, "rows", DTYPE_F32, NULL);
	return writer;
}

static void sliced_open(struct sliced *sliced, bool is_beside)
{
	struct rows_proof proof = { 0 };

	*sliced = (struct sliced){ .model = NULL };
	sliced->directory_fd = onnx_folder_open(model_make(sliced, is_beside));
	ck_assert_int_eq(onnx_open(sliced->directory_fd, "model", &sliced->model), 0);
	ck_assert_int_eq(graph_init(&sliced->graph, "model", sliced->model, cpu_device()), 0);
	ck_assert_int_eq(lowering_init(&sliced->lowering, &sliced->graph, &proof), 0);
	ck_assert_int_eq(lower(&sliced->lowering), 0);
	ck_assert_int_eq(weights_place(&sliced->lowering, false, false, &sliced->extent), 0);
	sliced->memory = aligned_alloc(ONNX_PAGE_BYTES, sliced->extent.bytes);
}

static int sliced_load(struct sliced *sliced, const struct weights_options *options)
{
	struct weights_arrival arrival;

	memset(sliced->memory, UNTOUCHED, sliced->extent.bytes);
	return weights_load(&sliced->lowering, options, sliced->memory, sliced->extent.bytes,
			    &arrival);
}

static void sliced_close(struct sliced *sliced)
{
	for (size_t index = 0; index < MATRICES; index++)
		free(sliced->data[index]);
	free(sliced->table);
	free(sliced->memory);
	graph_deinit(&sliced->graph);
	onnx_close(sliced->model);
	onnx_folder_close(sliced->directory_fd);
}

/* --- what has to come of it ---------------------------------------------------------------------- */

/* The matrix in one piece. */
static void matrix_check(const struct matrix *matrix, const void *data, const uint8_t *place)
{
	int64_t row_stride = matrix->is_transposed ? 1 : matrix->n;
	int64_t column_stride = matrix->is_transposed ? matrix->k : 1;
	bool is_integer = matrix->dtype == DTYPE_I8;
	size_t bytes = is_integer ? matmul_integer_packed_bytes(matrix->k, matrix->n)
				  : gemm_packed_bytes(matrix->k, matrix->n);
	void *packed = aligned_alloc(64, bytes);
	float *scaled = is_integer ? NULL
				   : malloc((size_t)(matrix->k * matrix->n) * sizeof(*scaled));

	if (is_integer) {
		matmul_integer_pack(packed, data, matrix->k, matrix->n, matrix->n, false, true);
	} else {
		for (int64_t element = 0; element < matrix->k * matrix->n; element++)
			scaled[element] = ((const float *)data)[element] * matrix->alpha;
		gemm_pack(packed, scaled, matrix->k, matrix->n, row_stride, column_stride);
	}
	ck_assert_msg(memcmp(place, packed, bytes) == 0, "'%s' has other bytes", matrix->name);
	free(scaled);
	free(packed);
}

static void sliced_check(const struct sliced *sliced)
{
	const struct lowering *lowering = &sliced->lowering;
	uint32_t found = 0;

	for (uint32_t index = 0; index < lowering->weight_count; index++) {
		const struct weight *weight = &lowering->weights[index];
		const char *name = graph_value(lowering->graph, weight->value)->name;
		const uint8_t *place = sliced->memory + weight->offset;

		for (size_t matrix = 0; matrix < MATRICES; matrix++) {
			if (strcmp(name, matrices[matrix].name) != 0)
				continue;
			matrix_check(&matrices[matrix], sliced->data[matrix], place);
			found++;
		}
		if (strcmp(name, "table") != 0)
			continue;
		ck_assert(memcmp(place, sliced->table, TABLE_ROWS * DIM * sizeof(float)) == 0);
		found++;
	}
	ck_assert_uint_eq(found, MATRICES + 1);
}

/* _i: beside model.onnx? with a ring? */
START_TEST(a_matrix_in_slices_has_the_bytes_of_one_that_is_packed_whole)
{
	struct weights_options options = { .reader = NULL };
	struct sliced sliced;

	sliced_open(&sliced, _i & 1);
	ck_assert_int_eq(range_reader_new(_i & 2, &options.reader), 0);
	ck_assert_int_eq(sliced_load(&sliced, &options), 0);
	sliced_check(&sliced);
	range_reader_free(options.reader);
	sliced_close(&sliced);
}
END_TEST

/* Calls that it has had, and the one that it fails. */
struct pauses {
	uint32_t count, failing;
};

static int pause_count(void *context)
{
	struct pauses *pauses = context;

	return ++pauses->count == pauses->failing ? -EIO : 0;
}

static void pause_check(const struct sliced *sliced, const struct weight *weight, const void *data)
{
	const struct lowering *lowering = &sliced->lowering;
	struct pauses pauses = { 0 };
	uint8_t *place = sliced->memory + weight->offset;
	uint8_t *end = place + weight->bytes;

	ck_assert_int_eq(weight_pack(lowering, weight, data, place, pause_count, &pauses), 0);
	ck_assert_uint_ge(pauses.count, 1);
	ck_assert_uint_le(pauses.count, weight->bytes / (1 << 19)); /* not after each panel */
	for (uint32_t failing = pauses.count; failing > 0; failing--) {
		memset(place, UNTOUCHED, weight->bytes);
		pauses = (struct pauses){ .failing = failing };
		ck_assert_int_eq(weight_pack(lowering, weight, data, place, pause_count, &pauses),
				 -EIO);
		ck_assert_uint_eq(pauses.count, failing);
		ck_assert_uint_eq(end[-1], UNTOUCHED);
		ck_assert_mem_eq(end - DIM - 1, end - DIM, DIM);
	}
}

START_TEST(what_a_pause_returns_ends_the_packing_of_a_matrix)
{
	struct sliced sliced;
	uint32_t found = 0;

	sliced_open(&sliced, true);
	for (uint32_t index = 0; index < sliced.lowering.weight_count; index++) {
		const struct weight *weight = &sliced.lowering.weights[index];
		const char *name = graph_value(&sliced.graph, weight->value)->name;

		for (size_t matrix = 0; matrix < MATRICES; matrix++)
			if (strcmp(name, matrices[matrix].name) == 0) {
				pause_check(&sliced, weight, sliced.data[matrix]);
				found++;
			}
	}
	ck_assert_uint_eq(found, MATRICES);
	sliced_close(&sliced);
}
END_TEST

/* --- harm ---------------------------------------------------------------------------------------- */

enum harm {
	HARM_CUT,
	HARM_FAIL,
	HARMS,
};

struct meddler {
	enum harm harm;
	uint32_t arrivals_left; /* until it is done */
	int directory_fd;
	off_t file_bytes;
	int fds[DESCRIPTORS_MAX], saved[DESCRIPTORS_MAX]; /* of the file, and what they were */
	uint32_t fd_count;
};

static void meddle(void *context, uint64_t arrived_bytes, uint64_t total_bytes)
{
	struct meddler *meddler = context;
	int fd;

	ck_assert_uint_le(arrived_bytes, total_bytes);
	if (meddler->arrivals_left == 0 || --meddler->arrivals_left > 0)
		return;
	if (meddler->harm == HARM_CUT) {
		fd = openat(meddler->directory_fd, "model.bin", O_RDWR | O_CLOEXEC);
		ck_assert_int_eq(ftruncate(fd, 4096), 0);
		close(fd);
		return;
	}
	meddler->fd_count = descriptors_find("model.bin", meddler->fds);
	fd = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
	for (uint32_t index = 0; index < meddler->fd_count; index++) {
		meddler->saved[index] = fcntl(meddler->fds[index], F_DUPFD_CLOEXEC, 0);
		ck_assert_int_eq(dup3(fd, meddler->fds[index], O_CLOEXEC), meddler->fds[index]);
	}
	close(fd);
}

static void meddler_restore(struct meddler *meddler)
{
	for (uint32_t index = 0; index < meddler->fd_count; index++) {
		ck_assert_int_ge(dup3(meddler->saved[index], meddler->fds[index], O_CLOEXEC), 0);
		close(meddler->saved[index]);
	}
}

static void refusal_check(enum harm harm, int r)
{
	static const struct {
		int error;
		const char *sentence;
	} refusals[HARMS] = {
		[HARM_CUT] = { -ESTALE, "model/model.bin became shorter while it was read: wanted" },
		[HARM_FAIL] = { -EIO, "model/model.bin: reading failed: wanted" },
	};

	ck_assert_msg(r == refusals[harm].error, "%d: %s", r, r < 0 ? err_message() : "");
	ck_assert_msg(strstr(err_message(), refusals[harm].sentence), "%s", err_message());
}

/* _i: has it a ring? and which harm */
START_TEST(a_file_that_fails_while_matrices_are_packed_ends_the_load_and_leaves_nothing_behind)
{
	struct weights_options options = { .reader = NULL, .progress = meddle };

	ck_assert_int_eq(range_reader_new(_i & 1, &options.reader), 0);
	for (uint32_t arrival = 1; arrival <= 4; arrival++) {
		struct meddler meddler = { .harm = _i / 2, .arrivals_left = arrival };
		struct sliced sliced;
		uint32_t fd_count;

		sliced_open(&sliced, true);
		meddler.directory_fd = sliced.directory_fd;
		options.context = &meddler;
		fd_count = descriptors_count();
		refusal_check(meddler.harm, sliced_load(&sliced, &options));
		ck_assert_uint_eq(meddler.arrivals_left, 0);
		ck_assert_uint_eq(ring_flight(), 0);
		if (meddler.harm == HARM_FAIL) {
			meddler_restore(&meddler);
			/* One that reads past the page cache came with the load. */
			ck_assert_uint_le(descriptors_count(), fd_count + 1);
			ck_assert_int_eq(sliced_load(&sliced, &options), 0);
			sliced_check(&sliced);
		}
		sliced_close(&sliced);
	}
	range_reader_free(options.reader);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("weights sliced");
	TCase *tests = tcase_create("weights sliced");

	tcase_set_timeout(tests, 60);
	tcase_add_loop_test(tests, a_matrix_in_slices_has_the_bytes_of_one_that_is_packed_whole, 0,
			    4);
	tcase_add_test(tests, what_a_pause_returns_ends_the_packing_of_a_matrix);
	tcase_add_loop_test(
		tests,
		a_file_that_fails_while_matrices_are_packed_ends_the_load_and_leaves_nothing_behind,
		0, 2 * HARMS);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}
