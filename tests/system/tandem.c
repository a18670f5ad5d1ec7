/* SPDX-License-Identifier: MIT */
/* tests/system/tandem.c - pings and echoes between two CPUs */
#include "tandem.h"

#include <inttypes.h>
#include <stdio.h>

#include "crowd.h"
#include "measure.h"
#include "payload.h"

void tandem_open(struct tandem *tandem, int cpu, int cpu_other, int64_t spin_ns)
{
	char spin_us[24];
	const char *const flags[] = { "--load", "none", "--spin-us", spin_us, NULL };
	struct hearth_options options = { .size = sizeof(options) };
	int r;

	snprintf(spin_us, sizeof(spin_us), "%" PRId64, spin_ns / 1000);
	options.spin_ns = spin_ns > 0 ? spin_ns : -1;
	appliance_open(&tandem->appliance, flags);
	tandem->data_thread = thread_find(tandem->appliance.pid, "hearth-data");
	must(tandem->data_thread > 0, "hearthd has no data thread");
	cpu_pin(tandem->data_thread, cpu_other);
	cpu_pin(0, cpu);
	r = hearth_open(tandem->appliance.socket, &options, &tandem->hearth);
	must(r == 0, "hearth_open: %s", hearth_strerror(r));
}

void tandem_close(struct tandem *tandem)
{
	hearth_close(tandem->hearth);
	appliance_close(&tandem->appliance);
}

static const struct hearth_completion *ask(struct tandem *tandem, struct hearth_request *request)
{
	const struct hearth_completion *completion;
	int r;

	r = hearth_submit(tandem->hearth, request);
	must(r == 0, "submit: %s", hearth_strerror(r));
	r = hearth_wait(tandem->hearth, -1, &completion);
	must(r == 0 && completion->status == 0, "wait: %s", hearth_strerror(r));
	return completion;
}

static void release(struct tandem *tandem, const struct hearth_completion *completion)
{
	int r;

	r = hearth_release(tandem->hearth, completion->id);
	must(r == 0, "release: %s", hearth_strerror(r));
}

void tandem_ping(struct tandem *tandem)
{
	struct hearth_request *request;
	int r;

	r = hearth_acquire_ping(tandem->hearth, &request);
	must(r == 0, "acquire: %s", hearth_strerror(r));
	release(tandem, ask(tandem, request));
}

void tandem_echo(struct tandem *tandem, uint32_t bytes, uint64_t turn)
{
	const struct hearth_completion *completion;
	struct hearth_request *request;
	int r;

	r = hearth_acquire_echo(tandem->hearth, bytes, &request);
	must(r == 0, "acquire: %s", hearth_strerror(r));
	payload_write(request->inputs[0].data, bytes, turn);
	completion = ask(tandem, request);
	must(completion->response_bytes == bytes &&
		     payload_check(completion->response, bytes, turn),
	     "the daemon echoed something else");
	release(tandem, completion);
}

void tandem_rest(struct tandem *tandem)
{
	thread_await_sleep(tandem->appliance.pid, tandem->data_thread);
}
