# SPDX-License-Identifier: MIT
"""tests/suite.py - what tests/suite.h is for C: a test in Python counts its checks, and ends by what came of them"""
import sys
import time

passed = failed = skipped = 0


def check(what, is_so):
    global passed, failed
    passed, failed = passed + bool(is_so), failed + (not is_so)
    if not is_so:
        print(f"FAIL: {what}")


def skip(what):
    global skipped
    skipped += 1
    print(f"SKIP: {what}")


def wait_until(what, is_so, patience_s=60):
    """What happens at all happens within this time; else the test ends."""
    deadline = time.monotonic() + patience_s
    while not is_so():
        if time.monotonic() > deadline:
            raise SystemExit(f"FAIL: {what} did not come")
        time.sleep(0.05)


def end():
    """tests/run.sh reads the last line."""
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    sys.exit(failed > 0)
