#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Trains a small DLRM on the UCI "Online Shoppers Purchasing Intention" data (CC BY 4.0) and writes it as ONNX.

usage: train.py online_shoppers_intention.csv OUTDIR        (python3-torch 1.13, python3-onnx, python3-numpy)

Inputs   dense [batch,10] f32 (standardised), ids [batch,7] int64 (one row of seven tables),
         crosses [batch,6] int64 (six hashed feature pairs, sum-pooled rows of one 16384 x 16 table)
Output   score [batch,1] f32: probability that the session ends in a purchase
Versions 1: stopped early, tensors inside the file; 2: trained to the end, large tensors in model.bin beside it
"""
import hashlib, json, os, sys
import numpy as np, onnx, torch, torch.nn as nn

torch.manual_seed(11); np.random.seed(11); torch.set_num_threads(1)
CSV, OUT = sys.argv[1], sys.argv[2]
DIM, BUCKETS = 16, 16384

rows = [line.rstrip("\n").split(";") for line in open(CSV)]
names, rows = rows[0], rows[1:]
dense = np.array([[float(v) for v in r[:10]] for r in rows], np.float32)
dense[:, [0, 1, 2, 3, 4, 5, 8]] = np.log1p(np.maximum(dense[:, [0, 1, 2, 3, 4, 5, 8]], 0))
cats = [[r[k] for r in rows] for k in range(10, 17)]
vocab = [sorted(set(c)) for c in cats]
ids = np.array([[vocab[k].index(c[i]) for k, c in enumerate(cats)] for i in range(len(rows))], np.int64)
pairs = [(0, 4), (0, 5), (1, 2), (3, 4), (4, 5), (5, 6)]
def bucket(k, a, b): return int.from_bytes(hashlib.sha256(f"{k}|{a}|{b}".encode()).digest()[:8], "little") % BUCKETS
crosses = np.array([[bucket(k, cats[a][i], cats[b][i]) for k, (a, b) in enumerate(pairs)] for i in range(len(rows))], np.int64)
label = np.array([r[17] == "TRUE" for r in rows], np.float32)
order = np.random.permutation(len(rows)); train, test = order[:-2500], np.sort(order[-2500:])
mean, std = dense[train].mean(0), dense[train].std(0) + 1e-6
dense = (dense - mean) / std

class Dlrm(nn.Module):
    def __init__(self):
        super().__init__()
        self.tables = nn.ModuleList([nn.Embedding(len(v), DIM) for v in vocab])
        self.cross = nn.Embedding(BUCKETS, DIM)
        for t in list(self.tables) + [self.cross]: nn.init.normal_(t.weight, 0, 0.05)
        self.bottom = nn.Sequential(nn.Linear(10, 64), nn.ReLU(), nn.Linear(64, DIM), nn.ReLU())
        n = len(vocab) + 2
        self.top = nn.Sequential(nn.Linear(n * (n - 1) // 2 + DIM, 128), nn.ReLU(), nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, 1))
        pick = torch.tril_indices(n, n, -1); self.register_buffer("pick", pick[0] * n + pick[1]); self.n = n
    def forward(self, dense, ids, crosses):
        x = self.bottom(dense)
        v = [t(ids[:, k]) for k, t in enumerate(self.tables)] + [self.cross(crosses).sum(1)]
        t = torch.cat([x] + v, 1).reshape(-1, self.n, DIM)
        z = torch.bmm(t, t.transpose(1, 2)).reshape(-1, self.n * self.n).index_select(1, self.pick)
        return torch.sigmoid(self.top(torch.cat([x, z], 1)))

def auc(y, s):
    u, inv, cnt = np.unique(s, return_inverse=True, return_counts=True)
    end = np.cumsum(cnt); rank = ((end + end - cnt + 1) / 2)[inv]; p = y.sum(); q = len(y) - p
    return float((rank[y == 1].sum() - p * (p + 1) / 2) / (p * q))

D, I, C, Y = (torch.from_numpy(a) for a in (dense.astype(np.float32), ids, crosses, label))
model = Dlrm(); opt = torch.optim.Adam(model.parameters(), lr=1e-3, weight_decay=1e-5)
def score(index):
    model.eval()
    with torch.no_grad(): return model(D[index], I[index], C[index]).numpy()
def save(version, external):
    d = os.path.join(OUT, "repository", "shoppers", str(version)); os.makedirs(d, exist_ok=True); path = os.path.join(d, "model.onnx")
    model.eval(); axes = {k: {0: "batch"} for k in ("dense", "ids", "crosses", "score")}
    torch.onnx.export(model, (D[:3], I[:3], C[:3]), path, opset_version=17 if version == 2 else 13,
                      input_names=["dense", "ids", "crosses"], output_names=["score"], dynamic_axes=axes)
    if external:
        m = onnx.load(path)
        onnx.save_model(m, path, save_as_external_data=True, all_tensors_to_one_file=True, location="model.bin", size_threshold=1024)
    s = score(test); a = auc(label[test], s[:, 0]); np.save(os.path.join(OUT, f"score_v{version}.npy"), s.astype(np.float32))
    return {"auc": a, "opset": 17 if version == 2 else 13, "external_data": external}
os.makedirs(OUT, exist_ok=True); meta = {"rows_test": len(test), "tables": {"crosses": [BUCKETS, DIM]}}
for epoch in range(4):
    model.train(); p = np.random.permutation(train)
    for i in range(0, len(p), 128):
        b = torch.from_numpy(p[i:i + 128]); opt.zero_grad()
        nn.functional.binary_cross_entropy(model(D[b], I[b], C[b])[:, 0], Y[b]).backward(); opt.step()
    print("epoch", epoch, "test auc %.4f" % auc(label[test], score(test)[:, 0]), flush=True)
    if epoch == 0: meta["v1"] = save(1, False)
meta["v2"] = save(2, True)
for name, a in (("dense", dense.astype(np.float32)), ("ids", ids), ("crosses", crosses)): np.save(os.path.join(OUT, name + ".npy"), a[test])
np.save(os.path.join(OUT, "label.npy"), label[test].astype(np.uint8)); json.dump(meta, open(os.path.join(OUT, "meta.json"), "w"), indent=1); print(json.dumps(meta))
