#!/usr/bin/env python3
"""Checks the built image, and runs it as patches/ configures it, in a network namespace, for both variants of iptables."""
import argparse
import filecmp
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time
import uuid

import yaml

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))  # report.py
from container import Container, runtime_config
from report import check, summary

ROOT = pathlib.Path(__file__).resolve().parents[2]
PATCH = ROOT / "patches/kubeproxydaemonset+strategic.yaml"
CLEANUP = ROOT / "deploy/cleanup/daemonset.yaml"
KUBEADM = ROOT / "test/fixtures/kubeadm/kube-proxy-1.36.yaml"
LIST = ROOT / "test/fixtures/api/list.json"
LIMIT = 60 * 1000 * 1000  # bytes added to the base


# The image as files.

def files(root):
    """path -> (size, modification time) of everything except directories, relative to `root`."""
    found = {}
    for folder, _, names in os.walk(root):
        for name in names:
            path = os.path.join(folder, name)
            status = os.lstat(path)
            found[os.path.relpath(path, root)] = (status.st_size, int(status.st_mtime))
    return found


def packages(root):
    query = ["dpkg-query", f"--admindir={root}/var/lib/dpkg", "-W", "-f=${Package} ${db:Status-Status}\n"]
    lines = subprocess.run(query, capture_output=True, text=True, check=True).stdout.splitlines()
    return {line.split()[0] for line in lines if line.endswith(" installed")}


def files_of(root, package):
    """The files of a package, with /lib replaced by /usr/lib, its target."""
    info = pathlib.Path(root, "var/lib/dpkg/info")
    lists = [*info.glob(f"{package}:*.list"), *info.glob(f"{package}.list")]
    paths = {line.lstrip("/") for one in lists for line in one.read_text().splitlines()}
    return {re.sub(r"^(lib|lib64|bin|sbin)/", r"usr/\1/", path) for path in paths}


def linked_libraries(root):
    """Paths in the image of the libraries that the loader finds for the program."""
    ldd = subprocess.run(["chroot", root, "/usr/bin/ldd", "/usr/local/bin/nmanager"], capture_output=True, text=True)
    check(ldd.returncode == 0 and "not found" not in ldd.stdout, f"the program finds its libraries: {ldd.stdout}{ldd.stderr}")
    paths = re.findall(r"(/\S+) \(0x", ldd.stdout)
    return {re.sub(r"^(lib|lib64)/", r"usr/\1/", path.lstrip("/")) for path in paths}


def check_files(root, base_root):
    ours, base = files(root), files(base_root)
    # All files of the build's layers have the same time, so a file that was only opened for writing differs only by time.
    same = lambda path: not os.path.islink(f"{root}/{path}") and filecmp.cmp(f"{root}/{path}", f"{base_root}/{path}", shallow=False)
    added = {path: value for path, value in ours.items() if base.get(path) != value and not (path in base and same(path))}
    size = sum(value[0] for value in added.values())
    print(f"added to the base: {size / 1e6:.1f} MB unpacked, of which the program is "
          f"{ours['usr/local/bin/nmanager'][0] / 1e6:.1f} MB")
    check(size < LIMIT, f"{size} bytes added to the base")

    linked = linked_libraries(root)
    allowed = {"usr/local/bin/nmanager", "etc/ld.so.cache"}
    for package in packages(root) - packages(base_root):
        owned = files_of(root, package)
        check(owned & linked, f"package {package} has no library of the program")
        allowed |= owned
    # Except records of the package manager, and files that a container runtime creates.
    strangers = [path for path in added if path not in allowed and not path.startswith("var/lib/dpkg/")
                 and path not in ("etc/hosts", "etc/resolv.conf")]
    check(not strangers, f"files that are neither the program nor its libraries: {strangers[:10]}")
    bundles = [path for path in ours if path.endswith((".crt", ".pem")) or path.startswith("etc/ssl/certs/")]
    check(not bundles and "ca-certificates" not in packages(root), f"a CA bundle: {bundles[:3]}")
    compilers = {"gcc", "g++", "cmake", "ninja-build", "ccache"} & packages(root)
    check(not compilers, f"left from the build: {compilers}")
    symbols = subprocess.run(["readelf", "-S", f"{root}/usr/local/bin/nmanager"], capture_output=True, text=True).stdout
    check(".text" in symbols and ".symtab" not in symbols and ".debug_info" not in symbols, "the program is stripped")


def check_dockerfile():
    lines = [line for line in (ROOT / "deploy/Dockerfile").read_text().splitlines() if not line.startswith("#")]
    tied = [line for line in lines if re.search(r"amd64|x86.?64|arm64|aarch64|--platform", line)]
    check(not tied, f"deploy/Dockerfile is tied to an architecture: {tied}")


