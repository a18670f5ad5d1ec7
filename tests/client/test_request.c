/* SPDX-License-Identifier: MIT */
/* tests/client/test_request.c - a request's life: acquire, submit, cancel, complete, release */
#include <check.h>
#include <stdio.h>
#include <time.h>

#include "client/hearth.h"
#include "tests/client/fake_daemon.h"
#include "tests/suite.h"

static struct fake_daemon fake;
static struct fake_lane *lane;
static struct hearth *hearth;
static const struct hearth_model_info *shoppers;
static const struct hearth_model_info *bags;

static void start_sized(uint32_t slots, uint32_t request_area_bytes, uint32_t response_area_bytes)
{
	struct hearth_options options = {
		.size = sizeof(options),
		.slots = slots,
		.request_area_bytes = request_area_bytes,
		.response_area_bytes = response_area_bytes,
	};

	fake_start(&fake, NULL);
	ck_assert_int_eq(hearth_open(fake.path, &options, &hearth), 0);
	ck_assert_int_eq(hearth_model(hearth, "shoppers", 0, &shoppers), 0);
	ck_assert_int_eq(hearth_model(hearth, "bags", 0, &bags), 0);
	lane = fake.lanes;
}

static void setup(void)
{
	start_sized(8, 1 << 16, 1 << 16);
}

static void teardown(void)
{
	ck_assert_int_eq(hearth_close(hearth), 0);
	fake_stop(&fake);
}

/* Submits `rows` rows and takes the slot on the other side. */
static uint64_t submit(uint32_t rows, struct hearth_request_slot *ret_slot)
{
	struct hearth_request *request;

	ck_assert_int_eq(hearth_acquire(hearth, shoppers, rows, &request), 0);
	ck_assert_int_eq(hearth_submit(hearth, request), 0);
	ck_assert(fake_pop(lane, ret_slot));
	ck_assert_uint_eq(ret_slot->id, request->id);
	return request->id;
}

static uint32_t held(void)
{
	const struct hearth_info *info;

	ck_assert_int_eq(hearth_about(hearth, &info), 0);
	return info->held;
}

