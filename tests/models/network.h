/* SPDX-License-Identifier: MIT */
/*
 * tests/models/network.h - what model.meta says of a ranking model, and batches of its inputs
 *
 * Ids are drawn uniformly from the whole table, and none comes twice before all of the table came:
 * draw k of a table is the k-th element of a permutation that a seed decides (four Feistel rounds,
 * walked until they stay inside). A table of three rows repeats; one of ten million does not within
 * a benchmark. Zipf draws are of that law with exponent 1.05, scattered by the same permutation.
 *
 * Owns:     network_open: nothing that must be freed; a batch its inputs
 * Threads:  one at a time a network
 * Errors:   `must` (crowd.h)
 */
#ifndef HEARTH_TESTS_MODELS_NETWORK_H
#define HEARTH_TESTS_MODELS_NETWORK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NETWORK_INPUTS_MAX 64
#define NETWORK_TABLES_MAX 64
#define NETWORK_NAME_BYTES 64

struct network_input {
	char name[NETWORK_NAME_BYTES];
	bool is_ids; /* int64, else float32 */
	bool is_offsets; /* int64, too: of bags with one value each */
	uint32_t rank; /* 1 or 2 */
	uint32_t columns;
};

/* Columns of an input that are ids of one table. */
struct network_table {
	uint32_t input;
	uint32_t first;
	uint32_t count;
	uint64_t rows;
	uint32_t row_bytes;
	bool is_second; /* the columns have another table already, whose ids these are */
	uint64_t drawn;
};

struct network {
	char name[NETWORK_NAME_BYTES];
	uint64_t fmas; /* of a row */
	uint64_t weight_bytes;
	uint64_t tables_bytes;
	uint32_t input_count;
	struct network_input inputs[NETWORK_INPUTS_MAX];
	uint32_t table_count;
	struct network_table tables[NETWORK_TABLES_MAX];
	uint64_t seed; /* of the permutations */
	uint64_t dense_state;
};

/* DIRECTORY/MODEL/1/model.meta. False: there is none. */
bool network_open(struct network *network, const char *directory, const char *model);

size_t network_input_bytes(const struct network *network, uint32_t input, uint32_t rows);
/* By name; it must be there. */
uint32_t network_input_find(const struct network *network, const char *name);

struct network_batch {
	uint32_t rows;
	void *inputs[NETWORK_INPUTS_MAX];
};

void network_batch_init(struct network_batch *batch, const struct network *network, uint32_t rows);
void network_batch_deinit(struct network_batch *batch, const struct network *network);
void network_draw(struct network *network, struct network_batch *batch);
void network_draw_zipf(struct network *network, struct network_batch *batch);

/* One id of a table, of the uniform sequence. */
uint64_t network_id(const struct network *network, uint32_t table, uint64_t draw);

/* HEARTH_MODELS, or where `make bench-peers` writes them. */
const char *network_directory(void);

#endif
