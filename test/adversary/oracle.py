"""The expected rules, written from README.md ("The rules", "A Service qualifies", "Settings").

An expectation is a set of effects for each (family, table, hook), whatever chains or sets carry them:
  ("drop-invalid", exemptions)                         a drop of INVALID packets, with what returns before it
  ("dnat", source, local, destination, protocol, port, target)   source "" is any; local: only the node's own
Each "dnat" also means that the packet was marked for masquerading before.
"""

import ipaddress
from dataclasses import dataclass, field


@dataclass
class Settings:
    """The flags of one run, and kube-proxy's file for those that are not given."""
    backend: str = "auto"
    drop_invalid: str = "true"
    drop_forward: str = "auto"
    exempt: tuple = ()
    external: str = "auto"
    match: str = "port"
    policy: str = "local"
    ip_family: str = "auto"
    proxy_mode: str = "auto"
    watch: str = "event"
    masquerade_bit: int | None = None
    pod_cidr4: str | None = None
    pod_cidr6: str | None = None
    log_format: str = "text"
    lock_wait: str = ""
    file_pod_cidr4: str = "10.244.0.0/16"
    file_pod_cidr6: str = "fd00:10:244::/56"
    file_masquerade_bit: int = 14

    def flags(self):
        pairs = [("--backend", self.backend), ("--rule-drop-invalid-input-enable", self.drop_invalid),
                 ("--rule-drop-invalid-forward-enable", self.drop_forward),
                 ("--rule-drop-invalid-input-exempt", ",".join(self.exempt)),
                 ("--rule-external-cluster-enable", self.external), ("--rule-external-cluster-match", self.match),
                 ("--external-cluster-policy", self.policy), ("--ip-family", self.ip_family),
                 ("--proxy-mode", self.proxy_mode), ("--watch", self.watch), ("--log-format", self.log_format),
                 ("--masquerade-bit", "" if self.masquerade_bit is None else str(self.masquerade_bit)),
                 ("--pod-cidr-ipv4", self.pod_cidr4 or ""), ("--pod-cidr-ipv6", self.pod_cidr6 or ""),
                 ("--lock-wait", self.lock_wait)]
        defaults = {"auto", "local", "port", "event", "text", ""}
        flags = []
        for name, value in pairs:
            if value not in defaults or (name == "--rule-drop-invalid-input-enable" and value == "auto"):
                flags += [name, value]
        return flags

    def pod_cidr(self, family):
        given, filed = (self.pod_cidr4, self.file_pod_cidr4) if family == 4 else (self.pod_cidr6, self.file_pod_cidr6)
        return given or filed

    def bit(self):
        return self.file_masquerade_bit if self.masquerade_bit is None else self.masquerade_bit

    def families(self):
        return {"ipv4": (4,), "ipv6": (6,)}.get(self.ip_family, (4, 6))


@dataclass(frozen=True)
class DropFamily:
    """A family of rules that drop INVALID packets."""
    hook: str
    chain: str
    wanted: object  # (settings, mode) -> bool
    source: object  # (settings, family) -> source CIDR of the drop; "" is any
    spares: frozenset = frozenset()  # what returns before it, in addition to the exemptions


DROPS = [
    DropFamily("INPUT", "NMANAGER_DROP_INVALID_INPUT",
               lambda settings, mode: settings.drop_invalid != "false",  # auto: be_liberal is 0 in a new namespace
               lambda settings, family: ""),
    DropFamily("FORWARD", "NMANAGER_DROP_INVALID_FWD",
               lambda settings, mode: settings.drop_forward == "true" or (settings.drop_forward == "auto" and mode == "nftables"),
               lambda settings, family: settings.pod_cidr(family), frozenset({("flags", "syn-ack")})),
]
EXTERNAL_HOOKS = {"PREROUTING": "NMANAGER_EX_CLUS_PREROUTING", "OUTPUT": "NMANAGER_EX_CLUS_OUTPUT"}


def backend_in_use(settings, mode, variant):
    if settings.backend != "auto":
        return settings.backend
    return "nftables" if mode == "nftables" else "iptables-" + variant


def external_wanted(settings, mode):
    return settings.external != "false" and mode == "ipvs"


@dataclass
class Expectation:
    backend: str
    effects: dict  # (family, table, hook) -> set of effects
    bit: int
    families: tuple = (4, 6)  # the others hold nothing of ours
    ignored: tuple = ()  # tables that are not checked
    unsure: frozenset = field(default_factory=frozenset)  # external addresses for which README is ambiguous


def expect(settings, mode, variant, services):
    if settings.proxy_mode != "auto":
        mode = settings.proxy_mode
    effects, unsure = {}, set()
    for family in settings.families():
        for drop in DROPS:
            if drop.wanted(settings, mode):
                source = drop.source(settings, family)
                returns = frozenset(e for e in (exemption(x, family, source) for x in settings.exempt) if e)
                effects[family, "filter", drop.hook] = {("drop-invalid", source, returns | drop.spares)}
        if external_wanted(settings, mode):
            for hook, found in external_effects(settings, family, services, unsure).items():
                if found:
                    effects[family, "nat", hook] = found
    return Expectation(backend_in_use(settings, mode, variant), effects, settings.bit(), settings.families(), unsure=frozenset(unsure))