START_TEST(what_the_caller_writes_is_what_the_daemon_reads)
{
	const struct hearth_completion *completion;
	struct hearth_request *request;
	struct hearth_request_slot slot;
	struct hearth_request_header header;
	struct hearth_tensor tensors[3];
	int64_t id;

	ck_assert_int_eq(hearth_acquire(hearth, shoppers, 5, &request), 0);
	ck_assert_uint_eq(request->size, sizeof(*request));
	ck_assert_uint_eq(request->input_count, 3);
	ck_assert_uint_eq(request->inputs[0].bytes, 5 * 10 * 4);
	ck_assert_uint_eq(request->inputs[1].bytes, 5 * 7 * 8);
	ck_assert_uint_eq(request->inputs[1].dims[0], 5);
	ck_assert_uint_eq(request->inputs[1].dims[1], 7);
	for (uint32_t input = 0; input < 3; input++)
		ck_assert_uint_eq((uintptr_t)request->inputs[input].data % 64, 0);
	((int64_t *)request->inputs[1].data)[34] = 77;
	request->user_data = 1234;
	request->version = 2;
	request->priority = 3;
	request->sequence_id = 4;
	ck_assert_int_eq(hearth_submit(hearth, request), 0);

	ck_assert(fake_pop(lane, &slot));
	ck_assert_uint_eq(slot.operation, HEARTH_OP_INFER);
	ck_assert_uint_eq(slot.flags, 0);
	ck_assert_uint_eq(slot._reserved, 0);
	ck_assert_uint_eq(slot.request_offset % HEARTH_ALIGN_BYTES, 0);
	ck_assert_uint_eq(slot.response_offset % HEARTH_ALIGN_BYTES, 0);
	memcpy(&header, lane->request_area + slot.request_offset, sizeof(header));
	memcpy(tensors, lane->request_area + slot.request_offset + sizeof(header), sizeof(tensors));
	ck_assert_uint_eq(header.header_bytes, sizeof(header));
	ck_assert_uint_eq(header.model, 1);
	ck_assert_uint_eq(header.version, 2);
	ck_assert_uint_eq(header.priority, 3);
	ck_assert_uint_eq(header.sequence_id, 4);
	ck_assert_uint_eq(header.input_count, 3);
	ck_assert_uint_eq(tensors[1].dtype, HEARTH_I64);
	ck_assert_uint_eq(tensors[1].dims[0], 5);
	ck_assert_uint_le(tensors[2].offset + tensors[2].bytes, slot.request_bytes);
	memcpy(&id, lane->request_area + slot.request_offset + tensors[1].offset + 34 * 8, 8);
	ck_assert_int_eq(id, 77);

	fake_answer(lane, &slot, 0.5f);
	ck_assert_int_eq(hearth_peek(hearth, &completion), 0);
	ck_assert_uint_eq(completion->size, sizeof(*completion));
	ck_assert_uint_eq(completion->id, slot.id);
	ck_assert_uint_eq(completion->user_data, 1234);
	ck_assert_int_eq(completion->status, 0);
	ck_assert_uint_eq(completion->version, 2);
	ck_assert_uint_eq(completion->numerics, HEARTH_NUMERICS_F32_FMA);
	ck_assert_uint_eq(completion->ring_ns, 1);
	ck_assert_uint_eq(completion->queue_ns, 2);
	ck_assert_uint_eq(completion->batch_ns, 3);
	ck_assert_uint_eq(completion->execute_ns, 4);
	ck_assert_uint_eq(completion->output_count, 1);
	ck_assert_uint_eq(completion->outputs[0].dims[0], 5);
	ck_assert_uint_eq(completion->outputs[0].bytes, 20);
	ck_assert_float_eq(((const float *)completion->outputs[0].data)[4], 4.5f);
	ck_assert_int_eq(hearth_release(hearth, completion->id), 0);
	ck_assert_uint_eq(held(), 0);
}
END_TEST

START_TEST(several_free_sizes_are_given_one_by_one)
{
	static const uint32_t sizes[] = {3, 100};
	const uint32_t huge[] = {UINT32_MAX, UINT32_MAX};
	struct hearth_request *request;

	ck_assert_int_eq(hearth_acquire(hearth, bags, 3, &request), -EINVAL);
	ck_assert_ptr_nonnull(strstr(hearth_strerror(-EINVAL), "hearth_acquire_sizes"));
	ck_assert_int_eq(hearth_acquire_sizes(hearth, bags, sizes, 0, &request), 0);
	ck_assert_uint_eq(request->inputs[0].dims[0], 100);
	ck_assert_uint_eq(request->inputs[0].bytes, 800);
	ck_assert_uint_eq(request->inputs[1].dims[0], 4); /* rows + 1 */
	ck_assert_uint_ge(request->response_bytes, 128 + 3 * 4 * 4);
	ck_assert_int_eq(hearth_acquire_sizes(hearth, bags, huge, 0, &request), -EMSGSIZE);
}
END_TEST

START_TEST(too_big_for_an_area_names_wanted_and_available)
{
	struct hearth_request *request;
	uint32_t rows = 65536 / (7 * 8);

	ck_assert_int_eq(hearth_acquire(hearth, shoppers, rows, &request), -EMSGSIZE);
	ck_assert_ptr_nonnull(strstr(hearth_strerror(-EMSGSIZE), "the request area has 65536"));
	ck_assert_ptr_nonnull(strstr(hearth_strerror(-EMSGSIZE), "want 16"));
	ck_assert_int_eq(hearth_acquire_stream_test(hearth, 100000, &request), -EMSGSIZE);
	ck_assert_ptr_nonnull(strstr(hearth_strerror(-EMSGSIZE), "outputs want 800000 bytes"));
	ck_assert_int_eq(hearth_acquire(hearth, shoppers, UINT32_MAX, &request), -EMSGSIZE);
	ck_assert_uint_eq(held(), 0);
}
END_TEST

