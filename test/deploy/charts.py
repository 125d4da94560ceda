"""deploy/helm: rendered by Helm's own template language (tools/chart), for each set of values that the documents mention."""
import copy
import json
import subprocess

import jsonschema
import yaml

from cluster import Cluster
from manifests import ROOT, container, daemonset, documents, patched_container, pod, recorded
from overlays import check_alone, check_cleanup_pod
from pods import check_off, check_only_added, without_ours
from report import check

CHART = ROOT / "deploy/helm/nmanager"


def merged(base, changes):
    if not isinstance(changes, dict) or not isinstance(base, dict):
        return changes
    return {**base, **{key: merged(base.get(key), value) for key, value in changes.items()}}


class Chart:
    def __init__(self, tool):
        self.tool = tool
        self.defaults = yaml.safe_load((CHART / "values.yaml").read_text())
        self.schema = json.loads((CHART / "values.schema.json").read_text())

    def accepts(self, changes):
        try:
            jsonschema.validate(merged(self.defaults, changes), self.schema)
        except jsonschema.ValidationError:
            return False
        return True

    def run(self, changes, namespace="kube-system"):
        values = yaml.safe_dump(merged(self.defaults, changes))
        return subprocess.run([self.tool, str(CHART), "release", namespace], input=values, capture_output=True, text=True)

    def render(self, label, **changes):
        check(self.accepts(changes), f"{label}: values.schema.json refuses")
        result = self.run(changes)
        check(result.returncode == 0, f"{label}: {result.stderr[-300:]}")
        return documents(result.stdout.split("# Source: NOTES.txt")[0].removesuffix("---\n"))


def hooks(rendered, hook):
    """The hooks in the order in which Helm runs them."""
    found = [d for d in rendered if hook in d["metadata"].get("annotations", {}).get("helm.sh/hook", "").split(",")]
    return sorted(found, key=lambda d: int(d["metadata"]["annotations"]["helm.sh/hook-weight"]))


def check_values(chart):
    for label, changes in (("misspelt", {"modes": "sidecar"}), ("mode", {"mode": "both"}), ("digest", {"image": {"digest": "sha256:12"}}),
                           ("a number as a setting", {"settings": {"NMANAGER_MASQUERADE_BIT": 14}}), ("backend", {"size": {"backend": "ipvs"}}),
                           ("maxUnavailable", {"maxUnavailable": "ten"}), ("an argument", {"extraArgs": ["run"]})):
        check(not chart.accepts(changes), f"values.schema.json accepts: {label}")
    check(set(chart.schema["properties"]) - {"global"} == set(chart.defaults), "values.yaml and values.schema.json name the same")
    check(chart.run({}, "default").returncode != 0, "a namespace other than kube-system is refused")
    result = chart.run({"size": {"backend": "nftables", "services": 10**6}})
    check("set resources" in result.stderr, "a size without a measured figure is refused")


def check_standalone(chart, schemas):
    rendered = chart.render("chart, stand-alone")
    schemas.check(rendered, "chart, stand-alone")
    own = [d for d in rendered if "helm.sh/hook" not in d["metadata"].get("annotations", {})]
    check_alone(own, "chart, stand-alone")
    ours, plain = container(daemonset(own, "nmanager"), "nmanager"), patched_container()
    for key in ("args", "securityContext", "startupProbe", "livenessProbe", "readinessProbe", "resources", "imagePullPolicy", "image"):
        check(ours[key] == plain[key], f"chart, stand-alone: {key} differs from patches/")
    checksum = lambda documents_: daemonset(documents_, "nmanager")["spec"]["template"]["metadata"]["annotations"]["checksum/settings"]
    changed = chart.render("chart, a setting", settings={"POD_CIDR_IPV4": "10.244.0.0/16"})
    check(checksum(changed) != checksum(rendered), "chart: a changed setting rolls the pods")
    off = chart.render("chart, off", rulesOff=True)
    settings = next(d for d in off if d["kind"] == "ConfigMap" and d["metadata"]["name"] == "nmanager")["data"]
    check({name for name, value in settings.items() if value == "false"} == {name for name in settings if name.startswith("RULE_")}, f"chart, off: {settings}")
    pinned = chart.render("chart, digest", image={"repository": "example.org/n", "digest": "sha256:" + "0" * 64})
    check(container(daemonset(pinned, "nmanager"), "nmanager")["image"] == "example.org/n@sha256:" + "0" * 64, "chart: image by digest")
    check(hooks(rendered, "post-delete") and not hooks(rendered, "post-install"), "chart, stand-alone: hooks")
    check(not hooks(chart.render("chart, no removal", removal={"enabled": False}), "post-delete"), "chart: removal can be left out")


