"""Reading and rendering of manifests, for all checks."""
import pathlib
import subprocess

import yaml

from report import check

ROOT = pathlib.Path(__file__).resolve().parents[2]
PATCH = ROOT / "patches/kubeproxydaemonset+strategic.yaml"
RECORDED = ROOT / "test/fixtures/kubeadm/kube-proxy-1.36.yaml"


def documents(text):
    return [document for document in yaml.safe_load_all(text) if document]


def recorded():
    return documents(RECORDED.read_text())


def daemonset(rendered, name):
    return next(d for d in rendered if d["kind"] == "DaemonSet" and d["metadata"]["name"] == name)


def pod(a_daemonset):
    return a_daemonset["spec"]["template"]["spec"]


def identity(document):
    return document["kind"], document["metadata"]["name"]


def container(a_daemonset, name):
    return next((c for c in pod(a_daemonset)["containers"] if c["name"] == name), None)


def names(a_daemonset):
    return [c["name"] for c in pod(a_daemonset)["containers"]]


def patched_container():
    return container(documents(PATCH.read_text())[0], "nmanager")


def render(tool, folder, label):
    """`tool`: a kubectl or a kustomize."""
    command = [tool, "build"] if pathlib.Path(tool).name == "kustomize" else [tool, "kustomize"]
    result = subprocess.run([*command, str(folder)], capture_output=True, text=True)
    check(result.returncode == 0, f"{label}: kustomize: {result.stderr.strip()[:300]}")
    return documents(result.stdout) if result.returncode == 0 else None
