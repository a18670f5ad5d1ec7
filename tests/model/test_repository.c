/* SPDX-License-Identifier: MIT */
/* tests/model/test_repository.c - what is a model, what is ignored, and names that are no paths */

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "model/repository.h"
#include "scratch.h"
#include "tests/suite.h"

static void make_version(int root_fd, const char *model, const char *version)
{
	char path[256];

	mkdirat(root_fd, model, 0755);
	snprintf(path, sizeof(path), "%s/%s", model, version);
	ck_assert_int_eq(mkdirat(root_fd, path, 0755), 0);
	snprintf(path, sizeof(path), "%s/%s/model.onnx", model, version);
	scratch_write(root_fd, path, "x", 1);
}

static struct repository open_root(const char *path)
{
	struct repository repository = REPOSITORY_NONE;

	ck_assert_msg(repository_open(path, &repository) == 0, "%s", err_message());
	return repository;
}

static bool is_ignored(const struct repository_listing *listing, const char *words)
{
	for (uint32_t index = 0; index < listing->ignored_count; index++)
		if (strstr(listing->ignored[index], words))
			return true;
	return false;
}

START_TEST(shoppers_has_two_versions)
{
	struct repository repository = open_root("tests/data/shoppers/repository");
	struct repository_listing listing;
	uint32_t newest = 0;

	ck_assert_int_eq(repository_list(&repository, &listing), 0);
	ck_assert_uint_eq(listing.model_count, 1);
	ck_assert_str_eq(listing.models[0].name, "shoppers");
	ck_assert_uint_eq(listing.models[0].version_count, 2);
	ck_assert_uint_eq(listing.models[0].versions[0], 1);
	ck_assert_uint_eq(listing.models[0].versions[1], 2);
	ck_assert(!listing.models[0].has_config_pbtxt);
	ck_assert_uint_eq(listing.ignored_count, 0);
	ck_assert_int_eq(repository_newest(&repository, "shoppers", &newest), 0);
	ck_assert_uint_eq(newest, 2);
	repository_listing_deinit(&listing);
	repository_close(&repository);
}
END_TEST

START_TEST(versions_are_sorted_as_numbers_and_models_by_name)
{
	const char *root = scratch_directory();
	int fd = scratch_open(root);
	static const uint32_t sorted[] = {1, 2, 9, 10, 100, 4294967295u};
	struct repository repository = open_root(root);
	struct repository_listing listing;

	make_version(fd, "zebra", "1");
	make_version(fd, "ape", "10");
	make_version(fd, "ape", "9");
	make_version(fd, "ape", "100");
	make_version(fd, "ape", "4294967295");
	make_version(fd, "ape", "2");
	make_version(fd, "ape", "1");
	scratch_write(fd, "ape/config.pbtxt", "name: \"ape\"", 11);
	ck_assert_int_eq(repository_list(&repository, &listing), 0);
	ck_assert_uint_eq(listing.model_count, 2);
	ck_assert_str_eq(listing.models[0].name, "ape");
	ck_assert_str_eq(listing.models[1].name, "zebra");
	ck_assert(listing.models[0].has_config_pbtxt);
	ck_assert(!listing.models[1].has_config_pbtxt);
	ck_assert_uint_eq(listing.models[0].version_count, 6);
	ck_assert_mem_eq(listing.models[0].versions, sorted, sizeof(sorted));
	ck_assert_msg(listing.ignored_count == 0, "\"%s\" is ignored", listing.ignored[0]);
	repository_listing_deinit(&listing);
	repository_close(&repository);
	close(fd);
}
END_TEST

