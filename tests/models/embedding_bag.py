#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""tests/models/embedding_bag.py - nn.EmbeddingBag as PyTorch's two exporters write it

usage: embedding_bag.py DIRECTORY     (python3-numpy, python3-onnx)

bag() gives the nodes of one bag by the TorchScript exporter: a Loop since opset 11, whose body slices the
ids between two offsets, gathers their rows and reduces them. sequence_bag() gives those of the exporter of
torch.onnx.export(dynamo=True): all rows are gathered first, and a Loop fills a sequence. A caller appends them
to its own graph. As a program this writes each variant small, DIRECTORY/VARIANT/1/model.onnx: opsets, modes,
weights, include_last_offset, padding_idx, values and offsets, ids of two dimensions with a known and with a free
batch.
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

    def floats(self, value):
        return self.node("Constant", value=numpy_helper.from_array(np.asarray(value, dtype=np.float32)))

    def outputs(self, op_type, words, inputs, **attributes):
        names = [self.name(word) for word in words]
        self.nodes.append(helper.make_node(op_type, inputs, names, **attributes))
        return names

    def inner(self, word):
        """Of a body, whose names are nobody else's."""
        return Writer(self.name(word) + "_", self.opset)

    def graph(self, inputs, outputs):
        """The body that has been written: of a Loop its number and condition have types, all else has names."""
        kinds = [TensorProto.INT64, TensorProto.BOOL] + [None] * len(inputs)
        return helper.make_graph(self.nodes, self.prefix + "graph",
                                 [helper.make_tensor_value_info(name, kind, []) if kind else
                                  helper.make_empty_tensor_value_info(name) for name, kind in zip(inputs, kinds)],
                                 [helper.make_empty_tensor_value_info(name) for name in outputs])

    def choose(self, condition, then, otherwise):
        """An If of two functions that write what a branch gives."""
        branches = []
        for write in (then, otherwise):
            branch = self.inner("branch")
            branches.append(branch.graph([], [write(branch)]))
        return self.node("If", condition, then_branch=branches[0], else_branch=branches[1])

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


def flat_offsets(writer, ids, batch, hot):
    """Where the rows of ids [batch, hot] begin when they are flat."""
    if batch and hot:
        return writer.constant(np.arange(batch) * hot)
    return writer.node("Range", writer.constant(0), writer.node("Size", ids), writer.constant(hot))


def empty_or(writer, is_empty, table, pooled):
    def zeros(branch):
        width = branch.node("Shape", table, start=1, end=2)
        shape = branch.node("Concat", branch.constant([1]), width, axis=0)
        return branch.node("Expand", branch.floats([0.0]), shape)

    return writer.choose(is_empty, zeros, pooled)


def sliced_row(body, number, bounds, rows, ids, count, bags, table, mode):
    """A bag of the rows between two bounds."""
    at = body.node("Reshape", number, body.constant([-1]))
    steps = [body.node("Add", at, body.node("CastLike", body.constant(step), at)) for step in (1, 2)]
    begin = body.node("Slice", bounds, at, steps[0])
    end = body.node("Slice", bounds, steps[0], steps[1])

    def slice_of(branch, last):
        return branch.node("Slice", rows, begin, last)

    def last_mean(branch):
        total = branch.with_axes("ReduceSum", slice_of(branch, end), 0)
        divisor = branch.node("Sub", branch.node("Shape", ids, start=0, end=1), begin)
        return branch.choose(
            branch.node("Greater", divisor, branch.constant(0)),
            lambda inner: inner.node("Div", total, inner.node("Cast", divisor, to=TensorProto.FLOAT)),
            lambda inner: inner.node("Identity", total))

    def pooled(branch):
        if mode == "sum":
            return branch.with_axes(REDUCE[mode], slice_of(branch, end), 0)
        is_last = branch.node("Equal", number, branch.node("Sub", bags, branch.constant(1)))
        if mode == "mean":
            return branch.choose(is_last, last_mean,
                                 lambda inner: inner.with_axes(REDUCE[mode], slice_of(inner, end), 0))
        part = branch.choose(is_last, lambda inner: slice_of(inner, count), lambda inner: slice_of(inner, end))
        return branch.with_axes(REDUCE[mode], part, 0)

    return empty_or(body, body.node("Equal", begin, end), table, pooled)


def kept_loop(body, ids, begin, end, padding):
    """The positions from begin up to end whose ids are no padding."""
    inner = body.inner("kept")
    inputs = [inner.name(word) for word in ("number", "go", "kept", "position")]
    kept, position = inputs[2:]
    picked = inner.node("Gather", ids, position, axis=0)
    is_other = inner.node("Not", inner.node("Equal", picked, padding))
    longer = inner.choose(
        is_other,
        lambda branch: branch.node("Concat", kept, branch.node("Reshape", position, branch.constant([-1])), axis=0),
        lambda branch: branch.node("Identity", kept))
    following = inner.node("Add", position, inner.node("CastLike", inner.constant(1), position))
    again = inner.node("Identity", inner.node("Less", following, end))
    graph = inner.graph(inputs, [again, longer, following])
    start = ["", body.node("Less", begin, end), body.node("Shape", ids, start=0, end=0), begin]
    return body.outputs("Loop", ("kept", "end"), start, body=graph)[0]


