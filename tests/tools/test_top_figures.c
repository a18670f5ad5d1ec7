/* SPDX-License-Identifier: MIT */
/* tests/tools/test_top_figures.c - what hearthctl top says went on between two answers of a daemon */

#include <check.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "tests/suite.h"
#include "tools/hearthctl/top/figures.h"

#define S UINT64_C(1000000000)

static struct reading before, now;
static struct figures figures;

static void begin(void)
{
	before = now = (struct reading){0};
	figures_init(&figures);
	reading_begin(&before, 100 * S);
	reading_begin(&now, 102 * S);
	before.has_answer = now.has_answer = true;
}

static void end(void)
{
	figures_deinit(&figures);
	reading_deinit(&before);
	reading_deinit(&now);
}

/* A row of JSON, in apostrophes for quotation marks. */
static void add(talk_row row_function, struct reading *reading, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static void add(talk_row row_function, struct reading *reading, const char *format, ...)
{
	char text[1024];
	va_list arguments;
	json_t *row;

	va_start(arguments, format);
	ck_assert_int_lt(vsnprintf(text, sizeof(text), format, arguments), sizeof(text));
	va_end(arguments);
	for (char *at = text; *at; at++)
		if (*at == '\'')
			*at = '"';
	row = json_loads(text, 0, NULL);
	ck_assert_msg(row != NULL, "%s", text);
	ck_assert_int_eq(row_function(row, reading), EXIT_OK);
	json_decref(row);
}

static void status(struct reading *reading, int pid, double uptime_s, int requests)
{
	add(reading_add_status, reading,
	    "{'version': '1', 'pid': %d, 'uptime_s': %f, 'ready': true, 'worst': 'nothing\\u001b[2J', "
	    "'requests_total': %d, 'rows_total': %d, 'batches_total': %d, 'errors_total': 0}",
	    pid, uptime_s, requests, 6 * requests, 2 * requests);
}

static void model(struct reading *reading, const char *name, int version, int requests, int errors)
{
	add(reading_add_model, reading,
	    "{'model': '%s', 'version': %d, 'state': 'serving', 'current': true, 'requests_total': %d, "
	    "'rows_total': %d, 'batches_total': %d, 'errors_total': %d}",
	    name, version, requests, 4 * requests, requests, errors);
}

static void latency(struct reading *reading, const char *name, int version, int bucket, int count)
{
	add(reading_add_latency, reading,
	    "{'model': '%s', 'version': %d, 'time': 'total', 'sum_ns': 1, 'min_ns': 1, 'max_ns': 60, "
	    "'buckets': [[%d, %d]]}",
	    name, version, bucket, count);
}

static void client(struct reading *reading, int pid, int opened_ns, int requests)
{
	add(reading_add_client, reading,
	    "{'pid': %d, 'uid': 7, 'exe': '/bin/x', 'opened_ns': %d, 'outstanding': 3, "
	    "'requests_total': %d, 'refused': {'busy': 2, 'expired': 1}}",
	    pid, opened_ns, requests);
}

static const char *cell(enum figures_kind kind, uint32_t row, uint32_t column)
{
	ck_assert_uint_lt(row, figures.tables[kind].row_count);
	return figures.tables[kind].rows[row].cells[column].text;
}

static bool head_has(const char *wanted)
{
	for (uint32_t item = 0; item < figures.item_count; item++)
		if (strcmp(figures.items[item], wanted) == 0)
			return true;
	return false;
}

/* --- the head -------------------------------------------------------------------------------------- */

START_TEST(rates_are_what_grew_by_the_second)
{
	begin();
	status(&before, 5, 50, 1000);
	status(&now, 5, 52, 1600);
	figures_make(&figures, &before, &now);
	ck_assert(head_has("requests/s 300"));
	ck_assert(head_has("rows/s 1800"));
	ck_assert(head_has("rows/batch 3.0"));
	ck_assert(head_has("ready"));
	ck_assert(head_has("up 52.0 s"));
	ck_assert_str_eq(figures.worst, "nothing?[2J");
	end();
}
END_TEST

START_TEST(the_first_answer_tells_no_rate)
{
	begin();
	before.has_answer = false;
	status(&now, 5, 52, 1600);
	model(&now, "m", 1, 10, 0);
	client(&now, 3, 1, 10);
	figures_make(&figures, &before, &now);
	ck_assert(head_has("requests/s -"));
	ck_assert(head_has("p99 -"));
	ck_assert_str_eq(cell(FIGURES_MODELS, 0, 1), "-");
	ck_assert_str_eq(cell(FIGURES_CLIENTS, 0, 1), "-");
	end();
}
END_TEST

/* Counters of the daemon that ended say nothing of this one's, larger or smaller. */
START_TEST(a_daemon_that_started_again_counts_from_0)
{
	static const struct {
		int pid;
		double uptime_s;
		int requests;
		const char *wanted;
	} starts[] = {
		{6, 60, 1500, "requests/s 750"}, /* over the whole interval */
		{6, 0.5, 1500, "requests/s 3000"},
		{5, 1, 100, "requests/s 100"}, /* in a container each is pid 1 */
		{5, 50.5, 1500, "requests/s 750"},
	};

	for (size_t start = 0; start < sizeof(starts) / sizeof(starts[0]); start++) {
		begin();
		status(&before, 5, 50, 1000);
		model(&before, "m", 1, 1000, 0);
		client(&before, 3, 1, 1000);
		status(&now, starts[start].pid, starts[start].uptime_s, starts[start].requests);
		model(&now, "m", 1, starts[start].requests, 0);
		client(&now, 3, 1, starts[start].requests);
		figures_make(&figures, &before, &now);
		ck_assert_msg(head_has(starts[start].wanted), "start %zu: %s", start, figures.items[2]);
		ck_assert_str_eq(cell(FIGURES_MODELS, 0, 1), strchr(starts[start].wanted, ' ') + 1);
		ck_assert_str_eq(cell(FIGURES_CLIENTS, 0, 1), strchr(starts[start].wanted, ' ') + 1);
		end();
	}
}
END_TEST

/* --- models ---------------------------------------------------------------------------------------- */

START_TEST(versions_come_and_go)
{
	begin();
	status(&before, 5, 50, 0);
	status(&now, 5, 52, 0);
	model(&before, "gone", 1, 1000, 0);
	latency(&before, "gone", 1, 50, 1000);
	model(&before, "m", 1, 10, 1);
	latency(&before, "m", 1, 50, 10);
	model(&before, "again", 1, 1000, 0);
	latency(&before, "again", 1, 50, 1000);
	model(&now, "m", 1, 30, 5);
	latency(&now, "m", 1, 50, 10);
	latency(&now, "m", 1, 20, 20);
	model(&now, "new", 2, 8, 0);
	model(&now, "again", 1, 20, 0);
	latency(&now, "again", 1, 50, 20);
	latency(&now, "unheard", 9, 50, 20);
	figures_make(&figures, &before, &now);
	ck_assert_uint_eq(figures.tables[FIGURES_MODELS].row_count, 3);
	ck_assert_str_eq(cell(FIGURES_MODELS, 0, 0), "again@1");
	ck_assert_str_eq(cell(FIGURES_MODELS, 0, 1), "10");
	ck_assert_str_eq(cell(FIGURES_MODELS, 0, 2), "50 ns");
	ck_assert_str_eq(cell(FIGURES_MODELS, 1, 0), "m@1");
	ck_assert_str_eq(cell(FIGURES_MODELS, 1, 1), "10");
	ck_assert_str_eq(cell(FIGURES_MODELS, 1, 2), "20 ns"); /* of those that came */
	ck_assert_str_eq(cell(FIGURES_MODELS, 1, 3), "20 ns");
	ck_assert_str_eq(cell(FIGURES_MODELS, 1, 4), "4.0");
	ck_assert_str_eq(cell(FIGURES_MODELS, 1, 5), "2.0");
	ck_assert(figures.tables[FIGURES_MODELS].rows[1].is_bad);
	ck_assert_str_eq(cell(FIGURES_MODELS, 2, 0), "new@2");
	ck_assert_str_eq(cell(FIGURES_MODELS, 2, 1), "4.0");
	ck_assert_str_eq(cell(FIGURES_MODELS, 2, 2), "-");
	ck_assert_str_eq(cell(FIGURES_MODELS, 2, 7), "serving, current");
	end();
}
END_TEST

/* Rows of a page are older than its totals, which the data thread writes. */
START_TEST(a_page_that_stands_still_tells_no_rate_of_its_rows)
{
	begin();
	status(&before, 5, 50, 1000);
	model(&before, "m", 1, 1000, 0);
	add(reading_add_status, &now, "{'pid': 5, 'uptime_s': 52, 'requests_total': 1600, 'page_age_s': 3}");
	model(&now, "m", 1, 900, 0);
	client(&now, 3, 1, 10);
	figures_make(&figures, &before, &now);
	ck_assert(now.is_page);
	ck_assert(head_has("requests/s 300"));
	ck_assert(head_has("p50 -"));
	ck_assert_str_eq(cell(FIGURES_MODELS, 0, 1), "-");
	ck_assert_str_eq(cell(FIGURES_CLIENTS, 0, 1), "-");
	end();
}
END_TEST

/* --- clients --------------------------------------------------------------------------------------- */

START_TEST(connections_of_a_process_are_one_row)
{
	begin();
	status(&before, 5, 50, 0);
	status(&now, 5, 52, 0);
	client(&before, 3, 1, 100);
	client(&before, 3, 2, 5000); /* which ends */
	client(&before, 4, 3, 10);
	client(&now, 3, 1, 120);
	client(&now, 3, 4, 160); /* which is new */
	client(&now, 4, 3, 10);
	figures_make(&figures, &before, &now);
	ck_assert_uint_eq(figures.tables[FIGURES_CLIENTS].row_count, 2);
	ck_assert_str_eq(cell(FIGURES_CLIENTS, 0, 0), "3");
	ck_assert_str_eq(cell(FIGURES_CLIENTS, 0, 1), "90");
	ck_assert_str_eq(cell(FIGURES_CLIENTS, 0, 2), "6");
	ck_assert_str_eq(cell(FIGURES_CLIENTS, 0, 3), "2");
	ck_assert_str_eq(cell(FIGURES_CLIENTS, 0, 4), "7");
	ck_assert_str_eq(cell(FIGURES_CLIENTS, 0, 5), "6");
	ck_assert_str_eq(cell(FIGURES_CLIENTS, 0, 6), "/bin/x");
	ck_assert_str_eq(cell(FIGURES_CLIENTS, 1, 0), "4");
	ck_assert_str_eq(cell(FIGURES_CLIENTS, 1, 1), "0");
	end();
}
END_TEST

START_TEST(what_a_client_chose_is_cut_and_disarmed)
{
	char exe[600] = "/\\u001b[31m";
	size_t bytes;

	begin();
	status(&now, 5, 52, 0);
	while ((bytes = strlen(exe)) < 400)
		snprintf(exe + bytes, sizeof(exe) - bytes, "\xc3\xa4"); /* two bytes a character */
	snprintf(exe + bytes, sizeof(exe) - bytes, "/end\\u009b");
	add(reading_add_client, &now, "{'pid': 1, 'exe': '%s'}", exe);
	add(reading_add_client, &now, "{'pid': 2, 'exe': '/\\u001b[31m'}");
	add(reading_add_client, &now, "{'pid': -2, 'uid': 'x', 'refused': [1], 'exe': 3}");
	figures_make(&figures, &before, &now);
	for (uint32_t row = 0; row < 3; row++) {
		const char *text = cell(FIGURES_CLIENTS, row, 6);

		ck_assert_ptr_null(strchr(text, '\033'));
		ck_assert(((unsigned char)text[0] & 0xc0) != 0x80);
	}
	ck_assert_ptr_nonnull(strstr(cell(FIGURES_CLIENTS, 0, 6), "\xc3\xa4/end??"));
	end();
}
END_TEST

/* --- memory ---------------------------------------------------------------------------------------- */

START_TEST(memory_is_bars)
{
	begin();
	add(reading_add_pool, &before, "{'pool': '2M', 'node': 1, 'total_bytes': 1000, 'free_bytes': 500, "
	    "'resident_bytes': 250}");
	add(reading_add_pool, &before, "{'pool': '1G', 'node': 0, 'total_bytes': 1000, 'free_bytes': 0, "
	    "'resident_bytes': 1}");
	add(reading_add_pool, &before, "{'pool': '4k', 'node': 0, 'total_bytes': 10, 'free_bytes': 20, "
	    "'resident_bytes': 30}");
	add(reading_add_pool, &before, "{'pool': 'thp', 'node': 0, 'total_bytes': 1000}");
	add(reading_add_pool, &before, "{'pool': '2M', 'node': 0, 'total_bytes': 0}");
	add(reading_add_pool, &before, "{'tier': 'host', 'node': 0, 'total_bytes': 9}");
	reading_keep_pools(&now, &before);
	status(&now, 5, 52, 0);
	figures_make(&figures, &before, &now);
	ck_assert_uint_eq(figures.tables[FIGURES_MEMORY].row_count, 3);
	ck_assert_str_eq(cell(FIGURES_MEMORY, 0, 0), "1G node 0");
	ck_assert_str_eq(cell(FIGURES_MEMORY, 0, 4), "|#===================| 100 %");
	ck_assert_str_eq(cell(FIGURES_MEMORY, 1, 0), "2M node 1");
	ck_assert_str_eq(cell(FIGURES_MEMORY, 1, 4), "|#####=====..........|  50 %");
	ck_assert_str_eq(cell(FIGURES_MEMORY, 2, 4), "|####################|   0 %");
	end();
}
END_TEST

/* --- order ----------------------------------------------------------------------------------------- */

START_TEST(rows_are_sorted_and_stay_so)
{
	static const char *const wanted[][3] = {
		{"a@2", "a@10", "b@1"}, /* texts rise, and the numbers in them */
		{"a@10", "a@2", "b@1"}, /* numbers fall, and equals stay in the daemon's order */
		{"b@1", "a@10", "a@2"},
	};

	begin();
	status(&before, 5, 50, 0);
	status(&now, 5, 52, 0);
	model(&now, "a", 10, 100, 0);
	model(&now, "b", 1, 2, 0);
	model(&now, "a", 2, 100, 0);
	for (uint32_t turn = 0; turn < 3; turn++) {
		figures.tables[FIGURES_MODELS].sort_column = turn > 0;
		figures.tables[FIGURES_MODELS].is_reverse = turn == 2;
		figures_make(&figures, &before, &now);
		for (uint32_t row = 0; row < 3; row++)
			ck_assert_str_eq(cell(FIGURES_MODELS, row, 0),
					 wanted[turn][row]);
	}
	end();
}
END_TEST

START_TEST(a_reading_is_used_again)
{
	begin();
	for (int turn = 0; turn < 3; turn++) {
		reading_begin(&now, 102 * S);
		status(&now, 5, 52, 0);
		for (int at = 0; at < 100; at++) {
			model(&now, "m", at + 1, 1, 0);
			client(&now, at + 1, at, 1);
		}
		latency(&now, "m", 1, 50, 1);
		figures_make(&figures, &before, &now);
		ck_assert_uint_eq(figures.tables[FIGURES_MODELS].row_count, 100);
		ck_assert_uint_eq(figures.tables[FIGURES_CLIENTS].row_count, 100);
		ck_assert_uint_eq(histogram_count(&now.models[0].times), 1);
	}
	ck_assert(!now.lacks_memory && !figures.lacks_memory);
	end();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("top_figures");
	TCase *tests = tcase_create("figures");

	tcase_add_test(tests, rates_are_what_grew_by_the_second);
	tcase_add_test(tests, the_first_answer_tells_no_rate);
	tcase_add_test(tests, a_daemon_that_started_again_counts_from_0);
	tcase_add_test(tests, versions_come_and_go);
	tcase_add_test(tests, a_page_that_stands_still_tells_no_rate_of_its_rows);
	tcase_add_test(tests, connections_of_a_process_are_one_row);
	tcase_add_test(tests, what_a_client_chose_is_cut_and_disarmed);
	tcase_add_test(tests, memory_is_bars);
	tcase_add_test(tests, rows_are_sorted_and_stay_so);
	tcase_add_test(tests, a_reading_is_used_again);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}
