/* SPDX-License-Identifier: MIT */
/* daemon/base/ring.c - an io_uring that can do a few things and no more */
#include "base/ring.h"

#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

/* By system calls: the shared library of liburing 2.3 lacks both. */
int ring_enable(int ring_fd, const struct io_uring_restriction allowed[], uint32_t count)
{
	if (syscall(SYS_io_uring_register, ring_fd, IORING_REGISTER_RESTRICTIONS, allowed, count) < 0 ||
	    syscall(SYS_io_uring_register, ring_fd, IORING_REGISTER_ENABLE_RINGS, NULL, 0) < 0)
		return -errno;
	return 0;
}
