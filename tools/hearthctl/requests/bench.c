/* SPDX-License-Identifier: MIT */
/*
 * tools/hearthctl/requests/bench.c - a model under load: closed loop, or open loop at a rate
 *
 * Closed: each client keeps `concurrency` requests in flight; latency runs
 * from submit to the moment the answer is seen. Open: arrivals are drawn ahead
 * of time (Poisson), and latency runs from the moment a request was due, so a
 * daemon that stalls pays for every request that had to wait (no coordinated
 * omission). Arrivals due before the end are sent even when they are late, for
 * at most as long again; what is left then counts as an error.
 */

#include <inttypes.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/prctl.h>

#include "base/clock.h"
#include "tools/hearthctl/chart.h"
#include "tools/hearthctl/requests/feed.h"
#include "tools/hearthctl/requests/session.h"
#include "tools/hearthctl/row.h"
#include "tools/hearthctl/table.h"

#define SECONDS 5
#define RANDOM_ROWS_MIN 1024
#define SPLIT_PARTS 4
#define POLL_NS 60000 /* a sleep ends about this late; the rest is polled where there are CPUs */
#define SLEEP_NS_MAX 50000000

static const char *const split_names[SPLIT_PARTS] = {"ring", "queue", "batch", "execute"};

/* What every client shares, read-only once they run. */
struct bench {
	const struct invocation *invocation;
	struct feed feed;
	struct hearth_options options;
	uint32_t batch_rows; /* that the feed cuts off; 1: it cannot */
	uint32_t request_rows; /* that a request has in any case */
	uint32_t version;
	uint32_t concurrency; /* 0: open loop */
	double gap_ns;	      /* mean, of one client */
	bool may_poll;
	pthread_barrier_t barrier;
};

struct client {
	pthread_t thread;
	const struct bench *bench;
	struct hearth *hearth;
	const struct hearth_model_info *model;
	uint32_t in_flight;
	uint32_t next_row;
	uint64_t chance;
	uint64_t begin_ns;
	uint64_t end_ns;
	struct histogram histogram;
	uint64_t split_ns[SPLIT_PARTS]; /* sums */
	uint64_t error_count;
	char error[256]; /* the first one */
	int code;	 /* of a failure that ended this client */
};

/* -EAGAIN when there is no room until something completes. */
static int client_submit(struct client *client, uint64_t due_ns)
{
	const struct bench *bench = client->bench;
	struct hearth_request *request;
	int r;

	r = feed_acquire(&bench->feed, client->hearth, client->model, bench->batch_rows, &request);
	if (r < 0)
		return r;
	feed_fill(&bench->feed, client->next_row,
		  bench->feed.row_symbol >= 0 ? bench->batch_rows : 1, request);
	client->next_row = (client->next_row + bench->batch_rows) % bench->feed.row_count;
	request->user_data = due_ns;
	request->version = bench->invocation->version;
	r = hearth_submit(client->hearth, request);
	if (r == 0)
		client->in_flight++;
	return r;
}

static int client_take(struct client *client, const struct hearth_completion *completion)
{
	client->in_flight--;
	if (completion->status < 0) {
		if (client->error_count++ == 0)
			snprintf(client->error, sizeof(client->error), "%s",
				 hearth_completion_strerror(client->hearth, completion));
	} else {
		histogram_record(&client->histogram, clock_ns() - completion->user_data);
		client->split_ns[0] += completion->ring_ns;
		client->split_ns[1] += completion->queue_ns;
		client->split_ns[2] += completion->batch_ns;
		client->split_ns[3] += completion->execute_ns;
	}
	return hearth_release(client->hearth, completion->id);
}

/* Takes one completion, waiting for it until `until_ns` at most; -EAGAIN when none came. */
static int client_wait(struct client *client, uint64_t until_ns)
{
	const struct hearth_completion *completion;
	uint64_t now_ns = clock_ns();
	int r;

	if (until_ns <= now_ns)
		r = hearth_peek(client->hearth, &completion);
	else
		r = hearth_wait(client->hearth, (int64_t)(until_ns - now_ns), &completion);
	if (r == -ETIMEDOUT)
		return -EAGAIN;
	return r < 0 ? r : client_take(client, completion);
}

/* What is still in flight, for as long as an answer may take. */
static int client_drain(struct client *client)
{
	uint64_t until_ns = clock_ns() + (uint64_t)session_timeout_ns(client->bench->invocation);

	while (client->in_flight > 0) {
		int r = client_wait(client, until_ns);
		if (r == -EAGAIN && clock_ns() >= until_ns)
			return -ETIMEDOUT;
		if (r < 0 && r != -EAGAIN)
			return r;
	}
	return 0;
}

