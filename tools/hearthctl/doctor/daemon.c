/* SPDX-License-Identifier: MIT */
/* tools/hearthctl/doctor/daemon.c - the daemon, its two sockets, its sandbox and its unit */
#include <errno.h>
#include <grp.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tools/hearthctl/doctor/doctor.h"
#include "tools/hearthctl/page.h"
#include "tools/hearthctl/talk.h"

#define FILES_MIN 4096 /* 1024 clients, a handful each */

static bool has_daemon(const struct host *host, struct finding *finding)
{
	if (host->status)
		return true;
	find(finding, "no daemon");
	finding->verdict = VERDICT_SKIPPED;
	return false;
}

void daemon_check(const struct host *host, struct finding *finding)
{
	const char *worst = host->status ? row_text(host->status, "worst") : "";
	const char *version = host->status ? row_text(host->status, "version") : "";
	char text[TEXT_BYTES];

	if (!has_daemon(host, finding))
		return;
	find(finding, "hearthd %s, pid %" PRIu64 ", up %s", version, row_number(host->status, "pid"),
	     text_duration_s(row_real(host->status, "uptime_s"), text));
	if (strcmp(version, HEARTH_VERSION) != 0)
		mend(finding, VERDICT_WARN, "systemctl restart hearthd: hearthctl is %s", HEARTH_VERSION);
	if (*worst)
		find(finding, "%s", worst);
	/* Another check says what mends what is to be looked at here. */
	if (*worst && !strstr(worst, ": hearthctl doctor"))
		mend(finding, VERDICT_WARN, "see that; journalctl -u hearthd");
}

/* --- sockets -------------------------------------------------------------------------------- */

/* Returns the group that owns it, as a name or a number; that of the unit where it cannot be seen. */
static const char *socket_find(const char *path, char group[TEXT_BYTES], struct finding *finding)
{
	const struct group *entry;
	struct stat status;

	if (stat(path, &status) < 0) {
		find(finding, "%s: %s", path, strerror(errno));
		return "hearth";
	}
	entry = getgrgid(status.st_gid);
	if (entry)
		snprintf(group, TEXT_BYTES, "%s", entry->gr_name);
	else
		snprintf(group, TEXT_BYTES, "%u", status.st_gid);
	find(finding, "%s, mode %04o, group %s", path, status.st_mode & 07777, group);
	if (status.st_mode & S_IWOTH)
		mend(finding, VERDICT_WARN, "chmod o= %s: anybody can connect", path);
	return group;
}

void socket_check(const struct host *host, struct finding *finding)
{
	const char *path = host->invocation->socket_path;
	char text[TEXT_BYTES];
	const char *group = socket_find(path, text, finding);

	switch (host->socket_error) {
	case 0:
		if (!host->status)
			mend(finding, VERDICT_FAIL, "systemctl restart hearthd: it listens and does not "
			     "answer (journalctl -u hearthd)");
		return;
	case ENOENT:
		mend(finding, VERDICT_SKIPPED, "systemctl start hearthd, or name its socket: --socket PATH");
		return;
	case ECONNREFUSED:
		find(finding, "nobody listens");
		mend(finding, VERDICT_FAIL, "systemctl restart hearthd.socket hearthd");
		return;
	case EACCES:
		find(finding, "not for you");
		mend(finding, VERDICT_FAIL, "usermod -aG %s $USER, and log in again", group);
		return;
	default:
		find(finding, "%s", strerror(host->socket_error));
		mend(finding, VERDICT_FAIL, "journalctl -u hearthd");
	}
}

/* Most people may not load and swap: that is as it should be. */
void admin_socket_check(const struct host *host, struct finding *finding)
{
	const char *path = host->invocation->admin_socket_path;
	char group[TEXT_BYTES];
	int fd;

	if (!has_daemon(host, finding))
		return;
	socket_find(path, group, finding);
	fd = talk_connect(path);
	if (fd >= 0)
		close(fd);
	else if (fd == -EACCES)
		find(finding, "not for you: root and the daemon's user load and swap");
	else
		mend(finding, VERDICT_WARN, "systemctl restart hearthd-admin.socket hearthd, or name it: "
		     "--admin-socket PATH");
}

