# SPDX-License-Identifier: MIT
"""npy_files.py - .npy files with the standard library alone, so that no test is skipped for want of NumPy"""
import array
import ast

CODES = {"<f4": "f", "<f8": "d", "<i4": "i", "<i8": "q", "|u1": "B"}


def load(path):
    """(descr, shape, array.array of the elements)"""
    raw = open(path, "rb").read()
    assert raw[:8] == b"\x93NUMPY\x01\x00", raw[:8]
    start = 10 + int.from_bytes(raw[8:10], "little")
    header = ast.literal_eval(raw[10:start].decode("latin-1"))
    assert not header["fortran_order"] and start % 64 == 0
    elements = array.array(CODES[header["descr"]])
    elements.frombytes(raw[start:])
    count = 1
    for dim in header["shape"]:
        count *= dim
    assert count == len(elements), (header, len(elements))
    return header["descr"], header["shape"], elements


def save(path, descr, shape, elements, fortran=False):
    header = f"{{'descr': {descr!r}, 'fortran_order': {fortran}, 'shape': {shape!r}, }}"
    header = header.ljust((len(header) + 11 + 63) // 64 * 64 - 11) + "\n"
    with open(path, "wb") as file:
        file.write(b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode())
        file.write(array.array(CODES[descr], elements).tobytes())


def difference(path, other):
    """the largest difference of two files of the same type and shape"""
    one, two = load(path), load(other)
    assert one[:2] == two[:2], (one[:2], two[:2])
    largest = 0.0
    for a, b in zip(one[2], two[2]):
        assert a == a and b == b, "a NaN"
        largest = max(largest, abs(a - b))
    return largest
