/* SPDX-License-Identifier: MIT */
/*
 * tools/hearthctl/doctor/doctor.h - host and daemon as the checks see them, and what they find
 *
 * Owns:     the host its status, from host_init to host_deinit
 * Threads:  one
 * Units:    bytes
 * Errors:   none; a file that cannot be read is an empty text. HEARTH_ROOT stands in for / in
 *           the tests: /sys, /proc and /run are looked for beneath it
 */
#ifndef HEARTH_TOOLS_HEARTHCTL_DOCTOR_DOCTOR_H
#define HEARTH_TOOLS_HEARTHCTL_DOCTOR_DOCTOR_H

#include "base/topology.h"
#include "tools/hearthctl/command.h"
#include "tools/hearthctl/row.h"
#include "tools/hearthctl/table.h"

#define HOST_TEXT_BYTES 8192
#define FINDING_BYTES 512
#define HUGE_BYTES (UINT64_C(2) << 20)

/* The daemon's weights on one node, or on no single one. */
struct host_weights {
	uint64_t bytes;
	uint64_t small_bytes; /* outside of the pools of huge pages */
	/* What they and their batches would take of the pools: each its own whole pages. */
	uint64_t lacking_pages;
};

struct host {
	const struct invocation *invocation;
	const char *root; /* "" is the machine */
	json_t *status;   /* NULL: no daemon answers */
	int socket_error; /* of connecting to the daemon; 0: it can be reached */
	char process[16]; /* "self", or the daemon's number, in /proc */
	const char *whose; /* limits and groups of that process are */
	bool has_topology;
	struct topology topology;
	struct host_weights weights;
	uint64_t missing_bytes; /* huge pages of --reserve that somebody else has */
	struct host_weights node_weights[TOPOLOGY_NODES_MAX + 1]; /* the last: of any node */
};

/* A worse verdict is a larger number. */
enum verdict {
	VERDICT_OK,
	VERDICT_SKIPPED,
	VERDICT_WARN,
	VERDICT_FAIL,
};

struct finding {
	enum verdict verdict;
	char found[FINDING_BYTES];
	char fix[FINDING_BYTES];
};

/* Asks the daemon, when there is one, and reads the topology. */
void host_init(struct host *host, const struct invocation *invocation);
void host_deinit(struct host *host);

/* The beginning of a file beneath the root, without the newline at its end; "" when there is none. */
const char *host_text(const struct host *host, char text[HOST_TEXT_BYTES], const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* The same of the file `name` of the process in /proc. */
const char *host_process_text(const struct host *host, char text[HOST_TEXT_BYTES],
			      const char *name);

/* What follows `name`, a colon and spaces in the line that begins with it; "" when there is none. */
const char *text_field(const char *text, const char *name);

/* "[this]" of a file that lists what can be chosen; "" when nothing is. */
const char *text_choice(const char *text, char choice[TEXT_BYTES]);

/* Both add to what was said before. The second one names the command or the setting that mends it; the
 * worst verdict is the check's. */
void find(struct finding *finding, const char *format, ...) __attribute__((format(printf, 2, 3)));
void mend(struct finding *finding, enum verdict verdict, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* The checks. */
void kernel_check(const struct host *host, struct finding *finding);
void uring_check(const struct host *host, struct finding *finding);
void futex_check(const struct host *host, struct finding *finding);
void landlock_check(const struct host *host, struct finding *finding);
void seccomp_check(const struct host *host, struct finding *finding);
void clock_check(const struct host *host, struct finding *finding);

void huge_pages_check(const struct host *host, struct finding *finding);
void thp_check(const struct host *host, struct finding *finding);
void memlock_check(const struct host *host, struct finding *finding);
void swap_check(const struct host *host, struct finding *finding);
void mappings_check(const struct host *host, struct finding *finding);

void numa_check(const struct host *host, struct finding *finding);
void gpu_check(const struct host *host, struct finding *finding);
void cpus_check(const struct host *host, struct finding *finding);
void governor_check(const struct host *host, struct finding *finding);
void instructions_check(const struct host *host, struct finding *finding);
void group_check(const struct host *host, struct finding *finding);

void daemon_check(const struct host *host, struct finding *finding);
void socket_check(const struct host *host, struct finding *finding);
void admin_socket_check(const struct host *host, struct finding *finding);
void stats_page_check(const struct host *host, struct finding *finding);
void files_check(const struct host *host, struct finding *finding);
void sandbox_check(const struct host *host, struct finding *finding);
void unit_check(const struct host *host, struct finding *finding);

#endif
