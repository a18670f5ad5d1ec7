/* SPDX-License-Identifier: MIT */
/* tools/hearthctl/doctor/cpu.c - processors, the nodes they are on, and the control group's limits */
#include <ctype.h>
#include <dirent.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "kernels/device.h"
#include "memory/interleave.h"
#include "tools/hearthctl/doctor/doctor.h"

#define CORES_WANTED 2 /* a client and the daemon are awake at once */
#define PCI_NVIDIA 0x10de
#define PCI_DISPLAY 0x03 /* the class; 3D controllers too */

static DIR *folder_open(const struct host *host, const char *folder)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s%s", host->root, folder);
	return opendir(path);
}

/* --- nodes and GPUs ------------------------------------------------------------------------- */

/* In which proportion: the daemon knows its config, too. */
static void interleave_find(const struct host *host, struct finding *finding)
{
	const char *told = host->status ? row_text(host->status, "interleave") : "";
	char text[INTERLEAVE_TEXT_BYTES];
	struct interleave interleave;

	if (!*told && place_all(&host->topology).nodes) {
		interleave = interleave_read(host->root, &host->topology, NULL);
		told = interleave_text(&interleave, text);
	}
	if (*told)
		find(finding, "interleaved %s", told);
}

/* Those that the daemon has its memory on, or its config names. */
static void nodes_wanted_look(const struct host *host, struct finding *finding)
{
	const json_t *own = json_object_get(host->status, "node");
	size_t index;
	json_t *value;

	json_array_foreach(json_object_get(host->status, "nodes"), index, value) {
		int number = (int)json_integer_value(value);
		const struct topology_node *node = topology_node(&host->topology, number);

		if (!node || !node->has_memory) {
			find(finding, "the daemon's node %d has no memory", number);
			mend(finding, VERDICT_WARN, "chmem -e its blocks (lsmem), or name another "
			     "node in hearthd's config and start it again");
		} else if (json_equal(value, own) && node->core_count == 0) {
			find(finding, "the daemon's node %d has no CPU, and its threads run on others",
			     number);
			mend(finding, VERDICT_WARN, "chcpu -e its CPUs (lscpu), or --node N with CPUs");
		}
	}
}

void numa_check(const struct host *host, struct finding *finding)
{
	char text[2][TEXT_BYTES];

	for (uint32_t index = 0; index < host->topology.node_count; index++) {
		const struct topology_node *node = &host->topology.nodes[index];
		uint64_t weights_bytes = host->node_weights[node->node].bytes;

		find(finding, "node %d: %u CPUs, %s%s%s", node->node, node->core_count,
		     text_bytes(node->memory_bytes, text[0]), weights_bytes > 0 ? ", weights " : "",
		     weights_bytes > 0 ? text_bytes(weights_bytes, text[1]) : "");
	}
	if (place_only(place_all(&host->topology)) < 0)
		interleave_find(host, finding);
	nodes_wanted_look(host, finding);
}

void gpu_check(const struct host *host, struct finding *finding)
{
	static const char folder[] = "/sys/bus/pci/devices";
	DIR *devices = folder_open(host, folder);
	struct dirent *entry;
	char text[HOST_TEXT_BYTES];

	while (devices && (entry = readdir(devices))) {
		long node, vendor;

		vendor = strtol(host_text(host, text, "%s/%s/vendor", folder, entry->d_name), NULL, 16);
		host_text(host, text, "%s/%s/class", folder, entry->d_name);
		if (vendor != PCI_NVIDIA || strtol(text, NULL, 16) >> 16 != PCI_DISPLAY)
			continue;
		node = strtol(host_text(host, text, "%s/%s/numa_node", folder, entry->d_name), NULL, 10);
		find(finding, "%s on node %ld, not used: models run on the CPU", entry->d_name, node);
	}
	if (devices)
		closedir(devices);
	if (!*finding->found)
		find(finding, "no GPU: models run on the CPU");
}

/* --- processors ----------------------------------------------------------------------------- */

void cpus_check(const struct host *host, struct finding *finding)
{
	char text[HOST_TEXT_BYTES];
	const char *list = text_field(host_process_text(host, text, "status"), "Cpus_allowed_list");
	int bytes = (int)strcspn(list, "\n");
	char isolated[HOST_TEXT_BYTES];

	if (bytes == 0)
		return;
	find(finding, "%s CPUs are %.*s of %u", host->whose, bytes, list, host->topology.core_count);
	host_text(host, isolated, "/sys/devices/system/cpu/isolated");
	if (*isolated)
		find(finding, "%s are isolated: hearth needs none", isolated);
	if ((int)strspn(list, "0123456789") == bytes)
		mend(finding, VERDICT_WARN, "two CPUs or more in CPUAffinity= and AllowedCPUs= of "
		     "hearthd.service (taskset, docker --cpuset-cpus): on one each request is a wake");
}

