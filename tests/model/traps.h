/* SPDX-License-Identifier: MIT */
/*
 * tests/model/traps.h - a model's directory with everything in it that a hostile file could name
 *
 *     model.bin      4096 bytes          inside.bin   a symbolic link to model.bin
 *     hard.bin       model.bin again     outside.bin  a symbolic link to ../secret
 *     sub/model.bin  4096 bytes          linked       a symbolic link to sub
 *     fifo           whose reader would wait for ever
 *     ../secret      beside the directory, never to be read
 *
 * Owns:     the directory, until the program that made it ends
 */
#ifndef HEARTH_TESTS_MODEL_TRAPS_H
#define HEARTH_TESTS_MODEL_TRAPS_H

#include <stddef.h>
#include <stdint.h>

#define TRAPS_FILE_BYTES 4096
#define TRAPS_ENTRIES 7 /* of the directory */

/* A descriptor of the directory, made at the first call; the program ends when it cannot be. */
int traps_open(void);

/* Byte `at` of the file that has this name there. */
uint8_t traps_byte(const char *name, size_t at);

#endif