static int closed_loop_run(struct client *client, uint64_t stop_ns)
{
	uint64_t silent_ns = clock_ns();
	uint64_t limit_ns = (uint64_t)session_timeout_ns(client->bench->invocation);

	for (;;) {
		uint64_t now_ns = clock_ns();
		int r = 0;
		if (now_ns >= stop_ns)
			break;
		while (r == 0 && client->in_flight < client->bench->concurrency)
			r = client_submit(client, clock_ns());
		if (r < 0 && (r != -EAGAIN || client->in_flight == 0))
			return r;
		r = client_wait(client, now_ns + SLEEP_NS_MAX);
		if (r == 0)
			silent_ns = now_ns;
		else if (r != -EAGAIN)
			return r;
		else if (now_ns - silent_ns > limit_ns)
			return -ETIMEDOUT;
	}
	return client_drain(client);
}

/* Until `due_ns`, or until a completion came. */
static int open_loop_pause(struct client *client, uint64_t due_ns)
{
	uint64_t now_ns = clock_ns();
	uint64_t until_ns = client->bench->may_poll ? due_ns - POLL_NS : due_ns;

	if (client->bench->may_poll && now_ns + POLL_NS >= due_ns)
		return client_wait(client, 0);
	if (client->in_flight > 0)
		return client_wait(client, until_ns);
	if (until_ns > now_ns + SLEEP_NS_MAX)
		until_ns = now_ns + SLEEP_NS_MAX;
	if (until_ns > now_ns) {
		struct timespec until = clock_timespec(until_ns);
		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
	}
	return client_wait(client, 0);
}

static uint64_t gap_draw(struct client *client)
{
	double gap_ns = -log1p(-chance_real(&client->chance)) * client->bench->gap_ns;

	return gap_ns < 1e18 ? (uint64_t)gap_ns : (uint64_t)1e18;
}

static int open_loop_run(struct client *client, uint64_t stop_ns)
{
	uint64_t due_ns = client->begin_ns + gap_draw(client);
	uint64_t last_ns = stop_ns + (stop_ns - client->begin_ns);

	while (due_ns < stop_ns) {
		uint64_t now_ns = clock_ns();
		int r;
		if (now_ns >= last_ns)
			break;
		r = now_ns >= due_ns ? client_submit(client, due_ns) : -EAGAIN;
		if (r == 0) {
			due_ns += gap_draw(client);
			r = client_wait(client, 0);
		} else if (r == -EAGAIN) {
			/* Late and without room: only a completion helps. */
			r = now_ns >= due_ns ? client_wait(client, now_ns + SLEEP_NS_MAX)
					     : open_loop_pause(client, due_ns);
		}
		if (r < 0 && r != -EAGAIN)
			return r;
	}
	for (; due_ns < stop_ns; due_ns += gap_draw(client))
		if (client->error_count++ == 0)
			snprintf(client->error, sizeof(client->error),
				 "the rate is more than the daemon serves: requests were not sent "
				 "in time");
	return client_drain(client);
}

static int client_open(struct client *client)
{
	int code =
		session_open(client->bench->invocation, &client->bench->options, &client->hearth);

	if (code != EXIT_OK)
		return code;
	return session_model(client->bench->invocation, client->hearth, &client->model);
}

static void *client_main(void *argument)
{
	struct client *client = argument;
	const struct bench *bench = client->bench;
	double seconds = bench->invocation->seconds > 0 ? bench->invocation->seconds : SECONDS;
	uint64_t run_ns = (uint64_t)(seconds * 1e9);
	int r;

	prctl(PR_SET_TIMERSLACK, 1000);
	client->code = client_open(client);
	pthread_barrier_wait((pthread_barrier_t *)&bench->barrier);
	if (client->code != EXIT_OK)
		return NULL;
	client->begin_ns = clock_ns();
	if (bench->concurrency > 0)
		r = closed_loop_run(client, client->begin_ns + run_ns);
	else
		r = open_loop_run(client, client->begin_ns + run_ns);
	client->end_ns = clock_ns();
	/* An open loop is over when nothing more is due, which may be early. */
	if (client->end_ns < client->begin_ns + run_ns)
		client->end_ns = client->begin_ns + run_ns;
	if (r < 0)
		client->code = session_failed(bench->invocation, r);
	return NULL;
}

static uint64_t area_bytes(uint64_t request_bytes, uint64_t count, uint64_t least)
{
	uint64_t bytes;

	/* A quarter more, for what an allocator of powers of two loses. */
	if (__builtin_mul_overflow(request_bytes + request_bytes / 4, count, &bytes) ||
	    bytes > HEARTH_ARENA_BYTES_MAX)
		return HEARTH_ARENA_BYTES_MAX;
	return bytes > least ? bytes : least;
}

