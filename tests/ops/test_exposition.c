/* SPDX-License-Identifier: MIT */
/* tests/ops/test_exposition.c - lines of metrics, as Prometheus' text format wants them */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ops/loop.h"
#include "ops/metrics/exposition.h"
#include "ops/metrics/metrics.h"
#include "ops/metrics/parts.h"
#include "tests/suite.h"

static struct exposition exposition;

static void begin(void)
{
	exposition = (struct exposition){ .text = NULL };
}

static const char *end(void)
{
	ck_assert_int_eq(exposition_end(&exposition), 0);
	ck_assert_uint_eq(strlen(exposition.text), exposition.bytes);
	return exposition.text;
}

START_TEST(a_label_may_be_any_text_and_a_line_stays_one)
{
	const struct label labels[] = { { "model", "a\"b\\c\nd" }, { "version", "7" } };

	begin();
	exposition_begin(&exposition, "rows_total", METRIC_COUNTER, "Rows.");
	exposition_sample(&exposition, labels, 2, 3);
	exposition_sample(&exposition, NULL, 0, 0.5);
	ck_assert_str_eq(end(), "# HELP rows_total Rows.\n# TYPE rows_total counter\n"
				"rows_total{model=\"a\\\"b\\\\c\\nd\",version=\"7\"} 3\n"
				"rows_total 0.5\n");
	exposition_deinit(&exposition);
}
END_TEST

START_TEST(numbers_keep_what_they_count)
{
	begin();
	exposition_begin(&exposition, "n", METRIC_GAUGE, "N.");
	exposition_clear(&exposition);
	exposition_sample(&exposition, NULL, 0, 999999999999999.0);
	exposition_sample(&exposition, NULL, 0, 1795766500.25);
	exposition_sample(&exposition, NULL, 0, 1e-9);
	ck_assert_str_eq(end(), "n 999999999999999\nn 1795766500.25\nn 1e-09\n");
	exposition_deinit(&exposition);
}
END_TEST

START_TEST(a_histogram_is_cumulative_and_its_count_is_its_last_bucket)
{
	static struct histogram histogram;
	const struct bounds bounds = { 0, 3, 2 };

	histogram_clear(&histogram);
	for (uint64_t value = 0; value <= 9; value++)
		histogram_record(&histogram, value);
	begin();
	exposition_begin(&exposition, "h", METRIC_HISTOGRAM, "H.");
	exposition_clear(&exposition);
	exposition_histogram(&exposition, &(struct label){ "of", "it" }, 1, &histogram, &bounds);
	ck_assert_str_eq(end(), "h_bucket{of=\"it\",le=\"2\"} 2\n"
				"h_bucket{of=\"it\",le=\"4\"} 3\n"
				"h_bucket{of=\"it\",le=\"8\"} 5\n"
				"h_bucket{of=\"it\",le=\"16\"} 9\n"
				"h_bucket{of=\"it\",le=\"+Inf\"} 10\n"
				"h_sum{of=\"it\"} 90\n"
				"h_count{of=\"it\"} 10\n");
	exposition_deinit(&exposition);
}
END_TEST

START_TEST(a_long_text_grows)
{
	char value[3000];

	memset(value, '"', sizeof(value) - 1);
	value[sizeof(value) - 1] = '\0';
	begin();
	exposition_begin(&exposition, "n", METRIC_GAUGE, "N.");
	exposition_clear(&exposition);
	for (uint32_t line = 0; line < 100; line++)
		exposition_sample(&exposition, &(struct label){ "v", value }, 1, line);
	ck_assert_uint_gt(strlen(end()), 600000);
	exposition_deinit(&exposition);
}
END_TEST

/* Prometheus' conventions, as far as they can be told from a name. */
static const char *assert_conventional(char *line)
{
	const char *name = strsep(&line, "\t");
	const char *kind = strsep(&line, "\t");
	const char *help = strrchr(line, '\t') + 1;
	const char *total = strstr(name, "_total");

	ck_assert_msg(strncmp(name, "hearth_", 7) == 0, "%s", name);
	ck_assert_msg(!strcmp(kind, "counter") == (total && total[6] == '\0'), "%s", name);
	ck_assert_msg(strspn(name, "abcdefghijklmnopqrstuvwxyz_") == strlen(name), "%s", name);
	ck_assert_msg(help[strlen(help) - 1] == '.' && !strchr(help, '\\'), "%s", name);
	return name;
}

START_TEST(the_list_keeps_the_conventions)
{
	const char *names[64];
	char *list = NULL;
	size_t bytes = 0;
	uint32_t count = 0;
	FILE *stream = open_memstream(&list, &bytes);

	metrics_print(stream);
	fclose(stream);
	for (char *line = strtok(list, "\n"); line; line = strtok(NULL, "\n"), count++) {
		ck_assert_uint_lt(count, 64);
		names[count] = assert_conventional(line);
		for (uint32_t other = 0; other < count; other++)
			ck_assert_str_ne(names[other], names[count]);
	}
	ck_assert_uint_gt(count, 0);
	free(list);
}
END_TEST

/* Whoever counts its changes counts restarts. */
START_TEST(a_daemon_started_when_it_did_whatever_its_clocks_say_now)
{
	static struct control control = { .started = { 1795766500, 250000000 } };

	begin();
	exposition_begin(&exposition, "start", METRIC_GAUGE, "Start.");
	exposition_clear(&exposition);
	metrics_started(&control, &exposition);
	ck_assert_str_eq(end(), "start 1795766500.25\n");
	exposition_deinit(&exposition);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("exposition");
	TCase *tests = tcase_create("exposition");

	tcase_add_test(tests, a_label_may_be_any_text_and_a_line_stays_one);
	tcase_add_test(tests, numbers_keep_what_they_count);
	tcase_add_test(tests, a_histogram_is_cumulative_and_its_count_is_its_last_bucket);
	tcase_add_test(tests, a_long_text_grows);
	tcase_add_test(tests, the_list_keeps_the_conventions);
	tcase_add_test(tests, a_daemon_started_when_it_did_whatever_its_clocks_say_now);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}
