"""The documents' commands, run with a real kubectl against the minimal cluster (cluster.py)."""
import concurrent.futures
import re
import subprocess

import yaml

from cluster import Cluster
from manifests import ROOT, daemonset, documents, names, patched_container, recorded, render
from pods import check_off, check_only_added, without_ours
from report import check
from variations import VARIATIONS

PATCH = "kubectl -n kube-system patch daemonset kube-proxy --patch-file patches/kubeproxydaemonset+strategic.yaml"
APPLY = "kubectl apply --server-side --field-manager=nmanager -f patches/kubeproxydaemonset+strategic.yaml"
GIVE_UP = "kubectl apply --server-side --field-manager=nmanager -f patches/server-side-remove.yaml"
ROLLED_OUT = "kubectl -n kube-system rollout status daemonset/kube-proxy"


def readme_commands():
    """install, verify, remove: the three commands under "Install it in a cluster"."""
    section = (ROOT / "README.md").read_text().split("## Install it in a cluster")[1].split("\n## ")[0]
    commands = [line.split("#")[0].strip() for line in section.splitlines() if line.startswith("    ")]
    check(len(commands) == 3, f"three commands in README.md: {commands}")
    return commands


class Commands:
    """The runs with one kubectl. `later`: the newest kubectl, which merges for the server; `apply`: tools/apply."""

    def __init__(self, kubectl, later, apply):
        self.kubectl, self.later, self.apply = kubectl, later, apply

    def cluster(self, a_daemonset=None):
        base = daemonset(recorded(), "kube-proxy") if a_daemonset is None else a_daemonset
        return Cluster(self.kubectl, base, merger=self.later, apply=self.apply)

    def installed(self, a_daemonset=None):
        cluster = self.cluster(a_daemonset)
        check(cluster.run(PATCH)[0] == 0 and cluster.run(ROLLED_OUT)[0] == 0, "installed")
        return cluster

    def expect(self, cluster, command, code, label):
        got, said = cluster.run(command)
        check(got == code, f"{label}: {command}: exit code {got}: {said[-600:]}")
        return said

    def check_variation(self, variation):
        """Install, install again, remove: as README.md describes."""
        label = f"commands, {variation.__name__} ({self.kubectl})"
        install, verify, remove = readme_commands()
        with self.cluster(variation(daemonset(recorded(), "kube-proxy"))) as cluster:
            original = cluster.daemonset()
            self.expect(cluster, install, 0, label)
            patched = cluster.daemonset()
            check_only_added(patched, original, label)
            self.expect(cluster, verify, 0, label)
            check(cluster.nodes.rules == cluster.nodes.live(), f"{label}: rules on every node")
            self.expect(cluster, install, 0, label)
            check(cluster.daemonset() == patched, f"{label}: the second installation changes nothing")
            self.expect(cluster, remove, 0, label)
            check(without_ours(cluster.daemonset()) == without_ours(original) and "nmanager" not in str(cluster.daemonset()),
                  f"{label}: a trace is left")
            check(not cluster.nodes.rules, f"{label}: rules are left on {cluster.nodes.rules}")
            check(cluster.nodes.most_unavailable <= 1, f"{label}: {cluster.nodes.most_unavailable} kube-proxies unavailable at a time")

    def check_server_side(self, variation):
        label = f"server-side apply, {variation.__name__} ({self.kubectl})"
        with self.cluster(variation(daemonset(recorded(), "kube-proxy"))) as cluster:
            original = cluster.daemonset()
            self.expect(cluster, APPLY, 0, label)
            check_only_added(cluster.daemonset(), original, label)
            self.expect(cluster, ROLLED_OUT, 0, label)
            self.expect(cluster, GIVE_UP, 0, label)
            check(without_ours(cluster.daemonset()) == without_ours(original) and "nmanager" not in str(cluster.daemonset()),
                  f"{label}: a trace is left: {names(cluster.daemonset())}")
            self.expect(cluster, ROLLED_OUT, 0, label)
            check(cluster.nodes.rules == cluster.nodes.live(), f"{label}: the rules stay when the container is removed")
            self.expect(cluster, "deploy/remove.sh", 0, label)
            check(not cluster.nodes.rules, f"{label}: rules are left")

    # Removals that end and report the true result.

    def check_dead_node(self):
        label = f"remove.sh, a node is down ({self.kubectl})"
        with self.installed() as cluster:
            cluster.kill("node-1")
            said = self.expect(cluster, "deploy/remove.sh --timeout 60", 1, label)
            check(cluster.nodes.rules == {"node-1"}, f"{label}: rules on {cluster.nodes.rules}")
            check(re.findall(r"not cleaned: (\S+):", said) == ["node-1"], f"{label}: names only the dead node: {said}")
            check(cluster.nodes.most_unavailable <= 1, f"{label}: {cluster.nodes.most_unavailable} kube-proxies unavailable at a time")
            check(cluster.daemonset("nmanager-cleanup") is not None, f"{label}: the cleanup waits for the node")
            cluster.revive("node-1")
            self.expect(cluster, "deploy/remove.sh --timeout 60", 0, label)
            check(not cluster.nodes.rules and cluster.daemonset("nmanager-cleanup") is None, f"{label}: nothing is left in the end")

    def check_on_delete(self):
        label = f"remove.sh, updateStrategy OnDelete ({self.kubectl})"
        base = daemonset(recorded(), "kube-proxy")
        base["spec"]["updateStrategy"] = {"type": "OnDelete"}
        with self.cluster(base) as cluster:
            self.expect(cluster, PATCH, 0, label)
            for old in cluster.nodes.pods("kube-proxy"):
                self.expect(cluster, f"kubectl -n kube-system delete pod {old['metadata']['name']} --wait=false", 0, label)
            while cluster.nodes.rules != cluster.nodes.live():
                cluster.run("kubectl get nodes")
            cluster.nodes.most_unavailable = 0
            self.expect(cluster, "deploy/remove.sh --timeout 60", 0, label)
            check(not cluster.nodes.rules and cluster.nodes.most_unavailable <= 1, f"{label}: one node at a time")

    def check_container_gone(self):
        """An upgrade by kubeadm has applied its plain DaemonSet again."""
        label = f"remove.sh, the container has already been removed ({self.kubectl})"
        there = next(line.strip() for line in (ROOT / "patches/README.md").read_text().splitlines() if "-o jsonpath" in line)
        with self.installed() as cluster:
            check(self.expect(cluster, there, 0, label) == patched_container()["image"], f"{label}: {there}")
            with cluster.lock:
                cluster.objects["daemonsets", "kube-proxy"]["spec"] = daemonset(recorded(), "kube-proxy")["spec"]
            check(self.expect(cluster, there, 0, label) == "", f"{label}: {there}")
            self.expect(cluster, ROLLED_OUT, 0, label)
            check(cluster.nodes.rules == cluster.nodes.live(), f"{label}: rules without a container that keeps them")
            self.expect(cluster, "deploy/remove.sh --image example.org/nmanager:2", 0, label)
            check(not cluster.nodes.rules, f"{label}: rules are left")

    def check_cleanup_fails(self):
        label = f"remove.sh, a node cannot be cleaned ({self.kubectl})"
        with self.installed() as cluster:
            cluster.nodes.cleanup_fails.add("node-2")
            said = self.expect(cluster, "deploy/remove.sh --timeout 24", 1, label)
            check(re.findall(r"not cleaned: (\S+):", said) == ["node-2"], f"{label}: {said}")
            check(cluster.nodes.rules == {"node-2"}, f"{label}: the other nodes are cleaned")

    def check_installed_between(self):
        """A cleanup that is left over from an earlier run proves nothing for this one."""
        label = f"remove.sh, installed again after a removal ({self.kubectl})"
        with self.installed() as cluster:
            cluster.kill("node-1")
            self.expect(cluster, "deploy/remove.sh --timeout 60", 1, label)
            cluster.revive("node-1")
            self.expect(cluster, PATCH, 0, label)
            self.expect(cluster, ROLLED_OUT, 0, label)
            check(cluster.nodes.rules == cluster.nodes.live(), f"{label}: installed")
            cluster.nodes.slow["nmanager-cleanup"] = 6
            self.expect(cluster, "deploy/remove.sh --timeout 60", 0, label)
            check(not cluster.nodes.rules, f"{label}: rules are left on {cluster.nodes.rules}")

    def check_interrupted(self):
        """Case C7: interrupted at any request, a new installation works, and a new removal removes everything."""
        for allowed in (4, 8, 12):
            label = f"remove.sh, interrupted after {allowed} requests ({self.kubectl})"
            with self.installed() as cluster:
                before = len(cluster.requests)
                process = cluster.start("deploy/remove.sh")
                while len(cluster.requests) < before + allowed and process.poll() is None:
                    cluster.tick.wait(0.01)
                subprocess.run(["kill", "-KILL", "--", f"-{process.pid}"], check=False, stderr=subprocess.DEVNULL)
                process.wait()
                self.expect(cluster, PATCH, 0, label)
                self.expect(cluster, ROLLED_OUT, 0, label)
                check(cluster.nodes.rules == cluster.nodes.live(), f"{label}: the rules are back: {cluster.nodes.rules}")
                self.expect(cluster, "deploy/remove.sh", 0, label)
                check(not cluster.nodes.rules, f"{label}: rules are left")

    def check_refused(self):
        for forbidden in (("GET", "nodes"), ("GET", "daemonsets"), ("PATCH", "daemonsets"), ("POST", "daemonsets"), ("GET", "pods")):
            label = f"remove.sh, {forbidden} is forbidden ({self.kubectl})"
            with self.installed() as cluster:
                cluster.forbidden.add(forbidden)
                code, said = cluster.run("deploy/remove.sh --timeout 4")
                check(code != 0 and "removed from" not in said, f"{label}: exit code {code}: {said}")
                check(cluster.nodes.rules, f"{label}: reports that nothing is removed, which is true")

    def check_off(self):
        """Switched off by hand, and on again by a new installation (case C7)."""
        label = f"switched off by hand ({self.kubectl})"
        with self.installed() as cluster:
            command = next(line.strip() for line in (ROOT / "patches/README.md").read_text().splitlines() if "set env daemonset/kube-proxy" in line)
            self.expect(cluster, command, 0, label)
            check_off(cluster.daemonset(), label)
            self.expect(cluster, ROLLED_OUT, 0, label)
            check(not cluster.nodes.rules, f"{label}: rules are left")
            self.expect(cluster, PATCH, 0, label)
            self.expect(cluster, ROLLED_OUT, 0, label)
            check(cluster.nodes.rules == cluster.nodes.live(), f"{label}: on again")

    def check_standalone(self, rendered):
        label = f"stand-alone ({self.kubectl})"
        with self.cluster() as cluster:
            (cluster.folder / "standalone.yaml").write_text(yaml.safe_dump_all(rendered))
            self.expect(cluster, f"kubectl apply --validate=false -f {cluster.folder}/standalone.yaml", 0, label)
            self.expect(cluster, "kubectl -n kube-system rollout status daemonset/nmanager", 0, label)
            check(cluster.nodes.rules == cluster.nodes.live(), f"{label}: rules on every node")
            original = cluster.daemonset()
            cluster.kill("node-0")
            self.expect(cluster, "deploy/remove.sh --timeout 60", 1, label)
            check(cluster.nodes.rules == {"node-0"}, f"{label}: the live nodes are cleaned: {cluster.nodes.rules}")
            cluster.revive("node-0")
            self.expect(cluster, "deploy/remove.sh --timeout 60", 0, label)
            left = [key for key in cluster.objects if "nmanager" in key[1] and key[0] != "pods"]
            check(not cluster.nodes.rules and not left, f"{label}: left: {left} {cluster.nodes.rules}")
            check(cluster.daemonset() == original, f"{label}: kube-proxy is not changed")


