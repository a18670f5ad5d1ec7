/* SPDX-License-Identifier: MIT */
/* client/libhearth.c - hearth.h as a shared library: the same functions, exported by name */
#define HEARTH_BUILD_SHARED
#include <hearth.h>
