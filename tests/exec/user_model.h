/* SPDX-License-Identifier: MIT */
/*
 * tests/exec/user_model.h - a user and a city, one a request, scored with many candidates
 *
 * Inputs:   user f32 [1, USER_WIDTH]; city i64 [1], below USER_CITIES; candidates f32
 *           [batch, USER_WIDTH]
 * Output:   score f32 [batch, 1]
 */
#ifndef HEARTH_TESTS_EXEC_USER_MODEL_H
#define HEARTH_TESTS_EXEC_USER_MODEL_H

#include "tests/model/onnx_writer.h"

#define USER_WIDTH 5
#define USER_CITIES 7

/* The same weights at every call. */
struct onnx_writer *user_model(void);

#endif
