/* SPDX-License-Identifier: MIT */
/*
 * tests/places/test_clocks.c - a deadline means the same time whatever the two clocks show
 *
 * Nothing here is bounded by a guess of how fast the machine is: a client measures by its own clock
 * how long its connection took to open, and by no more than that its idea of the daemon's clock may
 * lag behind.
 */
#include <check.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "client/hearth.h"
#include "places.h"
#include "tests/system/appliance.h"
#include "tests/system/crowd.h"

#define EXIT_SKIP 77
#define TIMEOUT_S 110
#define NS_PER_S INT64_C(1000000000)
#define DEADLINE_NS INT64_C(50000000) /* and twice the time that opening took */
#define ITEMS (UINT32_C(1) << 19)
#define HOUR "3600"
#define TWO_HOURS "7200"

/* A clock cannot be moved to before the start of its machine, so the other one is moved ahead. */
struct pair {
	const char *daemon_s; /* its clock is so far ahead of this machine's */
	const char *client_s;
};

static const struct pair pairs[] = {
	{ HOUR, TWO_HOURS }, { "0", HOUR }, { HOUR, "0" }, { HOUR, HOUR }, { TWO_HOURS, HOUR },
};

enum phase {
	PHASE_SERVED = 1,
	PHASE_SUSPEND, /* the client wants the daemon to stand still */
	PHASE_SUSPENDED,
	PHASE_RESUME,
};

struct client {
	const char *socket;
	struct pair pair;
	uint64_t *phase; /* shared with the test */
	struct hearth *hearth;
	int64_t open_ns; /* how long opening took: no clock was read more wrongly */
	int64_t deadline_ns;
};

static void client_open(struct client *client)
{
	struct hearth_options options = { .size = sizeof(options),
					  .slots = 4,
					  .request_area_bytes = 65536,
					  .response_area_bytes = ITEMS * sizeof(uint64_t) };
	const struct hearth_info *info;
	int64_t shift_ns = (atoll(client->pair.daemon_s) - atoll(client->pair.client_s)) * NS_PER_S;
	int64_t since_ns = crowd_now_ns();

	must(hearth_open(client->socket, &options, &client->hearth) == 0, "not opened");
	client->open_ns = crowd_now_ns() - since_ns;
	client->deadline_ns = DEADLINE_NS + 2 * client->open_ns;
	must(hearth_about(client->hearth, &info) == 0, "nothing is known");
	must(info->clock_offset_ns <= shift_ns &&
		     info->clock_offset_ns >= shift_ns - client->open_ns,
	     "the daemon's clock is %" PRId64 " ns ahead, not %" PRId64, info->clock_offset_ns,
	     shift_ns);
}

static const struct hearth_completion *take(struct hearth *hearth)
{
	const struct hearth_completion *completion;

	do {
		must(hearth_wait(hearth, CROWD_PATIENCE_NS, &completion) == 0, "no answer");
	} while (completion->kind == HEARTH_PROGRESS);
	return completion;
}

/* A stream that reaches its deadline does so when the time has come, and not before. */
static void deadline_is_not_early(const struct client *client)
{
	const struct hearth_completion *completion;
	struct hearth_request *request;
	int64_t since_ns = crowd_now_ns();
	int64_t took_ns;

	must(hearth_acquire_stream_test(client->hearth, ITEMS, &request) == 0, "no room");
	request->deadline_ns = hearth_deadline(client->hearth, client->deadline_ns);
	must(hearth_submit(client->hearth, request) == 0, "not submitted");
	completion = take(client->hearth);
	took_ns = crowd_now_ns() - since_ns;
	must(completion->status == -ETIME || completion->response_bytes == ITEMS * sizeof(uint64_t),
	     "status %d after %" PRId64 " ns", completion->status, took_ns);
	must(completion->status != -ETIME || took_ns >= client->deadline_ns - client->open_ns,
	     "it passed after %" PRId64 " ns", took_ns);
	must(hearth_release(client->hearth, completion->id) == 0, "not released");
}

/* Nothing is taken while the daemon stands still, until the deadline has passed here. */
static void deadline_is_not_late(const struct client *client, const struct hearth_model_info *model)
{
	const struct hearth_completion *completion;
	struct hearth_request *request;

	crowd_write(client->phase, PHASE_SUSPEND);
	await(crowd_read(client->phase) == PHASE_SUSPENDED);
	must(hearth_acquire(client->hearth, model, 1, &request) == 0, "no room");
	request->deadline_ns = hearth_deadline(client->hearth, client->deadline_ns);
	must(hearth_submit(client->hearth, request) == 0, "not submitted");
	crowd_pause_ns(client->deadline_ns);
	crowd_write(client->phase, PHASE_RESUME);
	completion = take(client->hearth);
	must(completion->status == -ETIME, "status %d after the deadline", completion->status);
	must(hearth_release(client->hearth, completion->id) == 0, "not released");
}

