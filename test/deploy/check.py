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

ROOT = pathlib.Path(__file__).resolve().parents[2]
RECORDED = ROOT / "test/fixtures/kubeadm/kube-proxy-1.36.yaml"
PATCH = "kubeproxydaemonset+strategic.yaml"
GOLDEN = ROOT / "test/deploy/golden"
counts = {"passed": 0, "failed": 0, "skipped": 0}


def check(condition, what):
    counts["passed" if condition else "failed"] += 1
    if not condition:
        print("FAILED:", what)


def skip(reason):
    counts["skipped"] += 1
    print("SKIP:", reason)


def documents(text):
    return [document for document in yaml.safe_load_all(text) if document]


def daemonset(rendered, name):
    return next(d for d in rendered if d["kind"] == "DaemonSet" and d["metadata"]["name"] == name)


def recorded():
    return documents(RECORDED.read_text())


# How other clusters' kube-proxy differs from the recorded one.
def as_recorded(spec):
    return spec


def extra_container(spec):
    spec["containers"].insert(0, {"name": "first", "image": "example.org/first:1"})
    spec["containers"].append({"name": "last", "image": "example.org/last:1"})
    return spec


def init_container(spec):
    spec["initContainers"] = [{"name": "init", "image": "example.org/init:1"}]
    return spec


def node_selector(spec):
    spec["nodeSelector"]["example.org/pool"] = "a"
    spec["affinity"] = {"nodeAffinity": {}}
    return spec


def other_volume_names(spec):
    names = {"kube-proxy": "config", "xtables-lock": "lock", "lib-modules": "modules"}
    for volume in spec["volumes"]:
        volume["name"] = names[volume["name"]]
    for mount in spec["containers"][0]["volumeMounts"]:
        mount["name"] = names[mount["name"]]
    return spec


def read_back(spec):
    spec.update({"dnsPolicy": "ClusterFirst", "restartPolicy": "Always", "schedulerName": "default-scheduler",
                 "serviceAccount": "kube-proxy", "terminationGracePeriodSeconds": 30, "securityContext": {}})
    spec["containers"][0].update({"terminationMessagePath": "/dev/termination-log", "resources": {}})
    return spec


VARIATIONS = [as_recorded, extra_container, init_container, node_selector, other_volume_names, read_back]


def render(kubectl, folder, label):
    result = subprocess.run([kubectl, "kustomize", str(folder)], capture_output=True, text=True)
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


def check_overlay(kubectl, variation):
    """deploy/kubeadm over a kube-proxy that differs: ours comes in, nothing else changes."""
    base = recorded()
    pod = daemonset(base, "kube-proxy")["spec"]["template"]
    pod["spec"] = variation(pod["spec"])
    label = f"{variation.__name__} ({kubectl})"
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name) / "kubeadm"
        shutil.copytree(ROOT / "deploy/kubeadm", folder)
        (folder / "kube-proxy.yaml").write_text(yaml.safe_dump_all(base))
        rendered = render(kubectl, folder, label)
    if rendered is None:
        return None
    spec = daemonset(rendered, "kube-proxy")["spec"]["template"]["spec"]
    check_pod(spec, label)
    rest = copy.deepcopy(spec)
    rest["containers"] = [c for c in rest["containers"] if c["name"] != "nmanager"]
    rest["volumes"] = [v for v in rest["volumes"] if not v["name"].startswith("nmanager-")]
    key = lambda item: item["name"]
    for part in ("containers", "volumes"):
        check(sorted(rest.pop(part), key=key) == sorted(pod["spec"][part], key=key), f"{label}: {part} changed")
    check(rest == {k: v for k, v in pod["spec"].items() if k not in ("containers", "volumes")}, f"{label}: pod changed")
    check(len(rendered) == len(base), f"{label}: other objects")
    return rendered


def check_golden(rendered, name):
    wanted = documents((GOLDEN / name).read_text())
    key = lambda d: (d["kind"], d["metadata"]["name"])
    check(sorted(rendered, key=key) == sorted(wanted, key=key), f"golden {name} differs; see test/deploy/golden")


