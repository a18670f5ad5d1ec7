/* SPDX-License-Identifier: MIT */
/*
 * tests/replay.c - the main of a fuzzer that is linked without libFuzzer
 *
 *     fuzz_NAME                       each file of tests/ROOM/corpus/NAME, one line for each
 *     fuzz_NAME FILE|DIRECTORY...     those
 *     fuzz_NAME -runs=N [-seed=S] [-artifact_prefix=P] DIRECTORY...
 *                                     N inputs that are files of the directories, bent
 *
 * A fuzzer is LLVMFuzzerTestOneInput and, where it wants them, LLVMFuzzerInitialize and
 * LLVMFuzzerCustomMutator: with clang's -fsanitize=fuzzer, libFuzzer's main calls them, and finds
 * its inputs by coverage. This one needs no clang. Each file has a process of its own, so a crash
 * is counted and the next one runs. An input that crashes is written to P.
 */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define INPUT_BYTES_MAX (1u << 20)
#define INPUTS_MAX 4096
#define BENDS_MAX 4
#define PIECE_BYTES_MAX 16

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t byte_count);
int LLVMFuzzerInitialize(int *argc, char ***argv) __attribute__((weak));
size_t LLVMFuzzerCustomMutator(uint8_t *bytes, size_t byte_count, size_t bytes_max, unsigned seed)
	__attribute__((weak));
size_t LLVMFuzzerMutate(uint8_t *bytes, size_t byte_count, size_t bytes_max);
/* What a sanitizer calls before it ends the program; absent without one. */
void __sanitizer_set_death_callback(void (*callback)(void)) __attribute__((weak));

struct input {
	char *path;
	uint8_t *bytes;
	size_t byte_count;
};

struct replay {
	struct input inputs[INPUTS_MAX];
	uint32_t input_count;
	uint64_t runs;
	uint64_t seed;
	const char *artifact_prefix;
};

static struct replay replay = { .seed = 1, .artifact_prefix = "./" };
static uint64_t random_state;
static struct input current; /* for the handlers */

static uint64_t random_next(void)
{
	uint64_t mixed = random_state += UINT64_C(0x9e3779b97f4a7c15);

	mixed = (mixed ^ mixed >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	mixed = (mixed ^ mixed >> 27) * UINT64_C(0x94d049bb133111eb);
	return mixed ^ mixed >> 31;
}

static size_t random_below(size_t bound)
{
	return bound ? random_next() % bound : 0;
}

/* --- inputs -------------------------------------------------------------------------------------- */

static void input_add(const char *path)
{
	struct input *input = replay.inputs + replay.input_count;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t got;

	if (replay.input_count == INPUTS_MAX) {
		fprintf(stderr, "replay: more than %d inputs\n", INPUTS_MAX);
		exit(1);
	}
	input->path = strdup(path);
	input->bytes = malloc(INPUT_BYTES_MAX);
	got = fd < 0 || !input->bytes ? -1 : read(fd, input->bytes, INPUT_BYTES_MAX);
	if (got < 0) {
		fprintf(stderr, "replay: %s cannot be read; run it in the tree's root\n", path);
		exit(1);
	}
	close(fd);
	input->byte_count = (size_t)got;
	input->bytes = realloc(input->bytes, input->byte_count + 1);
	replay.input_count++;
}

static void inputs_add(const char *path)
{
	struct dirent **entries;
	struct stat stat_;
	char file[4096];
	int count;

	if (stat(path, &stat_) < 0 || !S_ISDIR(stat_.st_mode)) {
		input_add(path);
		return;
	}
	count = scandir(path, &entries, NULL, alphasort);
	for (int index = 0; index < count; index++) {
		snprintf(file, sizeof(file), "%s/%s", path, entries[index]->d_name);
		if (entries[index]->d_name[0] != '.')
			input_add(file);
		free(entries[index]);
	}
	free(entries);
}

/* BUILD/tests/ROOM/fuzz_NAME has its inputs in tests/ROOM/corpus/NAME. */
static void inputs_add_own(const char *program)
{
	const char *room = NULL;
	const char *name = strrchr(program, '/');
	char path[4096];

	for (const char *at = program; (at = strstr(at, "tests/")); at++)
		room = at;
	if (!room || !name || strncmp(name, "/fuzz_", 6) != 0) {
		fprintf(stderr, "replay: %s is not .../tests/ROOM/fuzz_NAME\n", program);
		exit(1);
	}
	snprintf(path, sizeof(path), "%.*s/corpus/%s", (int)(name - room), room, name + 6);
	inputs_add(path);
}

/* --- each file, in a process of its own ------------------------------------------------------------ */

static bool input_run(const struct input *input)
{
	const char *name = strrchr(input->path, '/') ? strrchr(input->path, '/') + 1 : input->path;
	int status = -1;
	pid_t child;

	fflush(NULL);
	child = fork();
	if (child == 0) {
		uint8_t *exact = malloc(input->byte_count ? input->byte_count : 1);

		if (!exact)
			exit(1);
		memcpy(exact, input->bytes, input->byte_count);
		LLVMFuzzerTestOneInput(exact, input->byte_count);
		free(exact);
		exit(0);
	}
	if (child < 0 || waitpid(child, &status, 0) != child)
		return false;
	if (status == 0)
		printf("ok    %s\n", name);
	else if (WIFSIGNALED(status))
		printf("FAIL  %s: ended by signal %d; repeat with the path %s\n", name,
		       WTERMSIG(status), input->path);
	else
		printf("FAIL  %s: exit %d; repeat with the path %s\n", name, WEXITSTATUS(status),
		       input->path);
	return status == 0;
}

static int inputs_run(void)
{
	uint32_t passed = 0;

	for (uint32_t index = 0; index < replay.input_count; index++)
		passed += input_run(&replay.inputs[index]);
	printf("%u passed, %u failed, 0 skipped\n", passed, replay.input_count - passed);
	return passed == replay.input_count && passed > 0 ? 0 : 1;
}

/* --- inputs at random -------------------------------------------------------------------------------- */

size_t LLVMFuzzerMutate(uint8_t *bytes, size_t byte_count, size_t bytes_max)
{
	size_t at = random_below(byte_count);
	size_t other = random_below(byte_count);
	size_t length = 1 + random_below(PIECE_BYTES_MAX);

	if (byte_count == 0)
		return 0;
	if (length > byte_count - at)
		length = byte_count - at;
	switch (random_below(5)) {
	case 0:
		bytes[at] = (uint8_t)random_next();
		return byte_count;
	case 1:
		bytes[at] ^= (uint8_t)(1u << random_below(8));
		return byte_count;
	case 2: /* cut a piece */
		memmove(bytes + at, bytes + at + length, byte_count - at - length);
		return byte_count - length;
	case 3: /* repeat a piece */
		if (byte_count + length > bytes_max)
			return byte_count;
		memmove(bytes + at + length, bytes + at, byte_count - at);
		return byte_count + length;
	default: /* write a piece over another */
		if (length > byte_count - other)
			return byte_count;
		memmove(bytes + at, bytes + other, length);
		return byte_count;
	}
}

static void current_keep(void)
{
	char path[4096];
	int fd;

	snprintf(path, sizeof(path), "%scrash-%llu", replay.artifact_prefix,
		 (unsigned long long)random_state);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0 || write(fd, current.bytes, current.byte_count) != (ssize_t)current.byte_count)
		_exit(2);
	fprintf(stderr, "replay: the input is in %s\n", path);
}

