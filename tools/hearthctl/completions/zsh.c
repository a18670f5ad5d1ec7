/* SPDX-License-Identifier: MIT */
/* tools/hearthctl/completions/zsh.c - calls of _arguments and _describe */
#include "tools/hearthctl/completions/completions.h"

#include <stdio.h>

/* clang-format off */
static const char zsh_begin[] =
	"_hearthctl_models() { # FORM, what sed makes of \\1, the model, and \\2, its version\n"
	"\tlocal -a found\n"
	"\tfound=(${(f)\"$(timeout 1 $program $socket -o json models 2>/dev/null |\n"
	"\t\t" COMPLETION_MODELS_SED "'$1'/p' | sort -u)\"})\n"
	"\tcompadd -a found\n"
	"}\n"
	"_hearthctl_model() {\n"
	"\tif [[ $PREFIX == *@* ]]; then _hearthctl_models '\\1@\\2'; else _hearthctl_models '\\1'; fi\n"
	"}\n"
	"_hearthctl_version() { _hearthctl_models '\\1@\\2' }\n"
	"_hearthctl_input() { compset -P '*=' && _files }\n"
	"\n"
	"_hearthctl() {\n"
	"\tlocal curcontext=$curcontext state line command program=$words[1]\n"
	"\tlocal -A opt_args\n"
	"\tlocal -a next socket common\n"
	"\tinteger at\n"
	"\tfor ((at = 2; at < CURRENT; at++)); do\n"
	"\t\tcase $words[at] in\n"
	"\t\t-s | --socket) socket=(--socket $words[at+1]) ;;\n"
	"\t\t--socket=*) socket=($words[at]) ;;\n"
	"\t\tesac\n"
	"\tdone\n"
	"\tcommon=(\n";

static const char zsh_middle[] =
	"\t\t'--help[what there is]' '--version[of hearthctl]'\n"
	"\t)\n"
	"\t_arguments -C $common ':command:->command' '*::argument:->argument' && return\n"
	"\t[[ $state == argument ]] && command=$words[1]\n"
	"\tcase $command in\n";

static const char zsh_choose[] =
	"\tesac\n"
	"\tif [[ $#next -gt 0 && ( $state == command || $CURRENT -eq 2 ) ]]; then\n"
	"\t\t_describe command next\n"
	"\t\treturn\n"
	"\tfi\n"
	"\tif (($#next)); then\n"
	"\t\tcommand+=\" $words[2]\"\n"
	"\t\tshift words\n"
	"\t\t((CURRENT--))\n"
	"\tfi\n"
	"\tcase $command in\n";

static const char zsh_end[] =
	"\tesac\n"
	"}\n"
	"_hearthctl \"$@\"\n";
/* clang-format on */

static void zsh_action(const char *kind)
{
	if (completion_is_words(kind)) {
		putchar('(');
		completion_words(kind);
		putchar(')');
	} else if (strcmp(kind, "any") == 0) {
		putchar(' ');
	} else if (strcmp(kind, "file") == 0) {
		fputs("_files", stdout);
	} else if (strcmp(kind, "directory") == 0) {
		fputs("_files -/", stdout);
	} else {
		printf("_hearthctl_%s", kind);
	}
}

static void zsh_option(const struct argp_option *option, const char *name, const char *separator)
{
	const char *kind = completion_option_kind(option);

	if (option->key == KEY_INPUT)
		printf(" '*%s", name);
	else if (option->key < 256 && option->name)
		printf(" '(-%c --%s)%s", option->key, option->name, name);
	else
		printf(" '%s", name);
	printf("%s[", kind ? separator : "");
	completion_text(option->doc, "'\\''", "[]\\");
	putchar(']');
	if (kind) {
		printf(":%s:", option->arg);
		zsh_action(kind);
	}
	putchar('\'');
}

static void zsh_options(const struct argp_option *options)
{
	char name[32];

	for (const struct argp_option *option = options; option->key; option++) {
		if (option->key < 256) {
			snprintf(name, sizeof(name), "-%c", option->key);
			zsh_option(option, name, "+");
		}
		if (option->name) {
			snprintf(name, sizeof(name), "--%s", option->name);
			zsh_option(option, name, "=");
		}
	}
}

static void zsh_word(const struct command *command, const char *word, int bytes)
{
	printf(" '%.*s:", bytes, word);
	completion_text(word[bytes] ? "takes one more word" : command->summary, "'\\''", ":\\");
	putchar('\'');
}

static void zsh_prefix(const char *before)
{
	printf("\t'%s') next=(", before);
	completion_each_next(before, zsh_word);
	puts(" ) ;;");
}

void completions_zsh(void)
{
	puts("#compdef hearthctl");
	fputs(zsh_begin, stdout);
	fputs("\t\t", stdout);
	zsh_options(common_options);
	putchar('\n');
	fputs(zsh_middle, stdout);
	completion_each_prefix(zsh_prefix);
	fputs(zsh_choose, stdout);
	for (size_t index = 0; index < command_count; index++) {
		const struct command *command = &commands[index];
		const char *kind = completion_argument_kind(command);

		printf("\t'%s') _arguments $common", command->name);
		zsh_options(command->options);
		if (*kind) {
			printf(" ':%s:", command->arguments);
			zsh_action(kind);
			putchar('\'');
		}
		puts(" ;;");
	}
	fputs(zsh_end, stdout);
}
