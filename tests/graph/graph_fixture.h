/* SPDX-License-Identifier: MIT */
/*
 * tests/graph/graph_fixture.h - the graph, rows and steps of a model that a test writes
 */
#ifndef HEARTH_TESTS_GRAPH_FIXTURE_H
#define HEARTH_TESTS_GRAPH_FIXTURE_H

#include "graph/lower.h"
#include "graph/rows.h"
#include "tests/model/onnx_writer.h"

struct built {
	struct onnx_model *model;
	struct graph graph;
	struct rows_proof proof;
	struct lowering lowering;
};

/* Saves, opens and lowers the model; frees the writer. False when it is refused:
 * err_message() says why. built_deinit in both cases. */
bool built_init(struct built *built, struct onnx_writer *writer);
void built_deinit(struct built *built);

/* Value by name; the test ends when there is none. */
const struct value *built_value(const struct built *built, const char *name);
uint32_t built_count(const struct built *built, enum kernel kernel);

void put_i64(struct onnx_writer *writer, const char *name, const char *shape,
	     const int64_t *values, uint64_t count);

#endif
