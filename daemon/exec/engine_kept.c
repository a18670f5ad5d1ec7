/* SPDX-License-Identifier: MIT */
/*
 * daemon/exec/engine_kept.c - what outlives the process that loaded a model
 *
 * The graph is made again from its kept form, and with it the place and form of each weight: where
 * these are the same, the kept bytes are what a load would have brought. They are not looked at: no
 * byte has changed since their memory was sealed.
 */
#include "engine_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/hash.h"
#include "memory/span_kept.h"

/* Raised when the same weights come to lie otherwise: gemm_pack, matmul_integer_pack. */
#define LAYOUT_FORMAT UINT64_C(1)

/* What is computed from constants is hashed, too: passes of another daemon may compute something
 * else and give it the same name. */
static uint64_t value_hash(const struct value *value)
{
	const uint64_t words[] = {
		hash_bytes(value->name, strlen(value->name)),
		value->dtype,
		hash_bytes(value->dims, value->rank * sizeof(value->dims[0])),
		value->data ? hash_bytes(value->data, (uint64_t)constant_elements(value) *
							      dtype_bytes(value->dtype))
			    : 0,
	};

	return hash_bytes(words, sizeof(words));
}

static uint64_t layout_hash(const struct engine *engine, const struct loading *loading)
{
	const struct lowering *lowering = &loading->lowering;
	uint64_t hash = hash_bytes((uint64_t[]){ LAYOUT_FORMAT, engine->numerics }, 16);

	for (uint32_t index = 0; index < lowering->weight_count; index++) {
		const struct weight *weight = &lowering->weights[index];
		const uint64_t words[] = {
			hash,
			weight->layout == WEIGHT_SLOTS
				? 0
				: value_hash(graph_value(lowering->graph, weight->value)),
			weight->layout,
			(uint64_t)weight->k,
			(uint64_t)weight->n,
			(uint64_t)weight->row_stride,
			(uint64_t)weight->column_stride,
			hash_bytes(&weight->scale, sizeof(weight->scale)),
			weight->is_against_signed,
			weight->bytes,
			weight->offset,
		};

		hash = hash_bytes(words, sizeof(words));
	}
	return hash;
}

/* --- a load -------------------------------------------------------------------------------------- */

static struct tier_owner owner_of(const struct loading *loading)
{
	return (struct tier_owner){ loading->options.tiers, loading->options.owner, TIER_WEIGHTS };
}

static int weights_memory(struct engine *engine, const struct loading *loading)
{
	const struct tier_owner owner = owner_of(loading);
	int r;

	r = engine->unkept
		    ? span_map_parts(&owner, loading->parts, loading->part_count, 1,
				     &engine->weights)
		    : span_kept_map(&owner, "hearth-weights", loading->parts, loading->part_count,
				    &engine->weights, &engine->kept.weights_fd);
	return r < 0 ? err_trace(r) : 0;
}

int engine_keep_begin(struct engine *engine, const struct loading *loading)
{
	int r = 0;

	if (!loading->options.keeps) {
		engine->unkept = "nobody asked for it";
	} else if (loading->cold && loading->cold->ids_count > 0) {
		engine->unkept = "rows of its cold tables come and go";
	} else {
		r = onnx_keep(loading->model, &engine->kept.model_fd);
		if (r == ONNX_E_UNKEPT)
			engine->unkept = "its graph is made of large constants of its files";
	}
	if (r >= 0)
		r = weights_memory(engine, loading);
	return r < 0 ? err_trace(r) : 0;
}

int engine_keep_end(struct engine *engine, const struct loading *loading)
{
	int r;

	if (engine->unkept)
		return 0;
	r = span_kept_seal(&engine->weights, engine->kept.weights_fd);
	if (r == SPAN_E_HELD)
		engine->unkept = "something else has the memory of its weights in use";
	engine->kept.weights_bytes = loading->extent.bytes;
	engine->kept.layout_hash = layout_hash(engine, loading);
	engine->kept.files_hash = onnx_files_hash(loading->model, loading->directory_fd);
	return r < 0 ? err_trace(r) : 0;
}

/* --- after it ------------------------------------------------------------------------------------ */

static int kept_duplicate(struct engine_kept *kept, const char *name)
{
	kept->model_fd = fcntl(kept->model_fd, F_DUPFD_CLOEXEC, 0);
	kept->weights_fd = fcntl(kept->weights_fd, F_DUPFD_CLOEXEC, 0);
	if (kept->model_fd < 0 || kept->weights_fd < 0)
		return err_raise(-errno, "%s: the descriptors of what was kept cannot be "
				 "duplicated: %s", name, strerror(errno));
	return 0;
}

int engine_adopt(struct engine *engine, const struct loading *loading)
{
	const struct engine_kept *kept = loading->options.kept;
	const struct tier_owner owner = owner_of(loading);
	uint64_t hash = layout_hash(engine, loading);
	int r;

	if (kept->weights_bytes != loading->extent.bytes || kept->layout_hash != hash)
		return err_raise(-ESTALE,
				 "%s: its weights were kept as another daemon, or other options, "
				 "laid them out (%llu bytes, layout %016llx; wanted are %llu bytes, "
				 "layout %016llx): load it from its files", loading->name,
				 (unsigned long long)kept->weights_bytes,
				 (unsigned long long)kept->layout_hash,
				 (unsigned long long)loading->extent.bytes,
				 (unsigned long long)hash);
	engine->kept = *kept;
	r = kept_duplicate(&engine->kept, loading->name);
	if (r == 0)
		r = span_kept_adopt(&owner, engine->kept.weights_fd, loading->name, loading->parts,
				    loading->part_count, &engine->weights);
	engine->is_outdated =
		onnx_files_hash(loading->model, loading->directory_fd) != kept->files_hash;
	return r < 0 ? err_trace(r) : 0;
}

/* --- looked at all the same ---------------------------------------------------------------------- */

bool engine_hash(const struct engine *engine, struct engine_hash *hash)
{
	const struct span *weights = &engine->weights;
	uint64_t left = weights->bytes - hash->offset;
	uint64_t bytes = left < ENGINE_SLICE_BYTES ? left : ENGINE_SLICE_BYTES;
	const char *slice = (const char *)weights->address + hash->offset;

	hash->value = hash_bytes((uint64_t[]){ hash->value, hash_bytes(slice, bytes) }, 16);
	hash->offset += bytes;
	return hash->offset < weights->bytes;
}
