/* SPDX-License-Identifier: MIT */
/* tests/models/network.c - reads model.meta; permutations of tables by Feistel rounds */
#include "network.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/system/crowd.h"

#define DIRECTORY_DEFAULT "/var/tmp/hearth-models"
#define SEED UINT64_C(0x6865617274682035)
#define FEISTEL_ROUNDS 4
#define ZIPF_EXPONENT 1.05
#define DENSE_MAX 4.0f /* log1p of a count */

const char *network_directory(void)
{
	const char *directory = getenv("HEARTH_MODELS");

	return directory && *directory ? directory : DIRECTORY_DEFAULT;
}

/* --- model.meta ------------------------------------------------------------------------------ */

uint32_t network_input_find(const struct network *network, const char *name)
{
	uint32_t input;

	for (input = 0; input < network->input_count; input++)
		if (strcmp(network->inputs[input].name, name) == 0)
			return input;
	must(false, "%s has no input %s", network->name, name);
	return 0;
}

static bool input_read(struct network *network, const char *line)
{
	struct network_input *input = network->inputs + network->input_count;
	char kind[8];

	if (network->input_count == NETWORK_INPUTS_MAX ||
	    sscanf(line, "input %63s %7s %" SCNu32 " %" SCNu32, input->name, kind, &input->rank,
		   &input->columns) != 4)
		return false;
	input->is_offsets = strcmp(kind, "offsets") == 0;
	input->is_ids = input->is_offsets || strcmp(kind, "i64") == 0;
	network->input_count++;
	return true;
}

static bool table_read(struct network *network, const char *line)
{
	struct network_table *table = network->tables + network->table_count;
	char name[NETWORK_NAME_BYTES];
	uint32_t other;

	if (network->table_count == NETWORK_TABLES_MAX ||
	    sscanf(line, "table %63s %" SCNu32 " %" SCNu32 " %" SCNu64 " %" SCNu32, name,
		   &table->first, &table->count, &table->rows, &table->row_bytes) != 5)
		return false;
	table->input = network_input_find(network, name);
	for (other = 0; other < network->table_count; other++)
		table->is_second |= network->tables[other].input == table->input &&
				    network->tables[other].first == table->first;
	network->table_count++;
	return table->rows > 0 &&
	       table->first + table->count <= network->inputs[table->input].columns;
}

static bool line_read(struct network *network, const char *line)
{
	if (strncmp(line, "input ", 6) == 0)
		return input_read(network, line);
	if (strncmp(line, "table ", 6) == 0)
		return table_read(network, line);
	return sscanf(line, "network %63s", network->name) == 1 ||
	       sscanf(line, "fmas %" SCNu64, &network->fmas) == 1 ||
	       sscanf(line, "weight_bytes %" SCNu64, &network->weight_bytes) == 1 ||
	       sscanf(line, "tables_bytes %" SCNu64, &network->tables_bytes) == 1;
}

bool network_open(struct network *network, const char *directory, const char *model)
{
	char path[512];
	char line[256];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s/1/model.meta", directory, model);
	file = fopen(path, "re");
	if (!file)
		return false;
	*network = (struct network){ .seed = SEED, .dense_state = SEED };
	while (fgets(line, sizeof(line), file))
		must(line_read(network, line), "%s: cannot read: %s", path, line);
	fclose(file);
	return true;
}

/* --- ids ------------------------------------------------------------------------------------- */

