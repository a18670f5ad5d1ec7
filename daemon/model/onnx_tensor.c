/* SPDX-License-Identifier: MIT */
/*
 * daemon/model/onnx_tensor.c - one TensorProto: sizes, inline bytes, external words
 *
 * The bytes that a tensor's dims ask for are compared with the bytes that are
 * there before anything is allocated for it.
 */
#include "onnx_parts.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "base/text.h"
#include "onnx.pb-c.h"

#define TENSOR_DIM_MAX (INT64_C(1) << 40)

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "raw_data is little endian and is copied");

/* The repeated fields that values may be written in. */
enum field {
	FIELD_NONE,
	FIELD_FLOAT,
	FIELD_INT32,
	FIELD_INT64,
	FIELD_DOUBLE,
	FIELD_UINT64,
	FIELD_STRING,
	FIELD_COUNT,
};

static const char *const field_names[FIELD_COUNT] = {
	"no field",    "float_data",  "int32_data",  "int64_data",
	"double_data", "uint64_data", "string_data",
};

/* TensorProto.DataType: an element's bytes (0: not of one size, or not known),
 * the field of its values, how many values make one element, and the range of
 * those that are stored narrower than they are written. */
struct element {
	const char *name;
	uint8_t bytes;
	uint8_t values; /* per element */
	enum field field;
	int64_t low, high;
};

static const struct element elements[] = {
	{"UNDEFINED", 0, 1, FIELD_NONE, 0, 0},
	{"FLOAT", 4, 1, FIELD_FLOAT, 0, 0},
	{"UINT8", 1, 1, FIELD_INT32, 0, UINT8_MAX},
	{"INT8", 1, 1, FIELD_INT32, INT8_MIN, INT8_MAX},
	{"UINT16", 2, 1, FIELD_INT32, 0, UINT16_MAX},
	{"INT16", 2, 1, FIELD_INT32, INT16_MIN, INT16_MAX},
	{"INT32", 4, 1, FIELD_INT32, 0, 0},
	{"INT64", 8, 1, FIELD_INT64, 0, 0},
	{"STRING", 0, 1, FIELD_STRING, 0, 0},
	{"BOOL", 1, 1, FIELD_INT32, 0, 1},
	{"FLOAT16", 2, 1, FIELD_INT32, 0, UINT16_MAX},
	{"DOUBLE", 8, 1, FIELD_DOUBLE, 0, 0},
	{"UINT32", 4, 1, FIELD_UINT64, 0, UINT32_MAX},
	{"UINT64", 8, 1, FIELD_UINT64, 0, 0},
	{"COMPLEX64", 8, 2, FIELD_FLOAT, 0, 0},
	{"COMPLEX128", 16, 2, FIELD_DOUBLE, 0, 0},
	{"BFLOAT16", 2, 1, FIELD_INT32, 0, UINT16_MAX},
};

static const struct element element_unknown = {"a later data type", 0, 1, FIELD_NONE, 0, 0};

static const struct element *element_of(int32_t dtype)
{
	size_t count = sizeof(elements) / sizeof(elements[0]);

	return dtype >= 0 && (size_t)dtype < count ? &elements[dtype] : &element_unknown;
}

static size_t field_count(const Onnx__TensorProto *proto, enum field field)
{
	switch (field) {
	case FIELD_FLOAT:
		return proto->n_float_data;
	case FIELD_INT32:
		return proto->n_int32_data;
	case FIELD_INT64:
		return proto->n_int64_data;
	case FIELD_DOUBLE:
		return proto->n_double_data;
	case FIELD_UINT64:
		return proto->n_uint64_data;
	case FIELD_STRING:
		return proto->n_string_data;
	default:
		return 0;
	}
}

static const void *field_values(const Onnx__TensorProto *proto, enum field field)
{
	switch (field) {
	case FIELD_FLOAT:
		return proto->float_data;
	case FIELD_INT32:
		return proto->int32_data;
	case FIELD_INT64:
		return proto->int64_data;
	case FIELD_DOUBLE:
		return proto->double_data;
	case FIELD_UINT64:
		return proto->uint64_data;
	default:
		return NULL;
	}
}

