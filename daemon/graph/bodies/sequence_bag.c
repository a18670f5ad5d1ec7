/* SPDX-License-Identifier: MIT */
/*
 * daemon/graph/bodies/sequence_bag.c - one bag of a Loop that fills a sequence, as its body
 * computes it
 */
#include "graph/bodies/sequence_bag.h"

#include <string.h>

/* --- a bag of slices --- */

static bool is_bounds(const struct loop_match *match, const struct sequence_bag *found,
		      const char *begin_name, const char *end_name)
{
	struct loop_element begin, end;

	return loop_element(match, begin_name, &begin) && loop_element(match, end_name, &end) &&
	       loop_same_element(&begin, &found->slice.begin) &&
	       loop_same_element(&end, &found->slice.end);
}

/* All slices are of the same rows. */
static bool is_rows(const struct loop_match *match, const char *name, struct sequence_bag *found)
{
	uint32_t rows;

	if (!loop_outer(match, name, &rows) ||
	    (found->slice.value != GRAPH_NONE && found->slice.value != rows))
		return false;
	found->slice.value = rows;
	return true;
}

static bool is_ids_count(const struct loop_match *match, const char *name,
			 struct sequence_bag *found)
{
	struct dim count;

	if (!loop_size(match, name, &count) ||
	    (found->has_ids_count && !dim_equal(count, found->ids_count)))
		return false;
	found->ids_count = count;
	found->has_ids_count = true;
	return true;
}

/* rows[begin:end], or where `to_last` rows[begin:] by the count of ids. */
static bool is_slice(const struct loop_match *match, const char *name, bool to_last,
		     struct sequence_bag *found)
{
	const struct onnx_node *node = loop_node(match, name, "Slice");
	struct loop_element begin;
	int64_t setting;

	if (!node || node->input_count < 3 || !is_rows(match, node->inputs[0], found) ||
	    !loop_setting(match, node, 3, "", 0, &setting) || setting != 0 ||
	    !loop_setting(match, node, 4, "", 1, &setting) || setting != 1)
		return false;
	if (!to_last)
		return is_bounds(match, found, node->inputs[1], node->inputs[2]);
	return loop_element(match, node->inputs[1], &begin) &&
	       loop_same_element(&begin, &found->slice.begin) &&
	       is_ids_count(match, node->inputs[2], found);
}

/* Equal(i, count of bags - 1). */
static bool is_last(const struct loop_match *match, const char *name,
		    const struct sequence_bag *found)
{
	const struct onnx_node *node = loop_node(match, name, "Equal");
	struct dim last;
	int64_t shift;

	return node && node->input_count == 2 && loop_index(match, node->inputs[0], &shift) &&
	       shift == 0 && loop_size(match, node->inputs[1], &last) &&
	       dim_add(last, dim_constant(1), &last) && dim_equal(last, found->bags);
}

/* The sum of the last bag's rows. */
static bool is_sum(const struct loop_match *match, const char *name, struct sequence_bag *found)
{
	struct loop_bag sum;
	const struct onnx_node *node = loop_bag_reduction(match, name, true, &sum);

	return node && sum.bag.mode == EMBED_SUM && is_slice(match, node->inputs[0], false, found);
}

/* Sub(count of ids, begin). */
static bool is_divisor(const struct loop_match *match, const char *name, struct sequence_bag *found)
{
	const struct onnx_node *node = loop_node(match, name, "Sub");
	struct loop_element begin;

	return node && node->input_count == 2 && is_ids_count(match, node->inputs[0], found) &&
	       loop_element(match, node->inputs[1], &begin) &&
	       loop_same_element(&begin, &found->slice.begin);
}

/* If(Greater(divisor, 0), Div(sum, divisor), sum). */
static bool is_last_mean(const struct loop_match *match, const char *name,
			 struct sequence_bag *found)
{
	const struct onnx_node *node, *cast;
	struct loop_if guard;
	const char *divisor;
	int64_t zero, to;

	if (!loop_if(match, name, &guard))
		return false;
	node = loop_node(match, guard.condition, "Greater");
	if (!node || node->input_count != 2 || !is_divisor(match, node->inputs[0], found) ||
	    !loop_integer(match, node->inputs[1], &zero) || zero != 0)
		return false;
	node = loop_node(&guard.then_match, guard.then_name, "Div");
	if (!node || node->input_count != 2)
		return false;
	divisor = node->inputs[1];
	cast = loop_node(&guard.then_match, divisor, "Cast");
	if (cast && !(loop_setting(&guard.then_match, cast, UINT32_MAX, "to", 0, &to) &&
		      to == DTYPE_F32))
		return false;
	if (!cast)
		cast = loop_node(&guard.then_match, divisor, "CastLike");
	return cast && is_divisor(&guard.then_match, cast->inputs[0], found) &&
	       is_sum(&guard.then_match, node->inputs[0], found) &&
	       is_sum(&guard.else_match, guard.else_name, found);
}

