/* SPDX-License-Identifier: MIT */
/* tests/client/test_open.c - sizes, refusals, versions, clocks; and what a model looks like */
#include <check.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client/hearth.h"
#include "tests/client/fake_daemon.h"
#include "tests/suite.h"

static struct fake_daemon fake;
static struct hearth *hearth;

static void start(const struct fake_options *fake_options)
{
	fake_start(&fake, fake_options);
}

static int open_with(const struct hearth_options *options)
{
	return hearth_open(fake.path, options, &hearth);
}

static void stop(void)
{
	ck_assert_int_eq(hearth_close(hearth), 0);
	hearth = NULL;
	fake_stop(&fake);
}

static struct hearth_options sized(void)
{
	return (struct hearth_options){.size = sizeof(struct hearth_options)};
}

START_TEST(defaults_are_256_slots_and_16_mib)
{
	const struct hearth_info *info;

	start(NULL);
	ck_assert_int_eq(open_with(NULL), 0);
	ck_assert_int_eq(hearth_about(hearth, &info), 0);
	ck_assert_uint_eq(info->size, sizeof(*info));
	ck_assert_uint_eq(info->slots, 256);
	ck_assert_uint_eq(info->request_area_bytes, 16u << 20);
	ck_assert_uint_eq(info->response_area_bytes, 4u << 20);
	ck_assert_uint_eq(info->abi, HEARTH_ABI_VERSION);
	ck_assert_uint_eq(info->held, 0);
	ck_assert_int_eq(info->clock_offset_ns, 0);
	stop();
}
END_TEST

START_TEST(sizes_are_rounded_up_to_powers_of_two)
{
	struct hearth_options options = sized();
	const struct hearth_info *info;

	options.slots = 5;
	options.request_area_bytes = 70000;
	options.response_area_bytes = 1;
	start(NULL);
	ck_assert_int_eq(open_with(&options), 0);
	ck_assert_int_eq(hearth_about(hearth, &info), 0);
	ck_assert_uint_eq(info->slots, 8);
	ck_assert_uint_eq(info->request_area_bytes, 131072);
	ck_assert_uint_eq(info->response_area_bytes, 4096);
	stop();
}
END_TEST

START_TEST(more_than_a_limit_is_refused_with_the_limit_named)
{
	struct hearth_options options = sized();

	start(NULL);
	options.slots = 4097;
	ck_assert_int_eq(open_with(&options), -EINVAL);
	ck_assert_ptr_nonnull(strstr(hearth_strerror(-EINVAL), "slots is 4097, at most 4096"));
	options.slots = 4096;
	options.request_area_bytes = (UINT64_C(1) << 30) + 1;
	ck_assert_int_eq(open_with(&options), -EINVAL);
	ck_assert_ptr_nonnull(strstr(hearth_strerror(-EINVAL), "request_area_bytes is 1073741825"));
	ck_assert_ptr_nonnull(strstr(hearth_strerror(-EINVAL), "at most 1073741824"));
	options.request_area_bytes = 0;
	options.response_area_bytes = UINT64_C(1) << 40;
	ck_assert_int_eq(open_with(&options), -EINVAL);
	ck_assert_ptr_nonnull(strstr(hearth_strerror(-EINVAL), "at most 1073741824"));
	options.response_area_bytes = 0;
	ck_assert_int_eq(open_with(&options), 0);
	stop();
}
END_TEST

START_TEST(options_grow_in_both_directions)
{
	struct {
		struct hearth_options options;
		uint64_t later;
	} grown = {.options = {.size = sizeof(grown)}};
	struct hearth_options first = {.size = offsetof(struct hearth_options, features)};

	start(NULL);
	first.slots = 4;
	first.features = UINT64_MAX; /* beyond what this caller knows */
	ck_assert_int_eq(open_with(&first), 0);
	ck_assert_int_eq(hearth_close(hearth), 0);
	ck_assert_int_eq(open_with(&grown.options), 0);
	ck_assert_int_eq(hearth_close(hearth), 0);
	hearth = NULL;
	grown.later = 1;
	ck_assert_int_eq(open_with(&grown.options), -E2BIG);
	first.size = 0;
	ck_assert_int_eq(open_with(&first), -EINVAL);
	ck_assert_ptr_nonnull(strstr(hearth_strerror(-EINVAL), "options.size"));
	stop();
}
END_TEST

START_TEST(a_refusal_carries_the_daemons_sentence)
{
	static const int errors[] = {EBUSY, EDQUOT, EACCES};

	for (size_t index = 0; index < sizeof(errors) / sizeof(errors[0]); index++) {
		struct fake_options options = {.refuse_status = -errors[index],
					       .refuse_text = "wanted 3, have 2: close one"};

		start(&options);
		ck_assert_int_eq(open_with(NULL), -errors[index]);
		ck_assert_str_eq(hearth_strerror(-errors[index]), "wanted 3, have 2: close one");
		stop();
	}
}
END_TEST

