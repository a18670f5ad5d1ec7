/* SPDX-License-Identifier: MIT */
/*
 * daemon/ops/options_parts.h - what the parts of the options share; nobody else includes it
 *
 *     options.c           the flags, which the file has, too
 *     options_sections.c  what the file alone has, of models, tables and nodes
 *
 * Errors: as ops/options.h
 */
#ifndef HEARTH_OPS_OPTIONS_PARTS_H
#define HEARTH_OPS_OPTIONS_PARTS_H

#include "ops/options.h"

/* A key of [model NAME], [table MODEL/TABLE] or [nodes]. */
must_check int options_section(struct options *options, const struct config_entry *entry);

/* local, interleave or node N. */
must_check int options_place(const struct config_entry *entry, struct options_place *ret_place);

#endif
