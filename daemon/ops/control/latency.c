/* SPDX-License-Identifier: MIT */
/* daemon/ops/control/latency.c - the verb latency: histograms, for whoever draws them */
#include "ops/control/verbs.h"

#include "ops/control/reply.h"
#include "ops/loop.h"

/* NULL: there is no memory for it. */
static json_t *buckets_json(const struct histogram *histogram)
{
	json_t *buckets = json_array();
	uint32_t index;

	for (index = 0; index < HISTOGRAM_BUCKETS; index++) {
		uint64_t count = counter_read(histogram->buckets + index);

		if (count == 0)
			continue;
		if (json_array_append_new(buckets, json_pack("[i, I]", (int)index,
							     (json_int_t)count)) < 0) {
			json_decref(buckets);
			return NULL;
		}
	}
	return buckets;
}

static bool version_reply(struct peer *peer, const struct version *version)
{
	enum request_time time;

	for (time = 0; time < TIME_COUNT; time++) {
		const struct histogram *histogram = version->counters.times + time;
		json_t *row = json_pack("{s:s, s:I, s:s, s:I, s:I, s:I, s:o}", "model",
					version->name, "version", (json_int_t)version->number,
					"time", request_time_name(time), "sum_ns",
					(json_int_t)counter_read(&histogram->sum), "min_ns",
					(json_int_t)histogram_min(histogram), "max_ns",
					(json_int_t)histogram_max(histogram), "buckets",
					buckets_json(histogram));

		if (!reply_row(peer, row))
			return false;
	}
	return true;
}

bool verb_latency(struct control *control, struct peer *peer, const json_t *question)
{
	const struct registry_version *slot;
	const struct registry_model *model;
	uint32_t cursor = 0;

	(void)question;
	while ((slot = registry_next(&control->registry, &cursor, &model)))
		if (slot->version && !version_reply(peer, slot->version))
			return false;
	return reply_end(peer);
}
