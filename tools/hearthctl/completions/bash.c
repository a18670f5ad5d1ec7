/* SPDX-License-Identifier: MIT */
/* tools/hearthctl/completions/bash.c - a function for `complete -F`, over a table of kinds */
#include "tools/hearthctl/completions/completions.h"

#include <stdio.h>

/* clang-format off */
static const char bash_begin[] =
	"# Sets for COMMAND the `options`, each with :KIND when a value follows, the KIND of its\n"
	"# `argument`, or `commands` that may follow. KIND is words with commas, or file, directory,\n"
	"# input (NAME=FILE), model, version (MODEL@VERSION) or any.\n"
	"_hearthctl_table() {\n";

static const char bash_end[] =
	"\n"
	"_hearthctl_kind() { # OPTION\n"
	"\tkind=\n"
	"\t[[ $options == *\" $1:\"* ]] && kind=${options#*\" $1:\"} && kind=${kind%% *}\n"
	"}\n"
	"\n"
	"_hearthctl() {\n"
	"\tlocal options argument commands command kind option word words current value head prefix\n"
	"\tlocal breaks form='\\1@\\2' socket=() offers=()\n"
	"\tCOMPREPLY=()\n"
	"\tread -a words <<<\"${COMP_LINE:0:COMP_POINT}\"\n"
	"\t[[ ${COMP_LINE:COMP_POINT-1:1} == ' ' ]] && words+=('')\n"
	"\tcurrent=${words[-1]}\n"
	"\t_hearthctl_table ''\n"
	"\tfor word in \"${words[@]:1:${#words[@]}-2}\"; do\n"
	"\t\tif [[ $kind ]]; then\n"
	"\t\t\t[[ $option == -s || $option == --socket ]] && socket=(--socket \"$word\")\n"
	"\t\t\tkind=\n"
	"\t\telif [[ $word == -* ]]; then\n"
	"\t\t\t[[ $word == --socket=* ]] && socket=(\"$word\")\n"
	"\t\t\toption=$word\n"
	"\t\t\t_hearthctl_kind \"$option\"\n"
	"\t\telif [[ $commands ]]; then\n"
	"\t\t\tcommand+=${command:+ }$word\n"
	"\t\t\t_hearthctl_table \"$command\"\n"
	"\t\telse\n"
	"\t\t\targument=\n"
	"\t\tfi\n"
	"\tdone\n"
	"\tif [[ $kind ]]; then\n"
	"\t\thead=\n"
	"\telif [[ $current == --*=* ]]; then\n"
	"\t\thead=${current%%=*}=\n"
	"\t\t_hearthctl_kind \"${head%=}\"\n"
	"\telif [[ $current == -* ]]; then\n"
	"\t\tkind=options\n"
	"\telse\n"
	"\t\tkind=${commands:-$argument}\n"
	"\tfi\n"
	"\tvalue=${current#\"$head\"}\n"
	"\tif [[ $kind == input && $value == *=* ]]; then\n"
	"\t\thead+=${value%%=*}= value=${value#*=} kind=file\n"
	"\tfi\n"
	"\tcase $kind in\n"
	"\toptions) for word in $options; do offers+=(\"${word%%:*}\"); done ;;\n"
	"\t*,*) IFS=, read -ra offers <<<\"$kind\" ;;\n"
	"\tmodel | version)\n"
	"\t\t[[ $kind == version || $value == *@* ]] || form='\\1'\n"
	"\t\tmapfile -t offers < <(timeout 1 \"${words[0]}\" \"${socket[@]}\" -o json models 2>/dev/null |\n"
	"\t\t\t" COMPLETION_MODELS_SED "'\"$form\"'/p' | sort -u)\n"
	"\t\t;;\n"
	"\tfile | directory)\n"
	"\t\tmapfile -t COMPREPLY < <(compgen -A \"$kind\" -- \"$value\")\n"
	"\t\tcompopt -o filenames 2>/dev/null\n"
	"\t\t;;\n"
	"\tesac\n"
	"\tfor word in \"${offers[@]}\"; do\n"
	"\t\t[[ $word == \"$value\"* ]] && COMPREPLY+=(\"$word\")\n"
	"\tdone\n"
	"\t# bash replaces what follows the last of its word breaks, and an @ with it.\n"
	"\tbreaks=${COMP_WORDBREAKS//[^=@:]/}\n"
	"\t[[ $breaks ]] && prefix=${current%\"${current##*[\"$breaks\"]}\"}\n"
	"\tprefix=${prefix%@}\n"
	"\tCOMPREPLY=(\"${COMPREPLY[@]/#/\"$head\"}\")\n"
	"\tCOMPREPLY=(\"${COMPREPLY[@]#\"$prefix\"}\")\n"
	"}\n"
	"complete -F _hearthctl hearthctl\n";
/* clang-format on */

static void bash_options(const struct argp_option *options)
{
	for (const struct argp_option *option = options; option->key; option++) {
		const char *kind = completion_option_kind(option);

		if (option->key < 256)
			printf(" -%c%s%s", option->key, kind ? ":" : "", kind ? kind : "");
		if (option->name)
			printf(" --%s%s%s", option->name, kind ? ":" : "", kind ? kind : "");
	}
}

static void bash_word(const struct command *command, const char *word, int bytes)
{
	(void)command;
	printf("%.*s,", bytes, word);
}

static void bash_prefix(const char *before)
{
	printf("\t'%s') commands='", before);
	completion_each_next(before, bash_word);
	puts("' ;;");
}

void completions_bash(void)
{
	fputs(bash_begin, stdout);
	fputs("\toptions='", stdout);
	bash_options(common_options);
	puts(" --help --version' argument= commands=\n\tcase $1 in");
	completion_each_prefix(bash_prefix);
	for (size_t index = 0; index < command_count; index++) {
		printf("\t'%s') argument='%s' options+='", commands[index].name,
		       completion_argument_kind(&commands[index]));
		bash_options(commands[index].options);
		puts("' ;;");
	}
	puts("\tesac\n}");
	fputs(bash_end, stdout);
}