def exemption(text, family, dropped):
    """The exemption as ("iface"/"src"/"dst", value); None if it is of the other family, or of a source that is never dropped."""
    kind, _, value = text.partition(":")
    if kind == "iface":
        return kind, value
    network = ipaddress.ip_network(value, strict=False)
    if network.version != family:
        return None
    if kind == "src" and dropped:
        pods = ipaddress.ip_network(dropped, strict=False)
        if not network.overlaps(pods):
            return None
        network = network if network.subnet_of(pods) else pods
    return kind, str(network)


def cluster_ip(spec, family):
    for text in [spec.get("clusterIP")] + list(spec.get("clusterIPs") or []):
        if text and text != "None":
            address = parse(text)
            if address is not None and address.version == family:
                return str(address)
    return None


def parse(text):
    try:
        return ipaddress.ip_address(text)
    except (ValueError, TypeError):
        return None


def qualifies(item, settings):
    labels = item["metadata"].get("labels") or {}
    if "service.kubernetes.io/service-proxy-name" in labels or "service.kubernetes.io/headless" in labels:
        return False
    spec = item.get("spec") or {}
    if spec.get("type") == "ExternalName":
        return False
    if spec.get("internalTrafficPolicy") == "Local" or too_large(spec, item.get("status") or {}):
        return False
    return settings.policy == "all" or spec.get("externalTrafficPolicy") == "Local"


def too_large(spec, status):
    """README: addresses x source ranges x ports above 8,192, no rules at all."""
    addresses = len((status.get("loadBalancer") or {}).get("ingress") or []) + len(spec.get("externalIPs") or [])
    return addresses * max(1, len(spec.get("loadBalancerSourceRanges") or [])) * len(spec.get("ports") or []) > 8192


def external_addresses(item, family, unsure):
    """(address, whether loadBalancerSourceRanges restrict it), each once."""
    spec, found = item["spec"], {}
    for ingress in ((item.get("status") or {}).get("loadBalancer") or {}).get("ingress") or []:
        text = ingress.get("ip")
        if text and ingress.get("ipMode", "VIP") == "VIP":
            address = parse(text)
            if address is None or getattr(address, "ipv4_mapped", None):
                unsure.update((loose(text), str(address), "::ffff:" + loose(text)))
            elif address.version == family:
                found.setdefault(str(address), True)
    for text in spec.get("externalIPs") or []:
        address = parse(text)
        if address is None or getattr(address, "ipv4_mapped", None):
            unsure.update((loose(text), str(address), "::ffff:" + loose(text)))
        elif address.version == family:
            if found.get(str(address)):
                unsure.add(str(address))  # both restricted and not: README does not say
            found.setdefault(str(address), False)
    return found.items()


def loose(text):
    """The address that a lenient parser reads in `text`."""
    mapped = text.rpartition(":")[2]
    try:
        return ".".join(str(int(part)) for part in mapped.split("."))
    except ValueError:
        return text


def outermost(ranges, family):
    networks = []
    for text in ranges:
        network = ipaddress.ip_network(text.strip(), strict=False)
        if network.version == family:
            networks.append(network)
    networks = sorted(set(networks), key=lambda n: n.prefixlen)
    kept = []
    for network in networks:
        if not any(network.subnet_of(other) for other in kept):
            kept.append(network)
    return kept


def external_effects(settings, family, services, unsure):
    pods = settings.pod_cidr(family)
    pods = ipaddress.ip_network(pods, strict=False) if pods else None
    found = {"PREROUTING": set(), "OUTPUT": set()}
    taken = {}
    for item in sorted(services, key=lambda i: (i["metadata"]["namespace"] + "/" + i["metadata"]["name"])):
        if not qualifies(item, settings):
            continue
        spec, target = item["spec"], cluster_ip(item["spec"], family)
        if target is None:
            continue
        ports = {(p.get("protocol", "TCP").lower(), p["port"]) for p in spec.get("ports") or []}
        if settings.match == "address":
            ports = {("", 0)} if ports else set()
        for address, restricted in external_addresses(item, family, unsure):
            ranges = spec.get("loadBalancerSourceRanges") or [] if restricted else []
            for protocol, port in ports:
                if taken.setdefault((address, protocol, port), item) is not item:
                    continue
                for hook, source in sources(ranges, pods, family):
                    found[hook].add(("dnat", source, hook == "OUTPUT", address, protocol, port, target))
    return found


def sources(ranges, pods, family):
    """(hook, source) for the traffic of pods and of the node."""
    networks = outermost(ranges, family) if ranges else [ipaddress.ip_network("0.0.0.0/0" if family == 4 else "::/0")]
    for network in networks:
        yield "OUTPUT", "" if network.prefixlen == 0 else str(network)
        if pods is None:
            continue
        if pods.subnet_of(network):
            yield "PREROUTING", str(pods)
        elif network.subnet_of(pods):
            yield "PREROUTING", str(network)
