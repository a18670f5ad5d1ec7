/* SPDX-License-Identifier: MIT */
/* daemon/base/memfd.c - memory that has a descriptor and can be sealed */
#include "base/memfd.h"

#include <errno.h>
#include <linux/memfd.h>
#include <sys/mman.h>

#define MFD_NOEXEC_SEAL_LINUX 8u /* MFD_NOEXEC_SEAL, Linux 6.3 */

static int memfd_new(const char *name, unsigned int flags)
{
	int fd;

	flags |= MFD_CLOEXEC | MFD_ALLOW_SEALING;
	fd = memfd_create(name, flags);
	if (fd < 0 && errno == EACCES) /* vm.memfd_noexec = 2 */
		fd = memfd_create(name, flags | MFD_NOEXEC_SEAL_LINUX);
	return fd < 0 ? -errno : fd;
}

int memfd_sealable(const char *name)
{
	return memfd_new(name, 0);
}

int memfd_sealable_huge(const char *name)
{
	return memfd_new(name, MFD_HUGETLB | MFD_HUGE_2MB);
}

int memfd_sealable_giant(const char *name)
{
	return memfd_new(name, MFD_HUGETLB | MFD_HUGE_1GB);
}
