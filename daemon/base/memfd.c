/* SPDX-License-Identifier: MIT */
/* daemon/base/memfd.c - memory that has a descriptor and can be sealed */
#include "base/memfd.h"

#include <errno.h>
#include <sys/mman.h>

#define MFD_NOEXEC_SEAL_LINUX 8u /* MFD_NOEXEC_SEAL, Linux 6.3 */

int memfd_sealable(const char *name)
{
	int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0 && errno == EACCES) /* vm.memfd_noexec = 2 */
		fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL_LINUX);
	return fd < 0 ? -errno : fd;
}
