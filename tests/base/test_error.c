/* SPDX-License-Identifier: MIT */
/* tests/base/test_error.c - what a failure tells, and to whom */

#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "base/error.h"
#include "tests/suite.h"

static int frames_count(void)
{
	const char *at = err_frames();
	int count = *at ? 1 : 0;

	while ((at = strstr(at, " < "))) {
		count++;
		at += 3;
	}
	return count;
}

static int fail_below(int depth)
{
	if (depth == 0)
		return err_raise(-EIO, "disk %d does not answer", 7);
	return err_trace(fail_below(depth - 1));
}

START_TEST(raise_keeps_the_sentence_and_returns_the_error)
{
	ck_assert_int_eq(err_raise(-EINVAL, "rows = %d; 1 to %d are allowed", 0, 512), -EINVAL);
	ck_assert_str_eq(err_message(), "rows = 0; 1 to 512 are allowed");
	ck_assert_int_eq(frames_count(), 1);
}
END_TEST

START_TEST(frames_name_every_file_and_line_innermost_first)
{
	ck_assert_int_eq(fail_below(2), -EIO);
	ck_assert_str_eq(err_message(), "disk 7 does not answer");
	ck_assert_int_eq(frames_count(), 3);
	ck_assert_ptr_eq(strstr(err_frames(), "tests/base/test_error.c:"), err_frames());
}
END_TEST

START_TEST(raise_clears_the_trace_before_it)
{
	ck_assert_int_eq(fail_below(5), -EIO);
	ck_assert_int_eq(err_raise(-EBUSY, "busy"), -EBUSY);
	ck_assert_str_eq(err_message(), "busy");
	ck_assert_int_eq(frames_count(), 1);
}
END_TEST

START_TEST(raise_may_quote_the_sentence_before_it)
{
	ck_assert_int_eq(err_raise(-ENOENT, "no such file"), -ENOENT);
	ck_assert_int_eq(err_raise(-EINVAL, "model 'm': %s", err_message()), -EINVAL);
	ck_assert_str_eq(err_message(), "model 'm': no such file");
}
END_TEST

START_TEST(success_leaves_the_trace_alone)
{
	ck_assert_int_eq(fail_below(1), -EIO);
	ck_assert_int_eq(err_trace(0), 0);
	ck_assert_int_eq(err_fold(0), 0);
	ck_assert_int_eq(frames_count(), 2);
}
END_TEST

START_TEST(fold_makes_an_unhandled_outcome_fatal)
{
	ck_assert_int_eq(err_fold(3), -ENOTRECOVERABLE);
	ck_assert_ptr_nonnull(strstr(err_message(), "outcome 3"));
	ck_assert_int_eq(frames_count(), 1);
	ck_assert_int_eq(err_fold(-EIO), -EIO);
	ck_assert_int_eq(frames_count(), 2);
}
END_TEST

START_TEST(long_sentence_is_cut_at_2048_bytes)
{
	char sentence[4000];

	memset(sentence, 'x', sizeof(sentence) - 1);
	sentence[sizeof(sentence) - 1] = '\0';
	ck_assert_int_eq(err_raise(-EINVAL, "%s", sentence), -EINVAL);
	ck_assert_uint_eq(strlen(err_message()), 2047);
}
END_TEST

/* What is not text by itself, is cut, or would move a terminal's cursor, and what stays. */
START_TEST(what_is_no_text_is_shown_as_question_marks)
{
	static const char *const pairs[][2] = {
		{"\xc3\xa9\xe2\x82\xac\xf0\x9f\x92\xbe", "\xc3\xa9\xe2\x82\xac\xf0\x9f\x92\xbe"},
		{"\x1b[2J\n\x7f", "?[2J??"},
		{"\xc3", "?"},
		{"a\xe2\x82", "a??"},
		{"\xc0\x80\xed\xa0\x80", "?????"},
		{"\xf4\x90\x80\x80", "????"},
		{"\xc3(\xa9", "?(?"},
	};

	for (size_t pair = 0; pair < sizeof(pairs) / sizeof(pairs[0]); pair++) {
		ck_assert_int_eq(err_raise(-EINVAL, "'%s'", pairs[pair][0]), -EINVAL);
		ck_assert_int_eq(strncmp(err_message() + 1, pairs[pair][1], strlen(pairs[pair][1])),
				 0);
		ck_assert_uint_eq(strlen(err_message()), strlen(pairs[pair][1]) + 2);
	}
	ck_assert_int_eq(err_raise(-EINVAL, "%.4s", "abc\xc3\xa9"), -EINVAL);
	ck_assert_str_eq(err_message(), "abc?");
}
END_TEST

START_TEST(deep_trace_keeps_16_frames_and_counts_the_rest)
{
	ck_assert_int_eq(fail_below(20), -EIO);
	ck_assert_int_eq(frames_count(), 17);
	ck_assert_ptr_nonnull(strstr(err_frames(), " < 5 more"));
}
END_TEST

START_TEST(raise_keeps_errno)
{
	errno = EAGAIN;
	ck_assert_int_eq(err_raise(-EIO, "%s", "x"), -EIO);
	ck_assert_int_eq(errno, EAGAIN);
}
END_TEST

static void *other_thread(void *argument)
{
	char *ret_first = argument;

	memcpy(ret_first, err_message(), strlen(err_message()) + 1);
	return (void *)(intptr_t)fail_below(3);
}

START_TEST(each_thread_has_its_own_trace)
{
	char seen_first[512] = "?";
	pthread_t thread;
	void *result;

	ck_assert_int_eq(err_raise(-EBUSY, "mine"), -EBUSY);
	ck_assert_int_eq(pthread_create(&thread, NULL, other_thread, seen_first), 0);
	ck_assert_int_eq(pthread_join(thread, &result), 0);
	ck_assert_int_eq((int)(intptr_t)result, -EIO);
	ck_assert_str_eq(seen_first, "");
	ck_assert_str_eq(err_message(), "mine");
	ck_assert_int_eq(frames_count(), 1);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("error");
	TCase *tcase = tcase_create("error");

	tcase_add_test(tcase, raise_keeps_the_sentence_and_returns_the_error);
	tcase_add_test(tcase, frames_name_every_file_and_line_innermost_first);
	tcase_add_test(tcase, raise_clears_the_trace_before_it);
	tcase_add_test(tcase, raise_may_quote_the_sentence_before_it);
	tcase_add_test(tcase, success_leaves_the_trace_alone);
	tcase_add_test(tcase, fold_makes_an_unhandled_outcome_fatal);
	tcase_add_test(tcase, long_sentence_is_cut_at_2048_bytes);
	tcase_add_test(tcase, what_is_no_text_is_shown_as_question_marks);
	tcase_add_test(tcase, deep_trace_keeps_16_frames_and_counts_the_rest);
	tcase_add_test(tcase, raise_keeps_errno);
	tcase_add_test(tcase, each_thread_has_its_own_trace);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
