/* SPDX-License-Identifier: MIT */
/* tools/hearthctl/control.c - status, models, clients, users: ask, show rows */

#include <inttypes.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "tools/hearthctl/command.h"
#include "tools/hearthctl/listing.h"
#include "tools/hearthctl/page.h"
#include "tools/hearthctl/talk.h"

/* --- status --------------------------------------------------------------------------------- */

/* Prints a value with the unit that its key ends in. */
static void value_print(const char *key, const json_t *value)
{
	size_t bytes = strlen(key);
	char text[TEXT_BYTES];

	if (json_is_string(value))
		text_put(json_string_value(value), stdout);
	else if (json_is_boolean(value))
		fputs(json_is_true(value) ? "yes" : "no", stdout);
	else if (bytes > 6 && strcmp(key + bytes - 6, "_bytes") == 0)
		fputs(text_bytes((uint64_t)json_number_value(value), text), stdout);
	else if (bytes > 3 && strcmp(key + bytes - 3, "_ns") == 0)
		fputs(text_ns((uint64_t)json_number_value(value), text), stdout);
	else if (bytes > 2 && strcmp(key + bytes - 2, "_s") == 0)
		fputs(text_duration_s(json_number_value(value), text), stdout);
	else
		json_dumpf(value, stdout, JSON_ENCODE_ANY | JSON_COMPACT);
}

static int status_row(const json_t *row, void *context)
{
	const struct listing *listing = context;
	const char *key;
	json_t *value;

	if (listing->invocation->is_json)
		return listing_emit(row);
	json_object_foreach((json_t *)row, key, value)
	{
		printf("%s%-20s%s ", style_begin(stdout, TABLE_STRONG), key,
		       style_end(stdout, TABLE_STRONG));
		value_print(key, value);
		putchar('\n');
	}
	return EXIT_OK;
}

int status_run(const struct invocation *invocation)
{
	struct listing listing = {.invocation = invocation};

	return listing_ask(&listing, status_row);
}

/* --- models --------------------------------------------------------------------------------- */

static void tensors_print(const char *title, const json_t *tensors)
{
	size_t tensor;

	for (tensor = 0; tensor < json_array_size(tensors); tensor++) {
		const json_t *description = json_array_get(tensors, tensor);
		const json_t *dims = json_object_get(description, "dims");
		size_t dim;
		printf("    %-7s ", title);
		text_put(row_text(description, "name"), stdout);
		printf("  %s [", row_text(description, "dtype"));
		for (dim = 0; dim < json_array_size(dims); dim++) {
			const json_t *value = json_array_get(dims, dim);
			if (dim > 0)
				fputs(", ", stdout);
			if (json_is_string(value))
				text_put(json_string_value(value), stdout);
			else
				printf("%" JSON_INTEGER_FORMAT, json_integer_value(value));
		}
		puts("]");
	}
}

/* Of tables that stay in their files; NULL: there are none. */
static void cold_print(const json_t *cold)
{
	uint64_t hits = cold ? row_number(cold, "hits_total") : 0;
	uint64_t misses = cold ? row_number(cold, "misses_total") : 0;
	char text[4][TEXT_BYTES];

	if (!cold)
		return;
	printf("    cold    %s of tables in files%s, rows of %s in memory\n",
	       text_bytes(row_number(cold, "tables_bytes"), text[0]),
	       json_is_true(json_object_get(cold, "direct")) ? "" : " behind the page cache",
	       text_bytes(row_number(cold, "rows_bytes"), text[1]));
	printf("            %.1f %% of %" PRIu64 " ids were there, %" PRIu64 " rows read, %" PRIu64
	       " failed; waits %s p50, %s p99\n",
	       hits + misses > 0 ? 100.0 * (double)hits / (double)(hits + misses) : 0.0,
	       hits + misses, misses, row_number(cold, "failures_total"),
	       text_ns(row_number(cold, "wait_p50_ns"), text[2]),
	       text_ns(row_number(cold, "wait_p99_ns"), text[3]));
}

