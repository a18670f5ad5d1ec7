/* SPDX-License-Identifier: MIT */
/* tests/ops/test_options.c - flags, the config file, who wins, and what is refused */
#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ops/options.h"
#include "tests/suite.h"

static char path[64];
static struct options options;

static void make_file(void)
{
	int fd;

	snprintf(path, sizeof(path), "/tmp/hearth-options-XXXXXX");
	fd = mkstemp(path);
	ck_assert_int_ge(fd, 0);
	close(fd);
}

static void remove_file(void)
{
	options_deinit(&options);
	unlink(path);
}

static int parse_file(const char *text, char *first, char *second)
{
	char *arguments[] = { "hearthd", "--config", path, first, second, NULL };
	FILE *file = fopen(path, "w");

	ck_assert_ptr_nonnull(file);
	fputs(text, file);
	fclose(file);
	return options_parse(&options, second ? 5 : first ? 4 : 3, arguments);
}

/* The sentence names the file's line and the word that was wrong. */
static void assert_refused(const char *text, int line, const char *word)
{
	char place[128];

	snprintf(place, sizeof(place), "%s:%d:", path, line);
	ck_assert_int_lt(parse_file(text, NULL, NULL), 0);
	ck_assert_msg(strstr(err_message(), place), "'%s' does not name %s", err_message(), place);
	ck_assert_msg(strstr(err_message(), word), "'%s' does not name %s", err_message(), word);
	options_deinit(&options);
}

START_TEST(defaults_are_what_the_manual_says)
{
	char *arguments[] = { "hearthd", "--repository", "/m", NULL };

	ck_assert_int_eq(options_parse(&options, 3, arguments), 0);
	ck_assert_str_eq(options.repository, "/m");
	ck_assert_str_eq(options.socket, "/run/hearth/hearth.sock");
	ck_assert_str_eq(options.admin_socket, "/run/hearth/hearth.sock.admin");
	ck_assert_int_eq(options.load, OPTIONS_LOAD_LATEST);
	ck_assert_uint_eq(options.rows_max, 4096);
	ck_assert_int_eq(options.node, -1);
	ck_assert_uint_eq(options.worker_nodes, 0);
	ck_assert_int_eq(options.wait, OPTIONS_WAIT_AUTO);
	ck_assert_int_eq(options.sandbox, OPTIONS_SANDBOX_AUTO);
	ck_assert_ptr_null(options.user);
}
END_TEST

START_TEST(without_a_repository_the_flag_is_named)
{
	char *arguments[] = { "hearthd", NULL };

	ck_assert_int_lt(options_parse(&options, 1, arguments), 0);
	ck_assert_ptr_nonnull(strstr(err_message(), "--repository"));
}
END_TEST

