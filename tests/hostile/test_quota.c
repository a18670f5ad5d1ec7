/* SPDX-License-Identifier: MIT */
/*
 * tests/hostile/test_quota.c - what a user may hold, and what its part is when others ask too
 */
#include <check.h>
#include <errno.h>
#include <liburing.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "client/hearth.h"
#include "intruder.h"
#include "tests/system/appliance.h"
#include "tests/system/crowd.h"
#include "tests/system/metric.h"
#include "tests/system/shoppers.h"

#define TIMEOUT_S 110
#define AREA_BYTES 65536
#define SLOTS 4
#define NOBODY 65534
#define BACKLOG_REQUESTS 32
#define BACKLOG_ROWS 512
#define BACKLOG_CLIENTS 7
#define MEM_CLIENTS 50

static json_t *user_row(const struct appliance *appliance, uint32_t uid)
{
	json_t *rows = appliance_rows(appliance, "users");
	json_t *found = NULL;
	json_t *row;
	size_t index;

	json_array_foreach(rows, index, row)
		if (json_integer_value(json_object_get(row, "uid")) == uid)
			found = json_deep_copy(row);
	json_decref(rows);
	return found;
}

static uint64_t user_number(const struct appliance *appliance, uint32_t uid, const char *key)
{
	json_t *row = user_row(appliance, uid);
	uint64_t value = (uint64_t)json_integer_value(json_object_get(row, key));

	json_decref(row);
	return value;
}

static uint64_t refused(const struct appliance *appliance, const char *list, const char *reason)
{
	json_t *row = user_row(appliance, geteuid());
	json_t *reasons = json_object_get(row, list);
	uint64_t count = (uint64_t)json_integer_value(json_object_get(reasons, reason));

	json_decref(row);
	return count;
}

/* --- what is held -------------------------------------------------------------------------------- */

START_TEST(a_process_reconnects_for_ever_within_its_quota)
{
	static const char *const flags[] = { "--clients-per-uid", "2", "--arena-bytes-per-uid",
					     "256K", NULL };
	struct appliance appliance;
	struct intruder intruder;
	uint32_t count;

	appliance_open(&appliance, flags);
	for (count = 0; count < 1000; count++) {
		/* Ever other sizes, one of which is all that the user may have. */
		intruder_open(&intruder, appliance.socket, 1u << count % 3,
			      AREA_BYTES << count % 2, AREA_BYTES);
		intruder_ping(&intruder, UINT64_C(1) << 32);
		/* The daemon may still be at it when the next one comes. */
		intruder_close(&intruder);
	}
	await(user_number(&appliance, geteuid(), "connections") == 0);
	ck_assert_uint_eq(appliance_number(&appliance, "kept"), 0);
	ck_assert_uint_eq(user_number(&appliance, geteuid(), "arena_bytes"), 0);
	ck_assert_uint_eq(user_number(&appliance, geteuid(), "slots"), 0);
	ck_assert_uint_eq(user_number(&appliance, geteuid(), "connections"), 0);
	appliance_close(&appliance);
}
END_TEST

/* Connects again and again and keeps every map, in a child of its own when it has exited itself. */
static void hoard(void *argument)
{
	const struct appliance *appliance = argument;
	struct intruder intruders[12];
	uint32_t index;
	int r = 0;

	for (index = 0; index < 12 && r == 0; index++) {
		must(intruder_connect(intruders + index, appliance->socket) == 0, "no connection");
		r = intruder_greet(intruders + index, SLOTS, 4096, 4096);
		if (r == 0) {
			intruder_enter(intruders + index);
			intruder_ping(intruders + index, UINT64_C(1) << 32);
		}
		close(intruders[index].fd);
		if (r == 0)
			await(appliance_number(appliance, "kept") == index + 1);
	}
	must(index == 9 && r == -EDQUOT, "%u connections, then %d", index, r);
	must(strstr(intruders[index - 1].reply.text, "8 of them ended and their segments held"),
	     "%s", intruders[index - 1].reply.text);
	/* One map for writing is enough to hold a pair, and the other maps of it are not. */
	for (index = 0; index < 4; index++) {
		munmap(intruders[index].base, intruders[index].layout.client_bytes);
		await(appliance_number(appliance, "kept") == 7 - index);
		munmap((void *)(uintptr_t)intruders[index + 4].daemon_base,
		       intruders[index + 4].layout.daemon_bytes);
		must(appliance_number(appliance, "kept") == 7 - index, "one less is kept");
	}
}

