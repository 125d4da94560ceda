"""What our pods may request, in every form of installation."""
import copy

from manifests import container, names, patched_container, pod
from report import check

DEFAULT_CONTAINER = "kubectl.kubernetes.io/default-container"
SWITCHES = {"RULE_DROP_INVALID_INPUT_ENABLE", "RULE_DROP_INVALID_FORWARD_ENABLE", "RULE_EXTERNAL_CLUSTER_ENABLE"}


def check_confined(one, label, capabilities):
    security = one["securityContext"]
    check(security["privileged"] is False, f"{label}: privileged")
    check(security["allowPrivilegeEscalation"] is False, f"{label}: privilege escalation")
    check(security["readOnlyRootFilesystem"] is True, f"{label}: root file system")
    check(security["seccompProfile"] == {"type": "RuntimeDefault"}, f"{label}: seccomp")
    check(security["capabilities"] == {"drop": ["ALL"], **({"add": capabilities} if capabilities else {})}, f"{label}: capabilities")
    check(set(one["resources"]["requests"]) == {"cpu", "memory"}, f"{label}: requests")
    check(list(one["resources"]["limits"]) == ["memory"], f"{label}: a memory limit, and no CPU limit, which delays repairs")


def check_container(one, label):
    check_confined(one, label, ["NET_ADMIN", "NET_RAW"])
    for probe, path in (("startupProbe", "/livez"), ("livenessProbe", "/livez"), ("readinessProbe", "/readyz")):
        get = one[probe]["httpGet"]
        check((get["host"], get["path"]) == ("127.0.0.1", path), f"{label}: {probe}")
    node_name = {"name": "NODE_NAME", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}}
    check(node_name in one["env"], f"{label}: NODE_NAME from the downward API")


def check_volumes(spec, label):
    volumes = {volume["name"] for volume in spec.get("volumes", [])}
    check(len(volumes) == len(spec.get("volumes", [])), f"{label}: two volumes of one name")
    for one in [*spec["containers"], *spec.get("initContainers", [])]:
        for mount in one.get("volumeMounts", []):
            check(mount["name"] in volumes, f"{label}: {one['name']} mounts {mount['name']}, which does not exist")


def check_pod(a_daemonset, label):
    spec = pod(a_daemonset)
    check_volumes(spec, label)
    ours = [c for c in spec["containers"] if c["name"] == "nmanager"]
    check(len(ours) == 1, f"{label}: one nmanager container")
    check_container(ours[0], label)
    paths = {mount["mountPath"] for mount in ours[0]["volumeMounts"]}
    check(paths <= {"/var/lib/kube-proxy", "/run/xtables.lock"}, f"{label}: mounts {paths}")
    check(all(c["name"] != "nmanager" for c in spec.get("initContainers", [])), f"{label}: an init container delays kube-proxy")
    check(spec["hostNetwork"] is True, f"{label}: the rules belong to the node")


def check_order(patched, original, label):
    """Case C1: container 0 is unchanged, and ours is after kube-proxy."""
    before, after = names(original), names(patched)
    check(after[0] == before[0], f"{label}: container 0 was {before[0]} and is {after[0]}")
    check(after.index("nmanager") > after.index("kube-proxy"), f"{label}: {after}")
    annotation = patched["spec"]["template"]["metadata"].get("annotations", {}).get(DEFAULT_CONTAINER)
    check(annotation == "kube-proxy", f"{label}: the default container is {annotation}")


def without_ours(a_daemonset):
    out = copy.deepcopy(a_daemonset)
    spec = pod(out)
    for part in ("containers", "volumes"):
        spec[part] = sorted((item for item in spec[part] if not item["name"].startswith("nmanager")), key=lambda item: item["name"])
    metadata = out["spec"]["template"]["metadata"]
    metadata.get("annotations", {}).pop(DEFAULT_CONTAINER, None)
    if not metadata.get("annotations"):
        metadata.pop("annotations", None)
    return out


def check_only_added(patched, original, label):
    """The DaemonSet `patched` is `original` with only nmanager's container, volumes and annotation added."""
    check_pod(patched, label)
    check_order(patched, original, label)
    check(container(patched, "nmanager") == patched_container(), f"{label}: the container differs from patches/")
    check(without_ours(patched) == without_ours(original), f"{label}: something else changed")


def check_off(a_daemonset, label):
    values = {v["name"]: v.get("value") for v in container(a_daemonset, "nmanager").get("env", [])}
    check({name for name, value in values.items() if value == "false"} == SWITCHES, f"{label}: every rule is off: {values}")
    check(values.get("NMANAGER_READY_WHEN") == "rules", f"{label}: ready means that the rules are gone: {values}")
