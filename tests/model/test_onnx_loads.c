/* SPDX-License-Identifier: MIT */
/*
 * tests/model/test_onnx_loads.c - hostile files through a whole load: refused in words, or sound
 *
 * HEARTH_WRITE_SEEDS=1 writes tests/model/corpus/onnx anew, after onnx_seeds.c has changed.
 */
#include <check.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "graph/ops.h"
#include "onnx_seeds.h"
#include "scratch.h"
#include "tests/base/descriptors.h"
#include "tests/exec/load_bytes.h"
#include "tests/suite.h"
#include "traps.h"

#define CORPUS "tests/model/corpus/onnx"
#define FLIP_BYTES_MAX 2048

static struct onnx_seed seed_named(const char *name)
{
	struct onnx_seed seed;

	for (int number = 0; onnx_seed_make(number, &seed); number++) {
		if (strcmp(seed.name, name) == 0)
			return seed;
		free(seed.bytes);
	}
	ck_abort_msg("there is no seed %s", name);
}

static int seed_count(void)
{
	struct onnx_seed seed;
	int number = 0;

	for (; onnx_seed_make(number, &seed); number++)
		free(seed.bytes);
	return number;
}

/* Loads, and runs what loaded. A refusal has a sentence that begins with the file. */
static int load(const uint8_t *bytes, size_t byte_count)
{
	struct engine *engine = NULL;
	int r = load_bytes(traps_open(), bytes, byte_count, &engine);

	if (r < 0) {
		ck_assert_msg(strncmp(err_message(), LOAD_NAME, strlen(LOAD_NAME)) == 0,
			      "result %d with the sentence \"%s\"", r, err_message());
		ck_assert_ptr_null(engine);
		return r;
	}
	load_exercise(engine);
	engine_free(engine);
	return 0;
}

START_TEST(each_class_of_bugs_is_refused_with_its_sentence_and_sound_models_load)
{
	struct onnx_seed seed;
	int r;

	ck_assert_int_eq(onnx_seed_make(_i, &seed), 1);
	printf("%s\n", seed.name);
	r = load(seed.bytes, seed.byte_count);
	if (seed.words) {
		ck_assert_msg(r < 0, "%s is accepted", seed.name);
		ck_assert_msg(strstr(err_message(), seed.words), "%s: \"%s\" lacks \"%s\"",
			      seed.name, err_message(), seed.words);
	} else {
		ck_assert_msg(r == 0, "%s: %s", seed.name, err_message());
	}
	free(seed.bytes);
}
END_TEST

START_TEST(the_corpus_has_each_class_as_a_file)
{
	struct onnx_seed seed;
	size_t byte_count;
	char path[512];
	uint8_t *bytes;

	ck_assert_int_eq(onnx_seed_make(_i, &seed), 1);
	snprintf(path, sizeof(path), "%s/%s", CORPUS, seed.name);
	if (getenv("HEARTH_WRITE_SEEDS"))
		scratch_write(AT_FDCWD, path, seed.bytes, seed.byte_count);
	bytes = scratch_read(path, &byte_count);
	ck_assert_msg(byte_count == seed.byte_count && memcmp(bytes, seed.bytes, byte_count) == 0,
		      "%s is not what onnx_seeds.c writes: HEARTH_WRITE_SEEDS=1 %s", path,
		      "test_onnx_loads");
	free(bytes);
	free(seed.bytes);
}
END_TEST

/* Each operator is in a sound seed, and so a fuzzer comes to all it does with a node that is right. */
START_TEST(each_operator_is_in_a_sound_seed)
{
	const char *list = op_list();
	struct onnx_seed seed;
	char field[64]; /* NodeProto.op_type as it is written: tag, length, name */

	while (*list) {
		int bytes = (int)strcspn(list, " ");
		bool is_there = false;

		(void)snprintf(field, sizeof(field), "\x22%c%.*s", bytes, bytes, list);
		for (int number = 0; onnx_seed_make(number, &seed); number++) {
			is_there = is_there || (!seed.words && memmem(seed.bytes, seed.byte_count,
								      field, strlen(field)));
			free(seed.bytes);
		}
		ck_assert_msg(is_there, "no sound seed has the operator %.*s", bytes, list);
		list += bytes;
		list += strspn(list, " ");
	}
}
END_TEST

