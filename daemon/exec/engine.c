/* SPDX-License-Identifier: MIT */
/* daemon/exec/engine.c - one model version, ready to run */
#include "engine_parts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ROWS_MAX 4096
#define ACTIVATION_BYTES_MAX (256ULL << 20)

int engine_new(int directory_fd, const char *name, const struct engine_options *options,
	       struct engine **ret_engine)
{
	struct engine_options filled = *options;
	struct engine *engine = NULL;
	int r = ENGINE_E_CHANGED;

	if (!filled.device)
		filled.device = cpu_device();
	if (filled.rows_max == 0)
		filled.rows_max = ROWS_MAX;
	if (!filled.weights.nodes)
		filled.weights = place_node(filled.node);
	if (!filled.tables.nodes)
		filled.tables = place_node(filled.node);
	if (filled.cold_stages == 0)
		filled.cold_stages = 1;
	if (filled.activation_bytes_max == 0)
		filled.activation_bytes_max = ACTIVATION_BYTES_MAX;
	for (uint32_t attempt = 0; attempt < 2 && r == ENGINE_E_CHANGED; attempt++) {
		engine_free(engine);
		engine = calloc(1, sizeof(*engine));
		if (!engine)
			return err_raise(-ENOMEM, "%s: no memory to load it", name);
		engine->signature.row_symbol = -1;
		engine->signature.request_symbol = -1;
		engine->signature.followed_symbol = -1;
		engine->numerics = filled.device->numerics;
		engine->shelf = filled.shelf;
		engine->kept.model_fd = -1;
		engine->kept.weights_fd = -1;
		r = engine_load(engine, directory_fd, name, &filled);
	}
	if (r == ENGINE_E_CHANGED)
		r = err_raise(-ESTALE, "%s: its files changed while they were read, twice", name);
	if (r < 0) {
		engine_free(engine);
		return err_trace(r);
	}
	*ret_engine = engine;
	return 0;
}

void engine_free(struct engine *engine)
{
	if (!engine)
		return;
	spread_deinit(&engine->spread);
	cold_free(engine->cold);
	free(engine->site_inputs);
	engine_replicas_deinit(engine);
	span_unmap(&engine->weights);
	engine_kept_deinit(engine);
	signature_deinit(&engine->signature);
	free(engine);
}

const struct signature *engine_signature(const struct engine *engine)
{
	return &engine->signature;
}

struct engine_memory engine_memory(const struct engine *engine)
{
	return (struct engine_memory){
		.weights = &engine->weights,
		.tables_offset = engine->tables_offset,
		.cold_bytes = engine->cold_bytes,
		.activations = engine->spread.activations,
		.activation_count = engine->spread.activation_count,
		.replicas = engine->replicas,
		.replica_count = engine->replica_count,
	};
}

struct engine_plans engine_plans(const struct engine *engine)
{
	return engine->plans;
}

const struct weights_arrival *engine_arrival(const struct engine *engine)
{
	return &engine->arrival;
}

enum numerics engine_numerics(const struct engine *engine)
{
	return engine->numerics;
}

const struct engine_kept *engine_kept(const struct engine *engine)
{
	return engine->unkept ? NULL : &engine->kept;
}

const char *engine_unkept(const struct engine *engine)
{
	return engine->unkept;
}

bool engine_is_outdated(const struct engine *engine)
{
	return engine->is_outdated;
}

struct cold *engine_cold(const struct engine *engine)
{
	return engine->cold;
}

uint32_t engine_rows_max(const struct engine *engine)
{
	return engine->rows_max;
}

bool engine_fits(const struct engine *engine, const int64_t symbols[SIGNATURE_SYMBOLS_MAX])
{
	return spread_fits(&engine->spread, symbols);
}

void engine_run(struct engine *engine, const int64_t symbols[SIGNATURE_SYMBOLS_MAX],
		const void *const inputs[], void *const outputs[], struct row_status status[])
{
	spread_run(&engine->spread, symbols, inputs, outputs, status);
}

struct engine_choice engine_choice(struct engine *engine,
				   const int64_t symbols[SIGNATURE_SYMBOLS_MAX])
{
	const struct spread_choice *choice = spread_choice_of(&engine->spread, symbols);
	struct engine_choice told = {
		.chunk_rows = engine->spread.options.chunk_rows,
		.way = choice->way,
	};

	memcpy(told.ways_ns, choice->ways_ns, sizeof(told.ways_ns));
	return told;
}

struct engine_steps engine_steps(const struct engine *engine)
{
	return (struct engine_steps){
		.few = &engine->spread.measures[0],
		.many = &engine->spread.measures[1],
	};
}

int engine_error_input(const struct engine *engine, uint32_t error)
{
	if (error == 0 || error > engine->site_count)
		return -1;
	return engine->site_inputs[error - 1];
}
