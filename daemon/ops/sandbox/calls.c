/* SPDX-License-Identifier: MIT */
/*
 * daemon/ops/sandbox/calls.c - seccomp: the system calls that a daemon at work makes, and no others
 *
 * A list of what is allowed: everything that Linux has learnt since, or will
 * learn, is denied. A denied call returns EPERM; it does not end the daemon,
 * so that a call which a later libc makes costs what it asked for and not every
 * client's connection. Nor is it logged (SECCOMP_FILTER_FLAG_LOG): a refusal
 * takes 0.2 us, and one that goes into the audit log 12 us, at worst 5 ms.
 *
 * A filter is a program for a small machine of the kernel. It compares the
 * call's number with each of the list, and numbers alone decide for most: the
 * kernel remembers those, and runs the program only for the others.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/io_uring.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/sanitized.h"
#include "ops/sandbox/parts.h"

#if defined(__x86_64__)
#define ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCHITECTURE AUDIT_ARCH_AARCH64
#else
#define ARCHITECTURE 0 /* no such: every call is denied, so the filter is not applied */
#endif

#define TESTS_MAX 2
#define INSTRUCTIONS_MAX 512
#define ANY UINT32_MAX

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "where an argument's lower half lies");

/* Allowed when (argument & mask) == value, the arguments from 0; their lower halves alone, since
 * the kernel takes no more of those that are tested. */
struct test {
	uint32_t argument;
	uint32_t mask;
	uint32_t value;
};

/* One call may have several entries, each enough. */
struct call {
	uint32_t number;
	uint32_t test_count;
	struct test tests[TESTS_MAX];
};

#define ALLOW(name) { SYS_##name, 0, { { 0, 0, 0 } } }
#define ALLOW_IF(name, argument, mask, value) { SYS_##name, 1, { { argument, mask, value } } }

static const struct call calls[] = {
	/* memory: never executable */
	ALLOW(brk),
	ALLOW_IF(mmap, 2, PROT_EXEC, 0),
	ALLOW_IF(mprotect, 2, PROT_EXEC, 0),
	ALLOW(munmap),
	ALLOW(mremap),
	ALLOW(madvise),
	ALLOW(mlock),
	ALLOW(mbind),
	ALLOW(memfd_create),
	ALLOW(ftruncate),
	ALLOW_IF(fallocate, 1, ANY, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE),

	/* threads and time */
	ALLOW(futex),
	ALLOW(set_robust_list),
	ALLOW(rseq),
	ALLOW(sched_yield),
	ALLOW(sched_getaffinity),
	ALLOW(clock_gettime),
	ALLOW(clock_nanosleep),
	ALLOW(nanosleep),
	ALLOW(gettimeofday),
	ALLOW(restart_syscall),
	ALLOW(exit),
	ALLOW(exit_group),
	ALLOW_IF(prctl, 0, ANY, PR_SET_NAME),
	ALLOW_IF(prctl, 0, ANY, PR_GET_NAME),

	/* who and where one is */
	ALLOW(getpid),
	ALLOW(gettid),
	ALLOW(getuid),
	ALLOW(geteuid),
	ALLOW(getcpu),
	ALLOW(sysinfo),
	ALLOW(getrandom),

	/* signals that come; those that are sent, to oneself */
	ALLOW(rt_sigaction),
	ALLOW(rt_sigprocmask),
	ALLOW(rt_sigreturn),

	/* files: opened to be read; of openat2's flags Landlock takes care */
	ALLOW_IF(openat, 2, O_ACCMODE | O_CREAT | O_TRUNC | O_APPEND, O_RDONLY),
	ALLOW(openat2),
	ALLOW(read),
	ALLOW(readv),
	ALLOW(pread64),
	ALLOW(write),
	ALLOW(writev),
	ALLOW(lseek),
	ALLOW(close),
	ALLOW(fstat),
	ALLOW(newfstatat),
	ALLOW(fstatfs),
	ALLOW(statx),
	ALLOW(getdents64),
	ALLOW(readlinkat),
#ifdef SYS_readlink
	ALLOW(readlink),
#endif
#ifdef SYS_unlink
	ALLOW(unlink),
#else
	ALLOW(unlinkat),
#endif
	ALLOW_IF(fcntl, 1, ANY, F_DUPFD_CLOEXEC),
	ALLOW_IF(fcntl, 1, ANY, F_GETFD),
	ALLOW_IF(fcntl, 1, ANY, F_SETFD),
	ALLOW_IF(fcntl, 1, ANY, F_GETFL),
	ALLOW_IF(fcntl, 1, ANY, F_ADD_SEALS),
	ALLOW_IF(fcntl, 1, ANY, F_GET_SEALS),

	/* clients */
	ALLOW(accept4),
	ALLOW(getsockopt),
	ALLOW(recvfrom),
	ALLOW(recvmsg),
	ALLOW(sendto),
	ALLOW(sendmsg),
	ALLOW(shutdown),
	ALLOW(pidfd_open),
#ifdef SYS_poll
	ALLOW(poll),
#else
	ALLOW(ppoll),
#endif
};

