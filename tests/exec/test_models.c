/* SPDX-License-Identifier: MIT */
/*
 * tests/exec/test_models.c - ranking models in miniature, as exporters write them
 *
 * Each model is written with the operators of a PyTorch export and compared with
 * the same formula written out in double precision.
 */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tests/exec/engine_fixture.h"
#include "tests/graph/graph_fixture.h"
#include "tests/suite.h"

#define DENSE 3
#define TABLES 3
#define DIM 4
#define HIDDEN 5
#define FIELDS (TABLES + 1)
#define WIDE (DENSE + TABLES * DIM)
#define PAIRS (FIELDS * (FIELDS - 1) / 2)
#define BATCH_MAX 33
#define TOLERANCE 1e-5

static const int64_t table_rows[TABLES] = {5, 7, 11};

struct parameters {
	float tables[TABLES][16 * DIM];
	float linear[TABLES][16];
	float weights[8][32 * 32];
	float biases[8][32];
};

struct batch {
	float dense[BATCH_MAX * DENSE];
	int64_t ids[BATCH_MAX * TABLES];
	float scores[BATCH_MAX];
};

static struct parameters parameters;
static struct batch batch;

static void setup(void)
{
	uint32_t seed = 7;

	fixture_floats(parameters.tables[0], TABLES * 16 * DIM, &seed);
	fixture_floats(parameters.linear[0], TABLES * 16, &seed);
	fixture_floats(parameters.weights[0], 8 * 32 * 32, &seed);
	fixture_floats(parameters.biases[0], 8 * 32, &seed);
	fixture_floats(batch.dense, BATCH_MAX * DENSE, &seed);
	for (int64_t item = 0; item < BATCH_MAX * TABLES; item++)
		fixture_ids(&batch.ids[item], 1, table_rows[item % TABLES], &seed);
}

/* --- the formulas, in double --- */

/* y = x W^T + b, W [out, in] as torch.nn.Linear keeps it. */
static void ref_linear(const double *x, int layer, int in, int out, double *y)
{
	for (int row = 0; row < out; row++) {
		y[row] = parameters.biases[layer][row];
		for (int column = 0; column < in; column++)
			y[row] += x[column] * parameters.weights[layer][row * in + column];
	}
}

static void ref_relu(double *x, int count)
{
	for (int index = 0; index < count; index++)
		x[index] = x[index] > 0 ? x[index] : 0;
}

static double ref_sigmoid(double x)
{
	return 1 / (1 + exp(-x));
}

static void ref_embed(int row, int table, double *y)
{
	int64_t id = batch.ids[row * TABLES + table];

	for (int index = 0; index < DIM; index++)
		y[index] = parameters.tables[table][id * DIM + index];
}

static void ref_wide(int row, double *x)
{
	for (int index = 0; index < DENSE; index++)
		x[index] = batch.dense[row * DENSE + index];
	for (int table = 0; table < TABLES; table++)
		ref_embed(row, table, x + DENSE + table * DIM);
}

static double ref_dlrm(int row)
{
	double fields[FIELDS][DIM];
	double top[DIM + PAIRS];
	double hidden[HIDDEN];
	double dense[DENSE];
	double logit;
	int pair = DIM;

	for (int index = 0; index < DENSE; index++)
		dense[index] = batch.dense[row * DENSE + index];
	ref_linear(dense, 0, DENSE, DIM, fields[0]);
	ref_relu(fields[0], DIM);
	for (int table = 0; table < TABLES; table++)
		ref_embed(row, table, fields[table + 1]);
	memcpy(top, fields[0], sizeof(fields[0]));
	for (int left = 0; left < FIELDS; left++) {
		for (int right = 0; right < left; right++, pair++) {
			top[pair] = 0;
			for (int index = 0; index < DIM; index++)
				top[pair] += fields[left][index] * fields[right][index];
		}
	}
	ref_linear(top, 1, DIM + PAIRS, HIDDEN, hidden);
	ref_relu(hidden, HIDDEN);
	ref_linear(hidden, 2, HIDDEN, 1, &logit);
	return ref_sigmoid(logit);
}

