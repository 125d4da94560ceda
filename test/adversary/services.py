"""Random Services: kinds, families, ports, policies, ranges, oddities."""

import copy

NAMES = [f"s{i:02d}" for i in range(40)]
NAMESPACES = ["default", "kube-system", "team-a", "a-b"]
EXTERNAL4 = [f"198.51.100.{i}" for i in range(1, 60)] + ["203.0.113.7", "203.0.113.8", "192.0.2.200"]
EXTERNAL6 = [f"2001:db8:e::{i:x}" for i in range(1, 40)] + ["2001:db8:f:1::1"]
RANGES4 = ["10.244.1.0/24", "10.244.0.0/16", "10.0.0.0/8", "192.0.2.0/24", "192.0.2.128/25", "10.244.7.9/32", "172.16.0.0/12", "0.0.0.0/0"]
RANGES6 = ["fd00:10:244:1::/64", "2001:db8:1::/48", "2001:db8:1:2::/64", "fd00::/8", "::/0"]
PORTS = [22, 25, 53, 80, 81, 82, 443, 3306, 5060, 8080, 8443, 9000, 30000, 65535, 1]


def make(random, name=None, namespace=None, many_ports=False):
    name = name or random.choice(NAMES)
    namespace = namespace or random.choice(NAMESPACES)
    number = (NAMES.index(name) if name in NAMES else random.randrange(200)) + 64 * NAMESPACES.index(namespace)
    kind = random.choices(["LoadBalancer", "ClusterIP", "NodePort", "ExternalName"], [75, 15, 7, 3])[0]
    spec = {"type": kind, "ports": ports(random, many_ports), "sessionAffinity": "None",
            "internalTrafficPolicy": random.choices(["Cluster", "Local"], [92, 8])[0]}
    families = random.choices([("IPv4",), ("IPv6",), ("IPv4", "IPv6"), ("IPv6", "IPv4")], [45, 15, 30, 10])[0]
    ips = [f"10.96.{4 + number // 250}.{1 + number % 250}" if family == "IPv4" else f"fd00:96::{number:x}" for family in families]
    if kind == "ExternalName":
        spec = {"type": kind, "externalName": "example.com", "ports": spec["ports"]}
    elif random.random() < 0.04:
        spec.update(clusterIP="None", clusterIPs=["None"], ipFamilies=list(families))
    else:
        spec.update(clusterIP=ips[0], clusterIPs=ips, ipFamilies=list(families))
    if kind in ("LoadBalancer", "NodePort") or random.random() < 0.6:
        spec["externalTrafficPolicy"] = random.choices(["Local", "Cluster"], [80, 20])[0]
    item = {"metadata": {"name": name, "namespace": namespace, "uid": f"{number:08d}-0000-4000-8000-000000000000",
                         "creationTimestamp": "2026-11-23T08:38:59Z"}, "spec": spec, "status": {"loadBalancer": {}}}
    if random.random() < 0.06:
        item["metadata"]["labels"] = {random.choice(["service.kubernetes.io/service-proxy-name",
                                                     "service.kubernetes.io/headless", "app"]): "x"}
    addresses(random, item, kind)
    return item


def ports(random, many):
    count = random.randint(16, 40) if many else random.choices([1, 2, 3, 6, 0], [50, 25, 15, 8, 2])[0]
    found = {}
    for _ in range(count):
        port = random.randint(1, 65535) if many else random.choice(PORTS)
        protocol = random.choices(["TCP", "UDP", "SCTP"], [70, 22, 8])[0]
        found[protocol, port] = {"name": f"p{len(found)}", "protocol": protocol, "port": port, "targetPort": port}
    return list(found.values())


def addresses(random, item, kind):
    spec = item["spec"]
    if kind == "LoadBalancer" and random.random() < 0.93:
        ingress = []
        for _ in range(random.choices([1, 2, 3], [70, 22, 8])[0]):
            entry = {"ip": random.choice(EXTERNAL4 if random.random() < 0.65 else EXTERNAL6)}
            mode = random.choices([None, "VIP", "Proxy"], [45, 45, 10])[0]
            if mode:
                entry["ipMode"] = mode
            if random.random() < 0.06:
                entry = {"hostname": "lb.example.com"}
            elif random.random() < 0.02:
                entry = {"ip": random.choice(["::ffff:203.0.113.62", "203.0.113.063", "not-an-address", ""])}
            ingress.append(entry)
        item["status"]["loadBalancer"]["ingress"] = ingress
        if random.random() < 0.15:
            spec["loadBalancerSourceRanges"] = random.sample(RANGES4, random.randint(1, 3)) + random.sample(RANGES6, random.randint(1, 2))
    if kind != "ExternalName" and random.random() < 0.12:
        spec["externalIPs"] = random.sample(EXTERNAL4 + EXTERNAL6, random.randint(1, 2))


def alter(random, item):
    """One change of a Service, as a user or a controller makes it."""
    item = copy.deepcopy(item)
    what = random.randrange(7)
    spec = item["spec"]
    if what == 0 and spec.get("clusterIP"):
        spec["externalTrafficPolicy"] = "Cluster" if spec.get("externalTrafficPolicy") == "Local" else "Local"
    elif what == 1:
        spec["ports"] = ports(random, False)
    elif what == 2:
        item["status"]["loadBalancer"] = {"ingress": []} if random.random() < 0.3 else {}
        spec.pop("loadBalancerSourceRanges", None)
        addresses(random, item, spec["type"])
    elif what == 3:
        labels = item["metadata"].setdefault("labels", {})
        key = "service.kubernetes.io/service-proxy-name"
        labels.pop(key) if key in labels else labels.update({key: "other"})
    elif what == 4:
        spec.pop("externalIPs", None)
    elif what == 5:
        item["metadata"].setdefault("annotations", {})["adversary/touched"] = str(random.randrange(10**6))
    else:
        spec["internalTrafficPolicy"] = random.choice(["Cluster", "Local"])
    return item


def set_up(random, store, count):
    for _ in range(count):
        store.put(make(random))
