/* SPDX-License-Identifier: MIT */
/*
 * tools/hearthctl/completions/completions.h - the table of commands as a script that completes them
 *
 * Each script asks the daemon of the line for its models when one is wanted, at most a second and
 * without a word when there is none.
 *
 * Owns:     nothing; everything goes to stdout
 */
#ifndef HEARTH_TOOLS_HEARTHCTL_COMPLETIONS_COMPLETIONS_H
#define HEARTH_TOOLS_HEARTHCTL_COMPLETIONS_COMPLETIONS_H

#include <string.h>

#include "tools/hearthctl/commands.h"

/* Of a row of models \1 is the name and \2 the version; what they become, and '/p, follows. */
#define COMPLETION_MODELS_SED                                                                      \
	"sed -n 's/^{\"model\":\"\\([A-Za-z0-9._-]*\\)\",\"version\":\\([0-9]*\\).*/"

void completions_bash(void);
void completions_zsh(void);
void completions_fish(void);

/*
 * What stands for the option's value or the command's argument: words with commas between them,
 * "file", "directory", "input" (NAME=FILE), "model", "version" (MODEL@VERSION) or "any"; for a flag
 * NULL, and for a command without argument "".
 */
const char *completion_option_kind(const struct argp_option *option);
const char *completion_argument_kind(const struct command *command);
bool completion_is_words(const char *kind);

/* Text in single quotes: `quote` stands for one of its own, characters of `special` get a \. */
void completion_text(const char *text, const char *quote, const char *special);
void completion_words(const char *words);

/* A name's first word, and the second one or "". */
static inline int first_bytes(const char *name)
{
	return (int)strcspn(name, " ");
}

static inline const char *second_word(const char *name)
{
	const char *space = strchr(name, ' ');

	return space ? space + 1 : "";
}

typedef void (*completion_next)(const struct command *command, const char *word, int bytes);

/* Calls `print` once for each word that a command may go on with when it begins with `before`. */
void completion_each_next(const char *before, completion_next print);

/* Calls `print` with "" and with each first word of commands of two. */
void completion_each_prefix(void (*print)(const char *before));

#endif
