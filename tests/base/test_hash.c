/* SPDX-License-Identifier: MIT */
/* tests/base/test_hash.c - each bit of each byte, and the number of bytes, make a difference */
#include <check.h>
#include <stdint.h>
#include <string.h>

#include "base/hash.h"
#include "tests/suite.h"

#define BYTES_MAX 131

START_TEST(every_bit_changes_it)
{
	for (uint64_t byte_count = 1; byte_count <= BYTES_MAX; byte_count++) {
		uint8_t bytes[BYTES_MAX] = { 0 };
		uint64_t hash = hash_bytes(bytes, byte_count);

		for (uint64_t bit = 0; bit < 8 * byte_count; bit++) {
			bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
			ck_assert_uint_ne(hash_bytes(bytes, byte_count), hash);
			bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
		}
		ck_assert_uint_eq(hash_bytes(bytes, byte_count), hash);
	}
}
END_TEST

START_TEST(zeros_of_another_number_have_another)
{
	uint8_t zeros[BYTES_MAX] = { 0 };

	for (uint64_t one = 0; one < BYTES_MAX; one++)
		for (uint64_t other = one + 1; other <= BYTES_MAX; other++)
			ck_assert_uint_ne(hash_bytes(zeros, one), hash_bytes(zeros, other));
}
END_TEST

START_TEST(words_that_change_places_change_it)
{
	uint64_t words[12];
	uint64_t hash;

	for (uint64_t word = 0; word < 12; word++)
		words[word] = word * 0x0101010101010101;
	hash = hash_bytes(words, sizeof(words));
	for (int one = 0; one < 12; one++) {
		for (int other = one + 1; other < 12; other++) {
			uint64_t kept = words[one];

			words[one] = words[other];
			words[other] = kept;
			ck_assert_uint_ne(hash_bytes(words, sizeof(words)), hash);
			words[other] = words[one];
			words[one] = kept;
		}
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("hash");
	TCase *tests = tcase_create("hash");

	tcase_add_test(tests, every_bit_changes_it);
	tcase_add_test(tests, zeros_of_another_number_have_another);
	tcase_add_test(tests, words_that_change_places_change_it);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}