START_TEST(what_is_no_model_or_version_is_ignored_with_its_reason)
{
	static const char *const words[] = {
		"README: not a directory",	   ".git: not a model's name",
		"with space: not a model's name",  "link: a symbolic link",
		"hollow: has no version to load",  "good/0: not a version",
		"good/01: not a version",	   "good/-1: not a version",
		"good/latest: not a version",	   "good/4294967296: not a version",
		"good/99999999999: not a version", "good/7: has no model.onnx",
		"good/8: has no model.onnx",	   "good/9: a symbolic link",
		"good/11: not a directory",	   "bell?ringer: not a model's name",
	};
	const char *root = scratch_directory();
	int fd = scratch_open(root);
	struct repository repository = open_root(root);
	struct repository_listing listing;
	char long_name[65];

	memset(long_name, 'n', 64);
	long_name[64] = '\0';
	make_version(fd, "good", "1");
	make_version(fd, "good", "0");
	make_version(fd, "good", "01");
	make_version(fd, "good", "-1");
	make_version(fd, "good", "latest");
	make_version(fd, "good", "4294967296");
	make_version(fd, "good", "99999999999");
	make_version(fd, ".git", "1");
	make_version(fd, "with space", "1");
	make_version(fd, "bell\aringer", "1");
	make_version(fd, long_name, "1");
	scratch_write(fd, "README", "", 0);
	ck_assert_int_eq(symlinkat("good", fd, "link"), 0);
	ck_assert_int_eq(mkdirat(fd, "hollow", 0755), 0);
	ck_assert_int_eq(mkdirat(fd, "good/7", 0755), 0);
	ck_assert_int_eq(mkdirat(fd, "good/8", 0755), 0);
	ck_assert_int_eq(symlinkat("../1/model.onnx", fd, "good/8/model.onnx"), 0);
	ck_assert_int_eq(symlinkat("1", fd, "good/9"), 0);
	scratch_write(fd, "good/11", "", 0);
	ck_assert_int_eq(repository_list(&repository, &listing), 0);
	ck_assert_uint_eq(listing.model_count, 1);
	ck_assert_uint_eq(listing.models[0].version_count, 1);
	for (size_t index = 0; index < sizeof(words) / sizeof(words[0]); index++)
		ck_assert_msg(is_ignored(&listing, words[index]), "nothing says \"%s\"",
			      words[index]);
	ck_assert_msg(is_ignored(&listing, long_name), "the long name is not mentioned");
	ck_assert_uint_eq(listing.ignored_count, 1 + sizeof(words) / sizeof(words[0]));
	repository_listing_deinit(&listing);
	repository_close(&repository);
	close(fd);
}
END_TEST

START_TEST(a_version_directory_opens_and_leads_to_its_model)
{
	struct repository repository = open_root("tests/data/shoppers/repository");
	int fd = -1;

	ck_assert_int_eq(repository_open_version(&repository, "shoppers", 2, &fd), 0);
	ck_assert_int_eq(faccessat(fd, "model.bin", R_OK, 0), 0);
	ck_assert_msg(fcntl(fd, F_GETFD) & FD_CLOEXEC, "the descriptor survives exec");
	close(fd);
	repository_close(&repository);
}
END_TEST

START_TEST(a_name_from_a_client_is_never_a_path)
{
	static const char *const names[] = {
		"",	     ".",	    "..",	  "../repository",	  "shoppers/2",
		"/etc",	     "shoppers/",   "./shoppers", "shoppers\n",		  "shop pers",
		".shoppers", "sh\xc3\xb6p", "%s%s%s%n",	  "shoppers/../shoppers",
	};
	struct repository repository = open_root("tests/data/shoppers/repository");
	uint32_t newest = 77;
	int fd = 77;

	for (size_t index = 0; index < sizeof(names) / sizeof(names[0]); index++) {
		ck_assert_msg(repository_open_version(&repository, names[index], 2, &fd) == -ENOENT,
			      "\"%s\" is taken for a name", names[index]);
		ck_assert_int_eq(repository_newest(&repository, names[index], &newest), -ENOENT);
		ck_assert_msg(strstr(err_message(), "not a model's name"), "\"%s\"", err_message());
	}
	ck_assert_msg(fd == 77 && newest == 77, "an output was touched on failure");
	repository_close(&repository);
}
END_TEST