START_TEST(versions_that_do_not_meet_are_both_named)
{
	struct fake_options newer = {
		.abi_oldest = 7, .abi_newest = 9, .refuse_status = -EPROTONOSUPPORT};
	struct fake_options lying = {.abi_oldest = 7, .abi_newest = 9};
	char client[32];

	snprintf(client, sizeof(client), "this client %u to %u", HEARTH_ABI_OLDEST,
		 HEARTH_ABI_VERSION);
	start(&newer);
	ck_assert_int_eq(open_with(NULL), -EPROTONOSUPPORT);
	ck_assert_ptr_nonnull(strstr(hearth_strerror(-EPROTONOSUPPORT), "versions 7 to 9"));
	ck_assert_ptr_nonnull(strstr(hearth_strerror(-EPROTONOSUPPORT), client));
	stop();
	start(&lying);
	ck_assert_int_eq(open_with(NULL), -EPROTONOSUPPORT);
	stop();
}
END_TEST

START_TEST(a_daemon_that_misbehaves_is_an_error_and_leaks_nothing)
{
	static const struct {
		struct fake_options options;
		int wanted;
	} rows[] = {
		{{.is_mute = true}, -ETIMEDOUT},	{{.hangs_up = true}, -ECONNRESET},
		{{.talks_nonsense = true}, -EPROTO},	{{.sends_no_fds = true}, -EMFILE},
		{{.is_unsealed = true}, -EPROTO},	{{.is_short = true}, -EPROTO},
		{{.lies_about_layout = true}, -EPROTO},
	};
	struct hearth_options options = sized();
	int fd_before = open("/dev/null", O_RDONLY);
	int fd_after;

	close(fd_before);
	options.reply_timeout_ns = 100000000;
	for (size_t row = 0; row < sizeof(rows) / sizeof(rows[0]); row++) {
		start(&rows[row].options);
		ck_assert_int_eq(open_with(&options), rows[row].wanted);
		ck_assert_ptr_null(hearth);
		stop();
	}
	fd_after = open("/dev/null", O_RDONLY);
	ck_assert_int_eq(fd_before, fd_after);
	close(fd_after);
}
END_TEST

START_TEST(no_daemon_is_an_error_with_the_path_in_it)
{
	char long_path[200];

	ck_assert_int_eq(hearth_open("/nonexistent/hearth.sock", NULL, &hearth), -ENOENT);
	ck_assert_ptr_nonnull(strstr(hearth_strerror(-ENOENT), "/nonexistent/hearth.sock"));
	memset(long_path, 'x', sizeof(long_path));
	long_path[sizeof(long_path) - 1] = '\0';
	ck_assert_int_eq(hearth_open(long_path, NULL, &hearth), -ENAMETOOLONG);
}
END_TEST

#define FDS_MAX 64

/* Counts what is open and was not before; each must be close-on-exec. */
static int descriptors_new(const bool before[FDS_MAX])
{
	int count = 0;
	int fd;

	for (fd = 0; fd < FDS_MAX; fd++) {
		int flags = before[fd] ? -1 : fcntl(fd, F_GETFD);

		ck_assert(flags < 0 || flags & FD_CLOEXEC);
		count += flags >= 0;
	}
	return count;
}

START_TEST(descriptors_are_close_on_exec_and_only_the_socket_and_a_pidfd_stay)
{
	bool before[FDS_MAX];
	int wanted;
	int turn;
	int fd;

	for (fd = 0; fd < FDS_MAX; fd++)
		before[fd] = fcntl(fd, F_GETFD) >= 0;
	start(NULL);
	ck_assert_int_eq(open_with(NULL), 0);
	ck_assert_int_ge(hearth_fd(hearth), 0);
	/* The fake's listening socket and its end of the connection; then the client's own. */
	wanted = 2 + 1 + (hearth->pidfd >= 0);
	/* The fake closes its copies of the segments' descriptors when it has sent them. */
	for (turn = 0; descriptors_new(before) > wanted && turn < 5000; turn++)
		usleep(1000);
	ck_assert_int_eq(descriptors_new(before), wanted);
	stop();
}
END_TEST