static void model_print(const json_t *row)
{
	const char *state = row_text(row, "state");
	enum table_style style = strcmp(state, "serving") == 0	? TABLE_GOOD
				 : strcmp(state, "failed") == 0 ? TABLE_BAD
								: TABLE_PLAIN;
	char text[2][TEXT_BYTES];

	fputs(style_begin(stdout, TABLE_STRONG), stdout);
	text_put(row_text(row, "model"), stdout);
	printf("@%" PRIu64 "%s  %s%s%s%s\n", row_number(row, "version"),
	       style_end(stdout, TABLE_STRONG), style_begin(stdout, style), state,
	       style_end(stdout, style),
	       json_is_true(json_object_get(row, "current")) ? ", current" : "");
	if (*row_text(row, "error")) {
		fputs("    error   ", stdout);
		text_put(row_text(row, "error"), stdout);
		putchar('\n');
	}
	printf("    memory  weights %s, ", text_bytes(row_number(row, "weights_bytes"), text[0]));
	if (row_number(row, "replica_bytes") > 0)
		printf("their replicas on other nodes %s, ",
		       text_bytes(row_number(row, "replica_bytes"), text[0]));
	printf("activations %s, pages %s\n",
	       text_bytes(row_number(row, "activation_bytes"), text[1]), row_text(row, "pages"));
	printf("    served  %" PRIu64 " requests, %" PRIu64 " rows in %" PRIu64
	       " batches; at most %" PRIu64 " rows a request\n",
	       row_number(row, "requests_total"), row_number(row, "rows_total"),
	       row_number(row, "batches_total"), row_number(row, "rows_max"));
	cold_print(json_object_get(row, "cold"));
	tensors_print("input", json_object_get(row, "inputs"));
	tensors_print("output", json_object_get(row, "outputs"));
}

static int models_row(const json_t *row, void *context)
{
	struct listing *listing = context;
	const char *wanted = listing->invocation->model;

	if (*wanted && strcmp(row_text(row, "model"), wanted) != 0)
		return EXIT_OK;
	if (listing->invocation->version > 0 &&
	    row_number(row, "version") != listing->invocation->version)
		return EXIT_OK;
	listing->row_count++;
	if (listing->invocation->is_json)
		return listing_emit(row);
	model_print(row);
	return EXIT_OK;
}

int models_run(const struct invocation *invocation)
{
	struct listing listing = {.invocation = invocation};
	int code = listing_ask(&listing, models_row);

	if (code != EXIT_OK || listing.row_count > 0)
		return code;
	if (*invocation->model)
		return complain(
			EXIT_NOT_FOUND,
			"no such model or version is loaded; `hearthctl models` lists them");
	if (!invocation->is_json)
		puts("no model is loaded; `hearthctl load MODEL` loads one of the repository's");
	return EXIT_OK;
}

/* --- model show ----------------------------------------------------------------------------- */

static bool is_asked_for(const struct invocation *invocation, const json_t *row)
{
	return strcmp(row_text(row, "model"), invocation->model) == 0 &&
	       (invocation->version == 0 || row_number(row, "version") == invocation->version);
}

static int plan_row(const json_t *row, void *context)
{
	static const char *const sizes[] = {"moved_bytes", "weight_bytes"};
	static const char *const times[] = {"predicted_ns", "measured_ns"};
	struct listing *listing = context;
	struct table *table = &listing->table;
	char text[TEXT_BYTES];

	if (!is_asked_for(listing->invocation, row))
		return EXIT_OK;
	listing->row_count++;
	if (listing->invocation->is_json)
		return listing_emit(row);
	table_add(table, TABLE_PLAIN, "%" PRIu64, row_number(row, "version"));
	table_add(table, TABLE_PLAIN, "%" PRIu64, row_number(row, "rows"));
	table_add(table, TABLE_PLAIN, "%" PRIu64, row_number(row, "step"));
	table_add(table, TABLE_PLAIN, "%s", row_text(row, "kernel"));
	for (unsigned size = 0; size < 2; size++)
		table_add(table, TABLE_PLAIN, "%s", text_bytes(row_number(row, sizes[size]), text));
	table_add(table, TABLE_PLAIN, "%" PRIu64, row_number(row, "multiply_adds"));
	for (unsigned time = 0; time < 2; time++)
		table_add(table, TABLE_PLAIN, "%s", text_ns(row_number(row, times[time]), text));
	return EXIT_OK;
}

