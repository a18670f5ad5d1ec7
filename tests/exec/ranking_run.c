/* SPDX-License-Identifier: MIT */
/* tests/exec/ranking_run.c - a ranking model of tests/models in this process, and what its runs take */
#include "tests/exec/ranking_run.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "tests/system/crowd.h"

#define SLICE_NS 8000000.0

bool ranking_run_open(struct ranking_run *run, const char *model, struct workers *workers)
{
	struct engine_options options = { .device = cpu_device(), .node = -1, .workers = workers };
	const struct signature *signature;
	char path[512];
	uint32_t input;
	int fd;
	int r;

	*run = (struct ranking_run){ .rows = 0 };
	snprintf(path, sizeof(path), "%s/%s/1", network_directory(), model);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return false;
	must(network_open(&run->network, network_directory(), model), "%s has no model.meta", path);
	r = engine_new(fd, model, &options, &run->engine);
	close(fd);
	if (r < 0) {
		printf("  %-20s is refused: %s\n", model, err_message());
		return false;
	}
	samples_init(&run->samples);
	run->status = calloc(engine_rows_max(run->engine), sizeof(*run->status));
	run->scores = aligned_alloc(64, (engine_rows_max(run->engine) + 15) / 16 * 64);
	must(run->status && run->scores, "no memory");
	signature = engine_signature(run->engine);
	for (input = 0; input < signature->input_count; input++)
		run->order[input] =
			network_input_find(&run->network, signature->inputs[input].name);
	return true;
}

static void batches_free(struct ranking_run *run)
{
	uint32_t batch;

	for (batch = 0; run->rows > 0 && batch < RANKING_BATCHES_MAX; batch++)
		network_batch_deinit(run->batches + batch, &run->network);
	run->rows = 0;
}

void ranking_run_close(struct ranking_run *run)
{
	batches_free(run);
	engine_free(run->engine);
	free(run->samples.ticks);
	free(run->status);
	free(run->scores);
}

double ranking_run_ns(struct ranking_run *run, const struct network_batch *batch)
{
	const struct signature *signature = engine_signature(run->engine);
	int64_t symbols[SIGNATURE_SYMBOLS_MAX] = { 0 };
	const void *inputs[ENGINE_INPUTS_MAX] = { 0 };
	void *outputs[1] = { run->scores };
	struct rusage before;
	struct rusage after;
	uint64_t begun;
	uint64_t duration;
	uint32_t index;

	/* Bags have a value each: all that is counted is as many as rows. */
	for (index = 0; index < signature->symbol_count; index++)
		symbols[index] = batch->rows;
	for (index = 0; index < signature->input_count; index++)
		inputs[index] = batch->inputs[run->order[index]];
	memset(run->status, 0, batch->rows * sizeof(*run->status));
	getrusage(RUSAGE_THREAD, &before);
	begun = ticks();
	engine_run(run->engine, symbols, inputs, outputs, run->status);
	duration = ticks() - begun;
	getrusage(RUSAGE_THREAD, &after);
	run->faults += (uint64_t)(after.ru_minflt - before.ru_minflt + after.ru_majflt -
				  before.ru_majflt);
	samples_add(&run->samples, duration);
	return (double)duration * tick_ns();
}

void ranking_run_size(struct ranking_run *run, uint32_t rows)
{
	double guess_ns;
	uint32_t batch;

	batches_free(run);
	run->rows = rows;
	for (batch = 0; batch < RANKING_BATCHES_MAX; batch++)
		network_batch_init(run->batches + batch, &run->network, rows);
	network_draw(&run->network, run->batches);
	ranking_run_ns(run, run->batches);
	guess_ns = ranking_run_ns(run, run->batches);
	run->batch_count = guess_ns * RANKING_BATCHES_MAX < SLICE_NS ? RANKING_BATCHES_MAX :
			   guess_ns > SLICE_NS			     ? 1 :
								       (uint32_t)(SLICE_NS / guess_ns);
	run->faults = 0;
}

double ranking_run_slice_ns(struct ranking_run *run)
{
	uint32_t batch;

	for (batch = 0; batch < run->batch_count; batch++)
		network_draw(&run->network, run->batches + batch);
	run->samples.count = 0;
	for (batch = 0; batch < run->batch_count; batch++)
		ranking_run_ns(run, run->batches + batch);
	return samples_middle_ns(&run->samples);
}
