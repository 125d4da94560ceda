#!/usr/bin/env python3
"""A real Prometheus scrapes a real nmanager through the shipped proxy's stand-in, as deploy/monitoring describes: with the
plain configuration and with the ServiceMonitor; the bound account succeeds, another one does not. Runs inside its own network
namespace (test/monitoring.sh creates it)."""
import argparse
import json
import pathlib
import signal
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request

import yaml

from monitoring_cluster import Api, Rbac, start_proxy, started
from report import check, summary

ROOT = pathlib.Path(__file__).resolve().parents[1]
NODE = "192.0.2.10"
ACCOUNT_FOLDER = "/var/run/secrets/kubernetes.io/serviceaccount/"


def shipped(folder):
    return [d for path in sorted((ROOT / "deploy/monitoring" / folder).glob("*.yaml")) if path.name not in ("kustomization.yaml", "scrape.yaml")
            for d in yaml.safe_load_all(path.read_text()) if d]


def as_scrape_config(monitor):
    """The operator's configuration for a ServiceMonitor, for the fields that ours uses; other fields are an error."""
    spec = dict(monitor["spec"])
    namespaces, labels = spec.pop("namespaceSelector")["matchNames"], spec.pop("selector")["matchLabels"]
    (endpoint,) = spec.pop("endpoints")
    endpoint = dict(endpoint)
    keep = [{"source_labels": ["__meta_kubernetes_service_label_" + key.replace(".", "_").replace("/", "_").replace("-", "_")],
             "regex": value, "action": "keep"} for key, value in labels.items()]
    keep.append({"source_labels": ["__meta_kubernetes_endpoint_port_name"], "regex": endpoint.pop("port"), "action": "keep"})
    names = {"sourceLabels": "source_labels", "targetLabel": "target_label", "replacement": "replacement"}
    relabel = [{names[key]: value for key, value in one.items()} for one in endpoint.pop("relabelings")]
    config = {"job_name": "serviceMonitor/kube-system/nmanager/0", "metrics_path": endpoint.pop("path"), "scheme": endpoint.pop("scheme"),
              "bearer_token_file": endpoint.pop("bearerTokenFile"),
              "tls_config": {"insecure_skip_verify": endpoint.pop("tlsConfig")["insecureSkipVerify"]},
              "kubernetes_sd_configs": [{"role": "endpoints", "namespaces": {"names": namespaces}}],
              "relabel_configs": keep + relabel + [{"target_label": "by", "replacement": "operator"}]}
    assert not spec and not endpoint, (spec, endpoint)
    return config


def endpoints(objects):
    """Endpoints as the controllers create them from our objects: the proxy's, and a foreign one that must not be scraped."""
    daemonset = next(o for o in objects if o["kind"] == "DaemonSet")
    service = next(o for o in objects if o["kind"] == "Service")
    template = daemonset["spec"]["template"]
    check(service["spec"]["selector"].items() <= template["metadata"]["labels"].items(), "the Service selects the proxy's pods")
    (ours,) = service["spec"]["ports"]
    port = next(p for p in template["spec"]["containers"][0]["ports"] if p["name"] == ours["targetPort"])
    stranger = {"metadata": {"name": "other"}}
    return [(service, {"port": ours["name"], "address": f"{NODE}:{port['containerPort']}"}, {"node": "node-a"}),
            (stranger, {"port": "metrics", "address": f"{NODE}:1"}, {"node": "node-a"})]


class Prometheus:
    def __init__(self, folder, configuration):
        self.folder = folder
        (folder / "prometheus.yml").write_text(yaml.safe_dump(configuration))
        self.log = (folder / "log").open("wb")
        self.process = subprocess.Popen(["prometheus", f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data",
                                         "--web.listen-address=127.0.0.1:9090"], stdout=self.log, stderr=self.log)

    def query(self, expression):
        url = "http://127.0.0.1:9090/api/v1/query?" + urllib.parse.urlencode({"query": expression})
        try:
            with urllib.request.urlopen(url) as answer:
                return json.load(answer)["data"]["result"]
        except OSError:
            return []

    def wait_for(self, expression, what):
        """Waits until the query has a result; False if Prometheus has ended."""
        while not (found := self.query(expression)):
            if self.process.poll() is not None:
                return check(False, f"{what}: Prometheus has ended: {(self.folder / 'log').read_text()[-1500:]}")
            time.sleep(0.05)
        check(True, what)
        return found

    def close(self):
        self.process.terminate()
        self.process.wait()


