/* SPDX-License-Identifier: MIT */
/* tests/system/crowd.c - fork, wait within bounds, share, and random numbers */
#include "crowd.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_S INT64_C(1000000000)

void crowd_fail(const char *file, int line, const char *condition, const char *format, ...)
{
	char text[512];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	fprintf(stderr, "%s:%d: process %d: %s (%s)\n", file, line, (int)getpid(), text, condition);
	fflush(stderr);
	_exit(EXIT_FAILURE);
}

int64_t crowd_now_ns(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * NS_PER_S + time.tv_nsec;
}

void crowd_pause_ns(int64_t pause_ns)
{
	struct timespec time = { .tv_sec = pause_ns / NS_PER_S, .tv_nsec = pause_ns % NS_PER_S };

	nanosleep(&time, NULL);
}

pid_t crowd_start(void (*work)(void *argument), void *argument)
{
	pid_t parent = getpid();
	pid_t pid;

	fflush(NULL);
	pid = fork();
	must(pid >= 0, "cannot fork: %s", strerror(errno));
	if (pid > 0)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(EXIT_FAILURE);
	work(argument);
	fflush(NULL);
	_exit(EXIT_SUCCESS);
}

void crowd_finish(pid_t pid)
{
	pid_t ended = 0;
	int status = 0;

	await((ended = waitpid(pid, &status, WNOHANG)) != 0);
	must(ended == pid, "cannot wait for %d: %s", (int)pid, strerror(errno));
	must(WIFEXITED(status) && WEXITSTATUS(status) == 0, "process %d ended with %s %d", (int)pid,
	     WIFEXITED(status) ? "status" : "signal",
	     WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
}

void crowd_kill(pid_t pid)
{
	int status;

	/* Its own failure, before the signal, is a failure of the test. */
	kill(pid, SIGKILL);
	must(waitpid(pid, &status, 0) == pid, "cannot wait for %d: %s", (int)pid, strerror(errno));
	must(WIFSIGNALED(status), "process %d ended by itself with status %d", (int)pid,
	     WEXITSTATUS(status));
}

bool crowd_runs(pid_t pid)
{
	siginfo_t info = { 0 };

	return waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == 0;
}

void *crowd_share(size_t bytes)
{
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	must(memory != MAP_FAILED, "cannot share %zu bytes: %s", bytes, strerror(errno));
	return memory;
}

uint64_t crowd_read(const uint64_t *word)
{
	return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

void crowd_write(uint64_t *word, uint64_t value)
{
	__atomic_store_n(word, value, __ATOMIC_RELEASE);
}

uint64_t crowd_add(uint64_t *word, uint64_t amount)
{
	return __atomic_add_fetch(word, amount, __ATOMIC_ACQ_REL);
}

uint64_t crowd_random(uint64_t *state)
{
	uint64_t number = *state += UINT64_C(0x9e3779b97f4a7c15);

	number = (number ^ (number >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	number = (number ^ (number >> 27)) * UINT64_C(0x94d049bb133111eb);
	return number ^ (number >> 31);
}

uint64_t crowd_setting(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text && *text ? strtoull(text, NULL, 0) : otherwise;
}

uint64_t crowd_seed(const char *what)
{
	uint64_t seed = crowd_setting("HEARTH_SEED", (uint64_t)crowd_now_ns() % 1000000007);

	printf("%s: HEARTH_SEED=%" PRIu64 "\n", what, seed);
	return seed;
}