def check_commands(kubectls, apply, kustomize):
    """`kubectls`: oldest first. Each check has its own cluster, so they run in parallel: they mostly wait."""
    later = kubectls[-1]
    jobs = []
    for kubectl in kubectls:
        run = Commands(kubectl, later, apply)
        jobs += [lambda run=run, variation=variation: run.check_variation(variation) for variation in VARIATIONS]
        jobs += [run.check_dead_node, run.check_container_gone]
    run = Commands(later, later, apply)
    jobs += [lambda variation=variation: run.check_server_side(variation) for variation in VARIATIONS]
    jobs += [run.check_on_delete, run.check_cleanup_fails, run.check_installed_between, run.check_interrupted, run.check_refused, run.check_off]
    rendered = render(kustomize, ROOT / "deploy/standalone", "standalone")
    if rendered is not None:
        jobs.append(lambda: run.check_standalone(rendered))
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        for future in [pool.submit(job) for job in jobs]:
            future.result()


KUBEADM = """#!/usr/bin/env python3
# The part of kubeadm that is called: the manifest with the KubeProxyConfiguration of --config, or with its defaults.
import pathlib, sys, textwrap, yaml
assert sys.argv[1:5] == ["init", "phase", "addon", "kube-proxy"] and "--print-manifest" in sys.argv
text = pathlib.Path(RECORDED).read_text()
documents = [d for d in yaml.safe_load_all(text) if d]
own = next(d for d in documents if d["kind"] == "ConfigMap")["data"]["config.conf"]
given = pathlib.Path(sys.argv[sys.argv.index("--config") + 1]).read_text() if "--config" in sys.argv else ""
parts = {(yaml.safe_load(p) or {}).get("kind"): p for p in given.split("\\n---\\n")}
assert not given or "ClusterConfiguration" in parts, parts
wanted = parts.get("KubeProxyConfiguration", own.replace("10.244.0.0/16", '""')) if OBEYS else own.replace("10.244.0.0/16", '""')
print(text.replace(textwrap.indent(own, "    "), textwrap.indent(wanted.strip() + "\\n", "    ")), end="")
"""


