/* SPDX-License-Identifier: MIT */
/* tools/hearthctl/values.c - a value is read whole, or the sentence names it and what was wanted */
#include "tools/hearthctl/values.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/repository.h"

uint64_t number_parse(const struct argp_state *state, const char *what, const char *text,
			     uint64_t min, uint64_t max)
{
	char *end;
	unsigned long long number;

	errno = 0;
	number = strtoull(text, &end, 10);
	if (errno != 0 || *end != '\0' || *text < '0' || *text > '9' || number < min || number > max)
		argp_error(state, "%s is '%s'; wanted a number from %llu to %llu", what, text,
			   (unsigned long long)min, (unsigned long long)max);
	return number;
}

double real_parse(const struct argp_state *state, const char *what, const char *text,
			 double max)
{
	char *end;
	double number = strtod(text, &end);

	if (end == text || *end != '\0' || !isfinite(number) || number <= 0 || number > max)
		argp_error(state, "%s is '%s'; wanted a number above 0, at most %g", what, text,
			   max);
	return number;
}

uint64_t duration_parse_ns(const struct argp_state *state, const char *what, const char *text)
{
	static const struct {
		const char *name;
		double ns;
	} units[] = {{"ns", 1}, {"us", 1e3}, {"ms", 1e6}, {"s", 1e9}};
	char *end;
	double number = strtod(text, &end);

	for (uint32_t unit = 0; end > text && unit < sizeof(units) / sizeof(units[0]); unit++)
		if (strcmp(end, units[unit].name) == 0 && number * units[unit].ns >= 1 &&
		    number * units[unit].ns <= TIMEOUT_SECONDS_MAX * 1e9)
			return (uint64_t)(number * units[unit].ns);
	argp_error(state, "%s is '%s'; wanted a time such as 500us, 2ms or 1s", what, text);
	return 0;
}

/* "a,b,c" as "a, b or c". */
static void words_spell(const char *words, char *spelled, size_t spelled_bytes)
{
	const char *last = strrchr(words, ',');
	size_t used = 0;

	for (; *words && used + sizeof(" or ") < spelled_bytes; words++)
		if (*words == ',')
			used += (size_t)snprintf(spelled + used, sizeof(" or "), "%s",
						 words == last ? " or " : ", ");
		else
			spelled[used++] = *words;
	spelled[used] = '\0';
}

const char *word_parse(const struct argp_state *state, const char *what, const char *text,
			      const char *words)
{
	size_t bytes = strlen(text);
	char wanted[64];

	for (const char *word = words; *word; word += *word == ',') {
		size_t word_bytes = strcspn(word, ",");

		if (word_bytes == bytes && memcmp(word, text, bytes) == 0)
			return text;
		word += word_bytes;
	}
	words_spell(words, wanted, sizeof(wanted));
	argp_error(state, "%s is '%s'; wanted %s", what, text, wanted);
	return NULL;
}

void input_parse(const struct argp_state *state, char *text, struct invocation *invocation)
{
	char *separator = strchr(text, '=');
	uint32_t input;

	if (!separator || separator == text || separator[1] == '\0')
		argp_error(state, "--input is '%s'; wanted NAME=FILE.npy", text);
	if (invocation->input_count == HEARTH_TENSORS_MAX)
		argp_error(state, "more than %u inputs", HEARTH_TENSORS_MAX);
	*separator = '\0';
	for (input = 0; input < invocation->input_count; input++)
		if (strcmp(invocation->inputs[input].name, text) == 0)
			argp_error(state, "--input %s is given twice", text);
	invocation->inputs[invocation->input_count].name = text;
	invocation->inputs[invocation->input_count].path = separator + 1;
	invocation->input_count++;
}

void model_parse(const struct argp_state *state, const char *text,
			struct invocation *invocation)
{
	const char *separator = strrchr(text, '@');
	size_t bytes = separator ? (size_t)(separator - text) : strlen(text);
	char name[HEARTH_NAME_BYTES] = "";

	if (*invocation->model) {
		if (invocation->version > 0)
			argp_error(state, "'%s' is one argument too many", text);
		invocation->version = (uint32_t)number_parse(state, "VERSION", text, 1, UINT32_MAX);
		return;
	}
	if (bytes < sizeof(name))
		memcpy(name, text, bytes);
	if (!repository_is_name(name))
		argp_error(state, "'%s' names no model; wanted MODEL or MODEL@VERSION, and of MODEL 1 to %zu of "
			   "A-Z a-z 0-9 . _ -, not beginning with a dot", text, sizeof(name) - 1);
	if (separator)
		invocation->version =
			(uint32_t)number_parse(state, "VERSION", separator + 1, 1, UINT32_MAX);
	memcpy(invocation->model, name, sizeof(name));
}
