/* SPDX-License-Identifier: MIT */
/* daemon/exec/run.c - a plan on real addresses */
#include "exec/run.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ALIGNMENT 64

static_assert(_Alignof(union step_args) <= ALIGNMENT, "args are aligned by their places");

static void pointer_write(char *args, uint32_t field, char *address)
{
	memcpy(args + field, &address, sizeof(address));
}

static char *base_of(const struct plan_pointer *pointer, const struct run_memory *memory)
{
	if (pointer->base != PLAN_WEIGHTS)
		return memory->arena;
	return pointer->offset_bytes < memory->tables_offset ? memory->weights : memory->whole;
}

static void pointer_add(struct run *run, const struct plan_pointer *pointer,
			const struct run_memory *memory)
{
	uint32_t field = run->entries[pointer->entry].args + pointer->field;
	char *base = base_of(pointer, memory) + pointer->offset_bytes;

	if (pointer->base != PLAN_WEIGHTS && pointer->base != PLAN_ARENA) {
		run->bindings[run->binding_count++] = (struct run_binding){
			.field = field,
			.base = pointer->base,
			.index = pointer->index,
			.shift_bytes = pointer->shift_bytes,
		};
	} else if (poly_is_constant(&pointer->shift_bytes)) {
		base += poly_value(&pointer->shift_bytes, NULL);
		for (uint32_t set = 0; set < RUN_SETS; set++)
			pointer_write(run->sets[set].args, field, base);
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

static bool run_allocate(struct run *run, const struct plan *plan)
{
	size_t args_bytes = ALIGNMENT;
	bool is_whole;

	for (uint32_t index = 0; index < plan->entry_count; index++)
		args_bytes += args_room(&plan->entries[index]);
	if (args_bytes > UINT32_MAX)
		return false;
	run->entries = calloc((size_t)plan->entry_count + 1, sizeof(run->entries[0]));
	run->sizes = calloc((size_t)plan->size_count + 1, sizeof(run->sizes[0]));
	run->addresses = calloc((size_t)plan->pointer_count + 1, sizeof(run->addresses[0]));
	run->bindings = calloc((size_t)plan->pointer_count + 1, sizeof(run->bindings[0]));
	is_whole = run->entries && run->sizes && run->addresses && run->bindings;
	for (uint32_t index = 0; index < RUN_SETS; index++) {
		struct run_set *set = &run->sets[index];

		set->args = aligned_alloc(ALIGNMENT, args_bytes);
		set->calls = calloc((size_t)plan->entry_count + 1, sizeof(set->calls[0]));
		set->shifts_bytes =
			calloc((size_t)plan->pointer_count + 1, sizeof(set->shifts_bytes[0]));
		is_whole = is_whole && set->args && set->calls && set->shifts_bytes;
	}
	return is_whole;
}

int run_init(struct run *run, const struct plan *plan, const struct device *device,
	     const struct run_memory *memory)
{
	size_t args = 0;

	*run = (struct run){
		.entry_count = plan->entry_count,
		.size_count = plan->size_count,
		.symbol_count = plan->symbol_count,
	};
	if (!run_allocate(run, plan))
		return err_raise(-ENOMEM, "no memory for a plan of %u entries", plan->entry_count);
	for (uint32_t index = 0; index < plan->entry_count; index++) {
		const struct plan_entry *entry = &plan->entries[index];

		for (uint32_t set = 0; set < RUN_SETS; set++)
			memcpy(run->sets[set].args + args, entry->args, entry->args_bytes);
		run->entries[index].function = device->kernels[entry->kernel];
		run->entries[index].kernel = entry->kernel;
		run->entries[index].args = (uint32_t)args;
		run->entries[index].elements = entry->elements;
		args += args_room(entry);
	}
	for (uint32_t index = 0; index < plan->size_count; index++) {
		const struct plan_size *size = &plan->sizes[index];

		run->sizes[index].field = run->entries[size->entry].args + size->field;
		run->sizes[index].value = size->value;
	}
	for (uint32_t index = 0; index < plan->pointer_count; index++)
		pointer_add(run, &plan->pointers[index], memory);
	return 0;
}

static void set_patch(const struct run *run, struct run_set *set,
		      const int64_t symbols[SIGNATURE_SYMBOLS_MAX])
{
	for (uint32_t index = 0; index < run->size_count; index++) {
		int64_t value = poly_value(&run->sizes[index].value, symbols);

		memcpy(set->args + run->sizes[index].field, &value, sizeof(value));
	}
	for (uint32_t index = 0; index < run->address_count; index++) {
		const struct run_address *address = &run->addresses[index];

		pointer_write(set->args, address->field,
			      address->base + poly_value(&address->shift_bytes, symbols));
	}
	for (uint32_t index = 0; index < run->binding_count; index++)
		set->shifts_bytes[index] =
			poly_value(&run->bindings[index].shift_bytes, symbols);
	set->call_count = 0;
	for (uint32_t index = 0; index < run->entry_count; index++) {
		const struct run_entry *entry = &run->entries[index];

		if (entry->elements.count != POLY_INVALID &&
		    poly_value(&entry->elements, symbols) == 0)
			continue;
		set->calls[set->call_count++] = (struct run_call){
			.function = entry->function,
			.args = set->args + entry->args,
			.entry = index,
		};
	}
	memcpy(set->symbols, symbols, run->symbol_count * sizeof(*symbols));
	set->is_bound = true;
}

static bool set_has(const struct run *run, const struct run_set *set,
		    const int64_t symbols[SIGNATURE_SYMBOLS_MAX])
{
	return set->is_bound &&
	       memcmp(set->symbols, symbols, run->symbol_count * sizeof(*symbols)) == 0;
}

const struct run_set *run_bind(struct run *run, const int64_t symbols[SIGNATURE_SYMBOLS_MAX],
			       const void *const inputs[], void *const outputs[],
			       struct row_status status[])
{
	struct run_set *set = &run->sets[run->latest];

	if (!set_has(run, set, symbols)) {
		run->latest = (run->latest + 1) % RUN_SETS;
		set = &run->sets[run->latest];
		if (!set_has(run, set, symbols))
			set_patch(run, set, symbols);
	}
	for (uint32_t index = 0; index < run->binding_count; index++) {
		const struct run_binding *binding = &run->bindings[index];
		char *base = (char *)status;

		if (binding->base == PLAN_INPUT)
			base = (char *)(uintptr_t)inputs[binding->index];
		else if (binding->base == PLAN_OUTPUT)
			base = outputs[binding->index];
		pointer_write(set->args, binding->field, base + set->shifts_bytes[index]);
	}
	return set;
}

void run_execute(struct run *run, const int64_t symbols[SIGNATURE_SYMBOLS_MAX],
		 const void *const inputs[], void *const outputs[], struct row_status status[])
{
	const struct run_set *set = run_bind(run, symbols, inputs, outputs, status);

	for (uint32_t index = 0; index < set->call_count; index++)
		set->calls[index].function(set->calls[index].args);
}

void run_deinit(struct run *run)
{
	for (uint32_t set = 0; set < RUN_SETS; set++) {
		free(run->sets[set].args);
		free(run->sets[set].calls);
		free(run->sets[set].shifts_bytes);
	}
	free(run->entries);
	free(run->sizes);
	free(run->addresses);
	free(run->bindings);
	*run = (struct run){0};
}
