/* SPDX-License-Identifier: MIT */
/*
 * daemon/graph/survey.h - everything that keeps a model from loading, not only the first of it
 *
 * Owns:     its list of sentences
 * Threads:  one
 * Errors:   -ENOMEM; what the model does wrong is in the list, in the words of the load
 *
 * A graph that carries a survey goes on after a refusal: the node's outputs are then unknown, and
 * the nodes behind it are not judged. Such a graph is for graph_deinit and for reading alone.
 */
#ifndef HEARTH_GRAPH_SURVEY_H
#define HEARTH_GRAPH_SURVEY_H

#include <stdint.h>

#include "base/error.h"

struct graph;
struct onnx_model;
struct device;

struct survey {
	char **sentences;
	uint32_t count;
	uint32_t capacity;
	uint32_t unjudged; /* nodes behind a refused one */
};

/* graph_init that fills `survey`. With survey->count 0 the graph is as graph_init makes it. */
must_check int survey_graph(struct survey *survey, struct graph *graph, const char *name,
			    const struct onnx_model *model, const struct device *device);
void survey_deinit(struct survey *survey);

/* For the stages: a refusal `error`, whose sentence is err_message(), is noted when the graph
 * carries a survey, and then 0 is returned; otherwise `error`. */
must_check int survey_note(struct survey *survey, int error);

#endif