static int feed_init(const struct invocation *invocation, const struct hearth_model_info *model,
		     uint32_t batch_rows, struct feed *ret_feed)
{
	uint32_t rows = batch_rows > RANDOM_ROWS_MIN ? batch_rows : RANDOM_ROWS_MIN;

	if (invocation->input_count > 0)
		return feed_from_files(model, invocation->inputs, invocation->input_count,
				       ret_feed);
	/* Rows that cannot be cut are one request, not a stock of rows. */
	return feed_from_chance(model, feed_can_cut(model) ? rows : batch_rows,
				invocation->id_max, invocation->seed, ret_feed);
}

/* Looks at the model over a connection of its own, and sizes the clients' from it. */
static int bench_init(struct bench *bench, const struct invocation *invocation)
{
	const struct hearth_model_info *model;
	struct hearth *hearth = NULL;
	uint32_t slots;
	int code;

	bench->invocation = invocation;
	code = session_open(invocation, NULL, &hearth);
	if (code == EXIT_OK)
		code = session_model(invocation, hearth, &model);
	if (code != EXIT_OK)
		goto out;
	bench->version = model->version;
	bench->batch_rows = invocation->batch_rows > 0 ? invocation->batch_rows : 1;
	if (model->rows_max > 0 && bench->batch_rows > model->rows_max) {
		code = complain(EXIT_USAGE,
				"--batch is %u; model '%s' takes at most %u rows a request",
				bench->batch_rows, model->name, model->rows_max);
		goto out;
	}
	if (feed_init(invocation, model, bench->batch_rows, &bench->feed) < 0) {
		code = complain(EXIT_FAILED, "%s", err_message());
		goto out;
	}
	bench->request_rows = bench->batch_rows;
	if (bench->feed.row_symbol < 0) {
		bench->batch_rows = 1;
		bench->request_rows =
			model->row_symbol < 0 ? 1 : bench->feed.sizes[model->row_symbol];
	}
	if (invocation->rate_per_s > 0)
		bench->gap_ns = 1e9 * invocation->clients / invocation->rate_per_s;
	else
		bench->concurrency = invocation->concurrency > 0 ? invocation->concurrency : 1;
	bench->may_poll = sysconf(_SC_NPROCESSORS_ONLN) > 1;
	slots = bench->concurrency > HEARTH_SLOTS_DEFAULT ? bench->concurrency
							  : HEARTH_SLOTS_DEFAULT;
	bench->options = (struct hearth_options){
		.size = sizeof(bench->options),
		.slots = slots,
		.request_area_bytes =
			area_bytes(feed_request_bytes(&bench->feed, bench->batch_rows),
				   bench->concurrency, HEARTH_REQUEST_ARENA_BYTES_DEFAULT),
		.response_area_bytes =
			area_bytes(feed_response_bytes(&bench->feed, model, bench->batch_rows),
				   bench->concurrency, HEARTH_RESPONSE_ARENA_BYTES_DEFAULT),
	};
out:
	hearth_close(hearth);
	return code;
}

/* Adds the clients up in the first one. */
static struct client *clients_merge(struct client *clients, uint32_t client_count, double *ret_s)
{
	uint64_t begin_ns = clients[0].begin_ns;
	uint64_t end_ns = clients[0].end_ns;
	uint32_t index;
	uint32_t part;

	for (index = 1; index < client_count; index++) {
		const struct client *client = &clients[index];
		histogram_merge(&clients[0].histogram, &client->histogram);
		for (part = 0; part < SPLIT_PARTS; part++)
			clients[0].split_ns[part] += client->split_ns[part];
		if (clients[0].error_count == 0)
			memcpy(clients[0].error, client->error, sizeof(client->error));
		clients[0].error_count += client->error_count;
		begin_ns = client->begin_ns < begin_ns ? client->begin_ns : begin_ns;
		end_ns = client->end_ns > end_ns ? client->end_ns : end_ns;
	}
	*ret_s = end_ns > begin_ns ? (double)(end_ns - begin_ns) / 1e9 : 1e-9;
	return &clients[0];
}

