/* SPDX-License-Identifier: MIT */
/* tests/serve/test_hold.c - requests wait while their model has no version, and none is lost */
#include <check.h>
#include <errno.h>
#include <string.h>

#include "serve/hold.h"
#include "solo.h"
#include "tests/suite.h"

#define GENERATION (UINT64_C(1) << 32)
#define MS_NS UINT64_C(1000000)
#define NOW_NS (100 * MS_NS)

static struct solo solo;
static uint64_t popped;

static void open_held(void)
{
	memset(&solo, 0, sizeof(solo));
	popped = 0;
	solo_open(&solo);
	solo.data.now_ns = NOW_NS;
	solo.data.models[0].current = NULL;
	hold_begin(&solo.data, 0);
}

static void close_held(void)
{
	solo_close(&solo);
}

/* For row `index` of tests/data, in the slot of that number. */
static void push(uint32_t index, uint64_t deadline_ns)
{
	struct hearth_request_slot slot = solo_slot(index);

	slot.deadline_ns = deadline_ns;
	solo_push(&solo, &slot);
}

static void ask(uint32_t index, uint64_t deadline_ns)
{
	solo_fill(&solo, index, index);
	push(index, deadline_ns);
}

static struct hearth_request_header *header_of(uint32_t index)
{
	return (void *)solo_range(&solo, index);
}

/* The next look at what waits is due. */
static void pass_later(void)
{
	solo.data.now_ns += MS_NS;
	solo_pass(&solo);
}

static void assert_silent(void)
{
	struct hearth_completion_slot completion;

	ck_assert(!hearth_cq_pop(solo.lane->completion_slots,
				 solo.lane->layout.completion_slots, popped, &completion));
}

static void assert_ended(uint32_t index, int status)
{
	struct hearth_completion_slot completion;

	ck_assert(hearth_cq_pop(solo.lane->completion_slots, solo.lane->layout.completion_slots,
				popped++, &completion));
	ck_assert_uint_eq(completion.id, GENERATION | index);
	ck_assert_uint_eq(completion.kind, HEARTH_FINAL);
	ck_assert_int_eq(completion.status, status);
	ck_assert_int_eq(solo.lane->requests[index].state, REQUEST_FREE);
}

static void serve(void)
{
	solo.data.models[0].current = solo.version;
	hold_end(&solo.data, 0);
	solo_pass(&solo);
}

START_TEST(what_has_waited_is_answered_in_the_order_in_which_it_came)
{
	ask(0, 0);
	ask(1, UINT64_MAX);
	solo_pass(&solo);
	ask(2, 0);
	solo_pass(&solo);
	assert_silent();
	ck_assert_uint_eq(solo.version->references, 0);
	serve();
	assert_ended(0, 0);
	assert_ended(1, 0);
	assert_ended(2, 0);
	assert_silent();
	ask(3, 0);
	solo_pass(&solo);
	assert_ended(3, 0);
}
END_TEST

START_TEST(a_deadline_that_passes_ends_the_wait_of_that_request_alone)
{
	ask(0, 0);
	ask(1, NOW_NS + MS_NS);
	ask(2, NOW_NS + MS_NS + 1);
	solo_pass(&solo);
	assert_silent();
	pass_later();
	assert_ended(1, -ETIME);
	assert_silent();
	pass_later();
	assert_ended(2, -ETIME);
	ask(3, 0); /* behind the end that was taken out */
	solo_pass(&solo);
	serve();
	assert_ended(0, 0);
	assert_ended(3, 0);
}
END_TEST

START_TEST(a_cancelled_request_waits_no_longer)
{
	ask(0, 0);
	ask(1, 0);
	solo_pass(&solo);
	((uint32_t *)((uint8_t *)solo.client + solo.lane->layout.cancel_offset))[0] = 1;
	pass_later();
	assert_ended(0, -ECANCELED);
	assert_silent();
	serve();
	assert_ended(1, 0);
}
END_TEST

/* It may do so at once, for up to 100 ms. */
START_TEST(what_has_waited_is_answered_before_the_loop_sleeps)
{
	ask(0, 0);
	solo_pass(&solo);
	solo.data.models[0].current = solo.version;
	hold_end(&solo.data, 0);
	assert_ended(0, 0);
	ck_assert_uint_eq(solo.data.touched_count, 0);
}
END_TEST

START_TEST(what_has_waited_in_vain_is_told_before_the_loop_sleeps)
{
	ask(0, 0);
	solo_pass(&solo);
	hold_end(&solo.data, 0);
	assert_ended(0, -ENOENT);
	ck_assert_uint_eq(solo.data.touched_count, 0);
}
END_TEST