static uint64_t mixed(uint64_t value)
{
	value = (value ^ (value >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	value = (value ^ (value >> 27)) * UINT64_C(0x94d049bb133111eb);
	return value ^ (value >> 31);
}

/* A permutation of 0 .. 2^(2 * half_bits) - 1. */
static uint64_t feistel(uint64_t value, uint32_t half_bits, uint64_t key)
{
	uint64_t mask = (UINT64_C(1) << half_bits) - 1;
	uint64_t left = value >> half_bits;
	uint64_t right = value & mask;
	uint32_t round;

	for (round = 0; round < FEISTEL_ROUNDS; round++) {
		uint64_t next = left ^ (mixed(right + key + round) & mask);

		left = right;
		right = next;
	}
	return left << half_bits | right;
}

/* It comes back inside, since a permutation has nothing but cycles. */
static uint64_t permuted(uint64_t value, uint64_t rows, uint64_t key)
{
	uint32_t bits = rows > 1 ? 64 - (uint32_t)__builtin_clzll(rows - 1) : 1;

	do
		value = feistel(value, (bits + 1) / 2, key);
	while (value >= rows);
	return value;
}

uint64_t network_id(const struct network *network, uint32_t table, uint64_t draw)
{
	uint64_t rows = network->tables[table].rows;

	return permuted(draw % rows, rows, mixed(network->seed + table));
}

static uint64_t zipf_rank(uint64_t rows, uint64_t *state)
{
	double uniform = (double)(crowd_random(state) >> 11) * 0x1p-53;
	double power = 1 - ZIPF_EXPONENT;
	double rank = pow(uniform * (pow((double)rows + 1, power) - 1) + 1, 1 / power) - 1;
	uint64_t index = rank > 0 ? (uint64_t)rank : 0;

	return index < rows ? index : rows - 1;
}

/* --- batches --------------------------------------------------------------------------------- */

size_t network_input_bytes(const struct network *network, uint32_t input, uint32_t rows)
{
	const struct network_input *info = network->inputs + input;

	return (size_t)rows * info->columns * (info->is_ids ? sizeof(int64_t) : sizeof(float));
}

void network_batch_init(struct network_batch *batch, const struct network *network, uint32_t rows)
{
	uint32_t input;
	uint32_t row;

	batch->rows = rows;
	for (input = 0; input < network->input_count; input++) {
		size_t bytes = (network_input_bytes(network, input, rows) + 63) & ~(size_t)63;

		batch->inputs[input] = aligned_alloc(64, bytes);
		must(batch->inputs[input], "no memory for %zu bytes", bytes);
		memset(batch->inputs[input], 0, bytes);
		for (row = 0; network->inputs[input].is_offsets && row < rows; row++)
			((int64_t *)batch->inputs[input])[row] = row;
	}
}

void network_batch_deinit(struct network_batch *batch, const struct network *network)
{
	uint32_t input;

	for (input = 0; input < network->input_count; input++)
		free(batch->inputs[input]);
}

static void dense_draw(struct network *network, struct network_batch *batch, uint32_t input)
{
	size_t count = (size_t)batch->rows * network->inputs[input].columns;
	float *values = batch->inputs[input];
	size_t index;

	for (index = 0; index < count; index++)
		values[index] = (float)(crowd_random(&network->dense_state) >> 40) * 0x1p-24f * DENSE_MAX;
}

static void batch_draw(struct network *network, struct network_batch *batch, bool is_zipf)
{
	uint32_t index;

	for (index = 0; index < network->input_count; index++)
		if (!network->inputs[index].is_ids)
			dense_draw(network, batch, index);
	for (index = 0; index < network->table_count; index++) {
		struct network_table *table = network->tables + index;
		uint32_t columns = network->inputs[table->input].columns;
		int64_t *ids = batch->inputs[table->input];
		uint64_t state = table->drawn;
		uint32_t row;
		uint32_t column;

		if (table->is_second)
			continue;
		for (row = 0; row < batch->rows; row++)
			for (column = table->first; column < table->first + table->count; column++) {
				uint64_t draw = is_zipf ? zipf_rank(table->rows, &state) : table->drawn;

				ids[(size_t)row * columns + column] =
					(int64_t)network_id(network, index, draw);
				table->drawn++;
			}
	}
}

void network_draw(struct network *network, struct network_batch *batch)
{
	batch_draw(network, batch, false);
}

void network_draw_zipf(struct network *network, struct network_batch *batch)
{
	batch_draw(network, batch, true);
}
