/* SPDX-License-Identifier: MIT */
/* tests/base/test_config.c - what is read, and what is refused where */

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/config.h"
#include "tests/suite.h"

static struct config config;

static int parse(const char *text)
{
	return config_parse(text, strlen(text), "m.conf", &config);
}

static const char *value_of(const char *section, const char *key)
{
	const struct config_entry *entry = config_find(&config, section, key);

	return entry ? entry->value : "(none)";
}

START_TEST(keys_sections_comments_and_blanks_are_read)
{
	ck_assert_int_eq(parse("# first\n\n  rows_max=512  # trailing\r\n"
			       "[ table emb_user ]\nmissing\t=\tdefault row\n"
			       "path = /a#b\n[other]\nmissing = x = y"), 0);
	ck_assert_uint_eq(config.entry_count, 4);
	ck_assert_str_eq(value_of("", "rows_max"), "512");
	ck_assert_str_eq(value_of("table emb_user", "missing"), "default row");
	ck_assert_str_eq(value_of("table emb_user", "path"), "/a#b");
	ck_assert_str_eq(value_of("other", "missing"), "x = y");
	ck_assert_ptr_null(config_find(&config, "", "missing"));
	ck_assert_uint_eq(config_find(&config, "other", "missing")->line, 8);
	config_close(&config);
}
END_TEST

START_TEST(empty_file_has_no_entries)
{
	ck_assert_int_eq(parse(""), 0);
	ck_assert_uint_eq(config.entry_count, 0);
	config_close(&config);
	ck_assert_int_eq(parse("\n\n# only words\n[section]\n"), 0);
	ck_assert_uint_eq(config.entry_count, 0);
	config_close(&config);
}
END_TEST

static const struct {
	const char *text;
	const char *sentence;
} refusals[] = {
	{ "a = 1\nwords\n", "m.conf:2: 'words' is neither 'key = value' nor '[section]'" },
	{ "a =\n", "m.conf:1: a has no value" },
	{ "a = # none\n", "m.conf:1: a has no value" },
	{ "= 1\n", "m.conf:1: '' is no key" },
	{ "a b = 1\n", "m.conf:1: 'a b' is no key" },
	{ "a = 1\n\na = 2\n", "m.conf:3: a is given a second time; first in line 1" },
	{ "[x\n", "m.conf:1: '[' without ']'" },
	{ "[]\n", "m.conf:1: '[]' is no section" },
	{ "[ ]\n", "m.conf:1: '[]' is no section" },
	{ "[a]b]\n", "m.conf:1: '[a]b]' is no section" },
	{ "[\n", "m.conf:1: '[' without ']'" },
	{ "[x]\n[y]\n[x]\n", "m.conf:3: section [x] is there already" },
	{ "a = \x01\n", "m.conf:1: control character 0x01" },
	{ "\x7f" "ELF", "m.conf:1: control character 0x7f" },
};

START_TEST(refusals_name_file_and_line)
{
	ck_assert_int_eq(parse(refusals[_i].text), -EINVAL);
	ck_assert_msg(strncmp(err_message(), refusals[_i].sentence,
			      strlen(refusals[_i].sentence)) == 0, "%s", err_message());
}
END_TEST

START_TEST(nul_byte_is_refused)
{
	ck_assert_int_eq(config_parse("a = 1\0b\n", 8, "m.conf", &config), -EINVAL);
	ck_assert_str_eq(err_message(), "m.conf:1: control character 0x00");
}
END_TEST

START_TEST(line_of_1024_bytes_is_read_and_of_1025_refused)
{
	char line[CONFIG_LINE_BYTES_MAX + 2];

	memset(line, 'v', sizeof(line));
	memcpy(line, "k=", 2);
	ck_assert_int_eq(config_parse(line, CONFIG_LINE_BYTES_MAX, "m.conf", &config), 0);
	ck_assert_uint_eq(strlen(value_of("", "k")), CONFIG_LINE_BYTES_MAX - 2);
	config_close(&config);
	ck_assert_int_eq(config_parse(line, CONFIG_LINE_BYTES_MAX + 1, "m.conf", &config), -EINVAL);
	ck_assert_str_eq(err_message(), "m.conf:1: a line of 1025 bytes; 1024 are allowed");
}
END_TEST

START_TEST(file_above_64_kib_is_refused)
{
	char *text = malloc(CONFIG_FILE_BYTES_MAX + 1);

	memset(text, '\n', CONFIG_FILE_BYTES_MAX + 1);
	ck_assert_int_eq(config_parse(text, CONFIG_FILE_BYTES_MAX, "m.conf", &config), 0);
	config_close(&config);
	ck_assert_int_eq(config_parse(text, CONFIG_FILE_BYTES_MAX + 1, "m.conf", &config), -EINVAL);
	free(text);
}
END_TEST

