#!/usr/bin/env python3
"""Checks the manifests as rendered: what they may ask for, and that the program serves what they name."""
import argparse
import copy
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

import yaml

from cluster import Cluster
from variations import VARIATIONS, as_recorded

ROOT = pathlib.Path(__file__).resolve().parents[2]
RECORDED = ROOT / "test/fixtures/kubeadm/kube-proxy-1.36.yaml"
PATCH = "kubeproxydaemonset+strategic.yaml"
GOLDEN = ROOT / "test/deploy/golden"
counts = {"passed": 0, "failed": 0, "skipped": 0}


def check(condition, what):
    counts["passed" if condition else "failed"] += 1
    if not condition:
        print("FAILED:", what)
    return bool(condition)


def skip(reason):
    counts["skipped"] += 1
    print("SKIP:", reason)


def documents(text):
    return [document for document in yaml.safe_load_all(text) if document]


def daemonset(rendered, name):
    return next(d for d in rendered if d["kind"] == "DaemonSet" and d["metadata"]["name"] == name)


def identity(document):
    return document["kind"], document["metadata"]["name"]


def recorded():
    return documents(RECORDED.read_text())


def render(tool, folder, label):
    """`tool`: a kubectl or a kustomize."""
    command = [tool, "build"] if pathlib.Path(tool).name == "kustomize" else [tool, "kustomize"]
    result = subprocess.run([*command, str(folder)], capture_output=True, text=True)
    check(result.returncode == 0, f"{label}: kustomize: {result.stderr.strip()[:300]}")
    return documents(result.stdout) if result.returncode == 0 else None


def check_container(container, label):
    security = container["securityContext"]
    check(security["privileged"] is False, f"{label}: privileged")
    check(security["allowPrivilegeEscalation"] is False, f"{label}: privilege escalation")
    check(security["readOnlyRootFilesystem"] is True, f"{label}: root file system")
    check(security["seccompProfile"] == {"type": "RuntimeDefault"}, f"{label}: seccomp")
    check(security["capabilities"] == {"drop": ["ALL"], "add": ["NET_ADMIN", "NET_RAW"]}, f"{label}: capabilities")
    check("memory" in container["resources"]["limits"], f"{label}: memory limit")
    check("cpu" not in container["resources"]["limits"], f"{label}: a CPU limit delays repairs")
    for probe, path in (("startupProbe", "/livez"), ("livenessProbe", "/livez"), ("readinessProbe", "/readyz")):
        get = container[probe]["httpGet"]
        check((get["host"], get["path"]) == ("127.0.0.1", path), f"{label}: {probe}")


def check_pod(spec, label):
    volumes = {volume["name"] for volume in spec["volumes"]}
    check(len(volumes) == len(spec["volumes"]), f"{label}: two volumes of one name")
    for container in spec["containers"]:
        for mount in container.get("volumeMounts", []):
            check(mount["name"] in volumes, f"{label}: {container['name']} mounts {mount['name']}, which is none")
    ours = [c for c in spec["containers"] if c["name"] == "nmanager"]
    check(len(ours) == 1, f"{label}: one nmanager container")
    check_container(ours[0], label)
    paths = {mount["mountPath"] for mount in ours[0]["volumeMounts"]}
    check(paths <= {"/var/lib/kube-proxy", "/run/xtables.lock"}, f"{label}: mounts {paths}")
    check(all(c["name"] != "nmanager" for c in spec.get("initContainers", [])), f"{label}: holds kube-proxy back")
    check(spec["hostNetwork"] is True, f"{label}: the rules belong to the node")
    return ours[0]


def check_only_added(patched, original, label):
    """`patched`, a DaemonSet, is `original` and nmanager's container and volumes, and nothing else."""
    check_pod(patched["spec"]["template"]["spec"], label)
    without, original = copy.deepcopy(patched), copy.deepcopy(original)
    for document in (without, original):
        spec = document["spec"]["template"]["spec"]
        for part in ("containers", "volumes"):
            spec[part] = sorted((item for item in spec[part] if not item["name"].startswith("nmanager")),
                                key=lambda item: item["name"])
    check(without == original, f"{label}: something else changed")


def check_overlay(tool, variation):
    """deploy/kubeadm over a kube-proxy that differs: ours comes in, nothing else changes."""
    base = [variation(d) if d["kind"] == "DaemonSet" else d for d in recorded()]
    label = f"{variation.__name__} ({tool})"
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name) / "kubeadm"
        shutil.copytree(ROOT / "deploy/kubeadm", folder)
        (folder / "kube-proxy.yaml").write_text(yaml.safe_dump_all(base))
        rendered = render(tool, folder, label)
    if rendered is None:
        return None
    check_only_added(daemonset(rendered, "kube-proxy"), daemonset(base, "kube-proxy"), label)
    others = lambda all_documents: [d for d in all_documents if d["kind"] != "DaemonSet"]
    check(sorted(others(rendered), key=identity) == sorted(others(base), key=identity), f"{label}: other objects")
    return rendered


