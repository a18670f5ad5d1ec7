/* SPDX-License-Identifier: MIT */
/* tests/system/appliance.c - fork and execute, ask, count, end, and leave nothing behind */
#include "appliance.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "crowd.h"
#include "shm/handshake.h"
#include "tests/model/onnx_writer.h"
#include "tests/suite.h"

#define ARGUMENTS_MAX 32
#define STOP_NS (INT64_C(10) * 1000000000 * CROWD_SLOWDOWN)
#define LOG_LINES_SHOWN 40
#define SHOPPERS "tests/data/shoppers/repository/shoppers"

static char room[64]; /* holds every appliance of this program */

/* --- the room ---------------------------------------------------------------------------------- */

static void room_open(void)
{
	const char *parent = getenv("TMPDIR");

	snprintf(room, sizeof(room), "%s/hearth-XXXXXX",
		 parent && *parent && strlen(parent) < 32 ? parent : "/tmp");
	must(mkdtemp(room), "cannot make %s: %s", room, strerror(errno));
}

static int entry_remove(const char *path, const struct stat *status, int type, struct FTW *walk)
{
	(void)status;
	(void)type;
	(void)walk;
	return remove(path);
}

static int log_show(const char *path, const struct stat *status, int type, struct FTW *walk)
{
	char command[512];

	(void)status;
	if (type != FTW_F || strcmp(path + walk->base, "log") != 0)
		return 0;
	printf("--- %s\n", path);
	fflush(stdout);
	snprintf(command, sizeof(command), "tail -n %d '%s'", LOG_LINES_SHOWN, path);
	return system(command) == -1;
}

static void room_close(bool has_failed)
{
	if (has_failed)
		nftw(room, log_show, 16, FTW_PHYS);
	nftw(room, entry_remove, 16, FTW_DEPTH | FTW_PHYS);
}

int appliance_check(Suite *suite)
{
	int failed;

	setvbuf(stdout, NULL, _IOLBF, 0);
	room_open();
	failed = suite_run(suite);
	room_close(failed != 0);
	return failed;
}

int appliance_campaign(void (*campaign)(void))
{
	int status = 0;
	pid_t pid;

	setvbuf(stdout, NULL, _IOLBF, 0);
	room_open();
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		campaign();
		exit(EXIT_SUCCESS);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		status = 1;
	room_close(status != 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_FAILURE;
}

/* --- files ------------------------------------------------------------------------------------- */

void appliance_copy(const struct appliance *appliance, const char *from, const char *to)
{
	char command[512];

	snprintf(command, sizeof(command), "cp -r '%s' '%s/%s'", from, appliance->repository, to);
	must(system(command) == 0, "cannot copy %s to %s/%s", from, appliance->repository, to);
}

void appliance_write(const char *path, const char *text)
{
	FILE *file = fopen(path, "we");

	must(file && fputs(text, file) >= 0 && fclose(file) == 0, "cannot write %s: %s", path,
	     strerror(errno));
}

void appliance_init(struct appliance *appliance)
{
	memset(appliance, 0, sizeof(*appliance));
	appliance->control_fd = -1;
	snprintf(appliance->directory, sizeof(appliance->directory), "%s/XXXXXX", room);
	must(mkdtemp(appliance->directory), "cannot make %s: %s", appliance->directory,
	     strerror(errno));
	snprintf(appliance->repository, sizeof(appliance->repository), "%s/models",
		 appliance->directory);
	snprintf(appliance->socket, sizeof(appliance->socket), "%s/socket", appliance->directory);
	snprintf(appliance->admin, sizeof(appliance->admin), "%s" HEARTH_ADMIN_SUFFIX,
		 appliance->socket);
	snprintf(appliance->log, sizeof(appliance->log), "%s/log", appliance->directory);
	snprintf(appliance->config, sizeof(appliance->config), "%s/config", appliance->directory);
	must(mkdir(appliance->repository, 0755) == 0, "cannot make %s", appliance->repository);
	appliance_copy(appliance, SHOPPERS, "shoppers");
}

/* --- questions ----------------------------------------------------------------------------------- */

static int control_connect(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct timeval patience = { .tv_sec = CROWD_PATIENCE_NS / 1000000000 };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	must(fd >= 0 && strlen(path) < sizeof(address.sun_path), "no socket for %s", path);
	memcpy(address.sun_path, path, strlen(path));
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0) {
		int error = errno;

		close(fd);
		return -error;
	}
	return fd;
}

static int control_send(int fd, const char *request)
{
	uint8_t packet[4096];
	struct hearth_message head = {
		.magic = HEARTH_MAGIC,
		.type = HEARTH_MESSAGE_CONTROL,
		.bytes = (uint32_t)(sizeof(head) + strlen(request)),
	};

	must(head.bytes <= sizeof(packet), "the request is too long");
	memcpy(packet, &head, sizeof(head));
	memcpy(packet + sizeof(head), request, strlen(request));
	return send(fd, packet, head.bytes, MSG_NOSIGNAL) == (ssize_t)head.bytes ? 0 : -errno;
}