START_TEST(who_keeps_old_segments_has_them_on_its_account)
{
	static const char *const flags[] = { "--clients-per-uid", "8", NULL };
	struct appliance appliance;
	uint32_t descriptors;

	appliance_open(&appliance, flags);
	descriptors = appliance_descriptors(&appliance);
	crowd_finish(crowd_start(hoard, &appliance));
	await(appliance_number(&appliance, "kept") == 0);
	ck_assert_uint_eq(user_number(&appliance, geteuid(), "connections"), 0);
	ck_assert_uint_eq(user_number(&appliance, geteuid(), "arena_bytes"), 0);
	ck_assert_uint_eq(refused(&appliance, "refused_connections", "connections"), 1);
	appliance_await_clients(&appliance, 0, descriptors);
	appliance_close(&appliance);
}
END_TEST

/* Its only client has gone and left its segment. In between it is leaving: served no more, and not
 * kept yet. */
static void await_kept(const struct appliance *appliance)
{
	await(appliance_number(appliance, "clients") == 0);
	await(appliance_number(appliance, "kept") == 1);
}

/* Leaves a map to a child, and tells which. */
static void bequeath(void *argument)
{
	const struct appliance *appliance = argument;
	struct intruder intruder;
	pid_t child;

	intruder_open(&intruder, appliance->socket, SLOTS, 4096, 4096);
	intruder_ping(&intruder, UINT64_C(1) << 32);
	child = fork();
	must(child >= 0, "cannot fork");
	if (child == 0) {
		close(intruder.fd);
		pause();
	}
	must(write(appliance->control_fd, &child, sizeof(child)) == sizeof(child), "cannot tell");
}

START_TEST(a_map_that_is_left_to_a_child_stays_on_the_account)
{
	struct appliance appliance;
	struct appliance heir;
	pid_t child;
	int ends[2];

	appliance_open(&appliance, NULL);
	ck_assert_int_eq(pipe(ends), 0);
	heir = appliance;
	heir.control_fd = ends[1];
	crowd_finish(crowd_start(bequeath, &heir));
	ck_assert_int_eq(read(ends[0], &child, sizeof(child)), sizeof(child));
	await_kept(&appliance);
	ck_assert_uint_eq(user_number(&appliance, geteuid(), "connections"), 1);
	kill(child, SIGKILL);
	await(appliance_number(&appliance, "kept") == 0);
	close(ends[0]);
	close(ends[1]);
	appliance_close(&appliance);
}
END_TEST

/* The kernel waits for pinned pages before it says that they are. */
START_TEST(pinned_pages_cost_the_daemon_a_part_of_its_time)
{
	struct appliance appliance;
	struct intruder intruder;
	struct io_uring ring;
	struct iovec pages;
	int64_t begun_ns;
	uint32_t turn;

	appliance_open(&appliance, NULL);
	if (io_uring_queue_init(4, &ring, 0) < 0) {
		puts("SKIP: no io_uring to pin pages with");
		appliance_close(&appliance);
		return;
	}
	intruder_open(&intruder, appliance.socket, SLOTS, 4096, 4096);
	intruder_ping(&intruder, UINT64_C(1) << 32);
	pages = (struct iovec){ intruder.base, intruder.layout.client_bytes };
	ck_assert_int_eq(io_uring_register_buffers(&ring, &pages, 1), 0);
	intruder_close(&intruder);
	await_kept(&appliance);
	/* Each question has it look again: every look would cost the kernel's whole patience. */
	begun_ns = crowd_now_ns();
	for (turn = 0; turn < 100; turn++)
		ck_assert_uint_eq(appliance_number(&appliance, "kept"), 1);
	printf("100 questions beside pinned pages: %.1f ms\n",
	       (double)(crowd_now_ns() - begun_ns) / 1e6);
	io_uring_queue_exit(&ring);
	await(appliance_number(&appliance, "kept") == 0);
	appliance_close(&appliance);
}
END_TEST

