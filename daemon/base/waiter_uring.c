/* SPDX-License-Identifier: MIT */
/*
 * daemon/base/waiter_uring.c - an io_uring that can wait, and nothing else
 *
 * Of what a ring can do (base/ring.h) this one has the operations that its loop submits, and the
 * flag of an entry that keeps a wake quiet.
 */
#include <errno.h>
#include <liburing.h>
#include <linux/futex.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/ring.h"
#include "base/waiter.h"

#define RING_ENTRIES 1024
#define COMPLETIONS (8 * RING_ENTRIES) /* beyond these the kernel keeps them */
#define PROBE_ENTRIES 2
#define PROBE_OPERATIONS 256
#define NS_PER_S 1000000000

/* Linux 6.7; liburing 2.3 has no names for them. */
#define OPERATION_FUTEX_WAIT 51 /* IORING_OP_FUTEX_WAIT */
#define OPERATION_FUTEX_WAKE 52 /* IORING_OP_FUTEX_WAKE */
#define FUTEX2_U32 2            /* FUTEX2_SIZE_U32, shared */

static const uint8_t operations[] = { IORING_OP_POLL_ADD, IORING_OP_ASYNC_CANCEL,
				      OPERATION_FUTEX_WAIT, OPERATION_FUTEX_WAKE };
#define OPERATION_COUNT (sizeof(operations) / sizeof(operations[0]))
#define FUTEX_OPERATIONS 2 /* the last ones */

/* Completions are delivered to a loop that waits or asks for them, and never interrupt it. */
static struct io_uring_params params_make(uint32_t completions)
{
	return (struct io_uring_params){
		.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
			 IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_CQSIZE | IORING_SETUP_R_DISABLED,
		.cq_entries = completions,
	};
}

static int operations_allow(int ring_fd, bool has_futexes)
{
	struct io_uring_restriction allowed[OPERATION_COUNT + 1];
	uint32_t count = has_futexes ? OPERATION_COUNT : OPERATION_COUNT - FUTEX_OPERATIONS;
	uint32_t index;

	memset(allowed, 0, sizeof(allowed));
	for (index = 0; index < count; index++) {
		allowed[index].opcode = IORING_RESTRICTION_SQE_OP;
		allowed[index].sqe_op = operations[index];
	}
	if (has_futexes) {
		allowed[count].opcode = IORING_RESTRICTION_SQE_FLAGS_ALLOWED;
		allowed[count++].sqe_flags = IOSQE_CQE_SKIP_SUCCESS;
	}
	return ring_enable(ring_fd, allowed, count);
}

static int raise_refusal(int error)
{
	return err_raise(error, "io_uring is not %s (%s)",
			 error == -EPERM || error == -EACCES ? "permitted" : "available",
			 strerrorname_np(-error));
}

/* --- the probe -------------------------------------------------------------------------------- */

static bool ring_has_futexes(int ring_fd)
{
	union {
		struct io_uring_probe head;
		uint8_t bytes[sizeof(struct io_uring_probe) +
			      PROBE_OPERATIONS * sizeof(struct io_uring_probe_op)];
	} probe;

	memset(&probe, 0, sizeof(probe));
	return syscall(SYS_io_uring_register, ring_fd, IORING_REGISTER_PROBE, &probe,
		       PROBE_OPERATIONS) == 0 &&
	       probe.head.last_op >= OPERATION_FUTEX_WAKE &&
	       probe.head.ops[OPERATION_FUTEX_WAIT].flags & IO_URING_OP_SUPPORTED &&
	       probe.head.ops[OPERATION_FUTEX_WAKE].flags & IO_URING_OP_SUPPORTED;
}

/* A filter of system calls may let one of the three pass and not another. */
int waiter_uring_probe(bool *ret_has_futexes)
{
	struct io_uring_params params = params_make(PROBE_ENTRIES);
	int ring_fd = (int)syscall(SYS_io_uring_setup, PROBE_ENTRIES, &params);
	bool has_futexes;
	int r;

	if (ring_fd < 0)
		return raise_refusal(-errno);
	has_futexes = ring_has_futexes(ring_fd);
	r = operations_allow(ring_fd, has_futexes);
	if (r == 0 && syscall(SYS_io_uring_enter, ring_fd, 0, 0, 0, NULL, 0) < 0)
		r = -errno;
	close(ring_fd);
	if (r < 0)
		return raise_refusal(r);
	*ret_has_futexes = has_futexes;
	return 0;
}

/* --- the table -------------------------------------------------------------------------------- */