def check_commands(kubectl, variation):
    """The commands of README.md, run against an API server that holds a DaemonSet in a file: installed, installed once
    more, removed."""
    label = f"commands, {variation.__name__} ({kubectl})"
    before = variation(daemonset(recorded(), "kube-proxy"))
    with Cluster(kubectl, before) as cluster:
        original = cluster.daemonset()
        install, verify, remove = readme_commands()
        check(cluster.run(install), f"{label}: {install}")
        patched = cluster.daemonset()
        check_only_added(patched, original, label)
        check(cluster.run(verify), f"{label}: {verify}")
        check(cluster.run(install) and cluster.daemonset() == patched, f"{label}: a second time changes nothing")
        check(cluster.run(remove), f"{label}: {remove}")
        check(cluster.daemonset() == original, f"{label}: a trace is left")
        off = {"RULE_DROP_INVALID_INPUT_ENABLE": "false", "RULE_EXTERNAL_CLUSTER_ENABLE": "false"}
        check(off in cluster.settings_rolled_out(), f"{label}: the rules are off on every node before the container goes")


def readme_commands():
    """install, verify, remove: the three commands under "Install it in a cluster"."""
    section = (ROOT / "README.md").read_text().split("## Install it in a cluster")[1].split("\n## ")[0]
    commands = [line.split("#")[0].strip() for line in section.splitlines() if line.startswith("    ")]
    check(len(commands) == 3, f"three commands in README.md: {commands}")
    return commands


def check_golden(rendered, name):
    wanted = documents((GOLDEN / name).read_text())
    check(sorted(rendered, key=identity) == sorted(wanted, key=identity), f"golden {name} differs; see test/deploy/golden")


def check_standalone(tool):
    rendered = render(tool, ROOT / "deploy/standalone", "standalone")
    if rendered is None:
        return
    check_pod(daemonset(rendered, "nmanager")["spec"]["template"]["spec"], "standalone")
    role = next(d for d in rendered if d["kind"] == "ClusterRole")
    check(role["rules"] == [{"apiGroups": [""], "resources": ["services"], "verbs": ["list", "watch"]}],
          "standalone: more rights than it needs")
    check_standalone_alone(rendered)
    check_golden(rendered, "standalone.yaml")
    proxied = render(tool, ROOT / "deploy/standalone-prometheus", "standalone-prometheus")
    if proxied is not None:
        containers = daemonset(proxied, "nmanager")["spec"]["template"]["spec"]["containers"]
        check({c["name"] for c in containers} == {"nmanager", "kube-rbac-proxy"}, "standalone-prometheus: containers")


def containers_of(text):
    for document in documents(text):
        if document["kind"] == "DaemonSet":
            yield from document["spec"]["template"]["spec"]["containers"]


def check_against_program(program):
    """What the manifests and documents name exists: variables of the environment, flags, commands, the endpoint."""
    help_text = subprocess.run([program, "--help"], capture_output=True, text=True).stdout
    variables = set(re.findall(r"Environment: (\w+)", help_text))
    flags = set(re.findall(r"^  (--[\w-]+)", help_text, re.M))
    commands = set(re.findall(r"^  (\w+)  ", help_text, re.M))
    listen = re.search(r"--listen.*?Default: ([\d.]+):(\d+)", help_text, re.S)
    if not check(listen and variables and flags and commands, "--help tells flags, variables and where it listens"):
        return
    paths = [path for pattern in ("patches/*", "deploy/**/*") for path in ROOT.glob(pattern)]
    name = r"((?:RULE|POD_CIDR|NMANAGER|EXTERNAL_CLUSTER)_[A-Z0-9_]*[A-Z0-9])"
    for path in (p for p in paths if p.suffix in (".yaml", ".md") or p.name == "remove.sh"):
        # Chains begin with NMANAGER_ too; a variable is set, or named alone.
        where = rf"\b{name}\b(?!_?\*)" if path.suffix == ".yaml" else rf"\b{name}=|`{name}`"
        for match in re.finditer(where, path.read_text()):
            variable = next(filter(None, match.groups()))
            check(variable in variables, f"{path.relative_to(ROOT)}: no variable {variable}")
    settings = documents((ROOT / "deploy/standalone/settings.yaml").read_text())[0]["data"]
    check(set(settings) <= variables, f"settings.yaml: {sorted(set(settings) - variables)}")
    for path in (p for p in paths if p.suffix == ".yaml" and "kind: DaemonSet" in p.read_text()):
        where = path.relative_to(ROOT)
        for container in (c for c in containers_of(path.read_text()) if c["name"] == "nmanager"):
            for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
                get = container[probe]["httpGet"]
                check((get["host"], str(get["port"])) == listen.groups(), f"{where}: {probe}: not where it listens")
            for argument in container["args"]:
                check(argument in commands or argument.split("=")[0] in flags, f"{where}: no argument {argument}")
            for variable in container.get("env", []):
                check(variable["name"] in variables, f"{where}: no variable {variable['name']}")
        for container in (c for c in containers_of(path.read_text()) if c["name"] == "kube-rbac-proxy"):
            check(f"--upstream=http://{listen[1]}:{listen[2]}/" in container["args"], f"{where}: upstream is not where it listens")
    table = (ROOT / "README.md").read_text().split("## Settings")[1].split("\n## ")[0]
    named = set(re.findall(r"--[a-z][\w-]+", table)) | {f"--pod-cidr-ipv{n}" for n in (4, 6)}
    check(named - {"--help"} == flags - {"--help", "--version"}, f"README.md's settings: {sorted(named ^ flags)}")
    check(variables - {"POD_CIDR_IPV6"} <= set(re.findall(r"[A-Z0-9_]{5,}", table)), "README.md's variables")


