"""A stand-in for kube-proxy: its endpoint on 127.0.0.1:10249 and its chains in the kernel.

The chains, the order of calls and the texts follow recordings of kube-proxy 1.36 (test/fixtures/kube-proxy):
a full sync is -N, -C, -I on top if missing, then iptables-restore --noflush; a partial sync only the last.
"""

import random
import time

from .serving import Server, Switches, read_request
from .shell import run, together

# (table, hook, match, chain): the jumps of a mode, in the order in which they are inserted.
IPTABLES_JUMPS = [
    ("filter", "INPUT", '-m conntrack --ctstate NEW -m comment --comment "kubernetes externally-visible service portals"', "KUBE-EXTERNAL-SERVICES"),
    ("filter", "FORWARD", '-m conntrack --ctstate NEW -m comment --comment "kubernetes externally-visible service portals"', "KUBE-EXTERNAL-SERVICES"),
    ("filter", "INPUT", '-m comment --comment "kubernetes health check service ports"', "KUBE-NODEPORTS"),
    ("filter", "FORWARD", '-m conntrack --ctstate NEW -m comment --comment "kubernetes service portals"', "KUBE-SERVICES"),
    ("filter", "OUTPUT", '-m conntrack --ctstate NEW -m comment --comment "kubernetes service portals"', "KUBE-SERVICES"),
    ("filter", "FORWARD", '-m comment --comment "kubernetes forwarding rules"', "KUBE-FORWARD"),
    ("filter", "INPUT", '-m conntrack --ctstate NEW -m comment --comment "kubernetes load balancer firewall"', "KUBE-PROXY-FIREWALL"),
    ("filter", "OUTPUT", '-m conntrack --ctstate NEW -m comment --comment "kubernetes load balancer firewall"', "KUBE-PROXY-FIREWALL"),
    ("filter", "FORWARD", '-m conntrack --ctstate NEW -m comment --comment "kubernetes load balancer firewall"', "KUBE-PROXY-FIREWALL"),
    ("nat", "OUTPUT", '-m comment --comment "kubernetes service portals"', "KUBE-SERVICES"),
    ("nat", "PREROUTING", '-m comment --comment "kubernetes service portals"', "KUBE-SERVICES"),
    ("nat", "POSTROUTING", '-m comment --comment "kubernetes postrouting rules"', "KUBE-POSTROUTING"),
    ("filter", "INPUT", "", "KUBE-FIREWALL"),
    ("filter", "OUTPUT", "", "KUBE-FIREWALL"),
]
IPVS_JUMPS = [
    ("nat", "OUTPUT", '-m comment --comment "kubernetes service portals"', "KUBE-SERVICES"),
    ("nat", "PREROUTING", '-m comment --comment "kubernetes service portals"', "KUBE-SERVICES"),
    ("nat", "POSTROUTING", '-m comment --comment "kubernetes postrouting rules"', "KUBE-POSTROUTING"),
    ("filter", "FORWARD", '-m comment --comment "kubernetes forwarding rules"', "KUBE-FORWARD"),
    ("filter", "INPUT", '-m comment --comment "kubernetes health check rules"', "KUBE-NODE-PORT"),
    ("filter", "INPUT", '-m comment --comment "kube-proxy firewall rules"', "KUBE-PROXY-FIREWALL"),
    ("filter", "FORWARD", '-m comment --comment "kube-proxy firewall rules"', "KUBE-PROXY-FIREWALL"),
    ("filter", "INPUT", '-m comment --comment "kubernetes ipvs access filter"', "KUBE-IPVS-FILTER"),
    ("filter", "OUTPUT", '-m comment --comment "kubernetes ipvs access filter"', "KUBE-IPVS-OUT-FILTER"),
]
CHAINS = {
    "iptables": {"nat": ["KUBE-SERVICES", "KUBE-NODEPORTS", "KUBE-POSTROUTING", "KUBE-MARK-MASQ"],
                 "filter": ["KUBE-SERVICES", "KUBE-EXTERNAL-SERVICES", "KUBE-FORWARD", "KUBE-NODEPORTS",
                            "KUBE-PROXY-FIREWALL", "KUBE-FIREWALL"]},
    "ipvs": {"nat": ["KUBE-SERVICES", "KUBE-POSTROUTING", "KUBE-NODE-PORT", "KUBE-LOAD-BALANCER", "KUBE-MARK-MASQ"],
             "filter": ["KUBE-FORWARD", "KUBE-NODE-PORT", "KUBE-PROXY-FIREWALL", "KUBE-SOURCE-RANGES-FIREWALL",
                        "KUBE-IPVS-FILTER", "KUBE-IPVS-OUT-FILTER"]},
}
JUMPS = {"iptables": IPTABLES_JUMPS, "ipvs": IPVS_JUMPS}