START_TEST(every_setting_of_the_file_arrives)
{
	ck_assert_int_eq(parse_file("repository = /models\n"
				    "socket = /tmp/h\n"
				    "rows-max = 64\n"
				    "activation-bytes-max = 16M\n"
				    "load = all\n"
				    "wait = poll\n"
				    "bell = socket\n"
				    "node = 0\n"
				    "weights = interleave\n"
				    "workers = 3\n"
				    "worker-nodes = 0,3,1\n"
				    "user = hearth\n"
				    "sandbox = strict\n"
				    "test-operations = yes\n"
				    "warm-restart = yes\n"
				    "verify = yes\n"
				    "[model shoppers]\n"
				    "load = 2\n"
				    "weights = replicate\n"
				    "tables = node 3\n"
				    "[table shoppers/cross.weight]\n"
				    "missing = row 7\n"
				    "[table other/*]\n"
				    "missing = zero\n"
				    "[nodes]\n"
				    "bandwidth = 0:300 1:300  63:60\n"
				    "[memory]\n"
				    "reserve = 0:2M:12M  7:1G:2G\n",
				    NULL, NULL), 0);
	ck_assert_str_eq(options.repository, "/models");
	ck_assert_str_eq(options.admin_socket, "/tmp/h.admin");
	ck_assert_uint_eq(options.rows_max, 64);
	ck_assert_uint_eq(options.activation_bytes_max, 16 << 20);
	ck_assert_int_eq(options.load, OPTIONS_LOAD_ALL);
	ck_assert_int_eq(options.wait, OPTIONS_WAIT_POLL);
	ck_assert_int_eq(options.bell, OPTIONS_BELL_SOCKET);
	ck_assert_int_eq(options.node, 0);
	ck_assert_int_eq(options.weights_place.where, OPTIONS_WHERE_INTERLEAVE);
	ck_assert_int_eq(options.tables_place.where, OPTIONS_WHERE_DEFAULT);
	ck_assert_uint_eq(options.workers, 3);
	ck_assert_uint_eq(options.worker_nodes, 0xb);
	ck_assert_str_eq(options.user, "hearth");
	ck_assert_int_eq(options.sandbox, OPTIONS_SANDBOX_STRICT);
	ck_assert(options.has_test_operations);
	ck_assert(options.is_warm);
	ck_assert(options.verifies);
	ck_assert_uint_eq(options.model_count, 1);
	ck_assert_str_eq(options.models[0].model, "shoppers");
	ck_assert_uint_eq(options.models[0].version, 2);
	ck_assert_int_eq(options.models[0].weights_place.where, OPTIONS_WHERE_REPLICATE);
	ck_assert_int_eq(options.models[0].tables_place.where, OPTIONS_WHERE_NODE);
	ck_assert_int_eq(options.models[0].tables_place.node, 3);
	ck_assert_uint_eq(options.table_count, 2);
	ck_assert_str_eq(options.tables[0].model, "shoppers");
	ck_assert_str_eq(options.tables[0].table, "cross.weight");
	ck_assert_int_eq(options.tables[0].missing, MISSING_ROW);
	ck_assert_int_eq(options.tables[0].missing_row, 7);
	ck_assert_str_eq(options.tables[1].table, "*");
	ck_assert_int_eq(options.tables[1].missing, MISSING_ZERO);
	ck_assert_uint_eq(options.bandwidths[0], 300);
	ck_assert_uint_eq(options.bandwidths[2], 0);
	ck_assert_uint_eq(options.bandwidths[63], 60);
	ck_assert_uint_eq(options_nodes(&options), UINT64_C(1) << 63 | 0x8b);
	ck_assert_uint_eq(options.reserve_count, 2);
	ck_assert_int_eq(options.reserves[1].node, 7);
	ck_assert_uint_eq(options.reserves[1].page_bytes, UINT64_C(1) << 30);
	ck_assert_uint_eq(options.reserves[1].bytes, UINT64_C(2) << 30);
}
END_TEST

START_TEST(a_flag_wins_over_the_file)
{
	ck_assert_int_eq(parse_file("repository = /models\n[memory]\nreserve = 0:2M:12M\n", "--reserve",
				    "1:1G:1G"), 0);
	ck_assert_uint_eq(options.reserve_count, 1);
	ck_assert_int_eq(options.reserves[0].node, 1);
	options_deinit(&options);
	ck_assert_int_eq(parse_file("repository = /models\nrows-max = 64\n", "--rows-max", "8"), 0);
	ck_assert_uint_eq(options.rows_max, 8);
}
END_TEST

