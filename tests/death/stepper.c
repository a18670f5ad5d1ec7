/* SPDX-License-Identifier: MIT */
/* tests/death/stepper.c - PTRACE_TRACEME, PTRACE_SINGLESTEP, SIGKILL */
#include "stepper.h"

#include <errno.h>
#include <sched.h>
#include <stddef.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>

#include "tests/system/crowd.h"

#define CALL_BYTES 2
#define CALL_CODE 0x050f /* syscall, little endian */

struct stepped {
	void (*work)(void *argument);
	void *argument;
};

static void be_stepped(void *argument)
{
	const struct stepped *stepped = argument;

	must(ptrace(PTRACE_TRACEME, 0, NULL, NULL) == 0, "cannot be traced: %s", strerror(errno));
	stepped->work(stepped->argument);
}

/* Waits for the next stop, and says whether a mark caused it. */
static bool await_stop(struct stepper *stepper)
{
	siginfo_t cause = { .si_signo = 0 };
	int status = 0;

	must(waitpid(stepper->pid, &status, 0) == stepper->pid, "cannot wait for %d: %s",
	     (int)stepper->pid, strerror(errno));
	must(WIFSTOPPED(status) && WSTOPSIG(status) == SIGTRAP, "process %d: wait status %#x",
	     (int)stepper->pid, (unsigned)status);
	must(ptrace(PTRACE_GETSIGINFO, stepper->pid, NULL, &cause) == 0, "no cause: %s",
	     strerror(errno));
	/* A step says TRAP_TRACE, the step out of a system call TRAP_BRKPT. */
	if (cause.si_code != TRAP_TRACE && cause.si_code != TRAP_BRKPT &&
	    cause.si_code != TRAP_HWBKPT)
		return true;
	stepper->address = (uint64_t)(uintptr_t)cause.si_addr;
	return false;
}

static void nothing(void *argument)
{
	(void)argument;
	stepper_mark();
	stepper_mark();
}

static void try(void *argument)
{
	struct stepper stepper;

	(void)argument;
	stepper_start(&stepper, nothing, NULL);
	while (stepper_step(&stepper))
		;
	stepper_finish(&stepper);
}

bool stepper_is_able(void)
{
#if defined(__x86_64__)
	int status = 0;
	pid_t pid = crowd_start(try, NULL);

	must(waitpid(pid, &status, 0) == pid, "cannot wait for %d", (int)pid);
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
#else
	return false;
#endif
}

void stepper_settle(void)
{
	cpu_set_t set;
	int cpu = sched_getcpu();

	CPU_ZERO(&set);
	CPU_SET(cpu < 0 ? 0 : (size_t)cpu, &set);
	(void)sched_setaffinity(0, sizeof(set), &set);
}

void stepper_start(struct stepper *ret_stepper, void (*work)(void *argument), void *argument)
{
	struct stepped stepped = { work, argument };
	struct stepper stepper = { .pid = crowd_start(be_stepped, &stepped) };

	must(await_stop(&stepper), "process %d stops without a mark", (int)stepper.pid);
	*ret_stepper = stepper;
}

bool stepper_step(struct stepper *stepper)
{
	must(ptrace(PTRACE_SINGLESTEP, stepper->pid, NULL, NULL) == 0, "cannot step: %s",
	     strerror(errno));
	stepper->steps++;
	return !await_stop(stepper);
}

/* A debug register that stops before the instruction at the address; 0: nowhere. */
static bool watch(const struct stepper *stepper, uint64_t address)
{
#if defined(__x86_64__)
	size_t registers = offsetof(struct user, u_debugreg);
	size_t control = registers + 7 * sizeof(((struct user *)NULL)->u_debugreg[0]);

	return ptrace(PTRACE_POKEUSER, stepper->pid, (void *)registers, (void *)address) == 0 &&
	       ptrace(PTRACE_POKEUSER, stepper->pid, (void *)control,
		      (void *)(uintptr_t)(address != 0)) == 0;
#else
	(void)stepper;
	(void)address;
	return false;
#endif
}

bool stepper_reach(struct stepper *stepper, uint64_t address, uint32_t visits)
{
	if (watch(stepper, address)) {
		do {
			must(ptrace(PTRACE_CONT, stepper->pid, NULL, NULL) == 0,
			     "cannot go on: %s", strerror(errno));
			if (await_stop(stepper))
				return false;
		} while (--visits > 0);
		return true;
	}
	while (stepper_step(stepper))
		if (stepper->address == address && --visits == 0)
			return true;
	return false;
}

bool stepper_is_at_call(const struct stepper *stepper)
{
	long code;

	errno = 0;
	code = ptrace(PTRACE_PEEKTEXT, stepper->pid, (void *)(uintptr_t)stepper->address, NULL);
	return errno == 0 && (code & ((1L << 8 * CALL_BYTES) - 1)) == CALL_CODE;
}

bool stepper_kill_inside(struct stepper *stepper, int64_t pause_ns)
{
	int status;
	bool is_inside;

	must(ptrace(PTRACE_SINGLESTEP, stepper->pid, NULL, NULL) == 0, "cannot step: %s",
	     strerror(errno));
	crowd_pause_ns(pause_ns);
	is_inside = waitpid(stepper->pid, &status, WNOHANG) == 0;
	stepper_kill(stepper);
	return is_inside;
}

void stepper_kill(struct stepper *stepper)
{
	int status = 0;

	kill(stepper->pid, SIGKILL);
	do {
		must(waitpid(stepper->pid, &status, 0) == stepper->pid, "cannot wait for %d: %s",
		     (int)stepper->pid, strerror(errno));
	} while (WIFSTOPPED(status));
	must(WIFSIGNALED(status), "process %d ended by itself: %#x", (int)stepper->pid,
	     (unsigned)status);
}

void stepper_finish(struct stepper *stepper)
{
	(void)watch(stepper, 0);
	must(ptrace(PTRACE_DETACH, stepper->pid, NULL, NULL) == 0, "cannot let it go: %s",
	     strerror(errno));
	crowd_finish(stepper->pid);
}