static int uring_open(struct waiter *waiter, uint32_t watches_max, bool has_futexes)
{
	struct io_uring_params params = params_make(COMPLETIONS);
	int r;

	(void)watches_max; /* the kernel has room */
	r = io_uring_queue_init_params(RING_ENTRIES, &waiter->ring, &params);
	if (r < 0)
		return raise_refusal(r);
	r = operations_allow(waiter->ring.ring_fd, has_futexes);
	if (r < 0) {
		io_uring_queue_exit(&waiter->ring);
		return raise_refusal(r);
	}
	waiter->has_futexes = has_futexes;
	return 0;
}

static void uring_close(struct waiter *waiter)
{
	io_uring_queue_exit(&waiter->ring);
}

static void uring_submit(struct waiter *waiter)
{
	if (io_uring_sq_ready(&waiter->ring))
		io_uring_submit(&waiter->ring);
}

static struct io_uring_sqe *entry_acquire(struct waiter *waiter)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&waiter->ring);

	if (!sqe) {
		io_uring_submit(&waiter->ring);
		sqe = io_uring_get_sqe(&waiter->ring);
	}
	return sqe;
}

static bool uring_poll(struct waiter *waiter, int fd, unsigned int events, void *user)
{
	struct io_uring_sqe *sqe = entry_acquire(waiter);

	if (!sqe)
		return false;
	io_uring_prep_poll_add(sqe, fd, events);
	io_uring_sqe_set_data(sqe, user);
	return true;
}

static bool uring_futex(struct waiter *waiter, const uint32_t *word, uint32_t value, void *user)
{
	struct io_uring_sqe *sqe = entry_acquire(waiter);

	if (!sqe)
		return false;
	memset(sqe, 0, sizeof(*sqe));
	sqe->opcode = OPERATION_FUTEX_WAIT;
	sqe->fd = FUTEX2_U32;
	sqe->addr = (uint64_t)(uintptr_t)word;
	sqe->off = value;
	sqe->addr3 = FUTEX_BITSET_MATCH_ANY;
	io_uring_sqe_set_data(sqe, user);
	return true;
}

/* Its completion would end the wait that it is submitted with. */
static bool uring_wake(struct waiter *waiter, const uint32_t *word, uint32_t sleepers_max)
{
	struct io_uring_sqe *sqe = waiter->has_futexes ? entry_acquire(waiter) : NULL;

	if (!sqe)
		return false;
	memset(sqe, 0, sizeof(*sqe));
	sqe->opcode = OPERATION_FUTEX_WAKE;
	sqe->flags = IOSQE_CQE_SKIP_SUCCESS;
	sqe->fd = FUTEX2_U32;
	sqe->addr = (uint64_t)(uintptr_t)word;
	sqe->off = sleepers_max;
	sqe->addr3 = FUTEX_BITSET_MATCH_ANY;
	return true;
}

static void uring_cancel(struct waiter *waiter, const void *user)
{
	struct io_uring_sqe *sqe = entry_acquire(waiter);

	if (!sqe)
		return;
	io_uring_prep_cancel(sqe, (void *)(uintptr_t)user, 0);
	io_uring_sqe_set_data(sqe, NULL);
}

static int uring_wait(struct waiter *waiter, uint64_t timeout_ns)
{
	struct __kernel_timespec timeout = {
		.tv_sec = (int64_t)(timeout_ns / NS_PER_S),
		.tv_nsec = (int64_t)(timeout_ns % NS_PER_S),
	};
	struct io_uring_cqe *cqe;
	int r;

	r = io_uring_submit_and_wait_timeout(&waiter->ring, &cqe, 1, &timeout, NULL);
	return r < 0 && r != -ETIME && r != -EINTR ? r : 0;
}

static bool uring_take(struct waiter *waiter, struct waiter_event *ret_event)
{
	struct io_uring_cqe *cqe;

	while (io_uring_peek_cqe(&waiter->ring, &cqe) == 0) {
		ret_event->user = io_uring_cqe_get_data(cqe);
		ret_event->result = cqe->res;
		io_uring_cqe_seen(&waiter->ring, cqe);
		/* A cancellation's own end says nothing. */
		if (ret_event->user)
			return true;
	}
	return false;
}

const struct waiter_way waiter_uring = {
	.name = "io_uring",
	.open = uring_open,
	.close = uring_close,
	.poll = uring_poll,
	.futex = uring_futex,
	.wake = uring_wake,
	.cancel = uring_cancel,
	.submit = uring_submit,
	.wait = uring_wait,
	.take = uring_take,
};
