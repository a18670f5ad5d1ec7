/* SPDX-License-Identifier: MIT */
/* daemon/graph/plan.c - the frozen plan of one bucket */
#include "graph/plan.h"

#include <errno.h>
#include <stdlib.h>

#include "graph/liveness.h"

static uint64_t value_bytes_max(const struct value *value, const int64_t capacity[])
{
	uint64_t bytes = dtype_bytes(value->dtype);

	for (uint32_t axis = 0; axis < value->rank; axis++) {
		if (__builtin_mul_overflow(bytes, (uint64_t)dim_max(value->dims[axis], capacity),
					   &bytes))
			return LIVENESS_BYTES_MAX;
	}
	return bytes;
}

/* Lifetimes of the values that live in the arena; slots[value] is 1 + the
 * lifetime's index. */
static void lifetimes_collect(const struct lowering *lowering, const int64_t capacity[],
			      struct lifetime lifetimes[], uint32_t slots[], uint32_t *ret_count)
{
	uint32_t count = 0;

	for (uint32_t step = 0; step < lowering->step_count; step++) {
		const struct operand *operand = lowering->steps[step]->operands;

		for (; operand; operand = operand->next) {
			uint32_t value = operand->index;
			uint32_t unused;

			if ((operand->kind != OPERAND_READ && operand->kind != OPERAND_WRITE) ||
			    lower_place(lowering, value, &unused) != PLACE_ARENA)
				continue;
			if (slots[value] == 0) {
				lifetimes[count].first = step;
				lifetimes[count].bytes = value_bytes_max(
					graph_value(lowering->graph, value), capacity);
				slots[value] = ++count;
			}
			lifetimes[slots[value] - 1].last = step;
		}
	}
	*ret_count = count;
}

static int arena_assign(struct plan *plan, const struct lowering *lowering,
			struct lifetime **ret_lifetimes, uint32_t **ret_slots)
{
	uint32_t values = lowering->graph->value_count;
	struct lifetime *lifetimes = calloc((size_t)values + 1, sizeof(*lifetimes));
	uint32_t *slots = calloc((size_t)values + 1, sizeof(*slots));
	uint32_t count;
	int r;

	*ret_lifetimes = lifetimes;
	*ret_slots = slots;
	if (!lifetimes || !slots)
		return err_raise(-ENOMEM, "no memory to place %u values", values);
	lifetimes_collect(lowering, plan->capacity, lifetimes, slots, &count);
	r = liveness_assign(lifetimes, count, &plan->arena_bytes);
	if (r < 0)
		return err_trace(r);
	return 0;
}

static void plan_count(struct plan *plan, const struct lowering *lowering)
{
	plan->entry_count = lowering->step_count;
	for (uint32_t step = 0; step < lowering->step_count; step++) {
		const struct operand *operand = lowering->steps[step]->operands;
		const struct step_size *size = lowering->steps[step]->sizes;

		for (; operand; operand = operand->next)
			plan->pointer_count++;
		for (; size; size = size->next)
			plan->size_count++;
	}
}

static struct plan_pointer pointer_of(const struct lowering *lowering, uint32_t entry,
				      const struct operand *operand,
				      const struct lifetime lifetimes[], const uint32_t slots[])
{
	static const enum plan_base bases[] = {
		[PLACE_ARENA] = PLAN_ARENA,
		[PLACE_INPUT] = PLAN_INPUT,
		[PLACE_OUTPUT] = PLAN_OUTPUT,
	};
	struct plan_pointer pointer = {
		.entry = entry,
		.field = operand->field,
		.shift_bytes = operand->offset_bytes,
	};

	switch (operand->kind) {
	case OPERAND_WEIGHT:
		pointer.base = PLAN_WEIGHTS;
		pointer.offset_bytes = lowering->weights[operand->index].offset;
		break;
	case OPERAND_STATUS:
		pointer.base = PLAN_STATUS;
		break;
	default:
		pointer.base = bases[lower_place(lowering, operand->index, &pointer.index)];
		if (pointer.base == PLAN_ARENA)
			pointer.offset_bytes = lifetimes[slots[operand->index] - 1].offset;
		break;
	}
	return pointer;
}

/* Invalid, and so never 0, where the sum is no polynomial. */
static struct poly elements_written(const struct lowering *lowering, const struct step *step)
{
	struct poly elements = poly_constant(0);

	for (const struct operand *operand = step->operands; operand; operand = operand->next) {
		if (operand->kind == OPERAND_WRITE)
			elements = poly_add(elements, value_elements(graph_value(
							      lowering->graph, operand->value)));
	}
	return elements;
}

static void plan_fill(struct plan *plan, const struct lowering *lowering,
		      const struct lifetime lifetimes[], const uint32_t slots[])
{
	uint32_t pointer = 0;
	uint32_t size = 0;

	for (uint32_t index = 0; index < lowering->step_count; index++) {
		const struct step *step = lowering->steps[index];

		plan->entries[index].kernel = step->kernel;
		plan->entries[index].args = step->args;
		plan->entries[index].args_bytes = step->args_bytes;
		plan->entries[index].elements = elements_written(lowering, step);
		for (const struct operand *operand = step->operands; operand;
		     operand = operand->next)
			plan->pointers[pointer++] =
				pointer_of(lowering, index, operand, lifetimes, slots);
		for (const struct step_size *entry = step->sizes; entry; entry = entry->next)
			plan->sizes[size++] = (struct plan_size){
				.entry = index,
				.field = entry->field,
				.value = entry->value,
			};
	}
}

int plan_init(struct plan *plan, const struct lowering *lowering,
	      const int64_t capacity[SIGNATURE_SYMBOLS_MAX])
{
	struct lifetime *lifetimes;
	uint32_t *slots;
	int r;

	*plan = (struct plan){.symbol_count = lowering->graph->symbol_count};
	if (lowering->request_symbol >= 0)
		plan->symbol_count = (uint32_t)lowering->request_symbol + 1;
	if (lowering->followed_symbol >= 0)
		plan->symbol_count = (uint32_t)lowering->followed_symbol + 1;
	for (uint32_t symbol = 0; symbol < SIGNATURE_SYMBOLS_MAX; symbol++)
		plan->capacity[symbol] = capacity[symbol];
	r = arena_assign(plan, lowering, &lifetimes, &slots);
	if (r < 0) {
		r = err_trace(r);
		goto out;
	}
	plan_count(plan, lowering);
	plan->entries = calloc((size_t)plan->entry_count + 1, sizeof(plan->entries[0]));
	plan->pointers = calloc((size_t)plan->pointer_count + 1, sizeof(plan->pointers[0]));
	plan->sizes = calloc((size_t)plan->size_count + 1, sizeof(plan->sizes[0]));
	if (!plan->entries || !plan->pointers || !plan->sizes) {
		r = err_raise(-ENOMEM, "no memory for a plan of %u entries", plan->entry_count);
		goto out;
	}
	plan_fill(plan, lowering, lifetimes, slots);
out:
	free(lifetimes);
	free(slots);
	return r;
}

void plan_deinit(struct plan *plan)
{
	free(plan->entries);
	free(plan->pointers);
	free(plan->sizes);
	*plan = (struct plan){0};
}