static int tensor_dims(const struct onnx_whole *whole, const Onnx__TensorProto *proto,
		       const char *label, uint64_t element_bytes, struct onnx_tensor *tensor)
{
	uint64_t bytes = element_bytes;
	bool is_too_large = false;
	bool is_empty = false;

	if (proto->n_dims > ONNX_RANK_MAX)
		return err_raise(-EINVAL, "%s/model.onnx: %s has %zu dims; at most %d are read",
				 whole->name, label, proto->n_dims, ONNX_RANK_MAX);
	for (uint32_t dim = 0; dim < proto->n_dims; dim++) {
		int64_t value = proto->dims[dim];

		if (value < 0 || value > TENSOR_DIM_MAX)
			return err_raise(-EINVAL,
					 "%s/model.onnx: %s: dim %u is %lld; 0 to 2^40 is wanted",
					 whole->name, label, dim, (long long)value);
		tensor->dims[dim] = value;
		is_empty |= value == 0;
		if (!is_too_large)
			is_too_large = __builtin_mul_overflow(bytes, (uint64_t)value, &bytes);
	}
	if (is_empty)
		bytes = 0;
	else if (is_too_large || bytes > INT64_MAX)
		return err_raise(-EINVAL,
				 "%s/model.onnx: %s: its dims ask for more than 2^63 bytes",
				 whole->name, label);
	tensor->rank = (uint32_t)proto->n_dims;
	tensor->bytes = bytes;
	return 0;
}

/* A decimal number without a sign, as external_data writes it. */
static bool tensor_number(const char *word, uint64_t *ret_value)
{
	uint64_t value = 0;

	if (word[0] == '\0')
		return false;
	for (; *word; word++) {
		if (*word < '0' || *word > '9' || __builtin_mul_overflow(value, 10, &value) ||
		    __builtin_add_overflow(value, (uint64_t)(*word - '0'), &value))
			return false;
	}
	*ret_value = value;
	return true;
}

/* A relative path of readable text without "..". openat2 refuses
 * what leads outside, too; this one has the better words and needs no kernel. */
static const char *location_fault(const char *location)
{
	if (location[0] == '\0')
		return "is empty";
	if (location[0] == '/')
		return "is an absolute path; one beside model.onnx is wanted";
	if (strlen(location) > ONNX_NAME_BYTES_MAX)
		return "is longer than 1024 bytes";
	if (!text_is_clean(location, strlen(location)))
		return "is not UTF-8 text without control characters";
	for (const char *part = location; part; part = strchr(part, '/')) {
		part += part != location;
		if (strncmp(part, "..", 2) == 0 && (part[2] == '/' || part[2] == '\0'))
			return "contains \"..\"; a path beside model.onnx is wanted";
	}
	return NULL;
}

/* Which of a tensor's external_data entries says what; a key may be there once. */
struct external_words {
	const char *location, *offset, *length;
};

static int tensor_external_words(const struct onnx_whole *whole, const Onnx__TensorProto *proto,
				 const char *label, struct external_words *words)
{
	for (size_t index = 0; index < proto->n_external_data; index++) {
		const Onnx__StringStringEntryProto *entry = proto->external_data[index];
		const char *key = entry->key ? entry->key : "";
		const char **word;

		if (strcmp(key, "location") == 0)
			word = &words->location;
		else if (strcmp(key, "offset") == 0)
			word = &words->offset;
		else if (strcmp(key, "length") == 0)
			word = &words->length;
		else
			continue; /* checksum and what later writers add */
		if (*word)
			return err_raise(-EINVAL, "%s/model.onnx: %s: external_data has two \"%s\"",
					 whole->name, label, key);
		*word = entry->value ? entry->value : "";
	}
	return 0;
}

