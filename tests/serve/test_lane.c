/* SPDX-License-Identifier: MIT */
/* tests/serve/test_lane.c - segments are sealed as promised, and claims of the client are judged */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "serve/lane.h"
#include "tests/suite.h"

static struct lane *lane;
static struct lane_fds fds;
static struct share share;

static void open_lane(void)
{
	ck_assert_int_eq(lane_open(hearth_layout_of(4, 4096, 4096), HEARTH_FEATURE_PROGRESS, 7, -1,
				   &lane), 0);
	lane->share = &share;
	fds = lane->fds;
}

static void close_lane(void)
{
	lane_close(lane);
}

/* The daemon's own map is read-only; what a client would write goes through this. */
static struct hearth_lane_client *map_as_client(void)
{
	void *address = mmap(NULL, lane->layout.client_bytes, PROT_READ | PROT_WRITE, MAP_SHARED,
			     fds.client_fd, 0);

	ck_assert_ptr_ne(address, MAP_FAILED);
	return address;
}

static void take(uint32_t count)
{
	lane->sq_position += count;
	lane->outstanding += count;
	lane->unfinished += count;
}

static void publish(uint16_t kind)
{
	struct hearth_completion_slot completion = { .id = UINT64_C(1) << 32, .kind = kind };

	if (kind == HEARTH_FINAL)
		lane_complete(lane, &completion);
	else
		ck_assert(lane_progress(lane, lane->requests, 1));
}

START_TEST(segments_can_neither_grow_nor_shrink_and_the_daemons_takes_no_more_seals)
{
	int wanted = F_SEAL_SHRINK | F_SEAL_GROW;

	ck_assert_int_eq(fcntl(fds.client_fd, F_GET_SEALS), wanted);
	ck_assert_int_eq(fcntl(fds.daemon_fd, F_GET_SEALS),
			 wanted | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL);
	ck_assert_int_eq(ftruncate(fds.client_fd, 0), -1);
	ck_assert_int_eq(errno, EPERM);
	ck_assert_int_eq(fcntl(fds.daemon_fd, F_ADD_SEALS, F_SEAL_WRITE), -1);
}
END_TEST

START_TEST(a_client_cannot_map_the_daemon_segment_for_writing)
{
	void *address = mmap(NULL, lane->layout.daemon_bytes, PROT_READ | PROT_WRITE, MAP_SHARED,
			     fds.daemon_fd, 0);

	ck_assert_ptr_eq(address, MAP_FAILED);
	ck_assert_int_eq(errno, EPERM);
	address = mmap(NULL, lane->layout.daemon_bytes, PROT_READ, MAP_SHARED, fds.daemon_fd, 0);
	ck_assert_ptr_ne(address, MAP_FAILED);
	ck_assert_int_eq(mprotect(address, lane->layout.daemon_bytes, PROT_READ | PROT_WRITE), -1);
	munmap(address, lane->layout.daemon_bytes);
}
END_TEST

START_TEST(the_header_tells_the_layout_and_the_lane_starts_cold)
{
	ck_assert_uint_eq(lane->daemon->magic, HEARTH_MAGIC);
	ck_assert_uint_eq(lane->daemon->abi, HEARTH_ABI_VERSION);
	ck_assert_uint_eq(lane->daemon->slots, 4);
	ck_assert_uint_eq(lane->daemon->completion_slots, 8);
	ck_assert_uint_eq(lane->daemon->epoch, 7);
	ck_assert_uint_eq(lane->daemon->client_bytes, lane->layout.client_bytes);
	ck_assert_uint_eq(lane->daemon->response_area_offset, lane->layout.response_area_offset);
	ck_assert_uint_eq(lane->daemon->need_wakeup, 1);
}
END_TEST

START_TEST(consuming_a_final_completion_returns_a_credit_and_a_progress_mark_none)
{
	struct hearth_lane_client *client = map_as_client();

	take(2);
	publish(HEARTH_PROGRESS);
	publish(HEARTH_FINAL);
	hearth_cq_consume(client, 1);
	ck_assert_int_eq(lane_consumed(lane), 0);
	ck_assert_uint_eq(lane->outstanding, 2);
	hearth_cq_consume(client, 2);
	ck_assert_int_eq(lane_consumed(lane), 0);
	ck_assert_uint_eq(lane->outstanding, 1);
	munmap(client, lane->layout.client_bytes);
}
END_TEST

