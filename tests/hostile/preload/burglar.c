/* SPDX-License-Identifier: MIT */
/*
 * tests/hostile/preload/burglar.c - tries, inside hearthd's own threads, what the sandbox denies
 *
 * Preloaded into hearthd. The control and the data thread are met where they
 * wait, the loader where it closes a model's files, a worker where it falls asleep.
 */
#include "tests/hostile/preload/burglar.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <linux/landlock.h>
#include <linux/openat2.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE_BYTES 4096
#define OPERATION_FUTEX_WAIT 51 /* Linux 6.7 */
#define OPERATION_FUTEX_WAKE 52
#define CALL_FUTEX_WAIT 455     /* the same */
#define CALL_X32 0x40000000     /* added to a number */
#define CALL_I386_GETPID 20

static struct burglar *burglar;
static const char *lacks;
static pid_t parent; /* another process, of the same user */
static long (*real_syscall)(long number, ...);
static int (*real_wait)(struct io_uring *ring, struct io_uring_cqe **cqe, unsigned int count,
			struct __kernel_timespec *timeout, sigset_t *mask);
static int (*real_ppoll)(struct pollfd *polls, nfds_t count, const struct timespec *timeout,
			 const sigset_t *mask);

#ifdef __x86_64__
static bool has_i386; /* a kernel without it ends who tries */

static long i386_getpid(void)
{
	long result;

	__asm__ volatile("int $0x80" : "=a"(result) : "a"(CALL_I386_GETPID) : "memory");
	return result;
}

static bool i386_probe(void)
{
	int status = 1;
	pid_t pid = fork();

	if (pid == 0)
		_exit(i386_getpid() != getpid());
	return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}
#endif

__attribute__((constructor)) static void begin(void)
{
	const char *path = getenv(BURGLAR_FILE);
	int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
	void *memory;

	parent = getppid();
	lacks = getenv(BURGLAR_LACKS);
	*(void **)&real_wait = dlsym(RTLD_NEXT, "io_uring_submit_and_wait_timeout");
	*(void **)&real_ppoll = dlsym(RTLD_NEXT, "ppoll");
	if (fd < 0)
		return;
	memory = mmap(NULL, sizeof(*burglar), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (memory != MAP_FAILED)
		burglar = memory;
#ifdef __x86_64__
	has_i386 = i386_probe();
#endif
}

/* --- every system call that the daemon does not need ---------------------------------------------- */

/* What it may call. The list is the promise: it stands here a second time so that no entry is
 * added to the filter by accident. */
static const uint16_t allowed[] = {
	SYS_brk, SYS_mmap, SYS_mprotect, SYS_munmap, SYS_mremap, SYS_madvise, SYS_mlock, SYS_mbind,
	SYS_memfd_create, SYS_ftruncate, SYS_fallocate, SYS_futex, SYS_set_robust_list, SYS_rseq, SYS_sched_yield,
	SYS_sched_getaffinity, SYS_clock_gettime, SYS_clock_nanosleep, SYS_nanosleep,
	SYS_gettimeofday, SYS_restart_syscall, SYS_exit, SYS_exit_group, SYS_prctl, SYS_getpid,
	SYS_gettid, SYS_getuid, SYS_geteuid, SYS_getcpu, SYS_sysinfo, SYS_getrandom,
	SYS_rt_sigaction, SYS_rt_sigprocmask, SYS_rt_sigreturn, SYS_openat, SYS_openat2, SYS_read,
	SYS_readv, SYS_pread64, SYS_write, SYS_writev, SYS_lseek, SYS_close, SYS_fstat,
	SYS_newfstatat, SYS_fstatfs, SYS_statx, SYS_getdents64, SYS_readlinkat, SYS_fcntl, SYS_accept4,
	SYS_getsockopt, SYS_recvfrom, SYS_recvmsg, SYS_sendto, SYS_sendmsg, SYS_shutdown,
	SYS_pidfd_open, SYS_tgkill,
#ifdef SYS_poll
	SYS_poll,
#else
	SYS_ppoll,
#endif
#ifdef SYS_unlink
	SYS_readlink, SYS_unlink,
#else
	SYS_unlinkat,
#endif
};

static bool is_allowed(long number)
{
#ifdef __x86_64__
	/* uretprobe and uprobe: traps that the kernel sets for itself. They pass by every filter,
	 * and end whoever calls them from elsewhere. */
	if (number == 335 || number == 336)
		return true;
#endif
	if (number == SYS_connect && getenv("NOTIFY_SOCKET"))
		return true;
	if (number == (burglar->has_no_rings ? SYS_ppoll : SYS_io_uring_enter))
		return true;
	for (size_t index = 0; index < sizeof(allowed) / sizeof(allowed[0]); index++)
		if (allowed[index] == number)
			return true;
	return false;
}

static int error_of(long result)
{
	return result < 0 ? errno : 0;
}

static void try_calls(struct burglar_report *report)
{
	for (long number = 0; number < BURGLAR_CALLS; number++) {
		report->calls[number] = BURGLAR_UNTRIED;
		if (!is_allowed(number))
			report->calls[number] =
				error_of(real_syscall(number, -1, -1, -1, -1, -1, -1));
	}
}

/* --- what depends on the arguments ------------------------------------------------------------------ */

static void note(struct burglar_report *report, const char *name, int expected, long result)
{
	struct burglar_attempt *attempt = report->attempts + report->attempt_count;
	int found = error_of(result);

	if (report->attempt_count == BURGLAR_ATTEMPTS_MAX)
		abort();
	snprintf(attempt->name, sizeof(attempt->name), "%s", name);
	attempt->expected = expected;
	attempt->found = found;
	report->attempt_count++;
}

static long openat2_call(const char *path, uint64_t flags)
{
	const struct open_how how = { .flags = flags, .mode = flags & O_CREAT ? 0600 : 0 };

	return real_syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof(how));
}

