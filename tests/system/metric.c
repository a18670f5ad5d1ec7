/* SPDX-License-Identifier: MIT */
/* tests/system/metric.c - the verb metrics, and a line of its text */
#include "metric.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crowd.h"

char *metric_text(const struct appliance *appliance, const char *command)
{
	char question[64];
	size_t bytes = 0;
	char *text = NULL;
	FILE *stream = open_memstream(&text, &bytes);
	json_t *rows = NULL;
	size_t index;
	json_t *row;

	must(stream, "no memory");
	snprintf(question, sizeof(question), "{\"verb\": \"metrics\", \"command\": \"%s\"}", command);
	must(appliance_ask(appliance->socket, question, &rows, NULL) == 0, "no metrics of %s",
	     command);
	json_array_foreach(rows, index, row)
		fputs(json_string_value(json_object_get(row, "text")), stream);
	json_decref(rows);
	fclose(stream);
	return text;
}

double metric_read(const struct appliance *appliance, const char *command, const char *sample)
{
	char *text = metric_text(appliance, command);
	char wanted[160];
	const char *line;
	double value;

	snprintf(wanted, sizeof(wanted), "\n%s ", sample);
	line = strstr(text, wanted);
	must(line, "%s has no %s", command, sample);
	value = strtod(line + strlen(wanted), NULL);
	free(text);
	return value;
}
