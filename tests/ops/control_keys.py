#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""control_keys.py VERB - are the keys of VERB's rows, JSON on standard input, those of daemon/ops/control/control.h?

Prints what is answered and not told of there; of status also what is told of and not answered.
"""
import json
import re
import sys

verb = sys.argv[1]
table, here = {}, None
for line in open("daemon/ops/control/control.h"):
    began = re.match(r" \*   (\w+) +(both|admin)\b(.*)", line)
    if began:
        here = table.setdefault(began[1], [])
        here.append(began[3])
    elif here is not None and line.startswith(" * " + " " * 30):
        here.append(line[2:])
    else:
        here = None
told = set(re.findall(r"[a-z][a-z_0-9]*", " ".join(table[verb])))


def keys(value):
    if isinstance(value, list):
        return set().union(*map(keys, value), set())
    if not isinstance(value, dict):
        return set()
    return set(value).union(*(keys(part) for key, part in value.items() if not key.startswith("refused")), set())


answered = set().union(*(keys(json.loads(line)) for line in sys.stdin), set())
missing = sorted(answered - told)
if verb == "status":
    missing += sorted(told - answered - set("one and with more than node nodes interleave".split()))
if missing or not answered:
    sys.exit(f"{verb}: {' '.join(missing) or 'no rows'}")