def check_standalone(kubectl, golden):
    rendered = render(kubectl, ROOT / "deploy/standalone", "standalone")
    if rendered is None:
        return
    check_pod(daemonset(rendered, "nmanager")["spec"]["template"]["spec"], "standalone")
    role = next(d for d in rendered if d["kind"] == "ClusterRole")
    check(role["rules"] == [{"apiGroups": [""], "resources": ["services"], "verbs": ["list", "watch"]}],
          "standalone: more rights than it needs")
    if golden:
        check_golden(rendered, "standalone.yaml")
    proxied = render(kubectl, ROOT / "deploy/standalone-prometheus", "standalone-prometheus")
    if proxied is not None:
        containers = daemonset(proxied, "nmanager")["spec"]["template"]["spec"]["containers"]
        check({c["name"] for c in containers} == {"nmanager", "kube-rbac-proxy"}, "standalone-prometheus: containers")


def check_against_program(program):
    """What the manifests name exists: variables of the environment, flags, the endpoint."""
    help_text = subprocess.run([program, "--help"], capture_output=True, text=True).stdout
    variables = set(re.findall(r"Environment: (\w+)", help_text))
    flags = set(re.findall(r"^  (--[\w-]+)", help_text, re.M))
    commands = set(re.findall(r"^  (\w+)  ", help_text, re.M))
    listen = re.search(r"--listen.*?Default: ([\d.]+):(\d+)", help_text, re.S)
    check(listen is not None, "--help tells where it listens")
    texts = {path: path.read_text() for pattern in ("patches/*", "deploy/**/*") for path in ROOT.glob(pattern)
             if path.is_file() and path.suffix in (".yaml", ".md")}
    for path, text in texts.items():
        where = path.relative_to(ROOT)
        for variable in re.findall(r"\b((?:RULE|POD_CIDR|NMANAGER|EXTERNAL_CLUSTER)_[A-Z0-9_]+)\b", text):
            known = variable in variables or any(v.startswith(variable) for v in variables)
            check(known or f"{variable}_" in "".join(variables), f"{where}: no variable {variable}")
    for document in documents((ROOT / "patches" / PATCH).read_text()) + documents(
            (ROOT / "deploy/standalone/daemonset.yaml").read_text()):
        for container in document["spec"]["template"]["spec"]["containers"]:
            for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
                get = container[probe]["httpGet"]
                check(listen and (get["host"], str(get["port"])) == listen.groups(), f"{probe}: not where it listens")
            for argument in container["args"]:
                check(argument in commands or argument.split("=")[0] in flags, f"no argument {argument}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--old", default="")
    parser.add_argument("--new", default="")
    parser.add_argument("--program", default="")
    parser.add_argument("--write-golden", action="store_true")
    arguments = parser.parse_args()

    patch = (ROOT / "patches" / PATCH).read_bytes()
    check((ROOT / "deploy/kubeadm" / PATCH).read_bytes() == patch, "deploy/kubeadm holds another patch than patches/")
    for name, kubectl in (("kubectl of Debian 12", arguments.old), ("a current kubectl", arguments.new)):
        if not kubectl:
            skip(f"{name}: not to be had here")
            continue
        for variation in VARIATIONS:
            rendered = check_overlay(kubectl, variation)
            if variation is as_recorded and rendered is not None:
                if arguments.write_golden:
                    (GOLDEN / "kubeadm.yaml").write_text(yaml.safe_dump_all(rendered))
                check_golden(rendered, "kubeadm.yaml")
        if arguments.write_golden:
            (GOLDEN / "standalone.yaml").write_text(yaml.safe_dump_all(render(kubectl, ROOT / "deploy/standalone", "standalone")))
        check_standalone(kubectl, golden=True)
    if arguments.program:
        check_against_program(arguments.program)
    else:
        skip("the program is not built")
    # What kube-proxy's own account may do: as bound by kubeadm, to the role that Kubernetes defines.
    binding = next(d for d in recorded() if d["kind"] == "ClusterRoleBinding")
    check(binding["roleRef"]["name"] == "system:node-proxier", "kube-proxy's account is bound to system:node-proxier")
    print(f"{counts['passed']} passed, {counts['failed']} failed, {counts['skipped']} skipped")
    return counts["failed"] != 0


if __name__ == "__main__":
    sys.exit(main())
