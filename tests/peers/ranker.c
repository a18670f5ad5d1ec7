/* SPDX-License-Identifier: MIT */
/* tests/peers/ranker.c - one model through the rings */
#include "ranker.h"

#include <sched.h>
#include <stdio.h>
#include <string.h>

#include "tests/system/crowd.h"
#include "tests/system/measure.h"

#define SPIN_NS INT64_C(1000000000) /* a client that polls does not sleep within a slice */
#define REQUEST_AREA_BYTES (64u << 20)
#define REST_NS 3000000

static const char *const flags_one[] = { "--load", "none", "--spin-us", "2000", NULL };
static const char *const flags_two[] = { "--load", "none", "--workers", "2", NULL };

static int cpu_first(pid_t thread)
{
	cpu_set_t cpus;
	int cpu = 0;

	must(sched_getaffinity(thread, sizeof(cpus), &cpus) == 0, "no affinity of %d", thread);
	while (!CPU_ISSET((size_t)cpu, &cpus))
		cpu++;
	return cpu;
}

static void connection_open(struct ranker *ranker)
{
	struct hearth_options options = { .size = sizeof(options),
					  .request_area_bytes = REQUEST_AREA_BYTES };
	int r;

	options.spin_ns = ranker->plan.cores == 1 ? SPIN_NS : -1;
	r = hearth_open(ranker->appliance.socket, &options, &ranker->hearth);
	must(r == 0, "hearth_open: %s", hearth_strerror(r));
	await(hearth_model(ranker->hearth, ranker->network->name, 0, &ranker->model) == 0);
	must(ranker->model->input_count == ranker->network->input_count,
	     "%s has other inputs than model.meta says", ranker->network->name);
}

bool ranker_open(struct ranker *ranker, const struct network *network, const char *directory,
		 const struct ranker_plan *plan, char text[APPLIANCE_TEXT_BYTES])
{
	*ranker = (struct ranker){ .network = network, .plan = *plan };
	appliance_init(&ranker->appliance);
	snprintf(ranker->appliance.repository, sizeof(ranker->appliance.repository), "%s",
		 directory);
	appliance_start(&ranker->appliance, plan->cores == 1 ? flags_one : flags_two);
	if (appliance_change(&ranker->appliance, "load", network->name, 0, text) < 0) {
		appliance_close(&ranker->appliance);
		return false;
	}
	ranker->data_thread = thread_find(ranker->appliance.pid, "hearth-data");
	must(ranker->data_thread > 0, "hearthd has no data thread");
	if (plan->cores == 1)
		cpu_pin(ranker->data_thread, plan->cpu_other);
	ranker->data_cpu = cpu_first(ranker->data_thread);
	connection_open(ranker);
	return true;
}

static void requests_release(struct ranker *ranker)
{
	uint32_t index;

	for (index = 0; index < ranker->request_count; index++) {
		int r = hearth_release(ranker->hearth, ranker->requests[index]->id);

		must(r == 0, "release: %s", hearth_strerror(r));
	}
	ranker->request_count = 0;
}

void ranker_close(struct ranker *ranker)
{
	requests_release(ranker);
	hearth_close(ranker->hearth);
	appliance_close(&ranker->appliance);
}

void ranker_bind(struct ranker *ranker, const struct network_batch batches[], uint32_t count)
{
	const struct hearth_model_info *model = ranker->model;
	uint32_t batch;
	uint32_t input;
	uint32_t size;

	requests_release(ranker);
	for (batch = 0; batch < count; batch++) {
		struct hearth_request *request;
		uint32_t sizes[NETWORK_INPUTS_MAX];
		int r;

		for (size = 0; size < model->symbol_count; size++)
			sizes[size] = batches[batch].rows;
		r = hearth_acquire_sizes(ranker->hearth, model, sizes, 0, &request);
		must(r == 0, "acquire: %s", hearth_strerror(r));
		for (input = 0; input < model->input_count; input++) {
			uint32_t from = network_input_find(ranker->network, model->inputs[input].name);
			size_t bytes = network_input_bytes(ranker->network, from, batches[batch].rows);

			must(request->inputs[input].bytes == bytes, "%s has other dims",
			     model->inputs[input].name);
			memcpy(request->inputs[input].data, batches[batch].inputs[from], bytes);
		}
		ranker->requests[ranker->request_count++] = request;
	}
}

const float *ranker_run(struct ranker *ranker, uint32_t batch)
{
	const struct hearth_completion *completion;
	int r;

	r = hearth_submit(ranker->hearth, ranker->requests[batch]);
	must(r == 0, "submit: %s", hearth_strerror(r));
	r = hearth_wait(ranker->hearth, -1, &completion);
	must(r == 0, "wait: %s", hearth_strerror(r));
	must(completion->status == 0, "%s",
	     hearth_completion_strerror(ranker->hearth, completion));
	return completion->outputs[0].data;
}

void ranker_rest(struct ranker *ranker)
{
	if (ranker->plan.cores == 1)
		thread_await_sleep(ranker->appliance.pid, ranker->data_thread);
	else
		crowd_pause_ns(REST_NS);
}