static long openat_call(const char *path, int flags)
{
	return real_syscall(SYS_openat, AT_FDCWD, path, flags, 0600);
}

static void try_files(struct burglar_report *report)
{
	char created[sizeof(burglar->outside) + 8];
	char environment[64];
	char link[64];

	snprintf(created, sizeof(created), "%s.created", burglar->outside);
	snprintf(environment, sizeof(environment), "/proc/%d/environ", parent);
	snprintf(link, sizeof(link), "/proc/%d/exe", parent);
	note(report, "a model is read", 0, openat_call(burglar->model, O_RDONLY));
	note(report, "a model is read by openat2", 0, openat2_call(burglar->model, O_RDONLY));
	note(report, "/proc/meminfo is read", 0, openat_call("/proc/meminfo", O_RDONLY));
	note(report, "openat: write to a model", EPERM, openat_call(burglar->model, O_WRONLY));
	note(report, "openat: read and write a model", EPERM, openat_call(burglar->model, O_RDWR));
	note(report, "openat: truncate a model", EPERM,
	     openat_call(burglar->model, O_RDONLY | O_TRUNC));
	note(report, "openat: create a file", EPERM, openat_call(created, O_RDONLY | O_CREAT));
	note(report, "openat2: write to a model", EACCES, openat2_call(burglar->model, O_WRONLY));
	note(report, "openat2: truncate a model", EACCES,
	     openat2_call(burglar->model, O_RDONLY | O_TRUNC));
	note(report, "openat2: create a file", EACCES, openat2_call(created, O_WRONLY | O_CREAT));
	note(report, "openat2: a file without a name", EACCES,
	     openat2_call("/tmp", O_RDWR | O_TMPFILE));
	note(report, "openat2: write to one's own memory", EACCES,
	     openat2_call("/proc/self/mem", O_RDWR));
	note(report, "openat: read a file elsewhere", EACCES,
	     openat_call(burglar->outside, O_RDONLY));
	note(report, "openat2: read a file elsewhere", EACCES,
	     openat2_call(burglar->outside, O_RDONLY));
	note(report, "read /etc/passwd", EACCES, openat_call("/etc/passwd", O_RDONLY));
	note(report, "list the root", EACCES, openat_call("/", O_RDONLY | O_DIRECTORY));
	note(report, "read a device", EACCES, openat_call("/dev/zero", O_RDONLY));
	note(report, "read another process's environment", EACCES,
	     openat_call(environment, O_RDONLY));
	note(report, "see another process's program", EACCES,
	     readlink(link, created, sizeof(created)));
	note(report, "remove a file elsewhere", EACCES, unlink(burglar->outside));
}

