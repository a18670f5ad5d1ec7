/* SPDX-License-Identifier: MIT */
/*
 * daemon/graph/passes/merge_embed.c - tables that depend on the run's inputs alone are read in one
 * step
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

/* Before, equal to or after b: an order that puts equal ones beside each other, no more. */
static int poly_order(const struct poly *a, const struct poly *b)
{
	if (a->count != b->count)
		return a->count < b->count ? -1 : 1;
	for (uint32_t term = 0; term < a->count; term++) {
		const struct poly_term *left = &a->terms[term], *right = &b->terms[term];

		if (left->factors != right->factors)
			return left->factors < right->factors ? -1 : 1;
		if (left->scale != right->scale)
			return left->scale < right->scale ? -1 : 1;
	}
	return 0;
}

/* Copies of one row an id first, by width; others in their order. */
static int64_t table_rank(const struct step *step)
{
	const struct embed_table *table = &step->args->embed.tables[0];

	if (table->mode != EMBED_COPY || table->hot != 1)
		return INT64_MAX;
	return 2 * table->dim + (table->ids_dtype == DTYPE_I32);
}

/* A step that may be merged with those of the same rows and the same place of their status. */
struct member {
	struct step *step;
	struct poly rows;
	struct poly status;
	int64_t status_stride;
	int64_t rank;
	uint32_t place; /* among the steps */
};

static int by_group(const struct member *a, const struct member *b)
{
	int order = poly_order(&a->rows, &b->rows);

	if (order == 0)
		order = poly_order(&a->status, &b->status);
	if (order == 0 && a->status_stride != b->status_stride)
		order = a->status_stride < b->status_stride ? -1 : 1;
	return order;
}

static int by_rank(const void *left, const void *right)
{
	const struct member *a = left;
	const struct member *b = right;
	int order = by_group(a, b);

	if (order != 0)
		return order;
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
	uint32_t member_count;
	uint32_t *first_reader; /* per value: the place of the first step that reads it */
	struct step **wholes;   /* of several members each */
	uint32_t *next;         /* per whole: another one that goes where it goes; GRAPH_NONE */
	uint32_t whole_count;
	uint32_t *goes;         /* per place, and one behind: the first whole that goes before it */
};

static int merging_init(struct merging *merging, struct lowering *lowering)
{
	struct graph *graph = lowering->graph;
	size_t steps = (size_t)lowering->step_count + 1;
	size_t values = (size_t)graph->value_count + 1;

	*merging = (struct merging){.lowering = lowering};
	merging->members = graph_allocate(graph, steps, sizeof(merging->members[0]));
	merging->wholes = graph_allocate(graph, steps, sizeof(merging->wholes[0]));
	merging->next = graph_allocate(graph, steps, sizeof(merging->next[0]));
	merging->goes = graph_allocate(graph, steps, sizeof(merging->goes[0]));
	merging->first_reader = graph_allocate(graph, values, sizeof(merging->first_reader[0]));
	if (!merging->members || !merging->wholes || !merging->next || !merging->goes ||
	    !merging->first_reader)
		return err_trace(-ENOMEM);
	for (size_t place = 0; place < steps; place++)
		merging->goes[place] = GRAPH_NONE;
	for (size_t value = 0; value < values; value++)
		merging->first_reader[value] = lowering->step_count;
	return 0;
}

static void members_find(struct merging *merging)
{
	const struct lowering *lowering = merging->lowering;

	for (uint32_t place = 0; place < lowering->step_count; place++) {
		struct step *step = lowering->steps[place];
		const struct operand *status = status_find(step);
		const struct poly *rows = size_find(step, FIELD(embed_args, rows));

		if (!is_early(lowering, step) || step->args->embed.table_count > 1 || !status)
			continue;
		merging->members[merging->member_count++] = (struct member){
			.step = step,
			.rows = rows ? *rows : poly_constant(step->args->embed.rows),
			.status = status->offset_bytes,
			.status_stride = step->args->embed.status_stride,
			.rank = table_rank(step),
			.place = place,
		};
	}
}

static void readers_find(struct merging *merging)
{
	const struct lowering *lowering = merging->lowering;

	for (uint32_t place = lowering->step_count; place-- > 0;) {
		const struct operand *operand = lowering->steps[place]->operands;

		for (; operand; operand = operand->next) {
			if (operand->kind == OPERAND_READ)
				merging->first_reader[operand->index] = place;
		}
	}
}

/* `whole` goes before the first step that reads a value it writes. */
static void whole_add(struct merging *merging, struct step *whole)
{
	uint32_t place = merging->lowering->step_count;

	for (const struct operand *operand = whole->operands; operand; operand = operand->next) {
		if (operand->kind == OPERAND_WRITE && merging->first_reader[operand->index] < place)
			place = merging->first_reader[operand->index];
	}
	merging->wholes[merging->whole_count] = whole;
	merging->next[merging->whole_count] = merging->goes[place];
	merging->goes[place] = merging->whole_count++;
}

/* Members [first, end) are of one group. */
static int members_merge(struct merging *merging, uint32_t first, uint32_t end)
{
	struct lowering *lowering = merging->lowering;
	struct graph *graph = lowering->graph;
	const struct member *members = merging->members;
	struct step *whole = graph_allocate(graph, 1, sizeof(*whole));
	size_t args_bytes = embed_args_bytes(end - first);

	if (args_bytes < sizeof(union step_args))
		args_bytes = sizeof(union step_args);
	if (!whole)
		return err_trace(-ENOMEM);
	*whole = *members[first].step;
	whole->operands = NULL;
	whole->sizes = NULL;
	whole->args_bytes = args_bytes;
	whole->args = graph_allocate(graph, 1, args_bytes);
	if (!whole->args)
		return err_trace(-ENOMEM);
	memcpy(whole->args, members[first].step->args, sizeof(struct embed_args));
	whole->args->embed.table_count = end - first;
	for (uint32_t index = first; index < end; index++) {
		member_move(whole, members[index].step, index - first);
		lowering->steps[members[index].place] = NULL;
	}
	embed_settle(&whole->args->embed);
	whole_add(merging, whole);
	return 0;
}

/* The steps in their new order are put together behind the wholes: each stands for two steps at
 * least, so that both have room there. */
static void steps_replace(struct merging *merging)
{
	struct lowering *lowering = merging->lowering;
	struct step **steps = merging->wholes + merging->whole_count;
	uint32_t count = 0;

	for (uint32_t place = 0; place <= lowering->step_count; place++) {
		for (uint32_t whole = merging->goes[place]; whole != GRAPH_NONE;
		     whole = merging->next[whole])
			steps[count++] = merging->wholes[whole];
		if (place < lowering->step_count && lowering->steps[place])
			steps[count++] = lowering->steps[place];
	}
	memcpy(lowering->steps, steps, count * sizeof(steps[0]));
	lowering->step_count = count;
}

int merge_embed(struct lowering *lowering)
{
	struct merging merging;
	uint32_t first, end;
	int r;

	r = merging_init(&merging, lowering);
	if (r < 0)
		return err_trace(r);
	readers_find(&merging);
	members_find(&merging);
	if (merging.member_count == 0)
		return 0;
	qsort(merging.members, merging.member_count, sizeof(merging.members[0]), by_rank);
	for (first = 0; first < merging.member_count; first = end) {
		for (end = first + 1; end < merging.member_count; end++)
			if (by_group(&merging.members[first], &merging.members[end]) != 0)
				break;
		if (end - first < 2)
			continue;
		r = members_merge(&merging, first, end);
		if (r < 0)
			return err_trace(r);
	}
	steps_replace(&merging);
	return 0;
}