/* Of the two ways to wait, only the one that is taken. */
static const struct call uring_calls[] = {
	ALLOW(io_uring_enter),
	/* The loader's ring alone lets itself be given memory (memory/range_reader.c). */
	ALLOW_IF(io_uring_register, 1, ANY, IORING_REGISTER_BUFFERS),
	ALLOW_IF(io_uring_register, 1, ANY, IORING_UNREGISTER_BUFFERS),
};
static const struct call poll_call = ALLOW(ppoll);

/* sd_notify makes a socket for each message. One of datagrams cannot talk to the stream sockets
 * behind which other daemons take orders. */
static const struct call notify_calls[] = {
	{ SYS_socket, 2, { { 0, ANY, AF_UNIX },
			   { 1, ~(uint32_t)(SOCK_CLOEXEC | SOCK_NONBLOCK), SOCK_DGRAM } } },
	ALLOW(connect),
};

/* libmicrohttpd waits with epoll, for nothing: the loops look for it. */
static const struct call server_calls[] = {
	ALLOW(epoll_ctl),
	ALLOW(epoll_pwait),
#ifdef SYS_epoll_wait
	ALLOW(epoll_wait),
#endif
};

struct program {
	struct sock_filter instructions[INSTRUCTIONS_MAX];
	uint32_t count;
};

static void emit(struct program *program, struct sock_filter instruction)
{
	assert(program->count < INSTRUCTIONS_MAX);
	program->instructions[program->count++] = instruction;
}

static void emit_load(struct program *program, size_t offset)
{
	emit(program, (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset));
}

/* Goes on with the next instruction when it is equal, and else `distance` further on. */
static void emit_equal(struct program *program, uint32_t value, uint32_t distance)
{
	emit(program, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0,
						   (uint8_t)distance));
}

static void emit_return(struct program *program, uint32_t action)
{
	emit(program, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, action));
}

/* The call's number is loaded before and after. */
static void emit_call(struct program *program, const struct call *call)
{
	uint32_t left = call->test_count;
	uint32_t index;

	/* A test is three instructions; behind them it is allowed, or the number loaded again. */
	emit_equal(program, call->number, left ? 3 * left + 2 : 1);
	for (index = 0; index < call->test_count; index++) {
		const struct test *test = call->tests + index;

		left--;
		emit_load(program, offsetof(struct seccomp_data, args[test->argument]));
		emit(program, (struct sock_filter)BPF_STMT(BPF_ALU | BPF_AND | BPF_K, test->mask));
		emit_equal(program, test->value, 3 * left + 1);
	}
	emit_return(program, SECCOMP_RET_ALLOW);
	if (call->test_count)
		emit_load(program, offsetof(struct seccomp_data, nr));
}

static void emit_calls(struct program *program, const struct call list[], size_t count)
{
	for (size_t index = 0; index < count; index++)
		emit_call(program, list + index);
}


static void program_write(struct program *program, bool has_rings, bool is_notifying,
			  bool has_server)
{
	/* For abort: a signal to a thread of this process. */
	const struct call own = ALLOW_IF(tgkill, 0, ANY, (uint32_t)getpid());

	program->count = 0;
	emit_load(program, offsetof(struct seccomp_data, arch));
	emit_equal(program, ARCHITECTURE, 1);
	emit(program, (struct sock_filter)BPF_STMT(BPF_JMP | BPF_JA, 1));
	emit_return(program, SECCOMP_RET_ERRNO | EPERM);
	emit_load(program, offsetof(struct seccomp_data, nr));
	emit_calls(program, calls, sizeof(calls) / sizeof(calls[0]));
	emit_call(program, &own);
	if (has_rings)
		emit_calls(program, uring_calls, sizeof(uring_calls) / sizeof(uring_calls[0]));
	else
		emit_call(program, &poll_call);
	if (is_notifying)
		emit_calls(program, notify_calls, sizeof(notify_calls) / sizeof(notify_calls[0]));
	if (has_server)
		emit_calls(program, server_calls, sizeof(server_calls) / sizeof(server_calls[0]));
	emit_return(program, SECCOMP_RET_ERRNO | EPERM);
}

int sandbox_calls(bool has_rings, bool is_notifying, bool has_server)
{
	struct program program;
	struct sock_fprog filter = { .filter = program.instructions };
	long r;

	/* A sanitizer asks for more than the list has: its leak check is a debugger. */
	if (IS_SANITIZED)
		return err_raise(-EOPNOTSUPP, "seccomp: not in a build with sanitizers");
	if (ARCHITECTURE == 0)
		return err_raise(-EOPNOTSUPP, "seccomp: not written for this architecture");
	program_write(&program, has_rings, is_notifying, has_server);
	filter.len = (uint16_t)program.count;
	r = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &filter);
	if (r < 0)
		return err_raise(-errno, "seccomp: %s", strerror(errno));
	if (r > 0)
		return err_raise(-EBUSY, "seccomp: thread %ld has a filter of its own", r);
	return 0;
}