/* The other ways into the kernel that this processor has. */
static void try_architectures(struct burglar_report *report)
{
#ifdef __x86_64__
	note(report, "a call of x32", EPERM, real_syscall(CALL_X32 | SYS_getpid));
	if (has_i386) {
		long result = i386_getpid();

		errno = (int)-result;
		note(report, "a call of i386", EPERM, result < 0 ? -1 : 0);
	}
#else
	(void)report;
#endif
}

static void try_arguments(struct burglar_report *report)
{
	void *page = mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			  -1, 0);
	struct io_uring_params params = { 0 };

	note(report, "memory is mapped", 0, page == MAP_FAILED ? -1 : 0);
	note(report, "mmap: executable memory", EPERM,
	     (long)mmap(NULL, PAGE_BYTES, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			0));
	note(report, "mprotect: executable memory", EPERM,
	     mprotect(page, PAGE_BYTES, PROT_READ | PROT_EXEC));
	munmap(page, PAGE_BYTES);
	note(report, "a memfd is made", 0, memfd_create("burglar", MFD_CLOEXEC));
	note(report, "fcntl: clear O_NONBLOCK", EPERM, fcntl(STDERR_FILENO, F_SETFL, 0));
	note(report, "fcntl: signals to another process", EPERM,
	     fcntl(STDERR_FILENO, F_SETOWN, parent));
	note(report, "tgkill: another process", EPERM,
	     real_syscall(SYS_tgkill, parent, parent, -1));
	note(report, "tgkill: this thread", 0,
	     real_syscall(SYS_tgkill, getpid(), real_syscall(SYS_gettid), 0));
	note(report, "kill: another process", EPERM, kill(parent, -1));
	note(report, "prctl: be dumped or not", EPERM, prctl(PR_SET_DUMPABLE, 1, 0, 0, 0));
	note(report, "a TCP socket", EPERM, socket(AF_INET, SOCK_STREAM, 0));
	note(report, "a Unix stream socket", EPERM, socket(AF_UNIX, SOCK_STREAM, 0));
	note(report, "a netlink socket", EPERM, socket(AF_NETLINK, SOCK_RAW, 0));
	note(report, "another io_uring", EPERM, real_syscall(SYS_io_uring_setup, 4, &params));
	note(report, "execve", EPERM, execve("", NULL, NULL));
	note(report, "futex_wait, not futex", EPERM,
	     real_syscall(CALL_FUTEX_WAIT, &params, 1ul, ~0ul, 2ul, NULL, 0));
}

/* --- the ring --------------------------------------------------------------------------------------- */

/* Its user data is 0, of which the thread's loop takes no notice. */
static int try_entry(struct io_uring *ring, uint8_t operation, uint8_t flags)
{
	unsigned int tail = __atomic_load_n(ring->cq.ktail, __ATOMIC_ACQUIRE);
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);
	unsigned int end;

	memset(sqe, 0, sizeof(*sqe));
	sqe->opcode = operation;
	sqe->flags = flags;
	sqe->fd = -1;
	sqe->addr = UINT64_MAX; /* for a cancellation: nobody's user data */
	io_uring_submit(ring);
	end = __atomic_load_n(ring->cq.ktail, __ATOMIC_ACQUIRE);
	for (; tail != end; tail++) {
		const struct io_uring_cqe *cqe = ring->cq.cqes + (tail & *ring->cq.kring_mask);

		if (cqe->user_data == 0)
			return -cqe->res;
	}
	return BURGLAR_UNTRIED;
}

