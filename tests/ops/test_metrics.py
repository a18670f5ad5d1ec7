#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""tests/ops/test_metrics.py - what Prometheus gets from a real hearthd, and who cannot keep it from it"""
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time

os.chdir(os.path.join(os.path.dirname(__file__), "../.."))
sys.path.insert(0, "tests")
import suite
from suite import check, wait_until

BUILD = os.environ.get("BUILD", "build")
DATA = "tests/data/shoppers"
DEADLINE_S = 60


def ctl(*arguments):
    return subprocess.run([f"{BUILD}/bin/hearthctl", "--socket", SOCKET, *arguments], timeout=DEADLINE_S,
                          capture_output=True, text=True)


def status_of(key):
    """None while there is no daemon."""
    return json.loads(ctl("-o", "json", "status").stdout or "{}").get(key)


def connect():
    peer = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    peer.settimeout(DEADLINE_S)
    peer.connect(METRICS)
    return peer


def ask(line="GET /metrics HTTP/1.1"):
    """Status, headers and body."""
    with connect() as peer:
        peer.sendall(f"{line}\r\nHost: hearth\r\nConnection: close\r\n\r\n".encode())
        answer = b""
        while part := peer.recv(65536):
            answer += part
    head, _, body = answer.decode().partition("\r\n\r\n")
    return int(head.split()[1]), head, body


SAMPLE = re.compile(r'^([a-z_]+)(?:\{((?:[a-z_]+="(?:[^"\\\n]|\\["\\n])*",?)+)\})? (\S+)$')


def samples(body):
    """{(name, frozenset of labels): value}; every line must be one, a HELP or a TYPE."""
    found = {}
    for line in body.splitlines():
        if line.startswith(("# HELP ", "# TYPE ")):
            continue
        match = SAMPLE.match(line)
        if not match:
            raise SystemExit(f"FAIL: no sample: {line}")
        labels = frozenset(re.findall(r'([a-z_]+)="((?:[^"\\]|\\.)*)"', match[2] or ""))
        if (match[1], labels) in found:
            raise SystemExit(f"FAIL: twice: {line}")
        found[match[1], labels] = float(match[3])
    return found


def value(found, name, **labels):
    return found.get((name, frozenset(labels.items())))


def promtool_is_silent(body):
    if not shutil.which("promtool"):
        return True
    verdict = subprocess.run(["promtool", "check", "metrics"], input=body, capture_output=True, text=True)
    print(verdict.stdout + verdict.stderr, end="")
    return verdict.returncode == 0 and not verdict.stdout + verdict.stderr


def test_text(body):
    listed = [line.split("\t") for line in
              subprocess.run([f"{BUILD}/bin/hearthd", "--list-metrics"], check=True, capture_output=True,
                             text=True).stdout.splitlines()]
    found = samples(body)
    types = re.findall(r"^# TYPE (\S+) (\S+)$", body, re.M)
    check("what is listed is what is exposed, in order", types == [(row[0], row[1]) for row in listed])
    for name, kind, dimension, labels, _ in listed:
        own = [labels_of for sample, labels_of in found
               if sample == name or kind == "histogram" and sample in (f"{name}_sum", f"{name}_count")]
        check(f"{name} has the labels that are listed",
              all({key for key, _ in labels_of} == set(labels.split()) for labels_of in own))
        check(f"{name} is of a dimension", dimension in ("hardware", "software", "business"))
    page = open("daemon/hearth-metrics.7", encoding="utf-8").read()
    made = subprocess.run(["tools/dev/metrics_page.sh"], check=True, capture_output=True, text=True).stdout
    check("hearth-metrics(7) is the list's (tools/dev/metrics_page.sh >daemon/hearth-metrics.7)", page == made)
    check("promtool has nothing to say", promtool_is_silent(body))


