/* SPDX-License-Identifier: MIT */
/* tests/shm/test_layout.c - the two segments lie exactly as shm/layout.h draws them */

#include <check.h>

#include "shm/layout.h"
#include "tests/suite.h"

#define SLOT_SIZES 13 /* 1, 2, 4, ... 4096 */
#define AREA_SIZES 19 /* 4 KiB, 8 KiB, ... 1 GiB */

/* The drawing for every number of slots, as numbers. A client built from another release computes
 * the same ones: a change here is a change of the ABI. */
static const struct {
	uint32_t slots;
	uint32_t request_slots_offset;
	uint32_t request_area_offset;
	uint32_t response_area_offset;
} drawn[SLOT_SIZES] = {
	{ 1, 384, 4096, 4096 },
	{ 2, 384, 4096, 4096 },
	{ 4, 384, 4096, 4096 },
	{ 8, 384, 4096, 4096 },
	{ 16, 384, 4096, 4096 },
	{ 32, 384, 4096, 8192 },
	{ 64, 512, 8192, 12288 },
	{ 128, 768, 12288, 20480 },
	{ 256, 1280, 20480, 36864 },
	{ 512, 2304, 36864, 69632 },
	{ 1024, 4352, 73728, 135168 },
	{ 2048, 8448, 143360, 266240 },
	{ 4096, 16640, 282624, 528384 },
};

static uint32_t area_bytes_of(uint32_t index)
{
	return HEARTH_ARENA_BYTES_MIN << index;
}

/* _i is the row of the drawing. */
START_TEST(offsets_are_the_drawn_ones)
{
	struct hearth_layout layout = hearth_layout_of(drawn[_i].slots, 8192, 16384);

	ck_assert_uint_eq(layout.slots, drawn[_i].slots);
	ck_assert_uint_eq(layout.completion_slots, 2 * drawn[_i].slots);
	ck_assert_uint_eq(layout.cancel_offset, 256);
	ck_assert_uint_eq(layout.request_slots_offset, drawn[_i].request_slots_offset);
	ck_assert_uint_eq(layout.request_area_offset, drawn[_i].request_area_offset);
	ck_assert_uint_eq(layout.request_area_bytes, 8192);
	ck_assert_uint_eq(layout.completion_slots_offset, 512);
	ck_assert_uint_eq(layout.response_area_offset, drawn[_i].response_area_offset);
	ck_assert_uint_eq(layout.response_area_bytes, 16384);
	ck_assert_uint_eq(layout.client_bytes, drawn[_i].request_area_offset + 8192);
	ck_assert_uint_eq(layout.daemon_bytes, drawn[_i].response_area_offset + 16384);
}
END_TEST

/* _i is the row of the drawing. */
START_TEST(parts_follow_each_other_without_overlap)
{
	struct hearth_layout layout = hearth_layout_of(drawn[_i].slots, 4096, 4096);
	uint32_t cancel_end = layout.cancel_offset + layout.slots * (uint32_t)sizeof(uint32_t);
	uint32_t request_slots_end = layout.request_slots_offset +
				     layout.slots * (uint32_t)sizeof(struct hearth_request_slot);
	uint32_t completion_slots_end =
		layout.completion_slots_offset +
		layout.completion_slots * (uint32_t)sizeof(struct hearth_completion_slot);

	ck_assert_uint_ge(layout.cancel_offset, sizeof(struct hearth_lane_client));
	ck_assert_uint_ge(layout.request_slots_offset, cancel_end);
	ck_assert_uint_ge(layout.request_area_offset, request_slots_end);
	ck_assert_uint_ge(layout.client_bytes,
			  layout.request_area_offset + (uint64_t)layout.request_area_bytes);
	ck_assert_uint_ge(layout.completion_slots_offset, sizeof(struct hearth_lane_daemon));
	ck_assert_uint_ge(layout.response_area_offset, completion_slots_end);
	ck_assert_uint_ge(layout.daemon_bytes,
			  layout.response_area_offset + (uint64_t)layout.response_area_bytes);
}
END_TEST

