#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""score_batch.py - scores real rows through libhearth.so and compares them with PyTorch's scores

usage: score_batch.py SOCKET LIBRARY [DATA]

SOCKET is hearthd's, LIBRARY is build/lib/libhearth.so, and DATA is tests/data/shoppers. Prints the
largest difference from score_v2.npy; the exit status is 1 when it is above 1e-5.
"""
import ctypes
import errno
import pathlib
import sys

import numpy as np

DTYPES = {1: np.float32, 6: np.int32, 7: np.int64}
ROWS = 500  # of one request


class Dim(ctypes.Structure):
    _fields_ = [("symbol", ctypes.c_int32), ("factor", ctypes.c_uint32),
                ("constant", ctypes.c_int32)]


class TensorInfo(ctypes.Structure):
    _fields_ = [("name", ctypes.c_char_p), ("dtype", ctypes.c_uint32), ("rank", ctypes.c_uint32),
                ("dims", ctypes.POINTER(Dim))]


class ModelInfo(ctypes.Structure):
    _fields_ = [("size", ctypes.c_size_t), ("name", ctypes.c_char_p), ("handle", ctypes.c_uint32),
                ("version", ctypes.c_uint32), ("current_version", ctypes.c_uint32),
                ("numerics", ctypes.c_uint32), ("rows_max", ctypes.c_uint32),
                ("row_symbol", ctypes.c_int32), ("symbol_count", ctypes.c_uint32),
                ("input_count", ctypes.c_uint32), ("output_count", ctypes.c_uint32),
                ("inputs", ctypes.POINTER(TensorInfo)), ("outputs", ctypes.POINTER(TensorInfo))]


class Tensor(ctypes.Structure):
    """struct hearth_input and struct hearth_output"""
    _fields_ = [("data", ctypes.c_void_p), ("bytes", ctypes.c_uint32), ("dtype", ctypes.c_uint16),
                ("rank", ctypes.c_uint16), ("dims", ctypes.c_uint32 * 4)]

    def array(self):
        """The tensor where it lies, in shared memory"""
        memory = (ctypes.c_uint8 * self.bytes).from_address(self.data)
        return np.frombuffer(memory, DTYPES[self.dtype]).reshape(self.dims[:self.rank])


class Request(ctypes.Structure):
    _fields_ = [("size", ctypes.c_size_t), ("id", ctypes.c_uint64), ("user_data", ctypes.c_uint64),
                ("deadline_ns", ctypes.c_int64), ("sequence_id", ctypes.c_uint64),
                ("version", ctypes.c_uint32), ("priority", ctypes.c_uint32),
                ("input_count", ctypes.c_uint32), ("response_bytes", ctypes.c_uint32),
                ("inputs", ctypes.POINTER(Tensor))]


class Completion(ctypes.Structure):
    _fields_ = [("size", ctypes.c_size_t), ("id", ctypes.c_uint64), ("user_data", ctypes.c_uint64),
                ("status", ctypes.c_int32), ("kind", ctypes.c_uint32), ("flags", ctypes.c_uint32),
                ("numerics", ctypes.c_uint32), ("version", ctypes.c_uint32),
                ("substituted", ctypes.c_uint32), ("ring_ns", ctypes.c_uint32),
                ("queue_ns", ctypes.c_uint32), ("batch_ns", ctypes.c_uint32),
                ("execute_ns", ctypes.c_uint32), ("retry_ns", ctypes.c_uint64),
                ("detail", ctypes.c_uint64), ("response", ctypes.c_void_p),
                ("response_bytes", ctypes.c_uint32), ("output_count", ctypes.c_uint32),
                ("outputs", ctypes.POINTER(Tensor))]


class Hearth:
    """One connection; one thread at a time"""

    def __init__(self, library, socket):
        self.lib = ctypes.CDLL(library)
        self.lib.hearth_strerror.restype = ctypes.c_char_p
        self.lib.hearth_completion_strerror.restype = ctypes.c_char_p
        self.handle = ctypes.c_void_p()
        self._call("open", socket.encode(), None, ctypes.byref(self.handle))

    def _call(self, name, *arguments):
        r = getattr(self.lib, "hearth_" + name)(*arguments)
        if r < 0:
            raise OSError(-r, f"hearth_{name}: {self.lib.hearth_strerror(r).decode()} "
                              f"({errno.errorcode.get(-r, -r)})")
        return r

    def model(self, name, version=0):
        model = ctypes.POINTER(ModelInfo)()
        self._call("model", self.handle, name.encode(), ctypes.c_uint32(version),
                   ctypes.byref(model))
        return model

    def submit(self, model, arrays, tag, version=0):
        request = ctypes.POINTER(Request)()
        self._call("acquire", self.handle, model, ctypes.c_uint32(len(arrays[0])),
                   ctypes.byref(request))
        for index, array in enumerate(arrays):
            request.contents.inputs[index].array()[...] = array
        request.contents.user_data = tag
        request.contents.version = version
        self._call("submit", self.handle, request)

    def wait(self):
        """(tag, outputs) of the next request that is done"""
        done = ctypes.POINTER(Completion)()
        self._call("wait", self.handle, ctypes.c_int64(-1), ctypes.byref(done))
        answer = done.contents
        if answer.status < 0:
            raise OSError(-answer.status,
                          self.lib.hearth_completion_strerror(self.handle, done).decode())
        outputs = [answer.outputs[index].array().copy() for index in range(answer.output_count)]
        tag = answer.user_data
        self._call("release", self.handle, ctypes.c_uint64(answer.id))
        return tag, outputs

    def close(self):
        self.lib.hearth_close(self.handle)


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    data = pathlib.Path(sys.argv[3] if len(sys.argv) > 3 else "tests/data/shoppers")
    rows = {name: np.load(data / f"{name}.npy") for name in ("dense", "ids", "crosses")}
    wanted = np.load(data / "score_v2.npy")
    scores = np.empty_like(wanted)

    hearth = Hearth(sys.argv[2], sys.argv[1])
    model = hearth.model("shoppers", 2)
    names = [model.contents.inputs[index].name.decode()
             for index in range(model.contents.input_count)]
    firsts = range(0, len(wanted), ROWS)
    for first in firsts:
        hearth.submit(model, [rows[name][first:first + ROWS] for name in names], first, version=2)
    for _ in firsts:
        first, outputs = hearth.wait()
        scores[first:first + ROWS] = outputs[0]
    hearth.close()

    difference = float(np.abs(scores - wanted).max())
    print(f"{len(wanted)} rows, largest difference from PyTorch: {difference:.3g}")
    return difference > 1e-5


if __name__ == "__main__":
    sys.exit(main())
