#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""tests/models/embedding_bag.py - nn.EmbeddingBag as PyTorch's TorchScript exporter writes it

usage: embedding_bag.py DIRECTORY     (python3-numpy, python3-onnx)

bag() gives the nodes of one bag: a Loop since opset 11, whose body slices the ids between two offsets,
gathers their rows and reduces them. A caller appends them to its own graph. As a program this writes each
variant small, DIRECTORY/VARIANT/1/model.onnx: opsets, modes, weights, include_last_offset, values and
offsets, ids of two dimensions with a known and with a free batch.
"""
import os
import sys

import numpy as np
from onnx import TensorProto, helper, numpy_helper, save

SEED = 20261127
REDUCE = {"sum": "ReduceSum", "mean": "ReduceMean", "max": "ReduceMax"}
FAR = np.iinfo(np.int64).max


class Writer:
    """Nodes whose names begin with a prefix."""

    def __init__(self, prefix, opset):
        self.prefix, self.opset, self.nodes, self.count = prefix, opset, [], 0

    def name(self, word):
        self.count += 1
        return f"{self.prefix}{word}_{self.count}"

    def node(self, op_type, *inputs, **attributes):
        output = self.name(op_type.lower())
        self.nodes.append(helper.make_node(op_type, list(inputs), [output], **attributes))
        return output

    def constant(self, value):
        return self.node("Constant", value=numpy_helper.from_array(np.asarray(value, dtype=np.int64)))

    def with_axes(self, op_type, operand, axis, **attributes):
        """Axes are an attribute before opset 13 (ReduceMean and ReduceMax: 18), an input since."""
        since = 18 if op_type in ("ReduceMean", "ReduceMax") else 13
        if self.opset < since:
            return self.node(op_type, operand, axes=[axis], **attributes)
        return self.node(op_type, operand, self.constant([axis]), **attributes)


def body(outer, table, ids, starts, ends, weights, zero, condition, mode):
    inner = Writer(outer.prefix + "body_", outer.opset)
    number, go = inner.name("number"), inner.name("go")
    begin = inner.with_axes("Unsqueeze", inner.node("Gather", starts, number, axis=0), 0)
    end = inner.with_axes("Unsqueeze", inner.node("Gather", ends, number, axis=0), 0)
    rows = inner.node("Gather", table, inner.node("Slice", ids, begin, end, zero), axis=0)
    if weights:
        column = inner.with_axes("Unsqueeze", inner.node("Slice", weights, begin, end, zero), 1)
        rows = inner.node("Mul", rows, column)
    pooled = inner.with_axes(REDUCE[mode], rows, 0, keepdims=0)
    again = inner.node("Cast", condition, to=TensorProto.BOOL)
    return helper.make_graph(
        inner.nodes, outer.prefix + "body",
        [helper.make_tensor_value_info(number, TensorProto.INT64, []),
         helper.make_tensor_value_info(go, TensorProto.BOOL, [])],
        [helper.make_tensor_value_info(again, TensorProto.BOOL, []),
         helper.make_tensor_value_info(pooled, TensorProto.FLOAT, ["dim"])])


def bag(prefix, table, ids, output, offsets=None, weights=None, mode="sum", include_last=False, opset=13,
        batch=None, hot=None):
    """Nodes that pool rows of `table` into `output` [rows, dim]. With `offsets`, ids and weights are [values];
    without, they are [batch, hot] and flattened, with `batch` and `hot` known or read from the ids' shape."""
    writer = Writer(prefix, opset)
    if offsets is None:
        flat = writer.constant([-1])
        if batch and hot:
            offsets = writer.constant(np.arange(batch) * hot)
        else:
            shape = writer.node("Shape", ids)
            numel = writer.node("ReduceProd", shape, keepdims=0)
            step = writer.node("Gather", shape, writer.constant(1), axis=0)
            offsets = writer.node("Range", writer.constant(0), numel, step)
        ids = writer.node("Reshape", ids, flat)
        weights = weights and writer.node("Reshape", weights, flat)
    condition = writer.node("Cast", writer.constant(1), to=TensorProto.BOOL)
    zero, one, far = writer.constant([0]), writer.constant([1]), writer.constant([FAR])
    first = writer.constant(0)
    count = writer.node("Gather", writer.node("Shape", ids), first, axis=0)
    count = writer.with_axes("Unsqueeze", count, 0)
    bounds = offsets if include_last else writer.node("Concat", offsets, count, axis=0)
    starts = writer.node("Slice", bounds, zero, far, zero, one)
    ends = writer.node("Slice", bounds, one, far, zero, one)
    trips = writer.node("Gather", writer.node("Shape", ends), first, axis=0)
    graph = body(writer, table, ids, starts, ends, weights, zero, condition, mode)
    writer.nodes.append(helper.make_node("Loop", [trips, condition], [output], body=graph))
    return writer.nodes


def model(opset, mode, weighted, include_last, batch, hot, rows=11, dim=5):
    """One bag as a whole model; `hot` None: values and offsets, `batch` None: it is free."""
    random = np.random.Generator(np.random.SFC64(SEED))
    shape = ["values"] if hot is None else [batch or "batch", hot]
    inputs = [helper.make_tensor_value_info("ids", TensorProto.INT64, shape)]
    if hot is None:
        inputs.append(helper.make_tensor_value_info("offsets", TensorProto.INT64,
                                                    ["bounds" if include_last else "batch"]))
    if weighted:
        inputs.append(helper.make_tensor_value_info("weights", TensorProto.FLOAT, shape))
    nodes = bag("bag_", "table", "ids", "y", None if hot else "offsets", "weights" if weighted else None, mode,
                include_last, opset, batch, hot)
    table = random.random((rows, dim), dtype=np.float32) - np.float32(0.5)
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["rows", dim])]
    graph = helper.make_graph(nodes, "bag", inputs, outputs, [numpy_helper.from_array(table, "table")])
    return helper.make_model(graph, producer_name="hearth", opset_imports=[helper.make_opsetid("", opset)])


def variants():
    """Names, and what model() takes."""
    for opset in (11, 13, 17):
        for mode in REDUCE:
            for weighted in (False, True):
                name = f"{mode}{'_weighted' if weighted else ''}_opset{opset}"
                yield name, (opset, mode, weighted, False, None, None)
                yield name + "_include_last", (opset, mode, weighted, True, None, None)
                yield name + "_fixed", (opset, mode, weighted, False, 4, 3)
                yield name + "_matrix", (opset, mode, weighted, False, None, 3)


def main():
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        print(__doc__.split("\n\n", 2)[1], file=sys.stderr)
        return 2
    for name, arguments in variants():
        directory = os.path.join(sys.argv[1], name, "1")
        os.makedirs(directory, exist_ok=True)
        save(model(*arguments), os.path.join(directory, "model.onnx"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