/* _i is the row of the drawing. */
START_TEST(slots_and_areas_are_aligned)
{
	struct hearth_layout layout = hearth_layout_of(drawn[_i].slots, 4096, 4096);

	ck_assert_uint_eq(layout.cancel_offset % HEARTH_LINE_PAIR_BYTES, 0);
	ck_assert_uint_eq(layout.request_slots_offset % HEARTH_LINE_PAIR_BYTES, 0);
	ck_assert_uint_eq(layout.completion_slots_offset % HEARTH_LINE_PAIR_BYTES, 0);
	ck_assert_uint_eq(layout.request_area_offset % HEARTH_PAGE_BYTES, 0);
	ck_assert_uint_eq(layout.response_area_offset % HEARTH_PAGE_BYTES, 0);
	ck_assert_uint_eq(layout.client_bytes % HEARTH_PAGE_BYTES, 0);
	ck_assert_uint_eq(layout.daemon_bytes % HEARTH_PAGE_BYTES, 0);
}
END_TEST

/* _i is the row of the drawing. */
START_TEST(no_size_overflows_32_bits)
{
	uint32_t request;
	uint32_t response;

	for (request = 0; request < AREA_SIZES; request++) {
		for (response = 0; response < AREA_SIZES; response++) {
			struct hearth_layout layout = hearth_layout_of(
				drawn[_i].slots, area_bytes_of(request), area_bytes_of(response));

			ck_assert_uint_eq(layout.client_bytes,
					  (uint64_t)drawn[_i].request_area_offset +
						  area_bytes_of(request));
			ck_assert_uint_eq(layout.daemon_bytes,
					  (uint64_t)drawn[_i].response_area_offset +
						  area_bytes_of(response));
			ck_assert_uint_lt(layout.client_bytes, UINT32_MAX);
			ck_assert_uint_lt(layout.daemon_bytes, UINT32_MAX);
		}
	}
	ck_assert_uint_eq(area_bytes_of(AREA_SIZES - 1), HEARTH_ARENA_BYTES_MAX);
	ck_assert_uint_eq(drawn[SLOT_SIZES - 1].slots, HEARTH_SLOTS_MAX);
}
END_TEST

/* Every written word is 128 bytes away from the other side's, and from the daemon's other words. */
START_TEST(control_words_are_where_they_are_drawn)
{
	ck_assert_uint_eq(offsetof(struct hearth_lane_client, cq_head), 0);
	ck_assert_uint_eq(offsetof(struct hearth_lane_client, cq_wait), 128);
	ck_assert_uint_eq(offsetof(struct hearth_lane_client, cq_mode), 136);
	ck_assert_uint_eq(offsetof(struct hearth_lane_client, sq_bell), 140);
	ck_assert_uint_eq(sizeof(struct hearth_lane_client), 256);
	ck_assert_uint_eq(offsetof(struct hearth_lane_daemon, magic), 0);
	ck_assert_uint_eq(offsetof(struct hearth_lane_daemon, abi), 4);
	ck_assert_uint_eq(offsetof(struct hearth_lane_daemon, client_bytes), 8);
	ck_assert_uint_eq(offsetof(struct hearth_lane_daemon, daemon_bytes), 16);
	ck_assert_uint_eq(offsetof(struct hearth_lane_daemon, features), 24);
	ck_assert_uint_eq(offsetof(struct hearth_lane_daemon, slots), 32);
	ck_assert_uint_eq(offsetof(struct hearth_lane_daemon, completion_slots), 36);
	ck_assert_uint_eq(offsetof(struct hearth_lane_daemon, cancel_offset), 40);
	ck_assert_uint_eq(offsetof(struct hearth_lane_daemon, request_slots_offset), 44);
	ck_assert_uint_eq(offsetof(struct hearth_lane_daemon, request_area_offset), 48);
	ck_assert_uint_eq(offsetof(struct hearth_lane_daemon, request_area_bytes), 52);
	ck_assert_uint_eq(offsetof(struct hearth_lane_daemon, completion_slots_offset), 56);
	ck_assert_uint_eq(offsetof(struct hearth_lane_daemon, response_area_offset), 60);
	ck_assert_uint_eq(offsetof(struct hearth_lane_daemon, response_area_bytes), 64);
	ck_assert_uint_eq(offsetof(struct hearth_lane_daemon, epoch), 72);
	ck_assert_uint_eq(offsetof(struct hearth_lane_daemon, opened_ns), 80);
	ck_assert_uint_eq(offsetof(struct hearth_lane_daemon, need_wakeup), 128);
	ck_assert_uint_eq(offsetof(struct hearth_lane_daemon, cq_bell), 256);
	ck_assert_uint_eq(offsetof(struct hearth_lane_daemon, sq_head), 384);
	ck_assert_uint_eq(sizeof(struct hearth_lane_daemon), 512);
}
END_TEST

