"""How the kube-proxy DaemonSet of other clusters differs from the recorded one; each function takes it as kubeadm prints it."""
import copy


def pod(daemonset):
    return daemonset["spec"]["template"]["spec"]


def as_recorded(daemonset):
    return daemonset


def extra_containers(daemonset):
    pod(daemonset)["containers"].insert(0, {"name": "first", "image": "example.org/first:1"})
    pod(daemonset)["containers"].append({"name": "last", "image": "example.org/last:1"})
    return daemonset


def init_container(daemonset):
    pod(daemonset)["initContainers"] = [{"name": "init", "image": "example.org/init:1"}]
    return daemonset


def native_sidecar(daemonset):
    pod(daemonset)["initContainers"] = [{"name": "side", "image": "example.org/side:1", "restartPolicy": "Always"}]
    return daemonset


def node_selector(daemonset):
    pod(daemonset)["nodeSelector"]["example.org/pool"] = "a"
    pod(daemonset)["affinity"] = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [
        {"matchExpressions": [{"key": "kubernetes.io/arch", "operator": "In", "values": ["arm64"]}]}]}}}
    return daemonset


def other_volume_names(daemonset):
    names = {"kube-proxy": "config", "xtables-lock": "lock", "lib-modules": "modules"}
    for volume in pod(daemonset)["volumes"]:
        volume["name"] = names[volume["name"]]
    for mount in pod(daemonset)["containers"][0]["volumeMounts"]:
        mount["name"] = names[mount["name"]]
    return daemonset


def no_config_map(daemonset):
    """Flags instead of a configuration file."""
    container = pod(daemonset)["containers"][0]
    container["command"] = ["/usr/local/bin/kube-proxy", "--proxy-mode=ipvs", "--kubeconfig=/etc/kube-proxy/kubeconfig"]
    container["volumeMounts"] = [m for m in container["volumeMounts"] if m["name"] != "kube-proxy"]
    pod(daemonset)["volumes"] = [v for v in pod(daemonset)["volumes"] if v["name"] != "kube-proxy"]
    return daemonset


def read_back(daemonset):
    """Edited, and as the API server returns it: with defaults, the server's own fields, and its status."""
    daemonset = copy.deepcopy(daemonset)
    daemonset["metadata"].update({
        "uid": "0a1b2c3d-0000-4000-8000-000000000000", "resourceVersion": "4711", "generation": 7,
        "creationTimestamp": "2026-01-02T03:04:05Z", "selfLink": "/apis/apps/v1/namespaces/kube-system/daemonsets/kube-proxy",
        "annotations": {"deprecated.daemonset.template.generation": "7",
                        "kubectl.kubernetes.io/last-applied-configuration": '{"kind":"DaemonSet","spec":{"template":{}}}\n'}})
    daemonset["spec"].update({"revisionHistoryLimit": 10, "updateStrategy": {
        "type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "10%", "maxSurge": 0}}})
    template = daemonset["spec"]["template"]
    template["metadata"]["annotations"] = {"kubectl.kubernetes.io/restartedAt": "2026-01-02T03:04:05Z"}
    template["spec"].update({
        "dnsPolicy": "ClusterFirst", "restartPolicy": "Always", "schedulerName": "default-scheduler",
        "serviceAccount": "kube-proxy", "terminationGracePeriodSeconds": 30, "securityContext": {}})
    container = template["spec"]["containers"][0]
    container.update({"terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File",
                      "resources": {"requests": {"cpu": "50m"}}})
    container["command"].append("--v=4")
    container["env"] = [{"name": "NODE_NAME", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "spec.nodeName"}}}]
    for volume in template["spec"]["volumes"]:
        if "configMap" in volume:
            volume["configMap"]["defaultMode"] = 420
        elif "type" not in volume["hostPath"]:
            volume["hostPath"]["type"] = ""
    daemonset["status"] = {"currentNumberScheduled": 3, "desiredNumberScheduled": 3, "numberMisscheduled": 0,
                           "numberReady": 3, "observedGeneration": 7, "updatedNumberScheduled": 3}
    return daemonset


VARIATIONS = [as_recorded, extra_containers, init_container, native_sidecar, node_selector, other_volume_names,
              no_config_map, read_back]
