#!/usr/bin/env python3
"""Compares the running program's /metrics, deploy/monitoring and the documents: they must name the same metrics."""
import argparse
import json
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time
import uuid

import yaml

from report import check, counts, summary

ROOT = pathlib.Path(__file__).resolve().parents[1]
MONITORING = ROOT / "deploy/monitoring"
KUBE_PROXY = ROOT / "test/fixtures/kube-proxy/ipvs-1.36"
RUNBOOKS = "https://nmanager.example/docs/runbooks.md"

# kube-proxy's recorded answers; its last sync is the time of the file `synced`, once that exists.
NEIGHBOUR = """
import http.server, pathlib, re, sys
class Answers(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        file = pathlib.Path(sys.argv[1]) / (self.path.strip("/") + ".txt")
        self.send_response(200 if file.exists() else 404)
        self.end_headers()
        if file.exists():
            text, synced = file.read_text(), pathlib.Path(sys.argv[2])
            if synced.exists():
                text = re.sub(r"(?m)^(kubeproxy_sync_proxy_rules_last_timestamp_seconds.*) \\S+$",
                              lambda m: f"{m[1]} {synced.stat().st_mtime}", text)
            self.wfile.write(text.encode())
    def log_message(self, *_):
        pass
http.server.HTTPServer(("127.0.0.1", 10249), Answers).serve_forever()
"""
KUBE_RULES = "*nat\n:KUBE-SERVICES - [0:0]\n:KUBE-MARK-MASQ - [0:0]\n-I PREROUTING -j KUBE-SERVICES\n{}COMMIT\n"


def value(text, name, *labels):
    """Sum over the samples of that name with all of these labels; None: there is none."""
    lines = [line for line in text.splitlines() if re.match(rf"{name}[{{ ]", line)]
    found = [float(line.rsplit(" ", 1)[1]) for line in lines if all(label in line for label in labels)]
    return sum(found) if found else None


class Node:
    """A network namespace in which everything that is counted happens once."""

    def __init__(self, build):
        self.name = f"nmanager-metrics-{uuid.uuid4().hex[:8]}"
        self.scratch = tempfile.TemporaryDirectory()
        self.folder = pathlib.Path(self.scratch.name)
        self.lock = self.folder / "xtables.lock"
        subprocess.run(["ip", "netns", "add", self.name], check=True)
        self.run("ip link set lo up")
        kubeconfig = self.folder / "kubeconfig"
        self.children = [self.start(f"{build}/nmanager-test-apiserver --list {ROOT}/test/fixtures/api/list.json "
                                    f"--kubeconfig-out {kubeconfig}"),
                         self.start([sys.executable, "-c", NEIGHBOUR, str(KUBE_PROXY), str(self.folder / "synced")])]
        while not kubeconfig.exists() or not kubeconfig.read_text().endswith("\n"):
            time.sleep(0.02)
        self.program = self.start(f"{build}/nmanager run --backend iptables-legacy --kubeconfig {kubeconfig} "
                                  "--pod-cidr-ipv4 10.244.0.0/16 --log-level error")

    def command(self, command):
        command = command if isinstance(command, list) else ["sh", "-c", f"exec {command}"]
        return ["ip", "netns", "exec", self.name, "env", f"XTABLES_LOCKFILE={self.lock}", *command]

    def start(self, command):
        return subprocess.Popen(self.command(command))

    def run(self, command, text=None):
        return subprocess.run(self.command(["sh", "-c", command]), input=text, capture_output=True, text=True)

    def metrics(self):
        return self.run("curl -s -m 5 http://127.0.0.1:10261/metrics").stdout

    def wait_until(self, condition, what):
        while not (condition(self.metrics())):
            if self.program.poll() is not None:
                return check(False, f"the program has ended during the wait for: {what}")
            time.sleep(0.02)
        return check(True, what)

    def close(self):
        for child in [self.program, *self.children]:
            child.terminate()
            child.wait()
        subprocess.run(["ip", "netns", "del", self.name], check=True)
        self.scratch.cleanup()