static int tensor_external(struct onnx_whole *whole, const Onnx__TensorProto *proto,
			   const char *label, struct onnx_tensor *tensor)
{
	struct external_words words = {0};
	uint64_t offset = 0, length, file_bytes;
	const char *fault;
	int r;

	r = tensor_external_words(whole, proto, label, &words);
	if (r < 0)
		return err_trace(r);
	if (!words.location)
		return err_raise(-EINVAL, "%s/model.onnx: %s: external_data has no location",
				 whole->name, label);
	fault = location_fault(words.location);
	if (fault)
		return err_raise(-EINVAL, "%s/model.onnx: %s: its external location %s",
				 whole->name, label, fault);
	if (words.offset && !tensor_number(words.offset, &offset))
		return err_raise(-EINVAL,
				 "%s/model.onnx: %s: its external offset is not a decimal number "
				 "of bytes",
				 whole->name, label);
	length = tensor->bytes;
	if (words.length && !tensor_number(words.length, &length))
		return err_raise(-EINVAL,
				 "%s/model.onnx: %s: its external length is not a decimal number "
				 "of bytes",
				 whole->name, label);
	if (length != tensor->bytes)
		return err_raise(-EINVAL,
				 "%s/model.onnx: %s: its dims ask for %llu bytes and its external "
				 "length is %llu",
				 whole->name, label, (unsigned long long)tensor->bytes,
				 (unsigned long long)length);
	r = onnx_file_find(whole, words.location, &tensor->file_index);
	if (r < 0)
		return err_trace(r);
	file_bytes = (uint64_t)whole->files[tensor->file_index].stat.st_size;
	if (offset > file_bytes || length > file_bytes - offset)
		return err_raise(
			-EINVAL,
			"%s/model.onnx: %s: wants %llu bytes at %llu of %s, which has %llu",
			whole->name, label, (unsigned long long)length, (unsigned long long)offset,
			words.location, (unsigned long long)file_bytes);
	tensor->source = ONNX_EXTERNAL;
	tensor->offset = offset;
	return 0;
}

static int tensor_copy(struct onnx_whole *whole, const void *data, uint64_t bytes,
		       const char *label, struct onnx_tensor *tensor)
{
	void *copy = onnx_alloc(whole, bytes > 0 ? bytes : 1, 1);

	if (!copy)
		return err_raise(-ENOMEM, "%s/model.onnx: %s: no memory for %llu bytes",
				 whole->name, label, (unsigned long long)bytes);
	if (bytes > 0 && data)
		memcpy(copy, data, bytes);
	tensor->data = copy;
	return 0;
}

/* Values that are written wider than they are stored. */
static int tensor_narrow(struct onnx_whole *whole, const Onnx__TensorProto *proto,
			 const struct element *element, const char *label,
			 struct onnx_tensor *tensor)
{
	size_t count = field_count(proto, element->field);
	uint8_t *stored;
	int r;

	r = tensor_copy(whole, NULL, tensor->bytes, label, tensor);
	if (r < 0)
		return err_trace(r);
	stored = (uint8_t *)(uintptr_t)tensor->data;
	for (size_t index = 0; index < count; index++) {
		int64_t value = element->field == FIELD_INT32 ? proto->int32_data[index]
				: proto->uint64_data[index] > INT64_MAX
					? INT64_MAX
					: (int64_t)proto->uint64_data[index];

		if (value < element->low || value > element->high)
			return err_raise(
				-EINVAL, "%s/model.onnx: %s: value %zu is %lld, which no %s is",
				whole->name, label, index, (long long)value, element->name);
		memcpy(stored + index * element->bytes, &value, element->bytes);
	}
	return 0;
}

static int tensor_typed(struct onnx_whole *whole, const Onnx__TensorProto *proto,
			const struct element *element, const char *label,
			struct onnx_tensor *tensor)
{
	size_t count = field_count(proto, element->field);
	uint64_t wanted = tensor->bytes / element->bytes * element->values;

	if (count != wanted)
		return err_raise(-EINVAL,
				 "%s/model.onnx: %s: its dims ask for %llu values and %s has %zu",
				 whole->name, label, (unsigned long long)wanted,
				 field_names[element->field], count);
	if (element->high != 0)
		return tensor_narrow(whole, proto, element, label, tensor);
	return tensor_copy(whole, field_values(proto, element->field), tensor->bytes, label,
			   tensor);
}

