/* SPDX-License-Identifier: MIT */
/*
 * tests/exec/bench_scale.c - the same model with one worker and with two, in turn
 *
 * Three models: wide layers whose weights do not fit in a core's caches, narrow
 * ones behind tables, and a request's user whose tower meets that of each row.
 * Slices alternate, medians of the slices' ratios.
 */
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "tests/exec/engine_fixture.h"

#define SEED 20261129
#define SLICES 15
#define SLICE_NS (8 * CLOCK_NS_PER_MS)
#define ROWS_MAX 512
#define WIDE 1024
#define WIDE_LAYERS 3
#define TABLES 8
#define TABLE_ROWS 200000
#define DIM 16
#define NARROW 128
#define TOWER 256

static uint32_t seed = SEED;

static float *floats(int64_t count)
{
	float *values = malloc((size_t)count * sizeof(float));

	if (!values)
		exit(EXIT_FAILURE);
	fixture_floats(values, count, &seed);
	for (int64_t index = 0; index < count; index++)
		values[index] *= 0.05f;
	return values;
}

static void put_layer(struct onnx_writer *writer, int layer, int from, int to, const char *input)
{
	float *weights = floats((int64_t)from * to), *bias = floats(to);
	char name[32], bias_name[32], inputs[96], output[32], shape[32];

	snprintf(name, sizeof(name), "w%d", layer);
	snprintf(bias_name, sizeof(bias_name), "b%d", layer);
	snprintf(shape, sizeof(shape), "%d,%d", from, to);
	onnx_writer_tensor(writer, name, DTYPE_F32, shape, weights,
			   (uint64_t)from * (uint64_t)to * sizeof(float));
	snprintf(shape, sizeof(shape), "%d", to);
	onnx_writer_tensor(writer, bias_name, DTYPE_F32, shape, bias, (uint64_t)to * sizeof(float));
	snprintf(inputs, sizeof(inputs), "%s,%s,%s", input, name, bias_name);
	snprintf(output, sizeof(output), "g%d", layer);
	onnx_writer_node(writer, "Gemm", inputs, output);
	snprintf(name, sizeof(name), "h%d", layer);
	onnx_writer_node(writer, "Relu", output, name);
	free(weights);
	free(bias);
}

static struct onnx_writer *wide_model(void)
{
	struct onnx_writer *writer = onnx_writer_new(17);

	onnx_writer_input(writer, "x", DTYPE_F32, "batch,1024");
	put_layer(writer, 0, WIDE, WIDE, "x");
	put_layer(writer, 1, WIDE, WIDE, "h0");
	put_layer(writer, 2, WIDE, WIDE, "h1");
	put_layer(writer, 3, WIDE, 1, "h2");
	onnx_writer_output(writer, "h3", DTYPE_F32, "batch,1");
	return writer;
}

static struct onnx_writer *tables_model(void)
{
	struct onnx_writer *writer = onnx_writer_new(17);
	char joined[TABLES * 8] = "";
	float *table = floats((int64_t)TABLE_ROWS * DIM);

	onnx_writer_input(writer, "ids", DTYPE_I64, "batch,8");
	for (int index = 0; index < TABLES; index++) {
		const int64_t column = index;
		char name[32], inputs[64], output[32];

		snprintf(name, sizeof(name), "c%d", index);
		onnx_writer_tensor(writer, name, DTYPE_I64, "", &column, sizeof(column));
		snprintf(inputs, sizeof(inputs), "ids,%s", name);
		snprintf(output, sizeof(output), "i%d", index);
		onnx_writer_node(writer, "Gather", inputs, output);
		onnx_writer_int(writer, "axis", 1);
		snprintf(name, sizeof(name), "t%d", index);
		onnx_writer_tensor(writer, name, DTYPE_F32, "200000,16", table,
				   (uint64_t)TABLE_ROWS * DIM * sizeof(float));
		snprintf(inputs, sizeof(inputs), "%s,i%d", name, index);
		snprintf(output, sizeof(output), "e%d", index);
		onnx_writer_node(writer, "Gather", inputs, output);
		snprintf(joined + strlen(joined), sizeof(joined) - strlen(joined), "%s%s",
			 index ? "," : "", output);
	}
	free(table);
	onnx_writer_node(writer, "Concat", joined, "joined");
	onnx_writer_int(writer, "axis", 1);
	put_layer(writer, 0, TABLES * DIM, NARROW, "joined");
	put_layer(writer, 1, NARROW, 64, "h0");
	put_layer(writer, 2, 64, 1, "h1");
	onnx_writer_output(writer, "h2", DTYPE_F32, "batch,1");
	return writer;
}

