/* SPDX-License-Identifier: MIT */
/*
 * daemon/graph/signature.h - what a model takes and gives, with symbolic sizes
 *
 * A dimension is factor * symbol + constant; symbols are the free sizes of the
 * model's inputs ("batch", "values", ...), solved from a request's dims.
 */
#ifndef HEARTH_GRAPH_SIGNATURE_H
#define HEARTH_GRAPH_SIGNATURE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "kernels/types.h"

#define SIGNATURE_SYMBOLS_MAX 40 /* rows, and the values of each bag of as many as there can be */
#define SIGNATURE_TENSORS_MAX 64
#define SIGNATURE_RANK_MAX KERNEL_RANK_MAX /* what crosses the rings has less: serve/version.c */

struct dim {
	int32_t symbol; /* -1: the dimension is `constant` */
	int32_t factor;
	int64_t constant;
};

struct signature_tensor {
	char *name;
	enum dtype dtype;
	uint32_t rank;
	struct dim dims[SIGNATURE_RANK_MAX];
	/* An input whose numbers are places among the values that `values_symbol` counts. Runs of
	 * several requests have it with those places in the run (serve/offsets.h). */
	bool is_offsets;
	int32_t values_symbol;
};

struct signature {
	struct signature_tensor *inputs;
	struct signature_tensor *outputs;
	uint32_t input_count;
	uint32_t output_count;
	uint32_t symbol_count;
	char *symbols[SIGNATURE_SYMBOLS_MAX];
	/* The symbol that counts rows, when every row's outputs follow from that
	 * row's inputs alone and both have the rows outermost: such requests may
	 * share a batch. Other symbols then count values, which offsets divide among
	 * the rows. -1: each request runs alone. */
	int32_t row_symbol;
	/* The symbol that counts the requests of a run, behind the others: an input whose first
	 * dimension is 1 has then as many rows as there are requests. -1: no input is so. */
	int32_t request_symbol;
	/* A symbol behind all others that is 1 in a chunk of a run's rows which other rows follow:
	 * their first offset is where its last bag ends. 0 in a whole run. -1: no bag has offsets,
	 * or rows cannot be cut. */
	int32_t followed_symbol;
};

/* Has the input one row a request, whatever its others have? */
static inline bool signature_is_of_request(const struct signature *signature, uint32_t input)
{
	return signature->request_symbol >= 0 && signature->inputs[input].dims[0].symbol < 0;
}

/* One input's dims as a request gives them. */
struct signature_shape {
	uint32_t rank;
	uint32_t dims[SIGNATURE_RANK_MAX];
};

/*
 * Solves the symbols from the inputs' dims. SIGNATURE_E_MISMATCH: input
 * *ret_input does not fit. Allocates nothing.
 */
#define SIGNATURE_E_MISMATCH 1
must_check int signature_solve(const struct signature *signature,
			       const struct signature_shape shapes[],
			       int64_t ret_symbols[SIGNATURE_SYMBOLS_MAX], uint32_t *ret_input);

static inline int64_t dim_value(struct dim dim, const int64_t symbols[])
{
	return dim.symbol < 0 ? dim.constant
			      : (int64_t)dim.factor * symbols[dim.symbol] + dim.constant;
}

/* Inputs first, then outputs: index < input_count + output_count. */
static inline const struct signature_tensor *signature_tensor_at(const struct signature *signature,
								 uint32_t index)
{
	return index < signature->input_count ? signature->inputs + index
					      : signature->outputs + (index - signature->input_count);
}

/* Elements of a tensor under given symbols; INT64_MAX when its bytes, at most
 * eight an element, do not fit in 63 bits. */
int64_t signature_elements(const struct signature_tensor *tensor, const int64_t symbols[]);

void signature_deinit(struct signature *signature);

#endif