START_TEST(no_slot_left_is_eagain_until_one_is_released)
{
	const struct hearth_completion *completion;
	struct hearth_request *request;
	struct hearth_request_slot slots[8];

	for (int turn = 0; turn < 100; turn++) {
		for (int index = 0; index < 8; index++)
			submit(1, slots + index);
		ck_assert_int_eq(hearth_acquire(hearth, shoppers, 1, &request), -EAGAIN);
		ck_assert_int_eq(hearth_acquire_ping(hearth, &request), -EAGAIN);
		fake_answer(lane, slots + 3, 0);
		ck_assert_int_eq(hearth_wait(hearth, -1, &completion), 0);
		ck_assert_int_eq(hearth_release(hearth, completion->id), 0);
		ck_assert_int_eq(hearth_acquire_ping(hearth, &request), 0);
		ck_assert_int_eq(hearth_release(hearth, request->id), 0);
		for (int index = 0; index < 8; index++) {
			if (index == 3)
				continue;
			fake_answer(lane, slots + index, 0);
			ck_assert_int_eq(hearth_peek(hearth, &completion), 0);
			ck_assert_int_eq(hearth_release(hearth, completion->id), 0);
		}
		ck_assert_int_eq(hearth_peek(hearth, &completion), -EAGAIN);
	}
	ck_assert_uint_eq(hearth_cq_consumed(lane->client), 800);
}
END_TEST

START_TEST(no_room_left_is_eagain_until_some_is_released)
{
	struct hearth_request *first;
	struct hearth_request *second;
	struct hearth_request *third;

	ck_assert_int_eq(hearth_acquire(hearth, shoppers, 200, &first), 0);
	ck_assert_int_eq(hearth_acquire(hearth, shoppers, 200, &second), 0);
	ck_assert_int_eq(hearth_acquire(hearth, shoppers, 200, &third), -EAGAIN);
	ck_assert_int_eq(hearth_release(hearth, first->id), 0);
	ck_assert_int_eq(hearth_acquire(hearth, shoppers, 200, &third), 0);
}
END_TEST

START_TEST(completions_come_in_the_daemons_order)
{
	static const int order[] = {5, 0, 7, 2, 1, 6, 4, 3};
	const struct hearth_completion *completion;
	const struct hearth_completion *all[8];
	struct hearth_request_slot slots[8];

	for (int index = 0; index < 8; index++)
		submit(2, slots + index);
	for (int turn = 0; turn < 8; turn++)
		fake_answer(lane, slots + order[turn], (float)order[turn]);
	for (int turn = 0; turn < 8; turn++) {
		ck_assert_int_eq(hearth_wait(hearth, -1, &completion), 0);
		ck_assert_uint_eq(completion->id, slots[order[turn]].id);
		all[turn] = completion;
	}
	for (int turn = 0; turn < 8; turn++) /* all stay readable until released */
		ck_assert_float_eq(((const float *)all[turn]->outputs[0].data)[1],
				   (float)order[turn] + 1);
	ck_assert_int_eq(hearth_wait(hearth, -1, &completion), -ENODATA);
}
END_TEST

