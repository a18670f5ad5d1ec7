/* SPDX-License-Identifier: MIT */
/* daemon/base/uring.c - register the restrictions, enable the ring */
#include "base/uring.h"

#include <assert.h>
#include <errno.h>
#include <linux/io_uring.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

int uring_restrict(int ring_fd, const uint8_t operations[], uint32_t operation_count)
{
	struct io_uring_restriction allowed[URING_OPERATIONS_MAX];
	uint32_t index;

	assert(operation_count <= URING_OPERATIONS_MAX);
	memset(allowed, 0, sizeof(allowed));
	for (index = 0; index < operation_count; index++) {
		allowed[index].opcode = IORING_RESTRICTION_SQE_OP;
		allowed[index].sqe_op = operations[index];
	}
	if (syscall(SYS_io_uring_register, ring_fd, IORING_REGISTER_RESTRICTIONS, allowed,
		    operation_count) < 0)
		return err_raise(-errno, "an io_uring's operations cannot be restricted: %s",
				 strerror(errno));
	if (syscall(SYS_io_uring_register, ring_fd, IORING_REGISTER_ENABLE_RINGS, NULL, 0) < 0)
		return err_raise(-errno, "an io_uring cannot be enabled: %s", strerror(errno));
	return 0;
}