START_TEST(claiming_more_than_was_published_is_a_lie)
{
	struct hearth_lane_client *client = map_as_client();

	take(1);
	publish(HEARTH_FINAL);
	hearth_cq_consume(client, 2);
	ck_assert_int_eq(lane_consumed(lane), LANE_E_LYING);
	munmap(client, lane->layout.client_bytes);
}
END_TEST

START_TEST(claiming_less_than_before_is_a_lie)
{
	struct hearth_lane_client *client = map_as_client();

	take(1);
	publish(HEARTH_FINAL);
	hearth_cq_consume(client, 1);
	ck_assert_int_eq(lane_consumed(lane), 0);
	hearth_cq_consume(client, 0);
	ck_assert_int_eq(lane_consumed(lane), LANE_E_LYING);
	hearth_cq_consume(client, UINT64_MAX);
	ck_assert_int_eq(lane_consumed(lane), LANE_E_LYING);
	munmap(client, lane->layout.client_bytes);
}
END_TEST

START_TEST(at_most_one_progress_mark_is_outstanding)
{
	struct hearth_lane_client *client = map_as_client();

	take(1);
	ck_assert(lane_progress(lane, lane->requests, 1));
	ck_assert(!lane_progress(lane, lane->requests, 2));
	ck_assert_uint_eq(lane->cq_position, 1);
	hearth_cq_consume(client, 1);
	ck_assert_int_eq(lane_consumed(lane), 0);
	ck_assert(lane_progress(lane, lane->requests, 3));
	munmap(client, lane->layout.client_bytes);
}
END_TEST

START_TEST(pages_that_the_client_has_not_touched_are_not_brought_in)
{
	struct hearth_lane_client *client = map_as_client();
	void *daemon = mmap(NULL, lane->layout.daemon_bytes, PROT_READ, MAP_SHARED, fds.daemon_fd,
			    0);

	ck_assert_ptr_ne(daemon, MAP_FAILED);
	ck_assert_int_eq(madvise(client, lane->layout.client_bytes, MADV_POPULATE_WRITE), 0);
	if (_i)
		ck_assert_int_eq(madvise(daemon, lane->layout.daemon_bytes, MADV_POPULATE_READ), 0);
	ck_assert_int_eq(lane_populate(lane), _i ? 0 : LANE_E_UNTOUCHED);
	munmap(daemon, lane->layout.daemon_bytes);
	munmap(client, lane->layout.client_bytes);
}
END_TEST

/* Both segments as the daemon wants to find them. */
static struct hearth_lane_client *touch_as_client(void)
{
	struct hearth_lane_client *client = map_as_client();
	void *daemon = mmap(NULL, lane->layout.daemon_bytes, PROT_READ, MAP_SHARED, fds.daemon_fd,
			    0);

	ck_assert_ptr_ne(daemon, MAP_FAILED);
	ck_assert_int_eq(madvise(client, lane->layout.client_bytes, MADV_POPULATE_WRITE), 0);
	ck_assert_int_eq(madvise(daemon, lane->layout.daemon_bytes, MADV_POPULATE_READ), 0);
	munmap(daemon, lane->layout.daemon_bytes);
	return client;
}

START_TEST(once_populated_nobody_punches_holes_or_maps_it_writable_again)
{
	struct hearth_lane_client *client = touch_as_client();
	uint64_t bytes = lane->layout.client_bytes;

	ck_assert_int_eq(lane_populate(lane), 0);
	ck_assert_int_lt(madvise(client, bytes, MADV_REMOVE), 0);
	ck_assert_int_lt(fallocate(fds.client_fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
				   (off_t)bytes), 0);
	ck_assert_int_lt(pwrite(fds.client_fd, "x", 1, 0), 0);
	ck_assert_ptr_eq(mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fds.client_fd, 0),
			 MAP_FAILED);
	client->cq_head = 1; /* and the map that is there goes on */
	ck_assert_uint_eq(lane->client->cq_head, 1);
	munmap(client, bytes);
}
END_TEST

START_TEST(holes_from_before_are_seen_when_it_is_populated)
{
	struct hearth_lane_client *client = touch_as_client();

	ck_assert_int_eq(madvise(client, HEARTH_PAGE_BYTES, MADV_REMOVE), 0);
	ck_assert_int_eq(lane_populate(lane), LANE_E_UNTOUCHED);
	munmap(client, lane->layout.client_bytes);
}
END_TEST