START_TEST(progress_comes_before_the_final_completion)
{
	struct hearth_completion_slot mark = {.kind = HEARTH_PROGRESS};
	const struct hearth_completion *completion;
	struct hearth_request *request;
	struct hearth_request_slot slot;
	uint64_t item = 0;

	ck_assert_int_eq(hearth_acquire_stream_test(hearth, 3, &request), 0);
	ck_assert_int_eq(hearth_submit(hearth, request), 0);
	ck_assert(fake_pop(lane, &slot));
	ck_assert_uint_eq(slot.operation, HEARTH_OP_STREAM_TEST);
	memcpy(&item, lane->request_area + slot.request_offset, sizeof(uint32_t));
	ck_assert_uint_eq(item, 3);
	ck_assert_uint_ge(slot.response_bytes, 24);
	mark.id = slot.id;
	for (uint32_t items = 1; items <= 2; items++) {
		item = items - 1;
		memcpy(lane->response_area + slot.response_offset + 8 * item, &item, sizeof(item));
		mark.response_bytes = items;
		fake_push(lane, &mark);
		ck_assert_int_eq(hearth_wait(hearth, -1, &completion), 0);
		ck_assert_uint_eq(completion->kind, HEARTH_PROGRESS);
		ck_assert_uint_eq(completion->response_bytes, items);
		ck_assert_uint_eq(((const uint64_t *)completion->response)[items - 1], item);
		ck_assert_int_eq(hearth_release(hearth, completion->id), -EBUSY);
	}
	fake_serve_all(lane, &slot);
	ck_assert_int_eq(hearth_wait(hearth, -1, &completion), 0);
	ck_assert_uint_eq(completion->kind, HEARTH_FINAL);
	ck_assert_uint_ge(completion->response_bytes, 24);
	ck_assert_uint_eq(((const uint64_t *)completion->response)[2], 2);
	ck_assert_int_eq(hearth_release(hearth, completion->id), 0);
}
END_TEST

START_TEST(an_echo_has_one_input_and_its_response_is_what_the_daemon_wrote)
{
	static const uint32_t sizes[] = {0, 1, 63, 64, 65, 4096, 65536};
	const struct hearth_completion *completion;
	struct hearth_request *request;
	struct hearth_request_slot slot;

	for (size_t index = 0; index < sizeof(sizes) / sizeof(sizes[0]); index++) {
		uint32_t bytes = sizes[index];

		ck_assert_int_eq(hearth_acquire_echo(hearth, bytes, &request), 0);
		ck_assert_uint_eq(request->input_count, 1);
		ck_assert_uint_eq(request->inputs[0].bytes, bytes);
		ck_assert_uint_eq((uintptr_t)request->inputs[0].data % 64, 0);
		memset(request->inputs[0].data, (int)index + 1, bytes);
		ck_assert_int_eq(hearth_submit(hearth, request), 0);
		ck_assert(fake_pop(lane, &slot));
		ck_assert_uint_eq(slot.operation, HEARTH_OP_ECHO);
		ck_assert_uint_eq(slot.request_bytes, bytes);
		ck_assert_uint_eq(slot.response_bytes, bytes);
		fake_serve_all(lane, &slot);
		ck_assert_int_eq(hearth_wait(hearth, -1, &completion), 0);
		ck_assert_int_eq(completion->status, 0);
		ck_assert_uint_eq(completion->response_bytes, bytes);
		ck_assert_uint_eq(completion->output_count, 0);
		for (uint32_t at = 0; at < bytes; at++)
			ck_assert_uint_eq(((const uint8_t *)completion->response)[at], index + 1);
		ck_assert_int_eq(hearth_release(hearth, completion->id), 0);
	}
	ck_assert_int_eq(hearth_acquire_echo(hearth, 65537, &request), -EMSGSIZE);
	ck_assert_uint_eq(held(), 0);
}
END_TEST

START_TEST(more_bytes_than_an_echo_reserved_are_not_believed)
{
	struct hearth_completion_slot answer = {.kind = HEARTH_FINAL, .response_bytes = 65};
	const struct hearth_completion *completion;
	struct hearth_request *request;
	struct hearth_request_slot slot;

	ck_assert_int_eq(hearth_acquire_echo(hearth, 64, &request), 0);
	ck_assert_int_eq(hearth_submit(hearth, request), 0);
	ck_assert(fake_pop(lane, &slot));
	answer.id = slot.id;
	fake_push(lane, &answer);
	ck_assert_int_eq(hearth_wait(hearth, -1, &completion), 0);
	ck_assert_int_eq(completion->status, -EPROTO);
	ck_assert_uint_eq(completion->response_bytes, 0);
}
END_TEST

