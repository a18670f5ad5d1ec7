/* SPDX-License-Identifier: MIT */
/* tests/serve/test_data.c - what the data thread tells arrives, however late somebody listens */
#include <check.h>

#include "serve/data.h"
#include "tests/suite.h"

#define LANES 4096 /* --clients-max is no more */

START_TEST(all_that_the_data_thread_can_tell_before_anybody_listens_has_room)
{
	const struct data_options options = {
		.lanes_max = LANES,
		.way = &waiter_poll,
		.bell = DATA_BELL_SOCKET,
		.node = -1,
	};
	struct message message = { .kind = MESSAGE_STOP };
	static struct data data;

	ck_assert_msg(data_start(&data, &options) == 0, "%s", err_message());
	data_send(&data, &message);
	data_join(&data);
	message.kind = MESSAGE_DONE;
	for (message.token = 1; message.token < DATA_REPLIES_MAX(LANES); message.token++)
		data_reply(&data, &message);

	ck_assert(data_receive(&data, &message));
	ck_assert_int_eq(message.kind, MESSAGE_STOPPED);
	for (uint32_t token = 1; token < DATA_REPLIES_MAX(LANES); token++) {
		ck_assert(data_receive(&data, &message));
		ck_assert_uint_eq(message.token, token);
	}
	ck_assert(!data_receive(&data, &message));
	data_deinit(&data);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("data");
	TCase *tests = tcase_create("data");

	tcase_add_test(tests, all_that_the_data_thread_can_tell_before_anybody_listens_has_room);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}