/* Appends to `rows`. */
static int control_exchange(int fd, const char *request, json_t *rows, char *text)
{
	static uint8_t packet[HEARTH_MESSAGE_BYTES_MAX];
	struct hearth_message head;
	json_t *row;
	int r;

	r = control_send(fd, request);
	for (head.flags = HEARTH_MESSAGE_MORE; r == 0 && head.flags & HEARTH_MESSAGE_MORE;) {
		ssize_t bytes = recv(fd, packet, sizeof(packet), 0);

		/* With a time limit the kernel's own work for this thread interrupts it, too. */
		if (bytes < 0 && errno == EINTR)
			continue;
		if (bytes < (ssize_t)sizeof(head))
			return bytes < 0 ? -errno : -ECONNRESET;
		memcpy(&head, packet, sizeof(head));
		must(head.magic == HEARTH_MAGIC && head.bytes == (size_t)bytes &&
			     head.type == HEARTH_MESSAGE_CONTROL_REPLY,
		     "a reply of type %u, %zd bytes", head.type, bytes);
		row = json_loadb((const char *)packet + sizeof(head), (size_t)bytes - sizeof(head), 0,
				 NULL);
		must(row, "a reply is no JSON: %.*s", (int)bytes - (int)sizeof(head),
		     (const char *)packet + sizeof(head));
		r = head.status;
		if (r < 0 && text)
			snprintf(text, APPLIANCE_TEXT_BYTES, "%s",
				 json_string_value(json_object_get(row, "error")));
		if (head.flags & HEARTH_MESSAGE_MORE)
			json_array_append(rows, row);
		json_decref(row);
	}
	return r;
}

int appliance_ask(const char *socket, const char *request, json_t **ret_rows,
		  char text[APPLIANCE_TEXT_BYTES])
{
	json_t *rows = json_array();
	int fd = control_connect(socket);
	int r = fd;

	if (fd >= 0) {
		r = control_exchange(fd, request, rows, text);
		close(fd);
	}
	if (ret_rows)
		*ret_rows = rows;
	else
		json_decref(rows);
	return r;
}

json_t *appliance_rows(const struct appliance *appliance, const char *verb)
{
	json_t *rows = json_array();
	char request[64];
	int r;

	snprintf(request, sizeof(request), "{\"verb\": \"%s\"}", verb);
	r = control_exchange(appliance->control_fd, request, rows, NULL);
	must(r == 0, "%s: %s", verb, strerror(-r));
	return rows;
}

uint64_t appliance_number(const struct appliance *appliance, const char *key)
{
	json_t *rows = appliance_rows(appliance, "status");
	json_t *number = json_object_get(json_array_get(rows, 0), key);
	uint64_t value = (uint64_t)json_integer_value(number);

	must(json_is_integer(number), "status has no number %s", key);
	json_decref(rows);
	return value;
}

int appliance_change(const struct appliance *appliance, const char *verb, const char *model,
		     uint32_t version, char text[APPLIANCE_TEXT_BYTES])
{
	char request[256];

	if (version)
		snprintf(request, sizeof(request),
			 "{\"verb\": \"%s\", \"model\": \"%s\", \"version\": %u}", verb, model,
			 version);
	else
		snprintf(request, sizeof(request), "{\"verb\": \"%s\", \"model\": \"%s\"}", verb,
			 model);
	return appliance_ask(appliance->admin, request, NULL, text);
}

const char *appliance_served(const struct appliance *appliance)
{
	static char text[128];
	json_t *rows = appliance_rows(appliance, "models");
	const json_t *row;
	size_t used = 0;
	int wanted;

	text[0] = '\0';
	for (wanted = 1; wanted < 9; wanted++) {
		size_t index;

		json_array_foreach(rows, index, row) {
			const char *state = json_string_value(json_object_get(row, "state"));

			if (json_integer_value(json_object_get(row, "version")) != wanted ||
			    strcmp(state, "draining") == 0)
				continue;
			used += (size_t)snprintf(
				text + used, sizeof(text) - used, "%s%d%s%s", used ? " " : "",
				wanted, json_is_true(json_object_get(row, "current")) ? "*" : "",
				strcmp(state, "failed") == 0 ? "!" : "");
		}
	}
	json_decref(rows);
	return text;
}

/* --- start and end ------------------------------------------------------------------------------- */