/* CVE-2025-51480's class: whoever names a file does not get it written. */
START_TEST(no_load_writes_or_makes_a_file)
{
	static const char *const names[] = { "model.bin", "sub/model.bin", "../secret" };
	int directory_fd = traps_open();
	struct onnx_seed seed;
	struct dirent *entry;
	int entries = 0;
	DIR *directory;

	for (int number = 0; onnx_seed_make(number, &seed); number++) {
		(void)load(seed.bytes, seed.byte_count);
		free(seed.bytes);
	}
	for (size_t index = 0; index < sizeof(names) / sizeof(names[0]); index++) {
		uint8_t bytes[TRAPS_FILE_BYTES + 1];
		int fd = openat(directory_fd, names[index], O_RDONLY | O_CLOEXEC);

		ck_assert_int_eq(read(fd, bytes, sizeof(bytes)), TRAPS_FILE_BYTES);
		for (size_t at = 0; at < TRAPS_FILE_BYTES; at++)
			ck_assert_uint_eq(bytes[at], traps_byte(names[index], at));
		close(fd);
	}
	directory = fdopendir(dup(directory_fd));
	while ((entry = readdir(directory)))
		entries += entry->d_name[0] != '.';
	closedir(directory);
	ck_assert_int_eq(entries, TRAPS_ENTRIES);
}
END_TEST

START_TEST(a_model_cut_to_any_length_is_refused_and_leaves_nothing_open)
{
	static const char *const names[] = { "sound_mlp", "sound_ranking", "sound_folded",
					     "sound_control", "sound_bag_sequence", "sound_points",
					     "sound_bytes" };
	struct onnx_seed seed = seed_named(names[_i]);
	uint32_t descriptors;

	ck_assert_int_eq(load(seed.bytes, seed.byte_count), 0);
	descriptors = descriptors_count();
	for (size_t length = 0; length < seed.byte_count; length++)
		ck_assert_msg(load(seed.bytes, length) < 0, "the first %zu of %zu bytes load",
			      length, seed.byte_count);
	ck_assert_uint_eq(descriptors_count(), descriptors);
	free(seed.bytes);
}
END_TEST

/* Some bits are a weight's or a letter of a name: then it is another sound model, and it runs. */
START_TEST(a_model_with_any_bit_flipped_is_refused_or_runs)
{
	static const char *const names[] = { "sound_mlp", "sound_ranking", "sound_shape_chain",
					     "sound_operators", "sound_control",
					     "sound_bag_loop", "sound_points", "sound_bytes",
					     "sound_einsum", "sound_sequences" };
	struct onnx_seed seed = seed_named(names[_i]);
	size_t bits = 8 * (seed.byte_count < FLIP_BYTES_MAX ? seed.byte_count : FLIP_BYTES_MAX);
	size_t loaded = 0;
	uint32_t descriptors;

	ck_assert_int_eq(load(seed.bytes, seed.byte_count), 0);
	descriptors = descriptors_count();
	for (size_t bit = 0; bit < bits; bit++) {
		seed.bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
		loaded += load(seed.bytes, seed.byte_count) == 0;
		seed.bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	printf("%s: %zu of %zu flipped bits load\n", seed.name, loaded, bits);
	ck_assert_uint_gt(loaded, 0);
	ck_assert_uint_lt(loaded, bits);
	ck_assert_uint_eq(descriptors_count(), descriptors);
	free(seed.bytes);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("onnx_loads");
	TCase *tests = tcase_create("loads");

	(void)traps_open(); /* in the parent, which removes it */
	tcase_set_timeout(tests, 100);
	tcase_add_loop_test(tests,
			    each_class_of_bugs_is_refused_with_its_sentence_and_sound_models_load,
			    0, seed_count());
	tcase_add_loop_test(tests, the_corpus_has_each_class_as_a_file, 0, seed_count());
	tcase_add_test(tests, each_operator_is_in_a_sound_seed);
	tcase_add_test(tests, no_load_writes_or_makes_a_file);
	tcase_add_loop_test(tests, a_model_cut_to_any_length_is_refused_and_leaves_nothing_open, 0,
			    7);
	tcase_add_loop_test(tests, a_model_with_any_bit_flipped_is_refused_or_runs, 0, 10);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}