def exercise(node):
    """Makes everything happen that a metric reports; returns the metrics at the end."""
    at_least = lambda name, least, *labels: lambda text: (value(text, name, *labels) or 0) >= least
    node.wait_until(at_least("nmanager_table_in_sync", 4), "rules in every table")
    node.wait_until(at_least("nmanager_kube_proxy_mode", 1, 'mode="ipvs"'), "kube-proxy's mode is requested")
    node.wait_until(at_least("nmanager_kube_proxy_last_sync_timestamp_seconds", 1), "its last sync as well")
    restore = "iptables-legacy-restore --noflush"
    node.run(restore, KUBE_RULES.format(""))
    node.wait_until(at_least("nmanager_table_repairs_total", 1, 'table="nat"'), "the displaced jump is repaired")
    node.wait_until(at_least("nmanager_kube_chains_present", 1), "kube-proxy's chains are seen")
    node.run(restore, KUBE_RULES.format("-A KUBE-SERVICES -d 192.0.2.99 -j RETURN\n").replace("-I PREROUTING -j KUBE-SERVICES\n", ""))
    node.wait_until(at_least("nmanager_kube_resyncs_total", 1), "a resync is counted")
    node.wait_until(lambda text: value(text, "nmanager_kube_resync_verified_lag_seconds") is not None, "and verified")
    (node.folder / "synced").touch()
    lag = "nmanager_kube_proxy_sync_verified_lag_seconds"
    node.wait_until(lambda text: value(text, lag) is not None, "a sync that kube-proxy reports is verified, too")
    return node.metrics()


def check_values(text):
    """The metrics have the values of what happened."""
    cause = 'cause="jump_displaced"'
    check(value(text, "nmanager_table_repair_causes_total", 'table="nat"', 'family="ipv4"', cause) >= 1, "cause of the repair")
    check(value(text, "nmanager_table_repair_latency_seconds_count", 'table="nat"', 'family="ipv4"') >= 1, "its latency")
    check(value(text, "nmanager_table_repairs_total", 'family="ipv6"') == 0, "nothing to repair in IPv6")
    check(value(text, "nmanager_table_syncs_total", 'family="ipv4"', 'table="nat"') >= 1, "the first write of nat is a sync")
    check(value(text, "nmanager_table_lock_wait_seconds_count") >= 4, "every read takes the lock")
    check(value(text, "nmanager_table_commit_duration_seconds_count") >= 4, "every write is timed")
    check(value(text, "nmanager_table_failures_total") == 0, "nothing failed")
    services = len(json.loads((ROOT / "test/fixtures/api/list.json").read_text())["items"])
    check(value(text, "nmanager_services") == services, "as many Services as are in the list")
    check(value(text, "nmanager_services_skipped", 'reason="headless"') >= 1, "a headless Service is skipped")
    check(value(text, "nmanager_api_lists_total") == 1 and value(text, "nmanager_api_watches_total") >= 1, "list and watch")
    check(value(text, "nmanager_api_relists_total") == 0 and value(text, "nmanager_api_errors_total") == 0, "no relist, no error")
    check(0 <= time.time() - value(text, "nmanager_kube_last_resync_timestamp_seconds", 'family="ipv4"') < 600, "time of the resync")
    check(0 <= time.time() - value(text, "process_start_time_seconds") < 600, "time of the start")
    check(value(text, "process_resident_memory_bytes") > 1 << 20, "resident memory")


def check_names(metrics):
    def named_in(text):
        names = re.findall(r"\b(?:nmanager|process)_[a-z_0-9]+[a-z0-9]", text)
        return {name if name in metrics else re.sub(r"_(bucket|sum|count)$", "", name) for name in names}

    readme = (MONITORING / "README.md").read_text()
    dashboard = (MONITORING / "dashboard.json").read_text()
    for path in (MONITORING / "alerts.yaml", MONITORING / "alerts_test.yaml", MONITORING / "dashboard.json",
                 MONITORING / "README.md", ROOT / "docs/runbooks.md", ROOT / "README.md", ROOT / "deploy/README.md", ROOT / "patches/README.md"):
        for name in sorted(named_in(path.read_text()) - metrics):
            check(False, f"{path.relative_to(ROOT)} names {name}, which the program does not serve")
        counts["passed"] += 1
    for name in sorted(metrics):
        check(f"`{name}`" in readme, f"{name} is not documented")
        if name.startswith("nmanager_"):
            check(name in named_in(dashboard), f"{name} is not on the dashboard")


