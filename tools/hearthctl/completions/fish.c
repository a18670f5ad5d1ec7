/* SPDX-License-Identifier: MIT */
/* tools/hearthctl/completions/fish.c - a `complete` for each word and option */
#include "tools/hearthctl/completions/completions.h"

#include <stdio.h>

/* clang-format off */
static const char fish_begin[] =
	"# Prints the words of the line so far that are neither options nor their values.\n"
	"function __hearthctl_words\n"
	"\tset -l words\n"
	"\tset -l skip no\n"
	"\tfor word in (commandline -opc)[2..-1]\n"
	"\t\tif test $skip = yes\n"
	"\t\t\tset skip no\n"
	"\t\telse if contains -- $word";

static const char fish_middle[] =
	"\n"
	"\t\t\tset skip yes\n"
	"\t\telse if not string match -q -- '-*' $word\n"
	"\t\t\tset -a words $word\n"
	"\t\tend\n"
	"\tend\n"
	"\techo \"$words\"\n"
	"end\n"
	"function __hearthctl_at # WORDS: these and no more\n"
	"\tset -l words (__hearthctl_words)\n"
	"\ttest \"$words\" = \"$argv\"\n"
	"end\n"
	"function __hearthctl_in # WORDS: these first\n"
	"\tset -l words (__hearthctl_words)\n"
	"\tstring match -q -- \"$argv *\" \"$words \"\n"
	"end\n"
	"function __hearthctl_versions\n"
	"\tset -l tokens (commandline -opc)\n"
	"\tset -l socket\n"
	"\tfor at in (seq 2 (count $tokens))\n"
	"\t\tswitch $tokens[$at]\n"
	"\t\t\tcase -s --socket\n"
	"\t\t\t\tset socket --socket $tokens[(math $at + 1)]\n"
	"\t\t\tcase '--socket=*'\n"
	"\t\t\t\tset socket $tokens[$at]\n"
	"\t\tend\n"
	"\tend\n"
	"\ttimeout 1 $tokens[1] $socket -o json models 2>/dev/null |\n"
	"\t\t" COMPLETION_MODELS_SED "\\1@\\2/p' | sort -u\n"
	"end\n"
	"function __hearthctl_models\n"
	"\t__hearthctl_versions | sed 's/@.*//' | sort -u\n"
	"\tstring match -q -- '*@*' (commandline -ct); and __hearthctl_versions\n"
	"end\n"
	"complete -c hearthctl -f\n"
	"complete -c hearthctl -l help -d 'what there is'\n"
	"complete -c hearthctl -l version -d 'of hearthctl'\n";
/* clang-format on */

/* What follows an option or stands for an argument, as `complete` takes it. */
static void fish_action(const char *kind)
{
	if (completion_is_words(kind)) {
		fputs(" -x -a '", stdout);
		completion_words(kind);
		putchar('\'');
	} else if (strcmp(kind, "model") == 0) {
		fputs(" -a '(__hearthctl_models)'", stdout);
	} else if (strcmp(kind, "version") == 0) {
		fputs(" -a '(__hearthctl_versions)'", stdout);
	} else if (strcmp(kind, "directory") == 0) {
		fputs(" -x -a '(__fish_complete_directories)'", stdout);
	} else if (strcmp(kind, "any") == 0) {
		fputs(" -x", stdout);
	} else {
		fputs(" -r -F", stdout);
	}
}

static void fish_values(const struct argp_option *options)
{
	for (const struct argp_option *option = options; option->key; option++) {
		if (!option->arg)
			continue;
		if (option->key < 256)
			printf(" -%c", option->key);
		if (option->name)
			printf(" --%s", option->name);
	}
}

static void fish_options(const char *command, const struct argp_option *options)
{
	for (const struct argp_option *option = options; option->key; option++) {
		const char *kind = completion_option_kind(option);

		fputs("complete -c hearthctl", stdout);
		if (*command)
			printf(" -n '__hearthctl_in %s'", command);
		if (option->key < 256)
			printf(" -s %c", option->key);
		if (option->name)
			printf(" -l %s", option->name);
		fputs(" -d '", stdout);
		completion_text(option->doc, "\\'", "\\");
		putchar('\'');
		if (kind)
			fish_action(kind);
		putchar('\n');
	}
}

static void fish_word(const struct command *command, const char *word, int bytes)
{
	int before_bytes = word == command->name ? 0 : first_bytes(command->name);

	printf("complete -c hearthctl -n '__hearthctl_at %.*s' -a %.*s -d '", before_bytes,
	       command->name, bytes, word);
	completion_text(word[bytes] ? "takes one more word" : command->summary, "\\'", "\\");
	puts("'");
}

static void fish_prefix(const char *before)
{
	completion_each_next(before, fish_word);
}

void completions_fish(void)
{
	fputs(fish_begin, stdout);
	fish_values(common_options);
	for (size_t index = 0; index < command_count; index++)
		fish_values(commands[index].options);
	fputs(fish_middle, stdout);
	fish_options("", common_options);
	completion_each_prefix(fish_prefix);
	for (size_t index = 0; index < command_count; index++) {
		const struct command *command = &commands[index];
		const char *kind = completion_argument_kind(command);

		fish_options(command->name, command->options);
		if (!*kind || strcmp(kind, "any") == 0)
			continue;
		printf("complete -c hearthctl -n '__hearthctl_at %s'", command->name);
		fish_action(kind);
		putchar('\n');
	}
}
