# SPDX-License-Identifier: MIT
"""tests/models/network.py - an ONNX model in the making: nodes, seeded weights, tables beside the file

A network counts what a perfect engine has to do for one row (multiply-adds, bytes of weights, rows of
tables) while it is built, and writes that into model.meta, beside model.onnx:

    network NAME                         fmas N                  weight_bytes N
    input NAME f32|i64|offsets RANK COLUMNS   rank 1 or 2, the batch first, in the file's order; values of
                                         bags, rank 1, are as many as rows where each bag has one
    table INPUT FIRST COUNT ROWS BYTES   columns FIRST to FIRST+COUNT-1 of INPUT are ids below ROWS, each
                                         reads a row of BYTES; a column with two tables has two lines
    tables_bytes N

Tables are written once into DIRECTORY/.tables, seeded, and linked into the directory of each model.
A twin is the same network to an engine that reads no name: names are scrambled, nodes and
initializers stand in another order, hidden widths are odd.
"""
import os

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from embedding_bag import bag

SEED = 20261101
PAGE_BYTES = 4096
CHUNK = 1 << 24
OPSET = 13


def generator(*key):
    return np.random.Generator(np.random.SFC64([SEED] + [ord(c) for word in key for c in str(word) + "/"]))


def bodies(node):
    return [attribute.g for attribute in node.attribute if attribute.HasField("g")]


def reads(node):
    """What a node and its bodies read from outside."""
    names = set(node.input)
    for graph in bodies(node):
        inside = {value.name for value in graph.input}
        for inner in graph.node:
            names.update(reads(inner) - inside)
            inside.update(inner.output)
    return names - {""}


def rename(node, renamed):
    for graph in bodies(node):
        for value in list(graph.input) + list(graph.output):
            value.name = renamed(value.name)
        for inner in graph.node:
            rename(inner, renamed)
        graph.name = renamed(graph.name)
    inputs, outputs = [name and renamed(name) for name in node.input], [renamed(name) for name in node.output]
    del node.input[:], node.output[:]
    node.input.extend(inputs)
    node.output.extend(outputs)
    node.name = renamed(node.name)


