/* SPDX-License-Identifier: MIT */
/* tools/hearthctl/completions/completions.c - what the scripts of the three shells take from the
 * table of commands */
#include "tools/hearthctl/completions/completions.h"

#include <stdio.h>

const char *completion_option_kind(const struct argp_option *option)
{
	switch (option->key) {
	case KEY_JSON:
		return FORMAT_WORDS;
	case KEY_TIER:
		return TIER_WORDS;
	case KEY_SOCKET:
	case KEY_ADMIN_SOCKET:
	case KEY_CHROME:
		return "file";
	case KEY_OUTPUT:
		return "directory";
	case KEY_INPUT:
		return "input";
	default:
		return option->arg ? "any" : NULL;
	}
}

const char *completion_argument_kind(const struct command *command)
{
	switch (command->model) {
	case MODEL_MAY:
	case MODEL_MUST:
		return "model";
	case MODEL_AND_VERSION:
		return "version";
	case MODEL_FILE:
		return "file";
	case MODEL_SHELL:
		return SHELL_WORDS;
	case MODEL_PID:
	case MODEL_SECONDS:
		return "any";
	case MODEL_NONE:
		break;
	}
	return "";
}

bool completion_is_words(const char *kind)
{
	return strchr(kind, ',');
}

void completion_text(const char *text, const char *quote, const char *special)
{
	for (; *text; text++) {
		if (*text == '\'') {
			fputs(quote, stdout);
			continue;
		}
		if (strchr(special, *text))
			putchar('\\');
		putchar(*text);
	}
}

void completion_words(const char *words)
{
	for (; *words; words++)
		putchar(*words == ',' ? ' ' : *words);
}

/* Whether `command` comes first of those that begin with the same word. */
static bool is_first(const struct command *command)
{
	int bytes = first_bytes(command->name);

	for (const struct command *other = commands; other < command; other++)
		if (first_bytes(other->name) == bytes &&
		    memcmp(other->name, command->name, (size_t)bytes) == 0)
			return false;
	return true;
}

void completion_each_next(const char *before, completion_next print)
{
	size_t before_bytes = strlen(before);

	for (size_t index = 0; index < command_count; index++) {
		const struct command *command = &commands[index];
		const char *second = second_word(command->name);

		if (before_bytes == 0 && is_first(command))
			print(command, command->name, first_bytes(command->name));
		else if (before_bytes > 0 && *second &&
			 strncmp(command->name, before, before_bytes) == 0 &&
			 command->name[before_bytes] == ' ')
			print(command, second, (int)strlen(second));
	}
}

void completion_each_prefix(void (*print)(const char *before))
{
	char before[32];

	print("");
	for (size_t index = 0; index < command_count; index++) {
		const char *name = commands[index].name;

		if (!*second_word(name) || !is_first(&commands[index]))
			continue;
		snprintf(before, sizeof(before), "%.*s", first_bytes(name), name);
		print(before);
	}
}

int completions_run(const struct invocation *invocation)
{
	if (strcmp(invocation->shell, "bash") == 0)
		completions_bash();
	else if (strcmp(invocation->shell, "zsh") == 0)
		completions_zsh();
	else
		completions_fish();
	return EXIT_OK;
}