START_TEST(slots_are_64_bytes_with_the_drawn_fields)
{
	ck_assert_uint_eq(offsetof(struct hearth_request_slot, seq), 0);
	ck_assert_uint_eq(offsetof(struct hearth_request_slot, id), 8);
	ck_assert_uint_eq(offsetof(struct hearth_request_slot, operation), 16);
	ck_assert_uint_eq(offsetof(struct hearth_request_slot, flags), 20);
	ck_assert_uint_eq(offsetof(struct hearth_request_slot, request_offset), 24);
	ck_assert_uint_eq(offsetof(struct hearth_request_slot, request_bytes), 28);
	ck_assert_uint_eq(offsetof(struct hearth_request_slot, response_offset), 32);
	ck_assert_uint_eq(offsetof(struct hearth_request_slot, response_bytes), 36);
	ck_assert_uint_eq(offsetof(struct hearth_request_slot, deadline_ns), 40);
	ck_assert_uint_eq(offsetof(struct hearth_request_slot, submitted_ns), 48);
	ck_assert_uint_eq(sizeof(struct hearth_request_slot), 64);
	ck_assert_uint_eq(offsetof(struct hearth_completion_slot, seq), 0);
	ck_assert_uint_eq(offsetof(struct hearth_completion_slot, id), 8);
	ck_assert_uint_eq(offsetof(struct hearth_completion_slot, status), 16);
	ck_assert_uint_eq(offsetof(struct hearth_completion_slot, kind), 20);
	ck_assert_uint_eq(offsetof(struct hearth_completion_slot, numerics), 22);
	ck_assert_uint_eq(offsetof(struct hearth_completion_slot, flags), 24);
	ck_assert_uint_eq(offsetof(struct hearth_completion_slot, response_bytes), 28);
	ck_assert_uint_eq(offsetof(struct hearth_completion_slot, version), 32);
	ck_assert_uint_eq(offsetof(struct hearth_completion_slot, substituted), 36);
	ck_assert_uint_eq(offsetof(struct hearth_completion_slot, ring_ns), 40);
	ck_assert_uint_eq(offsetof(struct hearth_completion_slot, queue_ns), 44);
	ck_assert_uint_eq(offsetof(struct hearth_completion_slot, batch_ns), 48);
	ck_assert_uint_eq(offsetof(struct hearth_completion_slot, execute_ns), 52);
	ck_assert_uint_eq(offsetof(struct hearth_completion_slot, detail), 56);
	ck_assert_uint_eq(sizeof(struct hearth_completion_slot), 64);
}
END_TEST

START_TEST(a_request_header_with_every_tensor_fits_in_2_kib)
{
	ck_assert_uint_eq(sizeof(struct hearth_request_header), 64);
	ck_assert_uint_eq(sizeof(struct hearth_response_header), 64);
	ck_assert_uint_eq(sizeof(struct hearth_tensor), 28);
	ck_assert_uint_eq(offsetof(struct hearth_tensor, dims), 12);
	ck_assert_uint_eq(offsetof(struct hearth_request_header, sequence_id), 16);
	ck_assert_uint_eq(offsetof(struct hearth_request_header, input_count), 24);
	ck_assert_uint_le(sizeof(struct hearth_request_header) +
				  HEARTH_TENSORS_MAX * sizeof(struct hearth_tensor),
			  2048);
}
END_TEST

