/* SPDX-License-Identifier: MIT */
/* daemon/exec/run.c - a plan on real addresses */
#include "exec/run.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ALIGNMENT 64

static_assert(_Alignof(union step_args) <= ALIGNMENT, "args are aligned by their places");

static void pointer_add(struct run *run, const struct plan_pointer *pointer, char *weights,
			char *arena)
{
	char *entry = run->entries[pointer->entry].args;
	char **field = (char **)(void *)(entry + pointer->field);
	char *base = (pointer->base == PLAN_WEIGHTS ? weights : arena) + pointer->offset_bytes;

	if (pointer->base != PLAN_WEIGHTS && pointer->base != PLAN_ARENA) {
		run->bindings[run->binding_count++] = (struct run_binding){
			.field = field,
			.base = pointer->base,
			.index = pointer->index,
			.shift_bytes = pointer->shift_bytes,
		};
	} else if (poly_is_constant(&pointer->shift_bytes)) {
		*field = base + poly_value(&pointer->shift_bytes, NULL);
	} else {
		run->addresses[run->address_count++] = (struct run_address){
			.field = field,
			.base = base,
			.shift_bytes = pointer->shift_bytes,
		};
	}
}

static size_t args_room(const struct plan_entry *entry)
{
	return (entry->args_bytes + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
}

int run_init(struct run *run, const struct plan *plan, const struct device *device, void *weights,
	     void *arena)
{
	size_t args_bytes = ALIGNMENT;
	char *args;

	*run = (struct run){.entry_count = plan->entry_count, .size_count = plan->size_count};
	for (uint32_t index = 0; index < plan->entry_count; index++)
		args_bytes += args_room(&plan->entries[index]);
	run->args = aligned_alloc(ALIGNMENT, args_bytes);
	run->entries = calloc((size_t)plan->entry_count + 1, sizeof(run->entries[0]));
	run->sizes = calloc((size_t)plan->size_count + 1, sizeof(run->sizes[0]));
	run->addresses = calloc((size_t)plan->pointer_count + 1, sizeof(run->addresses[0]));
	run->bindings = calloc((size_t)plan->pointer_count + 1, sizeof(run->bindings[0]));
	if (!run->args || !run->entries || !run->sizes || !run->addresses || !run->bindings)
		return err_raise(-ENOMEM, "no memory for a plan of %u entries", plan->entry_count);
	args = run->args;
	for (uint32_t index = 0; index < plan->entry_count; index++) {
		const struct plan_entry *entry = &plan->entries[index];

		memcpy(args, entry->args, entry->args_bytes);
		run->entries[index].function = device->kernels[entry->kernel];
		run->entries[index].args = args;
		run->entries[index].elements = entry->elements;
		args += args_room(entry);
	}
	for (uint32_t index = 0; index < plan->size_count; index++) {
		const struct plan_size *size = &plan->sizes[index];
		char *entry = run->entries[size->entry].args;

		run->sizes[index].field = (int64_t *)(void *)(entry + size->field);
		run->sizes[index].value = size->value;
	}
	for (uint32_t index = 0; index < plan->pointer_count; index++)
		pointer_add(run, &plan->pointers[index], weights, arena);
	for (uint32_t symbol = 0; symbol < SIGNATURE_SYMBOLS_MAX; symbol++)
		run->symbols[symbol] = INT64_MIN;
	return 0;
}

static void sizes_patch(struct run *run, const int64_t symbols[SIGNATURE_SYMBOLS_MAX])
{
	for (uint32_t index = 0; index < run->size_count; index++)
		*run->sizes[index].field = poly_value(&run->sizes[index].value, symbols);
	for (uint32_t index = 0; index < run->address_count; index++) {
		struct run_address *address = &run->addresses[index];

		*address->field = address->base + poly_value(&address->shift_bytes, symbols);
	}
	for (uint32_t index = 0; index < run->binding_count; index++) {
		struct run_binding *binding = &run->bindings[index];

		binding->shift_now_bytes = poly_value(&binding->shift_bytes, symbols);
	}
	for (uint32_t index = 0; index < run->entry_count; index++) {
		struct run_entry *entry = &run->entries[index];

		entry->is_empty = entry->elements.count != POLY_INVALID &&
				  poly_value(&entry->elements, symbols) == 0;
	}
	memcpy(run->symbols, symbols, sizeof(run->symbols));
}

static void bindings_patch(struct run *run, const void *const inputs[], void *const outputs[],
			   struct row_status status[])
{
	for (uint32_t index = 0; index < run->binding_count; index++) {
		struct run_binding *binding = &run->bindings[index];
		char *base;

		if (binding->base == PLAN_INPUT)
			base = (char *)(uintptr_t)inputs[binding->index];
		else if (binding->base == PLAN_OUTPUT)
			base = outputs[binding->index];
		else
			base = (char *)status;
		*binding->field = base + binding->shift_now_bytes;
	}
}

void run_execute(struct run *run, const int64_t symbols[SIGNATURE_SYMBOLS_MAX],
		 const void *const inputs[], void *const outputs[], struct row_status status[])
{
	if (memcmp(run->symbols, symbols, sizeof(run->symbols)) != 0)
		sizes_patch(run, symbols);
	bindings_patch(run, inputs, outputs, status);
	for (uint32_t index = 0; index < run->entry_count; index++)
		if (!run->entries[index].is_empty)
			run->entries[index].function(run->entries[index].args);
}

void run_deinit(struct run *run)
{
	free(run->args);
	free(run->entries);
	free(run->sizes);
	free(run->addresses);
	free(run->bindings);
	*run = (struct run){0};
}