static void current_keep_and_die(int number)
{
	current_keep();
	signal(number, SIG_DFL);
	raise(number);
}

static int inputs_bend(void)
{
	static const int deadly[] = { SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL };
	size_t first = __sanitizer_set_death_callback ? 1 : 0;

	if (__sanitizer_set_death_callback)
		__sanitizer_set_death_callback(current_keep);
	for (size_t index = 0; index < sizeof(deadly) / sizeof(deadly[0]); index++)
		if (index < 1 || !first)
			signal(deadly[index], current_keep_and_die);
	current.bytes = malloc(INPUT_BYTES_MAX);
	if (!current.bytes || replay.input_count == 0)
		return 1;
	for (uint64_t run = 0; run < replay.runs; run++) {
		const struct input *from;

		random_state = replay.seed ^ run * UINT64_C(0xd1342543de82ef95);
		from = &replay.inputs[random_below(replay.input_count)];
		memcpy(current.bytes, from->bytes, from->byte_count);
		current.byte_count = from->byte_count;
		for (size_t bends = 1 + random_below(BENDS_MAX); bends > 0; bends--)
			current.byte_count =
				LLVMFuzzerCustomMutator
					? LLVMFuzzerCustomMutator(current.bytes, current.byte_count,
								  INPUT_BYTES_MAX,
								  (unsigned)random_next())
					: LLVMFuzzerMutate(current.bytes, current.byte_count,
							   INPUT_BYTES_MAX);
		LLVMFuzzerTestOneInput(current.bytes, current.byte_count);
	}
	printf("Done %llu runs, seed %llu, without coverage\n", (unsigned long long)replay.runs,
	       (unsigned long long)replay.seed);
	return 0;
}

int main(int argc, char **argv)
{
	if (LLVMFuzzerInitialize)
		LLVMFuzzerInitialize(&argc, &argv);
	for (int index = 1; index < argc; index++) {
		const char *word = argv[index];

		if (strncmp(word, "-runs=", 6) == 0)
			replay.runs = strtoull(word + 6, NULL, 10);
		else if (strncmp(word, "-seed=", 6) == 0)
			replay.seed = strtoull(word + 6, NULL, 10);
		else if (strncmp(word, "-artifact_prefix=", 17) == 0)
			replay.artifact_prefix = word + 17;
		else if (word[0] != '-')
			inputs_add(word);
	}
	if (replay.input_count == 0)
		inputs_add_own(argv[0]);
	return replay.runs > 0 ? inputs_bend() : inputs_run();
}
