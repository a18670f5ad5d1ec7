/* SPDX-License-Identifier: MIT */
/*
 * tests/model/onnx_seeds.h - a model for each published class of bugs in model readers, and its neighbour
 *
 * The classes are those of ONNX's own reader (path traversal in external data, its bypass,
 * overwrite, symbolic links, reads out of bounds) and of llama.cpp's GGUF reader (lengths of
 * strings, counts of dims, products and sums that overflow, type confusion, what an early failure
 * leaves behind), each where ONNX has its like. External words name files of traps.h. The sound
 * ones are what a fuzzer begins with. tests/model/corpus/onnx has each as a file.
 */
#ifndef HEARTH_TESTS_MODEL_ONNX_SEEDS_H
#define HEARTH_TESTS_MODEL_ONNX_SEEDS_H

#include <stddef.h>
#include <stdint.h>

struct onnx_seed {
	const char *name;  /* of the class, and of its file */
	const char *words; /* of the sentence that refuses it; NULL: it loads */
	uint8_t *bytes;    /* the caller frees them */
	size_t byte_count;
};

/* Returns 0 when there are fewer. */
int onnx_seed_make(int number, struct onnx_seed *ret_seed);

#endif