START_TEST(cancel_names_one_request_and_not_its_successor)
{
	const struct hearth_completion *completion;
	struct hearth_request_slot slot;
	uint64_t id;

	id = submit(1, &slot);
	ck_assert(!hearth_cancel_wanted(lane->cancel, slot.id));
	ck_assert_int_eq(hearth_cancel(hearth, id), 0);
	ck_assert(hearth_cancel_wanted(lane->cancel, slot.id));
	fake_complete(lane, slot.id, -ECANCELED);
	ck_assert_int_eq(hearth_wait(hearth, -1, &completion), 0);
	ck_assert_int_eq(completion->status, -ECANCELED);
	ck_assert_int_eq(hearth_cancel(hearth, id), -EINVAL);
	ck_assert_int_eq(hearth_release(hearth, id), 0);
	ck_assert_int_eq(hearth_cancel(hearth, id), -EINVAL);
	submit(1, &slot);
	ck_assert_uint_eq((uint32_t)slot.id, (uint32_t)id);
	ck_assert(!hearth_cancel_wanted(lane->cancel, slot.id));
}
END_TEST

START_TEST(mistakes_are_einval_and_change_nothing)
{
	const struct hearth_completion *completion;
	struct hearth_request *request;
	struct hearth_request stray;
	struct hearth_request_slot slot;
	uint64_t id;

	memset(&stray, 0, sizeof(stray));
	ck_assert_int_eq(hearth_submit(hearth, &stray), -EINVAL);
	ck_assert_int_eq(hearth_submit(hearth, NULL), -EINVAL);
	ck_assert_int_eq(hearth_acquire(hearth, NULL, 1, &request), -EINVAL);
	ck_assert_int_eq(hearth_release(hearth, 0), -EINVAL);
	ck_assert_int_eq(hearth_release(hearth, UINT64_MAX), -EINVAL);
	ck_assert_int_eq(hearth_cancel(hearth, 0), -EINVAL);
	ck_assert_int_eq(hearth_peek(NULL, &completion), -EINVAL);

	ck_assert_int_eq(hearth_acquire(hearth, shoppers, 1, &request), 0);
	id = request->id;
	request->deadline_ns = -EPERM; /* a failed hearth_deadline, unchecked */
	ck_assert_int_eq(hearth_submit(hearth, request), -EINVAL);
	request->deadline_ns = 0;
	request->id = 99; /* of no consequence */
	ck_assert_int_eq(hearth_submit(hearth, request), 0);
	ck_assert_int_eq(hearth_submit(hearth, request), -EINVAL);
	ck_assert_int_eq(hearth_release(hearth, id), -EBUSY);
	ck_assert(fake_pop(lane, &slot));
	ck_assert(!fake_pop(lane, &slot));
	fake_complete(lane, id, 0);
	fake_complete(lane, id, 0); /* a second final one is none */
	ck_assert_int_eq(hearth_peek(hearth, &completion), 0);
	ck_assert_int_eq(hearth_peek(hearth, &completion), -EAGAIN);
	ck_assert_int_eq(hearth_submit(hearth, request), -EINVAL);
	ck_assert_int_eq(hearth_release(hearth, id), 0);
	ck_assert_int_eq(hearth_release(hearth, id), -EINVAL);
	ck_assert_int_eq(hearth_submit(hearth, request), -EINVAL);
	ck_assert_uint_eq(held(), 0);
}
END_TEST

START_TEST(an_acquired_request_can_be_given_back_unsubmitted)
{
	struct hearth_request *request;

	for (int turn = 0; turn < 1000; turn++) {
		ck_assert_int_eq(hearth_acquire(hearth, shoppers, 100, &request), 0);
		ck_assert_int_eq(hearth_release(hearth, request->id), 0);
	}
	ck_assert_uint_eq(held(), 0);
}
END_TEST

