/* SPDX-License-Identifier: MIT */
/* daemon/ops/sandbox/sandbox.c - become somebody lesser, drop capabilities, enter it, seal it */
#include "ops/sandbox/sandbox.h"

#include <errno.h>
#include <grp.h>
#include <jansson.h>
#include <linux/capability.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "ops/sandbox/parts.h"

#define CAPABILITY_BIT(number) (UINT64_C(1) << (number))

/* Appends one part to what is said. */
__attribute__((format(printf, 2, 3))) static void say(struct sandbox *sandbox, const char *format,
						      ...)
{
	size_t used = strlen(sandbox->text);
	va_list arguments;

	if (used > 0 && used < sizeof(sandbox->text) - 2)
		used += (size_t)snprintf(sandbox->text + used, sizeof(sandbox->text) - used, ", ");
	va_start(arguments, format);
	vsnprintf(sandbox->text + used, sizeof(sandbox->text) - used, format, arguments);
	va_end(arguments);
}

/* A part that the kernel lacks is named with its reason. */
static void say_part(struct sandbox *sandbox, int result, const char *part)
{
	if (result == 0) {
		say(sandbox, "%s", part);
		return;
	}
	say(sandbox, "no %s", err_message());
	sandbox->is_partial = true;
}

/* --- user ---------------------------------------------------------------------------------------- */

/* The sockets are the user's; a group that was asked for stays theirs. */
static int socket_give(const char *path, const struct passwd *user, bool has_group)
{
	if (lchown(path, user->pw_uid, has_group ? (gid_t)-1 : user->pw_gid) < 0)
		return err_raise(-errno, "cannot give %s to user %s: %s", path, user->pw_name,
				 strerror(errno));
	return 0;
}

static int user_become(const struct options *options, bool owns_sockets, bool owns_metrics)
{
	const struct passwd *user = getpwnam(options->user);
	int r = 0;

	if (!user)
		return err_raise(-EINVAL, "there is no user '%s' (getent passwd lists them)",
				 options->user);
	if (geteuid() == user->pw_uid)
		return 0;
	if (owns_sockets)
		r = socket_give(options->socket, user, options->group != NULL);
	if (owns_sockets && r == 0)
		r = socket_give(options->admin_socket, user, options->admin_group != NULL);
	if (owns_metrics && r == 0)
		r = socket_give(options->metrics_socket, user, options->group != NULL);
	if (r < 0)
		return err_trace(r);
	/* IPC_LOCK outlives the change. */
	if (prctl(PR_SET_KEEPCAPS, 1) < 0 || initgroups(user->pw_name, user->pw_gid) < 0 ||
	    setresgid(user->pw_gid, user->pw_gid, user->pw_gid) < 0 ||
	    setresuid(user->pw_uid, user->pw_uid, user->pw_uid) < 0)
		return err_raise(-errno, "cannot become user %s: %s; start hearthd as root, or as "
				 "that user and without --user", options->user, strerror(errno));
	return 0;
}

/* --- capabilities --------------------------------------------------------------------------------- */

/* Only who may (CAP_SETPCAP) can; the others have nothing to regain by executing. */
static void capabilities_forgo(void)
{
	int capability;

	for (capability = 0; prctl(PR_CAPBSET_READ, capability) >= 0; capability++)
		prctl(PR_CAPBSET_DROP, capability);
}

static int capabilities_drop(struct sandbox *sandbox)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct sets[_LINUX_CAPABILITY_U32S_3] = { 0 };
	uint64_t kept = CAPABILITY_BIT(CAP_IPC_LOCK);
	uint64_t mine;

	if (syscall(SYS_capget, &header, sets) < 0)
		return err_raise(-errno, "cannot read the capabilities: %s", strerror(errno));
	mine = (uint64_t)sets[1].permitted << 32 | sets[0].permitted;
	if (geteuid() == 0)
		kept |= CAPABILITY_BIT(CAP_DAC_READ_SEARCH);
	kept &= mine;
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	memset(sets, 0, sizeof(sets));
	sets[0].permitted = sets[0].effective = (uint32_t)kept;
	sets[1].permitted = sets[1].effective = (uint32_t)(kept >> 32);
	if (syscall(SYS_capset, &header, sets) < 0)
		return err_raise(-errno, "cannot drop capabilities: %s", strerror(errno));

	say(sandbox, "capabilities %s%s%s",
	    kept & CAPABILITY_BIT(CAP_DAC_READ_SEARCH) ? "dac_read_search " : "",
	    kept & CAPABILITY_BIT(CAP_IPC_LOCK) ? "ipc_lock" : "", kept ? "" : "none");
	return 0;
}

/* --- in order ------------------------------------------------------------------------------------- */

/* What libraries open at their first use, they open before it is denied: the time zone, and the
 * random seed that keeps a peer from choosing keys which collide. */
static void libraries_warm(void)
{
	tzset();
	json_object_seed(0);
}

int sandbox_enter(struct sandbox *sandbox, const struct options *options, bool owns_sockets,
		  bool owns_metrics, const char *page)
{
	char landlock[32];
	int abi = 0;
	int r;

	memset(sandbox, 0, sizeof(*sandbox));
	libraries_warm();
	capabilities_forgo();
	if (options->user) {
		r = user_become(options, owns_sockets, owns_metrics);
		if (r < 0)
			return err_trace(r);
	}
	say(sandbox, "uid %u", geteuid());
	r = capabilities_drop(sandbox);
	if (r < 0)
		return err_trace(r);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_raise(-errno, "cannot set no_new_privs: %s", strerror(errno));
	if (options->sandbox == OPTIONS_SANDBOX_OFF)
		return 0;

	r = sandbox_files(options, owns_sockets, owns_metrics, page, &abi);
	if (r < 0 && options->sandbox == OPTIONS_SANDBOX_STRICT)
		return err_trace(r);
	snprintf(landlock, sizeof(landlock), "Landlock %d", abi);
	say_part(sandbox, r, landlock);
	return 0;
}

int sandbox_seal(struct sandbox *sandbox, const struct options *options,
		 const struct waiter_way *way, bool has_server)
{
	int r;

	if (options->sandbox == OPTIONS_SANDBOX_OFF) {
		say(sandbox, "neither Landlock nor seccomp (--sandbox off)");
		sandbox->is_partial = true;
	} else {
		r = sandbox_calls(way == &waiter_uring, getenv("NOTIFY_SOCKET") != NULL,
				  has_server);
		if (r < 0 && options->sandbox == OPTIONS_SANDBOX_STRICT)
			return err_trace(r);
		say_part(sandbox, r, "seccomp");
	}
	log_line(sandbox->is_partial ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO, "sandbox: %s",
		 sandbox->text);
	if (geteuid() == 0)
		log_line(LOG_LEVEL_WARNING, "running as root: --user NAME, or User= of systemd, "
			 "makes it somebody who can do less");
	return 0;
}
