"""The kustomize bases and components, as rendered."""
import copy
import pathlib
import shutil
import tempfile

import yaml

from manifests import ROOT, container, daemonset, documents, identity, names, pod, recorded, render
from pods import check_confined, check_off, check_only_added, check_pod, check_volumes
from report import check
from variations import VARIATIONS

GOLDEN = ROOT / "test/deploy/golden"


def built(tool, label, components=(), resources=(), objects=(), **fields):
    """An operator's kustomization that uses our tree next to other objects."""
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        shutil.copytree(ROOT / "deploy", folder / "deploy", symlinks=True)
        (folder / "own").mkdir()
        (folder / "own/objects.yaml").write_text(yaml.safe_dump_all(objects))
        text = {"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization",
                "resources": [*(["objects.yaml"] if objects else []), *(f"../deploy/{path}" for path in resources)],
                "components": [f"../deploy/{path}" for path in components], **fields}
        (folder / "own/kustomization.yaml").write_text(yaml.safe_dump(text))
        return render(tool, folder / "own", label)


def windows():
    """kube-proxy's DaemonSet for Windows nodes, as the documents of several providers name it."""
    other = copy.deepcopy(daemonset(recorded(), "kube-proxy"))
    other["metadata"]["name"] = "kube-proxy-windows"
    pod(other)["nodeSelector"] = {"kubernetes.io/os": "windows"}
    return other


def check_sidecar(tool):
    for variation in VARIATIONS:
        base = [variation(d) if d["kind"] == "DaemonSet" else d for d in recorded()]
        label = f"component sidecar, {variation.__name__} ({tool})"
        rendered = built(tool, label, components=["components/sidecar"], objects=[*base, windows()])
        if rendered is None:
            continue
        check_only_added(daemonset(rendered, "kube-proxy"), daemonset(base, "kube-proxy"), label)
        others = [d for d in rendered if identity(d) != ("DaemonSet", "kube-proxy")]
        wanted = [d for d in [*base, windows()] if identity(d) != ("DaemonSet", "kube-proxy")]
        check(sorted(others, key=identity) == sorted(wanted, key=identity), f"{label}: other objects, including kube-proxy-windows")
        off = built(tool, label, components=["components/sidecar", "components/off"], objects=base)
        if off is not None:
            check_off(daemonset(off, "kube-proxy"), f"{label}, off")
            order = names(daemonset(off, "kube-proxy"))
            check(order.index("kube-proxy") < order.index("nmanager"), f"{label}, off: {order}")
            check(container(daemonset(off, "kube-proxy"), "kube-proxy") == container(daemonset(base, "kube-proxy"), "kube-proxy"),
                  f"{label}, off: kube-proxy is as it was")


def check_kubeadm(tool, write_golden):
    rendered = render(tool, ROOT / "deploy/kubeadm", f"deploy/kubeadm ({tool})")
    if rendered is None:
        return
    if write_golden:
        (GOLDEN / "kubeadm.yaml").write_text(yaml.safe_dump_all(rendered))
    check_golden(rendered, "kubeadm.yaml")
    check_only_added(daemonset(rendered, "kube-proxy"), daemonset(documents((ROOT / "deploy/kubeadm/kube-proxy.yaml").read_text()), "kube-proxy"),
                     f"deploy/kubeadm ({tool})")


def check_golden(rendered, name):
    wanted = documents((GOLDEN / name).read_text())
    check(sorted(rendered, key=identity) == sorted(wanted, key=identity), f"golden {name} differs; see test/deploy/golden")


def check_standalone(tool, write_golden):
    rendered = render(tool, ROOT / "deploy/standalone", "standalone")
    if rendered is None:
        return
    if write_golden:
        (GOLDEN / "standalone.yaml").write_text(yaml.safe_dump_all(rendered))
    check_golden(rendered, "standalone.yaml")
    check_alone(rendered, f"standalone ({tool})")
    settings = next(d for d in rendered if d["kind"] == "ConfigMap")["metadata"]["name"]
    used = container(daemonset(rendered, "nmanager"), "nmanager")["envFrom"][0]["configMapRef"]["name"]
    check(used == settings, "standalone: the pod reads the settings")
    generator = [{"name": "nmanager", "namespace": "kube-system", "behavior": "merge", "literals": ["POD_CIDR_IPV4=10.244.0.0/16"]}]
    changed = built(tool, "standalone, settings merged", resources=["standalone"], configMapGenerator=generator)
    if changed is not None:
        other = container(daemonset(changed, "nmanager"), "nmanager")["envFrom"][0]["configMapRef"]["name"]
        check(other not in (settings, "nmanager"), f"standalone: a changed setting changes the template: {settings}, {other}")
    off = built(tool, "standalone, off", resources=["standalone"], components=["components/off"])
    if off is not None:
        check_off(daemonset(off, "nmanager"), "standalone, off")


