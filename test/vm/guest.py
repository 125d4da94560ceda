#!/usr/bin/env python3
"""Tests problem 2 in kube-proxy's IPVS mode, with and without nmanager; run by test/vm/run.sh on a kernel with IPVS.

    pod c1 -- node n1 -- node n2 -- pod s1 (the endpoint)
                 |
              outside

Both nodes have the service addresses on kube-ipvs0. n1 has the recorded state of real kube-proxies: ipset, iptables,
ipvsadm. The recordings have no endpoints; they are added as each version of kube-proxy adds them.
"""
import json
import pathlib
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))  # report.py
from report import check, summary

ROOT = pathlib.Path(__file__).resolve().parents[2]
RECORDINGS = ROOT / "test/fixtures/kube-proxy"
ECHO = ["python3", "-IS", str(ROOT / "test/scenarios/echo.py")]
PROGRAM = ROOT / "build/release/nmanager"
API_SERVER = ROOT / "build/release/nmanager-test-apiserver"
WORK = pathlib.Path(tempfile.mkdtemp())
PATIENCE = 120  # seconds; under emulation on a busy host a Python program needs many to start
running = []  # processes of the current test

# protocol, external address, port, cluster address; the last one is not in the recordings, which have no UDP over IPv6.
PATHS = [("tcp", "10.19.20.202", 80, "10.99.176.26"),
         ("udp", "10.19.22.64", 53, "10.106.46.191"),
         ("tcp", "fddd::63", 80, "fd00:10:96::647a"),
         ("udp", "fddd::64", 53, "fd00:10:96::aaaa")]
UDP_PATHS = [path for path in PATHS if path[0] == "udp"]
TCP_PATHS = [path for path in PATHS if path[0] == "tcp"]
# nmanager's backend, and the variant of iptables that kube-proxy uses at the same time.
BACKENDS = {"iptables-nft": "nft", "iptables-legacy": "legacy", "nftables": "nft"}
CLOSED = ("tcp", "10.19.22.66", 80, "10.96.203.223")  # loadBalancerSourceRanges: 203.0.113.0/24
PODS_OF_N1 = ("FROM 10.244.1.", "FROM fd44:1:")
ENDPOINT = {4: "10.244.2.2", 6: "fd44:2::2"}


def sh(command, text=None, may_fail=False):
    result = subprocess.run(["/bin/bash", "-c", command], input=text, capture_output=True, text=True)
    if result.returncode != 0 and not may_fail:
        raise RuntimeError(f"{command}: {result.stdout}{result.stderr}")
    return result.stdout


def within(namespace, command, text=None, may_fail=False):
    return sh(f"ip netns exec {namespace} {command}", text, may_fail)


def start(namespace, *command, **streams):
    """Starts a process in the background, until end(); after a failed test main() ends the remaining ones."""
    process = subprocess.Popen(["ip", "netns", "exec", namespace, *command], **streams)
    running.append(process)
    return process


def end(process):
    process.terminate()
    process.wait()
    running.remove(process)


def family(address):
    return 6 if ":" in address else 4


def bracketed(address):
    return f"[{address}]" if ":" in address else address


def link(a, b, net4, net6):
    """Connects two namespaces; a has .1 and ::1, b has .2 and ::2."""
    sh(f"ip link add {b} netns {a} type veth peer name {a} netns {b}")
    for namespace, device, host in ((a, b, 1), (b, a, 2)):
        sh(f"ip -n {namespace} addr add {net4}.{host}/24 dev {device};"
           f"ip -n {namespace} addr add {net6}::{host}/64 dev {device} nodad; ip -n {namespace} link set {device} up")


