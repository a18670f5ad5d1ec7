/* SPDX-License-Identifier: MIT */
/* daemon/graph/survey.c - everything that keeps a model from loading, not only the first of it */
#include "graph/survey.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "graph/graph.h"

int survey_note(struct survey *survey, int error)
{
	char *sentence;

	if (!survey || error == -ENOMEM)
		return err_trace(error);
	if (survey->count == survey->capacity) {
		uint32_t capacity = survey->capacity ? 2 * survey->capacity : 16;
		char **sentences = realloc(survey->sentences, capacity * sizeof(sentences[0]));

		if (!sentences)
			return err_raise(-ENOMEM, "no memory for what is wrong with a model");
		survey->sentences = sentences;
		survey->capacity = capacity;
	}
	sentence = strdup(err_message());
	if (!sentence)
		return err_raise(-ENOMEM, "no memory for what is wrong with a model");
	survey->sentences[survey->count++] = sentence;
	return 0;
}

int survey_graph(struct survey *survey, struct graph *graph, const char *name,
		 const struct onnx_model *model, const struct device *device)
{
	int r;

	*graph = (struct graph){
		.name = name,
		.model = model,
		.device = device,
		.survey = survey,
	};
	r = graph_import(graph);
	if (r == 0)
		r = graph_infer(graph);
	if (r < 0) {
		r = survey_note(survey, r);
		if (r < 0)
			return err_trace(r);
	}
	return 0;
}

void survey_deinit(struct survey *survey)
{
	for (uint32_t index = 0; index < survey->count; index++)
		free(survey->sentences[index]);
	free(survey->sentences);
	*survey = (struct survey){0};
}
