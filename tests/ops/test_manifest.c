/* SPDX-License-Identifier: MIT */
/* tests/ops/test_manifest.c - what comes back is what was kept, or is refused with its reason */
#include <check.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ops/manifest.h"
#include "tests/suite.h"

static struct manifest manifest;
static struct manifest back;

static void entry_add(const char *model, uint32_t number, bool is_current)
{
	struct manifest_entry *entry = manifest.entries + manifest.entry_count++;

	memset(entry, 0, sizeof(*entry));
	snprintf(entry->model, sizeof(entry->model), "%s", model);
	entry->number = number;
	entry->is_current = is_current;
	entry->newest = number;
	entry->id = ++manifest.id_last;
	entry->weights_bytes = UINT64_C(1) << 40;
	entry->layout_hash = 7 * number;
}

static void make_three(void)
{
	memset(&manifest, 0, sizeof(manifest));
	manifest.generation = 5;
	entry_add("shoppers", 1, false);
	entry_add("shoppers", 2, true);
	entry_add("clicks", 2, true);
	manifest_seal(&manifest);
}

static void assert_refused(const void *bytes, uint64_t byte_count, const char *word)
{
	ck_assert_int_lt(manifest_read(bytes, byte_count, "manifest.0", &back), 0);
	ck_assert_msg(strncmp(err_message(), "manifest.0", 10) == 0 &&
		      strstr(err_message(), word), "\"%s\" does not say %s", err_message(), word);
	ck_assert_uint_eq(back.entry_count, 0);
}

/* Whoever wrote this meant it: the hash is right. */
static void assert_sealed_is_refused(const char *word)
{
	manifest_seal(&manifest);
	assert_refused(&manifest, manifest_bytes(&manifest), word);
}

static void assert_comes_back(void)
{
	uint64_t byte_count = manifest_bytes(&manifest);

	ck_assert_int_eq(manifest_read(&manifest, byte_count, "manifest.0", &back), 0);
	ck_assert_mem_eq(&back, &manifest, byte_count);
}

START_TEST(what_was_kept_comes_back)
{
	make_three();
	assert_comes_back();
	ck_assert_uint_eq(back.entry_count, 3);
}
END_TEST

START_TEST(none_and_the_most_entries_come_back)
{
	char name[16];

	memset(&manifest, 0, sizeof(manifest));
	manifest_seal(&manifest);
	assert_comes_back();
	while (manifest.entry_count < MANIFEST_ENTRIES_MAX) {
		snprintf(name, sizeof(name), "m%u", (unsigned int)manifest.entry_count);
		entry_add(name, 1, true);
	}
	manifest_seal(&manifest);
	ck_assert_uint_eq(manifest_bytes(&manifest), sizeof(manifest));
	assert_comes_back();
	manifest.entry_count++;
	assert_refused(&manifest, sizeof(manifest), "damaged");
}
END_TEST

/* Exactly as many bytes as are said to be there are read: the sanitizers see to it. */
START_TEST(every_length_but_its_own_is_refused)
{
	uint64_t byte_count;
	uint64_t bytes;
	uint8_t *copy;

	make_three();
	byte_count = manifest_bytes(&manifest);
	for (bytes = 0; bytes < byte_count; bytes++) {
		copy = malloc(bytes + 1);
		memcpy(copy + 1, &manifest, bytes);
		assert_refused(copy + 1, bytes, "manifest");
		free(copy);
	}
	assert_refused(&manifest, byte_count + 1, "damaged");
	assert_refused(&manifest, sizeof(manifest), "damaged");
}
END_TEST

START_TEST(every_flipped_bit_is_refused)
{
	uint64_t bit;

	make_three();
	for (bit = 0; bit < 8 * manifest_bytes(&manifest); bit++) {
		uint64_t byte_count = manifest_bytes(&manifest);
		uint8_t *byte = (uint8_t *)&manifest + bit / 8;

		*byte ^= (uint8_t)(1u << bit % 8);
		assert_refused(&manifest, byte_count, "manifest");
		*byte ^= (uint8_t)(1u << bit % 8);
	}
}
END_TEST

START_TEST(another_format_names_both)
{
	make_three();
	manifest.format = MANIFEST_FORMAT + 1;
	assert_refused(&manifest, manifest_bytes(&manifest), "format 2, and this hearthd reads 1");
}
END_TEST

START_TEST(a_name_that_does_not_end_or_is_a_path_is_refused)
{
	make_three();
	memset(manifest.entries[1].model, 'a', sizeof(manifest.entries[1].model));
	assert_sealed_is_refused("no model's name");
	make_three();
	snprintf(manifest.entries[2].model, sizeof(manifest.entries[2].model), "../clicks");
	assert_sealed_is_refused("no model's name");
	make_three();
	manifest.entries[0].model[0] = '\0';
	assert_sealed_is_refused("no model's name");
}
END_TEST

START_TEST(what_only_one_version_can_have_is_refused_to_two)
{
	make_three();
	manifest.entries[0].number = 2; /* shoppers@2 twice */
	manifest.entries[0].newest = 2;
	assert_sealed_is_refused("there twice");
	make_three();
	manifest.entries[0].is_current = 1;
	assert_sealed_is_refused("current twice");
	make_three();
	manifest.entries[2].id = manifest.entries[0].id;
	assert_sealed_is_refused("another's descriptors");
}
END_TEST

START_TEST(numbers_that_no_version_has_are_refused)
{
	make_three();
	manifest.entries[0].number = 0;
	assert_sealed_is_refused("what no version is");
	make_three();
	manifest.entries[0].id = 0;
	assert_sealed_is_refused("what no version is");
	make_three();
	manifest.entries[0].id = manifest.id_last + 1;
	assert_sealed_is_refused("what no version is");
	make_three();
	manifest.entries[1].newest = 1;
	assert_sealed_is_refused("what no version is");
	make_three();
	manifest.entries[1].is_current = 2;
	assert_sealed_is_refused("what no version is");
	make_three();
	manifest.entries[2].sheet_count = MANIFEST_SHEETS_MAX + 1;
	assert_sealed_is_refused("what no version is");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("manifest");
	TCase *cases = tcase_create("manifest");

	tcase_add_test(cases, what_was_kept_comes_back);
	tcase_add_test(cases, none_and_the_most_entries_come_back);
	tcase_add_test(cases, every_length_but_its_own_is_refused);
	tcase_add_test(cases, every_flipped_bit_is_refused);
	tcase_add_test(cases, another_format_names_both);
	tcase_add_test(cases, a_name_that_does_not_end_or_is_a_path_is_refused);
	tcase_add_test(cases, what_only_one_version_can_have_is_refused_to_two);
	tcase_add_test(cases, numbers_that_no_version_has_are_refused);
	suite_add_tcase(suite, cases);
	return suite_run(suite);
}
