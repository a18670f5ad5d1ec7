/* SPDX-License-Identifier: MIT */
/* tests/base/test_histogram.c - the stated error against sorted samples */

#include <check.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/histogram.h"
#include "tests/suite.h"

#define SAMPLES 20000
#define SEED UINT64_C(0x9e3779b97f4a7c15)

static struct histogram histogram;
static struct histogram other;
static uint64_t samples[SAMPLES];

static uint64_t random_next(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static int value_compare(const void *left, const void *right)
{
	uint64_t a = *(const uint64_t *)left;
	uint64_t b = *(const uint64_t *)right;

	return a < b ? -1 : a > b;
}

START_TEST(empty_histogram_says_zero_everywhere)
{
	histogram_clear(&histogram);
	ck_assert_uint_eq(histogram_count(&histogram), 0);
	ck_assert_uint_eq(histogram_percentile(&histogram, 50), 0);
	ck_assert_uint_eq(histogram_min(&histogram), 0);
	ck_assert_uint_eq(histogram_max(&histogram), 0);
	ck_assert(histogram_mean(&histogram) == 0);
}
END_TEST

/* _i is the number of bits of the largest sample. */
START_TEST(percentiles_lie_within_a_32nd_above_the_sorted_sample)
{
	static const double percents[] = { 0, 0.1, 1, 10, 25, 50, 75, 90, 99, 99.9, 99.99, 100 };
	uint64_t state = SEED + (uint64_t)_i;
	size_t index;

	histogram_clear(&histogram);
	for (index = 0; index < SAMPLES; index++) {
		samples[index] = random_next(&state) >> (64 - _i);
		samples[index] >>= random_next(&state) % (uint64_t)_i; /* spread over the groups */
		histogram_record(&histogram, samples[index]);
	}
	qsort(samples, SAMPLES, sizeof(samples[0]), value_compare);
	for (index = 0; index < sizeof(percents) / sizeof(percents[0]); index++) {
		double rank = percents[index] / 100 * SAMPLES;
		size_t above = (size_t)rank + ((double)(size_t)rank < rank);
		uint64_t exact = samples[above > 0 ? above - 1 : 0];
		uint64_t reported = histogram_percentile(&histogram, percents[index]);

		ck_assert_msg(reported >= exact && reported - exact <= exact / 32,
			      "%d bits, p%g: exact %llu, reported %llu", _i, percents[index],
			      (unsigned long long)exact, (unsigned long long)reported);
	}
	ck_assert_uint_eq(histogram_count(&histogram), SAMPLES);
	ck_assert_uint_eq(histogram_min(&histogram), samples[0]);
	ck_assert_uint_eq(histogram_max(&histogram), samples[SAMPLES - 1]);
}
END_TEST

START_TEST(values_below_64_are_exact)
{
	uint64_t value;

	for (value = 0; value < 64; value++) {
		histogram_clear(&histogram);
		histogram_record(&histogram, value);
		histogram_record(&histogram, UINT64_MAX);
		ck_assert_uint_eq(histogram_percentile(&histogram, 50), value);
		ck_assert_uint_eq(histogram_count_below(&histogram, value), 1);
		ck_assert_uint_eq(histogram_min(&histogram), value);
	}
}
END_TEST

START_TEST(both_sides_of_every_power_of_two_have_a_bucket)
{
	int bit;

	for (bit = 0; bit < 64; bit++) {
		uint64_t power = UINT64_C(1) << bit;
		uint64_t value;

		for (value = power - 1; value <= power; value++) {
			histogram_clear(&histogram);
			histogram_record(&histogram, value);
			ck_assert_uint_eq(histogram_percentile(&histogram, 50), value);
		}
	}
	histogram_clear(&histogram);
	histogram_record(&histogram, UINT64_MAX);
	ck_assert_uint_eq(histogram_percentile(&histogram, 99), UINT64_MAX);
}
END_TEST

START_TEST(merge_is_the_same_as_recording_everything_in_one)
{
	uint64_t state = SEED;
	struct histogram *merged = &other;
	static struct histogram parts[2];
	size_t index;

	histogram_clear(&histogram);
	histogram_clear(merged);
	histogram_clear(&parts[0]);
	histogram_clear(&parts[1]);
	for (index = 0; index < 1000; index++) {
		uint64_t value = random_next(&state) >> 40;
		histogram_record(&histogram, value);
		histogram_record(&parts[index % 2], value);
	}
	histogram_merge(merged, &parts[0]);
	histogram_merge(merged, &parts[1]);
	ck_assert_mem_eq(merged, &histogram, sizeof(histogram));
	ck_assert(histogram_mean(merged) == histogram_mean(&histogram));
}
END_TEST

static bool stop;

static void *writer(void *argument)
{
	uint64_t value;

	(void)argument;
	for (value = 0; value < 200000; value++)
		histogram_record(&histogram, 1000 + value % 1000);
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	return NULL;
}

START_TEST(reader_beside_a_writer_sees_only_recorded_values)
{
	pthread_t thread;

	histogram_clear(&histogram);
	ck_assert_int_eq(pthread_create(&thread, NULL, writer, NULL), 0);
	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		uint64_t p99 = histogram_percentile(&histogram, 99);
		ck_assert(p99 == 0 || (p99 >= 1000 && p99 < 2000));
	}
	pthread_join(thread, NULL);
	ck_assert_uint_eq(histogram_count(&histogram), 200000);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("histogram");
	TCase *tcase = tcase_create("histogram");

	printf("seed %llx\n", (unsigned long long)SEED);
	tcase_add_test(tcase, empty_histogram_says_zero_everywhere);
	tcase_add_loop_test(tcase, percentiles_lie_within_a_32nd_above_the_sorted_sample, 1, 65);
	tcase_add_test(tcase, values_below_64_are_exact);
	tcase_add_test(tcase, both_sides_of_every_power_of_two_have_a_bucket);
	tcase_add_test(tcase, merge_is_the_same_as_recording_everything_in_one);
	tcase_add_test(tcase, reader_beside_a_writer_sees_only_recorded_values);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
