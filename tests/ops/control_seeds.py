#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""tests/ops/control_seeds.py - writes tests/ops/corpus/control: scripts for fuzz_control.c, by name

Each is one habit of a hostile connection, or the like on the sockets of a published bug class of
model readers: lengths that lie, counts that wrap, types confused, names that are paths, nesting.
"""
import os
import struct

HELLO, DESCRIBE, CONTROL, BELL, READY = 1, 3, 5, 7, 8
PACKET, JSON, READ, TOUCH, HANG_UP, FLOOD, LOAD_FAILS, DATA_ANSWERS, LANE_LIES, LATER, STRANGER, STOP = range(16, 28)
MAGIC = 0x48545248


def op(number, payload=b"", peer=0):
    return bytes([number | peer << 6]) + struct.pack("<H", len(payload)) + payload


def hello(oldest=1, newest=1, features=0xf, slots=4, request=4096, response=4096, flags=0):
    return struct.pack("<IIQIIII16x", oldest, newest, features, slots, request, response, flags)


def describe(name, version=0):
    return struct.pack("<II64s", version, 7, name)


def say(text, peer=0):
    return op(JSON, text if isinstance(text, bytes) else text.encode(), peer)


def packet(magic=MAGIC, kind=CONTROL, size=None, body=b"", status=0):
    return op(PACKET, struct.pack("<IHHIi", magic, kind, 0, 16 + len(body) if size is None else size, status) + body)


served = op(HELLO, hello()) + op(READ) + op(TOUCH) + op(READY)
status = '{"verb": "status"}'
seeds = {
    "sound_handshake": served + op(BELL) + say('{"verb": "clients"}') + say('{"verb": "mem"}') + op(READ),
    "sound_describe": op(DESCRIBE, describe(b"shoppers")) + op(DESCRIBE, describe(b"shoppers", 1)) + op(READ),
    "sound_verbs": b"".join(say('{"verb": "%s"}' % verb) for verb in ("status", "models", "mem", "clients")) + op(READ),
    "sound_load_fails": say('{"verb": "load", "model": "shoppers", "version": 2}') + op(LOAD_FAILS)
    + say('{"verb": "models"}') + op(READ),
    "sound_swap_served": say('{"verb": "swap", "model": "shoppers", "version": 1}') + op(DATA_ANSWERS) + op(READ),
    "sound_dry_run_fails": say('{"verb": "load", "model": "shoppers", "version": 2, "dry": true}') + op(LOAD_FAILS)
    + say('{"verb": "models"}') + op(READ),
    "sound_drain_is_not_begun": say('{"verb": "swap", "model": "shoppers", "version": 2, "drain": true}')
    + op(LOAD_FAILS) + op(DESCRIBE, describe(b"shoppers")) + op(READ),
    "dry_of_other_types": b"".join(say('{"verb": "load", "model": "shoppers", "dry": %s}' % value)
                                   for value in ("1", "null", "[]", '"yes"')) + op(READ),
    "dry_and_drain_where_they_mean_nothing": say('{"verb": "unload", "model": "shoppers", "dry": true}')
    + say('{"verb": "load", "model": "shoppers", "drain": true}') + say('{"verb": "models"}') + op(READ),
    "sound_unload": say('{"verb": "unload", "model": "shoppers"}') + say('{"verb": "load", "model": "shoppers"}')
    + op(DESCRIBE, describe(b"shoppers")) + op(READ),
    "hello_twice": op(HELLO, hello()) * 2 + op(READ),
    "hello_after_ready": served + op(HELLO, hello()) + op(READ),
    "hello_from_three": b"".join(op(HELLO, hello(), peer) for peer in range(3)) + op(READ, b"", 2),
    "hello_of_15_bytes": op(HELLO, hello()[:15]),
    "hello_of_16_bytes": op(HELLO, hello()[:16]) + op(READ),
    "hello_longer_than_known": op(HELLO, hello() + b"\xff" * 100) + op(READ),
    "hello_slots_wrap": op(HELLO, hello(slots=0xffffffff)) + op(READ),
    "hello_slots_past_2_31": op(HELLO, hello(slots=0x80000001)) + op(READ),
    "hello_arena_wraps": op(HELLO, hello(request=0xffffffff, response=0xffffffff)) + op(READ),
    "hello_arenas_sum_past_quota": op(HELLO, hello(request=1 << 30, response=1 << 30)) + op(READ),
    "hello_of_another_abi": op(HELLO, hello(oldest=2, newest=1)) + op(HELLO, hello(oldest=9, newest=9)) + op(READ),
    "hello_without_features": op(HELLO, hello(features=0)) + op(READ),
    "hello_all_features": op(HELLO, hello(features=(1 << 64) - 1, flags=1)) + op(READ),
    "ready_first": op(READY) + op(READ),
    "ready_twice": served + op(READY),
    "ready_untouched": op(HELLO, hello()) + op(READ) + op(READY),
    "ready_never": op(HELLO, hello()) + op(LATER),
    "silence": op(LATER),
    "hangs_up_between": op(HELLO, hello()) + op(HANG_UP) + say(status, 1) + op(READ, b"", 1),
    "hangs_up_served": served + op(HANG_UP) + say('{"verb": "clients"}', 1) + op(READ, b"", 1),
    "lane_lies": served + op(LANE_LIES) + say('{"verb": "clients"}', 1) + op(READ, b"", 1),
    "head_length_short": packet(size=15, body=status.encode()),
    "head_length_long": packet(size=0xffffffff, body=status.encode()),
    "head_length_zero": packet(size=0),
    "head_magic": packet(magic=0x47475546, body=status.encode()),
    "head_alone": packet() + op(READ),
    "head_cut": op(PACKET, b"HRTH"),
    "packet_empty": op(PACKET),
    "type_of_the_daemon": packet(kind=2, body=hello()),
    "type_unknown": op(15),
    "type_confusion_describe_as_hello": op(HELLO, describe(b"shoppers")) + op(READ),
    "describe_name_without_end": op(DESCRIBE, describe(b"n" * 64)) + op(READ),
    "describe_name_of_formats": op(DESCRIBE, describe(b"%s%n%s%n")) + op(READ),
    "describe_name_not_utf8": op(DESCRIBE, describe(b"\xff\xfe\x1b[2J")) + op(READ),
    "describe_cut": op(DESCRIBE, describe(b"shoppers")[:9]) + op(READ),
    "describe_version_wraps": op(DESCRIBE, describe(b"shoppers", 0xffffffff)) + op(READ),
    "json_not_json": say("status") + op(READ),
    "json_empty": say("") + op(READ),
    "json_cut": say('{"verb": "sta') + op(READ),
    "json_array": say('["verb", "status"]') + op(READ),
    "json_verb_is_a_number": say('{"verb": 1}') + op(READ),
    "json_verb_unknown": say('{"verb": "%s%n"}') + op(READ),
    "json_verb_with_nul": say('{"verb": "status\\u0000models"}') + op(READ),
    "json_key_twice": say('{"verb": "status", "verb": "models"}') + op(READ),
    "json_not_utf8": say(b'{"verb": "\xc0\xaf"}') + op(READ),
    "json_tail": say(status + "}" * 8) + op(READ),
    "json_nested_2047_deep": say('{"verb": "status", "x": ' + "[" * 2040 + "]" * 2040 + "}") + op(READ),
    "json_nested_4000_deep": say("[" * 4000) + op(READ),
    "json_integer_overflows": say('{"verb": "load", "model": "shoppers", "version": 99999999999999999999}') + op(READ),
    "json_real_overflows": say('{"verb": "load", "model": "shoppers", "version": 1e999}') + op(READ),
    "json_version_negative": say('{"verb": "load", "model": "shoppers", "version": -1}') + op(READ),
    "json_version_wraps_to_1": say('{"verb": "load", "model": "shoppers", "version": 4294967297}') + op(READ),
    "json_version_is_a_string": say('{"verb": "swap", "model": "shoppers", "version": "2"}') + op(READ),
    "json_version_absent": say('{"verb": "swap", "model": "shoppers"}') + op(READ),
    "json_from_is_no_position": b"".join(say('{"verb": "%s", "from": %s}' % (verb, value)) for verb in ("events", "trace")
                                         for value in ("-1", "1.5", "null", '"0"', "9223372036854775807")) + op(READ),
    "json_model_dotdot": say('{"verb": "load", "model": "../shoppers"}') + op(READ),
    "json_model_dots": say('{"verb": "load", "model": ".."}') + op(READ),
    "json_model_absolute": say('{"verb": "load", "model": "/etc"}') + op(READ),
    "json_model_with_nul": say('{"verb": "load", "model": "shoppers\\u0000/../x"}') + op(READ),
    "json_model_of_64_bytes": say('{"verb": "load", "model": "%s"}' % ("m" * 64)) + op(READ),
    "json_model_of_63_bytes": say('{"verb": "load", "model": "%s"}' % ("m" * 63)) + op(READ),
    "json_model_is_an_object": say('{"verb": "unload", "model": {}}') + op(READ),
    "json_model_unknown": say('{"verb": "unload", "model": "nobody", "version": 3}') + op(READ),
    "jobs_queue": say('{"verb": "load", "model": "shoppers", "version": 2}') * 70 + op(LOAD_FAILS) * 3 + op(READ),
    "asker_hangs_up": say('{"verb": "load", "model": "shoppers", "version": 2}') + op(HANG_UP) + op(LOAD_FAILS, b"", 1),
    "not_an_admin": say('{"verb": "unload", "model": "shoppers"}', 1) + op(READ, b"", 1),
    "stranger_as_admin": op(STRANGER) + say('{"verb": "unload", "model": "shoppers"}') + op(READ),
    "flood_unread": op(FLOOD, b'{"verb": "models"}') * 4 + op(READ) + say(status) + op(READ),
    "stopping": op(STOP) + say('{"verb": "load", "model": "shoppers"}') + say(status) + op(READ),
}

folder = os.path.join(os.path.dirname(__file__), "corpus", "control")
os.makedirs(folder, exist_ok=True)
for name, script in seeds.items():
    with open(os.path.join(folder, name), "wb") as file:
        file.write(script)
print(len(seeds), "seeds in", folder)
