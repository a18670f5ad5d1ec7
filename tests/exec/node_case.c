/* SPDX-License-Identifier: MIT */
/* tests/exec/node_case.c - one case of the ONNX project's node tests: a model, inputs, outputs */
#include "tests/exec/node_case.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "graph/graph.h"
#include "graph/ops.h"

static void *file_read(const char *path, size_t *ret_bytes)
{
	FILE *file = fopen(path, "rb");
	char *data = NULL;
	long bytes;

	if (!file)
		return NULL;
	if (fseek(file, 0, SEEK_END) == 0 && (bytes = ftell(file)) >= 0 &&
	    fseek(file, 0, SEEK_SET) == 0) {
		data = malloc((size_t)bytes + 1);
		if (data && fread(data, 1, (size_t)bytes, file) != (size_t)bytes) {
			free(data);
			data = NULL;
		}
		*ret_bytes = (size_t)bytes;
	}
	(void)fclose(file);
	return data;
}

static Onnx__ModelProto *model_read(const char *directory)
{
	Onnx__ModelProto *model;
	char path[512];
	size_t bytes;
	void *data;

	(void)snprintf(path, sizeof(path), "%s/model.onnx", directory);
	data = file_read(path, &bytes);
	if (!data)
		return NULL;
	model = onnx__model_proto__unpack(NULL, bytes, data);
	free(data);
	return model;
}

static uint32_t tensors_read(const char *directory, const char *kind,
			     Onnx__TensorProto *tensors[NODE_CASE_TENSORS_MAX])
{
	uint32_t count = 0;

	while (count < NODE_CASE_TENSORS_MAX) {
		char path[512];
		size_t bytes;
		void *data;

		(void)snprintf(path, sizeof(path), "%s/test_data_set_0/%s_%u.pb", directory, kind,
			       count);
		data = file_read(path, &bytes);
		if (!data)
			break;
		tensors[count] = onnx__tensor_proto__unpack(NULL, bytes, data);
		free(data);
		if (!tensors[count])
			break;
		count++;
	}
	return count;
}

int node_case_open(const char *directory, struct node_case *ret_case)
{
	struct node_case opened = {.model = model_read(directory)};

	if (!opened.model)
		return -1;
	opened.input_count = tensors_read(directory, "input", opened.inputs);
	opened.output_count = tensors_read(directory, "output", opened.outputs);
	*ret_case = opened;
	if (opened.input_count == opened.model->graph->n_input &&
	    opened.output_count == opened.model->graph->n_output)
		return 0;
	node_case_free(ret_case);
	return -1;
}

void node_case_free(struct node_case *node_case)
{
	for (uint32_t input = 0; input < node_case->input_count; input++)
		onnx__tensor_proto__free_unpacked(node_case->inputs[input], NULL);
	for (uint32_t output = 0; output < node_case->output_count; output++)
		onnx__tensor_proto__free_unpacked(node_case->outputs[output], NULL);
	if (node_case->model)
		onnx__model_proto__free_unpacked(node_case->model, NULL);
	*node_case = (struct node_case){0};
}

bool node_case_is_ours(const char *directory)
{
	Onnx__ModelProto *model = model_read(directory);
	bool ours = model && model->graph && model->graph->n_node > 0;

	for (size_t node = 0; ours && node < model->graph->n_node; node++) {
		const Onnx__NodeProto *source = model->graph->node[node];

		ours = op_find(source->op_type) && (!source->domain || source->domain[0] == '\0');
	}
	for (size_t set = 0; ours && set < model->n_opset_import; set++)
		ours = model->opset_import[set]->version <= GRAPH_OPSET_MAX;
	if (model)
		onnx__model_proto__free_unpacked(model, NULL);
	return ours;
}

/* Must the operator know this input before a run? */
static bool is_needed_at_load(const char *op_type, size_t input)
{
	static const struct {
		const char *operator;
		size_t first;
	} needs[] = {
		{"Reshape", 1}, {"Slice", 1}, {"Squeeze", 1},  {"Unsqueeze", 1}, {"ReduceSum", 1},
		{"Clip", 1},    {"Pad", 1},   {"Dropout", 1},  {"Expand", 1},    {"Tile", 1},
		{"NonZero", 0},
		{"Split", 1},   {"CumSum", 1}, {"ConstantOfShape", 0}, {"Range", 0},
		{"BatchNormalization", 1}, {"TopK", 1},
	};

	for (size_t index = 0; index < sizeof(needs) / sizeof(needs[0]); index++) {
		if (input >= needs[index].first && strcmp(needs[index].operator, op_type) == 0)
			return true;
	}
	return false;
}