def check_labels(image, base_name, version):
    labels = {name.removeprefix("org.opencontainers.image."): value for name, value in image["Labels"].items()}
    check(labels.get("title") == "nmanager", "label title")
    check(labels.get("version") == version, f"label version is {labels.get('version')}, the program's {version}")
    check(labels.get("base.name") == base_name, "label base.name is not the base of the build")
    for name in ("description", "revision"):
        check(labels.get(name), f"label {name}")
    check(image["User"] == "0:0", "user")
    check(image["Cmd"] == ["run"], "the default command")


# A node: network namespace, tables of one variant, the volumes of the pod.

class Node:
    def __init__(self, variant, api_server):
        self.variant = variant
        self.name = f"nmanager-image-{uuid.uuid4().hex[:8]}"
        self.scratch = tempfile.TemporaryDirectory()
        self.folder = pathlib.Path(self.scratch.name)
        subprocess.run(["ip", "netns", "add", self.name], check=True)
        self.lock = self.folder / "xtables.lock"
        self.lock.touch()
        self.run("ip", "link", "set", "lo", "up")
        # kubelet's chains, which show the variant in use.
        for tool in ("iptables", "ip6tables"):
            for table in ("mangle", "nat", "filter"):
                self.run(f"{tool}-{variant}", "-t", table, "-N", "KUBE-KUBELET-CANARY")
        kubeconfig = self.folder / "kubeconfig"
        self.api = subprocess.Popen(["ip", "netns", "exec", self.name, api_server, "--tls", "--list", str(LIST),
                                     "--kubeconfig-out", str(kubeconfig)])
        while not (kubeconfig.exists() and "certificate-authority" in kubeconfig.read_text()):
            assert self.api.poll() is None, "the stand-in API server has exited"
            time.sleep(0.02)
        self.volumes = self.make_volumes(re.search(r"server: (\S+)", kubeconfig.read_text())[1],
                                         pathlib.Path(f"{kubeconfig}.ca"))

    def make_volumes(self, server, authority):
        """kubeadm's recorded ConfigMap in IPVS mode, with this server; the service account's CA and token."""
        recorded = [d for d in yaml.safe_load_all(KUBEADM.read_text()) if d]
        data = next(d for d in recorded if d["kind"] == "ConfigMap")["data"]
        config = self.folder / "kube-proxy"
        config.mkdir()
        (config / "config.conf").write_text(data["config.conf"].replace('mode: ""', "mode: ipvs"))
        (config / "kubeconfig.conf").write_text(re.sub(r"server: \S+", f"server: {server}", data["kubeconfig.conf"]))
        account = self.folder / "account"
        account.mkdir()
        (account / "ca.crt").write_bytes(authority.read_bytes())
        (account / "token").write_text("token")
        return {"nmanager-kube-proxy": config, "nmanager-xtables-lock": self.lock, "account": account}

    def run(self, *command, **options):
        environment = {**os.environ, "XTABLES_LOCKFILE": str(self.lock)}
        return subprocess.run(["ip", "netns", "exec", self.name, *command], capture_output=True, text=True,
                              env=environment, **options)

    def iptables(self, *arguments):
        return self.run(f"iptables-{self.variant}", *arguments)

    def tables(self):
        """Every rule of both families and both variants, without counters."""
        text = ""
        for tool in ("iptables", "ip6tables"):
            for variant in ("nft", "legacy"):
                text += self.run(f"{tool}-{variant}-save").stdout
        return [re.sub(r" \[\d+:\d+\]$", "", line) for line in text.splitlines() if not line.startswith("#")]

    def kube_proxy_syncs(self):
        """Acts like kube-proxy in IPVS mode: adds its device (a veth if there is no dummy), its chains, and its jumps above ours."""
        self.run("sh", "-c", "ip link show kube-ipvs0 >/dev/null 2>&1 || ip link add kube-ipvs0 type dummy 2>/dev/null || "
                             "ip link add kube-ipvs0 type veth peer name beside")
        self.run(f"iptables-{self.variant}-restore", "--noflush", input=KUBE_PROXY)

    def get(self, path, port):
        return self.run("curl", "-s", "-m", "5", f"http://127.0.0.1:{port}{path}").stdout

    def answers(self, probe):
        get = probe["httpGet"]
        url = f"http://{get['host']}:{get['port']}{get['path']}"
        return self.run("curl", "-s", "-m", "5", "-o", "/dev/null", "-w", "%{http_code}", url).stdout

    def close(self):
        self.api.terminate()
        self.api.wait()
        subprocess.run(["ip", "netns", "del", self.name], check=True)
        self.scratch.cleanup()