START_TEST(too_many_entries_are_refused)
{
	char *text = malloc(CONFIG_FILE_BYTES_MAX);
	size_t used = 0;
	int entry;

	for (entry = 0; entry <= CONFIG_ENTRIES_MAX; entry++)
		used += (size_t)snprintf(text + used, CONFIG_FILE_BYTES_MAX - used, "k%d=1\n",
					 entry);
	ck_assert_int_eq(config_parse(text, used, "m.conf", &config), -EINVAL);
	ck_assert_str_eq(err_message(), "m.conf:1025: more than 1024 settings");
	free(text);
}
END_TEST

START_TEST(file_is_read_and_missing_file_is_named)
{
	char path[] = "/tmp/hearth-config-XXXXXX";
	int fd = mkstemp(path);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, "slots = 64\n", 11), 11);
	close(fd);
	ck_assert_int_eq(config_open(path, &config), 0);
	ck_assert_str_eq(value_of("", "slots"), "64");
	ck_assert_str_eq(config.entries[0].file, path);
	config_close(&config);
	unlink(path);
	ck_assert_int_eq(config_open(path, &config), -ENOENT);
	ck_assert_ptr_nonnull(strstr(err_message(), path));
	ck_assert_int_eq(config_open("/tmp", &config), -EISDIR);
}
END_TEST

START_TEST(values_are_checked_against_their_kind)
{
	static const char *const choices[] = { "futex", "socket" };
	const struct config_entry *entry;
	uint64_t bytes = 0;
	int64_t integer = 0;
	uint32_t choice = 9;
	bool is_set = false;

	ck_assert_int_eq(parse("i = -7\nb = yes\ns = 16M\nc = socket\nbad = 12x\nbig = 99T\n"
			       "neg = -1\nover = 99999999999999999999\n"), 0);
	ck_assert_int_eq(config_integer(config_find(&config, "", "i"), -8, 8, &integer), 0);
	ck_assert_int_eq(integer, -7);
	ck_assert_int_eq(config_bool(config_find(&config, "", "b"), &is_set), 0);
	ck_assert(is_set);
	ck_assert_int_eq(config_bytes(config_find(&config, "", "s"), 1 << 30, &bytes), 0);
	ck_assert_uint_eq(bytes, 16 << 20);
	ck_assert_int_eq(config_choice(config_find(&config, "", "c"), choices, 2, &choice), 0);
	ck_assert_uint_eq(choice, 1);

	ck_assert_int_eq(config_integer(config_find(&config, "", "i"), 0, 8, &integer), -EINVAL);
	ck_assert_str_eq(err_message(), "m.conf:1: i = -7; an integer from 0 to 8 is wanted");
	entry = config_find(&config, "", "bad");
	ck_assert_int_eq(config_integer(entry, 0, 100, &integer), -EINVAL);
	ck_assert_int_eq(config_bytes(entry, 100, &bytes), -EINVAL);
	ck_assert_int_eq(config_bool(entry, &is_set), -EINVAL);
	ck_assert_int_eq(config_choice(entry, choices, 2, &choice), -EINVAL);
	ck_assert_str_eq(err_message(),
			 "m.conf:5: bad = 12x; one of these is wanted: futex, socket");
	ck_assert_int_eq(config_bytes(config_find(&config, "", "big"), 1 << 30, &bytes), -EINVAL);
	ck_assert_int_eq(config_bytes(config_find(&config, "", "neg"), 1 << 30, &bytes), -EINVAL);
	entry = config_find(&config, "", "over");
	ck_assert_int_eq(config_integer(entry, INT64_MIN, INT64_MAX, &integer), -EINVAL);
	ck_assert_int_eq(config_bytes(entry, UINT64_MAX, &bytes), -EINVAL);
	ck_assert_int_eq(config_refuse(entry), -EINVAL);
	ck_assert_str_eq(err_message(), "m.conf:8: over is no setting that hearth knows");
	ck_assert_int_eq(integer, -7);
	ck_assert_uint_eq(bytes, 16 << 20);
	config_close(&config);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("config");
	TCase *tcase = tcase_create("config");

	tcase_add_test(tcase, keys_sections_comments_and_blanks_are_read);
	tcase_add_test(tcase, empty_file_has_no_entries);
	tcase_add_loop_test(tcase, refusals_name_file_and_line, 0,
			    (int)(sizeof(refusals) / sizeof(refusals[0])));
	tcase_add_test(tcase, nul_byte_is_refused);
	tcase_add_test(tcase, line_of_1024_bytes_is_read_and_of_1025_refused);
	tcase_add_test(tcase, file_above_64_kib_is_refused);
	tcase_add_test(tcase, too_many_entries_are_refused);
	tcase_add_test(tcase, file_is_read_and_missing_file_is_named);
	tcase_add_test(tcase, values_are_checked_against_their_kind);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
