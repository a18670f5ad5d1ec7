/* SPDX-License-Identifier: MIT */
/*
 * tests/model/onnx_folder.h - a model that was written, in a folder of its own for as long as it is read
 *
 * Threads:  any
 * Errors:   ends the program with a sentence
 */
#ifndef HEARTH_TESTS_MODEL_ONNX_FOLDER_H
#define HEARTH_TESTS_MODEL_ONNX_FOLDER_H

#include "tests/model/onnx_writer.h"

/* Frees the writer. The folder's descriptor, to read it. */
int onnx_folder_open(struct onnx_writer *writer);
/* It is gone, with what is in it. */
void onnx_folder_close(int directory_fd);

#endif