void governor_check(const struct host *host, struct finding *finding)
{
	static const char folder[] = "/sys/devices/system/cpu/cpufreq";
	DIR *policies = folder_open(host, folder);
	char other[TEXT_BYTES] = "";
	char text[HOST_TEXT_BYTES];
	struct dirent *entry;
	uint32_t policy_count = 0;
	uint32_t other_count = 0;

	while (policies && (entry = readdir(policies))) {
		if (strncmp(entry->d_name, "policy", 6) != 0)
			continue;
		host_text(host, text, "%s/%s/scaling_governor", folder, entry->d_name);
		policy_count++;
		if (strcmp(text, "performance") == 0)
			continue;
		other_count++;
		snprintf(other, sizeof(other), "%.*s", TEXT_BYTES - 1, text);
	}
	if (policies)
		closedir(policies);
	if (policy_count == 0) {
		find(finding, "no cpufreq: the firmware or the hypervisor sets the clock");
		finding->verdict = VERDICT_SKIPPED;
	} else if (other_count > 0) {
		find(finding, "%s on %u of %u: the clock is slow when a request comes after a pause",
		     other, other_count, policy_count);
		mend(finding, VERDICT_WARN, "cpupower frequency-set -g performance");
	} else {
		find(finding, "performance");
	}
}

void instructions_check(const struct host *host, struct finding *finding)
{
	const char *device = host->status ? row_text(host->status, "device") : cpu_device()->name;
	struct utsname names;

	find(finding, "kernels of %s", device);
	if (strcmp(device, "cpu-baseline") == 0 && uname(&names) == 0 &&
	    strcmp(names.machine, "x86_64") == 0)
		mend(finding, VERDICT_WARN, "run on a processor with AVX2 or AVX-512, show them to the "
		     "virtual machine (-cpu host), or unset HEARTH_CPU");
}

/* --- control group -------------------------------------------------------------------------- */

/* Pages of a pool count against the pool's limit, all others against the memory's. */
static const struct group_limit {
	const char *file;
	const char *setting; /* where it comes from */
	enum verdict verdict;
	bool is_pool;
} group_limits[] = {
	{ "memory.max", "MemoryMax= of its unit", VERDICT_FAIL, false },
	{ "memory.high", "MemoryHigh= of its unit", VERDICT_WARN, false },
	{ "hugetlb.2MB.max", "limits of its container", VERDICT_WARN, true },
};
#define GROUP_LIMIT_COUNT (sizeof(group_limits) / sizeof(group_limits[0]))

static void limit_look(const struct host *host, const char *group, const struct group_limit *limit,
		       struct finding *finding)
{
	uint64_t weights_bytes = limit->is_pool ? host->weights.bytes : host->weights.small_bytes;
	char text[HOST_TEXT_BYTES];
	char amount[TEXT_BYTES];
	uint64_t limit_bytes;

	host_text(host, text, "/sys/fs/cgroup%s/%s", group, limit->file);
	if (!isdigit((unsigned char)*text))
		return;
	limit_bytes = strtoull(text, NULL, 10);
	find(finding, "%s of %s is %s", limit->file, group, text_bytes(limit_bytes, amount));
	if (limit_bytes >= weights_bytes)
		return;
	find(finding, "weights%s take %s", limit->is_pool ? "" : " outside of huge pages",
	     text_bytes(weights_bytes, amount));
	/* Twice as much: a swap has both versions for a moment. */
	mend(finding, limit->verdict, "echo %" PRIu64 " >/sys/fs/cgroup%s/%s (%s)",
	     2 * weights_bytes, group, limit->file, limit->setting);
}

static void quota_look(const struct host *host, const char *group, struct finding *finding)
{
	char text[HOST_TEXT_BYTES];
	uint64_t throttled_count;
	double quota_us, period_us;

	host_text(host, text, "/sys/fs/cgroup%s/cpu.max", group);
	if (sscanf(text, "%lf %lf", &quota_us, &period_us) != 2 || period_us <= 0)
		return;
	host_text(host, text, "/sys/fs/cgroup%s/cpu.stat", group);
	throttled_count = strtoull(text_field(text, "nr_throttled"), NULL, 10);
	find(finding, "cpu.max of %s is %.1f CPUs, throttled %" PRIu64 " times", group,
	     quota_us / period_us, throttled_count);
	if (throttled_count > 0 || quota_us < CORES_WANTED * period_us)
		mend(finding, VERDICT_WARN, "echo max >/sys/fs/cgroup%s/cpu.max (CPUQuota= of its unit)",
		     group);
}

/* Every level from the process's group up limits it; the root has no limits. */
void group_check(const struct host *host, struct finding *finding)
{
	char text[HOST_TEXT_BYTES];
	char group[PATH_MAX];
	const char *path = text_field(host_process_text(host, text, "cgroup"), "0::");

	snprintf(group, sizeof(group), "%.*s", (int)strcspn(path, "\n"), path);
	if (*group != '/' || strncmp(group, "/..", 3) == 0 ||
	    !*host_text(host, text, "/sys/fs/cgroup/cgroup.controllers")) {
		find(finding, "%s group is of version 1, or not to be seen from here", host->whose);
		mend(finding, VERDICT_SKIPPED, "boot with systemd.unified_cgroup_hierarchy=1");
		return;
	}
	find(finding, "%s group is %s", host->whose, group);
	while (*group && strcmp(group, "/") != 0) {
		for (size_t limit = 0; limit < GROUP_LIMIT_COUNT; limit++)
			limit_look(host, group, &group_limits[limit], finding);
		quota_look(host, group, finding);
		*strrchr(group, '/') = '\0';
	}
}