START_TEST(without_a_version_they_end_with_enoent)
{
	ask(0, 0);
	ask(1, 0);
	solo_pass(&solo);
	hold_end(&solo.data, 0);
	solo_pass(&solo);
	assert_ended(0, -ENOENT);
	assert_ended(1, -ENOENT);
	ask(2, 0);
	solo_pass(&solo);
	assert_ended(2, -ENOENT);
}
END_TEST

START_TEST(a_daemon_that_stops_ends_them)
{
	ask(0, 0);
	solo_pass(&solo);
	solo.data.stop_ns = NOW_NS;
	ask(1, 0);
	pass_later();
	assert_ended(0, -ESHUTDOWN);
	assert_ended(1, -ESHUTDOWN);
}
END_TEST

START_TEST(who_pins_a_version_or_means_another_model_does_not_wait)
{
	solo_fill(&solo, 0, 0);
	header_of(0)->version = 7;
	push(0, 0);
	solo_fill(&solo, 1, 0);
	header_of(1)->model = 1;
	push(1, 0);
	solo_fill(&solo, 2, 0);
	header_of(2)->model = DATA_MODELS_MAX;
	push(2, 0);
	solo_fill(&solo, 3, 0);
	header_of(3)->version = SOLO_VERSION;
	push(3, 0);
	solo_pass(&solo);
	assert_ended(0, -ENOENT);
	assert_ended(1, -ENOENT);
	assert_ended(2, -ENOENT);
	assert_ended(3, 0);
}
END_TEST

/* The place has had three others. */
START_TEST(a_handle_that_is_older_than_the_model_in_its_place_is_nobodys)
{
	solo.data.models[0].handle = 3 * DATA_MODELS_MAX;
	ask(0, 0);
	solo_fill(&solo, 1, 0);
	header_of(1)->model = 4 * DATA_MODELS_MAX;
	push(1, 0);
	solo_fill(&solo, 2, 0);
	header_of(2)->model = 3 * DATA_MODELS_MAX;
	push(2, 0);
	solo_fill(&solo, 3, 0);
	header_of(3)->version = SOLO_VERSION;
	push(3, 0);
	solo_pass(&solo);
	assert_ended(0, -ENOENT);
	assert_ended(1, -ENOENT);
	assert_ended(3, -ENOENT);
	assert_silent();
	solo.data.models[0].current = solo.version;
	hold_end(&solo.data, 3 * DATA_MODELS_MAX);
	solo_pass(&solo);
	assert_ended(2, 0);
}
END_TEST

/* The client owns the bytes until it is answered: what it makes of them is looked at anew. */
START_TEST(a_request_that_was_spoilt_while_it_waited_is_refused)
{
	ask(0, 0);
	ask(1, 0);
	ask(2, 0);
	solo_pass(&solo);
	header_of(0)->input_count = UINT32_MAX;
	header_of(1)->model = UINT32_MAX;
	serve();
	assert_ended(0, -EINVAL);
	assert_ended(1, -ENOENT);
	assert_ended(2, 0);
}
END_TEST

START_TEST(a_lane_that_closes_takes_its_own_along)
{
	ask(0, 0);
	ask(1, 0);
	solo_pass(&solo);
	hold_drop(&solo.data, solo.lane);
	ck_assert_ptr_null(solo.data.held);
	ck_assert_ptr_eq(solo.data.held_last, &solo.data.held);
	serve();
	assert_silent();
	ask(2, 0);
	solo_pass(&solo);
	assert_ended(2, 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("hold");
	TCase *cases = tcase_create("hold");

	tcase_add_checked_fixture(cases, open_held, close_held);
	tcase_add_test(cases, what_has_waited_is_answered_in_the_order_in_which_it_came);
	tcase_add_test(cases, a_deadline_that_passes_ends_the_wait_of_that_request_alone);
	tcase_add_test(cases, a_cancelled_request_waits_no_longer);
	tcase_add_test(cases, what_has_waited_is_answered_before_the_loop_sleeps);
	tcase_add_test(cases, what_has_waited_in_vain_is_told_before_the_loop_sleeps);
	tcase_add_test(cases, without_a_version_they_end_with_enoent);
	tcase_add_test(cases, a_daemon_that_stops_ends_them);
	tcase_add_test(cases, a_handle_that_is_older_than_the_model_in_its_place_is_nobodys);
	tcase_add_test(cases, who_pins_a_version_or_means_another_model_does_not_wait);
	tcase_add_test(cases, a_request_that_was_spoilt_while_it_waited_is_refused);
	tcase_add_test(cases, a_lane_that_closes_takes_its_own_along);
	suite_add_tcase(suite, cases);
	return suite_run(suite);
}
