#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""tests/models/ranking.py - writes the published ranking models as ONNX files with seeded weights

usage: ranking.py [--small] [--twin SEED] DIRECTORY [MODEL...]     (python3-numpy, python3-onnx; all models)

Each becomes DIRECTORY/MODEL/1/model.onnx with its tables beside it and model.meta (network.py says what
that holds), so that DIRECTORY is a repository of hearthd. What is there already is left as it is. All
of them in full size take 6.5 GB: the six on Criteo-Kaggle share one file of tables, the two DLRM-v2
another one. --small writes MODEL_small, with tables of at most a few hundred rows; --twin writes
MODEL_twinSEED.

    dlrm_kaggle   DLRM (arXiv:1906.00091) on Criteo-Kaggle: 26 tables of 16, bottom 512-256-64-16, dot
                  interaction, top 512-256-1
    dlrm_kaggle_bags  the same with an nn.EmbeddingBag a table and an input of ids each: 26 Loops
    dlrm_kaggle_offsets  the same with inputs of values and offsets each
    dlrm_v2       DLRM-v2 of MLPerf (DLRM-DCNv2): 26 bags of 128 pooled by sum, 214 ids a row, bottom
                  512-256-128, three low-rank cross layers of 512, top 1024-1024-512-256-1. Tables above
                  100,000 rows are a 25th of the published size, which takes 4 GiB of 100
    dlrm_v2_dot   the same with the dot interaction
    dcn_v2        DCN-v2 (arXiv:2008.13535), parallel: three full cross layers, deep 1024-1024
    deepfm        DeepFM (arXiv:1703.04247): FM of 16, deep 400-400-400
    wide_deep     Wide&Deep (arXiv:1606.07792): deep 1024-512-256
    din           DIN (arXiv:1706.06978) on Amazon Electronics: 192,403 users, 63,001 items, 801 categories,
                  embeddings of 64, histories of 100, attention 80-40-1 with Sigmoid over [q, k, q-k, q*k],
                  masked softmax, top 200-80-1 with PReLU
