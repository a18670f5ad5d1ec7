/* SPDX-License-Identifier: MIT */
/*
 * tests/exec/operand.h - small tensors of any type, as inputs or constants of a model of fixed sizes
 *
 *     operand_fill(&data, -8, 16, &seed);
 *     onnx_writer_node(writer, "Relu", "data", "y");
 *     onnx_writer_output(writer, "y", DTYPE_F32, NULL);
 *     operand_run(writer, (const struct test_operand *const[]){&data}, 1, 0, outputs);
 */
#ifndef HEARTH_TESTS_EXEC_OPERAND_H
#define HEARTH_TESTS_EXEC_OPERAND_H

#include <stdbool.h>
#include <stdint.h>

#include "kernels/types.h"
#include "tests/model/onnx_writer.h"

#define OPERAND_ELEMENTS_MAX 512
#define OPERAND_BYTES_MAX (OPERAND_ELEMENTS_MAX * sizeof(int64_t))

struct test_operand {
	const char *name;
	enum dtype dtype;
	uint32_t rank;
	int64_t dims[KERNEL_RANK_MAX];
	char data[OPERAND_BYTES_MAX];
};

/* Elements of some axes, or of all. */
int64_t operand_span(const struct test_operand *operand, uint32_t first, uint32_t last);
int64_t operand_elements(const struct test_operand *operand);

double operand_at(const struct test_operand *operand, int64_t index);

/* A whole number that the type has. */
void operand_set(struct test_operand *operand, int64_t index, int64_t value);

/* Whole numbers in [low, low + count); of bool, either. */
void operand_fill(struct test_operand *operand, int64_t low, int64_t count, uint32_t *seed);

/* An initializer, or an input. */
void operand_put(struct onnx_writer *writer, const struct test_operand *operand, bool is_constant);

/* Adds the operands, bit i of `constants` those that are in the file; loads and runs the model, and
 * frees the writer. No row may report an error. */
void operand_run(struct onnx_writer *writer, const struct test_operand *const operands[], uint32_t count,
		 uint32_t constants, void *const outputs[]);

#endif
