/* SPDX-License-Identifier: MIT */
/* tests/base/test_log.c - what a line looks like to the journal and to a person */

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "tests/suite.h"

static int pipe_fds[2];
static char text[8192];
static struct log_events events;

static void stderr_capture(void)
{
	ck_assert_int_eq(pipe2(pipe_fds, O_CLOEXEC | O_NONBLOCK), 0);
	ck_assert_int_ge(dup2(pipe_fds[1], STDERR_FILENO), 0);
	memset(&events, 0, sizeof(events));
}

static void journal_set(void)
{
	struct stat stat;
	char stream[64];

	ck_assert_int_eq(fstat(STDERR_FILENO, &stat), 0);
	snprintf(stream, sizeof(stream), "%lu:%lu", (unsigned long)stat.st_dev,
		 (unsigned long)stat.st_ino);
	setenv("JOURNAL_STREAM", stream, 1);
}

static const char *text_taken(void)
{
	ssize_t got = read(pipe_fds[0], text, sizeof(text) - 1);

	text[got > 0 ? got : 0] = '\0';
	return text;
}

START_TEST(journal_lines_carry_their_priority)
{
	journal_set();
	log_init(LOG_LEVEL_DEBUG);
	log_error("a %d", 1);
	log_warning("b");
	log_info("c");
	log_debug("d");
	ck_assert_str_eq(text_taken(), "<3>a 1\n<4>b\n<6>c\n<7>d\n");
}
END_TEST

START_TEST(terminal_lines_carry_time_and_level)
{
	unsetenv("JOURNAL_STREAM");
	log_init(LOG_LEVEL_INFO);
	log_warning("b");
	ck_assert_uint_eq(strlen(text_taken()), strlen("2026-01-31T12:00:00.000 warning: b\n"));
	ck_assert_str_eq(text + strlen("2026-01-31T12:00:00.000"), " warning: b\n");
}
END_TEST

START_TEST(journal_variable_of_another_stream_does_not_count)
{
	setenv("JOURNAL_STREAM", "1:1", 1);
	log_init(LOG_LEVEL_INFO);
	log_info("x");
	ck_assert(text_taken()[0] != '<');
}
END_TEST

START_TEST(lines_above_the_level_are_left_out)
{
	journal_set();
	log_init(LOG_LEVEL_WARNING);
	log_info("no");
	log_warning("yes");
	log_level_set(LOG_LEVEL_INFO);
	log_info("now");
	log_debug("no");
	ck_assert_str_eq(text_taken(), "<4>yes\n<6>now\n");
}
END_TEST

START_TEST(newlines_cannot_forge_a_second_line)
{
	journal_set();
	log_init(LOG_LEVEL_INFO);
	log_info("name %s", "x\n<3>forged\033[2J");
	ck_assert_str_eq(text_taken(), "<6>name x <3>forged [2J\n");
}
END_TEST

START_TEST(long_line_is_cut_and_still_ends)
{
	char words[3000];

	journal_set();
	log_init(LOG_LEVEL_INFO);
	memset(words, 'w', sizeof(words) - 1);
	words[sizeof(words) - 1] = '\0';
	log_info("%s", words);
	ck_assert_uint_eq(strlen(text_taken()), 1024);
	ck_assert_int_eq(text[1023], '\n');
}
END_TEST

START_TEST(last_lines_are_kept_with_time_and_level)
{
	uint64_t before_ns = (uint64_t)time(NULL) * CLOCK_NS_PER_S;
	uint64_t position;

	log_init(LOG_LEVEL_DEBUG);
	log_info("before");
	log_keep(&events);
	log_warning("a %d", 1);
	log_debug("not this one");
	log_error("b");
	ck_assert_uint_eq(events.count, 2);
	ck_assert_str_eq(log_event(&events, 0)->text, "a 1");
	ck_assert_int_eq(log_event(&events, 0)->level, LOG_LEVEL_WARNING);
	ck_assert_str_eq(log_event(&events, 1)->text, "b");
	ck_assert_uint_ge(log_event(&events, 0)->unix_ns, before_ns);
	ck_assert_ptr_null(log_event(&events, 2));
	for (position = 2; position < LOG_EVENTS + 2; position++)
		log_info("%lu", position);
	ck_assert_ptr_null(log_event(&events, 1));
	ck_assert_str_eq(log_event(&events, 2)->text, "2");
	ck_assert_str_eq(log_event(&events, LOG_EVENTS + 1)->text, "513");
	ck_assert_ptr_null(log_event(&events, UINT64_MAX));
	log_keep(NULL);
	log_info("after");
	ck_assert_uint_eq(events.count, LOG_EVENTS + 2);
}
END_TEST