START_TEST(a_small_response_range_says_what_is_needed)
{
	static const uint32_t rows = 100;
	const struct hearth_completion *completion;
	struct hearth_request *request;
	struct hearth_request_slot slot;
	uint32_t needed_bytes;

	ck_assert_int_eq(hearth_acquire_sizes(hearth, shoppers, &rows, 128, &request), 0);
	ck_assert_uint_eq(request->response_bytes, 128);
	ck_assert_int_eq(hearth_submit(hearth, request), 0);
	ck_assert(fake_pop(lane, &slot));
	fake_answer(lane, &slot, 0);
	ck_assert_int_eq(hearth_wait(hearth, -1, &completion), 0);
	ck_assert_int_eq(completion->status, -ENOBUFS);
	needed_bytes = completion->response_bytes;
	ck_assert_uint_eq(needed_bytes, 528);
	ck_assert_str_eq(hearth_completion_strerror(hearth, completion),
			 "the response range is too small: 528 bytes needed, 128 given");
	ck_assert_int_eq(hearth_release(hearth, completion->id), 0);
	ck_assert_int_eq(hearth_acquire_sizes(hearth, shoppers, &rows, needed_bytes, &request), 0);
	ck_assert_int_eq(hearth_submit(hearth, request), 0);
	ck_assert(fake_pop(lane, &slot));
	fake_answer(lane, &slot, 0);
	ck_assert_int_eq(hearth_wait(hearth, -1, &completion), 0);
	ck_assert_int_eq(completion->status, 0);
}
END_TEST

START_TEST(errors_are_told_in_sentences)
{
	static const struct {
		int32_t status;
		uint32_t reason;
		uint32_t tensor;
		uint64_t value;
		const char *sentence;
	} rows[] = {
		{-ERANGE, HEARTH_DETAIL_ID, 1, 17, "input 1 'ids', row 17: id outside its table"},
		{-EINVAL, HEARTH_DETAIL_TENSOR, 2, 0,
		 "input 2 'crosses': its type or dimensions do not fit the model"},
		{-EMSGSIZE, HEARTH_DETAIL_ROWS, 0, 1024,
		 "more rows than the model takes, which is 1024"},
		{-EBUSY, HEARTH_DETAIL_RETRY, 0, 5000,
		 "the daemon is full: try again after 5000 ns"},
		{-ENOENT, HEARTH_DETAIL_MODEL, 0, 0, "no such model, or no such version of it"},
		{-ETIME, 0, 0, 0, "the deadline passed before the answer"},
		{-ERANGE, HEARTH_DETAIL_ID, 60000, 1,
		 "input 60000 '', row 1: id outside its table"},
		{-EIO, 200, 9, 9, "rows could not be read from storage"},
	};
	const struct hearth_completion *completion;
	struct hearth_request_slot slot;

	for (size_t row = 0; row < sizeof(rows) / sizeof(rows[0]); row++) {
		struct hearth_completion_slot answer = {
			.status = rows[row].status,
			.kind = HEARTH_FINAL,
			.detail =
				hearth_detail(rows[row].reason, rows[row].tensor, rows[row].value),
		};

		answer.id = submit(1, &slot);
		fake_push(lane, &answer);
		ck_assert_int_eq(hearth_peek(hearth, &completion), 0);
		ck_assert_int_eq(completion->status, rows[row].status);
		ck_assert_str_eq(hearth_completion_strerror(hearth, completion),
				 rows[row].sentence);
		ck_assert_uint_eq(completion->retry_ns, rows[row].status == -EBUSY ? 5000 : 0);
		ck_assert_int_eq(hearth_release(hearth, completion->id), 0);
	}
	for (int error = 1; error < 140; error++)
		ck_assert_uint_gt(strlen(hearth_strerror(-error)), 0);
}
END_TEST