/* --- what is refused ----------------------------------------------------------------------------- */

START_TEST(every_refusal_is_counted_by_its_reason)
{
	struct hearth_request_slot slot = { .id = UINT64_C(1) << 32, .operation = 99 };
	struct appliance appliance;
	struct intruder intruder;
	json_t *rows;
	json_t *reasons;

	appliance_open(&appliance, NULL);
	intruder_open(&intruder, appliance.socket, SLOTS, AREA_BYTES, AREA_BYTES);
	intruder_push(&intruder, &slot);
	ck_assert_int_eq(intruder_take(&intruder).status, -EOPNOTSUPP);
	slot.id = (UINT64_C(1) << 32) | SLOTS;
	intruder_push(&intruder, &slot);
	ck_assert_int_eq(intruder_take(&intruder).status, -EINVAL);
	slot = (struct hearth_request_slot){ .id = UINT64_C(2) << 32, .operation = HEARTH_OP_INFER,
					     .deadline_ns = 1 };
	intruder_push(&intruder, &slot);
	ck_assert_int_eq(intruder_take(&intruder).status, -ETIME);

	rows = appliance_rows(&appliance, "clients");
	reasons = json_object_get(json_array_get(rows, 0), "refused");
	ck_assert_uint_eq(json_object_size(reasons), 3);
	ck_assert_int_eq(json_integer_value(json_object_get(reasons, "unsupported")), 1);
	ck_assert_int_eq(json_integer_value(json_object_get(reasons, "malformed")), 1);
	ck_assert_int_eq(json_integer_value(json_object_get(reasons, "expired")), 1);
	json_decref(rows);

	/* The account outlives the connection. */
	intruder_close(&intruder);
	await(appliance_number(&appliance, "clients") == 0);
	ck_assert_uint_eq(refused(&appliance, "refused", "expired"), 1);

	must(intruder_connect(&intruder, appliance.socket) == 0, "no connection");
	ck_assert_int_eq(intruder_greet(&intruder, HEARTH_SLOTS_MAX + 1, 0, 0), -EINVAL);
	intruder_close(&intruder);
	ck_assert_uint_eq(refused(&appliance, "refused_connections", "handshake"), 1);
	appliance_close(&appliance);
}
END_TEST

/* --- fair shares --------------------------------------------------------------------------------- */

/* A backlog of one client, made while the daemon stands still. */
struct backlog {
	const struct appliance *appliance;
	uid_t uid;
	uint64_t *go;
	uint64_t *opened;
	uint64_t *submitted;
	uint64_t *ended_ns; /* [BACKLOG_REQUESTS], the daemon's time */
};