static double ref_dcn(int row)
{
	double x0[WIDE], x[WIDE], cross[WIDE], low[2], head[WIDE + HIDDEN], logit;

	ref_wide(row, x0);
	memcpy(x, x0, sizeof(x));
	for (int layer = 0; layer < 2; layer++) {
		/* MatMul V [in, 2], MatMul W [2, in], Add b */
		for (int rank = 0; rank < 2; rank++) {
			low[rank] = 0;
			for (int index = 0; index < WIDE; index++)
				low[rank] += x[index] * parameters.weights[layer][index * 2 + rank];
		}
		for (int index = 0; index < WIDE; index++) {
			cross[index] = parameters.biases[layer][index];
			for (int rank = 0; rank < 2; rank++)
				cross[index] += low[rank] *
						parameters.weights[layer + 2][rank * WIDE + index];
		}
		for (int index = 0; index < WIDE; index++)
			x[index] += x0[index] * cross[index];
	}
	memcpy(head, x, sizeof(x));
	ref_linear(x0, 4, WIDE, HIDDEN, head + WIDE);
	ref_relu(head + WIDE, HIDDEN);
	ref_linear(head, 5, WIDE + HIDDEN, 1, &logit);
	return ref_sigmoid(logit);
}

static double ref_deepfm(int row, int with_pairs)
{
	double x[WIDE], hidden[HIDDEN], deep, dense, fm = 0, logit = 0;

	ref_wide(row, x);
	for (int table = 0; table < TABLES; table++)
		logit += parameters.linear[table][batch.ids[row * TABLES + table]];
	ref_linear(x, 3, DENSE, 1, &dense);
	ref_linear(x, 0, WIDE, HIDDEN, hidden);
	ref_relu(hidden, HIDDEN);
	ref_linear(hidden, 1, HIDDEN, 1, &deep);
	for (int index = 0; index < DIM; index++) {
		double sum = 0, squares = 0;

		for (int table = 0; table < TABLES; table++) {
			sum += x[DENSE + table * DIM + index];
			squares += pow(x[DENSE + table * DIM + index], 2);
		}
		fm += sum * sum - squares;
	}
	return ref_sigmoid(logit + dense + deep + (with_pairs ? 0.5 * fm : 0));
}

/* --- the same as graphs --- */

static void put_weight(struct onnx_writer *writer, const char *name, int layer, const char *shape,
		       uint64_t elements)
{
	onnx_writer_tensor(writer, name, DTYPE_F32, shape, parameters.weights[layer],
			   elements * sizeof(float));
}

/* Linear as torch exports it: Gemm with transB. */
static void put_linear(struct onnx_writer *writer, int layer, const char *x, int in, int out,
		       const char *y)
{
	char names[3][64];

	(void)snprintf(names[0], sizeof(names[0]), "w%d", layer);
	(void)snprintf(names[1], sizeof(names[1]), "b%d", layer);
	(void)snprintf(names[2], sizeof(names[2]), "%d,%d", out, in);
	put_weight(writer, names[0], layer, names[2], (uint64_t)(in * out));
	(void)snprintf(names[2], sizeof(names[2]), "%d", out);
	onnx_writer_tensor(writer, names[1], DTYPE_F32, names[2], parameters.biases[layer],
			   (uint64_t)out * sizeof(float));
	(void)snprintf(names[2], sizeof(names[2]), "%s,w%d,b%d", x, layer, layer);
	onnx_writer_node(writer, "Gemm", names[2], y);
	onnx_writer_int(writer, "transB", 1);
	onnx_writer_float(writer, "alpha", 1.0f);
}