/* Moves graph input `index` to the initializers, with the case's own data. */
static void input_bind(struct node_case *node_case, size_t index)
{
	Onnx__GraphProto *graph = node_case->model->graph;
	Onnx__ValueInfoProto *value = graph->input[index];
	Onnx__TensorProto *tensor = node_case->inputs[index];
	size_t count = graph->n_initializer + 1;

	graph->initializer = realloc(graph->initializer, count * sizeof(graph->initializer[0]));
	graph->initializer[graph->n_initializer++] = tensor;
	free(tensor->name);
	tensor->name = strdup(value->name);
	onnx__value_info_proto__free_unpacked(value, NULL);
	for (size_t next = index + 1; next < graph->n_input; next++) {
		graph->input[next - 1] = graph->input[next];
		node_case->inputs[next - 1] = node_case->inputs[next];
	}
	graph->n_input--;
	node_case->input_count--;
	node_case->bound = true;
}

bool node_case_bind(struct node_case *node_case, const char *directory)
{
	Onnx__GraphProto *graph = node_case->model->graph;
	char path[512];
	uint8_t *packed;
	size_t bytes;
	FILE *file;

	for (size_t node = 0; node < graph->n_node; node++) {
		for (size_t input = 0; input < graph->node[node]->n_input; input++) {
			const char *name = graph->node[node]->input[input];

			if (!is_needed_at_load(graph->node[node]->op_type, input))
				continue;
			for (size_t index = 0; index < graph->n_input; index++) {
				if (strcmp(graph->input[index]->name, name) == 0) {
					input_bind(node_case, index);
					break;
				}
			}
		}
	}
	/* What older opsets' cases have of our operators means the same in the oldest that is read. */
	for (size_t set = 0; set < node_case->model->n_opset_import; set++) {
		Onnx__OperatorSetIdProto *import = node_case->model->opset_import[set];

		if (import->version < GRAPH_OPSET_MIN) {
			import->version = GRAPH_OPSET_MIN;
			node_case->bound = true;
		}
	}
	if (!node_case->bound)
		return false;
	packed = malloc(onnx__model_proto__get_packed_size(node_case->model) + 1);
	bytes = onnx__model_proto__pack(node_case->model, packed);
	(void)snprintf(path, sizeof(path), "%s/model.onnx", directory);
	file = fopen(path, "wb");
	if (file) {
		(void)fwrite(packed, 1, bytes, file);
		(void)fclose(file);
	}
	free(packed);
	return true;
}

uint64_t node_case_elements(const Onnx__TensorProto *tensor)
{
	uint64_t elements = 1;

	for (size_t axis = 0; axis < tensor->n_dims; axis++)
		elements *= (uint64_t)tensor->dims[axis];
	return elements;
}

void *node_case_data(const Onnx__TensorProto *tensor)
{
	size_t element_bytes = dtype_bytes((enum dtype)tensor->data_type);
	size_t bytes = node_case_elements(tensor) * element_bytes;
	void *data = aligned_alloc(64, (bytes + 127) & ~(size_t)63);
	size_t typed_bytes = bytes;
	const void *source = tensor->raw_data.data;

	if (tensor->n_float_data > 0)
		source = tensor->float_data;
	if (tensor->n_int32_data > 0)
		source = tensor->int32_data;
	for (size_t index = 0; element_bytes < 4 && index < tensor->n_int32_data; index++)
		memcpy((char *)data + index * element_bytes, &tensor->int32_data[index],
		       element_bytes);
	if (element_bytes < 4 && tensor->n_int32_data > 0)
		source = NULL;
	if (tensor->n_int64_data > 0)
		source = tensor->int64_data;
	if (source == tensor->raw_data.data)
		typed_bytes = tensor->raw_data.len < bytes ? tensor->raw_data.len : bytes;
	if (typed_bytes > 0 && source)
		memcpy(data, source, typed_bytes);
	return data;
}