static void backlog_run(void *argument)
{
	const struct backlog *plan = argument;
	struct hearth_options options = { .size = sizeof(options), .slots = BACKLOG_REQUESTS,
					  .request_area_bytes = 4 << 20,
					  .response_area_bytes = 1 << 20 };
	const struct hearth_completion *completion;
	const struct hearth_model_info *model;
	struct hearth_request *request;
	struct hearth *hearth;
	uint32_t index;
	int r;

	if (plan->uid != geteuid())
		must(setresuid(plan->uid, plan->uid, plan->uid) == 0, "cannot be uid %u", plan->uid);
	r = hearth_open(plan->appliance->socket, &options, &hearth);
	must(r == 0, "hearth_open: %s", hearth_strerror(r));
	must(hearth_model(hearth, "shoppers", 0, &model) == 0, "no model");
	crowd_add(plan->opened, 1);
	await(crowd_read(plan->go));
	for (index = 0; index < BACKLOG_REQUESTS; index++) {
		r = hearth_acquire(hearth, model, BACKLOG_ROWS, &request);
		must(r == 0, "hearth_acquire: %s", hearth_strerror(r));
		shoppers_fill(request, model, 0, BACKLOG_ROWS);
		request->user_data = (uint64_t)crowd_now_ns();
		must(hearth_submit(hearth, request) == 0, "cannot submit");
	}
	crowd_add(plan->submitted, 1);
	for (index = 0; index < BACKLOG_REQUESTS; index++) {
		r = hearth_wait(hearth, CROWD_PATIENCE_NS, &completion);
		must(r == 0 && completion->status == 0, "an answer: %d", r);
		plan->ended_ns[index] = completion->user_data + completion->ring_ns +
					completion->queue_ns + completion->batch_ns +
					completion->execute_ns;
		hearth_release(hearth, completion->id);
	}
	hearth_close(hearth);
}

START_TEST(users_get_equal_parts_however_many_clients_they_have)
{
	struct backlog backlogs[BACKLOG_CLIENTS];
	pid_t processes[BACKLOG_CLIENTS];
	uint64_t *words = crowd_share(3 * sizeof(*words));
	struct appliance appliance;
	uint64_t last_ns = 0;
	uint32_t others = 0;
	uint32_t index;
	uint32_t request;

	if (geteuid() != 0) {
		puts("SKIP: only root can be two users");
		return;
	}
	appliance_open(&appliance, NULL);
	appliance_let_others_in(&appliance);
	for (index = 0; index < BACKLOG_CLIENTS; index++) {
		/* The last one is alone of its user. */
		backlogs[index] = (struct backlog){
			&appliance, index == BACKLOG_CLIENTS - 1 ? NOBODY : 0, words, words + 1,
			words + 2, crowd_share(BACKLOG_REQUESTS * sizeof(uint64_t)),
		};
		processes[index] = crowd_start(backlog_run, backlogs + index);
	}
	await(crowd_read(words + 1) == BACKLOG_CLIENTS);
	appliance_suspend(&appliance);
	crowd_write(words, 1);
	await(crowd_read(words + 2) == BACKLOG_CLIENTS);
	appliance_resume(&appliance);
	for (index = 0; index < BACKLOG_CLIENTS; index++)
		crowd_finish(processes[index]);

	for (request = 0; request < BACKLOG_REQUESTS; request++)
		if (backlogs[BACKLOG_CLIENTS - 1].ended_ns[request] > last_ns)
			last_ns = backlogs[BACKLOG_CLIENTS - 1].ended_ns[request];
	for (index = 0; index < BACKLOG_CLIENTS - 1; index++)
		for (request = 0; request < BACKLOG_REQUESTS; request++)
			others += backlogs[index].ended_ns[request] <= last_ns;
	/* As many as its own; its sisters' all, if clients instead of users took turns. */
	printf("when %d requests of one user's only client are answered, so are %u of the %d of "
	       "another's %d\n", BACKLOG_REQUESTS, others, BACKLOG_REQUESTS * (BACKLOG_CLIENTS - 1),
	       BACKLOG_CLIENTS - 1);
	ck_assert_uint_le(others, 2 * BACKLOG_REQUESTS);
	ck_assert_uint_gt(user_number(&appliance, 0, "deferred_total"), 0);
	appliance_close(&appliance);
}
END_TEST

static int ask(const struct appliance *appliance, const char *verb)
{
	char question[64];

	snprintf(question, sizeof(question), "{\"verb\": \"%s\"}", verb);
	return appliance_ask(appliance->socket, question, NULL, NULL);
}