START_TEST(lines_above_the_level_are_not_kept)
{
	log_init(LOG_LEVEL_WARNING);
	log_keep(&events);
	log_info("no");
	ck_assert_uint_eq(events.count, 0);
}
END_TEST

START_TEST(kept_text_is_clean_and_ends_however_long_the_line_is)
{
	char words[3000];

	log_init(LOG_LEVEL_INFO);
	log_keep(&events);
	log_info("caf\xc3\xa9 %s", "\xff\033[2J\xc3");
	ck_assert_str_eq(log_event(&events, 0)->text, "caf\xc3\xa9 ? [2J?");
	memset(words, 'w', sizeof(words) - 1);
	words[sizeof(words) - 1] = '\0';
	log_info("%s", words);
	ck_assert_uint_gt(strlen(log_event(&events, 1)->text), 900);
	ck_assert_uint_eq(strspn(log_event(&events, 1)->text, "w"),
			  strlen(log_event(&events, 1)->text));
}
END_TEST

START_TEST(closed_stderr_and_errno_do_no_harm)
{
	log_init(LOG_LEVEL_INFO);
	close(STDERR_FILENO);
	errno = EAGAIN;
	log_info("nobody reads");
	ck_assert_int_eq(errno, EAGAIN);
}
END_TEST

START_TEST(level_names_are_parsed_and_others_refused)
{
	enum log_level level;

	ck_assert_int_eq(log_level_parse("debug", &level), 0);
	ck_assert_int_eq(level, LOG_LEVEL_DEBUG);
	ck_assert_int_eq(log_level_parse("loud", &level), -EINVAL);
	ck_assert_ptr_nonnull(strstr(err_message(), "'loud'"));
	ck_assert_int_eq(level, LOG_LEVEL_DEBUG);
}
END_TEST

START_TEST(clock_does_not_go_back)
{
	uint64_t last_ns = clock_ns();
	struct timespec time = clock_timespec(3 * CLOCK_NS_PER_S + 5);
	int turn;

	for (turn = 0; turn < 1000; turn++) {
		uint64_t now_ns = clock_ns();
		ck_assert_uint_ge(now_ns, last_ns);
		last_ns = now_ns;
	}
	ck_assert_int_eq(time.tv_sec, 3);
	ck_assert_int_eq(time.tv_nsec, 5);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("log");
	TCase *tcase = tcase_create("log");

	tcase_add_checked_fixture(tcase, stderr_capture, NULL);
	tcase_add_test(tcase, journal_lines_carry_their_priority);
	tcase_add_test(tcase, terminal_lines_carry_time_and_level);
	tcase_add_test(tcase, journal_variable_of_another_stream_does_not_count);
	tcase_add_test(tcase, lines_above_the_level_are_left_out);
	tcase_add_test(tcase, newlines_cannot_forge_a_second_line);
	tcase_add_test(tcase, long_line_is_cut_and_still_ends);
	tcase_add_test(tcase, last_lines_are_kept_with_time_and_level);
	tcase_add_test(tcase, lines_above_the_level_are_not_kept);
	tcase_add_test(tcase, kept_text_is_clean_and_ends_however_long_the_line_is);
	tcase_add_test(tcase, closed_stderr_and_errno_do_no_harm);
	tcase_add_test(tcase, level_names_are_parsed_and_others_refused);
	tcase_add_test(tcase, clock_does_not_go_back);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
