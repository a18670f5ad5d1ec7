/* SPDX-License-Identifier: MIT */
/* tests/nth/nth_trace.c - attach, wait until every thread is traced, count what was written */
#include "nth_trace.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/system/crowd.h"

#define LINE_BYTES 4096
#define THREADS_MAX 16
#define ERRORS_MAX 4

static const struct {
	const char *call;
	const char *errors[ERRORS_MAX];
} plausible[] = {
	{ "accept4", { "EMFILE", "ECONNABORTED", "EPERM" } },
	{ "bind", { "EACCES" } },
	{ "brk", { "ENOMEM" } },
	{ "chmod", { "EPERM" } },
	{ "clone3", { "EAGAIN" } },
	{ "close", { "EIO" } },
	{ "connect", { "ECONNREFUSED", "EINTR" } },
	{ "eventfd2", { "EMFILE" } },
	{ "fcntl", { "EPERM" } },
	{ "fstat", { "EIO" } },
	{ "ftruncate", { "EFBIG" } },
	{ "getdents64", { "EIO" } },
	{ "getrandom", { "ENOSYS" } },
	{ "getsockopt", { "ENOPROTOOPT" } },
	{ "io_uring_enter", { "EINTR", "ENOMEM", "EBADF" } },
	{ "io_uring_register", { "EINVAL" } },
	{ "io_uring_setup", { "ENOMEM", "EPERM" } },
	{ "listen", { "EADDRINUSE" } },
	{ "lseek", { "EIO" } },
	{ "madvise", { "ENOMEM", "EINVAL" } },
	{ "mbind", { "EPERM" } },
	{ "memfd_create", { "EMFILE", "EACCES" } },
	{ "mlock", { "ENOMEM" } },
	{ "mmap", { "ENOMEM" } },
	{ "mprotect", { "ENOMEM" } },
	{ "mremap", { "ENOMEM" } },
	{ "munmap", { "ENOMEM" } },
	{ "newfstatat", { "EIO" } },
	{ "open", { "EMFILE" } },
	{ "openat", { "EMFILE", "EACCES" } },
	{ "openat2", { "EMFILE", "ENOSYS" } },
	{ "pidfd_open", { "EMFILE" } },
	{ "ppoll", { "EINTR", "ENOMEM", "EINVAL" } },
	{ "pread64", { "EIO", "EINTR" } },
	{ "read", { "EIO", "EINTR" } },
	{ "readlink", { "EACCES" } },
	{ "recvfrom", { "EINTR", "ENOMEM" } },
	{ "recvmsg", { "EINTR", "ENOMEM" } },
	{ "sendmsg", { "EPIPE", "ETOOMANYREFS" } },
	{ "sendto", { "EPIPE", "ENOBUFS" } },
	{ "signalfd4", { "EMFILE" } },
	{ "socket", { "EMFILE" } },
	{ "statx", { "EIO" } },
	{ "unlink", { "EACCES" } },
	{ "write", { "EIO", "ENOSPC" } },
	/* Their errors belong to libc's own arrangements, or they have none. A futex that is
	 * mapped has none either: a wake that is lost is another fault than a call that fails. */
	{ "arch_prctl", { NULL } },
	{ "execve", { NULL } },
	{ "exit", { NULL } },
	{ "exit_group", { NULL } },
	{ "futex", { NULL } },
	{ "restart_syscall", { NULL } },
	{ "rseq", { NULL } },
	{ "rt_sigprocmask", { NULL } },
	{ "rt_sigreturn", { NULL } },
	{ "set_robust_list", { NULL } },
	{ "set_tid_address", { NULL } },
	{ "umask", { NULL } },
};
static const char *const otherwise[] = { "EPERM", NULL };

const char *const *trace_errors(const char *call)
{
	uint32_t index;

	for (index = 0; index < sizeof(plausible) / sizeof(plausible[0]); index++)
		if (strcmp(plausible[index].call, call) == 0)
			return plausible[index].errors;
	return otherwise;
}

bool trace_is_possible(void)
{
	return system("strace -f -o /dev/null -e inject=getuid:error=EPERM:when=1 true 2>/dev/null") == 0;
}

/* --- attach and detach ------------------------------------------------------------------------ */