def check_kubeadm_script(kubectl):
    """deploy/kubeadm/print-manifest.sh keeps the cluster's settings, or prints nothing."""
    text = next(d for d in recorded() if d["kind"] == "ConfigMap")["data"]["config.conf"]
    cluster_configuration = "apiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\nkubernetesVersion: v1.36.2\n"
    for label, config in (("as recorded", text), ("ipvs", text.replace('mode: ""', "mode: ipvs").replace("10.244.0.0/16", "10.9.0.0/16,fd00::/48"))):
        for obeys in (True, False):
            with Cluster(kubectl, daemonset(recorded(), "kube-proxy")) as cluster:
                for name, data in (("kubeadm-config", {"ClusterConfiguration": cluster_configuration}), ("kube-proxy", {"config.conf": config})):
                    cluster.objects["configmaps", name] = {"apiVersion": "v1", "kind": "ConfigMap", "data": data,
                                                           "metadata": {"name": name, "namespace": "kube-system"}}
                tool = cluster.folder / "kubeadm"
                tool.write_text(KUBEADM.replace("RECORDED", repr(str(ROOT / "test/fixtures/kubeadm/kube-proxy-1.36.yaml"))).replace("OBEYS", str(obeys)))
                tool.chmod(0o755)
                code, said = cluster.run("deploy/kubeadm/print-manifest.sh 2>/dev/null")
                where = f"print-manifest.sh, {label}, kubeadm {'obeys --config' if obeys else 'ignores it'}"
                if obeys:
                    printed = next((d for d in documents(said) if d["kind"] == "ConfigMap"), {"data": {"config.conf": ""}})
                    check(code == 0 and yaml.safe_load(printed["data"]["config.conf"]) == yaml.safe_load(config), f"{where}: {code}")
                else:
                    check(code == 1 and not said, f"{where}: refuses: {code} {said[:200]}")
