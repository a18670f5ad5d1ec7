#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""press_tab.py SETUP LINE WANTED SHELL [ARGUMENT...] - what Tab makes of LINE in an interactive shell

The shell reads the line SETUP first. Exits 0 once WANTED is on its terminal after LINE was typed, and 1
with what is there instead after 30 s.
"""
import os
import pty
import select
import signal
import sys
import time

setup, line, wanted, *shell = sys.argv[1:]
child, terminal = pty.fork()
if child == 0:
    os.execvp(shell[0], shell)
deadline = time.monotonic() + 30


def read_until(text):
    seen = b""
    while text not in seen:
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([terminal], [], [], left)[0]:
            return seen, False
        seen += os.read(terminal, 4096)
    return seen, True


os.write(terminal, (setup + "; echo rea''dy\n").encode())
seen, found = read_until(b"ready")
if found:
    os.write(terminal, (line + "\t").encode())
    seen, found = read_until(wanted.encode())
os.kill(child, signal.SIGKILL)
os.waitpid(child, 0)
if not found:
    print(repr(seen))
sys.exit(not found)