static bool is_pooled(const struct loop_match *match, const char *name, struct sequence_bag *found)
{
	const struct onnx_node *node = loop_bag_reduction(match, name, true, &found->bag);
	struct loop_if last;

	if (node && is_slice(match, node->inputs[0], false, found))
		return true;
	found->bag.bag.offsets_whole = true;
	if (node)
		return found->bag.bag.mode == EMBED_MAX && loop_if(match, node->inputs[0], &last) &&
		       is_last(match, last.condition, found) &&
		       is_slice(&last.then_match, last.then_name, true, found) &&
		       is_slice(&last.else_match, last.else_name, false, found);
	if (!loop_if(match, name, &last) || !is_last(match, last.condition, found) ||
	    !is_last_mean(&last.then_match, last.then_name, found))
		return false;
	node = loop_bag_reduction(&last.else_match, last.else_name, true, &found->bag);
	return node && found->bag.bag.mode == EMBED_MEAN &&
	       is_slice(&last.else_match, node->inputs[0], false, found);
}

/* --- a bag of what the padding leaves --- */

/* The inner loop, and which of its body's inputs are what is kept and the position j. */
struct kept {
	struct loop_match match;
	uint32_t vector, position;
};

static bool is_input(const struct kept *kept, const struct loop_term *term, uint32_t input)
{
	return term->kind == LOOP_INPUT && term->in->loop == kept->match.loop &&
	       term->index == input;
}

/* j + 1 */
static bool is_step(const struct kept *kept, const char *name)
{
	struct loop_term term;
	int64_t addend;
	const char *x;

	if (!loop_add(&kept->match, name, &x, &addend) || addend != 1)
		return false;
	term = loop_bare(&kept->match, x);
	return is_input(kept, &term, kept->position);
}

/* The id at j. */
static bool is_id(const struct kept *kept, const struct loop_match *match, const char *name,
		  struct sequence_bag *found)
{
	const struct onnx_node *node = loop_node(match, name, "Gather");
	struct loop_term term;
	int64_t axis;
	uint32_t ids;

	if (!node || node->input_count != 2 || !loop_outer(match, node->inputs[0], &ids) ||
	    !loop_setting(match, node, UINT32_MAX, "axis", 0, &axis) || axis != 0 ||
	    (found->kept_ids != GRAPH_NONE && found->kept_ids != ids))
		return false;
	found->kept_ids = ids;
	term = loop_bare(match, node->inputs[1]);
	return is_input(kept, &term, kept->position);
}

/* If(Less(id, 0), Add(id, rows of the table), id); that they are its rows is asked later. */
static bool is_wrapped_id(const struct kept *kept, const char *name, struct sequence_bag *found)
{
	const struct onnx_node *node;
	struct loop_if wrap;
	int64_t zero;
	const char *x;

	if (!loop_if(&kept->match, name, &wrap))
		return false;
	node = loop_node(&kept->match, wrap.condition, "Less");
	return node && node->input_count == 2 && is_id(kept, &kept->match, node->inputs[0], found) &&
	       loop_integer(&kept->match, node->inputs[1], &zero) && zero == 0 &&
	       loop_add(&wrap.then_match, wrap.then_name, &x, &found->ids_wrap_rows) &&
	       is_id(kept, &wrap.then_match, x, found) &&
	       is_id(kept, &wrap.else_match, wrap.else_name, found);
}

/* If(Not(Equal(id, padding)), Concat(vector, j), vector). */
static bool is_append(struct kept *kept, const char *name, struct sequence_bag *found)
{
	const struct onnx_node *node, *equal;
	struct loop_if append;
	struct loop_term term;
	int64_t axis;

	if (!loop_if(&kept->match, name, &append))
		return false;
	node = loop_node(&append.then_match, append.then_name, "Concat");
	if (!node || node->input_count != 2 ||
	    !loop_setting(&append.then_match, node, UINT32_MAX, "axis", -1, &axis) || axis != 0)
		return false;
	term = loop_term(&append.then_match, node->inputs[0]);
	if (!is_input(kept, &term, kept->vector))
		return false;
	term = loop_bare(&append.then_match, node->inputs[1]);
	if (term.kind != LOOP_INPUT || term.in->loop != kept->match.loop || term.index < 2 ||
	    term.index == kept->vector)
		return false;
	kept->position = term.index;
	term = loop_term(&append.else_match, append.else_name);
	if (!is_input(kept, &term, kept->vector))
		return false;
	node = loop_node(&kept->match, append.condition, "Not");
	equal = node ? loop_node(&kept->match, node->inputs[0], "Equal") : NULL;
	if (!equal || equal->input_count != 2 ||
	    !loop_integer(&kept->match, equal->inputs[1], &found->padding_idx))
		return false;
	found->ids_wrap = is_wrapped_id(kept, equal->inputs[0], found);
	return found->ids_wrap || is_id(kept, &kept->match, equal->inputs[0], found);
}