/* One column of ids and its rows of a table: e0, e1, ... and l0, l1, ... */
static void put_tables(struct onnx_writer *writer, int with_linear)
{
	for (int64_t table = 0; table < TABLES; table++) {
		char names[4][32];

		(void)snprintf(names[0], sizeof(names[0]), "k%lld", (long long)table);
		put_i64(writer, names[0], "", &table, 1);
		(void)snprintf(names[1], sizeof(names[1]), "ids,k%lld", (long long)table);
		(void)snprintf(names[2], sizeof(names[2]), "c%lld", (long long)table);
		onnx_writer_node(writer, "Gather", names[1], names[2]);
		onnx_writer_int(writer, "axis", 1);
		(void)snprintf(names[0], sizeof(names[0]), "table%lld", (long long)table);
		(void)snprintf(names[1], sizeof(names[1]), "%lld,%d", (long long)table_rows[table],
			       DIM);
		onnx_writer_tensor(writer, names[0], DTYPE_F32, names[1], parameters.tables[table],
				   (uint64_t)table_rows[table] * DIM * sizeof(float));
		(void)snprintf(names[1], sizeof(names[1]), "table%lld,c%lld", (long long)table,
			       (long long)table);
		(void)snprintf(names[2], sizeof(names[2]), "e%lld", (long long)table);
		onnx_writer_node(writer, "Gather", names[1], names[2]);
		if (!with_linear)
			continue;
		(void)snprintf(names[0], sizeof(names[0]), "line%lld", (long long)table);
		(void)snprintf(names[1], sizeof(names[1]), "%lld,1", (long long)table_rows[table]);
		onnx_writer_tensor(writer, names[0], DTYPE_F32, names[1], parameters.linear[table],
				   (uint64_t)table_rows[table] * sizeof(float));
		(void)snprintf(names[1], sizeof(names[1]), "line%lld,c%lld", (long long)table,
			       (long long)table);
		(void)snprintf(names[2], sizeof(names[2]), "l%lld", (long long)table);
		onnx_writer_node(writer, "Gather", names[1], names[2]);
	}
}

static struct onnx_writer *put_inputs(int64_t opset, int32_t ids_dtype)
{
	struct onnx_writer *writer = onnx_writer_new(opset);

	onnx_writer_input(writer, "dense", DTYPE_F32, "batch,3");
	onnx_writer_input(writer, "ids", ids_dtype, "batch,3");
	onnx_writer_output(writer, "score", DTYPE_F32, "batch,1");
	return writer;
}

/* Unsqueeze and ReduceSum take their axis as an attribute before opset 13. */
static void put_axis(struct onnx_writer *writer, int64_t opset, const char *op, const char *x,
		     const char *axis_name, int64_t axis, const char *y)
{
	char inputs[64];

	if (opset < 13) {
		onnx_writer_node(writer, op, x, y);
		onnx_writer_ints(writer, "axes", &axis, 1);
		return;
	}
	put_i64(writer, axis_name, "1", &axis, 1);
	(void)snprintf(inputs, sizeof(inputs), "%s,%s", x, axis_name);
	onnx_writer_node(writer, op, inputs, y);
}

static struct onnx_writer *put_dlrm(int64_t opset, int32_t ids_dtype)
{
	struct onnx_writer *writer = put_inputs(opset, ids_dtype);
	int64_t sizes[] = {FIELDS, DIM, FIELDS * FIELDS, -1, 0};
	int64_t pairs[PAIRS];
	int64_t perm[] = {0, 2, 1};
	int count = 0;

	for (int64_t left = 0; left < FIELDS; left++)
		for (int64_t right = 0; right < left; right++)
			pairs[count++] = left * FIELDS + right;
	put_linear(writer, 0, "dense", DENSE, DIM, "bottom");
	onnx_writer_node(writer, "Relu", "bottom", "x");
	put_tables(writer, 0);
	onnx_writer_node(writer, "Concat", "x,e0,e1,e2", "cat");
	onnx_writer_int(writer, "axis", 1);
	/* reshape(x.shape[0], FIELDS, DIM), as torch writes it */
	onnx_writer_node(writer, "Shape", "cat", "shape");
	put_i64(writer, "zero", "", &sizes[4], 1);
	onnx_writer_node(writer, "Gather", "shape,zero", "rows");
	onnx_writer_int(writer, "axis", 0);
	put_axis(writer, opset, "Unsqueeze", "rows", "axis0", 0, "rows1");
	put_i64(writer, "fields", "1", &sizes[0], 1);
	put_i64(writer, "dim", "1", &sizes[1], 1);
	onnx_writer_node(writer, "Concat", "rows1,fields,dim", "sizes");
	onnx_writer_int(writer, "axis", 0);
	onnx_writer_node(writer, "Reshape", "cat,sizes", "t");
	onnx_writer_node(writer, "Transpose", "t", "tt");
	onnx_writer_ints(writer, "perm", perm, 3);
	onnx_writer_node(writer, "MatMul", "t,tt", "z");
	int64_t flat[] = {-1, FIELDS * FIELDS};
	put_i64(writer, "flat", "2", flat, 2);
	onnx_writer_node(writer, "Reshape", "z,flat", "zf");
	put_i64(writer, "pairs", "6", pairs, PAIRS);
	onnx_writer_node(writer, "Gather", "zf,pairs", "zp");
	onnx_writer_int(writer, "axis", 1);
	onnx_writer_node(writer, "Concat", "x,zp", "top");
	onnx_writer_int(writer, "axis", -1);
	put_linear(writer, 1, "top", DIM + PAIRS, HIDDEN, "h");
	onnx_writer_node(writer, "Relu", "h", "hr");
	put_linear(writer, 2, "hr", HIDDEN, 1, "logit");
	onnx_writer_node(writer, "Sigmoid", "logit", "probability");
	onnx_writer_node(writer, "Identity", "probability", "score");
	return writer;
}