START_TEST(the_offset_of_a_shifted_clock_is_measured)
{
	struct fake_options options = {.clock_shift_ns = INT64_C(86400000000000)};
	const struct hearth_info *info;
	struct hearth_request *request;
	struct hearth_request_slot slot;
	int64_t deadline_ns;

	for (int sign = 0; sign < 2; sign++, options.clock_shift_ns = -1000000000) {
		start(&options);
		ck_assert_int_eq(open_with(NULL), 0);
		ck_assert_int_eq(hearth_about(hearth, &info), 0);
		/* early by the travel of one answer at most, never late */
		ck_assert_int_le(info->clock_offset_ns, options.clock_shift_ns);
		ck_assert_int_gt(info->clock_offset_ns, options.clock_shift_ns - 500000000);
		deadline_ns = hearth_deadline(hearth, 5);
		ck_assert_int_eq(hearth_acquire_ping(hearth, &request), 0);
		request->deadline_ns = deadline_ns;
		ck_assert_int_eq(hearth_submit(hearth, request), 0);
		ck_assert(fake_pop(fake.lanes, &slot));
		ck_assert_int_eq((int64_t)slot.deadline_ns, deadline_ns);
		ck_assert_int_ge((int64_t)slot.submitted_ns, deadline_ns - 5);
		ck_assert_int_lt((int64_t)slot.submitted_ns, deadline_ns + 1000000000);
		stop();
	}
}
END_TEST

/* Whose first touch a page is decides who is charged for it. */
START_TEST(every_page_is_in_memory_before_the_client_says_ready)
{
	unsigned char in_memory[4 << 8] = {0};
	size_t pages;
	size_t page;

	start(NULL);
	ck_assert_int_eq(open_with(NULL), 0);
	while (!__atomic_load_n(&fake.lanes[0].is_ready, __ATOMIC_ACQUIRE))
		usleep(100);
	pages = fake.lanes[0].layout.response_area_bytes / HEARTH_PAGE_BYTES;
	ck_assert_uint_le(pages, sizeof(in_memory));
	ck_assert_int_eq(mincore(fake.lanes[0].response_area, pages * HEARTH_PAGE_BYTES, in_memory),
			 0);
	for (page = 0; page < pages; page++)
		ck_assert_uint_eq(in_memory[page] & 1, 1);
	stop();
}
END_TEST

START_TEST(a_model_is_described)
{
	const struct hearth_model_info *model;
	const struct hearth_model_info *again;

	start(NULL);
	ck_assert_int_eq(open_with(NULL), 0);
	ck_assert_int_eq(hearth_model(hearth, "shoppers", 0, &model), 0);
	ck_assert_uint_eq(model->size, sizeof(*model));
	ck_assert_str_eq(model->name, "shoppers");
	ck_assert_uint_eq(model->version, 2);
	ck_assert_uint_eq(model->current_version, 2);
	ck_assert_uint_eq(model->rows_max, 1024);
	ck_assert_uint_eq(model->input_count, 3);
	ck_assert_uint_eq(model->output_count, 1);
	ck_assert_str_eq(model->inputs[0].name, "dense");
	ck_assert_str_eq(model->inputs[2].name, "crosses");
	ck_assert_uint_eq(model->inputs[1].dtype, HEARTH_I64);
	ck_assert_uint_eq(model->inputs[1].rank, 2);
	ck_assert_int_eq(model->inputs[1].dims[0].symbol, 0);
	ck_assert_int_eq(model->inputs[1].dims[1].symbol, -1);
	ck_assert_int_eq(model->inputs[1].dims[1].constant, 7);
	ck_assert_str_eq(model->outputs[0].name, "score");
	for (uint32_t input = 0; input < model->input_count; input++)
		ck_assert_int_eq(model->offsets_into[input], -1);
	ck_assert_int_eq(hearth_model(hearth, "shoppers", 0, &again), 0);
	ck_assert_ptr_eq(model, again);
	ck_assert_int_eq(hearth_model(hearth, "shoppers", 1, &again), 0);
	ck_assert_ptr_ne(model, again);
	ck_assert_uint_eq(again->version, 1);
	stop();
}
END_TEST

START_TEST(a_model_tells_offsets_and_what_they_divide)
{
	const struct hearth_model_info *model = NULL;

	start(NULL);
	ck_assert_int_eq(open_with(NULL), 0);
	ck_assert_int_eq(hearth_model(hearth, "bags", 0, &model), 0);
	ck_assert_int_eq(model->offsets_into[0], -1);
	ck_assert_int_eq(model->offsets_into[1], 1);
	fake.options.describe_unknown_values = true;
	ck_assert_int_eq(hearth_model(hearth, "bags", 0, &model), -EPROTO);
	stop();
}
END_TEST

START_TEST(an_unknown_model_is_named_in_the_sentence)
{
	const struct hearth_model_info *model = NULL;
	char long_name[HEARTH_NAME_BYTES + 1];

	start(NULL);
	ck_assert_int_eq(open_with(NULL), 0);
	ck_assert_int_eq(hearth_model(hearth, "nobody", 3, &model), -ENOENT);
	ck_assert_ptr_nonnull(strstr(hearth_strerror(-ENOENT), "'nobody' version 3"));
	ck_assert_ptr_nonnull(strstr(hearth_error_sentence(-ESTALE), "until it is loaded again"));
	memset(long_name, 'x', sizeof(long_name));
	long_name[HEARTH_NAME_BYTES] = '\0';
	ck_assert_int_eq(hearth_model(hearth, long_name, 0, &model), -EINVAL);
	ck_assert_int_eq(hearth_model(hearth, "", 0, &model), -EINVAL);
	ck_assert_int_eq(hearth_model(hearth, NULL, 0, &model), -EINVAL);
	ck_assert_ptr_null(model);
	stop();
}
END_TEST

