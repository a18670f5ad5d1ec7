/* SPDX-License-Identifier: MIT */
/*
 * daemon/graph/merge_embed.c - tables that depend on the run's inputs alone are read in one step
 *
 * They can be read whenever their first reader wants one of them; that is where the one step goes,
 * so that its rows are still in the cache. Steps of a different number of rows, or whose rows' status
 * lies elsewhere, stay by themselves. Tables that are alike come to lie beside each other:
 * the kernel takes those together.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "graph/bag.h"
#include "graph/lower.h"

static const struct poly *size_find(const struct step *step, uint32_t field)
{
	for (const struct step_size *size = step->sizes; size; size = size->next) {
		if (size->field == field)
			return &size->value;
	}
	return NULL;
}

static const struct operand *status_find(const struct step *step)
{
	for (const struct operand *operand = step->operands; operand; operand = operand->next) {
		if (operand->kind == OPERAND_STATUS)
			return operand;
	}
	return NULL;
}

static bool is_early(const struct lowering *lowering, const struct step *step)
{
	uint32_t unused;

	if (step->kernel != KERNEL_EMBED)
		return false;
	for (const struct operand *operand = step->operands; operand; operand = operand->next) {
		if (operand->kind == OPERAND_READ &&
		    lower_place(lowering, operand->index, &unused) != PLACE_INPUT)
			return false;
	}
	return true;
}

static bool same_rows(const struct step *a, const struct step *b)
{
	const struct poly *a_rows = size_find(a, FIELD(embed_args, rows));
	const struct poly *b_rows = size_find(b, FIELD(embed_args, rows));
	const struct operand *a_status = status_find(a);
	const struct operand *b_status = status_find(b);

	if (a->args->embed.status_stride != b->args->embed.status_stride || !a_status || !b_status)
		return false;
	if (!poly_equal(&a_status->offset_bytes, &b_status->offset_bytes))
		return false;
	if (!a_rows || !b_rows)
		return !a_rows && !b_rows && a->args->embed.rows == b->args->embed.rows;
	return poly_equal(a_rows, b_rows);
}

/* Copies of one row an id first, by width; others in their order. */
static int64_t table_rank(const struct step *step)
{
	const struct embed_table *table = &step->args->embed.tables[0];

	if (table->mode != EMBED_COPY || table->hot != 1)
		return INT64_MAX;
	return 2 * table->dim + (table->ids_dtype == DTYPE_I32);
}

struct member {
	struct step *step;
	int64_t rank;
	uint32_t place; /* among the steps */
};

static int by_rank(const void *left, const void *right)
{
	const struct member *a = left;
	const struct member *b = right;

	if (a->rank != b->rank)
		return a->rank < b->rank ? -1 : 1;
	return a->place < b->place ? -1 : a->place > b->place;
}

/* The tables' operands and sizes are those of the steps that had one each, further on. */
static void member_move(struct step *whole, struct step *member, uint32_t index)
{
	uint32_t shift = FIELD_TABLE(index, data) - FIELD_TABLE(0, data);
	struct operand *operand = member->operands;
	struct step_size *size = member->sizes;

	whole->args->embed.tables[index] = member->args->embed.tables[0];
	while (operand) {
		struct operand *next = operand->next;

		if (operand->field >= FIELD_TABLE(0, data) || index == 0) {
			operand->field += operand->field >= FIELD_TABLE(0, data) ? shift : 0;
			operand->next = whole->operands;
			whole->operands = operand;
		}
		operand = next;
	}
	while (size) {
		struct step_size *next = size->next;

		if (size->field >= FIELD_TABLE(0, data) || index == 0) {
			size->field += size->field >= FIELD_TABLE(0, data) ? shift : 0;
			size->next = whole->sizes;
			whole->sizes = size;
		}
		size = next;
	}
}