def padded_row(body, number, bounds, rows, ids, padding, table, mode):
    """A bag of the rows between two bounds whose ids are no padding."""
    begin = body.node("Gather", bounds, number, axis=0)
    end = body.node("Gather", bounds, body.node("Add", number, body.constant(1)), axis=0)
    kept = kept_loop(body, ids, begin, end, padding)

    def pooled(branch):
        return branch.with_axes(REDUCE[mode], branch.node("Gather", rows, kept, axis=0), 0)

    return empty_or(body, body.node("Equal", body.node("Size", kept), body.constant(0)), table, pooled)


def sequence_bag(prefix, table, ids, output, offsets=None, weights=None, mode="sum", include_last=False, opset=18,
                 batch=None, hot=None, padding=None):
    """As bag(), by the other exporter."""
    writer = Writer(prefix, opset)
    flat = writer.constant([-1])
    if offsets is None:
        offsets = flat_offsets(writer, ids, batch, hot)
        weights = weights and writer.node("Reshape", weights, flat)
    ids = writer.node("Reshape", ids, flat)
    if not weights:
        ones = writer.node("Expand", writer.constant(1), writer.node("Shape", ids))
        weights = writer.node("Cast", ones, to=TensorProto.FLOAT)
    rows = writer.node("Mul", writer.node("Gather", table, ids, axis=0), writer.with_axes("Unsqueeze", weights, 1))
    count = writer.node("Shape", ids)
    bags = writer.node("Size", offsets)
    bounds = offsets
    if include_last:
        bags = writer.node("Sub", bags, writer.constant(1))
    else:
        bounds = writer.node("Concat", offsets, count, axis=0)
    if include_last and padding is not None:
        bounds = writer.node("ScatterElements", offsets, writer.constant([-1]), count, axis=0)
    body = writer.inner("body")
    inputs = [body.name(word) for word in ("number", "go", "index", "bags")]
    if padding is None:
        row = sliced_row(body, inputs[2], bounds, rows, ids, count, bags, table, mode)
    else:
        row = padded_row(body, inputs[2], bounds, rows, ids, writer.constant(padding), table, mode)
    more = body.node("SequenceInsert", inputs[3], row)
    following = body.node("Add", inputs[2], body.constant(1))
    again = body.node("Identity", body.node("Less", following, bags))
    first = writer.constant(0)
    start = ["", writer.node("Less", first, bags), first, writer.node("SequenceEmpty")]
    graph = body.graph(inputs, [again, following, more])
    filled = writer.outputs("Loop", ("index", "bags"), start, body=graph)[1]
    writer.nodes.append(helper.make_node("ConcatFromSequence", [filled], [output], axis=0))
    return writer.nodes


def model(opset, mode, weighted, include_last, batch, hot, rows=11, dim=5, write=bag, **others):
    """One bag as a whole model; `hot` None: values and offsets, `batch` None: it is free. `write` is one of the
    two exporters, which `others` are for."""
    random = np.random.Generator(np.random.SFC64(SEED))
    shape = ["values"] if hot is None else [batch or "batch", hot]
    inputs = [helper.make_tensor_value_info("ids", TensorProto.INT64, shape)]
    if hot is None:
        inputs.append(helper.make_tensor_value_info("offsets", TensorProto.INT64,
                                                    ["bounds" if include_last else "batch"]))
    if weighted:
        inputs.append(helper.make_tensor_value_info("weights", TensorProto.FLOAT, shape))
    nodes = write("bag_", "table", "ids", "y", None if hot else "offsets", "weights" if weighted else None, mode,
                  include_last, opset, batch, hot, **others)
    table = random.random((rows, dim), dtype=np.float32) - np.float32(0.5)
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["rows", dim])]
    graph = helper.make_graph(nodes, "bag", inputs, outputs, [numpy_helper.from_array(table, "table")])
    return helper.make_model(graph, producer_name="hearth", opset_imports=[helper.make_opsetid("", opset)])


def variants():
    """Names, and what model() takes."""
    for opset, write in ((11, bag), (13, bag), (17, bag), (18, sequence_bag), (20, sequence_bag)):
        for mode in REDUCE:
            for weighted in (False, True):
                name = f"{mode}{'_weighted' if weighted else ''}_opset{opset}"
                kind = {"write": write}
                yield name, (opset, mode, weighted, False, None, None), kind
                yield name + "_include_last", (opset, mode, weighted, True, None, None), kind
                yield name + "_fixed", (opset, mode, weighted, False, 4, 3), kind
                yield name + "_matrix", (opset, mode, weighted, False, None, 3), kind
                if write is bag:
                    continue
                kind = {"write": write, "padding": 2}
                yield name + "_padded", (opset, mode, weighted, False, None, None), kind
                yield name + "_padded_include_last", (opset, mode, weighted, True, None, None), kind


def main():
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        print(__doc__.split("\n\n", 2)[1], file=sys.stderr)
        return 2
    for name, arguments, others in variants():
        directory = os.path.join(sys.argv[1], name, "1")
        os.makedirs(directory, exist_ok=True)
        save(model(*arguments, **others), os.path.join(directory, "model.onnx"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
