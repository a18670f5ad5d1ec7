/* SPDX-License-Identifier: MIT */
/*
 * tests/model/fuzz_onnx.c - sound files, bent: every one is refused or keeps what onnx.h promises
 *
 *     FUZZ_SEED=1 FUZZ_SECONDS=10 fuzz_onnx
 *
 * A file begins as shoppers or as a writer's, is unpacked, and some of its
 * fields are changed by the schema's descriptors: numbers to the edges of their
 * ranges, words to words that mean something, lists cut, swapped and repeated.
 * It is packed again, and some bytes are changed too. Each execution depends on
 * the seed and its own number alone; FUZZ_AT=number repeats one. With
 * -DLIBFUZZER the same body is a libFuzzer target.
 */

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "model/onnx_parts.h"
#include "onnx.pb-c.h"
#include "onnx_walk.h"
#include "onnx_writer.h"

#define SHOPPERS "tests/data/shoppers/repository/shoppers/2"
#define BYTES_MAX (1u << 20)
#define READ_BYTES_MAX 65536
#define SEEDS 3

/* Loads the bytes and walks what came of them. Returns whether they loaded. */
static bool fuzz_one(int directory_fd, const uint8_t *bytes, size_t byte_count)
{
	struct onnx_model *model = NULL;
	uint8_t *exact = malloc(byte_count ? byte_count : 1);
	int r;

	if (!exact)
		return false;
	memcpy(exact, bytes, byte_count);
	r = onnx_parse(directory_fd, "fuzz/1", exact, byte_count, &model);
	free(exact);
	if (r < 0) {
		if (!*err_message() || r == -ENOMEM || r == -EMFILE) {
			fprintf(stderr, "fuzz_onnx: result %d, \"%s\"\n", r, err_message());
			abort();
		}
		return false;
	}
	onnx_walk(model, READ_BYTES_MAX);
	if (onnx_verify(model) != 0)
		abort();
	onnx_close(model);
	return true;
}