/* Where figures are read when the daemon cannot be asked. */
void stats_page_check(const struct host *host, struct finding *finding)
{
	char group[TEXT_BYTES];
	struct page page;

	page_open(&page, host->invocation->socket_path);
	switch (page.state) {
	case PAGE_NONE:
		if (!has_daemon(host, finding))
			break;
		find(finding, "none at %s: %s", page.path, page.why);
		mend(finding, VERDICT_WARN, "journalctl -u hearthd | grep 'stats page': who hangs cannot "
		     "be read; systemd-tmpfiles --create, systemctl restart hearthd");
		break;
	case PAGE_ALIVE:
		socket_find(page.path, group, finding);
		break;
	default:
		find(finding, "%s", page.why);
		mend(finding, VERDICT_FAIL, "see that");
	}
	page_close(&page);
}

/* --- process and unit ----------------------------------------------------------------------- */

/* The daemon raises the soft limit to the hard one. */
void files_check(const struct host *host, struct finding *finding)
{
	char text[HOST_TEXT_BYTES];
	unsigned long long limit;

	if (!*host_process_text(host, text, "limits"))
		return;
	if (sscanf(text_field(text, "Max open files"), "%*s %llu", &limit) != 1) {
		find(finding, "%s limit is none", host->whose);
		return;
	}
	find(finding, "%s limit is %llu", host->whose, limit);
	if (limit < FILES_MIN)
		mend(finding, VERDICT_WARN, "LimitNOFILE=65536 in hearthd.service; in a shell: "
		     "ulimit -Hn 65536");
}

/* Parts that the daemon could not have begin with "no". */
void sandbox_check(const struct host *host, struct finding *finding)
{
	const char *text = host->status ? row_text(host->status, "sandbox") : "";

	if (!has_daemon(host, finding))
		return;
	find(finding, "%s", text);
	if (strstr(text, "neither"))
		mend(finding, VERDICT_WARN, "start hearthd without --sandbox off");
	else if (strstr(text, ", no "))
		mend(finding, VERDICT_WARN, "see landlock and seccomp");
	if (strncmp(text, "uid 0,", 6) == 0)
		mend(finding, VERDICT_WARN, "start hearthd with --user NAME, or User= in its unit");
}

/* What systemctl prints of the unit; "" without systemd. */
static const char *unit_text(const struct host *host, char text[HOST_TEXT_BYTES])
{
	char booted[HOST_TEXT_BYTES];
	FILE *stream;

	*text = '\0';
	snprintf(booted, sizeof(booted), "%s/run/systemd/system", host->root);
	if (access(booted, F_OK) < 0)
		return text;
	stream = popen("systemctl show hearthd.service --property=LoadState,ActiveState,Result,"
		       "NRestarts,NFileDescriptorStore,FileDescriptorStoreMax 2>/dev/null", "re");
	if (!stream)
		return text;
	text[fread(text, 1, HOST_TEXT_BYTES - 1, stream)] = '\0';
	pclose(stream);
	return text;
}

void unit_check(const struct host *host, struct finding *finding)
{
	char text[HOST_TEXT_BYTES];
	const char *state = text_field(unit_text(host, text), "ActiveState=");
	const char *result = text_field(text, "Result=");
	uint64_t restarts = strtoull(text_field(text, "NRestarts="), NULL, 10);
	uint64_t stored = strtoull(text_field(text, "NFileDescriptorStore="), NULL, 10);
	uint64_t stored_max = strtoull(text_field(text, "FileDescriptorStoreMax="), NULL, 10);

	if (strncmp(text_field(text, "LoadState="), "loaded\n", 7) != 0) {
		find(finding, "%s", *text ? "no hearthd.service" : "no systemd");
		finding->verdict = VERDICT_SKIPPED;
		return;
	}
	find(finding, "hearthd.service is %.*s, %" PRIu64 " restarts, %" PRIu64 " of %" PRIu64
	     " descriptors kept", (int)strcspn(state, "\n"), state, restarts, stored, stored_max);
	if (strncmp(state, "failed\n", 7) == 0) {
		find(finding, "%.*s", (int)strcspn(result, "\n"), result);
		mend(finding, VERDICT_FAIL, "journalctl -u hearthd; systemctl restart hearthd");
	} else if (strncmp(state, "active\n", 7) != 0 && !host->status) {
		mend(finding, VERDICT_WARN, "systemctl enable --now hearthd");
	}
	if (restarts > 0)
		mend(finding, VERDICT_WARN, "journalctl -u hearthd -p warning: it was started again by "
		     "itself");
	if (stored_max > 0 && stored >= stored_max)
		mend(finding, VERDICT_WARN, "a larger FileDescriptorStoreMax= in hearthd.service: what has "
		     "no room is read from its files");
}