static bool is_traced(pid_t pid, const char *thread)
{
	char path[64];
	char line[256];
	bool is = false;
	int tracer;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/task/%.16s/status", (int)pid, thread);
	file = fopen(path, "re");
	if (!file)
		return true; /* it has ended */
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, "TracerPid: %d", &tracer) == 1)
			is = tracer != 0;
	fclose(file);
	return is;
}

static bool are_all_traced(pid_t pid)
{
	struct dirent *entry;
	char path[64];
	bool are = true;
	DIR *tasks;

	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	tasks = opendir(path);
	must(tasks, "process %d has ended before it could be traced", (int)pid);
	while (are && (entry = readdir(tasks)))
		are = entry->d_name[0] == '.' || is_traced(pid, entry->d_name);
	closedir(tasks);
	return are;
}

pid_t trace_attach(pid_t pid, const char *path, const char *call, const char *error, uint64_t at,
		   bool for_ever)
{
	const char *arguments[] = { "strace", "-f", "-qq", "-e", "signal=none", "-o", path, "-p",
				    NULL, "-e", NULL, "-e", NULL, NULL };
	char number[16];
	char wanted[64];
	char inject[128];
	bool is_injected = call[0];
	pid_t tracer;

	snprintf(number, sizeof(number), "%d", (int)pid);
	arguments[8] = number;
	snprintf(wanted, sizeof(wanted), "trace=%s", is_injected ? call : "all");
	arguments[10] = wanted;
	snprintf(inject, sizeof(inject), "inject=%s:error=%s:when=%" PRIu64 "%s", call, error, at,
		 for_ever ? "+" : "");
	arguments[11] = is_injected ? "-e" : NULL;
	arguments[12] = inject;
	unlink(path);
	fflush(NULL);
	tracer = fork();
	must(tracer >= 0, "cannot fork");
	if (tracer == 0) {
		int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);

		prctl(PR_SET_PDEATHSIG, SIGTERM);
		dup2(nowhere, STDERR_FILENO);
		execvp(arguments[0], (char *const *)(uintptr_t)arguments);
		_exit(127);
	}
	await(are_all_traced(pid));
	return tracer;
}

void trace_detach(pid_t tracer)
{
	int status;

	if (!tracer)
		return;
	kill(tracer, SIGTERM);
	await(waitpid(tracer, &status, WNOHANG) != 0);
}

/* --- what was written ------------------------------------------------------------------------- */

uint32_t trace_count(const char *path, struct trace_call ret_calls[TRACE_CALLS_MAX])
{
	static uint64_t counts[TRACE_CALLS_MAX][THREADS_MAX];
	int threads[THREADS_MAX] = { 0 };
	static char line[LINE_BYTES];
	uint32_t call_count = 0;
	FILE *file = fopen(path, "re");

	must(file, "cannot read %s", path);
	memset(counts, 0, sizeof(counts));
	while (fgets(line, sizeof(line), file)) {
		uint32_t thread = 0;
		uint32_t call = 0;
		char name[32];
		int pid;

		/* "PID name(" begins a call; "PID <... name resumed>" ends one. */
		if (sscanf(line, "%d %31[a-z0-9_](", &pid, name) != 2)
			continue;
		while (thread < THREADS_MAX && threads[thread] && threads[thread] != pid)
			thread++;
		must(thread < THREADS_MAX, "too many threads");
		threads[thread] = pid;
		while (call < call_count && strcmp(ret_calls[call].name, name) != 0)
			call++;
		must(call < TRACE_CALLS_MAX, "too many kinds of system calls");
		if (call == call_count)
			memcpy(ret_calls[call_count++].name, name, sizeof(name));
		counts[call][thread]++;
	}
	fclose(file);
	for (uint32_t call = 0; call < call_count; call++) {
		ret_calls[call].count = 0;
		for (uint32_t thread = 0; thread < THREADS_MAX; thread++)
			if (counts[call][thread] > ret_calls[call].count)
				ret_calls[call].count = counts[call][thread];
	}
	return call_count;
}

uint64_t trace_injected(const char *path)
{
	static char line[LINE_BYTES];
	FILE *file = fopen(path, "re");
	uint64_t count = 0;

	while (file && fgets(line, sizeof(line), file))
		count += strstr(line, "(INJECTED)") != NULL;
	if (file)
		fclose(file);
	return count;
}