KUBE_PROXY = """*nat
:KUBE-SERVICES - [0:0]
:KUBE-POSTROUTING - [0:0]
:KUBE-MARK-MASQ - [0:0]
-A KUBE-MARK-MASQ -j MARK --set-xmark 0x4000/0x4000
-A KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN
-A KUBE-POSTROUTING -j MASQUERADE --random-fully
-I PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
-I OUTPUT -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
-I POSTROUTING -m comment --comment "kubernetes postrouting rules" -j KUBE-POSTROUTING
COMMIT
*filter
:KUBE-FIREWALL - [0:0]
-I INPUT -j KUBE-FIREWALL
COMMIT
"""
JUMPS = {("nat", "PREROUTING"): "NMANAGER_PREROUTING", ("nat", "OUTPUT"): "NMANAGER_OUTPUT",
         ("filter", "INPUT"): "NMANAGER_INPUT"}


def patched_container():
    patch = yaml.safe_load(PATCH.read_text())
    return next(c for c in patch["spec"]["template"]["spec"]["containers"] if c["name"] == "nmanager")


def metric(text, name, *labels):
    """Sum over the metrics of that name with all of these labels."""
    lines = [line for line in text.splitlines() if re.match(rf"{name}[{{ ]", line)]
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if all(label in line for label in labels))


def check_confinement(container, capabilities, label):
    """Checks the confinement of the running process as the kernel reports it."""
    pid = container.pid()
    status = dict(line.split(":\t", 1) for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines())
    header = pathlib.Path("/usr/include/linux/capability.h").read_text()
    numbers = dict(re.findall(r"^#define CAP_(\w+)\s+(\d+)$", header, re.M))
    mask = sum(1 << int(numbers[name]) for name in capabilities)
    for kind in ("CapPrm", "CapEff", "CapBnd"):
        check(int(status[kind], 16) == mask, f"{label}: {kind} is {status[kind]}")
    check(int(status["CapAmb"], 16) == 0, f"{label}: CapAmb is {status['CapAmb']}")
    check(status["Uid"].split() == ["0"] * 4, f"{label}: user {status['Uid']}")
    check(status["NoNewPrivs"] == "1", f"{label}: no_new_privs")
    check(status["Seccomp"] == "2", f"{label}: seccomp")
    mounts = [line.split() for line in pathlib.Path(f"/proc/{pid}/mountinfo").read_text().splitlines()]
    options = {mount[4]: mount[5].split(",") for mount in mounts}
    check("ro" in options["/"], f"{label}: the root file system is writable")
    check("ro" in options["/var/lib/kube-proxy"], f"{label}: kube-proxy's files are writable")


def is_first(node, table, hook):
    rules = [rule for rule in node.iptables("-t", table, "-S", hook).stdout.splitlines() if rule.startswith("-A")]
    return rules and rules[0] == f"-A {hook} -j {JUMPS[table, hook]}"


def check_cleanup_pod(node, image, root, label):
    """deploy/cleanup: its init container removes our rules, and the other one idles without privileges."""
    pod = yaml.safe_load(CLEANUP.read_text())["spec"]["template"]["spec"]
    volumes = {"xtables-lock": node.lock}  # no account
    run = lambda spec, arguments: Container(runtime_config(spec, image, root, f"/run/netns/{node.name}", volumes, arguments))
    cleanup = run(pod["initContainers"][0], pod["initContainers"][0]["args"])
    check(cleanup.wait() == 0, f"{label}: cleanup: {cleanup.log()}")
    cleanup.close()
    done = run(pod["containers"][0], [])
    try:
        check(done.wait_until(lambda: done.pid() and "sleep" in pathlib.Path(f"/proc/{done.pid()}/comm").read_text()), f"{label}: idles: {done.log()}")
        status = dict(line.split(":\t", 1) for line in pathlib.Path(f"/proc/{done.pid()}/status").read_text().splitlines())
        check(int(status["CapEff"], 16) == 0 and status["Uid"].split()[0] == "65534", f"{label}: idles without privileges")
    finally:
        done.close()


