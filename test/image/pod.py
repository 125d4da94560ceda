#!/usr/bin/env python3
"""The rendered pod, with both of its containers, run by podman from the real image, in its own network namespace.

kube-proxy's image is replaced by a waiting shell with its volumes and privileges, since no registry is used. Runs with runc:
crun refuses a machine that has cgroups of both versions. Probes are left out: podman would run curl in the image."""
import argparse
import pathlib
import subprocess
import sys
import tempfile
import time
import uuid

import yaml

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))  # report.py
from report import check, summary

ROOT = pathlib.Path(__file__).resolve().parents[2]
RENDERED = ROOT / "test/deploy/golden/kubeadm.yaml"
WAITS = ["/bin/sh", "-c", "trap 'exit 0' TERM; while :; do sleep 1; done"]
KUBE_CHAINS = """*nat
:KUBE-SERVICES - [0:0]
:KUBE-MARK-MASQ - [0:0]
-A KUBE-MARK-MASQ -j MARK --set-xmark 0x4000/0x4000
-A PREROUTING -j KUBE-SERVICES
COMMIT
"""


def output(*command, **options):
    result = subprocess.run(command, capture_output=True, text=True, **options)
    return result.returncode, result.stdout + result.stderr


def eventually(condition):
    deadline = time.monotonic() + 60
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def documents(image, folder, name):
    """What a kubelet would get, except for the node's paths, which are in `folder`."""
    rendered = list(yaml.safe_load_all(RENDERED.read_text()))
    template = next(d for d in rendered if d["kind"] == "DaemonSet")["spec"]["template"]
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {**template["metadata"], "name": name}, "spec": template["spec"]}
    for one in pod["spec"]["containers"]:
        one.update(image=image, imagePullPolicy="Never")
        if one["name"] == "kube-proxy":
            one["command"] = WAITS
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            one.pop(probe, None)
        for variable in one["env"]:
            if variable.pop("valueFrom", None):
                variable["value"] = "node-a"
    for volume in pod["spec"]["volumes"]:
        if path := volume.get("hostPath"):
            path["path"] = f"{folder}/{pathlib.Path(path['path']).name}"
    (folder / "modules").mkdir()
    return [d for d in rendered if d["kind"] == "ConfigMap"] + [pod]


class Podman:
    def __init__(self, arguments, folder, namespace):
        configuration = folder / "containers.conf"
        # podman's default limits may be higher than what is allowed here.
        configuration.write_text('[containers]\ndefault_ulimits = ["nofile=1024:1024", "nproc=1000:1000"]\n')
        self.environment = {"CONTAINERS_CONF": str(configuration), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
        # Not by `ip netns exec`, which hides the cgroups.
        self.command = ["nsenter", f"--net=/run/netns/{namespace}", "podman", "--runtime", "runc", "--root", arguments.root,
                        "--runroot", arguments.runroot, "--storage-driver", arguments.driver]

    def __call__(self, *arguments):
        return output(*self.command, *arguments, env=self.environment)


def check_confinement(podman, container):
    code, said = podman("inspect", container)
    if not check(code == 0, f"podman inspect {container}: {said}"):
        return
    one = yaml.safe_load(said)[0]
    check(sorted(one["EffectiveCaps"]) == sorted(one["BoundingCaps"]) == ["CAP_NET_ADMIN", "CAP_NET_RAW"], f"capabilities: {one['EffectiveCaps']}")
    host = one["HostConfig"]
    check(host["ReadonlyRootfs"] and not host["Privileged"], "a read-only root, and not privileged")
    check("no-new-privileges" in host["SecurityOpt"], "no new privileges")
    check(host["Memory"] == 512 << 20, f"the memory limit is {host['Memory']}")


def check_pod(podman, namespace, pod):
    inside = ["ip", "netns", "exec", namespace]
    mine = f"{pod}-nmanager"

    def says(text, path="/readyz?verbose"):
        return text in output(*inside, "curl", "-s", "-m", "5", f"http://127.0.0.1:10261{path}")[1]

    said = podman("ps", "--all", "--sort", "created", "--filter", f"pod={pod}", "--format", "{{.Names}}")[1]
    order = [name for name in said.split() if name.startswith(pod)]
    check(order == [f"{pod}-kube-proxy", mine], f"kube-proxy is the first container: {order}")
    check(eventually(lambda: says("[+]table-ipv4-filter ok") and says("[+]table-ipv6-filter ok")), f"its rules: {podman('logs', mine)}")
    check(says("no KUBE-SERVICES chain"), "not ready before kube-proxy has synced")
    check(says("reported by config.conf"), "kube-proxy's configuration is read from the ConfigMap's volume")
    check_confinement(podman, mine)
    output(*inside, "iptables-nft-restore", "--noflush", input=KUBE_CHAINS)
    output(*inside, "ip6tables-nft-restore", "--noflush", input=KUBE_CHAINS)
    check(eventually(lambda: podman("exec", mine, "/usr/local/bin/nmanager", "status")[0] == 0), f"`nmanager status` reports ready: {podman('logs', mine)}")
    podman("restart", f"{pod}-kube-proxy")
    check(podman("exec", mine, "/usr/local/bin/nmanager", "status")[0] == 0, "still ready after the other container was restarted")
    podman("kill", mine)
    podman("start", mine)
    check(eventually(lambda: says("readyz check passed")), "ready after it was killed")
    code, said = podman("pod", "stop", pod)
    check(code == 0, f"podman pod stop: {said}")
    check("-j NMANAGER_INPUT" in output(*inside, "iptables-nft", "-S", "INPUT")[1], "the rules stay when the pod ends")
    check(podman("run", "--rm", "--network=host", "--cap-drop=all", "--cap-add=NET_ADMIN", "--cap-add=NET_RAW", podman.image, "cleanup")[0] == 0,
          "cleanup in its own container")
    check("NMANAGER" not in output(*inside, "iptables-nft-save")[1], "nothing is left")


def main():
    parser = argparse.ArgumentParser()
    for name in ("image", "root", "runroot", "driver"):
        parser.add_argument(f"--{name}", required=True)
    arguments = parser.parse_args()
    name = f"nmanager-pod-{uuid.uuid4().hex[:8]}"
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        output("ip", "netns", "add", name)
        podman = Podman(arguments, folder, name)
        podman.image = arguments.image
        try:
            output("ip", "-n", name, "link", "set", "lo", "up")
            code, said = podman("run", "--rm", "--network=host", "--entrypoint", "/bin/true", arguments.image)
            if code != 0:
                print(f"SKIP: podman cannot run a container here: {said.strip()}")
                print("0 passed, 0 failed, 1 skipped")
                return 0
            (folder / "pod.yaml").write_text(yaml.safe_dump_all(documents(arguments.image, folder, name)))
            code, said = podman("kube", "play", str(folder / "pod.yaml"))
            if check(code == 0, f"podman kube play: {said}"):
                check_pod(podman, name, name)
        finally:
            podman("pod", "rm", "--force", name)
            podman("volume", "rm", "--force", "kube-proxy")
            output("ip", "netns", "del", name)
    return summary()


if __name__ == "__main__":
    sys.exit(main())
