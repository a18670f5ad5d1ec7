/* SPDX-License-Identifier: MIT */
/*
 * daemon/base/sanitized.h - is this a build under a sanitizer?
 *
 * Its runtime asks for more than a daemon at work, and its clock says nothing
 * about the same program without it.
 */
#ifndef HEARTH_BASE_SANITIZED_H
#define HEARTH_BASE_SANITIZED_H

#include <stdbool.h>

#ifndef __has_feature
#define __has_feature(name) 0 /* clang's word for what gcc defines */
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || \
	__has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define IS_SANITIZED true
#else
#define IS_SANITIZED false
#endif

#endif