def run_hooks(chart, cluster, rendered, hook, label):
    """Runs each Job's arguments with a real kubectl, and creates everything else. A Role must grant what its Job requests."""
    created = hooks(rendered, hook)
    roles = {d["metadata"]["name"]: d["rules"] for d in created if d["kind"] == "Role"}
    for one in created:
        name = one["metadata"]["name"]
        if one["kind"] == "ConfigMap":
            (cluster.folder / name).mkdir(exist_ok=True)
            for file, text in one["data"].items():
                (cluster.folder / name / file).write_text(text)
        elif one["kind"] == "DaemonSet":
            with cluster.lock:
                cluster.objects["daemonsets", name] = copy.deepcopy(one)
        elif one["kind"] == "Job":
            spec = pod(one)
            volume = spec["volumes"][0]["configMap"]["name"]
            arguments = " ".join(spec["containers"][0]["args"]).replace("/manifests", str(cluster.folder / volume))
            before = len(cluster.requests)
            code, said = cluster.run("kubectl " + arguments)
            check(code == 0, f"{label}: {name}: {said[-300:]}")
            verbs = {"GET": "get", "PATCH": "patch"}
            granted = {(verb, resource) for rule in roles[spec["serviceAccountName"]] for verb in rule["verbs"] for resource in rule["resources"]}
            asked = {(verbs[verb], resource) for verb, resource in cluster.requests[before:]}
            check(asked and asked <= granted, f"{label}: {name} requests {asked}, its Role grants {granted}")


def check_sidecar(chart, schemas, kubectl, apply):
    label = "chart, sidecar"
    rendered = chart.render(label, mode="sidecar")
    schemas.check(rendered, label)
    check(all("helm.sh/hook" in d["metadata"]["annotations"] for d in rendered), f"{label}: only hooks")
    base = daemonset(recorded(), "kube-proxy")
    with Cluster(kubectl, base, apply=apply) as cluster:
        original = cluster.daemonset()
        run_hooks(chart, cluster, rendered, "post-install", label)
        check_only_added(cluster.daemonset(), original, label)
        code, said = cluster.run("kubectl -n kube-system rollout status daemonset/kube-proxy")
        check(code == 0 and cluster.nodes.rules == cluster.nodes.live(), f"{label}: rules on every node: {said}")
        off = chart.render("chart, sidecar off", mode="sidecar", rulesOff=True)
        run_hooks(chart, cluster, off, "post-upgrade", "chart, sidecar off")
        check_off(cluster.daemonset(), "chart, sidecar off")
        run_hooks(chart, cluster, rendered, "post-upgrade", label)
        cluster.run("kubectl -n kube-system rollout status daemonset/kube-proxy")
        run_hooks(chart, cluster, rendered, "post-delete", label)
        check(not cluster.nodes.rules, f"{label}: uninstalled, and rules are left on {cluster.nodes.rules}")
        check(without_ours(cluster.daemonset()) == without_ours(original) and "nmanager" not in str(cluster.daemonset()), f"{label}: kube-proxy's DaemonSet is not as before")
    check_cleanup_pod(daemonset(rendered, "nmanager-cleanup"), label)


def check_metrics(chart, schemas):
    label = "chart, metrics"
    on = {"enabled": True, "operator": True, "dashboard": True, "runbooks": "https://example.org/run"}
    rendered = chart.render(label, metrics=on)
    schemas.check(rendered, label)
    plain = {}
    for folder in ("proxy", "operator", "prometheus"):
        for path in (ROOT / "deploy/monitoring" / folder).glob("*.yaml"):
            if path.name not in ("kustomization.yaml", "scrape.yaml"):
                plain.update({(d["kind"], d["metadata"]["name"]): d for d in documents(path.read_text())})
    found = {(d["kind"], d["metadata"]["name"]): d for d in rendered}
    for key, wanted in plain.items():
        text = json.dumps(wanted).replace("https://nmanager.example/docs/runbooks.md", "https://example.org/run")
        check(found.get(key) == json.loads(text), f"{label}: {key} differs from deploy/monitoring")
    board = json.loads(found["ConfigMap", "nmanager-dashboard"]["data"]["nmanager.json"])
    check(board["links"][0]["url"] == "https://example.org/run", f"{label}: the dashboard's runbooks")


def check_sizing(chart):
    """The chart's file has the figures; the documents and the manifests must agree with it."""
    sizing = yaml.safe_load((CHART / "sizing.yaml").read_text())
    text = (ROOT / "docs/sizing.md").read_text()
    for backend, steps in sizing["limits"].items():
        check([s["services"] for s in steps] == sorted(s["services"] for s in steps), f"sizing.yaml: {backend}: sorted by Services")
        if backend == "any":
            continue
        for step in steps:
            check(f"| {backend} | {step['services']:,} | {step['limit']} |" in text, f"docs/sizing.md lacks {backend} {step}")
            rendered = chart.render(f"chart, {backend} {step}", size={"backend": backend, "services": step["services"]})
            check(container(daemonset(rendered, "nmanager"), "nmanager")["resources"]["limits"]["memory"] == step["limit"], f"chart: {backend} {step}")
    default = next(s["limit"] for s in sizing["limits"]["any"] if s["services"] == 10000)
    check(patched_container()["resources"] == {"requests": {"cpu": "10m", "memory": sizing["request"]}, "limits": {"memory": default}}, "patches/: memory")


def check_version(version):
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    check(chart["version"] == chart["appVersion"] == version, f"Chart.yaml: version {chart['version']}, the program's {version}")


def check_charts(tool, schemas, kubectl, apply):
    chart = Chart(tool)
    check_values(chart)
    check_standalone(chart, schemas)
    check_sidecar(chart, schemas, kubectl, apply)
    check_metrics(chart, schemas)
    check_sizing(chart)
