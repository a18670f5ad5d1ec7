#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""chrome_events.py FILE REQUESTS - is it a trace that chrome://tracing and Perfetto can show?

By the Trace Event Format: an object with "traceEvents"; events that are complete ("X") or metadata ("M"), with
their keys; on each track, slices that follow each other or lie in each other. And by hearthctl: so many
requests, each filled by its stages without a gap.
"""
import collections
import json
import sys

trace = json.load(open(sys.argv[1]))
assert trace["displayTimeUnit"] in ("ms", "ns"), trace.keys()
tracks, named = collections.defaultdict(list), set()
for event in trace["traceEvents"]:
    if event["ph"] == "M":
        assert event["name"] == "process_name" and event["args"]["name"], event
        assert event["pid"] not in named, event
        named.add(event["pid"])
        continue
    assert event["ph"] == "X" and event["name"] and event["cat"], event
    assert isinstance(event["pid"], int) and isinstance(event["tid"], int) and isinstance(event["args"], dict), event
    begin, end = round(event["ts"] * 1000), round((event["ts"] + event["dur"]) * 1000)
    assert 0 <= begin <= end, event
    tracks[event["pid"], event["tid"]].append((begin, end, event["name"]))
assert {pid for pid, _ in tracks} == named, (tracks.keys(), named)
requests = 0
for slices in tracks.values():
    outer_end = inner_end = 0
    for begin, end, name in slices:
        if "@" in name:
            assert begin >= outer_end and inner_end == outer_end, (begin, end, name)
            outer_end, inner_end = end, begin
            requests += 1
        else:
            assert name in ("ring", "queue", "batch", "execute", "answer"), name
            assert inner_end == begin and end <= outer_end, (begin, end, name)
            inner_end = end
    assert inner_end == outer_end
assert requests == int(sys.argv[2]), requests
