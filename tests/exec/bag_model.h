/* SPDX-License-Identifier: MIT */
/*
 * tests/exec/bag_model.h - a model of two outputs with a bag given as values and offsets
 *
 * Inputs:   values i64 [values], ids of the table; offsets i64 [batch], where each row begins
 * Outputs:  pooled f32 [batch, BAG_DIM], the sum of each row's embeddings;
 *           lengths f32 [batch], how many values each row has
 * Limits:   at most BAG_POSITIONS values
 */
#ifndef HEARTH_TESTS_BAG_MODEL_H
#define HEARTH_TESTS_BAG_MODEL_H

#include "tests/model/onnx_writer.h"

#define BAG_ROWS 4
#define BAG_DIM 2
#define BAG_POSITIONS 512

struct onnx_writer *bag_model(const float table[BAG_ROWS * BAG_DIM]);

#endif