START_TEST(bells_between_question_and_answer_are_read_away)
{
	struct fake_options options = {.describe_bells = 5};
	const struct hearth_model_info *model;

	start(&options);
	ck_assert_int_eq(open_with(NULL), 0);
	for (int turn = 0; turn < 3; turn++)
		ck_assert_int_eq(hearth_model(hearth, "bags", 0, &model), 0);
	ck_assert_uint_eq(model->symbol_count, 2);
	stop();
}
END_TEST

START_TEST(an_answer_that_came_too_late_is_not_taken_for_the_next)
{
	struct fake_options fake_options = {.describe_delay_ms = 150};
	struct hearth_options options = sized();
	const struct hearth_model_info *model = NULL;

	options.reply_timeout_ns = 100000000;
	start(&fake_options);
	ck_assert_int_eq(open_with(&options), 0);
	ck_assert_int_eq(hearth_model(hearth, "bags", 0, &model), -ETIMEDOUT);
	usleep(100000);
	__atomic_store_n(&fake.options.describe_delay_ms, 0, __ATOMIC_RELAXED);
	ck_assert_int_eq(hearth_model(hearth, "shoppers", 0, &model), 0);
	ck_assert_str_eq(model->inputs[0].name, "dense");
	stop();
}
END_TEST

START_TEST(a_garbled_description_is_an_error)
{
	struct fake_options options = {.describe_garbage = true};
	const struct hearth_model_info *model = NULL;

	start(&options);
	ck_assert_int_eq(open_with(NULL), 0);
	ck_assert_int_eq(hearth_model(hearth, "shoppers", 0, &model), -EPROTO);
	ck_assert_ptr_null(model);
	stop();
}
END_TEST

START_TEST(a_full_backlog_is_waited_for_and_then_an_error)
{
	struct hearth_options options = sized();
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	char path[64];
	int listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	int others[8];
	int r;

	snprintf(path, sizeof(path), "/tmp/hearth-full-%d.sock", getpid());
	memcpy(address.sun_path, path, strlen(path) + 1);
	ck_assert_int_eq(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
	ck_assert_int_eq(listen(listener, 1), 0);
	for (size_t index = 0; index < 8; index++) {
		others[index] = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0);
		(void)connect(others[index], (struct sockaddr *)&address, sizeof(address));
	}
	options.reply_timeout_ns = 50000000;
	r = hearth_open(path, &options, &hearth);
	ck_assert_int_eq(r, -EAGAIN);
	ck_assert_ptr_nonnull(strstr(hearth_strerror(r), "does not accept"));
	for (size_t index = 0; index < 8; index++)
		close(others[index]);
	close(listener);
	unlink(path);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("client/open.h");
	TCase *tcase = tcase_create("open");

	tcase_add_test(tcase, defaults_are_256_slots_and_16_mib);
	tcase_add_test(tcase, sizes_are_rounded_up_to_powers_of_two);
	tcase_add_test(tcase, more_than_a_limit_is_refused_with_the_limit_named);
	tcase_add_test(tcase, options_grow_in_both_directions);
	tcase_add_test(tcase, a_refusal_carries_the_daemons_sentence);
	tcase_add_test(tcase, versions_that_do_not_meet_are_both_named);
	tcase_add_test(tcase, a_daemon_that_misbehaves_is_an_error_and_leaks_nothing);
	tcase_add_test(tcase, no_daemon_is_an_error_with_the_path_in_it);
	tcase_add_test(tcase, descriptors_are_close_on_exec_and_only_the_socket_and_a_pidfd_stay);
	tcase_add_test(tcase, the_offset_of_a_shifted_clock_is_measured);
	tcase_add_test(tcase, every_page_is_in_memory_before_the_client_says_ready);
	tcase_add_test(tcase, a_model_is_described);
	tcase_add_test(tcase, a_model_tells_offsets_and_what_they_divide);
	tcase_add_test(tcase, an_unknown_model_is_named_in_the_sentence);
	tcase_add_test(tcase, bells_between_question_and_answer_are_read_away);
	tcase_add_test(tcase, an_answer_that_came_too_late_is_not_taken_for_the_next);
	tcase_add_test(tcase, a_garbled_description_is_an_error);
	tcase_add_test(tcase, a_full_backlog_is_waited_for_and_then_an_error);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
