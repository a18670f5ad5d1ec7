/* SPDX-License-Identifier: MIT */
/* tests/exec/operand.c - small tensors of any type, as inputs or constants of a model */
#include "tests/exec/operand.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

#include "kernels/ref/ref.h"
#include "tests/exec/engine_fixture.h"

int64_t operand_span(const struct test_operand *operand, uint32_t first, uint32_t last)
{
	int64_t span = 1;

	for (uint32_t axis = first; axis < last; axis++)
		span *= operand->dims[axis];
	return span;
}

int64_t operand_elements(const struct test_operand *operand)
{
	return operand_span(operand, 0, operand->rank);
}

double operand_at(const struct test_operand *operand, int64_t index)
{
	return ref_read(operand->data, operand->dtype, index);
}

/* f16 and bf16 of a small integer. */
static uint16_t half_of(int64_t value, enum dtype dtype)
{
	float number = (float)value;
	uint32_t bits;
	int exponent;

	memcpy(&bits, &number, sizeof(bits));
	if (dtype == DTYPE_BF16 || value == 0)
		return (uint16_t)(bits >> 16);
	exponent = (int)(bits >> 23 & 0xff) - 127 + 15;
	return (uint16_t)((bits >> 16 & 0x8000) | (uint32_t)exponent << 10 | (bits >> 13 & 0x3ff));
}

void operand_set(struct test_operand *operand, int64_t index, int64_t value)
{
	switch (operand->dtype) {
	case DTYPE_F32:
		((float *)(void *)operand->data)[index] = (float)value;
		break;
	case DTYPE_I64:
		((int64_t *)(void *)operand->data)[index] = value;
		break;
	case DTYPE_I32:
		((int32_t *)(void *)operand->data)[index] = (int32_t)value;
		break;
	case DTYPE_F16:
	case DTYPE_BF16:
		((uint16_t *)(void *)operand->data)[index] = half_of(value, operand->dtype);
		break;
	default:
		operand->data[index] = (char)value;
		break;
	}
}

void operand_fill(struct test_operand *operand, int64_t low, int64_t count, uint32_t *seed)
{
	ck_assert_int_le(operand_elements(operand), OPERAND_ELEMENTS_MAX);
	for (int64_t index = 0; index < operand_elements(operand); index++) {
		int64_t value;

		fixture_ids(&value, 1, count, seed);
		operand_set(operand, index, operand->dtype == DTYPE_BOOL ? value & 1 : low + value);
	}
}

void operand_put(struct onnx_writer *writer, const struct test_operand *operand, bool is_constant)
{
	char shape[64] = "";
	size_t used = 0;

	for (uint32_t axis = 0; axis < operand->rank; axis++)
		used += (size_t)snprintf(shape + used, sizeof(shape) - used, "%s%lld",
					 axis ? "," : "", (long long)operand->dims[axis]);
	if (is_constant)
		onnx_writer_tensor(writer, operand->name, (int32_t)operand->dtype, shape,
				   operand->data,
				   (uint64_t)operand_elements(operand) * dtype_bytes(operand->dtype));
	else
		onnx_writer_input(writer, operand->name, (int32_t)operand->dtype, shape);
}

void operand_run(struct onnx_writer *writer, const struct test_operand *const operands[], uint32_t count,
		 uint32_t constants, void *const outputs[])
{
	int64_t symbols[SIGNATURE_SYMBOLS_MAX] = {0};
	const void *inputs[SIGNATURE_TENSORS_MAX];
	struct row_status status[2] = {0};
	struct engine *engine;
	uint32_t used = 0;
	float unused = 0;

	for (uint32_t index = 0; index < count; index++) {
		bool is_constant = constants >> index & 1;

		operand_put(writer, operands[index], is_constant);
		if (!is_constant)
			inputs[used++] = operands[index]->data;
	}
	/* A model has an input, though all its operands be constants. */
	onnx_writer_input(writer, "unused", DTYPE_F32, "1");
	inputs[used] = &unused;
	engine = fixture_engine(writer, NULL);
	ck_assert_msg(engine != NULL, "%s", err_message());
	fixture_run(engine, symbols, inputs, outputs, status);
	ck_assert_uint_eq(status[0].error, 0);
	engine_free(engine);
}
