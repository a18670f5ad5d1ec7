/* SPDX-License-Identifier: MIT */
/*
 * daemon/graph/operators/equation.c - reads an equation: letters, spaces, commas, an ellipsis a
 * term, an arrow
 */
#include "graph/operators/equation.h"

#include <errno.h>
#include <string.h>

#define ALPHABET "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
#define EQUATION_SHOWN 120 /* bytes of it that a sentence has */

#define refuse(graph, node, einsum, error, format, ...)                                            \
	node_refuse((graph), (node), (error), "equation '%.*s': " format, EQUATION_SHOWN,          \
		    (einsum)->equation, ##__VA_ARGS__)

/* A term as it is written: an ellipsis is a place among its letters. */
struct written {
	struct einsum_term term;
	uint32_t ellipsis; /* GRAPH_NONE: none */
};

const char *einsum_name(uint32_t letter, char name[4])
{
	memcpy(name, "...", 4);
	if (letter < EINSUM_ELLIPSIS) {
		name[0] = ALPHABET[letter];
		name[1] = '\0';
	}
	return name;
}

static int written_add(const struct graph *graph, const struct node *node,
		       const struct einsum *einsum, struct written *written, uint32_t letter)
{
	struct einsum_term *term = &written->term;
	char name[4];

	if (einsum_letters(term) & UINT64_C(1) << letter)
		return refuse(graph, node, einsum, -EOPNOTSUPP,
			      "'%s' is twice in one term; supported: each letter once (no diagonals)",
			      einsum_name(letter, name));
	if (term->rank == KERNEL_RANK_MAX)
		return refuse(graph, node, einsum, -EOPNOTSUPP,
			      "a term has more than %d letters; at most so many dimensions are "
			      "supported",
			      KERNEL_RANK_MAX);
	term->letters[term->rank++] = (uint8_t)letter;
	return 0;
}

/* Up to a comma, an arrow or the end, where *at is afterwards. */
static int written_read(const struct graph *graph, const struct node *node,
			const struct einsum *einsum, const char **at, struct written *written)
{
	const char *place;
	int r;

	*written = (struct written){.ellipsis = GRAPH_NONE};
	for (; **at && **at != ',' && strncmp(*at, "->", 2) != 0; (*at)++) {
		place = strchr(ALPHABET, **at);
		if (**at == ' ')
			continue;
		if (place) {
			r = written_add(graph, node, einsum, written, (uint32_t)(place - ALPHABET));
			if (r < 0)
				return err_trace(r);
		} else if (strncmp(*at, "...", 3) == 0) {
			if (written->ellipsis != GRAPH_NONE)
				return refuse(graph, node, einsum, -EINVAL,
					      "a term has two ellipses; one is allowed");
			written->ellipsis = written->term.rank;
			*at += 2;
		} else {
			return refuse(graph, node, einsum, -EINVAL,
				      "byte %zu (0x%02x) is none of letters, spaces, ',', '...' and "
				      "'->'",
				      (size_t)(*at - einsum->equation), (unsigned char)**at);
		}
	}
	return 0;
}

/* With `count` letters in the place of its ellipsis; there is room for them. */
static void written_expand(const struct written *written, uint32_t count, struct einsum_term *ret_term)
{
	uint32_t at = written->ellipsis == GRAPH_NONE ? written->term.rank : written->ellipsis;

	*ret_term = written->term;
	if (written->ellipsis == GRAPH_NONE)
		return;
	memmove(ret_term->letters + at + count, ret_term->letters + at, ret_term->rank - at);
	for (uint32_t axis = 0; axis < count; axis++)
		ret_term->letters[at + axis] = (uint8_t)(EINSUM_ELLIPSIS + axis);
	ret_term->rank += count;
}

/* `*ellipsis` is what all ellipses stand for; GRAPH_NONE: not known yet. */
static int input_expand(const struct graph *graph, const struct node *node,
			struct einsum *einsum, uint32_t input, const struct written *written,
			uint32_t *ellipsis)
{
	const struct value *value = node_input(graph, node, input);
	bool fits = written->ellipsis == GRAPH_NONE ? value->rank == written->term.rank
						    : value->rank >= written->term.rank;
	uint32_t count = value->rank - written->term.rank;

	if (value->kind == VALUE_SEQUENCE)
		return node_refuse(graph, node, -EINVAL,
				   "input '%s' is a sequence; a tensor is wanted", value->name);
	if (!fits)
		return refuse(graph, node, einsum, -EINVAL,
			      "term %u has %u letters; input '%s' has %u dimensions", input,
			      written->term.rank, value->name, value->rank);
	if (written->ellipsis != GRAPH_NONE) {
		if (*ellipsis != GRAPH_NONE && *ellipsis != count)
			return refuse(graph, node, einsum, -EINVAL,
				      "its ellipses stand for %u and %u dimensions; the same number "
				      "is wanted",
				      *ellipsis, count);
		*ellipsis = count;
	}
	written_expand(written, count, &einsum->inputs[input]);
	return 0;
}

/* What the output is when the equation does not say. */
static int output_imply(const struct graph *graph, const struct node *node, struct einsum *einsum,
			uint32_t ellipsis)
{
	struct written output = {.ellipsis = 0};
	uint64_t once = 0, more = 0;
	int r;

	for (uint32_t input = 0; input < einsum->input_count; input++) {
		uint64_t letters = einsum_letters(&einsum->inputs[input]);

		more |= once & letters;
		once |= letters;
	}
	for (uint32_t letter = 0; letter < EINSUM_ELLIPSIS; letter++) {
		if (!((once & ~more) & UINT64_C(1) << letter))
			continue;
		r = written_add(graph, node, einsum, &output, letter);
		if (r < 0)
			return err_trace(r);
	}
	if (ellipsis > KERNEL_RANK_MAX - output.term.rank)
		return refuse(graph, node, einsum, -EOPNOTSUPP,
			      "the output has %u dimensions; at most %d are supported",
			      ellipsis + output.term.rank, KERNEL_RANK_MAX);
	written_expand(&output, ellipsis, &einsum->output);
	return 0;
}

static int output_read(const struct graph *graph, const struct node *node, struct einsum *einsum,
		       const char *at, uint32_t ellipsis)
{
	struct written written;
	uint64_t known = 0;
	char name[4];
	int r;

	r = written_read(graph, node, einsum, &at, &written);
	if (r < 0)
		return err_trace(r);
	if (*at)
		return refuse(graph, node, einsum, -EINVAL, "it goes on behind its output, at '%.8s'",
			      at);
	if (written.ellipsis == GRAPH_NONE && ellipsis > 0)
		return refuse(graph, node, einsum, -EOPNOTSUPP,
			      "its output has no '...', and the inputs' stands for %u dimensions; "
			      "supported: an ellipsis that the output has too",
			      ellipsis);
	if (written.ellipsis != GRAPH_NONE && ellipsis > KERNEL_RANK_MAX - written.term.rank)
		return refuse(graph, node, einsum, -EOPNOTSUPP,
			      "the output has %u dimensions; at most %d are supported",
			      ellipsis + written.term.rank, KERNEL_RANK_MAX);
	for (uint32_t input = 0; input < einsum->input_count; input++)
		known |= einsum_letters(&einsum->inputs[input]);
	for (uint32_t axis = 0; axis < written.term.rank; axis++) {
		if (!(known & UINT64_C(1) << written.term.letters[axis]))
			return refuse(graph, node, einsum, -EINVAL,
				      "'%s' of the output is in no input",
				      einsum_name(written.term.letters[axis], name));
	}
	written_expand(&written, ellipsis, &einsum->output);
	return 0;
}

int einsum_read(const struct graph *graph, const struct node *node, struct einsum *ret_einsum)
{
	const struct onnx_attribute *attribute = attribute_find(node, "equation");
	struct einsum einsum = {.input_count = node->input_count};
	uint32_t ellipsis = GRAPH_NONE;
	const char *at;
	int r;

	if (!attribute)
		return node_refuse(graph, node, -EINVAL, "it has no attribute 'equation'");
	at = einsum.equation = attribute->s;
	if (node->input_count > EINSUM_OPERANDS_MAX)
		return refuse(graph, node, &einsum, -EOPNOTSUPP,
			      "%u operands; at most %d are supported", node->input_count,
			      EINSUM_OPERANDS_MAX);
	for (uint32_t input = 0; input < node->input_count; input++) {
		struct written written;

		if (!node_has_input(node, input))
			return refuse(graph, node, &einsum, -EINVAL, "input %u is left out", input);
		at += input > 0; /* the comma */
		r = written_read(graph, node, &einsum, &at, &written);
		if (r >= 0)
			r = input_expand(graph, node, &einsum, input, &written, &ellipsis);
		if (r < 0)
			return err_trace(r);
		if (input + 1 < node->input_count ? *at != ',' : *at == ',')
			return refuse(graph, node, &einsum, -EINVAL,
				      "it has not one term for each of %u inputs",
				      node->input_count);
	}
	ellipsis = ellipsis == GRAPH_NONE ? 0 : ellipsis;
	r = *at ? output_read(graph, node, &einsum, at + strlen("->"), ellipsis)
		: output_imply(graph, node, &einsum, ellipsis);
	if (r < 0)
		return err_trace(r);
	*ret_einsum = einsum;
	return 0;
}