POSTROUTING = """\
-A KUBE-POSTROUTING -m mark ! --mark 0x00004000/0x00004000 -j RETURN
-A KUBE-POSTROUTING -j MARK --xor-mark 0x00004000
-A KUBE-POSTROUTING -m comment --comment "kubernetes service traffic requiring SNAT" -j MASQUERADE --random-fully
-A KUBE-MARK-MASQ -j MARK --or-mark 0x00004000
"""
FORWARD = """\
-A KUBE-FORWARD -m comment --comment "kubernetes forwarding rules" -m mark --mark 0x00004000/0x00004000 -j ACCEPT
-A KUBE-FORWARD -m comment --comment "kubernetes forwarding conntrack rule" -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
"""


class KubeChains:
    """kube-proxy's rules in the kernel, in one variant of iptables or as native tables."""

    def __init__(self, env, variant, seed):
        self.env = env
        self.variant = variant  # "legacy" or "nft"
        self.mode = "ipvs"
        self.random = random.Random(seed)
        self.sets_made = False
        self.touched = time.monotonic()  # when a tool last ran for it

    def tool(self, family, name=""):
        return ("iptables" if family == 4 else "ip6tables") + "-" + self.variant + name

    def call(self, family, *argv, check=True):
        self.touched = time.monotonic()
        return run(self.tool(family), "-w", "5", *argv, check=check, env=self.env)

    def restore(self, family, text):
        self.touched = time.monotonic()
        run(self.tool(family, "-restore"), "-w", "5", "--noflush", "--counters", text=text, env=self.env)

    def _device(self):
        """kube-ipvs0, on which kube-proxy in IPVS mode has the Services' addresses; a veth if the kernel has no dummy device."""
        if self.mode != "ipvs":
            run("ip", "link", "del", "kube-ipvs0", check=False)
        elif run("ip", "link", "add", "kube-ipvs0", "type", "dummy", check=False)[0] != 0:
            run("ip", "link", "add", "kube-ipvs0", "type", "veth", "peer", "name", "kube-ipvs0-peer", check=False)

    def _make_sets(self):
        if self.sets_made:
            return
        lines = []
        for prefix, inet in (("KUBE-", "inet"), ("KUBE-6-", "inet6")):
            for name in ("CLUSTER-IP", "LOAD-BALANCER", "EXTERNAL-IP"):
                lines.append(f"create {prefix}{name} hash:ip,port family {inet} -exist")
        run("ipset", "restore", text="\n".join(lines) + "\n")
        self.sets_made = True

    def rules(self, family):
        """The input of iptables-restore --noflush, Services in random order as kube-proxy writes them."""
        text = ["*filter"]
        chains = CHAINS[self.mode]
        text += [f":{chain} - [0:0]" for chain in chains["filter"]]
        sets = "KUBE-" if family == 4 else "KUBE-6-"
        if self.mode == "iptables":
            if family == 4:
                text.append('-A KUBE-FIREWALL -m comment --comment "block incoming localnet connections" -d 127.0.0.0/8 ! -s 127.0.0.0/8 '
                            "-m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT -j DROP")
            text.append("-A KUBE-FORWARD -m conntrack --ctstate INVALID -j DROP")
        else:
            text.append(f"-A KUBE-IPVS-FILTER -m set --match-set {sets}LOAD-BALANCER dst,dst -j RETURN")
            text.append(f"-A KUBE-IPVS-FILTER -m set --match-set {sets}CLUSTER-IP dst,dst -j RETURN")
            text.append("-A KUBE-SOURCE-RANGES-FIREWALL -j DROP")
        text += [FORWARD.rstrip(), "COMMIT", "*nat"]
        text += [f":{chain} - [0:0]" for chain in chains["nat"]]
        if self.mode == "iptables":
            text += self._service_rules(family)
        else:
            text.append(f"-A KUBE-SERVICES -s {'127.0.0.0/8' if family == 4 else '::1/128'} -j RETURN")
            text.append('-A KUBE-SERVICES -m comment --comment "Kubernetes service lb portal" -m set --match-set '
                        f"{sets}LOAD-BALANCER dst,dst -j KUBE-LOAD-BALANCER")
            text.append("-A KUBE-LOAD-BALANCER -j KUBE-MARK-MASQ")
            text.append("-A KUBE-SERVICES -m addrtype --dst-type LOCAL -j KUBE-NODE-PORT")
            text.append(f"-A KUBE-SERVICES -m set --match-set {sets}CLUSTER-IP dst,dst -j ACCEPT")
        text += [POSTROUTING.rstrip(), "COMMIT", ""]
        return "\n".join(text)

    def _service_rules(self, family):
        lines, base = [], "10.96.1." if family == 4 else "fd00:96::1:"
        pod = "10.244.2." if family == 4 else "fd00:10:244:2::"
        count = self.random.randint(1, 4)
        for index in self.random.sample(range(1, 9), count):
            name = f"KUBE-SVC-{index:016d}"
            lines.insert(0, f":{name} - [0:0]")
            lines.append(f'-A KUBE-SERVICES -m comment --comment "default/w{index}:http cluster IP" -m tcp -p tcp -d {base}{index} '
                         f"--dport 80 -j {name}")
            target = f"[{pod}{index}]:80" if family == 6 else f"{pod}{index}:80"
            lines.append(f'-A {name} -m comment --comment "default/w{index}:http" -m tcp -p tcp -j DNAT --to-destination {target}')
        lines.sort(key=lambda line: not line.startswith(":"))
        lines.append('-A KUBE-SERVICES -m comment --comment "kubernetes service nodeports; NOTE: this must be the last rule in this chain" '
                     "-m addrtype --dst-type LOCAL -j KUBE-NODEPORTS")
        return lines

    def partial_sync(self):
        for family in (4, 6):
            self.restore(family, self.rules(family))

    def full_sync(self, one_by_one=False):
        """-N, -C and -I for each chain and jump, then the restore; in fewer calls unless one_by_one."""
        self._device()
        if self.mode == "nftables":
            return self.native_sync()
        self._make_sets()
        for family in (4, 6):
            if one_by_one:
                self._jumps_one_by_one(family)
            else:
                self._jumps_at_once(family)
            self.restore(family, self.rules(family))

    def start_slowly(self, pause):
        """A first start: chains and jumps one by one in each family, pause() after each; then the rules."""
        self._device()
        self._make_sets()
        for family in (4, 6):
            self._jumps_one_by_one(family, pause)
        pause()
        for family in (4, 6):
            self.restore(family, self.rules(family))

    def _jumps_one_by_one(self, family, pause=lambda: None):
        if self.mode == "iptables":
            for table in ("mangle", "nat", "filter"):
                self.call(family, "-N", "KUBE-PROXY-CANARY", "-t", table, check=False)
        import shlex
        for table, hook, match, chain in JUMPS[self.mode]:
            self.call(family, "-N", chain, "-t", table, check=False)
            rule = [*shlex.split(match), "-j", chain]
            if self.call(family, "-C", hook, "-t", table, *rule, check=False)[0] != 0:
                self.call(family, "-I", hook, "-t", table, *rule)
            pause()

    def _jumps_at_once(self, family):
        saves = together([self.tool(family, "-save")], env=self.env)[0]
        present, table = set(), None
        for line in saves.splitlines():
            if line.startswith("*"):
                table = line[1:]
            elif line.startswith("-A ") and " -j KUBE-" in line:
                present.add((table, line.split()[1], line.rsplit(" -j ", 1)[1]))
        texts = {"filter": [], "nat": [], "mangle": []}
        if self.mode == "iptables":
            for table in texts:
                texts[table].append(":KUBE-PROXY-CANARY - [0:0]")
        for table, hook, match, chain in JUMPS[self.mode]:
            texts[table].insert(0, f":{chain} - [0:0]")
            if (table, hook, chain) not in present:
                texts[table].append(f"-I {hook} {match} -j {chain}")
        text = "".join(f"*{table}\n" + "".join(line + "\n" for line in dict.fromkeys(lines)) + "COMMIT\n"
                       for table, lines in texts.items() if lines)
        self.restore(family, text)

    def remove(self, table=None):
        """Removes the chains as kube-proxy does when it leaves a mode: jumps first, then the chains."""
        for family in (4, 6):
            saves = together([self.tool(family, "-save")], env=self.env)[0]
            text, current, lines, chains = [], None, [], []
            for line in saves.splitlines():
                if line.startswith("*"):
                    current, lines, chains = line, [], []
                elif line.startswith(":KUBE-"):
                    chains.append(line.split()[0][1:])
                elif line.startswith("-A ") and " -j KUBE-" in line and not line.startswith("-A KUBE-"):
                    lines.append("-D" + line[2:])
                elif line == "COMMIT" and chains and table in (None, current[1:]):
                    text += [current] + [f":{c} - [0:0]" for c in chains] + lines + [f"-X {c}" for c in chains] + ["COMMIT"]
            if text:
                self.restore(family, "\n".join(text) + "\n")

    # nftables mode

    def native_sync(self):
        text = []
        for ip, daddr in (("ip", "10.96.0.13"), ("ip6", "fd00:96::13")):
            table = f"{ip} kube-proxy"
            text.append(f'add table {table} {{ comment "rules for kube-proxy" ; }}')
            for chain, hook in (("filter-input", "type filter hook input priority 0"),
                                ("filter-forward", "type filter hook forward priority 0"),
                                ("nat-prerouting", "type nat hook prerouting priority -100"),
                                ("nat-output", "type nat hook output priority -100"),
                                ("nat-postrouting", "type nat hook postrouting priority 100"), ("services", None)):
                text.append(f"add chain {table} {chain}" + (f" {{ {hook} ; }}" if hook else ""))
                text.append(f"flush chain {table} {chain}")
            text.append(f"add rule {table} nat-output jump services")
            text.append(f"add rule {table} nat-prerouting jump services")
            text.append(f"add rule {table} nat-postrouting mark and 0x00004000 != 0 mark set mark xor 0x00004000 masquerade fully-random")
            text.append(f"add rule {table} services {ip} daddr {daddr} drop")
        run("nft", "-f", "-", text="\n".join(text) + "\n")

    def native_remove(self):
        for family in ("ip", "ip6"):
            run("nft", "delete", "table", family, "kube-proxy", check=False)