static int report_json(const struct bench *bench, const struct client *total, double elapsed_s)
{
	const struct invocation *invocation = bench->invocation;
	uint64_t count = histogram_count(&total->histogram);
	json_t *row =
		json_pack("{s:s, s:I, s:I, s:I}", "model", invocation->model, "version",
			  (json_int_t)bench->version, "batch_rows", (json_int_t)bench->request_rows,
			  "clients", (json_int_t)invocation->clients);
	uint32_t part;
	int r;

	if (bench->concurrency > 0)
		json_object_set_new(row, "concurrency", json_integer(bench->concurrency));
	else
		json_object_set_new(row, "rate_per_s", json_real(invocation->rate_per_s));
	row_set_percentiles(row, &total->histogram);
	json_object_set_new(row, "rows_per_s",
			    json_real((double)count * bench->request_rows / elapsed_s));
	json_object_set_new(row, "requests_per_s", json_real((double)count / elapsed_s));
	json_object_set_new(row, "errors", json_integer((json_int_t)total->error_count));
	if (total->error_count > 0)
		json_object_set_new(row, "error", json_string(total->error));
	json_object_set_new(row, "elapsed_s", json_real(elapsed_s));
	for (part = 0; part < SPLIT_PARTS; part++) {
		char key[32];
		snprintf(key, sizeof(key), "mean_%s_ns", split_names[part]);
		json_object_set_new(
			row, key,
			json_integer((json_int_t)(count ? total->split_ns[part] / count : 0)));
	}
	r = row_print(row);
	json_decref(row);
	return r < 0 ? complain(EXIT_FAILED, "stdout takes no more") : EXIT_OK;
}

static void report_text(const struct bench *bench, const struct client *total, double elapsed_s)
{
	const struct invocation *invocation = bench->invocation;
	uint64_t count = histogram_count(&total->histogram);
	char text[TEXT_BYTES];
	uint32_t part;

	printf("%s@%u, %u rows a request, ", invocation->model, bench->version, bench->request_rows);
	if (bench->concurrency > 0)
		printf("%u in flight", bench->concurrency);
	else
		printf("%g requests/s wanted", invocation->rate_per_s);
	printf(", %u client%s, %.1f s\n\n", invocation->clients, invocation->clients > 1 ? "s" : "",
	       elapsed_s);
	percentiles_print(&total->histogram, stdout);
	chart_print(&total->histogram, stdout);
	printf("\n%.0f rows/s, %.0f requests/s\n", (double)count * bench->request_rows / elapsed_s,
	       (double)count / elapsed_s);
	fputs("mean", stdout);
	for (part = 0; part < SPLIT_PARTS; part++)
		printf("  %s %s", split_names[part],
		       text_ns(count ? total->split_ns[part] / count : 0, text));
	putchar('\n');
	if (total->error_count > 0)
		printf("%s%" PRIu64 " errors%s; the first: %s\n", style_begin(stdout, TABLE_BAD),
		       total->error_count, style_end(stdout, TABLE_BAD), total->error);
}

static int clients_run_all(struct bench *bench, struct client *clients, uint32_t client_count)
{
	int code = EXIT_OK;
	uint32_t index;
	int error;

	error = pthread_barrier_init(&bench->barrier, NULL, client_count);
	if (error != 0)
		return complain(EXIT_FAILED, "no barrier for the clients: %s", strerror(error));
	for (index = 0; index < client_count; index++) {
		struct client *client = &clients[index];
		client->bench = bench;
		client->chance = bench->invocation->seed * 1000003 + index + 1;
		client->next_row =
			(uint32_t)((uint64_t)bench->feed.row_count * index / client_count);
		error = pthread_create(&client->thread, NULL, client_main, client);
		/* The others wait at the barrier for all, so the program ends here. */
		if (error != 0)
			exit(complain(EXIT_FAILED,
				      "thread %u cannot start: %s; use fewer --clients", index,
				      strerror(error)));
	}
	for (index = 0; index < client_count; index++) {
		pthread_join(clients[index].thread, NULL);
		if (code == EXIT_OK)
			code = clients[index].code;
	}
	pthread_barrier_destroy(&bench->barrier);
	return code;
}

int bench_run(const struct invocation *invocation)
{
	struct bench bench = {0};
	struct client *clients = calloc(invocation->clients, sizeof(*clients));
	const struct client *total;
	double elapsed_s;
	uint32_t index;
	int code;

	if (!clients)
		return complain(EXIT_FAILED, "no memory for %u clients", invocation->clients);
	code = bench_init(&bench, invocation);
	if (code == EXIT_OK)
		code = clients_run_all(&bench, clients, invocation->clients);
	if (code == EXIT_OK) {
		total = clients_merge(clients, invocation->clients, &elapsed_s);
		if (invocation->is_json)
			code = report_json(&bench, total, elapsed_s);
		else
			report_text(&bench, total, elapsed_s);
		if (code == EXIT_OK && histogram_count(&total->histogram) == 0)
			code = complain(EXIT_FAILED, "no request succeeded: %s",
					total->error_count > 0 ? total->error : "none was due");
	}
	for (index = 0; index < invocation->clients; index++)
		hearth_close(clients[index].hearth);
	free(clients);
	feed_deinit(&bench.feed);
	return code;
}