START_TEST(refusals_name_the_line_and_what_is_wanted)
{
	assert_refused("repository = /m\nrows-maximum = 3\n", 2, "rows-maximum");
	assert_refused("rows-max = 0\n", 1, "rows-max");
	assert_refused("workers = 0\n", 1, "workers");
	assert_refused("workers = 257\n", 1, "256");
	assert_refused("load = newest\n", 1, "latest");
	assert_refused("wait = epoll\n", 1, "io_uring");
	assert_refused("sandbox = on\n", 1, "strict");
	assert_refused("activation-bytes-max = 0\n", 1, "64K");
	assert_refused("[model m]\nload = -3\n", 2, "version");
	assert_refused("[model m]\nloads = all\n", 2, "loads");
	assert_refused("weights = node\n", 1, "interleave, replicate or node N");
	assert_refused("tables = replicate\n", 1, "local, interleave or node N");
	assert_refused("worker-nodes = 1,\n", 1, "numbers of nodes");
	assert_refused("worker-nodes = 0 1\n", 1, "one, all");
	assert_refused("worker-nodes = 64\n", 1, "numbers of nodes");
	assert_refused("worker-nodes = -1\n", 1, "numbers of nodes");
	assert_refused("tables = node 64\n", 1, "interleave");
	assert_refused("[model m]\ntables = node 1x\n", 2, "node N");
	assert_refused("[model m]\nweights = remote\n", 2, "local");
	assert_refused("[table m/t]\nmissing = row -1\n", 2, "row N");
	assert_refused("[table m/t]\nmissing = row 1x\n", 2, "row N");
	assert_refused("[table m/t]\nabsent = zero\n", 2, "absent");
	assert_refused("[table mt]\nmissing = zero\n", 2, "MODEL/TABLE");
	assert_refused("[tables m/t]\nmissing = zero\n", 2, "missing");
	assert_refused("[nodes]\nbandwidth = 0:0\n", 2, "NODE:BANDWIDTH");
	assert_refused("[nodes]\nbandwidth = 0:1 0:1\n", 2, "once");
	assert_refused("[nodes]\nbandwidth = 64:1\n", 2, "64:1");
	assert_refused("[nodes]\nbandwidth = 0:1,1:2\n", 2, "0:1,1:2");
	assert_refused("[nodes]\nbandwidth = 0:4294967296\n", 2, "4294967296");
	assert_refused("[nodes]\nbandwidth = 0: 1\n", 2, "0: 1");
	assert_refused("[nodes]\nbandwidth = 1\n", 2, "bandwidth = 1");
	assert_refused("[nodes]\nlatency = 0:1\n", 2, "latency");
	assert_refused("[memory]\nreserve = 0:2M\n", 2, "NODE:SIZE:BYTES");
	assert_refused("[memory]\nreserve = 0:4K:8G\n", 2, "2M or 1G");
	assert_refused("[memory]\nreserve = 64:2M:8G\n", 2, "NODE:SIZE:BYTES");
	assert_refused("[memory]\nreserve = -1:2M:8G\n", 2, "NODE:SIZE:BYTES");
	assert_refused("[memory]\nreserve = 0:2M:\n", 2, "number of bytes");
	assert_refused("[memory]\nreserve = 0:2M:0\n", 2, "one at least");
	assert_refused("[memory]\nreserve = 0:1G:512M\n", 2, "whole pages of 1G");
	assert_refused("[memory]\nreserve = 0:2M:2M 0:2M:4M\n", 2, "one already");
	assert_refused("[memory]\nreserved = 0:2M:2M\n", 2, "reserved");
	assert_refused("config = /etc/other\n", 1, "config");
}
END_TEST

/* The file's words have no blank at their end; a flag may. Ends the program (exit 2). */
START_TEST(a_node_without_a_number_is_wrong_usage)
{
	char *arguments[] = { "hearthd", "--repository", "/m", "--weights", "node ", NULL };

	(void)!options_parse(&options, 5, arguments);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("options");
	TCase *cases = tcase_create("options");
	TCase *usage = tcase_create("usage");

	tcase_add_checked_fixture(cases, make_file, remove_file);
	tcase_add_test(cases, defaults_are_what_the_manual_says);
	tcase_add_test(cases, without_a_repository_the_flag_is_named);
	tcase_add_test(cases, every_setting_of_the_file_arrives);
	tcase_add_test(cases, a_flag_wins_over_the_file);
	tcase_add_test(cases, refusals_name_the_line_and_what_is_wanted);
	suite_add_tcase(suite, cases);
	tcase_add_exit_test(usage, a_node_without_a_number_is_wrong_usage, 2);
	suite_add_tcase(suite, usage);
	return suite_run(suite);
}
