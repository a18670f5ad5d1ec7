/* SPDX-License-Identifier: MIT */
/* tests/serve/test_lane.c - segments are sealed as promised, and claims of the client are judged */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "serve/lane.h"

static struct lane *lane;
static struct lane_fds fds;

static void open_lane(void)
{
	ck_assert_int_eq(lane_open(hearth_layout_of(4, 4096, 4096), HEARTH_FEATURE_PROGRESS, 7, -1,
				   &lane), 0);
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

START_TEST(segments_can_neither_grow_nor_shrink_and_take_no_more_seals)
{
	int wanted = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;

	ck_assert_int_eq(fcntl(fds.client_fd, F_GET_SEALS), wanted);
	ck_assert_int_eq(fcntl(fds.daemon_fd, F_GET_SEALS), wanted | F_SEAL_FUTURE_WRITE);
	ck_assert_int_eq(ftruncate(fds.client_fd, 0), -1);
	ck_assert_int_eq(errno, EPERM);
	ck_assert_int_eq(fcntl(fds.client_fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE), -1);
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
	ck_assert_int_eq(fcntl(fds.client_fd, F_GETFD), -1);
	munmap(daemon, lane->layout.daemon_bytes);
	munmap(client, lane->layout.client_bytes);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("lane");
	TCase *cases = tcase_create("lane");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(cases, open_lane, close_lane);
	tcase_add_test(cases, segments_can_neither_grow_nor_shrink_and_take_no_more_seals);
	tcase_add_test(cases, a_client_cannot_map_the_daemon_segment_for_writing);
	tcase_add_test(cases, the_header_tells_the_layout_and_the_lane_starts_cold);
	tcase_add_test(cases, consuming_a_final_completion_returns_a_credit_and_a_progress_mark_none);
	tcase_add_test(cases, claiming_more_than_was_published_is_a_lie);
	tcase_add_test(cases, claiming_less_than_before_is_a_lie);
	tcase_add_test(cases, at_most_one_progress_mark_is_outstanding);
	tcase_add_loop_test(cases, pages_that_the_client_has_not_touched_are_not_brought_in, 0, 2);
	suite_add_tcase(suite, cases);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