#ifdef LIBFUZZER

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t byte_count);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t byte_count)
{
	static int directory_fd = -1;

	if (directory_fd < 0)
		directory_fd = open(SHOPPERS, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	fuzz_one(directory_fd, bytes, byte_count);
	return 0;
}

#else

struct random {
	uint64_t state;
};

struct seed {
	uint8_t *bytes;
	size_t byte_count;
};

static uint64_t random_next(struct random *random)
{
	uint64_t mixed = random->state += UINT64_C(0x9e3779b97f4a7c15);

	mixed = (mixed ^ mixed >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	mixed = (mixed ^ mixed >> 27) * UINT64_C(0x94d049bb133111eb);
	return mixed ^ mixed >> 31;
}

static size_t random_below(struct random *random, size_t bound)
{
	return bound ? random_next(random) % bound : 0;
}

static int64_t random_number(struct random *random)
{
	static const int64_t edges[] = {
		0, 1, -1, 2, 3, 4, 7, 8, 9, 16, 17, 127, 128, 255, 4095, 4096, 65535, 1 << 20,
		INT32_MAX, INT32_MIN, UINT32_MAX, INT64_MAX, INT64_MIN, INT64_C(1) << 40,
		INT64_C(1) << 61, INT64_C(1) << 62, 1115904, 1115905,
	};

	if (random_below(random, 4) == 0)
		return (int64_t)random_next(random);
	return edges[random_below(random, sizeof(edges) / sizeof(edges[0]))];
}

static const char *random_word(struct random *random)
{
	static const char *const words[] = {
		"", "x", "w", "b", "y", "h", "dense", "ids", "cross.weight", "Gemm",
		"Constant", "ai.onnx", "com.example", "batch", "location", "offset", "length",
		"checksum", "model.bin", "model.onnx", "../model.bin", "/etc/passwd", ".",
		"..", "a/../b", "./model.bin", "0", "1", "-1", "64", "4096", "1115904",
		"18446744073709551615", "9223372036854775807", "value", "axis", "\xff", "a\nb",
		"%s%n",
	};

	return words[random_below(random, sizeof(words) / sizeof(words[0]))];
}

/* The arena of an unpacked file: freed whole, so that entries may be shared. */
struct pool {
	size_t used_bytes;
	size_t bytes;
	uint8_t *data;
};

static void *pool_alloc(void *context, size_t bytes)
{
	struct pool *pool = context;
	void *address = pool->data + pool->used_bytes;

	bytes = (bytes + 15) & ~(size_t)15;
	if (bytes > pool->bytes - pool->used_bytes)
		return NULL;
	pool->used_bytes += bytes;
	return address;
}

static void pool_free(void *context, void *address)
{
	(void)context;
	(void)address;
}

static size_t element_bytes(const ProtobufCFieldDescriptor *field)
{
	switch (field->type) {
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_DOUBLE:
	case PROTOBUF_C_TYPE_STRING:
	case PROTOBUF_C_TYPE_MESSAGE:
		return 8;
	case PROTOBUF_C_TYPE_BYTES:
		return sizeof(ProtobufCBinaryData);
	default:
		return 4;
	}
}

/* Sets one value of a field: at `member`, of the field's own type. */
static void bend_value(struct random *random, const ProtobufCFieldDescriptor *field, void *member)
{
	int64_t number = random_number(random);
	ProtobufCBinaryData *bytes;

	switch (field->type) {
	case PROTOBUF_C_TYPE_STRING:
		*(char **)member = (char *)(uintptr_t)random_word(random);
		break;
	case PROTOBUF_C_TYPE_BYTES:
		bytes = member;
		bytes->len = random_below(random, bytes->len + 1);
		break;
	case PROTOBUF_C_TYPE_MESSAGE:
		break;
	default:
		memcpy(member, &number, element_bytes(field));
	}
}

static void bend_list(struct random *random, const ProtobufCFieldDescriptor *field, size_t *count,
		      uint8_t *list)
{
	size_t bytes = element_bytes(field);
	size_t one = random_below(random, *count);
	size_t other = random_below(random, *count);
	uint8_t saved[sizeof(ProtobufCBinaryData)];

	if (*count == 0)
		return;
	switch (random_below(random, 4)) {
	case 0:
		*count = random_below(random, *count + 1);
		break;
	case 1:
		memcpy(saved, list + one * bytes, bytes);
		memmove(list + one * bytes, list + other * bytes, bytes);
		memcpy(list + other * bytes, saved, bytes);
		break;
	case 2:
		memmove(list + one * bytes, list + other * bytes, bytes);
		break;
	default:
		bend_value(random, field, list + one * bytes);
	}
}

static void bend_field(struct random *random, ProtobufCMessage *message,
		       const ProtobufCFieldDescriptor *field)
{
	uint8_t *base = (uint8_t *)message;
	void *member = base + field->offset;
	void *quantifier = base + field->quantifier_offset;

	if (field->label == PROTOBUF_C_LABEL_REPEATED) {
		bend_list(random, field, quantifier, *(uint8_t **)member);
	} else if (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) {
		/* Only the member that is there: the others share its memory. */
		if (*(uint32_t *)quantifier != field->id)
			return;
		if (random_below(random, 4) == 0)
			*(uint32_t *)quantifier = 0;
		else
			bend_value(random, field, member);
	} else if (field->type == PROTOBUF_C_TYPE_STRING) {
		*(const char **)member = random_below(random, 4) ? random_word(random) : NULL;
	} else if (field->type == PROTOBUF_C_TYPE_MESSAGE) {
		if (random_below(random, 8) == 0)
			*(void **)member = NULL;
	} else {
		*(protobuf_c_boolean *)quantifier = random_below(random, 4) != 0;
		bend_value(random, field, member);
	}
}

/* Visits every message below; the one at which *countdown reaches 0 is returned. */
static ProtobufCMessage *message_at(ProtobufCMessage *message, size_t *countdown)
{
	const ProtobufCMessageDescriptor *descriptor = message->descriptor;

	if ((*countdown)-- == 0)
		return message;
	for (unsigned index = 0; index < descriptor->n_fields; index++) {
		const ProtobufCFieldDescriptor *field = &descriptor->fields[index];
		uint8_t *base = (uint8_t *)message;
		ProtobufCMessage **list = (ProtobufCMessage **)(base + field->offset);
		size_t count = 1;

		if (field->type != PROTOBUF_C_TYPE_MESSAGE)
			continue;
		if (field->label == PROTOBUF_C_LABEL_REPEATED) {
			count = *(size_t *)(base + field->quantifier_offset);
			list = *(ProtobufCMessage ***)(base + field->offset);
		} else if ((field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) &&
			   *(uint32_t *)(base + field->quantifier_offset) != field->id) {
			continue;
		}
		for (size_t entry = 0; entry < count; entry++) {
			ProtobufCMessage *found =
				list[entry] ? message_at(list[entry], countdown) : NULL;

			if (found)
				return found;
		}
	}
	return NULL;
}

static void bend_message(struct random *random, Onnx__ModelProto *model)
{
	size_t all = SIZE_MAX;
	size_t count;
	ProtobufCMessage *message;

	message_at(&model->base, &all);
	count = SIZE_MAX - all;
	all = random_below(random, count);
	message = message_at(&model->base, &all);
	bend_field(
		random, message,
		&message->descriptor->fields[random_below(random, message->descriptor->n_fields)]);
}

static size_t bend_bytes(struct random *random, uint8_t *bytes, size_t byte_count)
{
	size_t at = random_below(random, byte_count);
	size_t other = random_below(random, byte_count);
	size_t length = 1 + random_below(random, 16);

	if (byte_count == 0)
		return 0;
	switch (random_below(random, 5)) {
	case 0:
		bytes[at] = (uint8_t)random_next(random);
		return byte_count;
	case 1:
		bytes[at] ^= (uint8_t)(1u << random_below(random, 8));
		return byte_count;
	case 2: /* cut a piece */
		if (length > byte_count - at)
			length = byte_count - at;
		memmove(bytes + at, bytes + at + length, byte_count - at - length);
		return byte_count - length;
	case 3: /* repeat a piece */
		if (length > byte_count - at || byte_count + length > BYTES_MAX)
			return byte_count;
		memmove(bytes + at + length, bytes + at, byte_count - at);
		return byte_count + length;
	default: /* write a piece over another */
		if (length > byte_count - at || length > byte_count - other)
			return byte_count;
		memmove(bytes + at, bytes + other, length);
		return byte_count;
	}
}

/* Returns the number of bytes of the bent file in `bytes`. */
static size_t bend(struct random *random, const struct seed *seed, struct pool *pool,
		   uint8_t *bytes)
{
	ProtobufCAllocator allocator = {pool_alloc, pool_free, pool};
	size_t byte_count = seed->byte_count;
	size_t fields = random_below(random, 4);
	Onnx__ModelProto *model;

	memcpy(bytes, seed->bytes, byte_count);
	if (fields > 0) {
		pool->used_bytes = 0;
		model = onnx__model_proto__unpack(&allocator, seed->byte_count, seed->bytes);
		if (!model)
			abort();
		while (fields-- > 0)
			bend_message(random, model);
		byte_count = onnx__model_proto__get_packed_size(model);
		if (byte_count > BYTES_MAX)
			return 0;
		onnx__model_proto__pack(model, bytes);
	}
	if (random_below(random, 3) == 0)
		for (size_t count = 1 + random_below(random, 4); count > 0; count--)
			byte_count = bend_bytes(random, bytes, byte_count);
	return byte_count;
}

static struct seed seed_small(void)
{
	static const int64_t perm[3] = {0, 2, 1};
	static const float floats[6] = {1, 2, 3, 4, 5, 6};
	struct onnx_writer *writer = onnx_writer_new(17);
	struct seed seed;

	onnx_writer_input(writer, "x", DTYPE_F32, "batch,?,3");
	onnx_writer_tensor(writer, "w", DTYPE_F32, "3,2", floats, sizeof(floats));
	onnx_writer_external_words(writer, "b", DTYPE_F32, "2", "model.bin", "64", "8");
	onnx_writer_constant(writer, "c", DTYPE_I64, "3", perm, sizeof(perm));
	onnx_writer_node(writer, "Gemm", "x,w,b", "h");
	onnx_writer_float(writer, "alpha", 1);
	onnx_writer_ints(writer, "perm", perm, 3);
	onnx_writer_floats(writer, "scales", floats, 6);
	onnx_writer_string(writer, "mode", "linear");
	onnx_writer_output(writer, "h", DTYPE_F32, "batch,2");
	seed.bytes = onnx_writer_pack(writer, &seed.byte_count);
	onnx_writer_free(writer);
	return seed;
}

/* Values in every typed field, and a subgraph. */
static struct seed seed_typed(void)
{
	static float floats[2] = {1, 2};
	static int32_t narrow[2] = {0, 1};
	static int64_t wide[2] = {-1, 1};
	static double doubles[2] = {1, 2};
	static uint64_t unsigneds[2] = {1, 2};
	static const int32_t dtypes[5] = {1, 9, 7, 11, 12};
	static const char *const names[5] = {"f", "n", "i", "d", "u"};
	struct onnx_writer *writer = onnx_writer_new(13);
	Onnx__ModelProto *message = onnx_writer_message(writer);
	Onnx__GraphProto branch = ONNX__GRAPH_PROTO__INIT;
	Onnx__TensorProto **tensors;
	struct seed seed;

	for (int index = 0; index < 5; index++)
		onnx_writer_external_words(writer, names[index], dtypes[index], "2", NULL, NULL,
					   NULL);
	tensors = message->graph->initializer;
	for (int index = 0; index < 5; index++)
		tensors[index]->data_location = 0;
	tensors[0]->n_float_data = tensors[1]->n_int32_data = tensors[2]->n_int64_data = 2;
	tensors[3]->n_double_data = tensors[4]->n_uint64_data = 2;
	tensors[0]->float_data = floats;
	tensors[1]->int32_data = narrow;
	tensors[2]->int64_data = wide;
	tensors[3]->double_data = doubles;
	tensors[4]->uint64_data = unsigneds;
	onnx_writer_input(writer, "x", DTYPE_F32, "2");
	onnx_writer_node(writer, "If", "n", "y");
	onnx_writer_int(writer, "then_branch", 0);
	message->graph->node[0]->attribute[0]->type = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__GRAPH;
	message->graph->node[0]->attribute[0]->g = &branch;
	onnx_writer_output(writer, "y", DTYPE_F32, "2");
	seed.bytes = onnx_writer_pack(writer, &seed.byte_count);
	onnx_writer_free(writer);
	return seed;
}

static struct seed seed_file(const char *path)
{
	struct seed seed = {.bytes = malloc(BYTES_MAX)};
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t got = fd < 0 || !seed.bytes ? -1 : read(fd, seed.bytes, BYTES_MAX);

	if (got <= 0) {
		fprintf(stderr, "fuzz_onnx: %s cannot be read; run it in the tree's root\n", path);
		exit(1);
	}
	close(fd);
	seed.byte_count = (size_t)got;
	return seed;
}

static uint64_t environment_number(const char *name, uint64_t otherwise)
{
	const char *word = getenv(name);

	return word && *word ? strtoull(word, NULL, 10) : otherwise;
}

/* What a sanitizer calls before it ends the program; absent without one. */
void __sanitizer_set_death_callback(void (*callback)(void)) __attribute__((weak));

static uint64_t fuzz_seed, fuzz_execution;

static void fuzz_died(void)
{
	char line[96];
	int bytes =
		snprintf(line, sizeof(line), "fuzz_onnx: repeat with FUZZ_SEED=%llu FUZZ_AT=%llu\n",
			 (unsigned long long)fuzz_seed, (unsigned long long)fuzz_execution);

	if (write(2, line, (size_t)bytes) < 0)
		_exit(2);
}

static void fuzz_signal(int number)
{
	fuzz_died();
	signal(number, SIG_DFL);
	raise(number);
}

static double now_seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

int main(void)
{
	struct seed seeds[SEEDS] = {seed_small(), seed_file(SHOPPERS "/model.onnx"), seed_typed()};
	struct pool pool = {.bytes = 4 * BYTES_MAX, .data = aligned_alloc(16, 4 * BYTES_MAX)};
	uint8_t *bytes = malloc(BYTES_MAX + 64);
	uint64_t seed = environment_number("FUZZ_SEED", (uint64_t)time(NULL));
	uint64_t execution = environment_number("FUZZ_AT", 0);
	bool is_repeat = getenv("FUZZ_AT") != NULL;
	uint64_t first = execution, accepted = 0;
	double end = now_seconds() + (double)environment_number("FUZZ_SECONDS", 10);
	int directory_fd = open(SHOPPERS, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (!bytes || !pool.data || directory_fd < 0)
		return 1;
	printf("fuzz_onnx: seed %llu\n", (unsigned long long)seed);
	fflush(stdout);
	fuzz_seed = seed;
	if (__sanitizer_set_death_callback) {
		__sanitizer_set_death_callback(fuzz_died);
	} else {
		signal(SIGSEGV, fuzz_signal);
		signal(SIGBUS, fuzz_signal);
		signal(SIGFPE, fuzz_signal);
	}
	signal(SIGABRT, fuzz_signal);
	do {
		struct random random = {.state = seed ^ execution * UINT64_C(0xd1342543de82ef95)};
		size_t byte_count = bend(&random, &seeds[execution % SEEDS], &pool, bytes);

		fuzz_execution = execution;
		accepted += fuzz_one(directory_fd, bytes, byte_count);
		execution++;
	} while (!is_repeat && (execution % 64 != 0 || now_seconds() < end));
	printf("fuzz_onnx: %llu executions, %llu accepted, seed %llu\n",
	       (unsigned long long)(execution - first), (unsigned long long)accepted,
	       (unsigned long long)seed);
	close(directory_fd);
	free(bytes);
	free(pool.data);
	for (int index = 0; index < SEEDS; index++)
		free(seeds[index].bytes);
	return 0;
}

#endif
