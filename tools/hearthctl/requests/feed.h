/* SPDX-License-Identifier: MIT */
/*
 * tools/hearthctl/requests/feed.h - rows for a model's inputs, from .npy files or random
 *
 * Owns:     the rows
 * Threads:  read-only after it was made: any
 * Errors:   -EINVAL, -ENOMEM and npy_read's, each with a sentence
 *
 * The free sizes of the model follow from the files' dimensions, which must
 * agree. A model that feed_can_cut may be fed in batches; any other takes
 * everything in one request (row_count 1).
 */
#ifndef HEARTH_TOOLS_HEARTHCTL_REQUESTS_FEED_H
#define HEARTH_TOOLS_HEARTHCTL_REQUESTS_FEED_H

#include <stdbool.h>

#include "base/error.h"
#include "client/hearth.h"
#include "tools/hearthctl/command.h"

#define FEED_SYMBOLS_MAX 64

struct feed_input {
	uint8_t *data;
	uint64_t bytes;	    /* of all rows */
	uint64_t row_bytes; /* of what belongs to one row */
};

struct feed {
	uint32_t row_count;
	int32_t row_symbol; /* -1: not to be split */
	uint32_t symbol_count;
	uint32_t sizes[FEED_SYMBOLS_MAX]; /* sizes[row_symbol] is row_count */
	uint32_t input_count;
	struct feed_input inputs[HEARTH_TENSORS_MAX];
};

/* Rows may be cut only where each input has them outermost, and nothing added: values and offsets of
 * bags may not. */
bool feed_can_cut(const struct hearth_model_info *model);

/* One file for each input of the model, by name. */
must_check int feed_from_files(const struct hearth_model_info *model,
			       const struct input_argument *arguments, uint32_t argument_count,
			       struct feed *ret_feed);

/* Every free size is `rows`; floats in [0, 1), ids in [0, id_max), offsets that divide their values. */
must_check int feed_from_chance(const struct hearth_model_info *model, uint32_t rows,
				uint64_t id_max, uint64_t seed, struct feed *ret_feed);

/* Acquires a request for `rows` rows; what hearth_acquire_sizes returns. */
must_check int feed_acquire(const struct feed *feed, struct hearth *hearth,
			    const struct hearth_model_info *model, uint32_t rows,
			    struct hearth_request **ret_request);

/* Fills it with the rows from `first_row` on, starting over at the end. */
void feed_fill(const struct feed *feed, uint32_t first_row, uint32_t rows,
	       struct hearth_request *request);

/* What a request for `rows` rows takes of the two areas, headers included. */
uint64_t feed_request_bytes(const struct feed *feed, uint32_t rows);
uint64_t feed_response_bytes(const struct feed *feed, const struct hearth_model_info *model,
			     uint32_t rows);

void feed_deinit(struct feed *feed);

/* Uniform 64 bits; the state is the caller's and may start at any value. */
static inline uint64_t chance_next(uint64_t *state)
{
	uint64_t mixed;

	/* splitmix64 (Steele, Lea, Flood 2014) */
	*state += UINT64_C(0x9e3779b97f4a7c15);
	mixed = (*state ^ (*state >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	mixed = (mixed ^ (mixed >> 27)) * UINT64_C(0x94d049bb133111eb);
	return mixed ^ (mixed >> 31);
}

/* In [0, 1), 53 bits. */
static inline double chance_real(uint64_t *state)
{
	return (double)(chance_next(state) >> 11) * 0x1p-53;
}

#endif