def dashboard_as_rules():
    """The form in which promtool checks an expression."""
    panels = json.loads((MONITORING / "dashboard.json").read_text())["panels"]
    expressions = [target["expr"] for panel in panels for target in panel["targets"]]
    rules = [{"record": f"query:{number}", "expr": expression} for number, expression in enumerate(expressions)]
    return {"groups": [{"name": "dashboard", "rules": rules}]}


def check_alerts():
    """Each alert has a section of the runbook, to which its annotation links, and tests: firing and silent."""
    runbooks = (ROOT / "docs/runbooks.md").read_text()
    plain = yaml.safe_load((MONITORING / "alerts.yaml").read_text())
    rules = [r for g in plain["groups"] for r in g["rules"]]
    check(yaml.safe_load((MONITORING / "operator/prometheusrule.yaml").read_text())["spec"] == plain,
          "operator/prometheusrule.yaml differs from alerts.yaml: run deploy/monitoring/render.sh")
    tests = [t for one in yaml.safe_load((MONITORING / "alerts_test.yaml").read_text())["tests"] for t in one["alert_rule_test"]]
    for rule in rules:
        alert = rule["alert"]
        check(re.search(rf"^## {alert}$", runbooks, re.M), f"{alert} has no section")
        check(rule["annotations"]["runbook_url"] == f"{RUNBOOKS}#{alert.lower()}", f"{alert}: runbook_url")
        outcomes = [bool(test["exp_alerts"]) for test in tests if test["alertname"] == alert]
        check(True in outcomes and False in outcomes, f"{alert} is not tested firing and silent")
    sections = set(re.findall(r"^## (Nmanager\w+)$", runbooks, re.M))
    check(sections == {rule["alert"] for rule in rules}, "a section without an alert")
    check("deploy/monitoring/README.md" in (ROOT / "README.md").read_text(), "README.md does not link to deploy/monitoring")
    check("docs/runbooks.md" in (MONITORING / "README.md").read_text(), "deploy/monitoring/README.md does not link to the runbooks")


def check_dashboard():
    """Every panel is filtered by the variables, has a description and units, and shows a bounded number of nodes."""
    board = json.loads((MONITORING / "dashboard.json").read_text())
    check([v["name"] for v in board["templating"]["list"]] == ["datasource", "cluster", "job", "node"], "dashboard: variables")
    sections = {f"{RUNBOOKS}#{name.lower()}" for name in re.findall(r"^## (\w+)$", (ROOT / "docs/runbooks.md").read_text(), re.M)}
    for panel in board["panels"]:
        title = panel["title"]
        check(panel.get("description"), f"dashboard, {title}: no description")
        check(panel["fieldConfig"]["defaults"].get("unit"), f"dashboard, {title}: no unit")
        check(all(link["url"] in sections for link in panel["links"]), f"dashboard, {title}: a link that leads to no runbook")
        for target in panel["targets"]:
            expression = target["expr"]
            for selector in re.findall(r"\b(?:nmanager|process)_\w+({[^}]*})?", expression):
                for matcher in ('cluster=~"$cluster"', 'job=~"$job"', 'instance=~"$node"'):
                    check(matcher in selector, f"dashboard, {title}: {expression}: not filtered by {matcher}")
            by_node = "by (instance" in expression or not re.search(r"\b(sum|count|min|max|histogram_quantile)\b", expression)
            check(not by_node or expression.startswith("topk("), f"dashboard, {title}: as many lines as nodes: {expression}")
    check(board["links"][0]["url"] == RUNBOOKS, "dashboard: a link to the runbooks")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", required=True, help="folder with the program and the stand-in API server")
    parser.add_argument("--metrics-out", required=True, help="file for what the program served")
    parser.add_argument("--queries-out", required=True, help="file for the dashboard's queries, as recording rules")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("terminated"))  # so that the finally clause runs
    node = Node(arguments.build)
    try:
        text = exercise(node)
    finally:
        node.close()
    pathlib.Path(arguments.metrics_out).write_text(text)
    pathlib.Path(arguments.queries_out).write_text(yaml.safe_dump(dashboard_as_rules()))
    check_values(text)
    check_names(set(re.findall(r"^# TYPE (\S+)", text, re.M)))
    check_alerts()
    check_dashboard()
    return summary()


if __name__ == "__main__":
    sys.exit(main())
