/* SPDX-License-Identifier: MIT */
/* daemon/ops/nodes.c - on which nodes the daemon's threads and memory are */
#include "ops/nodes.h"

#include <errno.h>
#include <numa.h>
#include <sched.h>
#include <stdio.h>
#include <unistd.h>

#include "base/log.h"
#include "base/topology.h"
#include "memory/interleave.h"
#include "ops/loop.h"

/* --- the choice ----------------------------------------------------------------------------------- */

/* Those that have CPUs for workers, and memory for what they work in. */
static struct place computing_nodes(const struct topology *topology)
{
	struct place place = { 0 };
	uint32_t index;

	for (index = 0; index < topology->node_count; index++)
		if (topology->nodes[index].has_memory &&
		    topology_has_cpus(topology, topology->nodes[index].node))
			place.nodes |= place_node(topology->nodes[index].node).nodes;
	return place;
}

static void numbers_print(struct place place, char *text, size_t bytes)
{
	size_t used = 0;
	int node;

	text[0] = '\0';
	for (node = 0; node < TOPOLOGY_NODES_MAX && used + 8 < bytes; node++)
		if (place.nodes & place_node(node).nodes)
			used += (size_t)snprintf(text + used, bytes - used, " %d", node);
}

/* Where --worker-nodes names some, each is `able` to compute, and --node is one of them. */
static int wanted_check(const struct options *options, const struct topology *topology,
			struct place able)
{
	struct place wanted = { .nodes = options->worker_nodes };
	char numbers[256];
	int r;

	if (options->worker_nodes == 0 || options->worker_nodes == OPTIONS_NODES_ALL)
		return 0;
	r = place_check(wanted, topology);
	if (r < 0)
		return err_trace(r);
	if (wanted.nodes & ~able.nodes) {
		numbers_print(able, numbers, sizeof(numbers));
		return err_raise(-EINVAL,
				 "--worker-nodes: node %d has no CPU that hearthd may run on; the "
				 "nodes with some are:%s",
				 __builtin_ctzll(wanted.nodes & ~able.nodes), numbers);
	}
	if (options->node >= 0 && !(wanted.nodes & place_node(options->node).nodes))
		return err_raise(-EINVAL,
				 "--node %d is none of --worker-nodes: the thread that serves "
				 "computes, too", options->node);
	return 0;
}

/* Memory and the thread that reads it belong on one node: by default the one that this process was
 * started on, unless that has processors alone; where workers are on others it is the first of them. */
static int choose_node(const struct options *options, const struct topology *topology,
		       struct place able)
{
	struct place place = place_all(topology);
	unsigned int node = 0;
	unsigned int cpu;

	if (options->node >= 0 || numa_available() < 0)
		return options->node;
	if (options->worker_nodes != 0)
		place.nodes = able.nodes & options->worker_nodes;
	/* libnuma's own question ends the process where there is no memory for it. */
	(void)getcpu(&cpu, &node);
	if (place_node((int)node).nodes & place.nodes)
		return (int)node;
	return options->worker_nodes != 0 && place.nodes ? __builtin_ctzll(place.nodes) : -1;
}

static struct place choose_worker_nodes(const struct control *control, struct place able)
{
	struct place place = { .nodes = control->options->worker_nodes };

	if (control->node < 0 || place.nodes == 0)
		return place_node(control->node);
	if (place.nodes == OPTIONS_NODES_ALL)
		place = able;
	place.nodes |= place_node(control->node).nodes;
	return place;
}

int nodes_choose(struct control *control, double *ret_cores)
{
	const struct options *options = control->options;
	const struct options_place places[] = { { OPTIONS_WHERE_NODE, options->node },
						options->weights_place, options->tables_place };
	struct place able = { 0 }; /* looked for where --worker-nodes asks for it */
	struct topology topology;
	uint32_t index;
	int r;

	r = topology_read(&topology);
	if (r < 0)
		return err_trace(r);
	if (options->worker_nodes != 0)
		able = computing_nodes(&topology);
	for (index = 0; index < sizeof(places) / sizeof(places[0]); index++) {
		if (places[index].where != OPTIONS_WHERE_NODE)
			continue;
		r = place_check(place_node(places[index].node), &topology);
		if (r < 0)
			return err_trace(r);
	}
	for (int node = 0; node < TOPOLOGY_NODES_MAX; node++) {
		if (options->bandwidths[node] == 0)
			continue;
		r = place_check(place_node(node), &topology);
		if (r < 0)
			return err_trace(r);
	}
	r = wanted_check(options, &topology, able);
	if (r < 0)
		return err_trace(r);
	control->node = choose_node(options, &topology, able);
	control->worker_nodes = choose_worker_nodes(control, able);
	*ret_cores = topology_cores(&topology);
	return 0;
}

uint32_t nodes_cpu_count(const struct control *control)
{
	uint32_t count = 0;
	cpu_set_t cpus;
	int node;

	if (control->node < 0)
		return topology_cpus(-1, &cpus);
	for (node = 0; node < TOPOLOGY_NODES_MAX; node++)
		if (control->worker_nodes.nodes & place_node(node).nodes)
			count += topology_cpus(node, &cpus);
	return count;
}

/* --- what comes of it ----------------------------------------------------------------------------- */

static bool is_replicated(const struct options *options)
{
	bool is = options->weights_place.where == OPTIONS_WHERE_REPLICATE;
	uint32_t index;

	for (index = 0; index < options->model_count; index++)
		is = is || options->models[index].weights_place.where == OPTIONS_WHERE_REPLICATE;
	return is;
}

void nodes_report(const struct control *control)
{
	if (is_replicated(control->options) && workers_node_count(control->workers) == 1)
		log_line(LOG_LEVEL_INFO, "weights = replicate: one copy is all there is, since all "
			 "workers are on one node (--worker-nodes)");
}

uint64_t nodes_wanted(const struct control *control)
{
	return options_nodes(control->options) | place_node(control->node).nodes;
}

/* --- where a model lies --------------------------------------------------------------------------- */

/* Of the nodes that are there now: one that went since is no longer dealt anything. */
static struct place place_of(const struct control *control, struct options_place place)
{
	struct topology topology;

	if (place.where == OPTIONS_WHERE_INTERLEAVE && topology_read(&topology) == 0)
		return interleave_read("", &topology, control->options->bandwidths).place;
	return place_node(place.where == OPTIONS_WHERE_NODE ? place.node : control->node);
}

static struct options_place place_chosen(struct options_place model, struct options_place daemon)
{
	return model.where == OPTIONS_WHERE_DEFAULT ? daemon : model;
}

void nodes_place(const struct control *control, const char *name, struct engine_options *options)
{
	const struct options *given = control->options;
	const struct options_model *model = options_model_of(given, name);
	struct options_place weights = given->weights_place;
	struct options_place tables = given->tables_place;

	if (model) {
		weights = place_chosen(model->weights_place, weights);
		tables = place_chosen(model->tables_place, tables);
	}
	options->weights = place_of(control, weights);
	options->tables = place_of(control, tables);
	options->replicates = weights.where == OPTIONS_WHERE_REPLICATE;
}
