/* SPDX-License-Identifier: MIT */
/*
 * tests/model/fuzz_onnx.c - any bytes are refused in words, or are a model that loads and runs
 *
 * The bytes are model.onnx in a directory full of traps (traps.h); a load does all that hearthd's
 * does (tests/exec/load_bytes.h). What the parser accepts keeps onnx.h's promises first.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "model/onnx_parts.h"
#include "onnx_bend.h"
#include "onnx_walk.h"
#include "tests/exec/load_bytes.h"
#include "traps.h"

#define READ_BYTES_MAX 65536
#define BENDS_OF 4 /* of so many mutations, all but one know the schema */

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t byte_count);
size_t LLVMFuzzerCustomMutator(uint8_t *bytes, size_t byte_count, size_t bytes_max, unsigned seed);
size_t LLVMFuzzerMutate(uint8_t *bytes, size_t byte_count, size_t bytes_max);

static int directory_fd;

static void __attribute__((noreturn)) die(int r, const char *what)
{
	fprintf(stderr, "fuzz_onnx: %s: result %d, \"%s\"\n", what, r, err_message());
	abort();
}

/* A refusal has a cause, words, and none of them is the machine's poverty. */
static void refusal_check(int r)
{
	const char *message = err_message();

	if (r >= 0 || r == -ENOMEM || r == -EMFILE || r == -ESTALE)
		die(r, "not a refusal of the file");
	if (strncmp(message, LOAD_NAME, strlen(LOAD_NAME)) != 0)
		die(r, "the sentence does not begin with the file");
	if (!text_is_clean(message, strlen(message)))
		die(r, "the sentence has control characters");
}

static void promises_check(const uint8_t *bytes, size_t byte_count)
{
	struct onnx_model *model = NULL;
	int r = onnx_parse(directory_fd, LOAD_NAME, bytes, byte_count, &model);

	if (r < 0) {
		refusal_check(r);
		return;
	}
	onnx_walk(model, READ_BYTES_MAX);
	r = onnx_verify(model);
	if (r != 0)
		die(r, "a quiet file counts as changed");
	onnx_close(model);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	directory_fd = traps_open();
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t byte_count)
{
	struct engine *engine = NULL;
	int r;

	promises_check(bytes, byte_count);
	r = load_bytes(directory_fd, bytes, byte_count, &engine);
	if (r < 0) {
		refusal_check(r);
		return 0;
	}
	load_exercise(engine);
	engine_free(engine);
	return 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t *bytes, size_t byte_count, size_t bytes_max, unsigned seed)
{
	size_t bent = seed % BENDS_OF ? onnx_bend(bytes, byte_count, bytes_max, seed / BENDS_OF) : 0;

	return bent ? bent : LLVMFuzzerMutate(bytes, byte_count, bytes_max);
}