def build_network():
    for name in ("n1", "n2", "c1", "s1", "out"):
        sh(f"ip netns add {name}; ip -n {name} link set lo up")
    link("n1", "n2", "192.168.60", "fd60")
    link("n1", "c1", "10.244.1", "fd44:1")
    link("n2", "s1", "10.244.2", "fd44:2")
    link("n1", "out", "203.0.113", "fd13")
    for name, net4, net6 in (("c1", "10.244.1", "fd44:1"), ("s1", "10.244.2", "fd44:2"), ("out", "203.0.113", "fd13")):
        sh(f"ip -n {name} route add default via {net4}.1; ip -n {name} -6 route add default via {net6}::1")
    sh("ip -n n1 route add default via 192.168.60.2; ip -n n1 -6 route add default via fd60::2")
    sh("ip -n n2 route add default via 192.168.60.1; ip -n n2 -6 route add default via fd60::1")
    for name in ("n1", "n2"):
        within(name, "sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 net.ipv4.conf.all.rp_filter=0 "
                     "net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.all.arp_announce=2")
        within(name, "ip link add kube-ipvs0 type dummy")
    within("n1", "sysctl -qw net.ipv4.vs.conntrack=1 net.ipv4.vs.expire_nodest_conn=1")
    for address in ENDPOINT.values():
        server = subprocess.Popen(["ip", "netns", "exec", "s1", *ECHO, "serve", address, "80", "53"],
                                  stdout=subprocess.PIPE, text=True)
        server.stdout.readline()


def addresses(recording):
    """The recorded addresses of kube-ipvs0, and those of the path that is not recorded."""
    text = (recording / "kube-ipvs0.txt").read_text()
    found = [word for line in text.splitlines() if line.strip().startswith("inet")
             for word in [line.split()[1]] if not word.startswith("fe80")]
    return found + [f"{PATHS[3][1]}/128", f"{PATHS[3][3]}/128"]


def set_up_kube_proxy(version, variant):
    """Sets up n1 as recorded from that version of kube-proxy, and n2 with the addresses."""
    recording = RECORDINGS / f"ipvs-{version}"
    for name in ("n1", "n2"):
        sh(f"ip -n {name} addr flush dev kube-ipvs0")
        sh(f"ip -n {name} -batch -", "\n".join(f"addr add {a} dev kube-ipvs0" for a in addresses(recording)) + "\n")
    within("n1", "ipset restore", (recording / "ipset-save.txt").read_text())
    for name in ("KUBE-6-CLUSTER-IP", "KUBE-6-LOAD-BALANCER", "KUBE-6-LOAD-BALANCER-LOCAL"):
        address = PATHS[3][3] if "CLUSTER" in name else PATHS[3][1]
        within("n1", f"ipset add {name} {address},udp:53")
    restore_rules(version, variant)
    within("n1", "ipvsadm -R", (recording / "ipvsadm-save.txt").read_text())
    commands = ["set -e"]
    for protocol, external, port, cluster in PATHS + [CLOSED]:
        flag = "-t" if protocol == "tcp" else "-u"
        for address, has_endpoint in ((cluster, True), (external, version != "1.20")):
            where = f"{bracketed(address)}:{port}"
            commands.append(f"ipvsadm -A {flag} {where} -s rr 2>/dev/null || true")  # exists from the recording, except for one path
            if has_endpoint:
                commands.append(f"ipvsadm -a {flag} {where} -r {bracketed(ENDPOINT[family(address)])}:{port} -m")
    within("n1", "bash", "\n".join(commands))


def restore_rules(version, variant):
    recording = RECORDINGS / f"ipvs-{version}"
    for tables in ("iptables", "ip6tables"):
        within("n1", f"{tables}-{variant}-restore --noflush", (recording / f"{tables}-save.txt").read_text())


def tear_down(variant):
    within("n1", "ipvsadm -C")
    for tables in ("iptables", "ip6tables"):
        for table in ("nat", "filter", "mangle"):
            within("n1", f"{tables}-{variant} -t {table} -F; ip netns exec n1 {tables}-{variant} -t {table} -X")
    within("n1", "ipset destroy")
    within("n1", "conntrack -F", may_fail=True)


def ask(namespaces, paths):
    """namespace -> the answers, one per path."""
    targets = [f"{p}:{e}:{port}" for p, e, port, _ in paths]
    asking = {name: start(name, *ECHO, "ask-all", "2", *targets, stdout=subprocess.PIPE, text=True)
              for name in namespaces}
    answers = {}
    for name, process in asking.items():
        answers[name] = process.communicate()[0].splitlines()
        running.remove(process)
    return answers


def works(answers):
    return [answer.startswith("FROM") for answer in answers]