class Tables:
    """Tables of one row size in one file, each at a page of its own: [rows, dim] float32."""

    def __init__(self, directory, name, rows, dim):
        self.name, self.rows, self.dim = name + ".bin", rows, dim
        self.path = os.path.join(directory, ".tables", self.name)
        self.offsets, offset = [], 0
        for count in rows:
            self.offsets.append(offset)
            offset += -(-count * dim * 4 // PAGE_BYTES) * PAGE_BYTES
        self.bytes = offset
        if not os.path.exists(self.path) or os.path.getsize(self.path) != self.bytes:
            self.write()

    def write(self):
        os.makedirs(os.path.dirname(self.path), exist_ok=True)
        random = generator(self.name)
        scale = np.float32(2 / np.sqrt(self.dim))
        with open(self.path + ".part", "wb") as file:
            for count, offset in zip(self.rows, self.offsets):
                file.seek(offset)
                for first in range(0, count * self.dim, CHUNK):
                    values = random.random(min(CHUNK, count * self.dim - first), dtype=np.float32)
                    values -= np.float32(0.5)
                    values *= scale
                    file.write(values.data)
            file.truncate(self.bytes)
        os.rename(self.path + ".part", self.path)


class Network:
    def __init__(self, directory, name, twin=None):
        self.directory, self.name, self.twin = directory, name, twin
        self.random = generator("twin", twin)
        self.nodes, self.initializers, self.inputs, self.meta = [], [], [], []
        self.tables, self.linked, self.offsets = {}, set(), []
        self.fmas = self.weight_bytes = self.tables_bytes = 0

    # --- parts -------------------------------------------------------------------------------

    def width(self, columns):
        """A hidden width: as published, or for a twin an odd one near it."""
        if self.twin is None:
            return columns
        return columns + 2 * int(self.random.integers(-columns // 32 - 1, columns // 32 + 1)) + 1

    def input(self, name, columns, ids=False, size="batch"):
        shape = [size] + ([columns] if columns else [])
        kind = TensorProto.INT64 if ids else TensorProto.FLOAT
        self.inputs.append(helper.make_tensor_value_info(name, kind, shape))
        return name

    def node(self, operator, inputs, **attributes):
        output = "%s_%d" % (operator.lower(), len(self.nodes))
        self.nodes.append(helper.make_node(operator, inputs, [output], name="node_" + output, **attributes))
        return output

    def constant(self, name, values):
        self.initializers.append(numpy_helper.from_array(np.asarray(values, order="C"), name))
        return name

    def numbers(self, name, *values):
        return self.constant(name, np.array(values, np.int64))

    def weight(self, name, bound, *shape):
        self.weight_bytes += 4 * int(np.prod(shape))
        return self.constant(name, generator(self.name, name).uniform(-bound, bound, shape).astype(np.float32))

    def table(self, name, tables, index):
        """The table as an initializer whose bytes lie beside the file."""
        if name not in self.tables:
            rows, dim = tables.rows[index], tables.dim
            tensor = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=[rows, dim],
                                 data_location=TensorProto.EXTERNAL)
            for key, value in (("location", tables.name), ("offset", tables.offsets[index]),
                               ("length", rows * dim * 4)):
                tensor.external_data.add(key=key, value=str(value))
            self.initializers.append(tensor)
            self.tables[name] = tensor
            self.tables_bytes += rows * dim * 4
            self.linked.add(tables)
        return name

    def gather(self, name, tables, index, ids, first=0, count=1, column=None):
        """The rows of one table for `count` columns of ids, of which a scalar `column` picks one."""
        self.meta.append("table %s %d %d %d %d" % (ids, first, count, tables.rows[index], tables.dim * 4))
        if column is not None:
            ids = self.node("Gather", [ids, self.constant("%s.column" % name, np.array(column, np.int64))], axis=1)
        return self.node("Gather", [self.table(name + ".weight", tables, index), ids], axis=0)

    def offsets_input(self, name):
        self.input(name, None, ids=True)
        self.offsets.append(self.inputs[-1])
        return name

    def bag(self, name, tables, index, ids, count, offsets=None):
        """nn.EmbeddingBag, pooled by sum, as PyTorch's exporter writes it: a Loop."""
        self.meta.append("table %s 0 %d %d %d" % (ids, count, tables.rows[index], tables.dim * 4))
        output = "%s.pooled" % name
        self.nodes.extend(bag(name + ".", self.table(name + ".weight", tables, index), ids, output, offsets, opset=OPSET))
        return output

    # --- layers ------------------------------------------------------------------------------

    def linear(self, x, name, columns_in, columns, multiple=1):
        """nn.Linear of a matrix."""
        self.fmas += columns_in * columns * multiple
        return self.node("Gemm", [x, self.weight(name + ".weight", (6 / columns_in) ** 0.5, columns, columns_in),
                                  self.weight(name + ".bias", 0.05, columns)], transB=1, alpha=1.0, beta=1.0)

    def linear_each(self, x, name, columns_in, columns, multiple):
        """nn.Linear of a tensor of more than two dimensions: `multiple` vectors a row of the batch."""
        self.fmas += columns_in * columns * multiple
        x = self.node("MatMul", [x, self.weight(name + ".weight", (6 / columns_in) ** 0.5, columns_in, columns)])
        return self.node("Add", [self.weight(name + ".bias", 0.05, columns), x])

    def mlp(self, x, name, widths, last=None):
        for index in range(len(widths) - 1):
            x = self.linear(x, "%s.%d" % (name, 2 * index), widths[index], widths[index + 1])
            operator = "Relu" if index < len(widths) - 2 else last
            x = self.node(operator, [x]) if operator else x
        return x

    # --- the file ----------------------------------------------------------------------------

    def shuffled(self):
        """A topological order drawn from the seed."""
        known = {value.name for value in self.initializers + self.inputs}
        waiting, order = list(self.nodes), []
        while waiting:
            ready = [node for node in waiting if known.issuperset(reads(node))]
            node = ready[int(self.random.integers(len(ready)))]
            waiting.remove(node)
            order.append(node)
            known.update(node.output)
        return order

    def scramble(self):
        self.nodes = self.shuffled()
        self.initializers = [self.initializers[at] for at in self.random.permutation(len(self.initializers))]
        self.inputs = [self.inputs[at] for at in self.random.permutation(len(self.inputs))]
        names = {}

        def scrambled(name):
            if name not in names:
                names[name] = "%s%06x" % ("vxzq"[len(names) % 4], int(self.random.integers(1 << 24)) ^ len(names))
            return names[name]

        for node in self.nodes:
            rename(node, scrambled)
        for value in self.initializers + self.inputs:
            value.name = scrambled(value.name)
        self.meta = [" ".join([line.split()[0], scrambled(line.split()[1])] + line.split()[2:]) for line in self.meta]
        return scrambled

    def save(self, y):
        folder = os.path.join(self.directory, self.name, "1")
        os.makedirs(folder, exist_ok=True)
        self.nodes.append(helper.make_node("Identity", [y], ["score"], name="node_score"))
        output = self.scramble()("score") if self.twin is not None else "score"
        score = helper.make_tensor_value_info(output, TensorProto.FLOAT, ["batch", 1])
        graph = helper.make_graph(self.nodes, self.name, self.inputs, [score], self.initializers)
        model = helper.make_model(graph, producer_name="hearth", opset_imports=[helper.make_opsetid("", OPSET)])
        model.ir_version = 8
        for tables in self.linked:
            link = os.path.join(folder, tables.name)
            if os.path.exists(link):
                os.unlink(link)
            os.link(tables.path, link)
        head = ["network " + self.name, "fmas %d" % self.fmas, "weight_bytes %d" % self.weight_bytes,
                "tables_bytes %d" % self.tables_bytes]
        for value in self.inputs:
            dims = value.type.tensor_type.shape.dim
            kind = "f32" if value.type.tensor_type.elem_type == TensorProto.FLOAT else "i64"
            kind = "offsets" if any(value is offsets for offsets in self.offsets) else kind
            head.append("input %s %s %d %d" % (value.name, kind, len(dims), dims[1].dim_value if len(dims) > 1 else 1))
        with open(os.path.join(folder, "model.meta"), "w") as file:
            file.write("\n".join(head + self.meta) + "\n")
        path = os.path.join(folder, "model.onnx")
        onnx.save(model, path + ".part")
        os.rename(path + ".part", path)
        return path