def configuration(folder, api, rule):
    """The shipped configurations, with this API server and these accounts' folders instead of a pod's."""
    plain = yaml.safe_load((ROOT / "deploy/monitoring/prometheus/scrape.yaml").read_text())["scrape_configs"]
    plain[0]["relabel_configs"].append({"target_label": "by", "replacement": "plain"})
    monitor = next(o for o in shipped("operator") if o["kind"] == "ServiceMonitor")
    jobs = [*plain, as_scrape_config(monitor)]
    stranger = json.loads(json.dumps(plain[0]).replace(ACCOUNT_FOLDER, f"{folder}/stranger/"))
    stranger["job_name"] = "stranger"
    anonymous = json.loads(json.dumps(plain[0]))
    anonymous["job_name"] = "anonymous"
    del anonymous["authorization"]
    jobs = json.loads(json.dumps([*jobs, stranger, anonymous]).replace(ACCOUNT_FOLDER, f"{folder}/account/"))
    for job in jobs:
        (discovery,) = job.pop("kubernetes_sd_configs")
        assert discovery == {"role": "endpoints", "namespaces": {"names": ["kube-system"]}}, discovery
        job["http_sd_configs"] = [{"url": api, "refresh_interval": "1s", "authorization": {"credentials_file": f"{folder}/account/token"}}]
    (folder / "rules.yaml").write_text(yaml.safe_dump(rule["spec"]))
    return {"global": {"scrape_interval": "200ms", "scrape_timeout": "200ms", "evaluation_interval": "200ms"},
            "rule_files": [f"{folder}/rules.yaml"], "scrape_configs": jobs}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", required=True)
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("terminated"))  # so that the finally clauses run
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    subprocess.run(["ip", "address", "add", f"{NODE}/32", "dev", "lo"], check=True)
    scratch = tempfile.TemporaryDirectory()
    folder = pathlib.Path(scratch.name)
    objects = shipped("proxy") + shipped("prometheus")
    tokens = {"token-of-the-proxy": "kube-system/nmanager-metrics", "token-of-prometheus": "monitoring/prometheus-k8s",
              "token-of-a-stranger": "default/default"}
    for name, token in (("account", "token-of-prometheus"), ("stranger", "token-of-a-stranger")):
        (folder / name).mkdir()
        (folder / name / "token").write_text(token)
    daemonset = next(o for o in objects if o["kind"] == "DaemonSet")
    account = f"kube-system/{daemonset['spec']['template']['spec']['serviceAccountName']}"
    check(account == tokens["token-of-the-proxy"], "the proxy runs as its own account")
    api = started(Api, ("127.0.0.1", 0), tokens=tokens, rbac=Rbac(objects), endpoints=endpoints(objects))
    address = f"http://127.0.0.1:{api.server_port}"
    start_proxy(daemonset["spec"]["template"]["spec"]["containers"][0]["args"], NODE, address, "token-of-the-proxy", folder)
    nmanager = subprocess.Popen([f"{arguments.build}/nmanager", "run", "--log-level", "error", "--kubeconfig", "/nonexistent"],
                                env={"XTABLES_LOCKFILE": str(folder / "lock"), "NODE_NAME": "node-a"}, stderr=subprocess.DEVNULL)
    rule = next(o for o in shipped("operator") if o["kind"] == "PrometheusRule")
    prometheus = Prometheus(folder, configuration(folder, address, rule))
    try:
        for by in ("plain", "operator"):
            found = prometheus.wait_for(f'nmanager_build_info{{by="{by}"}}', f"{by}: scraped")
            if found:
                labels = found[0]["metric"]
                check((labels["job"], labels["instance"], labels["node"]) == ("nmanager", "node-a", "node-a"), f"{by}: labels {labels}")
        for job in ("stranger", "anonymous"):
            prometheus.wait_for(f'up{{job="{job}"}} == 0', f"{job}: is tried and refused")
            check(not prometheus.query(f'nmanager_build_info{{job="{job}"}}'), f"{job}: gets nothing")
        check(not prometheus.query(f'up{{instance="{NODE}:1"}}'), "a foreign endpoint is not scraped")
        check(not prometheus.query('ALERTS{alertname="NmanagerGone"}'), "NmanagerGone is silent while it runs")
        nmanager.terminate()
        nmanager.wait()
        for by in ("plain", "operator"):
            prometheus.wait_for(f'ALERTS{{alertname="NmanagerGone",instance="node-a",by="{by}"}}', f"{by}: NmanagerGone when it has ended and the proxy has not")
    finally:
        prometheus.close()
        if nmanager.poll() is None:
            nmanager.kill()
        scratch.cleanup()
    return summary()


if __name__ == "__main__":
    sys.exit(main())