struct merging {
	struct lowering *lowering;
	struct member *members;
	uint32_t count;
	uint32_t *group; /* per value: 1 + the number of the last group that writes it */
	uint32_t group_count;
};

static bool reads_group(const struct merging *merging, const struct step *step)
{
	for (const struct operand *operand = step->operands; operand; operand = operand->next) {
		if (operand->kind == OPERAND_READ &&
		    merging->group[operand->index] == merging->group_count)
			return true;
	}
	return false;
}

/* Takes the members out of the steps and puts `whole` before its first reader. */
static void steps_replace(struct merging *merging, struct step *whole)
{
	struct lowering *lowering = merging->lowering;
	uint32_t kept = 0;
	uint32_t place = 0;

	merging->group_count++;
	for (struct operand *operand = whole->operands; operand; operand = operand->next) {
		if (operand->kind == OPERAND_WRITE)
			merging->group[operand->index] = merging->group_count;
	}
	for (uint32_t member = 0; member < merging->count; member++)
		lowering->steps[merging->members[member].place] = NULL;
	for (uint32_t index = 0; index < lowering->step_count; index++) {
		if (lowering->steps[index])
			lowering->steps[kept++] = lowering->steps[index];
	}
	while (place < kept && !reads_group(merging, lowering->steps[place]))
		place++;
	memmove(&lowering->steps[place + 1], &lowering->steps[place],
		(kept - place) * sizeof(struct step *));
	lowering->steps[place] = whole;
	lowering->step_count = kept + 1;
}

static int members_merge(struct merging *merging)
{
	struct graph *graph = merging->lowering->graph;
	const struct step *first = merging->members[0].step;
	struct step *whole = graph_allocate(graph, 1, sizeof(*whole));
	size_t args_bytes = embed_args_bytes(merging->count);

	if (args_bytes < sizeof(union step_args))
		args_bytes = sizeof(union step_args);
	if (!whole)
		return err_trace(-ENOMEM);
	*whole = *first;
	whole->operands = NULL;
	whole->sizes = NULL;
	whole->args_bytes = args_bytes;
	whole->args = graph_allocate(graph, 1, args_bytes);
	if (!whole->args)
		return err_trace(-ENOMEM);
	memcpy(whole->args, first->args, sizeof(struct embed_args));
	whole->args->embed.table_count = merging->count;
	qsort(merging->members, merging->count, sizeof(merging->members[0]), by_rank);
	for (uint32_t index = 0; index < merging->count; index++)
		member_move(whole, merging->members[index].step, index);
	embed_settle(&whole->args->embed);
	steps_replace(merging, whole);
	return 0;
}

/* The step and those after it that may join it. */
static void members_find(struct merging *merging, uint32_t first)
{
	struct lowering *lowering = merging->lowering;
	struct step *step = lowering->steps[first];

	merging->count = 0;
	if (!is_early(lowering, step) || step->args->embed.table_count > 1)
		return;
	for (uint32_t index = first; index < lowering->step_count; index++) {
		struct step *other = lowering->steps[index];

		if (is_early(lowering, other) && other->args->embed.table_count == 1 &&
		    same_rows(step, other))
			merging->members[merging->count++] = (struct member){
				.step = other, .rank = table_rank(other), .place = index};
	}
}

int merge_embed(struct lowering *lowering)
{
	struct graph *graph = lowering->graph;
	struct merging merging = {
		.lowering = lowering,
		.members = graph_allocate(graph, lowering->step_count + 1,
					  sizeof(merging.members[0])),
		.group = graph_allocate(graph, graph->value_count + 1, sizeof(merging.group[0])),
	};

	if (!merging.members || !merging.group)
		return err_trace(-ENOMEM);
	for (uint32_t first = 0; first < lowering->step_count;) {
		int r;

		members_find(&merging, first);
		if (merging.count < 2) {
			first++;
			continue;
		}
		r = members_merge(&merging);
		if (r < 0)
			return err_trace(r);
	}
	return 0;
}