int model_show_run(const struct invocation *invocation)
{
	struct listing listing = {.invocation = invocation};
	int code;

	if (!invocation->is_plan) {
		code = listing_ask_verb(&listing, "models", models_row);
	} else {
		table_init(&listing.table, ">VERSION >ROWS >STEP KERNEL >MOVES >OF-WEIGHTS "
					   ">MULTIPLY-ADDS >PREDICTED >MEASURED");
		code = listing_ask_verb(&listing, "plan", plan_row);
		if (code == EXIT_OK && listing.row_count > 0 && !invocation->is_json)
			table_print(&listing.table, stdout);
		table_deinit(&listing.table);
	}
	if (code == EXIT_OK && listing.row_count == 0)
		return complain(EXIT_NOT_FOUND,
				"no such model or version is loaded; `hearthctl models` lists them");
	return code;
}

/* --- clients -------------------------------------------------------------------------------- */

/* "3 expired, 1 no_model", or "-". */
static const char *refused_text(const json_t *refused, char *text, size_t bytes)
{
	const char *reason;
	json_t *count;
	size_t end = 0;

	text[0] = '-';
	text[1] = '\0';
	json_object_foreach((json_t *)refused, reason, count)
	{
		if (end < bytes)
			end += (size_t)snprintf(text + end, bytes - end, "%s%" JSON_INTEGER_FORMAT
						" %s", end ? ", " : "", json_integer_value(count),
						reason);
	}
	return text;
}

/* What the daemon's sandbox hides from it, its caller may see: the path of a program of which the
 * daemon has the name alone. A process that has another name is another one, in another namespace
 * or under a pid that is used again. */
static void program_find(json_t *row)
{
	const char *name = row_text(row, "exe");
	char comm[32] = "";
	char path[64];
	char exe[PATH_MAX];
	ssize_t bytes;
	FILE *file;

	if (!*name || strchr(name, '/') || row_number(row, "pid") == 0)
		return;
	snprintf(path, sizeof(path), "/proc/%" PRIu64 "/comm", row_number(row, "pid"));
	file = fopen(path, "re");
	if (!file || !fgets(comm, sizeof(comm), file))
		comm[0] = '\0';
	if (file)
		fclose(file);
	comm[strcspn(comm, "\n")] = '\0';
	snprintf(path, sizeof(path), "/proc/%" PRIu64 "/exe", row_number(row, "pid"));
	bytes = readlink(path, exe, sizeof(exe) - 1);
	if (bytes <= 0 || strcmp(comm, name) != 0)
		return;
	exe[bytes] = '\0';
	json_object_set_new(row, "exe", json_stringn(exe, (size_t)bytes));
}

static int clients_row(const json_t *given, void *context)
{
	static const char *const counts[] = {"slots", "outstanding"};
	static const char *const totals[] = {"requests_total", "errors_total", "rings_total"};
	struct listing *listing = context;
	struct table *table = &listing->table;
	json_t *row = (json_t *)given; /* this packet's alone */
	char text[TEXT_BYTES];
	char reasons[256];
	unsigned column;

	listing->row_count++;
	program_find(row);
	if (listing->invocation->is_json)
		return listing_emit(row);
	table_add(table, TABLE_PLAIN, "%" PRIu64, row_number(row, "pid"));
	table_add(table, TABLE_PLAIN, "%" PRIu64, row_number(row, "uid"));
	table_add(table, TABLE_PLAIN, "%s", text_duration_s(row_real(row, "age_s"), text));
	for (column = 0; column < 2; column++)
		table_add(table, TABLE_PLAIN, "%" PRIu64, row_number(row, counts[column]));
	table_add(table, TABLE_PLAIN, "%s",
		  text_bytes(row_number(row, "request_area_bytes"), text));
	table_add(table, TABLE_PLAIN, "%s",
		  text_bytes(row_number(row, "response_area_bytes"), text));
	for (column = 0; column < 3; column++)
		table_add(table, TABLE_PLAIN, "%" PRIu64, row_number(row, totals[column]));
	table_add(table, TABLE_PLAIN, "%s", row_text(row, "death"));
	table_add(table, TABLE_PLAIN, "%s",
		  refused_text(json_object_get(row, "refused"), reasons, sizeof(reasons)));
	table_add(table, TABLE_PLAIN, "%s", row_text(row, "exe"));
	return EXIT_OK;
}