"""
import os
import sys
import time

import numpy as np

from network import Network, Tables

KAGGLE = [1460, 583, 10131227, 2202608, 305, 24, 12517, 633, 3, 93145, 5683, 8351593, 3194, 27, 14992, 5461306, 10,
          5652, 2173, 4, 7046547, 18, 15, 286181, 105, 142572]
CRITEO = [40000000, 39060, 17295, 7424, 20265, 3, 7122, 1543, 63, 40000000, 3067956, 405282, 10, 2209, 11938, 155, 4,
          976, 14, 40000000, 40000000, 40000000, 590152, 12973, 108, 36]
CRITEO_IDS = [3, 2, 1, 2, 6, 1, 1, 1, 1, 7, 3, 8, 1, 6, 9, 5, 1, 1, 1, 12, 100, 27, 10, 3, 1, 1]
CRITEO_DIVISOR = 25
CRITEO_DIVIDED = 100000
DENSE = 13
FIELDS = len(KAGGLE)
AMAZON = [192403, 63001, 801]
HISTORY = 100
USER, ITEM, CATEGORY = range(3)


class Sizes:
    def __init__(self, small):
        self.suffix = "_small" if small else ""
        self.kaggle = [min(rows, 500) for rows in KAGGLE] if small else KAGGLE
        self.criteo = [min(rows, 300) if small else rows // CRITEO_DIVISOR if rows > CRITEO_DIVIDED else rows
                       for rows in CRITEO]
        self.amazon = [min(rows, 400) for rows in AMAZON] if small else AMAZON
        self.history = 20 if small else HISTORY
        self.dim = 16
        self.dim_criteo = 32 if small else 128
        self.rank = 64 if small else 512
        self.bottom_kaggle = [64, 32] if small else [512, 256, 64]
        self.top_kaggle = [64, 32] if small else [512, 256]
        self.bottom_criteo = [64, 64] if small else [512, 256]
        self.top_criteo = [128, 128, 64] if small else [1024, 1024, 512, 256]
        self.deep_dcn = [64, 64] if small else [1024, 1024]
        self.deep_fm = [64, 64] if small else [400, 400, 400]
        self.deep_wide = [128, 64] if small else [1024, 512, 256]
        self.dim_amazon = 16 if small else 64

    def tables(self, directory, name, dim):
        rows = getattr(self, name)
        return Tables(directory, "%s%s_%d" % (name, self.suffix, dim), rows, dim)


# --- parts of several models -----------------------------------------------------------------------


def hidden(net, widths):
    return [net.width(columns) for columns in widths]


def one_hot(net, name, tables):
    """One id a table: ids [batch, tables], a column for each."""
    return [net.gather("%s.%d" % (name, index), tables, index, "ids", index, column=index)
            for index in range(len(tables.rows))]


def bags(net, tables):
    """Several ids a table, an input each, their rows added up."""
    axis = net.numbers("bag.axis", 1)
    pooled = []
    for index, count in enumerate(CRITEO_IDS):
        ids = net.input("ids_%d" % index, count, ids=True)
        rows = net.gather("bag.%d" % index, tables, index, ids, 0, count)
        pooled.append(net.node("ReduceSum", [rows, axis], keepdims=0))
    return pooled


def dot_interaction(net, x, vectors, dim):
    """x beside the dot products of all pairs; a perfect engine computes each pair once."""
    count = 1 + len(vectors)
    net.fmas += count * (count - 1) // 2 * dim
    stack = net.node("Reshape", [net.node("Concat", [x] + vectors, axis=1), net.numbers("dot.stack", -1, count, dim)])
    products = net.node("MatMul", [stack, net.node("Transpose", [stack], perm=[0, 2, 1])])
    flat = net.node("Reshape", [products, net.numbers("dot.flat", -1, count * count)])
    pairs = net.numbers("dot.pairs", *(row * count + column for row in range(count) for column in range(row)))
    return net.node("Concat", [x, net.node("Gather", [flat, pairs], axis=1)], axis=1), dim + count * (count - 1) // 2


# --- models -----------------------------------------------------------------------------------------


def ids_bag(net, tables, index):
    return net.bag("table.%d" % index, tables, index, net.input("ids_%d" % index, 1, ids=True), 1)


def offsets_bag(net, tables, index):
    values = net.input("values_%d" % index, None, ids=True, size="values_%d" % index)
    return net.bag("table.%d" % index, tables, index, values, 1, net.offsets_input("offsets_%d" % index))


def dlrm_kaggle(net, sizes, directory, bag=None):
    tables = sizes.tables(directory, "kaggle", sizes.dim)
    dense = net.input("dense", DENSE)
    x = net.mlp(dense, "bottom", [DENSE, *hidden(net, sizes.bottom_kaggle), sizes.dim], "Relu")
    if bag:
        vectors = [bag(net, tables, index) for index in range(FIELDS)]
    else:
        net.input("ids", FIELDS, ids=True)
        vectors = one_hot(net, "table", tables)
    z, columns = dot_interaction(net, x, vectors, sizes.dim)
    return net.mlp(z, "top", [columns, *hidden(net, sizes.top_kaggle), 1], "Sigmoid")


def dlrm_kaggle_bags(net, sizes, directory):
    return dlrm_kaggle(net, sizes, directory, ids_bag)


def dlrm_kaggle_offsets(net, sizes, directory):
    return dlrm_kaggle(net, sizes, directory, offsets_bag)


def dlrm_v2(net, sizes, directory, is_dot=False):
    dim = sizes.dim_criteo
    tables = sizes.tables(directory, "criteo", dim)
    x = net.mlp(net.input("dense", DENSE), "bottom", [DENSE, *hidden(net, sizes.bottom_criteo), dim], "Relu")
    vectors = bags(net, tables)
    if is_dot:
        z, columns = dot_interaction(net, x, vectors, dim)
    else:
        columns, rank = dim * (1 + len(vectors)), net.width(sizes.rank)
        first = z = net.node("Concat", [x] + vectors, axis=1)
        for layer in range(3):
            name = "cross.%d" % layer
            low = net.node("MatMul", [z, net.weight(name + ".V", (3 / columns) ** 0.5, columns, rank)])
            high = net.node("MatMul", [low, net.weight(name + ".W", (3 / rank) ** 0.5, rank, columns)])
            high = net.node("Add", [high, net.weight(name + ".bias", 0.05, columns)])
            z = net.node("Add", [net.node("Mul", [first, high]), z])
            net.fmas += 2 * columns * rank
    return net.mlp(z, "top", [columns, *hidden(net, sizes.top_criteo), 1], "Sigmoid")


def dlrm_v2_dot(net, sizes, directory):
    return dlrm_v2(net, sizes, directory, is_dot=True)


def dcn_v2(net, sizes, directory):
    tables = sizes.tables(directory, "kaggle", sizes.dim)
    dense, _ = net.input("dense", DENSE), net.input("ids", FIELDS, ids=True)
    columns, deep = DENSE + FIELDS * sizes.dim, hidden(net, sizes.deep_dcn)
    first = z = net.node("Concat", [dense] + one_hot(net, "table", tables), axis=1)
    for layer in range(3):
        product = net.node("Mul", [first, net.linear(z, "cross.%d" % layer, columns, columns)])
        z = net.node("Add", [product, z])
    y = net.mlp(first, "deep", [columns, *deep], "Relu")
    return net.mlp(net.node("Concat", [z, y], axis=1), "head", [columns + deep[-1], 1], "Sigmoid")


def wide_and_deep(net, sizes, directory, deep, has_fm):
    tables = sizes.tables(directory, "kaggle", sizes.dim)
    wide = sizes.tables(directory, "kaggle", 1)
    dense, _ = net.input("dense", DENSE), net.input("ids", FIELDS, ids=True)
    axis = net.numbers("axis", 1)
    vectors = one_hot(net, "table", tables)
    wide_sum = net.node("ReduceSum", [net.node("Concat", one_hot(net, "wide", wide), axis=1), axis], keepdims=1)
    linear = net.node("Add", [wide_sum, net.linear(dense, "wide_dense", DENSE, 1)])
    fields = net.node("Concat", vectors, axis=1)
    deep_in = net.node("Concat", [dense, fields], axis=1)
    y = net.mlp(deep_in, "deep", [DENSE + FIELDS * sizes.dim, *hidden(net, deep), 1])
    y = net.node("Add", [linear, y])
    if has_fm:
        # (sum of vectors)^2 - sum of their squares, halved
        stack = net.node("Reshape", [fields, net.numbers("fm.stack", -1, FIELDS, sizes.dim)])
        total = net.node("ReduceSum", [stack, axis], keepdims=0)
        squares = net.node("ReduceSum", [net.node("Mul", [stack, stack]), axis], keepdims=0)
        pairs = net.node("Sub", [net.node("Mul", [total, total]), squares])
        pairs = net.node("ReduceSum", [pairs, axis], keepdims=1)
        y = net.node("Add", [y, net.node("Mul", [pairs, net.constant("half", np.array(0.5, np.float32))])])
    return net.node("Sigmoid", [y])


def deepfm(net, sizes, directory):
    return wide_and_deep(net, sizes, directory, sizes.deep_fm, has_fm=True)


def wide_deep(net, sizes, directory):
    return wide_and_deep(net, sizes, directory, sizes.deep_wide, has_fm=False)


def prelu(net, x, name, columns):
    return net.node("PRelu", [x, net.constant(name + ".slope", np.full(columns, 0.25, np.float32))])


def attention(net, query, keys, items, dim, history):
    """How much the target cares for each item of the history; item 0 is none."""
    axis, swap = net.numbers("axis", 1), [0, 2, 1]
    query = net.node("Tile", [net.node("Unsqueeze", [query, axis]), net.numbers("history", 1, history, 1)])
    parts = [query, keys, net.node("Sub", [query, keys]), net.node("Mul", [query, keys])]
    x, columns = net.node("Concat", parts, axis=2), 4 * dim
    for layer, width in enumerate(hidden(net, [80, 40])):
        x = net.node("Sigmoid", [net.linear_each(x, "attention.%d" % layer, columns, width, history)])
        columns = width
    score = net.node("Transpose", [net.linear_each(x, "attention.2", columns, 1, history)], perm=swap)
    is_none = net.node("Equal", [items, net.constant("none", np.array(0, np.int64))])
    is_none = net.node("Unsqueeze", [is_none, axis])
    score = net.node("Where", [is_none, net.constant("low", np.array(-2.0**32, np.float32)), score])
    score = net.node("Div", [score, net.constant("root", np.array(dim**0.5, np.float32))])
    net.fmas += history * dim
    mean = net.node("MatMul", [net.node("Softmax", [score], axis=2), keys])
    return net.node("Squeeze", [mean, axis])


def din(net, sizes, directory):
    dim, history = sizes.dim_amazon, sizes.history
    tables = sizes.tables(directory, "amazon", dim)
    user, item, category = (net.input(name, None, ids=True) for name in ("user", "item", "category"))
    items, categories = net.input("items", history, ids=True), net.input("categories", history, ids=True)
    who = net.gather("user_table", tables, USER, user)
    target = net.node("Concat", [net.gather("item_table", tables, ITEM, item),
                                 net.gather("category_table", tables, CATEGORY, category)], axis=1)
    keys = net.node("Concat", [net.gather("item_table", tables, ITEM, items, 0, history),
                               net.gather("category_table", tables, CATEGORY, categories, 0, history)], axis=2)
    interest = attention(net, target, keys, items, 2 * dim, history)
    x = net.node("Concat", [who, target, interest, net.node("Mul", [target, interest])], axis=1)
    columns = 7 * dim
    for layer, width in enumerate(hidden(net, [200, 80])):
        x = prelu(net, net.linear(x, "top.%d" % layer, columns, width), "top.%d" % layer, width)
        columns = width
    return net.node("Sigmoid", [net.linear(x, "top.2", columns, 1)])


MODELS = [dlrm_kaggle, dlrm_kaggle_bags, dlrm_kaggle_offsets, dlrm_v2, dlrm_v2_dot, dcn_v2, deepfm, wide_deep, din]


def main(arguments):
    small, twin, words = False, None, []
    while arguments:
        word = arguments.pop(0)
        if word == "--small":
            small = True
        elif word == "--twin" and arguments:
            twin = int(arguments.pop(0))
        else:
            words.append(word)
    known = {model.__name__: model for model in MODELS}
    if not words or any(word not in known for word in words[1:]) or words[0].startswith("-"):
        sys.exit("usage: ranking.py [--small] [--twin SEED] DIRECTORY [MODEL...]\nmodels: " + " ".join(known))
    directory, sizes = words[0], Sizes(small)
    for word in words[1:] or known:
        name = word + sizes.suffix + ("" if twin is None else "_twin%d" % twin)
        if os.path.exists(os.path.join(directory, name, "1", "model.onnx")):
            continue
        begun = time.monotonic()
        net = Network(directory, name, twin)
        net.save(known[word](net, sizes, directory))
        print("  %-24s %5.2f GB of tables, %5.1f MB of weights, %8.0f thousand multiply-adds a row, %4.1f s" % (
            name, net.tables_bytes / 1e9, net.weight_bytes / 1e6, net.fmas / 1e3, time.monotonic() - begun), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
