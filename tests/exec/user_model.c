/* SPDX-License-Identifier: MIT */
/* tests/exec/user_model.c - a user and a city, one a request, scored with many candidates */
#include "tests/exec/user_model.h"

#include "tests/exec/engine_fixture.h"

#define HIDDEN 19

struct onnx_writer *user_model(void)
{
	static float user[USER_WIDTH * HIDDEN], candidate[USER_WIDTH * HIDDEN];
	static float cities[USER_CITIES * HIDDEN], head[2 * HIDDEN], bias[HIDDEN];
	struct onnx_writer *writer = onnx_writer_new(13);
	uint32_t seed = 11;

	fixture_floats(user, USER_WIDTH * HIDDEN, &seed);
	fixture_floats(candidate, USER_WIDTH * HIDDEN, &seed);
	fixture_floats(cities, USER_CITIES * HIDDEN, &seed);
	fixture_floats(head, 2 * HIDDEN, &seed);
	fixture_floats(bias, HIDDEN, &seed);
	onnx_writer_input(writer, "user", DTYPE_F32, "1,5");
	onnx_writer_input(writer, "city", DTYPE_I64, "1");
	onnx_writer_input(writer, "candidates", DTYPE_F32, "batch,5");
	onnx_writer_tensor(writer, "wu", DTYPE_F32, "5,19", user, sizeof(user));
	onnx_writer_tensor(writer, "wc", DTYPE_F32, "5,19", candidate, sizeof(candidate));
	onnx_writer_tensor(writer, "cities", DTYPE_F32, "7,19", cities, sizeof(cities));
	onnx_writer_tensor(writer, "head", DTYPE_F32, "38,1", head, sizeof(head));
	onnx_writer_tensor(writer, "bias", DTYPE_F32, "19", bias, sizeof(bias));
	onnx_writer_node(writer, "Gemm", "user,wu,bias", "user_sum");
	onnx_writer_node(writer, "Relu", "user_sum", "user_tower");
	onnx_writer_node(writer, "Gather", "cities,city", "city_row");
	onnx_writer_node(writer, "Add", "user_tower,city_row", "asks");
	onnx_writer_node(writer, "MatMul", "candidates,wc", "candidate_tower");
	onnx_writer_node(writer, "Add", "candidate_tower,asks", "sum");
	onnx_writer_node(writer, "Mul", "asks,candidate_tower", "product");
	onnx_writer_node(writer, "Concat", "sum,product", "both");
	onnx_writer_int(writer, "axis", 1);
	onnx_writer_node(writer, "MatMul", "both,head", "logit");
	onnx_writer_node(writer, "Sigmoid", "logit", "score");
	onnx_writer_output(writer, "score", DTYPE_F32, "batch,1");
	return writer;
}