/* Of all that is mapped, which grows with each client. */
static uint64_t mapped_bytes(const struct appliance *appliance)
{
	json_t *rows;
	json_t *sum;
	uint64_t bytes;

	must(appliance_ask(appliance->socket, "{\"verb\": \"mem\"}", &rows, NULL) == 0,
	     "mem is not told");
	sum = json_array_get(rows, json_array_size(rows) - 1);
	bytes = (uint64_t)json_integer_value(json_object_get(sum, "mapped_bytes"));
	must(bytes > 0, "mem has no sum");
	json_decref(rows);
	return bytes;
}

/* Of an answer without the client that came before it: it is what was told the last time. */
static uint64_t mem_remembered(const struct appliance *appliance)
{
	struct intruder intruder;
	uint64_t bytes = 0;

	for (uint32_t count = 0; count < MEM_CLIENTS; count++) {
		bytes = mapped_bytes(appliance);
		intruder_open(&intruder, appliance->socket, SLOTS, AREA_BYTES, AREA_BYTES);
		if (mapped_bytes(appliance) == bytes)
			return bytes;
	}
	must(false, "mem made each of its answers");
	return bytes;
}

/* The time of the control thread, which grows with each answer that it makes, is in it. */
static bool metrics_are_remembered(const struct appliance *appliance)
{
	char *first = metric_text(appliance, "status");
	char *second = metric_text(appliance, "status");
	bool is_same = strcmp(first, second) == 0;

	free(first);
	free(second);
	return is_same;
}

static void ask_without_rest(void *argument)
{
	const struct appliance *appliance = argument;
	uint64_t bytes;

	must(setresuid(NOBODY, NOBODY, NOBODY) == 0, "cannot be another user");
	for (uint32_t question = 0; question < 10; question++)
		must(ask(appliance, "mem") == 0, "all memory is not told");
	bytes = mem_remembered(appliance);
	await(mapped_bytes(appliance) > bytes);
	await(metrics_are_remembered(appliance));
	await(!metrics_are_remembered(appliance));
	must(ask(appliance, "trace") == 0, "the first question is not answered");
	await(ask(appliance, "trace") == -EAGAIN);
	await(ask(appliance, "trace") == 0);
}

START_TEST(who_asks_for_much_rests_in_between_and_root_need_not)
{
	struct appliance appliance;

	if (geteuid() != 0) {
		puts("SKIP: only root can be two users");
		return;
	}
	appliance_open(&appliance, NULL);
	appliance_let_others_in(&appliance);
	crowd_finish(crowd_start(ask_without_rest, &appliance));
	for (uint32_t question = 0; question < 10; question++)
		ck_assert_int_eq(ask(&appliance, "trace"), 0);
	appliance_close(&appliance);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("quota");
	TCase *held = tcase_create("held");
	TCase *refusals = tcase_create("refused");
	TCase *shares = tcase_create("shares");

	tcase_set_timeout(held, TIMEOUT_S);
	tcase_add_test(held, a_process_reconnects_for_ever_within_its_quota);
	tcase_add_test(held, who_keeps_old_segments_has_them_on_its_account);
	tcase_add_test(held, a_map_that_is_left_to_a_child_stays_on_the_account);
	tcase_add_test(held, pinned_pages_cost_the_daemon_a_part_of_its_time);
	suite_add_tcase(suite, held);
	tcase_set_timeout(refusals, TIMEOUT_S);
	tcase_add_test(refusals, every_refusal_is_counted_by_its_reason);
	suite_add_tcase(suite, refusals);
	tcase_set_timeout(shares, TIMEOUT_S);
	tcase_add_test(shares, who_asks_for_much_rests_in_between_and_root_need_not);
	tcase_add_test(shares, users_get_equal_parts_however_many_clients_they_have);
	suite_add_tcase(suite, shares);
	return appliance_check(suite);
}