START_TEST(garbage_from_the_daemon_is_survived)
{
	const struct hearth_completion *completion;
	const struct hearth_info *info;
	struct hearth_request_slot slot;
	uint64_t state = (uint64_t)time(NULL) | 1;

	printf("seed %llu\n", (unsigned long long)state);
	for (uint32_t turn = 0; turn < 20000; turn++) {
		struct hearth_completion_slot answer;
		uint64_t *words = (uint64_t *)(void *)&answer;
		uint64_t id = submit(3, &slot);
		int r;

		for (uint32_t at = 0; at < 8; at++) {
			state = state * UINT64_C(6364136223846793005) + 1442695040888963407u;
			words[at] = state ^ state >> 33;
		}
		for (uint32_t at = 0; at < slot.response_bytes; at += 8)
			memcpy(lane->response_area + slot.response_offset + at, words + at / 8 % 8,
			       8);
		fake_push(lane, &answer); /* about nobody */
		if (turn % 2) {		  /* the table of outputs alone is garbage, or half of it */
			struct hearth_response_header header = {.header_bytes = 64,
								.output_count = turn % 4};

			if (turn % 8 < 6)
				memcpy(lane->response_area + slot.response_offset, &header,
				       sizeof(header));
			answer.status = 0;
			answer.response_bytes %= 256;
		}
		answer.id = id;
		answer.kind = HEARTH_FINAL;
		fake_push(lane, &answer);
		r = hearth_wait(hearth, 0, &completion);
		ck_assert_int_eq(r, 0);
		ck_assert_uint_eq(completion->id, id);
		for (uint32_t output = 0; output < completion->output_count; output++) {
			const uint8_t *data = completion->outputs[output].data;
			uint32_t bytes = completion->outputs[output].bytes;

			ck_assert_uint_le(bytes, slot.response_bytes);
			if (bytes > 0)
				(void)*(const volatile uint8_t *)(data + bytes - 1);
		}
		(void)hearth_completion_strerror(hearth, completion);
		ck_assert_int_eq(hearth_release(hearth, id), 0);
	}
	ck_assert_int_eq(hearth_about(hearth, &info), 0);
	ck_assert_uint_gt(info->unknown_completions, 0);
	ck_assert_uint_eq(info->in_flight, 0);
}
END_TEST

START_TEST(one_slot_and_4096_slots_work_alike)
{
	const struct hearth_completion *completion;
	struct hearth_request *request;
	struct hearth_request_slot slot;

	for (uint32_t slots = 1; slots <= 4096; slots *= 4096) {
		start_sized(slots, 1 << 22, 1 << 20);
		for (uint32_t index = 0; index < slots; index++)
			submit(1, &slot);
		ck_assert_int_eq(hearth_acquire_ping(hearth, &request), -EAGAIN);
		for (uint32_t index = 0; index < slots; index++) {
			fake_complete(lane, UINT64_C(1) << 32 | (slots - 1 - index), -ETIME);
			ck_assert_int_eq(hearth_peek(hearth, &completion), 0);
			ck_assert_int_eq(hearth_release(hearth, completion->id), 0);
		}
		ck_assert_uint_eq(held(), 0);
		teardown();
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("client/request.h");
	TCase *tcase = tcase_create("requests");
	TCase *sizes = tcase_create("sizes");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, what_the_caller_writes_is_what_the_daemon_reads);
	tcase_add_test(tcase, several_free_sizes_are_given_one_by_one);
	tcase_add_test(tcase, too_big_for_an_area_names_wanted_and_available);
	tcase_add_test(tcase, no_slot_left_is_eagain_until_one_is_released);
	tcase_add_test(tcase, no_room_left_is_eagain_until_some_is_released);
	tcase_add_test(tcase, completions_come_in_the_daemons_order);
	tcase_add_test(tcase, progress_comes_before_the_final_completion);
	tcase_add_test(tcase, an_echo_has_one_input_and_its_response_is_what_the_daemon_wrote);
	tcase_add_test(tcase, more_bytes_than_an_echo_reserved_are_not_believed);
	tcase_add_test(tcase, cancel_names_one_request_and_not_its_successor);
	tcase_add_test(tcase, mistakes_are_einval_and_change_nothing);
	tcase_add_test(tcase, an_acquired_request_can_be_given_back_unsubmitted);
	tcase_add_test(tcase, a_small_response_range_says_what_is_needed);
	tcase_add_test(tcase, errors_are_told_in_sentences);
	tcase_add_test(tcase, garbage_from_the_daemon_is_survived);
	tcase_add_test(sizes, one_slot_and_4096_slots_work_alike);
	suite_add_tcase(suite, tcase);
	suite_add_tcase(suite, sizes);
	return suite_run(suite);
}