/* All but the `needed` ones, which would do something. */
static void try_operations(struct burglar_report *report, struct io_uring *ring,
			   const uint8_t needed[4])
{
	io_uring_submit(ring);
	for (int operation = 0; operation < BURGLAR_OPERATIONS; operation++)
		report->operations[operation] =
			memchr(needed, operation, 4)
				? BURGLAR_UNTRIED
				: try_entry(ring, (uint8_t)operation, 0);
	/* Not IOSQE_IO_DRAIN: the kernel refuses it as well, but lets the ring's next entries wait
	 * for all before it nevertheless, and the daemon's polls do not end. */
	for (int flag = 0; flag < BURGLAR_FLAGS; flag++)
		report->flags[flag] =
			1 << flag == IOSQE_IO_DRAIN
				? BURGLAR_UNTRIED
				: try_entry(ring, IORING_OP_ASYNC_CANCEL, (uint8_t)(1 << flag));
	report->unflagged = try_entry(ring, IORING_OP_ASYNC_CANCEL, 0);
	note(report, "more of what the ring may do", EPERM,
	     real_syscall(SYS_io_uring_register, ring->ring_fd, IORING_REGISTER_PROBE, NULL, 0));
	note(report, "memory for a loop's ring", EACCES,
	     real_syscall(SYS_io_uring_register, ring->ring_fd, IORING_REGISTER_BUFFERS, NULL, 0));
}

/* --- the four places ------------------------------------------------------------------------------- */

static enum burglar_thread thread_this(void)
{
	char name[16] = "";

	prctl(PR_GET_NAME, name);
	if (strcmp(name, "hearth-data") == 0)
		return BURGLAR_DATA;
	if (strncmp(name, "hearth-work-", 12) == 0)
		return BURGLAR_WORKER;
	return strcmp(name, "hearth-load") == 0 ? BURGLAR_LOADER : BURGLAR_CONTROL;
}

static bool is_wanted(enum burglar_thread thread)
{
	return burglar && __atomic_load_n(&burglar->wanted, __ATOMIC_ACQUIRE) &&
	       !burglar->reports[thread].is_done;
}

/* `ring` NULL: the thread has none. */
static void try_all(enum burglar_thread thread, struct io_uring *ring)
{
	bool has_futexes = thread == BURGLAR_DATA && !burglar->is_rung_by_socket;
	const uint8_t needed[] = { IORING_OP_POLL_ADD, IORING_OP_ASYNC_CANCEL,
				   has_futexes ? OPERATION_FUTEX_WAIT : IORING_OP_POLL_ADD,
				   has_futexes ? OPERATION_FUTEX_WAKE : IORING_OP_POLL_ADD };
	struct burglar_report *report = burglar->reports + thread;

	try_calls(report);
	try_files(report);
	try_arguments(report);
	try_architectures(report);
	if (ring)
		try_operations(report, ring, needed);
	__atomic_store_n(&report->is_done, 1, __ATOMIC_RELEASE);
}

int io_uring_submit_and_wait_timeout(struct io_uring *ring, struct io_uring_cqe **cqe,
				     unsigned int count, struct __kernel_timespec *timeout,
				     sigset_t *mask)
{
	enum burglar_thread thread = thread_this();

	if (is_wanted(thread))
		try_all(thread, ring);
	return real_wait(ring, cqe, count, timeout, mask);
}

int ppoll(struct pollfd *polls, nfds_t count, const struct timespec *timeout, const sigset_t *mask)
{
	enum burglar_thread thread = thread_this();

	if (is_wanted(thread))
		try_all(thread, NULL);
	return real_ppoll(polls, count, timeout, mask);
}

int close(int fd)
{
	if (is_wanted(BURGLAR_LOADER) && thread_this() == BURGLAR_LOADER)
		try_all(BURGLAR_LOADER, NULL);
	return (int)syscall(SYS_close, fd);
}

/* A kernel without one of the parts, and liburing's and libc's calls as they are. */
long syscall(long number, ...)
{
	long arguments[6];
	va_list list;

	va_start(list, number);
	for (int index = 0; index < 6; index++)
		arguments[index] = va_arg(list, long);
	va_end(list);
	if (!real_syscall) /* libraries call before this one begins */
		*(void **)&real_syscall = dlsym(RTLD_NEXT, "syscall");
	if (lacks && ((number == SYS_landlock_create_ruleset && strcmp(lacks, "Landlock") == 0) ||
		      (number == SYS_seccomp && strcmp(lacks, "seccomp") == 0))) {
		errno = ENOSYS;
		return -1;
	}
	/* Where a worker falls asleep. */
	if (number == SYS_futex && is_wanted(BURGLAR_WORKER) && thread_this() == BURGLAR_WORKER)
		try_all(BURGLAR_WORKER, NULL);
	return real_syscall(number, arguments[0], arguments[1], arguments[2], arguments[3],
			    arguments[4], arguments[5]);
}
