#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""tests/monitoring/test_prometheus.py - a real Prometheus scrapes a real hearthd under load: its rules are
sound, and every expression of dashboard and alerts finds what it asks for.

With --draw FILE.png it lets the load go on for a while and has headless Chromium draw the dashboard."""
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request

os.chdir(os.path.join(os.path.dirname(__file__), "../.."))
sys.path.insert(0, "tests")
import suite
from suite import check, wait_until

BUILD = os.environ.get("BUILD", "build")
DATA = "tests/data/shoppers"
RULES, DASHBOARD = "tools/monitoring/hearth.rules.yml", "tools/monitoring/hearth.dashboard.json"
DEADLINE_S = 90
INTERVAL = "1s"
DRAW_S = 90


def listener():
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    listening.listen()
    return listening


def promtool(*arguments):
    verdict = subprocess.run(["promtool", *arguments], capture_output=True, text=True)
    check(f"promtool {' '.join(arguments)}: {verdict.stdout}{verdict.stderr}", verdict.returncode == 0)


def ask(path, **parameters):
    url = f"http://{PROMETHEUS}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
    try:
        with urllib.request.urlopen(url, timeout=DEADLINE_S) as answer:
            return json.load(answer)["data"]
    except urllib.error.HTTPError as error:
        return {"result": [], "error": error.read().decode(errors="replace")}
    except OSError:
        return {"result": [], "error": "Prometheus does not answer"}


def has(expression):
    return len(ask("query", query=expression)["result"]) > 0


def hearthctl(*arguments):
    return subprocess.Popen([f"{BUILD}/bin/hearthctl", "--socket", SOCKET, *arguments], stdout=subprocess.DEVNULL,
                            stderr=subprocess.DEVNULL)


def start_daemon():
    """With a TCP socket for its metrics, as systemd would hand it over."""
    with listener() as listening:
        script = f'exec 3<&{listening.fileno()}; export LISTEN_PID=$$; exec "$@"'
        environment = {**os.environ, "LISTEN_FDS": "1", "LISTEN_FDNAMES": "metrics"}
        daemon = subprocess.Popen(
            ["bash", "-c", script, "bash", f"{BUILD}/bin/hearthd", "--repository", f"{FOLDER}/repository", "--socket",
             SOCKET, "--config", f"{FOLDER}/hearthd.conf"], pass_fds=[listening.fileno()], env=environment,
            stdout=LOG, stderr=LOG)
        return daemon, listening.getsockname()[1]


def start_prometheus(target):
    with open(RULES, encoding="utf-8") as file:
        rules = re.sub(r"interval: 15s", f"interval: {INTERVAL}", file.read())
    with open(f"{FOLDER}/hearth.rules.yml", "w", encoding="utf-8") as file:
        file.write(rules)
    with open(f"{FOLDER}/prometheus.yml", "w", encoding="utf-8") as file:
        file.write(f"global: {{scrape_interval: {INTERVAL}, evaluation_interval: {INTERVAL}}}\n"
                   f"rule_files: [{FOLDER}/hearth.rules.yml]\n"
                   f"scrape_configs: [{{job_name: hearth, static_configs: [{{targets: ['127.0.0.1:{target}']}}]}}]\n")
    promtool("check", "config", f"{FOLDER}/prometheus.yml")
    return subprocess.Popen(["prometheus", f"--config.file={FOLDER}/prometheus.yml", f"--storage.tsdb.path={FOLDER}/db",
                             f"--web.listen-address={PROMETHEUS}"], stdout=LOG, stderr=LOG)


def load_begin():
    """Programs that ask, one of them of cold tables; some that ask for what cannot be; what fails to load."""
    inputs = [f"--input={name}={DATA}/{name}.npy" for name in ("dense", "ids", "crosses")]
    programs = [hearthctl("bench", "shoppers", "--seconds=600", "--rate=3000", "--batch=4"),
                hearthctl("bench", "chilly", *inputs, "--seconds=600", "--rate=500", "--batch=8")]
    hearthctl("load", "broken").wait()
    hearthctl("infer", "shoppers@9", *inputs, f"--output={FOLDER}/out").wait()
    hearthctl("bench", "shoppers", "--seconds=0.2", "--id-max=1000000000").wait()
    return programs


def selectors(expression):
    """The series that an expression reads, without what is made of them."""
    return re.findall(r"\b(?:hearth[a-z_:0-9]*|up)(?:\{[^}]*\})?", expression)


def test_rules():
    groups = ask("rules")["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    check("all rules are there", len(rules) >= 20)
    for rule in rules:
        check(f"{rule['name']} is evaluated: {rule.get('lastError')}", rule["health"] == "ok")
        for selector in selectors(rule["query"]):
            check(f"{rule['name']}: {selector} is there", has(selector))


def test_dashboard():
    with open(DASHBOARD, encoding="utf-8") as file:
        dashboard = json.load(file)
    for panel in dashboard["panels"]:
        for target in panel.get("targets", []):
            expression = (target["expr"].replace("$__rate_interval", "5m").replace("$instance", ".*")
                          .replace("$model", ".*"))
            answer = ask("query", query=expression)
            check(f"{panel['title']}: {expression}: {answer.get('error', 'no data')}", answer["result"])


def draw(picture):
    page = f"file://{os.getcwd()}/tests/monitoring/panels.html?" + urllib.parse.urlencode(
        {"prometheus": f"http://{PROMETHEUS}", "seconds": DRAW_S})
    with open(DASHBOARD, encoding="utf-8") as file:
        text = file.read()
    page += "#" + urllib.parse.quote(text)
    subprocess.run(["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
                    f"--user-data-dir={FOLDER}/chromium", "--disable-web-security", "--window-size=1390,2490",
                    "--virtual-time-budget=20000", f"--screenshot={os.path.abspath(picture)}", page], check=True,
                   stdout=LOG, stderr=LOG)


def main():
    shutil.copytree(f"{DATA}/repository", f"{FOLDER}/repository")
    shutil.copytree(f"{DATA}/repository/shoppers/2", f"{FOLDER}/repository/chilly/1")
    os.makedirs(f"{FOLDER}/repository/broken/1")
    with open(f"{FOLDER}/repository/broken/1/model.onnx", "wb") as file:
        file.write(b"no model")
    with open(f"{FOLDER}/hearthd.conf", "w", encoding="utf-8") as file:
        file.write("[model chilly]\ncold = yes\n")
    promtool("check", "rules", RULES)
    promtool("test", "rules", "tests/monitoring/rules.yml")
    daemon, port = start_daemon()
    prometheus = start_prometheus(port)
    programs = [daemon, prometheus]
    try:
        wait_until("a scrape", lambda: has("hearth_ready == 1"), DEADLINE_S)
        programs[:0] = load_begin()
        wait_until("a rate of every kind", lambda: has("hearth:duration_seconds:p99") and
                   has("hearth:missed:ratio3d") and has("hearth:cold_hits:ratio5m") and
                   has("rate(hearth_requests_refused_total[5s]) > 0 or hearth_requests_refused_total > 0") and
                   has('avg_over_time(hearth:asked:rate5m[5s])'), DEADLINE_S)
        time.sleep(3)
        test_rules()
        test_dashboard()
        check("nobody is called by an ordinary load", not has('ALERTS{alertstate="firing", severity="page"}'))
        if "--draw" in sys.argv:
            time.sleep(DRAW_S)
            draw(sys.argv[sys.argv.index("--draw") + 1])
    finally:
        for program in programs:
            program.terminate()
        for program in programs:
            program.wait(DEADLINE_S)
        if suite.failed:
            with open(f"{FOLDER}/log", encoding="utf-8", errors="replace") as file:
                print(file.read()[-4000:])


for needed in ("prometheus", "promtool"):
    if not shutil.which(needed):
        print(f"SKIP: {needed} is not installed (tools/dev/install_packages.sh --tests)")
        sys.exit(77)
FOLDER = tempfile.mkdtemp(prefix="hearth-prometheus.")
SOCKET = f"{FOLDER}/s"
LOG = open(f"{FOLDER}/log", "w", encoding="utf-8")
with listener() as free:
    PROMETHEUS = f"127.0.0.1:{free.getsockname()[1]}"
try:
    main()
finally:
    LOG.close()
    shutil.rmtree(FOLDER, ignore_errors=True)
suite.end()
