/* SPDX-License-Identifier: MIT */
/*
 * tests/exec/node_case.h - one case of the ONNX project's node tests: a model, inputs, outputs
 *
 * Owns:     the parsed messages; freed by node_case_free
 * Source:   libonnx-testdata: CASE/model.onnx, CASE/test_data_set_0/{input,output}_K.pb
 */
#ifndef HEARTH_TESTS_NODE_CASE_H
#define HEARTH_TESTS_NODE_CASE_H

#include <stdbool.h>
#include <stdint.h>

#include "onnx.pb-c.h"

#define NODE_CASE_TENSORS_MAX 16

struct node_case {
	Onnx__ModelProto *model;
	Onnx__TensorProto *inputs[NODE_CASE_TENSORS_MAX];
	Onnx__TensorProto *outputs[NODE_CASE_TENSORS_MAX];
	uint32_t input_count;
	uint32_t output_count;
	bool bound; /* some inputs became initializers */
};

/* 0; -1 when a file is missing or is something else (sequences, optionals). */
int node_case_open(const char *directory, struct node_case *ret_case);
void node_case_free(struct node_case *node_case);

/* Does hearth's list have every operator of the model, at an opset it reads? */
bool node_case_is_ours(const char *directory);

/* Inputs that an operator must know at load become initializers, and opsets before 9 become 9; the
 * model is written to `directory`. False when there was nothing to change. */
bool node_case_bind(struct node_case *node_case, const char *directory);

/* The tensor's elements in memory that is 64-byte aligned; the caller frees them. */
void *node_case_data(const Onnx__TensorProto *tensor);
uint64_t node_case_elements(const Onnx__TensorProto *tensor);

#endif