static struct onnx_writer *put_dcn(int64_t opset, int32_t ids_dtype)
{
	struct onnx_writer *writer = put_inputs(opset, ids_dtype);
	const char *x = "x0";

	put_tables(writer, 0);
	onnx_writer_node(writer, "Concat", "dense,e0,e1,e2", "x0");
	onnx_writer_int(writer, "axis", 1);
	for (int layer = 0; layer < 2; layer++) {
		static const char *const outs[] = {"x1", "x2"};
		char names[4][32];

		(void)snprintf(names[0], sizeof(names[0]), "v%d", layer);
		put_weight(writer, names[0], layer, "15,2", WIDE * 2);
		(void)snprintf(names[1], sizeof(names[1]), "%s,v%d", x, layer);
		(void)snprintf(names[2], sizeof(names[2]), "low%d", layer);
		onnx_writer_node(writer, "MatMul", names[1], names[2]);
		(void)snprintf(names[0], sizeof(names[0]), "u%d", layer);
		put_weight(writer, names[0], layer + 2, "2,15", WIDE * 2);
		(void)snprintf(names[1], sizeof(names[1]), "low%d,u%d", layer, layer);
		(void)snprintf(names[2], sizeof(names[2]), "up%d", layer);
		onnx_writer_node(writer, "MatMul", names[1], names[2]);
		(void)snprintf(names[0], sizeof(names[0]), "cb%d", layer);
		onnx_writer_tensor(writer, names[0], DTYPE_F32, "15", parameters.biases[layer],
				   WIDE * sizeof(float));
		(void)snprintf(names[1], sizeof(names[1]), "cb%d,up%d", layer, layer);
		(void)snprintf(names[2], sizeof(names[2]), "cross%d", layer);
		onnx_writer_node(writer, "Add", names[1], names[2]);
		(void)snprintf(names[1], sizeof(names[1]), "x0,cross%d", layer);
		(void)snprintf(names[2], sizeof(names[2]), "m%d", layer);
		onnx_writer_node(writer, "Mul", names[1], names[2]);
		(void)snprintf(names[1], sizeof(names[1]), "m%d,%s", layer, x);
		onnx_writer_node(writer, "Add", names[1], outs[layer]);
		x = outs[layer];
	}
	put_linear(writer, 4, "x0", WIDE, HIDDEN, "h");
	onnx_writer_node(writer, "Relu", "h", "hr");
	onnx_writer_node(writer, "Concat", "x2,hr", "head");
	onnx_writer_int(writer, "axis", 1);
	put_linear(writer, 5, "head", WIDE + HIDDEN, 1, "logit");
	onnx_writer_node(writer, "Sigmoid", "logit", "score");
	return writer;
}

static struct onnx_writer *put_deepfm(int64_t opset, int32_t ids_dtype, int with_pairs)
{
	struct onnx_writer *writer = put_inputs(opset, ids_dtype);
	int64_t sizes[] = {-1, TABLES, DIM};
	float half = 0.5f;

