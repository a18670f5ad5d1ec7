/* SPDX-License-Identifier: MIT */
/* daemon/ops/control/models.c - the verbs models and plan: what is served, and the steps of it */
#include "ops/control/verbs.h"

#include <stdio.h>

#include "exec/cold.h"
#include "exec/measure.h"
#include "ops/control/reply.h"
#include "ops/loop.h"

/* --- models -------------------------------------------------------------------------------------- */

static json_t *dim_json(struct dim dim, const struct signature *signature)
{
	char text[128];

	if (dim.symbol < 0)
		return json_integer((json_int_t)dim.constant);
	if (dim.factor == 1 && dim.constant == 0)
		return json_string(signature->symbols[dim.symbol]);
	snprintf(text, sizeof(text), "%d*%s%+ld", dim.factor, signature->symbols[dim.symbol],
		 (long)dim.constant);
	return json_string(text);
}

static json_t *tensor_json(const struct signature *signature, const struct signature_tensor *tensor)
{
	static const char *const names[] = {
		[DTYPE_NONE] = "none", [DTYPE_F32] = "f32",   [DTYPE_U8] = "u8",
		[DTYPE_I8] = "i8",     [DTYPE_I32] = "i32",   [DTYPE_I64] = "i64",
		[DTYPE_BOOL] = "bool", [DTYPE_F16] = "f16",   [DTYPE_BF16] = "bf16",
	};
	json_t *dims = json_array();
	uint32_t dim;

	for (dim = 0; dim < tensor->rank; dim++) {
		if (json_array_append_new(dims, dim_json(tensor->dims[dim], signature)) < 0) {
			json_decref(dims);
			return NULL;
		}
	}
	return json_pack("{s:s, s:s, s:o}", "name", tensor->name, "dtype", names[tensor->dtype],
			 "dims", dims);
}

/* NULL: not all of them, for want of memory. */
static json_t *tensors_json(const struct signature *signature,
			    const struct signature_tensor *tensors, uint32_t count)
{
	json_t *list = json_array();
	uint32_t index;

	for (index = 0; index < count; index++) {
		if (json_array_append_new(list, tensor_json(signature, tensors + index)) < 0) {
			json_decref(list);
			return NULL;
		}
	}
	return list;
}

/* NULL: all its tables are in memory. */
static json_t *cold_json(const struct version *version)
{
	const struct cold *cold = engine_cold(version->engine);
	const struct cold_counters *counters;

	if (!cold)
		return NULL;
	counters = cold_counters(cold);
	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:b}", "tables_bytes",
			 (json_int_t)cold_table_bytes(cold), "rows_bytes",
			 (json_int_t)cold_row_bytes(cold), "hits_total", count_of(&counters->hits),
			 "misses_total", count_of(&counters->misses), "evictions_total",
			 count_of(&counters->evictions), "failures_total",
			 count_of(&counters->failures), "wait_p50_ns",
			 (json_int_t)histogram_percentile(&counters->waits, 50), "wait_p99_ns",
			 (json_int_t)histogram_percentile(&counters->waits, 99), "direct",
			 cold_is_direct(cold));
}

static uint64_t spans_bytes(const struct span spans[], uint32_t count)
{
	uint64_t bytes = 0;
	uint32_t index;

	for (index = 0; index < count; index++)
		bytes += spans[index].bytes;
	return bytes;
}

/* Refused or failed after their admission. */
static json_int_t version_errors(const struct version *version)
{
	uint64_t count = 0;
	enum reason reason;

	for (reason = 0; reason < REASON_REQUESTS; reason++)
		count += counter_read(version->counters.refused + reason);
	return (json_int_t)count;
}

static json_t *version_json(const struct registry_model *model, const struct registry_version *slot)
{
	const struct version *version = slot->version;
	const struct signature *signature;
	struct engine_memory memory;

	if (!version)
		return json_pack("{s:s, s:I, s:s, s:b, s:s}", "model", model->name, "version",
				 (json_int_t)slot->number, "state",
				 registry_state_name(slot->state), "current", 0, "error",
				 slot->error);
	signature = version->signature;
	memory = engine_memory(version->engine);
	return json_pack(
		"{s:s, s:I, s:s, s:b, s:I, s:s, s:I, s:I, s:I, s:s, s:I, s:I, s:I, s:I, s:o, s:o, s:s, s:o*}",
		"model", model->name, "version", (json_int_t)slot->number, "state",
		registry_state_name(slot->state), "current", model->current == version, "rows_max",
		(json_int_t)version->rows_max, "row_symbol",
		signature->row_symbol < 0 ? "" : signature->symbols[signature->row_symbol],
		"weights_bytes", (json_int_t)memory.weights->bytes, "replica_bytes",
		(json_int_t)spans_bytes(memory.replicas, memory.replica_count), "activation_bytes",
		(json_int_t)(spans_bytes(memory.activations, memory.activation_count) +
			     version->staging.bytes), "pages",
		span_backing_name(memory.weights->backing), "requests_total",
		count_of(&version->counters.requests), "rows_total",
		count_of(&version->counters.rows), "batches_total",
		count_of(&version->counters.batches), "errors_total", version_errors(version), "inputs",
		tensors_json(signature, signature->inputs, signature->input_count), "outputs",
		tensors_json(signature, signature->outputs, signature->output_count), "error", slot->error,
		"cold", cold_json(version));
}

bool verb_models(struct control *control, struct peer *peer, const json_t *question)
{
	const struct registry_version *slot;
	const struct registry_model *model;
	uint32_t cursor = 0;

	(void)question;
	while ((slot = registry_next(&control->registry, &cursor, &model)))
		if (!reply_row(peer, version_json(model, slot)))
			return false;
	return reply_end(peer);
}

/* --- plan ---------------------------------------------------------------------------------------- */

static bool plan_reply(struct peer *peer, const struct version *version,
		       const struct measure *measure)
{
	uint32_t index;

	for (index = 0; index < measure->step_count; index++) {
		const struct measure_step *step = measure->steps + index;

		if (!reply_row(peer,
			   json_pack("{s:s, s:I, s:I, s:I, s:s, s:I, s:I, s:I, s:I, s:I}", "model",
				     version->name, "version", (json_int_t)version->number, "rows",
				     (json_int_t)measure->rows, "step", (json_int_t)index, "kernel",
				     step->kernel, "moved_bytes", (json_int_t)step->cost.bytes,
				     "weight_bytes", (json_int_t)step->cost.weight_bytes,
				     "multiply_adds", (json_int_t)step->cost.multiply_adds,
				     "predicted_ns", (json_int_t)step->predicted_ns, "measured_ns", (json_int_t)step->ns)))
			return false;
	}
	return true;
}

/* The steps of every version that serves: of a run of few rows, then of one of many. */
bool verb_plan(struct control *control, struct peer *peer, const json_t *question)
{
	const struct registry_version *slot;
	const struct registry_model *model;
	uint32_t cursor = 0;

	(void)question;
	while ((slot = registry_next(&control->registry, &cursor, &model))) {
		struct engine_steps steps;

		if (!slot->version)
			continue;
		steps = engine_steps(slot->version->engine);
		if (!plan_reply(peer, slot->version, steps.few) ||
		    !plan_reply(peer, slot->version, steps.many))
			return false;
	}
	return reply_end(peer);
}