static struct onnx_writer *users_model(void)
{
	struct onnx_writer *writer = onnx_writer_new(17);

	onnx_writer_input(writer, "user", DTYPE_F32, "1,256");
	onnx_writer_input(writer, "x", DTYPE_F32, "batch,256");
	put_layer(writer, 0, TOWER, TOWER, "user");
	put_layer(writer, 1, TOWER, TOWER, "x");
	onnx_writer_node(writer, "Mul", "h0,h1", "both");
	put_layer(writer, 2, TOWER, NARROW, "both");
	put_layer(writer, 3, NARROW, 1, "h2");
	onnx_writer_output(writer, "h3", DTYPE_F32, "batch,1");
	return writer;
}

struct side {
	struct workers *workers;
	struct engine *engine;
};

struct data {
	float *x;
	int64_t *ids;
	uint32_t next;
};

static uint64_t slice(struct engine *engine, struct data *data, uint32_t rows, uint64_t *ret_runs)
{
	const struct signature *signature = engine_signature(engine);
	static const int32_t row_requests[ROWS_MAX]; /* all rows are of one */
	int64_t symbols[SIGNATURE_SYMBOLS_MAX] = { rows };
	static float y[ROWS_MAX];
	static struct row_status status[ROWS_MAX + 1];
	void *outputs[1] = { y };
	uint64_t begun_ns = clock_ns(), now_ns = begun_ns;

	if (signature->request_symbol >= 0)
		symbols[signature->request_symbol] = 1;
	*ret_runs = 0;
	while (now_ns - begun_ns < SLICE_NS) {
		const void *inputs[3] = { data->x, data->x, row_requests };

		if (signature->inputs[0].dtype == DTYPE_I64) {
			data->next = (data->next + rows) % (64 * ROWS_MAX);
			inputs[0] = data->ids + data->next * TABLES;
		}
		engine_run(engine, symbols, inputs, outputs, status);
		++*ret_runs;
		now_ns = clock_ns();
	}
	return now_ns - begun_ns;
}

static int order(const void *left, const void *right)
{
	double a = *(const double *)left, b = *(const double *)right;

	return (a > b) - (a < b);
}

static void compare(const char *name, struct side sides[2], struct data *data, uint32_t rows)
{
	const int64_t symbols[SIGNATURE_SYMBOLS_MAX] = { rows };
	struct engine_choice choice = engine_choice(sides[1].engine, symbols);
	double times[2][SLICES], ratios[SLICES];

	for (uint32_t turn = 0; turn < SLICES; turn++) {
		for (uint32_t side = 0; side < 2; side++) {
			uint64_t runs, ns;

			ns = slice(sides[side].engine, data, rows, &runs);
			times[side][turn] = (double)ns / (double)runs / 1e3;
		}
		ratios[turn] = times[0][turn] / times[1][turn];
	}
	qsort(times[0], SLICES, sizeof(double), order);
	qsort(times[1], SLICES, sizeof(double), order);
	qsort(ratios, SLICES, sizeof(double), order);
	printf("%-7s %5u rows  %9.1f us  %9.1f us  %5.2f  %-8s chunks of %u/%u; at load:", name,
	       rows, times[0][SLICES / 2], times[1][SLICES / 2], ratios[SLICES / 2],
	       way_name(choice.way), engine_choice(sides[0].engine, symbols).chunk_rows,
	       choice.chunk_rows);
	for (enum way way = WAY_ALONE; way < WAY_COUNT; way++)
		if (choice.ways_ns[way])
			printf(" %s %.1f", way_name(way), (double)choice.ways_ns[way] / 1e3);
	printf("\n");
}