def check_alone(rendered, label):
    """Checks what a node-critical agent with its own account needs."""
    ours = daemonset(rendered, "nmanager")
    check_pod(ours, label)
    spec = pod(ours)
    check(spec["priorityClassName"] == "system-node-critical", f"{label}: priority")
    check(spec["tolerations"] == [{"operator": "Exists"}], f"{label}: it runs on every node")
    check(spec["nodeSelector"] == {"kubernetes.io/os": "linux"}, f"{label}: it runs on Linux only")
    check(ours["spec"]["updateStrategy"]["rollingUpdate"]["maxUnavailable"] == 1, f"{label}: one node at a time")
    accounts = {d["metadata"]["name"] for d in rendered if d["kind"] == "ServiceAccount"}
    check(spec["serviceAccountName"] in accounts, f"{label}: its account")
    role = next(d for d in rendered if d["kind"] == "ClusterRole" and d["metadata"]["name"] == "nmanager")
    check(role["rules"] == [{"apiGroups": [""], "resources": ["services"], "verbs": ["list", "watch"]}], f"{label}: more rights than it needs")
    bindings = [d for d in rendered if d["kind"].endswith("Binding") and any(s["name"] == spec["serviceAccountName"] for s in d["subjects"])]
    check([b["roleRef"]["name"] for b in bindings] == ["nmanager"], f"{label}: bound only to its own role")


def check_cleanup(tool):
    rendered = render(tool, ROOT / "deploy/cleanup", "cleanup")
    if rendered is None:
        return
    check_cleanup_pod(daemonset(rendered, "nmanager-cleanup"), f"cleanup ({tool})")


def check_cleanup_pod(cleanup, label):
    spec = pod(cleanup)
    check_volumes(spec, label)
    run, done = spec["initContainers"][0], spec["containers"][0]
    check_confined(run, label, ["NET_ADMIN", "NET_RAW"])
    check_confined(done, label, None)
    check(run["args"] == ["cleanup"] and len(spec["initContainers"]) == len(spec["containers"]) == 1, f"{label}: cleans, then idles")
    check(run["image"] == done["image"], f"{label}: one image")
    check(spec["hostNetwork"] is True and spec["tolerations"] == [{"operator": "Exists"}], f"{label}: on every node")
    check(spec["automountServiceAccountToken"] is False, f"{label}: no account")
    check([v["hostPath"]["path"] for v in spec["volumes"]] == ["/run/xtables.lock"], f"{label}: mounts only the host's lock")


MONITORING = {
    ("ServiceAccount", "nmanager-metrics"), ("ClusterRole", "nmanager-metrics-reader"), ("ClusterRoleBinding", "nmanager-metrics"),
    ("ClusterRoleBinding", "nmanager-metrics-reader"), ("Role", "nmanager-metrics-discovery"), ("RoleBinding", "nmanager-metrics-discovery"),
    ("DaemonSet", "nmanager-metrics"), ("Service", "nmanager-metrics"), ("ServiceMonitor", "nmanager"), ("PrometheusRule", "nmanager"),
    ("ConfigMap", "nmanager-dashboard"), ("ConfigMap", "nmanager-alerts")}


def check_monitoring(tool):
    """Monitoring adds the same objects to both forms, and changes neither."""
    for label, form in (("sidecar", {"components": ["components/sidecar"], "objects": recorded()}), ("standalone", {"resources": ["standalone"]})):
        label = f"component monitoring, {label} ({tool})"
        without = built(tool, label, **form)
        rendered = built(tool, label, **{**form, "components": [*form.get("components", []), "components/monitoring"]})
        if rendered is None or without is None:
            continue
        added = [d for d in rendered if d not in without]
        check({identity(d) for d in added} == MONITORING and all(d in rendered for d in without), f"{label}: adds {[identity(d) for d in added]}")
        check(all(d["metadata"].get("namespace") == "kube-system" for d in added if not d["kind"].startswith("Cluster")), f"{label}: namespace")
        proxy = daemonset(rendered, "nmanager-metrics")
        check_volumes(pod(proxy), label)
        check_confined(pod(proxy)["containers"][0], label, None)


def check_overlays(tools, write_golden):
    for tool in tools:
        check_sidecar(tool)
        check_kubeadm(tool, write_golden)
        check_standalone(tool, write_golden)
        check_cleanup(tool)
        check_monitoring(tool)