def start_api():
    recorded = json.loads((ROOT / "test/fixtures/api/list.json").read_text())
    _, external, port, cluster = PATHS[3]
    recorded["items"].append({
        "metadata": {"namespace": "default", "name": "lb-udp6"},
        "spec": {"type": "LoadBalancer", "clusterIP": cluster, "clusterIPs": [cluster],
                 "externalTrafficPolicy": "Local", "ports": [{"protocol": "UDP", "port": port}]},
        "status": {"loadBalancer": {"ingress": [{"ip": external}]}}})
    (WORK / "list.json").write_text(json.dumps(recorded))
    subprocess.Popen(["ip", "netns", "exec", "n1", str(API_SERVER), "--list", str(WORK / "list.json"), "--watch",
                      str(ROOT / "test/fixtures/api/watch.ndjson"), "--interval", "1", "--kubeconfig-out",
                      str(WORK / "kubeconfig")])
    while not (WORK / "kubeconfig").exists():
        time.sleep(0.1)
    time.sleep(1)  # until the recorded watch is served


class Flows:
    """A continuous UDP flow on each UDP path, from one namespace, and its answers."""

    def __init__(self, namespace, kind="flow"):
        self.namespace = namespace
        self.output = WORK / f"{kind}-{namespace}"
        targets = [f"{external}:{port}" for _, external, port, _ in UDP_PATHS]
        with open(self.output, "w") as output:
            self.process = start(namespace, *ECHO, kind, "900", *targets, stdout=output)

    def answers(self):
        """The distinct answers of each path, oldest first, without a "none" between two equal ones: a packet may be
        late on a busy host."""
        result = []
        for _, external, _, _ in UDP_PATHS:
            distinct = []
            for line in self.output.read_text().splitlines():
                if line.startswith(external + ": "):
                    distinct.append(line.removeprefix(external + ": "))
                    if distinct[-2:-1] == ["none"] and distinct[-3:-2] == distinct[-1:]:
                        del distinct[-2:]
            result.append(distinct)
        return result

    def wait(self, condition):
        """Waits until the last answer of each flow meets the condition; False after PATIENCE."""
        until = time.monotonic() + PATIENCE
        while not all(answers and condition(answers[-1]) for answers in self.answers()):
            if time.monotonic() > until:
                return False
            time.sleep(0.1)
        return True

    def stop(self):
        end(self.process)


