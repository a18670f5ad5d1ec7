/* SPDX-License-Identifier: MIT */
/* tools/hearthctl/doctor/kernel.c - what the kernel has, and lets a process have */
#include <errno.h>
#include <linux/landlock.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/waiter.h"
#include "tools/hearthctl/doctor/doctor.h"

void kernel_check(const struct host *host, struct finding *finding)
{
	char text[HOST_TEXT_BYTES];
	int major = 0, minor = 0;

	host_text(host, text, "/proc/sys/kernel/osrelease");
	if (sscanf(text, "%d.%d", &major, &minor) != 2) {
		find(finding, "/proc/sys/kernel/osrelease does not tell");
		mend(finding, VERDICT_FAIL, "mount -t proc proc /proc");
		return;
	}
	find(finding, "Linux %s", text);
	if (major < 6 || (major == 6 && minor < 1))
		mend(finding, VERDICT_FAIL, "install Linux 6.1 or later");
}

/* --- io_uring ------------------------------------------------------------------------------- */

/* Of this process; the daemon says for itself what it waits with. */
static void refusal_mend(const struct host *host, struct finding *finding, int error)
{
	char text[HOST_TEXT_BYTES];

	if (error == -ENOMEM)
		mend(finding, VERDICT_WARN, "raise LimitMEMLOCK= (ulimit -l)");
	else if (error != -EPERM && error != -EACCES)
		mend(finding, VERDICT_WARN, "run a kernel built with CONFIG_IO_URING");
	else if (*text_field(host_text(host, text, "/proc/self/status"), "Seccomp") == '2')
		mend(finding, VERDICT_WARN, "let the container's seccomp profile allow "
		     "io_uring_setup, io_uring_enter and io_uring_register");
	else
		mend(finding, VERDICT_WARN, "let the security module (SELinux, AppArmor) allow "
		     "io_uring");
}

void uring_check(const struct host *host, struct finding *finding)
{
	char text[HOST_TEXT_BYTES];
	long disabled = strtol(host_text(host, text, "/proc/sys/kernel/io_uring_disabled"), NULL, 10);
	bool daemon_polls = host->status && strcmp(row_text(host->status, "wait"), "poll") == 0;
	bool has_futexes;
	int r = waiter_uring_probe(&has_futexes);

	if (host->status)
		find(finding, "the daemon waits with %s%s%s", row_text(host->status, "wait"),
		     daemon_polls ? ": " : "",
		     daemon_polls ? row_text(host->status, "wait_reason") : "");
	if (disabled > 1 || (disabled == 1 && (!host->status || daemon_polls))) {
		find(finding, "kernel.io_uring_disabled is %ld: %s", disabled,
		     disabled > 1 ? "nobody may have one" : "root and kernel.io_uring_group only");
		mend(finding, VERDICT_WARN, "sysctl -w kernel.io_uring_disabled=0");
	} else if (r < 0) {
		find(finding, "%s", err_message());
		refusal_mend(host, finding, r);
	} else if (daemon_polls) {
		mend(finding, VERDICT_WARN, "let the daemon have an io_uring: --wait auto, "
		     "LimitMEMLOCK=infinity, a SystemCallFilter= with @io-event");
	} else {
		find(finding, "it may be had");
	}
}

void futex_check(const struct host *host, struct finding *finding)
{
	const char *bell = host->status ? row_text(host->status, "bell") : "";
	bool has_futexes = false;

	if (*bell)
		find(finding, "a %s is the daemon's bell", bell);
	if (waiter_uring_probe(&has_futexes) < 0) {
		find(finding, "no io_uring to ask");
		mend(finding, VERDICT_SKIPPED, "see io_uring");
	} else if (!has_futexes) {
		find(finding, "io_uring has none: a message on the socket wakes the daemon");
		mend(finding, VERDICT_WARN, "run Linux 6.7 or later");
	} else if (strcmp(bell, "socket") == 0) {
		mend(finding, VERDICT_WARN, "start hearthd with --bell auto and --wait auto");
	} else {
		find(finding, "io_uring has them");
	}
}

/* --- the sandbox's parts -------------------------------------------------------------------- */

void landlock_check(const struct host *host, struct finding *finding)
{
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);

	(void)host;
	if (abi > 0) {
		find(finding, "version %ld", abi);
		return;
	}
	find(finding, "%s", strerror(errno));
	if (errno == EPERM)
		mend(finding, VERDICT_WARN, "let the container's seccomp profile allow "
		     "landlock_create_ruleset, landlock_add_rule and landlock_restrict_self");
	else
		mend(finding, VERDICT_WARN, "boot with lsm=landlock,... on the kernel's command line");
}

void seccomp_check(const struct host *host, struct finding *finding)
{
	char text[HOST_TEXT_BYTES];

	host_text(host, text, "/proc/sys/kernel/seccomp/actions_avail");
	if (strstr(text, "errno")) {
		find(finding, "filters can be had");
		return;
	}
	find(finding, "the kernel has no filters: a daemon can make any system call");
	mend(finding, VERDICT_WARN, "run a kernel built with CONFIG_SECCOMP_FILTER");
}

/* --- clock ---------------------------------------------------------------------------------- */

/* Those that are read without a system call. */
void clock_check(const struct host *host, struct finding *finding)
{
	static const char *const fast[] = { "tsc", "kvm-clock", "hyperv_clocksource_tsc_page",
					    "arch_sys_counter" };
	char text[HOST_TEXT_BYTES];
	bool is_fast = false;

	host_text(host, text, "/sys/devices/system/clocksource/clocksource0/current_clocksource");
	if (!*text) {
		find(finding, "/sys does not tell the clock source");
		mend(finding, VERDICT_SKIPPED, "mount -t sysfs sysfs /sys");
		return;
	}
	for (size_t source = 0; source < sizeof(fast) / sizeof(fast[0]); source++)
		is_fast |= strcmp(text, fast[source]) == 0;
	find(finding, "%s%s", text, is_fast ? "" : ": each look at the clock is a system call");
	if (!is_fast)
		mend(finding, VERDICT_WARN, "boot with clocksource=tsc tsc=reliable on the kernel's "
		     "command line, where the processor's counter can be trusted");
}