static void execute(const struct appliance *appliance, const char *const flags[])
{
	const char *build = getenv("BUILD");
	const char *arguments[ARGUMENTS_MAX];
	uint32_t count = 0;
	uint32_t index;
	char program[256];

	snprintf(program, sizeof(program), "%s/bin/hearthd", build && *build ? build : "build");
	for (index = 0; appliance->wrapper && appliance->wrapper[index]; index++)
		arguments[count++] = appliance->wrapper[index];
	arguments[count++] = program;
	arguments[count++] = "--test-operations";
	arguments[count++] = "--repository";
	arguments[count++] = appliance->repository;
	arguments[count++] = "--socket";
	arguments[count++] = appliance->socket;
	if (access(appliance->config, F_OK) == 0) {
		arguments[count++] = "--config";
		arguments[count++] = appliance->config;
	}
	for (index = 0; flags && flags[index] && count < ARGUMENTS_MAX - 1; index++)
		arguments[count++] = flags[index];
	arguments[count] = NULL;
	execvp(arguments[0], (char *const *)(uintptr_t)arguments);
	fprintf(stderr, "cannot execute %s: %s\n", arguments[0], strerror(errno));
	_exit(127);
}

void appliance_launch(struct appliance *appliance, const char *const flags[])
{
	pid_t parent = getpid();
	sigset_t none;
	int log;

	must(appliance->pid == 0, "it runs already");
	fflush(NULL);
	appliance->pid = fork();
	must(appliance->pid >= 0, "cannot fork: %s", strerror(errno));
	if (appliance->pid > 0)
		return;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	log = open(appliance->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	/* 0: the parent is outside the daemon's pid namespace. */
	if ((getppid() != parent && getppid() != 0) || log < 0)
		_exit(126);
	dup2(log, STDOUT_FILENO);
	dup2(log, STDERR_FILENO);
	/* Nothing that the test has open belongs to the daemon. */
	for (int fd = STDERR_FILENO + 1; fd < 256; fd++)
		close(fd);
	if (appliance->prepare)
		appliance->prepare(appliance);
	execute(appliance, flags);
}

static bool is_ready(struct appliance *appliance)
{
	json_t *rows = json_array();
	bool ready = false;
	int status;

	must(waitpid(appliance->pid, &status, WNOHANG) == 0, "hearthd ended at once");
	if (appliance->control_fd < 0)
		appliance->control_fd = control_connect(appliance->socket);
	if (appliance->control_fd >= 0) {
		if (control_exchange(appliance->control_fd, "{\"verb\": \"status\"}", rows, NULL) == 0) {
			ready = json_is_true(json_object_get(json_array_get(rows, 0), "ready"));
		} else {
			/* the last of the one before, which was killed */
			close(appliance->control_fd);
			appliance->control_fd = -1;
		}
	}
	json_decref(rows);
	return ready;
}

void appliance_save(const struct appliance *appliance, const char *name,
		    struct onnx_writer *writer)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", appliance->repository, name);
	must(mkdir(path, 0755) == 0, "cannot make %s", path);
	snprintf(path, sizeof(path), "%s/%s/1", appliance->repository, name);
	must(mkdir(path, 0755) == 0 && onnx_writer_save(writer, path) == 0, "cannot write %s",
	     path);
	onnx_writer_free(writer);
}

void appliance_start(struct appliance *appliance, const char *const flags[])
{
	appliance_launch(appliance, flags);
	await(is_ready(appliance));
}

void appliance_let_others_in(const struct appliance *appliance)
{
	char path[sizeof(appliance->directory)];

	memcpy(path, appliance->directory, sizeof(path));
	must(chmod(path, 0711) == 0, "chmod %s", path);
	*strrchr(path, '/') = '\0';
	must(chmod(path, 0711) == 0 && chmod(appliance->socket, 0666) == 0, "chmod %s", path);
}

void appliance_open(struct appliance *appliance, const char *const flags[])
{
	appliance_init(appliance);
	appliance_start(appliance, flags);
}

int appliance_await_end(struct appliance *appliance, int64_t patience_ns)
{
	int64_t until_ns = crowd_now_ns() + patience_ns;
	int status = 0;

	must(appliance->pid > 0, "hearthd does not run");
	while (waitpid(appliance->pid, &status, WNOHANG) == 0) {
		must(crowd_now_ns() < until_ns, "hearthd did not end in %" PRId64 " ms",
		     patience_ns / 1000000);
		crowd_pause_ns(1000000);
	}
	appliance->pid = 0;
	if (appliance->control_fd >= 0)
		close(appliance->control_fd);
	appliance->control_fd = -1;
	return status;
}

int appliance_refuse(struct appliance *appliance, const char *const flags[],
		     char text[APPLIANCE_TEXT_BYTES])
{
	FILE *log;
	size_t bytes = 0;
	int status;

	appliance_launch(appliance, flags);
	status = appliance_await_end(appliance, CROWD_PATIENCE_NS);
	log = fopen(appliance->log, "re");
	if (log) {
		bytes = fread(text, 1, APPLIANCE_TEXT_BYTES - 1, log);
		fclose(log);
	}
	text[bytes] = '\0';
	must(WIFEXITED(status), "hearthd was ended by signal %d", WTERMSIG(status));
	return WEXITSTATUS(status);
}

