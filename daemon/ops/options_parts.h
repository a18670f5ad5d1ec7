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

/* local, interleave or node N; of weights also replicate. */
must_check int options_place(const struct config_entry *entry, bool is_weights,
			     struct options_place *ret_place);

/* one, all or N,N... */
must_check int options_worker_nodes(const struct config_entry *entry, uint64_t *ret_nodes);

/* NODE:SIZE:BYTES, several with spaces between them: one more of each. */
must_check int options_reserve(const struct config_entry *entry, struct options *options);

#endif
