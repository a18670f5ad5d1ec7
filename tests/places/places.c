/* SPDX-License-Identifier: MIT */
/* tests/places/places.c - clone3, unshare, setns, and a filter of system calls */
#include "places.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/system/crowd.h"

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x80
#endif
#define SO_PEERPIDFD_LINUX 77 /* SO_PEERPIDFD, Linux 6.5 */
#define STATUS_MISPLACED 126

static int file_write(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	int r = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		r = -errno;
	close(fd);
	return r;
}

/* --- namespaces ------------------------------------------------------------------------------- */

/* `whose` names the process in /proc: that of another, or "self". */
static int user_map(const char *whose, uid_t uid, gid_t gid)
{
	char path[64];
	char text[64];
	int r;

	snprintf(path, sizeof(path), "/proc/%s/setgroups", whose);
	r = file_write(path, "deny");
	if (r < 0)
		return r;
	snprintf(path, sizeof(path), "/proc/%s/gid_map", whose);
	snprintf(text, sizeof(text), "0 %u 1", gid);
	r = file_write(path, text);
	if (r < 0)
		return r;
	snprintf(path, sizeof(path), "/proc/%s/uid_map", whose);
	snprintf(text, sizeof(text), "0 %u 1", uid);
	return file_write(path, text);
}

static int user_enter(void)
{
	uid_t uid = geteuid();
	gid_t gid = getegid();

	if (unshare(CLONE_NEWUSER) < 0)
		return -errno;
	return user_map("self", uid, gid);
}

/* unshare makes the namespace for children; setns brings ourselves there. */
static int clock_enter(const char *shift_s)
{
	char text[64];
	int fd;
	int r;

	if (unshare(CLONE_NEWTIME) < 0) {
		r = errno == EPERM ? user_enter() : -errno;
		if (r < 0)
			return r;
		if (unshare(CLONE_NEWTIME) < 0)
			return -errno;
	}
	snprintf(text, sizeof(text), "monotonic %s 0", shift_s);
	r = file_write("/proc/self/timens_offsets", text);
	if (r < 0)
		return r;
	fd = open("/proc/self/ns/time_for_children", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	r = setns(fd, CLONE_NEWTIME) < 0 ? -errno : 0;
	close(fd);
	return r;
}

/* --- system calls that fail ------------------------------------------------------------------- */

#define ANY UINT32_MAX /* whatever the third argument is */

static const struct denial {
	const char *word;
	uint32_t call;
	uint32_t option;
} denials[] = {
	{ "no-peerpidfd=", SYS_getsockopt, SO_PEERPIDFD_LINUX },
	{ "no-pidfd=", SYS_pidfd_open, ANY },
	{ "no-io_uring=", SYS_io_uring_setup, ANY },
	{ "no-io_uring-register=", SYS_io_uring_register, ANY },
	{ "no-io_uring-enter=", SYS_io_uring_enter, ANY },
};

static int call_deny(uint32_t call, uint32_t option, uint32_t error)
{
	uint8_t any = option == ANY;
	struct sock_filter steps[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[2])),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, option, 0, any ? 0 : 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog filter = { .len = sizeof(steps) / sizeof(steps[0]), .filter = steps };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) < 0)
		return -errno;
	return 0;
}

/* --- limits ----------------------------------------------------------------------------------- */

/* What root may beyond any limit, it gives away. */
static int memlock_limit(rlim_t bytes)
{
	const struct rlimit limit = { bytes, bytes };

	if (prctl(PR_CAPBSET_DROP, CAP_IPC_LOCK, 0, 0, 0) < 0 && geteuid() == 0)
		return -errno;
	return setrlimit(RLIMIT_MEMLOCK, &limit) < 0 ? -errno : 0;
}

/* --- places ----------------------------------------------------------------------------------- */

static int word_obey(const char *word)
{
	static const char clock[] = "clock=";
	static const char memlock[] = "memlock=";
	uint32_t index;

	if (strcmp(word, "user") == 0)
		return user_enter();
	if (strncmp(word, clock, sizeof(clock) - 1) == 0)
		return clock_enter(word + sizeof(clock) - 1);
	if (strncmp(word, memlock, sizeof(memlock) - 1) == 0)
		return memlock_limit((rlim_t)atoll(word + sizeof(memlock) - 1));
	for (index = 0; index < sizeof(denials) / sizeof(denials[0]); index++) {
		const struct denial *denial = denials + index;
		size_t length = strlen(denial->word);

		if (strncmp(word, denial->word, length) == 0)
			return call_deny(denial->call, denial->option,
					 (uint32_t)atoi(word + length));
	}
	return -EINVAL;
}

int place_enter(const char *const words[])
{
	int r = 0;

	for (; r == 0 && *words && strcmp(*words, "--") != 0; words++)
		r = word_obey(*words);
	return r;
}

int place_try(const char *const words[])
{
	int status = 0;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	must(pid >= 0, "cannot fork: %s", strerror(errno));
	if (pid == 0)
		_exit(-place_enter(words));
	must(waitpid(pid, &status, 0) == pid && WIFEXITED(status), "cannot try a place");
	return -WEXITSTATUS(status);
}

void place_main(int argc, char **argv)
{
	int end = 2;
	int r;

	if (argc < 2 || strcmp(argv[1], "--place") != 0)
		return;
	while (end < argc && strcmp(argv[end], "--") != 0)
		end++;
	r = place_enter((const char *const *)argv + 2);
	if (r == 0 && end + 1 < argc) {
		execvp(argv[end + 1], argv + end + 1);
		r = -errno;
	}
	fprintf(stderr, "cannot take a place: %s\n", strerror(-r));
	_exit(STATUS_MISPLACED);
}

/* --- processes -------------------------------------------------------------------------------- */

pid_t place_start(uint64_t namespaces, pid_t wanted, void (*work)(void *argument), void *argument)
{
	struct clone_args arguments = {
		.flags = namespaces,
		.exit_signal = SIGCHLD,
		.set_tid = wanted ? (uint64_t)(uintptr_t)&wanted : 0,
		.set_tid_size = wanted ? 1 : 0,
	};
	uid_t uid = geteuid();
	gid_t gid = getegid();
	int gate[2];
	char text[32];
	pid_t pid;
	char byte = 0;

	must(pipe2(gate, O_CLOEXEC) == 0, "cannot make a pipe: %s", strerror(errno));
	fflush(NULL);
	pid = (pid_t)syscall(SYS_clone3, &arguments, sizeof(arguments));
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(gate[1]);
		/* It closes with the parent, too. */
		if (read(gate[0], &byte, 1) != 1)
			_exit(EXIT_FAILURE);
		close(gate[0]);
		work(argument);
		fflush(NULL);
		_exit(EXIT_SUCCESS);
	}
	if (pid < 0) {
		pid = -errno;
	} else {
		snprintf(text, sizeof(text), "%d", (int)pid);
		must(!(namespaces & CLONE_NEWUSER) || user_map(text, uid, gid) == 0,
		     "cannot map our user");
		must(write(gate[1], &byte, 1) == 1, "process %d is gone", (int)pid);
	}
	close(gate[0]);
	close(gate[1]);
	return pid;
}

int place_pids_begin(void)
{
	return unshare(CLONE_NEWPID) < 0 ? -errno : 0;
}

void place_pids_end(void)
{
	int fd = open("/proc/self/ns/pid", O_RDONLY | O_CLOEXEC);

	must(fd >= 0 && setns(fd, CLONE_NEWPID) == 0, "cannot return to the pid namespace: %s",
	     strerror(errno));
	close(fd);
}