class Held:
    """TCP connections from one namespace that are used until end()."""

    def __init__(self, namespace, paths):
        self.process = start(namespace, *ECHO, "hold", *[f"{p}:{e}:{port}" for p, e, port, _ in paths],
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.up = self.process.stdout.readline() == "up\n"

    def end(self):
        """Ends the connections; returns a line for each one that was lost."""
        output, _ = self.process.communicate("")
        running.remove(self.process)
        return [line for line in output.splitlines() if not line.startswith("held")] + ([] if self.up else ["not up"])


class Sidecar:
    def __init__(self, backend):
        self.log = WORK / "log"
        with open(self.log, "w") as log:
            self.process = start("n1", str(PROGRAM), "run", "--backend", backend, "--proxy-mode", "ipvs",
                                 "--pod-cidr-ipv4", "10.244.0.0/16", "--pod-cidr-ipv6", "fd44::/16",
                                 "--kubeconfig", str(WORK / "kubeconfig"), stderr=log)

    def wait_ready(self):
        for _ in range(150):
            if within("n1", "curl -s -m 2 http://127.0.0.1:10261/readyz", may_fail=True) == "ok":
                return True
            time.sleep(0.1)
        print(self.log.read_text())
        return False

    def stop(self):
        end(self.process)


def resync(version, variant):
    """Like kube-proxy when its jumps are missing: inserts them above ours, and rewrites its chains."""
    for tables in ("iptables", "ip6tables"):
        saved = (RECORDINGS / f"ipvs-{version}" / f"{tables}-save.txt").read_text().splitlines()
        nat = saved[saved.index("*nat"):]
        chains = [line for line in nat[:nat.index("COMMIT")] if line.startswith((":KUBE-", "-A KUBE-"))]
        jump = '-m comment --comment "kubernetes service portals" -j KUBE-SERVICES'
        jumps = [f"{edit} {jump}" for hook in ("PREROUTING", "OUTPUT") for edit in (f"-D {hook}", f"-I {hook} 1")]
        within("n1", f"{tables}-{variant}-restore -w --noflush", "\n".join(["*nat", *chains, *jumps, "COMMIT", ""]))


def traces(variant):
    """Listings of everything that may contain our rules."""
    return within("n1", f"iptables-{variant}-save; ip netns exec n1 ip6tables-{variant}-save; "
                        "ip netns exec n1 nft list tables")


def prove_resync(version, variant, sidecar, label):
    held = {name: Held(name, TCP_PATHS) for name in ("c1", "n1")}
    begun = [Flows(name) for name in ("c1", "n1")]
    for flows in begun:
        check(flows.wait(lambda answer: answer.startswith("FROM")), f"{label}: begun before a resync, from {flows.namespace}")
    for _ in range(2):
        resync(version, variant)
        check(sidecar.wait_ready(), f"{label}: ready after a resync")
    after = ask(("c1", "n1"), PATHS)
    for name in ("c1", "n1"):
        check(works(after[name]) == [True] * 4, f"{label}: after a resync, from {name}: {after[name]}")
        lost = held[name].end()
        check(not lost, f"{label}: lost by a resync, from {name}: {lost}")
    for flows in begun:
        undisturbed = all(len(answers) == 1 for answers in flows.answers())
        check(undisturbed, f"{label}: disturbed by a resync, from {flows.namespace}: {flows.answers()}")
        flows.stop()


def prove(version, backend):
    variant = BACKENDS[backend]
    label = f"kube-proxy {version}, {backend}"
    set_up_kube_proxy(version, variant)
    before = ask(("c1", "n1", "out"), PATHS)
    check(works(before["n1"]) == [False] * 4, f"{label}: without, from the node: {before['n1']}")
    pods = [False] * 4 if version == "1.20" else [True] * 4
    check(works(before["c1"]) == pods, f"{label}: without, from the pod: {before['c1']}")
    # Flows that begin without the rules and continue.
    stale = [Flows(name) for name in ("c1", "n1")]
    outside = Flows("out")
    for flows in stale + [outside]:
        check(flows.wait(lambda answer: True), f"{label}: flows have begun from {flows.namespace}")
    as_before = outside.answers()
    # Without the rules only kube-proxy 1.36 lets a pod's flow reach an endpoint.
    late = Flows("c1", "late-flow") if version == "1.36" else None
    if late:
        check(late.wait(lambda answer: True), f"{label}: flows with a late answer have begun")
        stale.append(late)

    sidecar = Sidecar(backend)
    check(sidecar.wait_ready(), f"{label}: ready")
    after = ask(("c1", "n1", "out"), PATHS)
    for name in ("c1", "n1"):
        check(works(after[name]) == [True] * 4, f"{label}: with nmanager, from {name}: {after[name]}")
    check(works(after["out"]) == works(before["out"]), f"{label}: from outside as before: {after['out']}")
    check(works(ask(("c1",), [CLOSED])["c1"]) == [False], f"{label}: source ranges stay closed")
    if late:  # the answer to a packet from before the rules comes when the flow's entry is deleted
        for address in ENDPOINT.values():
            within("s1", f"{' '.join(ECHO)} release {address} 53")
    # Pods are masqueraded, so the source of a flow that was answered before is now the node.
    for flows in stale:
        follows = flows.wait(lambda answer: answer.startswith("FROM") and not answer.startswith(PODS_OF_N1))
        check(follows, f"{label}: flows older than their rules use the rules, from {flows.namespace}: {flows.answers()}")
    check(outside.answers() == as_before, f"{label}: flows from outside are not disturbed: {outside.answers()}")
    for flows in stale + [outside]:
        flows.stop()

    prove_resync(version, variant, sidecar, label)
    sidecar.stop()
    within("n1", f"{PROGRAM} cleanup --backend {backend}")
    check("nmanager" not in traces(variant).lower(), f"{label}: cleanup")
    tear_down(variant)
    print(f"{label}: done at {time.monotonic():.0f} s", flush=True)


def main():
    sh("modprobe -a ip_vs ip_vs_rr dummy veth ip_set nf_conntrack")
    build_network()
    start_api()
    for backend, variant in BACKENDS.items():
        for version in ("1.20", "1.36"):
            try:
                prove(version, backend)
            except Exception as error:  # a combination that fails does not stop the others
                check(False, f"kube-proxy {version}, {backend}: {error}")
                for process in list(running):
                    end(process)
                tear_down(variant)
    print(f"uptime of the machine: {time.monotonic():.0f} s", flush=True)
    summary()


if __name__ == "__main__":
    sys.exit(main())