def check_main_job(start, node, spec, image, root, label):
    port = spec["readinessProbe"]["httpGet"]["port"]
    container = start(spec["args"])
    try:
        listed = lambda: metric(node.get("/metrics", port), "nmanager_services_with_rules") > 0 and metric(
            node.get("/metrics", port), "nmanager_table_in_sync") == 4
        if not check(container.wait_until(listed), f"{label}: rules for Services: {container.log()}"):
            return
        check_confinement(container, spec["securityContext"]["capabilities"]["add"], label)
        check(metric(node.get("/metrics", port), "nmanager_build_info", f'backend="iptables-{node.variant}"') == 1,
              f"{label}: the variant that kubelet uses")
        check(metric(node.get("/metrics", port), "nmanager_kube_proxy_mode", 'mode="ipvs"') == 1,
              f"{label}: the mode of the ConfigMap")
        rules = node.tables()
        check("-A NMANAGER_DROP_INVALID_INPUT -m conntrack --ctstate INVALID -j DROP" in rules, f"{label}: problem 1")
        for chain in ("PREROUTING", "OUTPUT"):
            check(any(f"-A NMANAGER_EX_CLUS_{chain} " in rule and "-j DNAT" in rule for rule in rules), f"{label}: {chain}")
        for name, code in (("startupProbe", "200"), ("livenessProbe", "200"), ("readinessProbe", "503")):
            check(node.answers(spec[name]) == code, f"{label}: {name} before kube-proxy has synced")

        node.kube_proxy_syncs()
        ready = lambda: node.answers(spec["readinessProbe"]) == "200"
        check(container.wait_until(ready), f"{label}: ready: {container.log()}")
        for table, hook in JUMPS:
            check(is_first(node, table, hook), f"{label}: {table} {hook} after kube-proxy inserted its jumps at the top")
        for table, hook in JUMPS:
            node.iptables("-t", table, "-D", hook, "-j", JUMPS[table, hook])
            back = container.wait_until(lambda: is_first(node, table, hook))
            check(back, f"{label}: {table} {hook} is repaired: {container.log()}")
        check(container.wait_until(ready), f"{label}: ready again")
        repaired = node.tables()

        check(container.stop() == 0, f"{label}: exit code on SIGTERM")
        check(node.tables() == repaired, f"{label}: the rules stay when the container ends")
    finally:
        container.close()
    check_cleanup_pod(node, image, root, label)
    kept = [rule for rule in repaired if "NMANAGER" not in rule]
    check(kept and node.tables() == kept, f"{label}: cleanup removes our rules and keeps everything else")


def check_capabilities_needed(start, node, spec, label):
    """Every granted capability is needed: without it, the tables of a variant cannot be maintained."""
    port = spec["readinessProbe"]["httpGet"]["port"]
    needed = set()
    for capability in spec["securityContext"]["capabilities"]["add"]:
        rest = [name for name in spec["securityContext"]["capabilities"]["add"] if name != capability]
        container = start(spec["args"], rest)
        try:
            in_sync = lambda: metric(node.get("/metrics", port), "nmanager_table_in_sync") == 4
            denied = lambda: "permitted" in node.get("/readyz?verbose", port)
            check(container.wait_until(lambda: in_sync() or denied()), f"{label}: without {capability}: {container.log()}")
            if denied():
                needed.add(capability)
                said = node.get("/readyz?verbose", port)
                check(container.alive() and f"CAP_{capability}" in said, f"{label}: without {capability}: its name is reported: {said}")
        finally:
            container.stop()
            container.close()
        cleanup = start(["cleanup"])
        cleanup.wait()
        cleanup.close()
    return needed


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--image", required=True)
    parser.add_argument("--base-name", required=True)
    parser.add_argument("--root", required=True)
    parser.add_argument("--base-root", required=True)
    parser.add_argument("--api-server", required=True)
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("terminated"))  # so that the finally clauses run
    image = json.loads(pathlib.Path(arguments.image).read_text())["OCIv1"]["config"]
    spec = patched_container()

    check_dockerfile()
    check_files(arguments.root, arguments.base_root)
    needed = set()
    for variant in ("nft", "legacy"):
        node = Node(variant, arguments.api_server)

        def start(command, capabilities=None):
            granted = json.loads(json.dumps(spec))
            if capabilities is not None:
                granted["securityContext"]["capabilities"]["add"] = capabilities
            return Container(runtime_config(granted, image, arguments.root, f"/run/netns/{node.name}", node.volumes, command))

        try:
            version = start(["version"])
            code, said = version.wait(), version.log().strip()
            version.close()
            check(code == 0 and re.fullmatch(r"nmanager \d+\.\d+\.\d+ \(revision \w+\)", said), f"nmanager version: {code}, {said}")
            if variant == "nft":
                check_labels(image, arguments.base_name, said.split()[1])
            check_main_job(start, node, spec, image, arguments.root, f"iptables-{variant}")
            needed |= check_capabilities_needed(start, node, spec, f"iptables-{variant}")
        finally:
            node.close()
    granted = set(spec["securityContext"]["capabilities"]["add"])
    check(needed == granted, f"granted {sorted(granted)}, needed {sorted(needed)}")
    return summary()


if __name__ == "__main__":
    sys.exit(main())
