/* SPDX-License-Identifier: MIT */
/*
 * daemon/ops/options.h - what hearthd was asked to do, from flags and a config file
 *
 * A flag wins over the file. The file has every long flag as `key = value`,
 * and [model NAME] with `load`, `cold`, `cold_bytes`, `weights` and `tables`, [table MODEL/TABLE]
 * with `missing` and `cold`, [nodes] with `bandwidth`, [memory] with `reserve`.
 *
 * Owns:     strings from the config file
 * Errors:   -EINVAL with a sentence that names file, line and what is wanted
 */
#ifndef HEARTH_OPS_OPTIONS_H
#define HEARTH_OPS_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/config.h"
#include "base/error.h"
#include "base/topology.h"
#include "graph/signature.h"
#include "memory/reserve.h"

#define OPTIONS_TABLES_MAX 64
#define OPTIONS_MODELS_MAX 64

enum options_load {
	OPTIONS_LOAD_LATEST,
	OPTIONS_LOAD_ALL,
	OPTIONS_LOAD_NONE,
	OPTIONS_LOAD_VERSION,
};

enum options_wait {
	OPTIONS_WAIT_AUTO,
	OPTIONS_WAIT_URING,
	OPTIONS_WAIT_POLL,
};

enum options_bell {
	OPTIONS_BELL_AUTO,
	OPTIONS_BELL_FUTEX,
	OPTIONS_BELL_SOCKET,
};

enum options_sandbox {
	OPTIONS_SANDBOX_AUTO,
	OPTIONS_SANDBOX_OFF,
	OPTIONS_SANDBOX_STRICT,
};

enum options_where {
	OPTIONS_WHERE_DEFAULT, /* of a model: as the daemon's own; of the daemon: local */
	OPTIONS_WHERE_LOCAL,
	OPTIONS_WHERE_INTERLEAVE,
	OPTIONS_WHERE_NODE,
	OPTIONS_WHERE_REPLICATE, /* of weights alone: on every node of the workers */
};

struct options_place {
	enum options_where where;
	int node; /* OPTIONS_WHERE_NODE */
};

#define OPTIONS_NODES_ALL UINT64_MAX /* those that have CPUs and memory */

struct options_table {
	const char *model;
	const char *table;
	bool is_cold;    /* stays in its file */
	bool has_policy; /* the next two are set */
	enum missing missing;
	int64_t missing_row;
};

struct options_model {
	const char *model;
	enum options_load load;
	uint32_t version; /* OPTIONS_LOAD_VERSION */
	bool has_load;
	bool is_cold;        /* every table that can stay in its file does */
	uint64_t cold_bytes; /* of rows in memory; 0: as exec/engine.h says */
	struct options_place weights_place, tables_place;
};

struct options {
	const char *repository;
	const char *socket;
	const char *admin_socket;
	const char *metrics_socket; /* NULL: none of ours */
	const char *config_path;
	const char *group;       /* of the infer socket */
	const char *admin_group; /* of the admin socket */
	const char *user;        /* to become; NULL: stay who we are */
	enum options_load load;
	enum options_wait wait;
	enum options_bell bell;
	enum options_sandbox sandbox;
	uint32_t rows_max;
	uint64_t activation_bytes_max;
	int64_t spin_us; /* -1: what a wake costs, while requests come that fast; 0 on a single CPU */
	int node;
	struct options_place weights_place, tables_place; /* of models that say nothing else */
	uint32_t bandwidths[TOPOLOGY_NODES_MAX]; /* of [nodes]; 0: it does not say, or of that one */
	struct reserve_want reserves[RESERVE_POOLS_MAX]; /* each node and size once */
	uint32_t reserve_count;
	uint64_t worker_nodes; /* a bit each; 0: the one of the data thread; OPTIONS_NODES_ALL */
	uint32_t workers; /* that compute, the data thread among them; 0: all CPUs but one */
	uint32_t clients_max;
	uint32_t clients_per_uid_max;
	uint32_t slots_per_uid_max;
	uint64_t arena_bytes_per_uid_max;
	bool is_warm; /* what is served outlives the daemon (ops/kept.h) */
	bool verifies; /* and its weights are hashed (serve/models/registry.h) */
	bool has_test_operations;
	bool is_verbose;

	struct options_table tables[OPTIONS_TABLES_MAX];
	struct options_model models[OPTIONS_MODELS_MAX];
	uint32_t table_count;
	uint32_t model_count;
	struct config config;
	char admin_path[128];
};

/* Ends the program for --help, --version and wrong usage (exit 2). */
must_check int options_parse(struct options *options, int argc, char **argv);

/* What [model NAME] says; NULL: there is no such section. */
const struct options_model *options_model_of(const struct options *options, const char *name);

/* Each node that a flag or the file names, as a bit. */
uint64_t options_nodes(const struct options *options);

void options_deinit(struct options *options);

#endif
