/* SPDX-License-Identifier: MIT */
/* kernels/device.c - which CPU table this processor runs */
#include "kernels/device.h"

#include <stdlib.h>
#include <string.h>

#include "kernels/cpu/isa.h"

#ifdef __x86_64__
static const struct device *device_v3(void)
{
	if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma") ||
	    !__builtin_cpu_supports("bmi") || !__builtin_cpu_supports("bmi2"))
		return NULL;
	return &cpu_v3_device;
}

static const struct device *device_v4(void)
{
	if (device_v3() == NULL || !__builtin_cpu_supports("avx512f") ||
	    !__builtin_cpu_supports("avx512bw") || !__builtin_cpu_supports("avx512cd") ||
	    !__builtin_cpu_supports("avx512dq") || !__builtin_cpu_supports("avx512vl"))
		return NULL;
	return &cpu_v4_device;
}

static const struct device *device_v4_vnni(void)
{
	if (device_v4() == NULL || !__builtin_cpu_supports("avx512vnni"))
		return NULL;
	return &cpu_v4_vnni_device;
}
#else
static const struct device *device_v3(void)
{
	return NULL;
}

static const struct device *device_v4(void)
{
	return NULL;
}

static const struct device *device_v4_vnni(void)
{
	return NULL;
}
#endif

const struct device *cpu_device(void)
{
	const char *wanted = getenv("HEARTH_CPU");
	const struct device *device = NULL;

	if (wanted != NULL)
		device = cpu_device_by_name(wanted);
	if (device == NULL)
		device = device_v4_vnni();
	if (device == NULL)
		device = device_v4();
	if (device == NULL)
		device = device_v3();
	return device != NULL ? device : &cpu_baseline_device;
}

const struct device *cpu_device_by_name(const char *name)
{
	if (strcmp(name, "baseline") == 0)
		return &cpu_baseline_device;
	if (strcmp(name, "v3") == 0)
		return device_v3();
	if (strcmp(name, "v4") == 0)
		return device_v4();
	if (strcmp(name, "v4-vnni") == 0)
		return device_v4_vnni();
	return NULL;
}
