/* SPDX-License-Identifier: MIT */
/* tests/memory/ring_flight.c - /proc/self/fdinfo */
#include "tests/memory/ring_flight.h"

#include <check.h>
#include <stdio.h>

#include "tests/base/descriptors.h"

uint32_t ring_flight(void)
{
	uint32_t in_flight = 0;
	int fds[DESCRIPTORS_MAX];
	uint32_t count = descriptors_find("[io_uring]", fds);

	for (uint32_t index = 0; index < count; index++) {
		char path[64], line[256];
		unsigned value, taken = 0, given = 0;
		FILE *info;

		snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fds[index]);
		info = fopen(path, "re");
		ck_assert_ptr_nonnull(info);
		while (fgets(line, sizeof(line), info)) {
			if (sscanf(line, "SqTail: %u", &value) == 1)
				taken = value;
			if (sscanf(line, "CqTail: %u", &value) == 1)
				given = value;
		}
		fclose(info);
		in_flight += taken - given;
	}
	return in_flight;
}