	put_tables(writer, 1);
	onnx_writer_node(writer, "Concat", "l0,l1,l2", "lines");
	onnx_writer_int(writer, "axis", 1);
	put_axis(writer, opset, "ReduceSum", "lines", "ax0", 1, "line");
	onnx_writer_int(writer, "keepdims", 1);
	put_linear(writer, 3, "dense", DENSE, 1, "dl");
	onnx_writer_node(writer, "Add", "line,dl", "lin");
	onnx_writer_node(writer, "Concat", "e0,e1,e2", "cat");
	onnx_writer_int(writer, "axis", 1);
	onnx_writer_node(writer, "Concat", "dense,cat", "wide");
	onnx_writer_int(writer, "axis", 1);
	put_linear(writer, 0, "wide", WIDE, HIDDEN, "h");
	onnx_writer_node(writer, "Relu", "h", "hr");
	put_linear(writer, 1, "hr", HIDDEN, 1, "deep");
	onnx_writer_node(writer, "Add", "lin,deep", "y0");
	if (with_pairs) {
		put_i64(writer, "sizes", "3", sizes, 3);
		onnx_writer_node(writer, "Reshape", "cat,sizes", "t");
		put_axis(writer, opset, "ReduceSum", "t", "ax1", 1, "s");
		onnx_writer_int(writer, "keepdims", 0);
		onnx_writer_node(writer, "Mul", "s,s", "s2");
		onnx_writer_node(writer, "Mul", "t,t", "tq");
		put_axis(writer, opset, "ReduceSum", "tq", "ax2", 1, "q");
		onnx_writer_int(writer, "keepdims", 0);
		onnx_writer_node(writer, "Sub", "s2,q", "d");
		put_axis(writer, opset, "ReduceSum", "d", "ax3", -1, "f2");
		onnx_writer_int(writer, "keepdims", 1);
		onnx_writer_constant(writer, "half", DTYPE_F32, "", &half, sizeof(half));
		onnx_writer_node(writer, "Mul", "f2,half", "f");
		onnx_writer_node(writer, "Add", "y0,f", "y1");
	}
	onnx_writer_node(writer, "Sigmoid", with_pairs ? "y1" : "y0", "score");
	return writer;
}

/* --- the comparison --- */

enum model {
	MODEL_DLRM,
	MODEL_DCN,
	MODEL_DEEPFM,
	MODEL_WIDE_DEEP,
	MODEL_COUNT,
};

static struct onnx_writer *put_model(enum model model, int64_t opset, int32_t ids_dtype)
{
	switch (model) {
	case MODEL_DLRM:
		return put_dlrm(opset, ids_dtype);
	case MODEL_DCN:
		return put_dcn(opset, ids_dtype);
	default:
		return put_deepfm(opset, ids_dtype, model == MODEL_DEEPFM);
	}
}

static double ref_model(enum model model, int row)
{
	switch (model) {
	case MODEL_DLRM:
		return ref_dlrm(row);
	case MODEL_DCN:
		return ref_dcn(row);
	default:
		return ref_deepfm(row, model == MODEL_DEEPFM);
	}
}

static void model_check(enum model model, int64_t opset, int32_t ids_dtype)
{
	static const int64_t batches[] = {1, 2, 3, 8, 31, BATCH_MAX};
	struct engine *engine = fixture_engine(put_model(model, opset, ids_dtype), NULL);
	struct row_status status[BATCH_MAX] = {0};
	int32_t narrow[BATCH_MAX * TABLES];
	const void *inputs[] = {batch.dense, batch.ids};
	void *outputs[] = {batch.scores};

	ck_assert_msg(engine != NULL, "model %d opset %lld: %s", (int)model, (long long)opset,
		      err_message());
	ck_assert_int_eq(engine_signature(engine)->row_symbol, 0);
	for (int item = 0; item < BATCH_MAX * TABLES; item++)
		narrow[item] = (int32_t)batch.ids[item];
	if (ids_dtype == DTYPE_I32)
		inputs[1] = narrow;
	for (size_t index = 0; index < sizeof(batches) / sizeof(batches[0]); index++) {
		int64_t symbols[SIGNATURE_SYMBOLS_MAX] = {batches[index]};

		fixture_run(engine, symbols, inputs, outputs, status);
		for (int row = 0; row < batches[index]; row++) {
			ck_assert_uint_eq(status[row].error, 0);
			ck_assert_double_eq_tol(batch.scores[row], ref_model(model, row),
						TOLERANCE);
		}
	}
	engine_free(engine);
}

START_TEST(a_model_computes_its_formula_at_every_opset_and_batch)
{
	for (int64_t opset = 9; opset <= 17; opset++) {
		/* Gemm, Gather, ... of these files are the same in between. */
		if (opset == 10 || opset == 12 || opset == 14 || opset == 16)
			continue;
		model_check((enum model)_i, opset, DTYPE_I64);
	}
	model_check((enum model)_i, 17, DTYPE_I32);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("models");
	TCase *tests = tcase_create("models");

	setup();
	tcase_add_loop_test(tests, a_model_computes_its_formula_at_every_opset_and_batch, 0,
			    MODEL_COUNT);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}
