/* SPDX-License-Identifier: MIT */
/* tools/hearthctl/doctor/host.c - what is asked and read once; files, fields, sentences */
#include "tools/hearthctl/doctor/doctor.h"

#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/hearthctl/listing.h"

/* --- files ---------------------------------------------------------------------------------- */

const char *host_text(const struct host *host, char text[HOST_TEXT_BYTES], const char *format, ...)
{
	char path[PATH_MAX];
	size_t used = (size_t)snprintf(path, sizeof(path), "%s", host->root);
	va_list arguments;
	FILE *stream;

	*text = '\0';
	if (used >= sizeof(path))
		return text;
	va_start(arguments, format);
	vsnprintf(path + used, sizeof(path) - used, format, arguments);
	va_end(arguments);
	stream = fopen(path, "re");
	if (!stream)
		return text;
	used = fread(text, 1, HOST_TEXT_BYTES - 1, stream);
	fclose(stream);
	if (used > 0 && text[used - 1] == '\n')
		used--;
	text[used] = '\0';
	return text;
}

const char *host_process_text(const struct host *host, char text[HOST_TEXT_BYTES], const char *name)
{
	return host_text(host, text, "/proc/%s/%s", host->process, name);
}

const char *text_field(const char *text, const char *name)
{
	size_t bytes = strlen(name);

	while (text && strncmp(text, name, bytes) != 0) {
		text = strchr(text, '\n');
		text += text != NULL;
	}
	return text ? text + bytes + strspn(text + bytes, ": \t") : "";
}

const char *text_choice(const char *text, char choice[TEXT_BYTES])
{
	const char *begin = strchr(text, '[');

	*choice = '\0';
	if (begin)
		snprintf(choice, TEXT_BYTES, "%.*s", (int)strcspn(begin + 1, "]"), begin + 1);
	return choice;
}

/* --- sentences ------------------------------------------------------------------------------ */

static void part_add(char said[FINDING_BYTES], const char *format, va_list arguments)
{
	size_t used = strlen(said);

	if (used > 0)
		used += (size_t)snprintf(said + used, FINDING_BYTES - used, "; ");
	if (used < FINDING_BYTES)
		vsnprintf(said + used, FINDING_BYTES - used, format, arguments);
}

void find(struct finding *finding, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	part_add(finding->found, format, arguments);
	va_end(arguments);
}

void mend(struct finding *finding, enum verdict verdict, const char *format, ...)
{
	va_list arguments;

	if (verdict > finding->verdict)
		finding->verdict = verdict;
	va_start(arguments, format);
	part_add(finding->fix, format, arguments);
	va_end(arguments);
}

/* --- the daemon ----------------------------------------------------------------------------- */

/* The listing is first: a row's context is both. */
struct question {
	struct listing listing;
	struct host *host;
};

static int status_keep(const json_t *row, void *context)
{
	struct question *question = context;

	json_decref(question->host->status);
	question->host->status = json_deep_copy(row);
	return EXIT_OK;
}

static int weights_add(const json_t *row, void *context)
{
	struct host *host = ((struct question *)context)->host;
	const json_t *node = json_object_get(row, "node");
	json_int_t index = json_is_integer(node) ? json_integer_value(node) : -1;
	const char *pages = row_text(row, "pages");
	uint64_t bytes = row_number(row, "mapped_bytes");
	bool is_small = strcmp(pages, "2M") != 0 && strcmp(pages, "1G") != 0;
	bool is_batch = strcmp(row_text(row, "use"), "pools") == 0;
	bool is_weights = strcmp(row_text(row, "use"), "weights") == 0 ||
			  strcmp(row_text(row, "use"), "replicas") == 0;
	struct host_weights *here;

	host->missing_bytes += row_number(row, "missing_bytes");
	if (!is_weights && !is_batch)
		return EXIT_OK;
	if (index < 0 || index >= TOPOLOGY_NODES_MAX)
		index = TOPOLOGY_NODES_MAX;
	here = &host->node_weights[index];
	here->lacking_pages += is_small ? (bytes + HUGE_BYTES - 1) / HUGE_BYTES : 0;
	if (is_batch)
		return EXIT_OK;
	here->bytes += bytes;
	here->small_bytes += is_small ? bytes : 0;
	host->weights.bytes += bytes;
	host->weights.small_bytes += is_small ? bytes : 0;
	return EXIT_OK;
}

/* A daemon of another PID namespace has another number there: /proc has somebody else, or nobody. */
static bool is_daemon(const struct host *host)
{
	char text[HOST_TEXT_BYTES];
	const char *name = text_field(host_process_text(host, text, "status"), "Name");

	return strncmp(name, "hearthd\n", 8) == 0;
}

static void daemon_ask(struct host *host)
{
	struct question question = {.listing.invocation = host->invocation, .host = host};
	int fd = talk_connect(host->invocation->socket_path);

	host->socket_error = fd < 0 ? -fd : 0;
	if (fd < 0)
		return;
	close(fd);
	if (listing_ask_verb(&question.listing, "status", status_keep) != EXIT_OK || !host->status)
		return;
	snprintf(host->process, sizeof(host->process), "%llu",
		 (unsigned long long)row_number(host->status, "pid"));
	if (is_daemon(host))
		host->whose = "the daemon's";
	else
		snprintf(host->process, sizeof(host->process), "self");
	listing_ask_verb(&question.listing, "mem", weights_add);
}

void host_init(struct host *host, const struct invocation *invocation)
{
	const char *root = getenv("HEARTH_ROOT");

	*host = (struct host){
		.invocation = invocation,
		.root = root ? root : "",
		.process = "self",
		.whose = "this shell's",
	};
	host->has_topology = topology_read_below(host->root, &host->topology) == 0;
	daemon_ask(host);
}

void host_deinit(struct host *host)
{
	json_decref(host->status);
}