static uint64_t parts_ns(const struct hearth_completion *completion)
{
	return (uint64_t)completion->ring_ns + completion->queue_ns + completion->batch_ns +
	       completion->execute_ns;
}

/* What a completion says about its parts is not more than passed here altogether. */
static void answer_comes_in_time(const struct client *client, const struct hearth_model_info *model)
{
	const struct hearth_completion *completion;
	struct hearth_request *request;
	int64_t since_ns;
	int64_t took_ns;

	must(hearth_acquire(client->hearth, model, 1, &request) == 0, "no room");
	for (uint32_t input = 0; input < request->input_count; input++)
		memset(request->inputs[input].data, 0, request->inputs[input].bytes);
	since_ns = crowd_now_ns();
	request->deadline_ns = hearth_deadline(client->hearth, CROWD_PATIENCE_NS);
	must(hearth_submit(client->hearth, request) == 0, "not submitted");
	completion = take(client->hearth);
	took_ns = crowd_now_ns() - since_ns;
	must(completion->status == 0, "status %d", completion->status);
	must(parts_ns(completion) <= (uint64_t)(took_ns + client->open_ns) &&
		     completion->execute_ns > 0,
	     "parts of %u + %u + %u + %u ns in %" PRId64, completion->ring_ns, completion->queue_ns,
	     completion->batch_ns, completion->execute_ns, took_ns);
	must(hearth_release(client->hearth, completion->id) == 0, "not released");
}

static void client_run(void *argument)
{
	struct client *client = argument;
	const struct hearth_model_info *model;
	char word[32];

	snprintf(word, sizeof(word), "clock=%s", client->pair.client_s);
	must(place_enter((const char *[]){ word, NULL }) == 0, "no time namespace");
	client_open(client);
	must(hearth_model(client->hearth, "shoppers", 0, &model) == 0, "no model");
	deadline_is_not_early(client);
	deadline_is_not_late(client, model);
	answer_comes_in_time(client, model);
	hearth_close(client->hearth);
}

START_TEST(a_deadline_means_the_same_time_whatever_the_clocks_show)
{
	struct client client = { .pair = pairs[_i] };
	struct appliance appliance;
	pid_t pid;
	char word[32];
	const char *const wrapper[] = { PLACE_WRAPPER, word, PLACE_END };

	snprintf(word, sizeof(word), "clock=%s", client.pair.daemon_s);
	appliance_init(&appliance);
	appliance.wrapper = wrapper;
	appliance_start(&appliance, NULL);
	client.socket = appliance.socket;
	client.phase = crowd_share(sizeof(*client.phase));
	crowd_write(client.phase, PHASE_SERVED);
	pid = crowd_start(client_run, &client);
	await(crowd_read(client.phase) == PHASE_SUSPEND || waitpid(pid, NULL, WNOHANG) != 0);
	must(crowd_read(client.phase) == PHASE_SUSPEND, "the client has failed");
	appliance_suspend(&appliance);
	crowd_write(client.phase, PHASE_SUSPENDED);
	await(crowd_read(client.phase) == PHASE_RESUME);
	appliance_resume(&appliance);
	crowd_finish(pid);
	appliance_close(&appliance);
}
END_TEST

int main(int argc, char **argv)
{
	Suite *suite = suite_create("clocks");
	TCase *brief = tcase_create("brief"); /* alone on a slow machine: test_guest.sh */
	TCase *clocks = tcase_create("clocks");
	int r;

	place_main(argc, argv);
	r = place_try((const char *[]){ "clock=" HOUR, NULL });
	if (r < 0) {
		printf("SKIP: no time namespace can be made here: %s\n", strerror(-r));
		return EXIT_SKIP;
	}
	tcase_set_timeout(brief, TIMEOUT_S);
	tcase_add_loop_test(brief, a_deadline_means_the_same_time_whatever_the_clocks_show, 0, 1);
	suite_add_tcase(suite, brief);
	tcase_set_timeout(clocks, TIMEOUT_S);
	tcase_add_loop_test(clocks, a_deadline_means_the_same_time_whatever_the_clocks_show, 1,
			    sizeof(pairs) / sizeof(pairs[0]));
	suite_add_tcase(suite, clocks);
	return appliance_check(suite);
}