void appliance_stop(struct appliance *appliance)
{
	int status;

	must(appliance->pid > 0, "hearthd does not run");
	kill(appliance->pid, SIGTERM);
	status = appliance_await_end(appliance, STOP_NS);
	must(WIFEXITED(status) && WEXITSTATUS(status) == 0, "hearthd ended with %s %d",
	     WIFEXITED(status) ? "status" : "signal",
	     WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
	must(access(appliance->socket, F_OK) < 0 && access(appliance->admin, F_OK) < 0,
	     "hearthd left its sockets behind");
}

void appliance_suspend(const struct appliance *appliance)
{
	int status;

	kill(appliance->pid, SIGSTOP);
	must(waitpid(appliance->pid, &status, WUNTRACED) == appliance->pid && WIFSTOPPED(status),
	     "hearthd does not stop");
}

void appliance_resume(const struct appliance *appliance)
{
	kill(appliance->pid, SIGCONT);
}

void appliance_kill(struct appliance *appliance)
{
	kill(appliance->pid, SIGKILL);
	must(WIFSIGNALED(appliance_await_end(appliance, CROWD_PATIENCE_NS)), "hearthd ended before SIGKILL");
}

void appliance_close(struct appliance *appliance)
{
	appliance_stop(appliance);
	nftw(appliance->directory, entry_remove, 16, FTW_DEPTH | FTW_PHYS);
}

/* --- what the kernel says ------------------------------------------------------------------------- */

/* Connections that have ended while somebody still maps their segments: a descriptor of the one
 * that can be written, and a pidfd each. Unknown where nobody asks. */
static uint32_t kept_pairs(const struct appliance *appliance)
{
	return appliance->control_fd > 0 ? (uint32_t)appliance_number(appliance, "kept") : 0;
}

uint32_t appliance_descriptors(const struct appliance *appliance)
{
	struct dirent *entry;
	uint32_t count = 0;
	char path[64];
	DIR *directory;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)appliance->pid);
	directory = opendir(path);
	must(directory, "cannot read %s: %s", path, strerror(errno));
	while ((entry = readdir(directory)))
		count += entry->d_name[0] != '.';
	closedir(directory);
	return count - 2 * kept_pairs(appliance);
}

static bool is_alone(const struct appliance *asker)
{
	json_t *rows = appliance_rows(asker, "users");
	json_int_t sockets = 0;
	json_t *row;
	size_t index;

	json_array_foreach(rows, index, row)
		sockets += json_integer_value(json_object_get(row, "sockets"));
	json_decref(rows);
	return sockets == 1;
}

uint32_t appliance_descriptors_alone(const struct appliance *appliance)
{
	struct appliance asker = *appliance;
	uint32_t count;

	if (appliance->control_fd < 0)
		asker.control_fd = control_connect(appliance->socket);
	must(asker.control_fd >= 0, "no connection: %s", strerror(-asker.control_fd));
	await(is_alone(&asker));
	count = appliance_descriptors(&asker);
	if (appliance->control_fd < 0)
		close(asker.control_fd);
	return count;
}

uint32_t appliance_segments(const struct appliance *appliance)
{
	uint32_t count = 0;
	char line[512];
	char path[64];
	FILE *maps;

	snprintf(path, sizeof(path), "/proc/%d/maps", (int)appliance->pid);
	maps = fopen(path, "re");
	must(maps, "cannot read %s: %s", path, strerror(errno));
	while (fgets(line, sizeof(line), maps))
		count += strstr(line, "memfd:hearth-") != NULL;
	fclose(maps);
	return count;
}

double appliance_processor_s(const struct appliance *appliance)
{
	unsigned long user = 0;
	unsigned long system_time = 0;
	char path[64];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)appliance->pid);
	file = fopen(path, "re");
	must(file && fscanf(file, "%*d %*s %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu",
			    &user, &system_time) == 2, "cannot read %s", path);
	fclose(file);
	return (double)(user + system_time) / (double)sysconf(_SC_CLK_TCK);
}

uint64_t appliance_resident_bytes(const struct appliance *appliance)
{
	unsigned long pages = 0;
	char path[64];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/statm", (int)appliance->pid);
	file = fopen(path, "re");
	must(file && fscanf(file, "%*u %lu", &pages) == 1, "cannot read %s", path);
	fclose(file);
	return (uint64_t)pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

void appliance_await_clients(const struct appliance *appliance, uint32_t clients,
			     uint32_t descriptors)
{
	await(appliance_number(appliance, "clients") == clients);
	await(appliance_segments(appliance) == 2 * clients);
	await(appliance_descriptors(appliance) == descriptors);
}