def test_figures():
    of = {"model": "shoppers", "version": "2"}
    before = samples(ask()[2])
    inputs = [f"--input={name}={DATA}/{name}.npy" for name in ("dense", "ids", "crosses")]
    told = json.loads(ctl("-o", "json", "infer", "shoppers", *inputs, f"--output={FOLDER}/out", "--batch=100").stdout)
    rows, requests = told["rows"], -(-told["rows"] // 100)
    check("an unknown model is refused", ctl("infer", "shoppers@9", *inputs, f"--output={FOLDER}/out").returncode == 4)
    wait_until("a count", lambda: value(samples(ask()[2]), "hearth_request_duration_seconds_count", stage="total",
                                        **of) == requests)
    found = samples(ask()[2])
    check("each request is counted as ok",
          value(found, "hearth_requests_total", outcome="ok", **of) -
          value(before, "hearth_requests_total", outcome="ok", **of) == requests)
    check("each row is counted", value(found, "hearth_rows_total", **of) -
          value(before, "hearth_rows_total", **of) == rows)
    check("rows of batches are the same", value(found, "hearth_batch_rows_sum", **of) == rows)
    closed = sum(value(found, "hearth_batches_closed_total", reason=reason, **of)
                 for reason in ("idle", "full", "alone"))
    check("each batch has closed once", closed == value(found, "hearth_batch_rows_count", **of))
    for stage in ("ring", "queue", "batch", "execute", "answer", "total"):
        buckets = [(float(dict(labels)["le"].replace("+", "")), count) for (name, labels), count in found.items()
                   if name == "hearth_request_duration_seconds_bucket" and ("stage", stage) in labels]
        counts = [count for _, count in sorted(buckets)]
        check(f"{stage}: buckets only grow, to the count", counts == sorted(counts) and counts[-1] == requests)
    check("the version is current", value(found, "hearth_version_current", **of) == 1)
    check("the daemon is ready", value(found, "hearth_ready") == 1)
    check("it started a moment ago", 0 <= time.time() - value(found, "hearth_start_time_seconds") < 600)
    mem = [json.loads(line) for line in ctl("-o", "json", "mem").stdout.splitlines()]
    weights = sum(row["mapped_bytes"] for row in mem if row.get("use") == "weights")
    check("memory is what `hearthctl mem` tells", weights == sum(
        count for (name, labels), count in found.items()
        if name == "hearth_memory_bytes" and ("use", "weights") in labels))
    check("each request was taken and answered, and none waits",
          value(found, "hearth_requests_taken_total") - value(before, "hearth_requests_taken_total") >= requests and
          value(found, "hearth_requests_taken_total") == value(found, "hearth_requests_answered_total") and
          value(found, "hearth_queue_depth") == 0)
    nodes, steps = (value(found, f"hearth_version_{name}", **of) for name in ("nodes", "steps"))
    plan = [json.loads(line) for line in ctl("-o", "json", "model", "show", "shoppers@2", "--plan").stdout.splitlines()]
    check(f"the steps are the plan's, and fewer than the file's {nodes} nodes",
          0 < steps < nodes and steps == len({row["step"] for row in plan}))
    check("there is a plan for each bucket, and an arena", value(found, "hearth_version_plans", **of) > 1 and
          value(found, "hearth_version_arena_bytes", **of) > 0)
    parts = [value(found, "hearth_version_memory_bytes", use=use, **of) for use in ("weights", "tables")]
    check(f"weights and tables are told apart: {parts}", min(parts) > 0 and sum(parts) <= weights)
    check("what its load read is told", value(found, "hearth_version_read_bytes", **of) <= sum(parts) and
          value(found, "hearth_version_read_seconds", **of) > 0)
    check("a program that waits is a client", value(found, "hearth_clients", state="served") == 0)
    bench = subprocess.Popen([f"{BUILD}/bin/hearthctl", "--socket", SOCKET, "bench", "shoppers", "--seconds", "60"],
                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_until("a client", lambda: value(samples(ask()[2]), "hearth_clients", state="served") == 1)
    bench.kill()
    bench.wait()
    wait_until("its end", lambda: value(samples(ask()[2]), "hearth_clients", state="served") == 0)
    before = samples(ask()[2])
    check("a failed load is a version that has failed", ctl("load", "broken@1").returncode != 0)
    for change in ("swap shoppers@1", "rollback shoppers", "load shoppers@1", "unload shoppers@1"):
        check(change, ctl(*change.split()).returncode == 0)
    check("a dry load is none", ctl("load", "shoppers@1", "--dry-run").returncode == 0)
    wait_until("an unload", lambda: value(samples(ask()[2]), "hearth_changes_total", change="unload",
                                          outcome="ok") == 1)
    found = samples(ask()[2])
    changes = {(change, outcome): value(found, "hearth_changes_total", change=change, outcome=outcome) -
               value(before, "hearth_changes_total", change=change, outcome=outcome)
               for change in ("load", "swap", "drain", "rollback", "unload") for outcome in ("ok", "failed")}
    check(f"changes are counted by what came of them: {changes}", {key for key, count in changes.items() if count == 1} ==
          {("load", "failed"), ("load", "ok"), ("swap", "ok"), ("rollback", "ok"), ("unload", "ok")} and
          sum(changes.values()) == 5)
    check("and is told", value(samples(ask()[2]), "hearth_version_info", model="broken", version="1", state="failed") == 1)


def test_prom(body):
    """hearthctl's -o prom: each metric belongs to one command."""
    told = []
    for command in ("status", "models", "mem", "latency", "clients", "users"):
        part = ctl("-o", "prom", command)
        check(f"{command} has metrics, and nothing else to say", part.returncode == 0 and part.stdout and not part.stderr)
        samples(part.stdout)
        told += [line for line in part.stdout.splitlines() if line.startswith("# ")]
        check(f"promtool has nothing to say of {command}", promtool_is_silent(part.stdout))
    check("together they are what is exposed", sorted(told) ==
          sorted(line for line in body.splitlines() if line.startswith("# ")))
    of = {"model": "shoppers", "version": "2"}
    check("figures are those that are exposed", value(samples(ctl("-o", "prom", "models").stdout),
                                                     "hearth_version_steps", **of) ==
          value(samples(body), "hearth_version_steps", **of))
    for command in ("doctor", "trace", "reload"):
        part = ctl("-o", "prom", command)
        check(f"{command} has none, and says so", part.returncode == 1 and "no metrics belong" in part.stderr)
    check("nothing can be left out", ctl("-o", "prom", "mem", "--node", "0").returncode == 2)
    check("nor is anything in the stats page", "does not have metrics" in ctl("-o", "prom", "mem", "--page").stderr)


def test_ration():
    """Two questions at once have one answer, in which the control thread's own time would differ else."""
    def bodies():
        with connect() as one, connect() as other:
            for peer in (one, other):
                peer.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
            return [b"".join(iter(lambda peer=peer: peer.recv(65536), b"")).partition(b"\r\n\r\n")[2]
                    for peer in (one, other)]
    pairs = [bodies() for _ in range(20)]
    check("what was answered a moment ago is answered again", any(one == other for one, other in pairs))
    wait_until("another answer", lambda: bodies()[0] != pairs[0][0])


def test_http():
    status, head, _ = ask()
    check("the type is Prometheus' text", status == 200 and "text/plain; version=0.0.4" in head)
    check("HEAD has no body", ask("HEAD /metrics HTTP/1.1")[2] == "")
    check("another path is not there", ask("GET /other HTTP/1.1")[0] == 404)
    check("nothing can be posted", ask("POST /metrics HTTP/1.1")[0] == 405)
    check("a path that climbs is not there", ask("GET /metrics/../../etc/passwd HTTP/1.1")[0] == 404)
    with connect() as peer:
        peer.sendall(b"\0\xff garbage\r\n\r\n")
        check("garbage is refused", b"200" not in peer.recv(65536)[:16])
    with connect() as peer:
        peer.sendall(b"GET /metrics HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 65536)
        try:
            check("a header without end is refused", b" 200 " not in peer.recv(65536)[:16])
        except ConnectionError:
            check("a header without end is refused", True)


def test_strangers():
    """Connections that say nothing, or take nothing: whoever infers notices nothing, and they end."""
    idle = [connect() for _ in range(40)]
    check("the daemon answers beside them", ctl("status").returncode == 0)
    check("requests are served beside them", ctl("ping", "--count", "100").returncode == 0)
    for peer in idle[:20]:
        peer.close()
    deaf = connect()
    deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    deaf.sendall(b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n" * 100)
    for peer in idle[20:]:
        peer.close()
    check("Prometheus is served after them", ask()[0] == 200)
    check("requests are served beside who takes no answer", ctl("ping", "--count", "100").returncode == 0)
    deaf.close()


def test_inherited(sandbox):
    """systemd's socket comes before one of ours, which is neither made nor wanted by the sandbox."""
    with socket.create_server(("127.0.0.1", 0)) as listening, open(f"{FOLDER}/log", "a", encoding="utf-8") as log:
        script = f'exec 3<&{listening.fileno()}; export LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=metrics; exec "$@"'
        daemon = subprocess.Popen(["bash", "-c", script, "bash", f"{BUILD}/bin/hearthd", "--repository",
                                   f"{FOLDER}/repository", "--socket", SOCKET, "--metrics-socket",
                                   f"{FOLDER}/absent/m"], pass_fds=[listening.fileno()], stderr=log, stdout=log)
        try:
            wait_until("a daemon", lambda: daemon.poll() is not None or status_of("ready"))
            check("the sandbox is what it is with a socket of ours", status_of("sandbox") == sandbox)
            with socket.create_connection(listening.getsockname(), DEADLINE_S) as peer:
                peer.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
                check("systemd's socket answers", b" 200 " in peer.recv(65536)[:16])
        finally:
            daemon.terminate()
            check("the daemon of systemd's socket ends well", daemon.wait(DEADLINE_S) == 0)


def main():
    shutil.copytree(f"{DATA}/repository", f"{FOLDER}/repository")
    os.makedirs(f"{FOLDER}/repository/broken/1")
    open(f"{FOLDER}/repository/broken/1/model.onnx", "wb").write(b"no model")
    log = open(f"{FOLDER}/log", "w", encoding="utf-8")
    daemon = subprocess.Popen([f"{BUILD}/bin/hearthd", "--repository", f"{FOLDER}/repository", "--socket", SOCKET,
                               "--metrics-socket", METRICS], stderr=log, stdout=log)
    try:
        wait_until("a daemon that is ready", lambda: status_of("ready"))
        sandbox = status_of("sandbox")
        check("others than user and group cannot ask", os.stat(METRICS).st_mode & 0o7777 == 0o660)
        test_text(ask()[2])
        test_prom(ask()[2])
        test_figures()
        test_ration()
        test_http()
        test_strangers()
    finally:
        daemon.terminate()
        status = daemon.wait(DEADLINE_S)
    check(f"the daemon ends well: {status}", status == 0)
    check("and takes its socket along", not os.path.exists(METRICS))
    test_inherited(sandbox)
    if suite.failed:
        print(open(f"{FOLDER}/log", encoding="utf-8").read()[-4000:])


FOLDER = tempfile.mkdtemp(prefix="hearth-metrics.")
SOCKET, METRICS = f"{FOLDER}/s", f"{FOLDER}/m"
try:
    main()
finally:
    shutil.rmtree(FOLDER)
suite.end()
