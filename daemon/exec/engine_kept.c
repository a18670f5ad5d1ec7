/* SPDX-License-Identifier: MIT */
/*
 * daemon/exec/engine_kept.c - what outlives the process that loaded a model
 *
 * The graph is made again from its kept form, and with it the place and form of each weight: where
 * these are the same, the kept bytes are what a load would have brought. They are not looked at: no
 * byte has changed since their memory was sealed.
 */
#include "engine_parts.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/hash.h"
#include "memory/shelf.h"

static_assert(ENGINE_SHEETS_MAX == WEIGHTS_SHEETS_MAX - 1, "those of tables, and one of the rest");

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

static int weights_memory(struct engine *engine, struct loading *loading)
{
	const struct tier_owner owner = owner_of(loading);
	int r;

	if (!engine->is_sealed)
		r = span_map_parts(&owner, loading->parts, loading->part_count, 1,
				   &engine->weights);
	else
		r = span_kept_map(&owner, "hearth-weights", loading->parts, loading->part_count,
				  loading->sheets, loading->extent.sheet_count, &engine->weights);
	return r < 0 ? err_trace(r) : 0;
}

int engine_keep_begin(struct engine *engine, struct loading *loading)
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
	engine->is_sealed = loading_seals(loading, !engine->unkept);
	if (r >= 0)
		r = weights_memory(engine, loading);
	return r < 0 ? err_trace(r) : 0;
}

/* A sheet that is on the shelf already is had from there. */
static int sheet_share(struct engine *engine, struct span_sheet *sheet, uint64_t offset)
{
	const struct span *weights = &engine->weights;
	struct engine_kept *kept = &engine->kept;
	struct sheet *found = NULL;
	struct span_sheet shared;
	int fd = sheet->fd;
	int r;

	r = shelf_put(engine->shelf, fd, weights->parts[weights->part_count - 1].place, &found);
	if (r < 0)
		return err_trace(r);
	sheet->fd = -1; /* the shelf's */
	engine->sheets[kept->sheet_count] = found;
	kept->sheets[kept->sheet_count++] = found->id;
	shared = (struct span_sheet){ .bytes = sheet->bytes, .fd = found->fd };
	if (found->fd == fd) {
		shelf_count(found, &engine->weights, offset);
		return 0;
	}
	return err_trace(span_kept_replace(&engine->weights, offset, &shared));
}

static int sheets_share(struct engine *engine, struct loading *loading)
{
	uint64_t offset = loading->sheets[0].bytes;
	int r = 0;

	for (uint32_t index = 1; r == 0 && index < loading->extent.sheet_count; index++) {
		r = sheet_share(engine, &loading->sheets[index], offset);
		offset += loading->sheets[index].bytes;
	}
	return r < 0 ? err_trace(r) : 0;
}

int engine_keep_end(struct engine *engine, struct loading *loading)
{
	int r;

	if (!engine->is_sealed)
		return 0;
	r = span_kept_seal(&engine->weights, loading->sheets, loading->extent.sheet_count);
	if (r == SPAN_E_HELD)
		engine->unkept = "something else has the memory of its weights in use";
	else if (r == 0)
		r = sheets_share(engine, loading);
	/* Shared, and nobody will go on with it. */
	if (r < 0 || engine->unkept)
		return r < 0 ? err_trace(r) : 0;
	engine->kept.weights_fd = loading->sheets[0].fd;
	loading->sheets[0].fd = -1;
	engine->kept.weights_bytes = loading->extent.bytes;
	engine->kept.layout_hash = layout_hash(engine, loading);
	engine->kept.files_hash = onnx_files_hash(loading->model, loading->directory_fd);
	return 0;
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

/* `ret_sheets` as the span wants them; they stay the engine's and the shelf's. */
static int sheets_take(struct engine *engine, const struct loading *loading,
		       struct span_sheet ret_sheets[])
{
	const struct engine_kept *kept = &engine->kept;

	ret_sheets[0] = (struct span_sheet){ loading->sheets[0].bytes, kept->weights_fd };
	for (uint32_t index = 0; index < kept->sheet_count; index++) {
		engine->sheets[index] = shelf_take(engine->shelf, kept->sheets[index]);
		if (!engine->sheets[index])
			return err_raise(-ESTALE, "%s: table %llu, which was kept with it, is not "
					 "there: load it from its files", loading->name,
					 (unsigned long long)kept->sheets[index]);
		ret_sheets[1 + index] = (struct span_sheet){ loading->sheets[1 + index].bytes,
							     engine->sheets[index]->fd };
	}
	return 0;
}

int engine_adopt(struct engine *engine, struct loading *loading)
{
	const struct engine_kept *kept = loading->options.kept;
	const struct tier_owner owner = owner_of(loading);
	struct span_sheet sheets[WEIGHTS_SHEETS_MAX];
	uint64_t hash = layout_hash(engine, loading);
	int r;

	if (kept->weights_bytes != loading->extent.bytes || kept->layout_hash != hash ||
	    kept->sheet_count != loading->extent.sheet_count - 1)
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
		r = sheets_take(engine, loading, sheets);
	if (r == 0)
		r = span_kept_adopt(&owner, loading->name, loading->parts, loading->part_count,
				    sheets, loading->extent.sheet_count, &engine->weights);
	engine->is_outdated =
		onnx_files_hash(loading->model, loading->directory_fd) != kept->files_hash;
	return r < 0 ? err_trace(r) : 0;
}

void engine_kept_deinit(struct engine *engine)
{
	if (engine->kept.model_fd >= 0)
		close(engine->kept.model_fd);
	if (engine->kept.weights_fd >= 0)
		close(engine->kept.weights_fd);
	for (uint32_t index = 0; index < ENGINE_SHEETS_MAX; index++)
		if (engine->sheets[index])
			shelf_return(engine->shelf, engine->sheets[index]);
}

static uint32_t sheet_uses(const struct engine *engine, const struct sheet *sheet, uint32_t count)
{
	uint32_t uses = 0;

	for (uint32_t index = 0; index < count; index++)
		uses += engine->sheets[index] == sheet;
	return uses;
}

struct engine_shared engine_shared(const struct engine *engine)
{
	struct engine_shared shared = { .bytes = 0 };

	for (uint32_t index = 0; index < engine->kept.sheet_count; index++) {
		const struct sheet *sheet = engine->sheets[index];
		uint32_t uses = sheet_uses(engine, sheet, engine->kept.sheet_count);

		if (shelf_users(engine->shelf, sheet) == uses && sheet_uses(engine, sheet, index) == 0)
			continue;
		shared.bytes += sheet->bytes;
		if (sheet->page_bytes == SPAN_GIANT_BYTES)
			shared.giant_bytes += sheet->bytes;
	}
	return shared;
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
