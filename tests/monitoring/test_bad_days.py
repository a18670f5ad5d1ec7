#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""tests/monitoring/test_bad_days.py - the host is broken on purpose, one way at a time: a real hearthd names it,
the command that it names shows the cause, and its alert fires if the day goes on as it began"""
import atexit
import ctypes
import fcntl
import json
import mmap
import os
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

os.chdir(os.path.join(os.path.dirname(__file__), "../.."))
sys.path.insert(0, "tests")
import suite
from suite import check, skip, wait_until

BUILD = os.environ.get("BUILD", "build")
DATA = "tests/data/shoppers"
RULES = "tools/monitoring/hearth.rules.yml"
INPUTS = [f"--input={name}={DATA}/{name}.npy" for name in ("dense", "ids", "crosses")]
POOL = "/sys/kernel/mm/hugepages/hugepages-2048kB"
HUGE_BYTES = 2 << 20
NO_ROWS = r"""
#include <errno.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>
ssize_t pread(int fd, void *buffer, size_t bytes, off_t offset)
{
	char name[16];

	prctl(PR_GET_NAME, name);
	if (strcmp(name, "hearth-data") != 0)
		return syscall(SYS_pread64, fd, buffer, bytes, offset);
	errno = EIO;
	return -1;
}
"""
PASSES = "hearth_loop_passes_total"
SLOTS = 256  # of a connection of bench
MAP_HUGETLB, CAP_IPC_LOCK = 0x40000, 14
PTRACE_SEIZE, PTRACE_INTERRUPT, PTRACE_DETACH, WALL = 0x4206, 0x4207, 17, 0x40000000
DEADLINE_S = 60
LOCK_S = 20  # for other tests to be done with the huge pages
pool_file = None
libc = ctypes.CDLL(None, use_errno=True)


def pool(name):
    with open(f"{POOL}/{name}", encoding="ascii") as file:
        return int(file.read())


def pool_reserve(pages):
    with open(f"{POOL}/nr_hugepages", "w", encoding="ascii") as file:
        file.write(str(pages))


def pool_take():
    """Takes all huge pages that are free, by reservation alone, until it is closed."""
    bytes_free = (pool("free_hugepages") - pool("resv_hugepages")) * HUGE_BYTES
    return mmap.mmap(-1, bytes_free or 1, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | (MAP_HUGETLB if bytes_free else 0))


class Appliance:
    """A hearthd with a repository of its own, until the end of the block."""

    def __init__(self, *flags, prepare=None, takes_pages=False, environment=None):
        self.folder = tempfile.mkdtemp(prefix="hearth-bad-days.")
        self.flags, self.prepare, self.takes_pages, self.programs = flags, prepare, takes_pages, []
        self.environment = {**os.environ, **(environment or {})}

    def __enter__(self):
        shutil.copytree(f"{DATA}/repository/shoppers/2", f"{self.folder}/repository/shoppers/2")
        shutil.copytree(f"{DATA}/repository/shoppers/2", f"{self.folder}/repository/chilly/1")
        os.makedirs(f"{self.folder}/repository/broken/1")
        with open(f"{self.folder}/repository/broken/1/model.onnx", "wb") as file:
            file.write(b"no model")
        with open(f"{self.folder}/hearthd.conf", "w", encoding="utf-8") as file:
            file.write("load = none\n[model chilly]\ncold = yes\n")
        with open(f"{self.folder}/log", "w", encoding="utf-8") as log:
            self.daemon = subprocess.Popen(
                [f"{BUILD}/bin/hearthd", "--repository", f"{self.folder}/repository", "--socket", f"{self.folder}/s",
                 "--config", f"{self.folder}/hearthd.conf", "--metrics-socket", f"{self.folder}/m", *self.flags],
                stdout=log, stderr=log, preexec_fn=self.prepare, env=self.environment)
        try:
            self.await_model()
        except BaseException:
            self.__exit__(*sys.exc_info())
            raise
        self.first = self.scrape()
        return self

    def await_model(self):
        wait_until("a daemon that is ready", lambda: self.status().get("ready"))
        if self.takes_pages:
            wait_until("a moment without huge pages", self.load_without_pages)
        else:
            check("a model loads", self.run("load", "shoppers").returncode == 0)

    def __exit__(self, kind, *_):
        for program in self.programs:
            program.kill()
            program.wait()
        self.daemon.terminate()
        check("the daemon ends well", self.daemon.wait(DEADLINE_S) == 0)
        if kind or suite.failed:
            with open(f"{self.folder}/log", encoding="utf-8", errors="replace") as file:
                print(file.read()[-2000:])
        shutil.rmtree(self.folder)

    def run(self, *arguments):
        return subprocess.run([f"{BUILD}/bin/hearthctl", "--socket", f"{self.folder}/s", *arguments],
                              timeout=DEADLINE_S, capture_output=True, text=True)

    def load_without_pages(self):
        """False: another program has given some back meanwhile."""
        try:
            with pool_take():
                self.run("load", "shoppers")
        except OSError:
            return False
        if self.row("models", model="shoppers")["pages"] != "2M":
            return True
        self.run("unload", "shoppers")
        return False

    def rows(self, *command):
        return [json.loads(line) for line in self.run("-o", "json", *command).stdout.splitlines()]

    def status(self):
        return (self.rows("status") or [{}])[0]

    def row(self, command, **keys):
        """The first row that has these values; {} when there is none."""
        return next((row for row in self.rows(command) if keys.items() <= row.items()), {})

    def infer(self, model):
        return self.run("infer", model, *INPUTS, f"--output={self.folder}/out")

    def ask_on(self, *arguments):
        self.programs.append(subprocess.Popen(
            [f"{BUILD}/bin/hearthctl", "--socket", f"{self.folder}/s", "bench", "shoppers", "--seconds=600",
             *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        return self.programs[-1]

    def scrape(self, patience_s=DEADLINE_S):
        """{series: value}, and whether there is an answer, as Prometheus would write it down."""
        answer = b""
        try:
            with socket.socket(socket.AF_UNIX) as peer:
                peer.settimeout(patience_s)
                peer.connect(f"{self.folder}/m")
                peer.sendall(b"GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
                while part := peer.recv(65536):
                    answer += part
        except TimeoutError:
            pass
        lines = answer.decode().partition("\r\n\r\n")[2].splitlines()
        found = {name: float(number) for name, number in (line.rsplit(" ", 1) for line in lines if line[:1] != "#")}
        return {**found, 'up{job="hearth"}': float(bool(found))}

    def is_named(self, pattern, command):
        """`worst` says so, with the command that tells more."""
        worst = self.status().get("worst", "")
        return re.fullmatch(f"{pattern}: {command}", worst) is not None

    def expect(self, pattern, command):
        wait_until(f"worst: {pattern}: {command}, and not {self.status().get('worst')}",
                   lambda: self.is_named(pattern, command))
        check("doctor tells it, too", re.search(f"{pattern}: {command}", self.row("doctor", check="daemon")["found"]))


def values(name, first, before, after):
    """Ten minutes of what happened between the first two scrapes in each interval, then of what happened since."""
    if name not in after or not name.partition("{")[0].endswith("_total"):
        return " ".join(f"{scrape[name]}x40" if name in scrape else "_x40" for scrape in (before, after))
    start, middle, end = (scrape.get(name, 0) for scrape in (first, before, after))
    good, bad = middle - start, end - middle
    return f"{start}+{good}x40 {start + 40 * good + bad}+{bad}x40"


def expect_alert(alert, first, before, after):
    """It fires if the day goes on as it began, and does not before."""
    if not shutil.which("promtool"):
        skip("promtool is not installed (tools/dev/install_packages.sh --tests)")
        return
    with open(RULES, encoding="utf-8") as file:
        read = set(re.findall(r"\bhearth_[a-z_]+\b|\bup\b", file.read()))
    series = [{"series": name, "values": values(name, first, before, after)}
              for name in sorted(before | after) if name.partition("{")[0] in read]
    fires = f'count(ALERTS{{alertname="{alert}", alertstate="firing"}})'
    test = {"rule_files": [os.path.abspath(RULES)], "evaluation_interval": "15s", "tests": [{
        "interval": "15s", "input_series": series, "promql_expr_test": [
            {"expr": fires, "eval_time": "10m", "exp_samples": []},
            {"expr": fires, "eval_time": "20m", "exp_samples": [{"labels": "{}", "value": 1}]}]}]}
    with tempfile.NamedTemporaryFile("w", suffix=".json", encoding="utf-8") as file:
        json.dump(test, file)
        file.flush()
        verdict = subprocess.run(["promtool", "test", "rules", file.name], capture_output=True, text=True)
    check(f"{alert} fires, and has not before: {verdict.stdout}{verdict.stderr}", verdict.returncode == 0)


def pool_lock():
    """The pool's own file is locked until the end, as by tests/memory/huge_pool.c: one waits for the other."""
    global pool_file
    deadline = time.monotonic() + LOCK_S
    if not pool_file:
        pool_file = open(f"{POOL}/nr_hugepages", encoding="ascii")
    while True:
        try:
            fcntl.flock(pool_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise OSError("another test has them") from None
            time.sleep(0.1)


def has_no_pages():
    try:
        pool_lock()
        if pool("nr_hugepages") == 0:
            pool_reserve(1)
            atexit.register(pool_reserve, 0)
    except OSError as error:
        skip(f"no huge page of 2 MiB can be reserved: {error}")
        return True
    return not os.path.exists(POOL) or pool("nr_hugepages") == 0


def too_few_huge_pages():
    if has_no_pages():
        return
    with Appliance(takes_pages=True) as day:
        day.expect("shoppers@2 has weights outside of the reserved huge pages", "hearthctl doctor")
        check("mem says why", "no huge page was free" in
              day.row("mem", use="weights", owner="shoppers@2").get("why", ""))
        row = day.row("doctor", check="huge pages")
        check(f"doctor says how much, and what mends it: {row}", row["verdict"] == "warn" and
              "of weights lie in smaller pages" in row["found"] and row["fix"])
        check("requests are answered", day.infer("shoppers").returncode == 0)


def little_memory_to_lock():
    def prepare():
        resource.setrlimit(resource.RLIMIT_MEMLOCK, (65536, 65536))
        libc.prctl(24, CAP_IPC_LOCK, 0, 0, 0)  # PR_CAPBSET_DROP: exec gives what is left

    if os.environ.get("SAN"):
        skip("a sanitizer's mlock does nothing, and says that it has")
        return
    if has_no_pages():
        return
    with Appliance(takes_pages=True, prepare=prepare) as day:
        day.expect("shoppers@2 has weights that may be swapped out", "hearthctl doctor")
        row = day.row("doctor", check="locked memory")
        check(f"doctor says what is needed: {row}", row["verdict"] == "warn" and "64.0 KiB" in row["found"] and
              "LimitMEMLOCK=infinity" in row["fix"])


def client_that_reads_nothing():
    with Appliance() as day:
        before = day.scrape()
        client = day.ask_on(f"--concurrency={SLOTS}")
        wait_until("a client that asks", lambda: day.row("clients", pid=client.pid).get("requests_total", 0) > SLOTS)
        client.send_signal(signal.SIGSTOP)
        day.expect(rf"client {client.pid} has read none of its answers for \d+ s", "hearthctl clients")
        row = day.row("clients", pid=client.pid)
        check(f"clients shows who: {row}", row["slots"] == SLOTS and row["outstanding"] >= SLOTS / 2)
        name = "hearth_requests_outstanding"
        check("the metric counts them", day.scrape()[name] - before[name] >= SLOTS / 2)
        check("others are answered", day.run("ping", "--count=100").returncode == 0)
        client.send_signal(signal.SIGCONT)
        wait_until("a client that reads", lambda: "client" not in day.status().get("worst", "client"))


def changed_cold_table():
    with Appliance() as day:
        check("a cold model loads", day.run("load", "chilly").returncode == 0)
        before = day.scrape()
        with open(f"{day.folder}/repository/chilly/1/model.bin", "r+b") as file:
            file.write(b"changed")
        check("it is not answered from a file that changed", day.infer("chilly").returncode != 0)
        day.expect("chilly@1 is out of service", "hearthctl models")
        check("models says why", "a file of its cold tables has changed" in day.row("models", model="chilly")["error"])
        check("who asks is told that it is stale", "is out of service" in day.infer("chilly").stderr)
        check("other models are answered", day.infer("shoppers").returncode == 0)
        expect_alert("HearthBudgetBurnsFast", day.first, before, day.scrape())


def disk_that_fails():
    """Reads fail on the thread that serves, not on the one that loads."""
    compiler = os.environ.get("CC", "cc").split()[-1]
    if os.environ.get("SAN") or not shutil.which(compiler):
        skip("there is a sanitizer, which must be loaded first, or no compiler")
        return
    with tempfile.TemporaryDirectory(prefix="hearth-no-rows.") as folder:
        library = f"{folder}/no_rows.so"
        subprocess.run([compiler, "-D_GNU_SOURCE", "-shared", "-fPIC", "-o", library, "-xc", "-"], input=NO_ROWS,
                       text=True, check=True)
        with Appliance("--wait=poll", "--sandbox=off", environment={"LD_PRELOAD": library}) as day:
            check("a cold model loads", day.run("load", "chilly").returncode == 0)
            before = day.scrape()
            told = day.infer("chilly")
            check(f"who asks is told: {told.stderr}", "rows could not be read" in told.stderr)
            day.expect("chilly@1 has rows that could not be read", "hearthctl models")
            check("others are answered", day.infer("shoppers").returncode == 0)
            expect_alert("HearthRowsUnread", day.first, before, day.scrape())


def version_that_fails():
    with Appliance() as day:
        before = day.scrape()
        check("it does not load", day.run("load", "broken").returncode != 0)
        day.expect("broken@1 failed to load", "hearthctl models")
        row = day.row("models", model="broken")
        check(f"models says why: {row}", row["state"] == "failed" and row["error"])
        expect_alert("HearthVersionFailed", day.first, before, day.scrape())


def data_thread_that_hangs():
    """A debugger stops that thread alone."""
    with Appliance() as day:
        wait_until("a pass", lambda: day.scrape()[PASSES] > day.first[PASSES])
        threads = f"/proc/{day.daemon.pid}/task"
        data = next(int(thread) for thread in os.listdir(threads)
                    if open(f"{threads}/{thread}/comm", encoding="ascii").read() == "hearth-data\n")
        if libc.ptrace(PTRACE_SEIZE, data, None, None) < 0:
            skip(f"a thread cannot be stopped here: {os.strerror(ctypes.get_errno())}")
            return
        libc.ptrace(PTRACE_INTERRUPT, data, None, None)
        os.waitpid(data, WALL)
        still = day.scrape()
        day.expect(r"the data thread has done nothing for \d+ s", "journalctl -u hearthd")
        after = day.scrape()
        check("it makes no pass", after[PASSES] == still[PASSES])
        expect_alert("HearthStuck", day.first, still, after)
        libc.ptrace(PTRACE_DETACH, data, None, None)
        wait_until("a pass", lambda: "data thread" not in day.status().get("worst", "data thread"))


def daemon_that_hangs():
    with Appliance() as day:
        before = day.scrape()
        day.daemon.send_signal(signal.SIGSTOP)
        wait_until("status names it", lambda: "is stopped by a signal" in
                   json.loads(day.run("--timeout=0.5", "-o", "json", "status").stdout)["worst"])
        row = next(row for row in day.rows("--timeout=0.5", "doctor") if row["check"] == "stats page")
        check(f"doctor says so: {row}", row["verdict"] == "fail" and "kill -CONT" in row["found"])
        expect_alert("HearthDown", day.first, before, day.scrape(0.5))
        day.daemon.send_signal(signal.SIGCONT)


def connections_at_their_limit():
    with Appliance("--clients-per-uid=1") as day:
        before = day.scrape()
        client = day.ask_on("--rate=100")
        wait_until("a client", lambda: day.row("clients", pid=client.pid))
        check("another one is refused", day.run("ping", "--count=1").returncode != 0)
        day.expect(rf"a connection of uid {os.getuid()} was refused \(connections\)", "hearthctl users")
        row = day.row("users", uid=os.getuid())
        check(f"users shows who is at which limit: {row}", row["connections"] == row["connections_max"] == 1 and
              row["refused_connections"] == {"connections": 1})
        expect_alert("HearthRefusesConnections", day.first, before, day.scrape())


signal.signal(signal.SIGTERM, lambda *_: sys.exit("FAIL: it took too long"))  # and gives back what it has
for bad_day in (too_few_huge_pages, little_memory_to_lock, client_that_reads_nothing, changed_cold_table,
                disk_that_fails, version_that_fails, data_thread_that_hangs, daemon_that_hangs,
                connections_at_their_limit):
    bad_day()
suite.end()