/* While j < end, from j = begin and an empty vector. */
static bool is_kept_loop(const struct loop_match *match, const struct kept *kept,
			 struct sequence_bag *found)
{
	const struct onnx_node *loop = kept->match.loop;
	const struct onnx_graph *body = kept->match.body;
	const struct onnx_node *first = loop_node(match, loop->inputs[1], "Less");
	const struct onnx_node *again = loop_node(&kept->match, body->outputs[0].name, "Less");
	struct loop_element end;
	struct loop_sizes vector;

	if (!first || first->input_count != 2 || !again || again->input_count != 2 ||
	    !loop_element(match, loop->inputs[kept->position], &found->slice.begin) ||
	    !loop_element(match, first->inputs[1], &found->slice.end) ||
	    !is_bounds(match, found, first->inputs[0], first->inputs[1]))
		return false;
	return loop_sizes(match, loop->inputs[kept->vector], &vector) && vector.count == 0 &&
	       is_step(kept, body->outputs[kept->position - 1].name) &&
	       is_step(kept, again->inputs[0]) &&
	       loop_element(&kept->match, again->inputs[1], &end) &&
	       loop_same_element(&end, &found->slice.end);
}

/* The vector that the inner loop leaves. */
static bool is_kept(const struct loop_match *match, const struct loop_term *term,
		    struct sequence_bag *found)
{
	const struct onnx_node *loop = loop_term_node(term);
	const struct onnx_attribute *body = loop ? loop_attribute(loop, "body") : NULL;
	struct kept kept = {.match = *match, .vector = term->output + 2};

	if (!loop || !onnx_node_is(loop, "Loop") || onnx_node_reads(loop, 0) || !body ||
	    body->type != ONNX_ATTRIBUTE_GRAPH || !loop_body_fits(body->graph) ||
	    body->graph->input_count != loop->input_count ||
	    body->graph->output_count + 1 != loop->input_count ||
	    kept.vector >= loop->input_count)
		return false;
	kept.match.body = body->graph;
	kept.match.around = match;
	kept.match.loop = loop;
	return is_append(&kept, body->graph->outputs[kept.vector - 1].name, found) &&
	       is_kept_loop(match, &kept, found);
}

static bool same_term(const struct loop_term *a, const struct loop_term *b)
{
	return a->kind == LOOP_NODE && b->kind == LOOP_NODE &&
	       loop_term_node(a) == loop_term_node(b) && a->output == b->output;
}

/* Reduce(Gather(rows, kept)). */
static bool is_pooled_kept(const struct loop_match *match, const char *name,
			   const struct loop_term *kept, struct sequence_bag *found)
{
	const struct onnx_node *node = loop_bag_reduction(match, name, true, &found->bag);
	struct loop_term picked;
	int64_t axis;

	node = node ? loop_node(match, node->inputs[0], "Gather") : NULL;
	if (!node || node->input_count != 2 || !is_rows(match, node->inputs[0], found) ||
	    !loop_setting(match, node, UINT32_MAX, "axis", 0, &axis) || axis != 0)
		return false;
	picked = loop_term(match, node->inputs[1]);
	return same_term(&picked, kept);
}

/* --- the loop --- */

static bool floats_are_zero(const struct loop_floats *floats)
{
	static const float zero;

	for (int64_t index = 0; index < floats->count; index++) {
		if (memcmp(&floats->data[index], &zero, sizeof(zero)) != 0)
			return false;
	}
	return floats->count > 0;
}

static bool is_zeros(const struct loop_match *match, const char *name, struct sequence_bag *found)
{
	const struct onnx_node *node = loop_node(match, name, "Expand");
	struct loop_floats floats;
	struct loop_sizes sizes;

	if (!loop_floats(match, node ? node->inputs[0] : name, &floats) || !floats_are_zero(&floats))
		return false;
	if (!node) {
		memcpy(found->zeros, floats.dims, sizeof(found->zeros));
		return floats.rank == 2;
	}
	if (floats.count != 1 || floats.rank > 1 || node->input_count != 2 ||
	    !loop_sizes(match, node->inputs[1], &sizes) || sizes.count != 2)
		return false;
	memcpy(found->zeros, sizes.dims, sizeof(found->zeros));
	return true;
}

bool sequence_bag_match(const struct loop_match *match, const char *name,
			struct sequence_bag *found)
{
	const struct onnx_node *equal, *size;
	struct loop_term kept;
	struct loop_if empty;
	int64_t zero;

	if (!loop_if(match, name, &empty) || !is_zeros(&empty.then_match, empty.then_name, found))
		return false;
	equal = loop_node(match, empty.condition, "Equal");
	if (!equal || equal->input_count != 2)
		return false;
	size = loop_node(match, equal->inputs[0], "Size");
	found->is_padded = size != NULL;
	if (!size)
		return loop_element(match, equal->inputs[0], &found->slice.begin) &&
		       loop_element(match, equal->inputs[1], &found->slice.end) &&
		       is_pooled(&empty.else_match, empty.else_name, found);
	kept = loop_term(match, size->inputs[0]);
	return loop_integer(match, equal->inputs[1], &zero) && zero == 0 &&
	       is_kept(match, &kept, found) &&
	       is_pooled_kept(&empty.else_match, empty.else_name, &kept, found);
}
