/* SPDX-License-Identifier: MIT */
/* tools/hearthctl/version.c - version: which hearthctl this is, which hearthd that is, do they fit? */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "base/build.h"
#include "kernels/device.h"
#include "tools/hearthctl/listing.h"

#define VERSION_BYTES 64

/* The listing is first, so that a row's context is both. */
struct versions {
	struct listing listing;
	char daemon[VERSION_BYTES]; /* "": it was not told */
};

/* One program; "" and 0 are not known. */
static int program_show(const struct listing *listing, const char *program, const json_t *row)
{
	const char *compiler = row_text(row, "compiler");
	uint64_t abi = row_number(row, "abi");
	json_t *copy;
	int code;

	if (listing->invocation->is_json) {
		copy = json_pack("{s:s}", "program", program);
		json_object_update(copy, (json_t *)(uintptr_t)row);
		code = listing_emit(copy);
		json_decref(copy);
		return code;
	}
	printf("%-10s ", program);
	text_put(row_text(row, "version"), stdout);
	if (abi > 0)
		printf(", ABI %" PRIu64, abi);
	fputs(*compiler ? ", " : "", stdout);
	text_put(compiler, stdout);
	fputs(", ", stdout);
	text_put(row_text(row, "device"), stdout);
	if (row_number(row, "pid") > 0)
		printf(", pid %" PRIu64, row_number(row, "pid"));
	putchar('\n');
	return EXIT_OK;
}

static int daemon_row(const json_t *row, void *context)
{
	static const char *const keys[] = { "version", "abi", "compiler", "device", "pid" };
	struct versions *versions = context;
	json_t *told = json_object();
	int code;

	for (unsigned key = 0; key < sizeof(keys) / sizeof(keys[0]); key++)
		if (json_object_get(row, keys[key]))
			json_object_set(told, keys[key], json_object_get(row, keys[key]));
	snprintf(versions->daemon, sizeof(versions->daemon), "%s", row_text(row, "version"));
	code = program_show(&versions->listing, "hearthd", told);
	json_decref(told);
	return code;
}

/* A socket at which nobody listens. */
static bool has_daemon(const struct invocation *invocation)
{
	int fd = talk_connect(invocation->socket_path);

	if (fd < 0)
		return fd != -ENOENT && fd != -ECONNREFUSED;
	close(fd);
	return true;
}

int version_run(const struct invocation *invocation)
{
	struct versions versions = {.listing.invocation = invocation};
	json_t *own = json_pack("{s:s, s:i, s:s, s:s}", "version", HEARTH_VERSION, "abi",
				(int)HEARTH_ABI_VERSION, "compiler", BUILD_COMPILER, "device",
				cpu_device()->name);
	int code = program_show(&versions.listing, "hearthctl", own);

	json_decref(own);
	if (code != EXIT_OK)
		return code;
	if (!has_daemon(invocation)) {
		if (!invocation->is_json)
			printf("%-10s none at %s\n", "hearthd", invocation->socket_path);
		return EXIT_OK;
	}
	code = listing_ask_verb(&versions.listing, "status", daemon_row);
	if (code == EXIT_OK && strcmp(versions.daemon, HEARTH_VERSION) != 0)
		return complain(EXIT_OK, "hearthd is %s and hearthctl %s: after an installation, systemctl "
				"restart hearthd", versions.daemon, HEARTH_VERSION);
	return code;
}
