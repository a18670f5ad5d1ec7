/* SPDX-License-Identifier: MIT */
/*
 * daemon/base/text.h - what may be shown: UTF-8 without control characters
 *
 * Names of files and peers travel into sentences, JSON, metrics and terminals.
 *
 * Source:   RFC 3629
 */
#ifndef HEARTH_BASE_TEXT_H
#define HEARTH_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>

bool text_is_clean(const void *text, size_t bytes);

/* Each byte that is of none such character becomes '?'. */
void text_clean(char *text);

#endif