static int users_row(const json_t *row, void *context)
{
	static const char *const holdings[][2] = {
		{"connections", "connections_max"},
		{"slots", "slots_max"},
	};
	static const char *const totals[] = {"requests_total", "rows_total", "deferred_total"};
	struct listing *listing = context;
	struct table *table = &listing->table;
	char used[TEXT_BYTES];
	char limit[TEXT_BYTES];
	char reasons[256];
	unsigned column;

	listing->row_count++;
	if (listing->invocation->is_json)
		return listing_emit(row);
	table_add(table, TABLE_PLAIN, "%" PRIu64, row_number(row, "uid"));
	for (column = 0; column < 2; column++)
		table_add(table, TABLE_PLAIN, "%" PRIu64 "/%" PRIu64,
			  row_number(row, holdings[column][0]),
			  row_number(row, holdings[column][1]));
	table_add(table, TABLE_PLAIN, "%s/%s", text_bytes(row_number(row, "arena_bytes"), used),
		  text_bytes(row_number(row, "arena_bytes_max"), limit));
	table_add(table, TABLE_PLAIN, "%" PRIu64, row_number(row, "kept"));
	for (column = 0; column < 3; column++)
		table_add(table, TABLE_PLAIN, "%" PRIu64, row_number(row, totals[column]));
	table_add(table, TABLE_PLAIN, "%s", text_duration_s(row_real(row, "busy_s"), used));
	table_add(table, TABLE_PLAIN, "%s",
		  refused_text(json_object_get(row, "refused"), reasons, sizeof(reasons)));
	table_add(table, TABLE_PLAIN, "%s",
		  refused_text(json_object_get(row, "refused_connections"), reasons,
			       sizeof(reasons)));
	return EXIT_OK;
}

/* Asks `verb` and prints its rows as one table, under a title when there are any. */
static int table_run(const struct invocation *invocation, const char *verb, talk_row row,
		     const char *titles, const char *nothing)
{
	struct listing listing = {.invocation = invocation};
	int code;

	table_init(&listing.table, titles);
	code = listing_ask_verb(&listing, verb, row);
	if (code == EXIT_OK && !invocation->is_json) {
		if (listing.row_count > 0)
			table_print(&listing.table, stdout);
		else
			puts(nothing);
	}
	table_deinit(&listing.table);
	return code;
}

int clients_run(const struct invocation *invocation)
{
	return table_run(invocation, "clients", clients_row,
			 ">PID >UID >AGE >SLOTS >WAITING >REQUEST-AREA >RESPONSE-AREA >REQUESTS "
			 ">ERRORS >RINGS DEATH REFUSED PROGRAM", "no client is connected");
}

static int kick_row(const json_t *row, void *context)
{
	const struct listing *listing = context;

	if (listing->invocation->is_json)
		return listing_emit(row);
	text_put(row_text(row, "progress"), stdout);
	putchar('\n');
	return EXIT_OK;
}

int kick_run(const struct invocation *invocation)
{
	struct listing listing = {.invocation = invocation};
	json_t *question =
		json_pack("{s:s, s:I}", "verb", "kick", "pid", (json_int_t)invocation->pid);
	int code = page_tell(invocation, question, kick_row, &listing);

	json_decref(question);
	return code;
}

int users_run(const struct invocation *invocation)
{
	return table_run(invocation, "users", users_row,
			 ">UID >CONNECTIONS >SLOTS >ARENA-BYTES >KEPT >REQUESTS >ROWS >DEFERRED "
			 ">BUSY REFUSED REFUSED-CONNECTIONS", "nobody has asked for anything");
}
