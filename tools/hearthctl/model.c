/* SPDX-License-Identifier: MIT */
/* tools/hearthctl/model.c - model check: would a file load, and what would its plan be */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "exec/check.h"
#include "tools/hearthctl/command.h"
#include "tools/hearthctl/row.h"
#include "tools/hearthctl/table.h"

#define ROWS 64 /* of the run that the plan's figures are for, unless --batch says another */

static void plan_print(const struct check *check)
{
	struct table table;
	char bytes[TEXT_BYTES], weights[TEXT_BYTES];

	printf("plan for %" PRIu32 " rows:\n", check->rows);
	table_init(&table, ">STEP KERNEL >MOVES >OF-WEIGHTS >MULTIPLY-ADDS");
	for (uint32_t index = 0; index < check->step_count; index++) {
		const struct check_step *step = &check->steps[index];

		table_add(&table, TABLE_PLAIN, "%" PRIu32, index);
		table_add(&table, TABLE_PLAIN, "%s", step->kernel);
		table_add(&table, TABLE_PLAIN, "%s", text_bytes(step->bytes, bytes));
		table_add(&table, TABLE_PLAIN, "%s", text_bytes(step->weight_bytes, weights));
		table_add(&table, TABLE_PLAIN, "%" PRIu64, step->multiply_adds);
	}
	table_print(&table, stdout);
	table_deinit(&table);
}

static void check_print(const struct invocation *invocation, const struct check *check)
{
	char tables[TEXT_BYTES], weights[TEXT_BYTES];

	for (uint32_t index = 0; index < check->survey.count; index++) {
		printf("%srefused%s ", style_begin(stdout, TABLE_BAD), style_end(stdout, TABLE_BAD));
		text_put(check->survey.sentences[index], stdout);
		putchar('\n');
	}
	if (check->survey.count > 0) {
		printf("%s does not load: %" PRIu32 " refusals", invocation->file,
		       check->survey.count);
		if (check->survey.unjudged > 0)
			printf("; %" PRIu32 " nodes behind them are not judged",
			       check->survey.unjudged);
		putchar('\n');
		return;
	}
	printf("%s loads: %" PRIu32 " operators in %" PRIu32 " steps, fusion ratio %.1f\n",
	       invocation->file, check->operators, check->step_count,
	       (double)check->operators / (check->entries > 0 ? check->entries : 1));
	printf("memory: %s of tables, %s of other weights\n",
	       text_bytes(check->tables_bytes, tables),
	       text_bytes(check->weights_bytes - check->tables_bytes, weights));
	printf("a batch of %" PRIu32 " rows moves %.2f times the bytes of a perfect plan\n",
	       check->rows, (double)check->moved_bytes / (double)check->perfect_bytes);
	if (check->shares_not[0] == '\0') {
		puts("requests share batches: each output row follows from its own input rows");
	} else {
		fputs("requests run one by one: ", stdout);
		text_put(check->shares_not, stdout);
		putchar('\n');
	}
	if (invocation->is_plan)
		plan_print(check);
}

static json_t *plan_json(const struct check *check)
{
	json_t *plan = json_array();

	for (uint32_t index = 0; index < check->step_count; index++) {
		const struct check_step *step = &check->steps[index];

		json_array_append_new(plan, json_pack("{s:s, s:I, s:I, s:I}", "kernel", step->kernel,
						      "moved_bytes", (json_int_t)step->bytes,
						      "weight_bytes", (json_int_t)step->weight_bytes,
						      "multiply_adds",
						      (json_int_t)step->multiply_adds));
	}
	return plan;
}

static int check_json(const struct invocation *invocation, const struct check *check)
{
	json_t *refusals = json_array();
	json_t *row;
	int r;

	for (uint32_t index = 0; index < check->survey.count; index++)
		json_array_append_new(refusals, json_string(check->survey.sentences[index]));
	row = json_pack("{s:s, s:b, s:o, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:b, s:s, s:o}",
			"file", invocation->file, "loads", check->survey.count == 0, "refusals",
			refusals, "unjudged", (json_int_t)check->survey.unjudged, "operators",
			(json_int_t)check->operators, "steps", (json_int_t)check->step_count,
			"entries", (json_int_t)check->entries, "rows",
			(json_int_t)check->rows, "tables_bytes", (json_int_t)check->tables_bytes,
			"weights_bytes", (json_int_t)check->weights_bytes, "moved_bytes",
			(json_int_t)check->moved_bytes, "perfect_bytes",
			(json_int_t)check->perfect_bytes, "shares_batches",
			check->survey.count == 0 && check->shares_not[0] == '\0', "shares_not",
			check->shares_not, "plan", plan_json(check));
	if (!row)
		return complain(EXIT_FAILED, "no memory for the answer");
	r = row_print(row);
	json_decref(row);
	return r < 0 ? complain(EXIT_FAILED, "stdout takes no more") : EXIT_OK;
}

int model_check_run(const struct invocation *invocation)
{
	char *folder_copy = strdup(invocation->file);
	char *file_copy = strdup(invocation->file);
	const char *folder, *file;
	int code = EXIT_OK;
	struct check check = {0};
	int directory_fd;
	int r;

	if (!folder_copy || !file_copy) {
		code = complain(EXIT_FAILED, "no memory");
		goto out;
	}
	folder = dirname(folder_copy);
	directory_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (directory_fd < 0) {
		code = complain(EXIT_NOT_FOUND, "the folder of '%s' cannot be opened: %s",
				invocation->file, strerror(errno));
		goto out;
	}
	file = basename(file_copy);
	/* The sentences of a model are of its directory, and name the file in it. */
	r = check_model(&check, directory_fd, file,
			strcmp(file, "model.onnx") == 0 ? folder : invocation->file,
			invocation->batch_rows > 0 ? invocation->batch_rows : ROWS);
	(void)close(directory_fd);
	if (r < 0)
		code = complain(EXIT_FAILED, "%s", err_message());
	else if (invocation->is_json)
		code = check_json(invocation, &check);
	else
		check_print(invocation, &check);
	if (code == EXIT_OK && check.survey.count > 0)
		code = EXIT_FAILED;
out:
	check_deinit(&check);
	free(folder_copy);
	free(file_copy);
	return code;
}
