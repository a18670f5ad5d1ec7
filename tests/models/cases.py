#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""tests/models/cases.py - small models of one operator or a few, and inputs for them

usage: cases.py DIRECTORY     (python3-numpy, python3-onnx)

Writes DIRECTORY/CASE/model.onnx and its inputs, input_0.npy and so on, for what the ONNX project's node tests of
a distribution do not have: what changed at opsets 18 to 21, Gelu in a file, narrow types, and nn.EmbeddingBag
as the exporters write it (embedding_bag.py). There are no outputs: tests/peers/alike.c has two engines compute
them.
"""
import os
import sys

import numpy as np
from onnx import TensorProto, helper, numpy_helper, save

import embedding_bag

SEED = 20261127
ROWS = 5  # of what is called "batch"
TYPES = {"f32": np.float32, "f16": np.float16, "i64": np.int64, "i32": np.int32, "u8": np.uint8, "i8": np.int8,
         "bool": np.bool_}
PROTO = {np.dtype(kind): number for number, kind in (
    (TensorProto.FLOAT, np.float32), (TensorProto.FLOAT16, np.float16), (TensorProto.INT64, np.int64),
    (TensorProto.INT32, np.int32), (TensorProto.UINT8, np.uint8), (TensorProto.INT8, np.int8),
    (TensorProto.BOOL, np.bool_))}

random = np.random.Generator(np.random.SFC64(SEED))


def draw(kind, shape):
    if kind in ("f32", "f16"):
        return (random.random(shape, dtype=np.float32) * 4 - 2).astype(TYPES[kind])
    if kind == "bool":
        return random.integers(0, 2, shape).astype(np.bool_)
    return random.integers(0 if kind == "u8" else -9, 10, shape).astype(TYPES[kind])


class Case:
    """One model: inputs as "f32 batch 4", constants as arrays, nodes in order."""

    def __init__(self, name, opset):
        self.name, self.opset = name, opset
        self.inputs, self.arrays, self.constants, self.nodes = [], [], [], []

    def input(self, text, values=None):
        kind, *dims = text.split()
        name = f"x{len(self.inputs)}"
        shape = [ROWS if dim == "batch" else int(dim) for dim in dims]
        array = draw(kind, shape) if values is None else np.asarray(values, dtype=TYPES[kind])
        symbols = [dim if dim == "batch" else int(dim) for dim in dims]
        self.inputs.append(helper.make_tensor_value_info(name, PROTO[array.dtype], symbols))
        self.arrays.append(array)
        return name

    def constant(self, array, kind="i64"):
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(array, dtype=TYPES[kind]), name))
        return name

    def node(self, op_type, *inputs, outputs=1, **attributes):
        names = [f"y{len(self.nodes)}_{index}" for index in range(outputs)]
        self.nodes.append(helper.make_node(op_type, list(inputs), names, **attributes))
        return names[0] if outputs == 1 else names

    def model(self, outputs):
        results = [helper.make_tensor_value_info(name, PROTO[np.dtype(TYPES[kind])], None)
                   for name, kind in (output if isinstance(output, tuple) else (output, "f32") for output in outputs)]
        graph = helper.make_graph(self.nodes, self.name, self.inputs, results, self.constants)
        return helper.make_model(graph, producer_name="hearth", ir_version=8,
                                 opset_imports=[helper.make_opsetid("", self.opset)])


CASES = []


def case(*opsets):
    """A function of a Case that returns its outputs, once for each opset: names of f32, or (name, type)."""
    def add(function):
        for opset in opsets:
            CASES.append((function, f"{function.__name__}_{opset}", opset))
        return function
    return add


# --- Gelu -------------------------------------------------------------------------------------------------------

@case(20, 21)
def gelu(it):
    x = it.input("f32 batch 37")
    return [it.node("Gelu", x), it.node("Gelu", x, approximate="tanh")]


@case(20)
def gelu_behind_a_product(it):
    x = it.input("f32 batch 8")
    h = it.node("Gemm", x, it.constant(draw("f32", (8, 24)), "f32"), it.constant(draw("f32", (24,)), "f32"))
    return [it.node("Gelu", h), it.node("Gelu", h, approximate="tanh")]


@case(9, 13, 18, 21)
def gelu_spelled_out(it):
    x = it.input("f32 batch 19")
    erf = it.node("Erf", it.node("Div", x, it.constant(np.sqrt(2), "f32")))
    half = it.node("Mul", x, it.constant(0.5, "f32"))
    return [it.node("Mul", half, it.node("Add", erf, it.constant(1, "f32")))]


# --- reductions -------------------------------------------------------------------------------------------------

def reductions(it, names):
    x = it.input("f32 batch 4 6")
    outputs = []
    for name in names:
        for axes in ([1], [-1], [1, 2]):
            keeps = axes != [-1]
            outputs.append(it.node(name, x, it.constant(axes), keepdims=int(keeps)))
    return outputs


@case(18, 21)
def reduce_axes_are_an_input(it):
    return reductions(it, ["ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd"])


@case(18, 21)
def reduce_norms(it):
    return reductions(it, ["ReduceL1", "ReduceL2", "ReduceSumSquare"])


@case(18)
def reduce_nothing(it):
    x = it.input("f32 batch 4")
    return [it.node("ReduceSum", x, it.constant([]), noop_with_empty_axes=1)]


@case(20)
def reduce_largest_of_bool(it):
    x = it.input("bool batch 9")
    return [it.node("Cast", it.node("ReduceMax", x, it.constant([1]), keepdims=0), to=TensorProto.INT32)]


# --- shapes -----------------------------------------------------------------------------------------------------

@case(18, 21)
def split_uneven(it):
    x = it.input("f32 batch 11")
    return it.node("Split", x, axis=1, num_outputs=3, outputs=3)


@case(13, 18)
def split_as_told(it):
    x = it.input("f32 batch 10")
    return it.node("Split", x, it.constant([1, 7, 2]), axis=-1, outputs=3)


@case(18, 21)
def pad_named_axes(it):
    x = it.input("f32 batch 4 6")
    return [it.node("Pad", x, it.constant([1, 0, 2, 1]), it.constant(0.5, "f32"), it.constant([1, 2]))]


@case(15, 19, 21)
def shape_of_some_axes(it):
    x = it.input("f32 batch 4 6")
    middle = it.node("Shape", x, start=1, end=-1)
    return [it.node("Reshape", x, it.node("Concat", it.constant([-1]), middle, axis=0))]


@case(14, 19, 21)
def reshape_copies_a_zero(it):
    x = it.input("f32 batch 4 6")
    return [it.node("Reshape", x, it.constant([0, -1]))]


@case(13, 21)
def flatten_transpose_squeeze(it):
    x = it.input("f32 batch 1 6 2")
    turned = it.node("Transpose", it.node("Squeeze", x, it.constant([1])), perm=[0, 2, 1])
    return [it.node("Flatten", turned, axis=1), it.node("Unsqueeze", turned, it.constant([1, -1]))]


# --- types ------------------------------------------------------------------------------------------------------

@case(9, 13, 19, 21)
def cast_narrow(it):
    x = it.input("f32 batch 6")
    outputs = []
    for to in (TensorProto.FLOAT16, TensorProto.INT8, TensorProto.INT32, TensorProto.BOOL):
        outputs.append(it.node("Cast", it.node("Cast", x, to=to), to=TensorProto.FLOAT))
    return outputs


@case(13, 19)
def equal_of_narrow_types(it):
    left, right = it.input("u8 batch 40"), it.input("u8 batch 40")
    flags = it.node("Equal", left, right)
    return [it.node("Cast", flags, to=TensorProto.FLOAT),
            it.node("Where", flags, it.input("f32 batch 40"), it.input("f32 batch 40"))]


@case(10, 13, 19, 21)
def quantize_and_back(it):
    x = it.input("f32 batch 33")
    scale, zero = it.constant(0.0173, "f32"), it.constant(131, "u8")
    quantized = it.node("QuantizeLinear", x, scale, zero)
    return [(quantized, "u8"), it.node("DequantizeLinear", quantized, scale, zero)]


@case(13, 21)
def dequantize_by_column(it):
    x = it.input("i8 batch 7")
    scale = it.constant(np.abs(draw("f32", (7,))) + 0.1, "f32")
    return [it.node("DequantizeLinear", x, scale, it.constant(draw("i8", (7,)), "i8"), axis=1)]


@case(13, 18)
def products_in_half(it):
    x = it.input("f16 batch 16")
    return [(it.node("MatMul", x, it.constant(draw("f16", (16, 8)), "f16")), "f16")]


# --- selection --------------------------------------------------------------------------------------------------

@case(11, 13, 18)
def rows_by_id(it):
    ids = it.input("i64 batch 3", random.integers(-7, 7, (ROWS, 3)))
    return [it.node("Gather", it.constant(draw("f32", (7, 5)), "f32"), ids)]


@case(13)
def elements_by_id(it):
    x, ids = it.input("f32 batch 9"), it.input("i64 batch 4", random.integers(-9, 9, (ROWS, 4)))
    return [it.node("GatherElements", x, ids, axis=1)]


@case(13)
def triangle_by_pairs(it):
    x = it.input("f32 batch 4 6")
    dots = it.node("MatMul", x, it.node("Transpose", x, perm=[0, 2, 1]))
    pairs = [[row, column] for row in range(4) for column in range(row)]
    turned = it.node("Transpose", dots, perm=[1, 2, 0])
    return [it.node("Transpose", it.node("GatherND", turned, it.constant(pairs)), perm=[1, 0])]


@case(16, 18)
def scattered_rows(it):
    x, updates = it.input("f32 6 4"), it.input("f32 3 4")
    return [it.node("ScatterND", x, it.constant([[4], [0], [4]]), updates, reduction="add")]


@case(11, 21)
def largest(it):
    x = it.input("f32 batch 12")
    values, places = it.node("TopK", x, it.constant([5]), axis=1, outputs=2)
    least, where = it.node("TopK", x, it.constant([3]), axis=1, largest=0, outputs=2)
    return [values, (places, "i64"), least, (where, "i64")]


@case(13, 18)
def where_larger(it):
    x, y = it.input("f32 batch 6"), it.input("f32 batch 6")
    return [it.node("Where", it.node("Greater", x, y), x, y), (it.node("ArgMax", x, axis=1, keepdims=0), "i64")]


# --- arithmetic -------------------------------------------------------------------------------------------------

@case(12, 21)
def contractions(it):
    x, y = it.input("f32 batch 4 6"), it.input("f32 batch 6 3")
    return [it.node("Einsum", x, y, equation="bik,bkj->bij"), it.node("Einsum", x, equation="bik->bki"),
            it.node("Einsum", x, x, equation="bik,bjk->bij"), it.node("Einsum", x, equation="bik->b")]


@case(10, 21)
def integer_products(it):
    x, y = it.input("u8 batch 16"), it.constant(draw("i8", (16, 6)), "i8")
    return [(it.node("MatMulInteger", x, y, it.constant(3, "u8"), it.constant(-2, "i8")), "i32")]


@case(11, 21)
def quantized_as_it_goes(it):
    x = it.input("f32 8 16")
    quantized, scale, zero = it.node("DynamicQuantizeLinear", x, outputs=3)
    return [(quantized, "u8"), scale, (zero, "u8")]


@case(17, 18, 21)
def normalized_rows(it):
    x = it.input("f32 batch 48")
    return [it.node("LayerNormalization", x, it.constant(draw("f32", (48,)), "f32"),
                    it.constant(draw("f32", (48,)), "f32"), axis=-1)]


@case(9, 15, 21)
def normalized_columns(it):
    x = it.input("f32 batch 6")
    spread = np.abs(draw("f32", (6,))) + 0.1
    return [it.node("BatchNormalization", x, *[it.constant(draw("f32", (6,)), "f32") for _ in range(3)],
                    it.constant(spread, "f32"))]


@case(13, 21)
def activations(it):
    x = it.input("f32 batch 21")
    outputs = [it.node(name, x) for name in ("Relu", "Sigmoid", "Tanh", "Softplus", "Erf", "Elu", "HardSwish",
                                             "HardSigmoid") if it.opset >= 14 or name != "HardSwish"]
    return outputs + [it.node("Softmax", x, axis=-1), it.node("LogSoftmax", x, axis=-1),
                      it.node("PRelu", x, it.constant(draw("f32", (21,)), "f32"))]


@case(13, 18)
def running_sums(it):
    x = it.input("f32 batch 9")
    return [it.node("CumSum", x, it.constant(1)), it.node("CumSum", x, it.constant(1), exclusive=1, reverse=1)]


# --- files ------------------------------------------------------------------------------------------------------

def write(directory, model, arrays):
    os.makedirs(directory, exist_ok=True)
    save(model, os.path.join(directory, "model.onnx"))
    for index, array in enumerate(arrays):
        np.save(os.path.join(directory, f"input_{index}.npy"), np.ascontiguousarray(array))


def bag_arrays(model):
    """What nn.EmbeddingBag is asked: bags of none, one and several of 11 rows."""
    arrays = []
    for value in model.graph.input:
        dims = [dim.dim_value or dim.dim_param for dim in value.type.tensor_type.shape.dim]
        if value.name == "offsets":
            bounds = [0, 3, 3, 4, 9]
            arrays.append(np.array(bounds + [12] if dims == ["bounds"] else bounds, dtype=np.int64))
        else:
            shape = [12 if dim == "values" else ROWS if isinstance(dim, str) else dim for dim in dims]
            is_ids = value.type.tensor_type.elem_type == TensorProto.INT64
            arrays.append(random.integers(0, 11, shape) if is_ids else draw("f32", shape))
    return arrays


def main():
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        print(__doc__.split("\n\n", 2)[1], file=sys.stderr)
        return 2
    for function, name, opset in CASES:
        it = Case(name, opset)
        outputs = function(it)
        write(os.path.join(sys.argv[1], name), it.model(outputs), it.arrays)
    for name, arguments, others in embedding_bag.variants():
        model = embedding_bag.model(*arguments, **others)
        write(os.path.join(sys.argv[1], "bag_" + name), model, bag_arrays(model))
    return 0


if __name__ == "__main__":
    sys.exit(main())
