"""The DaemonSet controller and the kubelets of the minimal cluster (cluster.py), one turn at a time."""
import copy
import hashlib
import json

from pods import SWITCHES

KINDS = {  # resource: (group/version, kind, namespaced)
    "nodes": ("v1", "Node", False), "pods": ("v1", "Pod", True), "configmaps": ("v1", "ConfigMap", True),
    "serviceaccounts": ("v1", "ServiceAccount", True), "daemonsets": ("apps/v1", "DaemonSet", True),
    "clusterroles": ("rbac.authorization.k8s.io/v1", "ClusterRole", False),
    "clusterrolebindings": ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding", False)}


def named(resource, name):
    api_version, kind, namespaced = KINDS[resource]
    metadata = {"name": name, "uid": f"uid-{name}"}
    if namespaced:
        metadata["namespace"] = "kube-system"
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata}


def container_of(spec, name):
    return next((c for c in spec["containers"] if c["name"] == name), None)


def is_ready(thing):
    return any(c["type"] == "Ready" and c["status"] == "True" for c in thing["status"]["conditions"])


class Nodes:
    def __init__(self, objects):
        self.objects = objects
        self.rules = set()          # nodes with our rules
        self.dead = set()
        self.cleanup_fails = set()  # nodes on which `nmanager cleanup` exits with 1
        self.slow = {}              # name of a DaemonSet -> turns before its controller sees a change
        self.most_unavailable = 0   # of kube-proxy, on live nodes, at any time
        self.version = 1
        self.pod_number = 0

    def turn(self):
        self.version += 1
        for daemonset in [o for (resource, _), o in self.objects.items() if resource == "daemonsets"]:
            self.control(daemonset)
        self.collect()
        for pod in self.pods():
            if pod["spec"]["nodeName"] not in self.dead:
                self.run(pod)
        live = [p for p in self.pods() if p["owner"] == "kube-proxy" and p["spec"]["nodeName"] not in self.dead]
        self.most_unavailable = max(self.most_unavailable, len(self.live()) - sum(map(is_ready, live)))

    def live(self):
        return {name for resource, name in self.objects if resource == "nodes"} - self.dead

    def pods(self, owner=None):
        return [o for (resource, _), o in list(self.objects.items()) if resource == "pods" and owner in (None, o["owner"])]

    def control(self, daemonset):
        name, spec = daemonset["metadata"]["name"], daemonset["spec"]
        stamp = hashlib.sha256(json.dumps(spec["template"], sort_keys=True).encode()).hexdigest()[:10]
        by_node = {pod["spec"]["nodeName"]: pod for pod in self.pods(name)}
        if any(pod["stamp"] != stamp for pod in by_node.values()) and self.slow.get(name, 0) > 0:
            self.slow[name] -= 1
            return
        nodes = [n for resource, n in self.objects if resource == "nodes"]
        for node in nodes:
            if node not in by_node:
                self.create(daemonset, node, stamp)
        strategy = spec.get("updateStrategy", {})
        allowed = strategy.get("rollingUpdate", {}).get("maxUnavailable", 1)
        allowed = len(nodes) if allowed == "100%" else max(1, int(str(allowed).rstrip("%")) * len(nodes) // 100) if "%" in str(allowed) else allowed
        away = sum(1 for pod in by_node.values() if not is_ready(pod) or "deletionTimestamp" in pod["metadata"])
        for pod in by_node.values():
            if strategy.get("type") != "OnDelete" and pod["stamp"] != stamp and away < allowed and "deletionTimestamp" not in pod["metadata"]:
                pod["metadata"]["deletionTimestamp"] = "2026-01-02T03:04:05Z"
                away += 1
        current = [p for p in self.pods(name) if p["stamp"] == stamp and "deletionTimestamp" not in p["metadata"]]
        ready = sum(map(is_ready, current))
        daemonset["metadata"].setdefault("generation", 1)
        daemonset["status"] = {
            "observedGeneration": daemonset["metadata"]["generation"], "desiredNumberScheduled": len(nodes),
            "currentNumberScheduled": len(nodes), "updatedNumberScheduled": len(current), "numberReady": ready,
            "numberAvailable": ready, "numberUnavailable": len(nodes) - ready, "numberMisscheduled": 0}

    def create(self, daemonset, node, stamp):
        self.pod_number += 1
        name = f"{daemonset['metadata']['name']}-{self.pod_number}"
        template = copy.deepcopy(daemonset["spec"]["template"])
        pod = named("pods", name)
        pod["metadata"].update(template["metadata"])
        pod.update({"spec": {**template["spec"], "nodeName": node}, "stamp": stamp, "owner": daemonset["metadata"]["name"],
                    "status": {"phase": "Pending", "conditions": [{"type": "Ready", "status": "False"}]}})
        self.objects["pods", name] = pod

    def collect(self):
        owners = {name for resource, name in self.objects if resource == "daemonsets"}
        for pod in self.pods():
            gone = "deletionTimestamp" in pod["metadata"]
            if pod["owner"] not in owners and not gone:
                pod["metadata"]["deletionTimestamp"] = "2026-01-02T03:04:05Z"
            elif gone and pod["spec"]["nodeName"] not in self.dead:
                del self.objects["pods", pod["metadata"]["name"]]

    def run(self, pod):
        node = pod["spec"]["nodeName"]
        ours = container_of(pod["spec"], "nmanager")
        if ours:
            values = {v["name"]: v.get("value") for v in ours.get("env", [])}
            off = all(values.get(switch) == "false" for switch in SWITCHES)
            (self.rules.discard if off else self.rules.add)(node)
        if any(c["args"] == ["cleanup"] for c in pod["spec"].get("initContainers", []) if c["name"] == "cleanup"):
            held = any(container_of(p["spec"], "nmanager") for p in self.pods() if p["spec"]["nodeName"] == node)
            if node in self.cleanup_fails or held:
                return
            if not is_ready(pod):
                self.rules.discard(node)
        pod["status"] = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