class EndpointFaults(Switches):
    def __init__(self):
        self.hang = False
        self.status = None  # an HTTP status for everything
        self.mode_text = None  # the false answer of /proxyMode
        self.metrics_fault = None  # "garbage", "empty", "partial", "nan", "no-timestamps"


class Endpoint(Server):
    """/proxyMode, /metrics and /healthz of kube-proxy, each fault switchable."""

    def __init__(self, host="127.0.0.1", port=10249):
        super().__init__(host, port)
        self.faults = EndpointFaults()
        self.mode = "ipvs"
        self.started = time.time()
        self.synced = {"IPv4": None, "IPv6": None}
        self.syncs = {"IPv4": [], "IPv6": []}  # all syncs so far
        self.restore_failures = {"IPv4": 0, "IPv6": 0}
        self.up()

    def clear(self):
        self.faults.__init__()

    def in_fault(self):
        return self.faults.any()

    def mark_synced(self, families=("IPv4", "IPv6")):
        now = time.time()
        for family in families:
            self.synced[family] = now
            self.syncs[family].append(now)

    def restarted(self):
        self.disturbed = time.monotonic()
        self.started = time.time()
        self.synced = {"IPv4": None, "IPv6": None}
        self.restore_failures = {"IPv4": 0, "IPv6": 0}

    def serve(self, connection):
        connection.settimeout(60)
        stream = connection.makefile("rb")
        while True:
            request = read_request(stream)
            if request is None:
                return
            while self.faults.hang:
                time.sleep(0.02)
            code, body = self._answer(request.target)
            connection.sendall(f"HTTP/1.1 {code} X\r\nContent-Type: text/plain\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)

    def _answer(self, path):
        faults = self.faults
        if faults.status:
            return faults.status, b"adversary"
        if path == "/proxyMode":
            return 200, (faults.mode_text if faults.mode_text is not None else self.mode).encode()
        if path == "/healthz":
            return 200, b'{"healthy":true}'
        if path != "/metrics":
            return 404, b"404 page not found\n"
        return 200, self.metrics().encode("latin-1")

    def metrics(self):
        fault = self.faults.metrics_fault
        if fault == "garbage":
            return "}}}{ \xff\xfe\n\n= = =\n" * 50
        if fault == "empty":
            return ""
        lines = ["# HELP process_start_time_seconds Start time of the process since unix epoch in seconds.",
                 "# TYPE process_start_time_seconds gauge",
                 f"process_start_time_seconds {self.started:.2f}",
                 "# TYPE kubeproxy_sync_proxy_rules_last_queued_timestamp_seconds gauge"]
        for family in ("IPv4", "IPv6"):
            lines.append(f'kubeproxy_sync_proxy_rules_last_queued_timestamp_seconds{{ip_family="{family}"}} {self.started!r}')
        lines.append("# TYPE kubeproxy_sync_proxy_rules_last_timestamp_seconds gauge")
        for family, when in self.synced.items():
            if when is None or fault == "no-timestamps" or (fault == "partial" and family == "IPv4"):
                continue
            value = "NaN" if fault == "nan" else repr(when)
            lines.append(f'kubeproxy_sync_proxy_rules_last_timestamp_seconds{{ip_family="{family}"}} {value}')
        if fault != "partial":
            lines.append("# TYPE kubeproxy_sync_proxy_rules_iptables_restore_failures_total counter")
            for family, count in self.restore_failures.items():
                lines.append(f'kubeproxy_sync_proxy_rules_iptables_restore_failures_total{{ip_family="{family}"}} {count}')
        return "\n".join(lines) + "\n"
