#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""tests/serve/slot_seeds.py - writes tests/serve/corpus/slots: scripts for fuzz_slots.c, by name

Sound requests, each field of slot and header at the edge that breaks a bounds check, and a client
that lies about what it has consumed.
"""
import os
import struct

PASS, WRITE, SLOT, RANK, BAG, STREAM, CONSUME, CANCEL, LATER, ECHO_OP = range(10)
PING, INFER, STREAM_TEST, ECHO = 1, 2, 3, 4
MAX = 0xffffffff


def op(number, payload=b""):
    return bytes([number, len(payload)]) + payload


def slot(id=1 << 32, operation=PING, flags=0, request=(0, 1024), response=(0, 1024), deadline=0, submitted=0, reserved=0):
    return op(SLOT, struct.pack("<QIIIIIIQQQ", id, operation, flags, *request, *response, deadline, submitted, reserved))


def spoiled(model, rows, at, fmt, *values):
    body = struct.pack("<" + fmt, *values)
    return op(model, bytes([rows]) + b"".join(bytes([at + index, byte]) for index, byte in enumerate(body)))


def echo(request_bytes, response_bytes):
    return op(ECHO_OP, struct.pack("<HH", request_bytes, response_bytes))


def write(offset, body):
    return op(WRITE, struct.pack("<H", offset) + body)


# Where what is in the header, and in the first and the second tensor.
HEADER_BYTES, MODEL, VERSION, INPUTS, FLAGS, RESERVED = 0, 4, 8, 24, 28, 32
OFFSET, BYTES, DTYPE, RANKS, DIMS = 64, 68, 72, 74, 76
SECOND = 28

run = op(PASS) + op(CONSUME)
seeds = {
    "sound_ping": slot() + run,
    "sound_rank": op(RANK, b"\x01") + op(RANK, b"\x04") + run,
    "sound_rank_batch_of_full_lane": op(RANK, b"\x02") * 8 + run + op(RANK, b"\x01") + run,
    "sound_bag": op(BAG, b"\x32") + op(BAG, b"\x11") + run,
    "sound_stream": op(STREAM, b"\x05\x00") + run * 6,
    "sound_echo": op(RANK, b"\x02") + (echo(1024, 1024) + echo(65, 128) + echo(1, 1) + echo(0, 0)) + run,
    "echo_response_a_byte_short": echo(64, 63) + echo(1, 0) + run,
    "echo_from_past_the_area": echo(8192, 8192) * 8 + slot(operation=ECHO, request=(0xffffffc0, 64)) + run,
    "echo_into_past_the_area": echo(0, 8192) * 8 + slot(operation=ECHO, response=(0xffffffc0, 64)) + run,
    "echo_of_the_area": slot(operation=ECHO, request=(0, 8192), response=(0, 8192)) + run,
    "echo_late_and_cancelled": op(CANCEL, b"\x00") + op(CANCEL, b"\x08") + echo(64, 64) * 2
    + slot(operation=ECHO, deadline=1) + run,
    "sound_mixed": (op(RANK, b"\x02") + op(BAG, b"\x21") + op(STREAM, b"\x02\x00") + slot()) + run * 4,
    "cancel_before": op(CANCEL, b"\x00") + op(CANCEL, b"\x08") + op(RANK, b"\x01") * 2 + run,
    "cancel_stream": op(STREAM, b"\xff\x00") + op(PASS) + op(CANCEL, b"\x00") + run,
    "deadline_past": slot(deadline=1) + slot(deadline=1, operation=INFER) + run,
    "rows_zero": op(RANK, b"\x00") + run,
    "rows_past_the_bucket": op(RANK, b"\x05") + op(RANK, b"\x0f") + run,
    "rows_wrap": spoiled(RANK, 1, DIMS, "I", MAX) + run,
    "rows_times_width_wraps": spoiled(RANK, 1, DIMS, "II", 0x80000000, 0x80000000) + run,
    "rows_differ": spoiled(RANK, 2, DIMS + SECOND, "I", 1) + run,
    "bag_without_values": op(BAG, b"\x03") + run,
    "bag_without_rows": op(BAG, b"\x30") + run,
    "id_outside": op(RANK, b"\x01") + spoiled(RANK, 1, 0, "I", 64) + write(512, b"\xff" * 64) + run,
    "slot_index_outside": slot(id=1 << 32 | 8) + slot(id=1 << 32 | MAX) + run,
    "slot_generation_zero": slot(id=3) + run,
    "slot_id_in_use": op(STREAM, b"\x40\x00") + op(PASS) + slot(id=1 << 32) + run,
    "slot_operation_unknown": slot(operation=0) + slot(operation=MAX) + run,
    "slot_flags": slot(flags=1) + slot(reserved=1) + run,
    "slot_range_ends_past_the_area": slot(request=(7168 + 64, 1024)) + slot(response=(7168 + 64, 1024)) + run,
    "slot_request_range_wraps": slot(operation=INFER, request=(0xffffffc0, 64)) + run,
    "slot_response_range_wraps": op(STREAM, b"\x05\x00") + op(STREAM, b"\x05\x00")
    + slot(id=1 << 32 | 7, operation=STREAM_TEST, request=(0, 64), response=(0xffffffc0, 64)) + run * 8,
    "slot_range_of_2_32": slot(request=(0, MAX)) + slot(response=(0, MAX)) + run,
    "slot_range_unaligned": slot(request=(1, 64)) + slot(response=(63, 64)) + run,
    "slot_range_empty": slot(operation=INFER, request=(0, 0), response=(0, 0)) + run,
    "response_too_small": slot(operation=STREAM_TEST, response=(0, 0)) + run,
    "stream_of_2_32_items": write(0, b"") + op(STREAM, b"\xff\xff") + run,
    "stream_unread": op(STREAM, b"\x80\x00") + op(PASS) * 8 + run,
    "header_bytes_zero": spoiled(RANK, 1, HEADER_BYTES, "I", 0) + run,
    "header_bytes_huge": spoiled(RANK, 1, HEADER_BYTES, "I", MAX - 3) + run,
    "header_bytes_longer": spoiled(RANK, 1, HEADER_BYTES, "I", 128) + run,
    "header_bytes_unaligned": spoiled(RANK, 1, HEADER_BYTES, "I", 66) + run,
    "header_model_outside": spoiled(RANK, 1, MODEL, "I", 256) + spoiled(RANK, 1, MODEL, "I", MAX) + run,
    "header_model_is_another": spoiled(RANK, 1, MODEL, "I", 1) + run,
    "header_version_absent": spoiled(RANK, 1, VERSION, "I", 2) + spoiled(RANK, 1, VERSION, "I", 1) + run,
    "header_inputs_65": spoiled(RANK, 1, INPUTS, "I", 65) + run,
    "header_inputs_wrap": spoiled(RANK, 1, INPUTS, "I", MAX) + run,
    "header_inputs_one": spoiled(RANK, 1, INPUTS, "I", 1) + run,
    "header_flags": spoiled(RANK, 1, FLAGS, "I", 1) + spoiled(RANK, 1, RESERVED, "I", 1) + run,
    "tensor_offset_wraps": spoiled(RANK, 1, OFFSET, "I", 0xffffffc0) + run,
    "tensor_offset_and_bytes_wrap": spoiled(RANK, 4, OFFSET + SECOND, "I", 0xffffffc0) + run,
    "tensor_offset_unaligned": spoiled(RANK, 1, OFFSET, "I", 1) + run,
    "tensor_ends_past_the_range": spoiled(RANK, 1, OFFSET, "I", 1024) + run,
    "tensor_bytes_wrap": spoiled(RANK, 1, BYTES, "I", MAX) + run,
    "tensor_bytes_short": spoiled(RANK, 1, BYTES, "I", 8) + run,
    "tensor_type_confusion": spoiled(RANK, 1, DTYPE, "H", 7) + spoiled(RANK, 1, DTYPE, "H", 0xffff) + run,
    "tensor_rank_past_its_dims": spoiled(RANK, 1, RANKS, "H", 5) + spoiled(RANK, 1, RANKS, "H", 0xffff) + run,
    "tensors_overlap_the_header": spoiled(RANK, 1, OFFSET, "I", 0) + run,
    "credits_overdrawn": slot() * 20 + op(PASS) * 3,
    "consumes_more_than_there_is": slot() + op(PASS) + op(CONSUME, b"\x09") + op(PASS) + slot() + run,
    "consumes_backwards": slot() + run + write(0, b"\0" * 8) + slot() + op(PASS),
    "consumes_2_64": slot() + write(0, b"\xff" * 8) + op(PASS),
    "waits_at_any_position": write(128, b"\xff" * 16) + slot() + run + write(128, b"\0" * 8 + b"\x01\0\0\0") + slot() + run,
    "segment_of_ones": write(0, b"\xff" * 250) + write(384, b"\xff" * 250) + run,
}

folder = os.path.join(os.path.dirname(__file__), "corpus", "slots")
os.makedirs(folder, exist_ok=True)
for name, script in seeds.items():
    with open(os.path.join(folder, name), "wb") as file:
        file.write(script)
print(len(seeds), "seeds in", folder)