def check_try_out():
    """deploy/try.sh shows what README.md says that it shows."""
    for variant in ("nft", "legacy"):
        result = subprocess.run([ROOT / "deploy/try.sh", variant], capture_output=True, text=True)
        label = f"deploy/try.sh {variant}"
        if not check(result.returncode == 0, f"{label}: {result.stdout[-500:]}{result.stderr[-500:]}"):
            continue
        shown, _, after = result.stdout.partition("cleanup takes all of it away")
        for part in ("\nready\n", "repaired after", "jump_displaced", "-A INPUT -j NMANAGER_INPUT", "-j DNAT --to-destination"):
            check(part in shown, f"{label} does not show {part!r}")
        check("KUBE-SERVICES" in after and "NMANAGER" not in after, f"{label}: cleanup")


def check_standalone_alone(rendered):
    """What a node-critical agent needs that brings its own account."""
    spec = daemonset(rendered, "nmanager")["spec"]["template"]["spec"]
    check(spec["priorityClassName"] == "system-node-critical", "standalone: priority")
    check(spec["tolerations"] == [{"operator": "Exists"}], "standalone: it runs on every node")
    accounts = {d["metadata"]["name"] for d in rendered if d["kind"] == "ServiceAccount"}
    check(spec["serviceAccountName"] in accounts, "standalone: its account")
    bindings = [d for d in rendered if d["kind"].endswith("Binding")]
    check([b["roleRef"]["name"] for b in bindings] == ["nmanager"], "standalone: bound to its own role and no other")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--kustomize", action="append", default=[], help="a kubectl or kustomize to render with")
    parser.add_argument("--kubectl", action="append", default=[], help="a kubectl to run the commands with")
    parser.add_argument("--missing", action="append", default=[], help="what is not to be had here")
    parser.add_argument("--program", default="")
    parser.add_argument("--write-golden", action="store_true")
    arguments = parser.parse_args()

    patch = (ROOT / "patches" / PATCH).read_bytes()
    check((ROOT / "deploy/kubeadm" / PATCH).read_bytes() == patch, "deploy/kubeadm holds another patch than patches/")
    for what in arguments.missing:
        skip(f"{what}: not to be had here")
    for tool in arguments.kustomize:
        for variation in VARIATIONS:
            rendered = check_overlay(tool, variation)
            if variation is as_recorded and rendered is not None:
                if arguments.write_golden:
                    (GOLDEN / "kubeadm.yaml").write_text(yaml.safe_dump_all(rendered))
                check_golden(rendered, "kubeadm.yaml")
        if arguments.write_golden:
            (GOLDEN / "standalone.yaml").write_text(yaml.safe_dump_all(render(tool, ROOT / "deploy/standalone", "standalone")))
        check_standalone(tool)
    for kubectl in arguments.kubectl:
        for variation in VARIATIONS:
            check_commands(kubectl, variation)
    if arguments.program:
        check_against_program(arguments.program)
        check_try_out()
    else:
        skip("the program is not built")
    # What kube-proxy's own account may do: as bound by kubeadm, to the role that Kubernetes defines.
    binding = next(d for d in recorded() if d["kind"] == "ClusterRoleBinding")
    check(binding["roleRef"]["name"] == "system:node-proxier", "kube-proxy's account is bound to system:node-proxier")
    print(f"{counts['passed']} passed, {counts['failed']} failed, {counts['skipped']} skipped")
    return counts["failed"] != 0


if __name__ == "__main__":
    sys.exit(main())
