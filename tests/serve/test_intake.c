/* SPDX-License-Identifier: MIT */
/* tests/serve/test_intake.c - what one turn of a client takes from its ring */
#include <check.h>
#include <string.h>
#include <sys/mman.h>

#include "serve/intake.h"
#include "tests/suite.h"

#define SLOTS 64
#define AREA_BYTES 65536

static struct data data;
static struct share share;
static struct lane *lane;
static struct lane *touched[1];
static uint8_t *segment;

static void open_lane(void)
{
	ck_assert_int_eq(lane_open(hearth_layout_of(SLOTS, AREA_BYTES, AREA_BYTES), 0, 1, -1,
				   &lane), 0);
	lane->share = &share;
	segment = mmap(NULL, lane->layout.client_bytes, PROT_READ | PROT_WRITE, MAP_SHARED,
		       lane->fds.client_fd, 0);
	ck_assert_ptr_ne(segment, MAP_FAILED);
	memset(&data, 0, sizeof(data));
	data.touched = touched;
	data.counters = &data.own_counters;
}

static void close_lane(void)
{
	munmap(segment, lane->layout.client_bytes);
	lane_close(lane);
}

/* As many as there are slots, so that only the turn can end before the ring does. */
static void push_all(uint32_t operation, uint32_t bytes)
{
	struct hearth_request_slot slot = { .operation = operation, .request_bytes = bytes,
					    .response_bytes = bytes };
	uint32_t index;

	for (index = 0; index < SLOTS; index++) {
		slot.id = UINT64_C(1) << 32 | index;
		hearth_sq_push((void *)(segment + lane->layout.request_slots_offset), SLOTS, index,
			       &slot);
	}
}

static void begin_turn(struct turn *turn, bool is_contended, int64_t credit_ns)
{
	turn->is_contended = is_contended;
	turn->credit_ns = credit_ns;
}

START_TEST(who_has_a_rival_and_no_credit_left_takes_no_other_echo)
{
	push_all(HEARTH_OP_ECHO, AREA_BYTES);
	begin_turn(&lane->turn, true, 1);
	begin_turn(&share.turn, true, TURN_QUANTUM_NS);
	ck_assert_uint_eq(intake_lane(&data, lane), 1);
	ck_assert_int_lt(lane->turn.credit_ns, 0);
	ck_assert_int_eq(lane->turn.credit_ns - 1, share.turn.credit_ns - TURN_QUANTUM_NS);
}
END_TEST

START_TEST(the_users_credit_ends_a_turn_as_the_clients_does)
{
	push_all(HEARTH_OP_ECHO, AREA_BYTES);
	begin_turn(&lane->turn, true, TURN_QUANTUM_NS);
	begin_turn(&share.turn, true, 1);
	ck_assert_uint_eq(intake_lane(&data, lane), 1);
}
END_TEST

START_TEST(long_echoes_use_credit_up_before_short_ones_do)
{
	uint32_t taken;

	push_all(HEARTH_OP_ECHO, AREA_BYTES);
	begin_turn(&lane->turn, true, TURN_QUANTUM_NS);
	begin_turn(&share.turn, true, TURN_QUANTUM_NS);
	taken = intake_lane(&data, lane);
	ck_assert_uint_gt(taken, 1);
	ck_assert_uint_lt(taken, SLOTS);
	close_lane();

	open_lane();
	push_all(HEARTH_OP_ECHO, 64);
	begin_turn(&lane->turn, true, TURN_QUANTUM_NS);
	begin_turn(&share.turn, true, TURN_QUANTUM_NS);
	ck_assert_uint_eq(intake_lane(&data, lane), SLOTS);
}
END_TEST

START_TEST(who_has_no_rival_takes_all)
{
	push_all(HEARTH_OP_ECHO, AREA_BYTES);
	begin_turn(&lane->turn, false, 1);
	begin_turn(&share.turn, false, 1);
	ck_assert_uint_eq(intake_lane(&data, lane), SLOTS);
	ck_assert_uint_eq(lane->unfinished, 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("serve/intake");
	TCase *tcase = tcase_create("turns");

	tcase_add_checked_fixture(tcase, open_lane, close_lane);
	tcase_add_test(tcase, who_has_a_rival_and_no_credit_left_takes_no_other_echo);
	tcase_add_test(tcase, the_users_credit_ends_a_turn_as_the_clients_does);
	tcase_add_test(tcase, long_echoes_use_credit_up_before_short_ones_do);
	tcase_add_test(tcase, who_has_no_rival_takes_all);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