/* raw_data, as it is: a copy, or where it was left. */
static int tensor_raw(struct onnx_whole *whole, const Onnx__TensorProto *proto,
		      const struct onnx_left *left, const char *label, struct onnx_tensor *tensor)
{
	if (!left)
		return tensor_copy(whole, proto->raw_data.data, tensor->bytes, label, tensor);
	tensor->source = ONNX_EXTERNAL;
	tensor->file_index = 0;
	tensor->offset = left->offset;
	return 0;
}

static int tensor_inline(struct onnx_whole *whole, const Onnx__TensorProto *proto,
			 const struct element *element, const char *label,
			 const struct onnx_left *left, struct onnx_tensor *tensor)
{
	uint64_t raw_bytes = left ? left->bytes : proto->raw_data.len;
	bool is_typed = false;

	for (enum field field = FIELD_FLOAT; field < FIELD_COUNT; field++) {
		if (field_count(proto, field) == 0)
			continue;
		if (field != element->field)
			return err_raise(-EINVAL, "%s/model.onnx: %s is %s and has values in %s",
					 whole->name, label, element->name, field_names[field]);
		is_typed = true;
	}
	if (is_typed && raw_bytes > 0)
		return err_raise(-EINVAL, "%s/model.onnx: %s has values in raw_data and in %s",
				 whole->name, label, field_names[element->field]);
	if (element->bytes == 0) {
		/* Nobody computes with these: the bytes as they are, of strings none. */
		tensor->bytes = raw_bytes;
		return tensor_raw(whole, proto, left, label, tensor);
	}
	if (is_typed)
		return tensor_typed(whole, proto, element, label, tensor);
	if (raw_bytes != tensor->bytes)
		return err_raise(
			-EINVAL,
			"%s/model.onnx: %s: its dims ask for %llu bytes and %llu are there",
			whole->name, label, (unsigned long long)tensor->bytes,
			(unsigned long long)raw_bytes);
	return tensor_raw(whole, proto, left, label, tensor);
}

int onnx_tensor_fill(struct onnx_whole *whole, const struct Onnx__TensorProto *proto,
		     const char *label, bool may_be_external, const struct onnx_left *left,
		     struct onnx_tensor *tensor)
{
	const struct element *element = element_of(proto->data_type);
	bool is_external = proto->has_data_location &&
			   proto->data_location != ONNX__TENSOR_PROTO__DATA_LOCATION__DEFAULT;
	int r;

	if (!proto->has_data_type || proto->data_type <= 0)
		return err_raise(-EINVAL, "%s/model.onnx: %s has no data type", whole->name, label);
	if (proto->segment)
		return err_raise(-EOPNOTSUPP,
				 "%s/model.onnx: %s is one segment of a tensor; "
				 "whole tensors are read",
				 whole->name, label);
	tensor->name = onnx_copy_string(whole, proto->name);
	if (!tensor->name)
		return err_raise(-ENOMEM, "%s/model.onnx: no memory for a name", whole->name);
	tensor->dtype = proto->data_type;
	r = tensor_dims(whole, proto, label, element->bytes, tensor);
	if (r < 0)
		return err_trace(r);
	if (!is_external)
		return tensor_inline(whole, proto, element, label, left, tensor);

	if (proto->data_location != ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL)
		return err_raise(-EINVAL,
				 "%s/model.onnx: %s has data location %d; 0 and 1 are known",
				 whole->name, label, (int)proto->data_location);
	if (!may_be_external || element->bytes == 0)
		return err_raise(-EOPNOTSUPP,
				 "%s/model.onnx: %s is external data; only initializers of a "
				 "numeric type may be",
				 whole->name, label);
	if (proto->has_raw_data)
		return err_raise(-EINVAL, "%s/model.onnx: %s has raw_data and external data",
				 whole->name, label);
	r = tensor_external(whole, proto, label, tensor);
	return r < 0 ? err_trace(r) : 0;
}
