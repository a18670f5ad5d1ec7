// SPDX-License-Identifier: MIT
// tests/client/test_header.cc - the header as C++17, in a program that is C++ all the way
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <string>

#include <hearth.h>

static int failures;

static void check(bool condition, const char *sentence)
{
	if (!condition) {
		failures++;
		std::printf("failed: %s\n", sentence);
	}
}

int main()
{
	struct hearth_options options = {};
	struct hearth *hearth = nullptr;
	const struct hearth_completion *completion = nullptr;
	int r;

	options.size = sizeof(options);
	r = hearth_open("/nonexistent/hearth.sock", &options, &hearth);
	check(r == -ENOENT, "open without a daemon is -ENOENT");
	check(hearth == nullptr, "outputs are untouched on failure");
	check(std::string(hearth_strerror(r)).find("/nonexistent") != std::string::npos,
	      "the sentence names the path");
	options.slots = 5000;
	check(hearth_open(nullptr, &options, &hearth) == -EINVAL, "5,000 slots are refused");
	check(hearth_peek(hearth, &completion) == -EINVAL, "no handle is -EINVAL");
	check(hearth_close(nullptr) == 0, "closing nothing is fine");
	std::printf("%d failed\n", failures);
	return failures ? EXIT_FAILURE : EXIT_SUCCESS;
}
