#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""fake_control.py SOCKET SCRIPT - answers CONTROL messages of shm/handshake.h from a table

SOCKET and SOCKET.admin listen. SCRIPT is a JSON file: {"verb": [[status, more, body], ...]}; the body is
an object, or a string that is sent as it is; "hang" instead of a list never answers, "close" hangs up,
"garbage" sends bytes that are no message. A key "verb from N" is for questions with that "from". What was
asked is appended to SOCKET.log, one object a line with the socket it came on. Prints "ready" once it listens,
and ends with its standard input.
"""
import json
import os
import selectors
import socket
import struct
import sys

MAGIC, CONTROL, CONTROL_REPLY, MORE = 0x48545248, 5, 6, 1
path, script = sys.argv[1], json.load(open(sys.argv[2]))
selector = selectors.DefaultSelector()
log = open(path + ".log", "a", buffering=1)


def answer(peer, admin):
    packet = peer.recv(65536)
    if not packet:
        selector.unregister(peer)
        peer.close()
        return
    magic, kind, _, size, _ = struct.unpack("<IHHIi", packet[:16])
    assert (magic, kind, size) == (MAGIC, CONTROL, len(packet)), packet[:16]
    question = json.loads(packet[16:])
    log.write(json.dumps({"admin": admin, **question}) + "\n")
    verb = question["verb"]
    replies = script.get(f"{verb} from {question.get('from')}") or script[verb]
    if replies == "hang":
        return
    if replies in ("close", "garbage"):
        if replies == "garbage":
            peer.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        selector.unregister(peer)
        peer.close()
        return
    for status, more, body in replies:
        body = (body if isinstance(body, str) else json.dumps(body)).encode()
        peer.send(struct.pack("<IHHIi", MAGIC, CONTROL_REPLY, MORE if more else 0, 16 + len(body), status) + body)


for admin in (False, True):
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listener.bind(path + (".admin" if admin else ""))
    listener.listen(16)
    selector.register(listener, selectors.EVENT_READ, ("accept", admin))
selector.register(sys.stdin, selectors.EVENT_READ, ("end", None))
print("ready", flush=True)
while True:
    for key, _ in selector.select():
        what, admin = key.data
        if what == "end" and not os.read(0, 1):
            sys.exit(0)
        elif what == "accept":
            selector.register(key.fileobj.accept()[0], selectors.EVENT_READ, ("answer", admin))
        elif what == "answer":
            try:
                answer(key.fileobj, admin)
            except (BrokenPipeError, ConnectionResetError):
                pass  # the asker left early; its end is noticed at the next turn
