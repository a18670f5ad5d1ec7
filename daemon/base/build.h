/* SPDX-License-Identifier: MIT */
/*
 * daemon/base/build.h - what made this program
 *
 * Owns:     nothing; a literal
 */
#ifndef HEARTH_BASE_BUILD_H
#define HEARTH_BASE_BUILD_H

#ifdef __clang__ /* names itself in its version */
#define BUILD_COMPILER __VERSION__
#else
#define BUILD_COMPILER "gcc " __VERSION__
#endif

#endif