static void model_compare(const char *name, struct onnx_writer *(*model)(void), struct data *data)
{
	static const uint32_t batches[] = { 1, 8, 64, 512 };
	struct side sides[2];

	for (uint32_t side = 0; side < 2; side++) {
		struct workers_options options = {
			.count = side + 1,
			.node = -1,
			.spin_ns = CLOCK_NS_PER_MS,
			.wake_ns = 30000,
		};
		struct engine_options engine = { .rows_max = ROWS_MAX, .node = -1 };

		if (workers_new(&options, &sides[side].workers) < 0)
			exit(EXIT_FAILURE);
		if (workers_caller_cpu(sides[side].workers) >= 0) {
			cpu_set_t cpus;

			CPU_ZERO(&cpus);
			CPU_SET((size_t)workers_caller_cpu(sides[side].workers), &cpus);
			(void)sched_setaffinity(0, sizeof(cpus), &cpus);
		}
		engine.workers = sides[side].workers;
		seed = SEED;
		sides[side].engine = fixture_engine(model(), &engine);
		if (!sides[side].engine) {
			fprintf(stderr, "%s\n", err_message());
			exit(EXIT_FAILURE);
		}
	}
	for (uint32_t index = 0; index < 4; index++)
		compare(name, sides, data, batches[index]);
	for (uint32_t side = 0; side < 2; side++) {
		engine_free(sides[side].engine);
		workers_free(sides[side].workers);
	}
}

static uint64_t kernel_calls;

static void kernel_nothing(const void *args)
{
	(void)args;
	kernel_calls++;
}

/* What a run costs beside its kernels. */
static void entries_time(struct data *data)
{
	struct device nothing = *cpu_device();
	struct engine_options options = { .device = &nothing, .rows_max = 64, .node = -1 };
	struct engine *engine;
	uint64_t runs, ns, best_ns = UINT64_MAX;

	for (uint32_t kernel = 0; kernel < KERNEL_COUNT; kernel++)
		nothing.kernels[kernel] = kernel_nothing;
	seed = SEED;
	engine = fixture_engine(tables_model(), &options);
	if (!engine)
		exit(EXIT_FAILURE);
	for (uint32_t turn = 0; turn < SLICES; turn++) {
		kernel_calls = 0;
		ns = slice(engine, data, 1, &runs) / runs;
		best_ns = ns < best_ns ? ns : best_ns;
	}
	printf("a run of %" PRIu64 " entries that do nothing: %" PRIu64 " ns, with the clock\n",
	       kernel_calls / runs, best_ns);
	engine_free(engine);
}

int main(void)
{
	cpu_set_t cpus;
	struct data data = {
		.x = floats(ROWS_MAX * WIDE),
		.ids = malloc(65L * ROWS_MAX * TABLES * sizeof(int64_t)),
	};

	if (!data.ids || sched_getaffinity(0, sizeof(cpus), &cpus) < 0)
		return EXIT_FAILURE;
	if (CPU_COUNT(&cpus) < 2) {
		printf("SKIP: two CPUs are wanted\n");
		return 77;
	}
	fixture_ids(data.ids, 65L * ROWS_MAX * TABLES, TABLE_ROWS, &seed);
	printf("%-7s %10s  %12s  %12s  %5s  way of two\n", "model", "batch", "one", "two", "ratio");
	model_compare("wide", wide_model, &data);
	(void)sched_setaffinity(0, sizeof(cpus), &cpus);
	model_compare("tables", tables_model, &data);
	(void)sched_setaffinity(0, sizeof(cpus), &cpus);
	model_compare("users", users_model, &data);
	entries_time(&data);
	free(data.x);
	free(data.ids);
	return EXIT_SUCCESS;
}