START_TEST(an_absent_model_or_version_is_said_to_be_absent)
{
	struct repository repository = open_root("tests/data/shoppers/repository");
	uint32_t newest = 77;
	int fd = 77;

	ck_assert_int_eq(repository_open_version(&repository, "books", 1, &fd), -ENOENT);
	ck_assert_msg(strstr(err_message(), "no model books in tests/data"), "\"%s\"",
		      err_message());
	ck_assert_int_eq(repository_open_version(&repository, "shoppers", 3, &fd), -ENOENT);
	ck_assert_msg(strstr(err_message(), "no version 3"), "\"%s\"", err_message());
	ck_assert_int_eq(repository_open_version(&repository, "shoppers", 0, &fd), -ENOENT);
	ck_assert_int_eq(repository_newest(&repository, "books", &newest), -ENOENT);
	ck_assert_msg(fd == 77 && newest == 77, "an output was touched on failure");
	repository_close(&repository);
}
END_TEST

START_TEST(links_beneath_the_root_are_not_followed_and_the_root_may_be_one)
{
	const char *root = scratch_directory();
	char link[1100];
	int fd = scratch_open(root);
	struct repository repository;
	int version_fd = -1;

	make_version(fd, "good", "1");
	ck_assert_int_eq(symlinkat("good", fd, "alias"), 0);
	ck_assert_int_eq(symlinkat("1", fd, "good/2"), 0);
	snprintf(link, sizeof(link), "%s.link", root);
	ck_assert_int_eq(symlink(root, link), 0);
	repository = open_root(link);
	ck_assert_int_eq(repository_open_version(&repository, "alias", 1, &version_fd), -ELOOP);
	ck_assert_int_eq(repository_open_version(&repository, "good", 2, &version_fd), -ELOOP);
	ck_assert_msg(strstr(err_message(), "symbolic link"), "\"%s\"", err_message());
	ck_assert_int_eq(repository_open_version(&repository, "good", 1, &version_fd), 0);
	close(version_fd);
	repository_close(&repository);
	close(fd);
}
END_TEST

START_TEST(a_root_that_is_missing_or_no_directory_is_refused)
{
	struct repository repository = REPOSITORY_NONE;

	ck_assert_int_eq(repository_open("/nowhere/at/all", &repository), -ENOENT);
	ck_assert_msg(strstr(err_message(), "/nowhere/at/all"), "\"%s\"", err_message());
	ck_assert_int_eq(repository_open("Makefile", &repository), -ENOTDIR);
	ck_assert_int_eq(repository.root_fd, -1);
	repository_close(&repository);
	repository = (struct repository){0};
	repository_close(&repository);
	ck_assert_msg(fcntl(0, F_GETFD) >= 0, "closing a zeroed repository closed descriptor 0");
}
END_TEST

START_TEST(a_listing_sees_what_was_added_since_the_last)
{
	const char *root = scratch_directory();
	int fd = scratch_open(root);
	struct repository repository = open_root(root);
	struct repository_listing listing;

	ck_assert_int_eq(repository_list(&repository, &listing), 0);
	ck_assert_uint_eq(listing.model_count, 0);
	repository_listing_deinit(&listing);
	make_version(fd, "late", "3");
	ck_assert_int_eq(repository_list(&repository, &listing), 0);
	ck_assert_uint_eq(listing.model_count, 1);
	repository_listing_deinit(&listing);
	repository_listing_deinit(&listing);
	repository_close(&repository);
	close(fd);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("repository");
	TCase *tests = tcase_create("repository");

	tcase_add_unchecked_fixture(tests, scratch_begin, scratch_end);
	tcase_add_test(tests, shoppers_has_two_versions);
	tcase_add_test(tests, versions_are_sorted_as_numbers_and_models_by_name);
	tcase_add_test(tests, what_is_no_model_or_version_is_ignored_with_its_reason);
	tcase_add_test(tests, a_version_directory_opens_and_leads_to_its_model);
	tcase_add_test(tests, a_name_from_a_client_is_never_a_path);
	tcase_add_test(tests, an_absent_model_or_version_is_said_to_be_absent);
	tcase_add_test(tests, links_beneath_the_root_are_not_followed_and_the_root_may_be_one);
	tcase_add_test(tests, a_root_that_is_missing_or_no_directory_is_refused);
	tcase_add_test(tests, a_listing_sees_what_was_added_since_the_last);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}