START_TEST(detail_gives_back_what_was_packed)
{
	static const uint64_t values[] = { 0, 1, 0xffffffffu, (UINT64_C(1) << 40) - 1 };
	static const uint32_t tensors[] = { 0, 1, 63, 0xffff };
	static const uint32_t reasons[] = { HEARTH_DETAIL_NONE, HEARTH_DETAIL_ID,
					    HEARTH_DETAIL_OPERATION, 255 };
	uint32_t reason;
	uint32_t tensor;
	uint32_t value;

	for (reason = 0; reason < 4; reason++) {
		for (tensor = 0; tensor < 4; tensor++) {
			for (value = 0; value < 4; value++) {
				uint64_t detail = hearth_detail(reasons[reason], tensors[tensor],
								values[value]);

				ck_assert_uint_eq(hearth_detail_reason(detail), reasons[reason]);
				ck_assert_uint_eq(hearth_detail_tensor(detail), tensors[tensor]);
				ck_assert_uint_eq(hearth_detail_value(detail), values[value]);
			}
		}
	}
	ck_assert_uint_eq(hearth_detail(3, 1, 17), UINT64_C(0x0300010000000011));
}
END_TEST

START_TEST(detail_cuts_what_does_not_fit_and_spills_nothing)
{
	uint64_t detail = hearth_detail(HEARTH_DETAIL_ROWS, UINT32_MAX, UINT64_MAX);

	ck_assert_uint_eq(hearth_detail_reason(detail), HEARTH_DETAIL_ROWS);
	ck_assert_uint_eq(hearth_detail_tensor(detail), 0xffff);
	ck_assert_uint_eq(hearth_detail_value(detail), (UINT64_C(1) << 40) - 1);
	ck_assert_uint_eq(hearth_detail_tensor(hearth_detail(1, 0x10000, 0)), 0);
	ck_assert_uint_eq(hearth_detail_reason(hearth_detail(1, 0x10000, 0)), 1);
	ck_assert_uint_eq(hearth_detail_tensor(hearth_detail(1, 0, UINT64_C(1) << 40)), 0);
}
END_TEST

START_TEST(sizes_round_up_to_the_next_power_of_two)
{
	uint32_t power;

	ck_assert_uint_eq(hearth_round_up_pow2(0), 1);
	ck_assert_uint_eq(hearth_round_up_pow2(1), 1);
	for (power = 1; power < 31; power++) {
		uint32_t value = UINT32_C(1) << power;

		ck_assert_uint_eq(hearth_round_up_pow2(value), value);
		ck_assert_uint_eq(hearth_round_up_pow2(value + 1), 2 * value);
		ck_assert_uint_eq(hearth_round_up_pow2(value - 1), power == 1 ? 1 : value);
	}
	ck_assert_uint_eq(hearth_round_up_pow2(UINT32_C(1) << 31), UINT32_C(1) << 31);
	ck_assert_uint_eq(hearth_align_up(0, 4096), 0);
	ck_assert_uint_eq(hearth_align_up(1, 4096), 4096);
	ck_assert_uint_eq(hearth_align_up(4096, 4096), 4096);
	ck_assert_uint_eq(hearth_align_up(4097, 64), 4160);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("layout");
	TCase *tcase = tcase_create("layout");

	tcase_add_loop_test(tcase, offsets_are_the_drawn_ones, 0, SLOT_SIZES);
	tcase_add_loop_test(tcase, parts_follow_each_other_without_overlap, 0, SLOT_SIZES);
	tcase_add_loop_test(tcase, slots_and_areas_are_aligned, 0, SLOT_SIZES);
	tcase_add_loop_test(tcase, no_size_overflows_32_bits, 0, SLOT_SIZES);
	tcase_add_test(tcase, control_words_are_where_they_are_drawn);
	tcase_add_test(tcase, slots_are_64_bytes_with_the_drawn_fields);
	tcase_add_test(tcase, a_request_header_with_every_tensor_fits_in_2_kib);
	tcase_add_test(tcase, detail_gives_back_what_was_packed);
	tcase_add_test(tcase, detail_cuts_what_does_not_fit_and_spills_nothing);
	tcase_add_test(tcase, sizes_round_up_to_the_next_power_of_two);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