START_TEST(who_seals_it_first_is_not_served)
{
	struct hearth_lane_client *client = touch_as_client();

	ck_assert_int_eq(fcntl(fds.client_fd, F_ADD_SEALS, F_SEAL_SEAL), 0);
	ck_assert_int_eq(lane_populate(lane), LANE_E_UNTOUCHED);
	munmap(client, lane->layout.client_bytes);
}
END_TEST

START_TEST(a_vacated_lane_is_held_until_its_last_writable_map_is_gone)
{
	struct hearth_lane_client *client = touch_as_client();
	pid_t child;

	if (_i)
		ck_assert_int_eq(lane_populate(lane), 0);
	child = fork();
	ck_assert_int_ge(child, 0);
	if (child == 0) {
		pause();
		_exit(0);
	}
	lane_vacate(lane);
	ck_assert_int_eq(lane_let_go(lane), LANE_E_HELD);
	munmap(client, lane->layout.client_bytes);
	ck_assert_int_eq(lane_let_go(lane), LANE_E_HELD);
	kill(child, SIGKILL);
	ck_assert_int_eq(waitpid(child, NULL, 0), child);
	ck_assert_int_eq(lane_let_go(lane), 0);
	/* Whoever still has the descriptor can look, and no more. */
	ck_assert_ptr_eq(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fds.client_fd, 0),
			 MAP_FAILED);
}
END_TEST

START_TEST(a_lane_with_seals_of_the_clients_own_tells_nothing)
{
	struct hearth_lane_client *client = touch_as_client();

	ck_assert_int_eq(lane_populate(lane), 0);
	ck_assert_int_eq(fcntl(fds.client_fd, F_ADD_SEALS, F_SEAL_SEAL), 0);
	munmap(client, lane->layout.client_bytes);
	lane_vacate(lane);
	ck_assert_int_eq(lane_let_go(lane), LANE_E_UNKNOWN);
}
END_TEST

START_TEST(what_was_refused_is_counted_by_reason_for_the_client_and_its_user)
{
	struct hearth_completion_slot expired = { .kind = HEARTH_FINAL, .status = -ETIME };

	memset(&share, 0, sizeof(share));
	take(2);
	lane_complete(lane, &expired);
	publish(HEARTH_FINAL);
	ck_assert_uint_eq(counter_read(&lane->counters.errors), 1);
	ck_assert_uint_eq(counter_read(lane->counters.refused + REASON_EXPIRED), 1);
	ck_assert_uint_eq(counter_read(share.counters.refused + REASON_EXPIRED), 1);
	ck_assert_uint_eq(counter_read(share.counters.refused + REASON_MODEL), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("lane");
	TCase *cases = tcase_create("lane");

	tcase_add_checked_fixture(cases, open_lane, close_lane);
	tcase_add_test(cases, segments_can_neither_grow_nor_shrink_and_the_daemons_takes_no_more_seals);
	tcase_add_test(cases, a_client_cannot_map_the_daemon_segment_for_writing);
	tcase_add_test(cases, the_header_tells_the_layout_and_the_lane_starts_cold);
	tcase_add_test(cases, consuming_a_final_completion_returns_a_credit_and_a_progress_mark_none);
	tcase_add_test(cases, claiming_more_than_was_published_is_a_lie);
	tcase_add_test(cases, claiming_less_than_before_is_a_lie);
	tcase_add_test(cases, at_most_one_progress_mark_is_outstanding);
	tcase_add_test(cases, once_populated_nobody_punches_holes_or_maps_it_writable_again);
	tcase_add_test(cases, holes_from_before_are_seen_when_it_is_populated);
	tcase_add_test(cases, who_seals_it_first_is_not_served);
	tcase_add_loop_test(cases, a_vacated_lane_is_held_until_its_last_writable_map_is_gone, 0, 2);
	tcase_add_test(cases, a_lane_with_seals_of_the_clients_own_tells_nothing);
	tcase_add_test(cases, what_was_refused_is_counted_by_reason_for_the_client_and_its_user);
	tcase_add_loop_test(cases, pages_that_the_client_has_not_touched_are_not_brought_in, 0, 2);
	suite_add_tcase(suite, cases);
	return suite_run(suite);
}
