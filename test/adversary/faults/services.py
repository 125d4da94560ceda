"""Services that change as users and controllers change them."""

import copy

from .. import services
from . import fault


def put_some(run, count, **how):
    for _ in range(count):
        run.world.api.store.put(services.make(run.random, **how))


def balanced(item, ports):
    """The Service as one that qualifies by its policies."""
    item["spec"].update(type="LoadBalancer", externalTrafficPolicy="Local", internalTrafficPolicy="Cluster", ports=ports)
    item["spec"].pop("externalName", None)
    return item


def change_some(run, count):
    store = run.world.api.store
    for _ in range(count):
        items = sorted(store.items)
        if items and run.random.random() < 0.6:
            key = run.random.choice(items)
            if run.random.random() < 0.25:
                store.remove(*key)
            else:
                store.put(services.alter(run.random, store.items[key]))
        else:
            store.put(services.make(run.random))


@fault(14)
def service_put(run, entry):
    put_some(run, 1)
    run.settle(entry.bound, check_ready_meanwhile=False)


@fault(14)
def service_altered(run, entry):
    change_some(run, 1)
    run.settle(entry.bound, check_ready_meanwhile=False)


@fault(5)
def service_removed(run, entry):
    items = sorted(run.world.api.store.items)
    if items:
        run.world.api.store.remove(*run.random.choice(items))
    run.settle(entry.bound, check_ready_meanwhile=False)


@fault(4, 1.5)
def services_batch(run, entry):
    change_some(run, run.random.randint(5, 40))
    run.settle(entry.bound, check_ready_meanwhile=False)


@fault(2, 1.5)
def services_many_ports(run, entry):
    put_some(run, 2, many_ports=True)
    run.settle(entry.bound, check_ready_meanwhile=False)


@fault(1, 1.5)
def services_all_gone(run, entry):
    for key in sorted(run.world.api.store.items):
        run.world.api.store.remove(*key)
    run.settle(entry.bound, check_ready_meanwhile=False)
    put_some(run, run.random.randint(3, 10))
    run.settle(entry.bound, check_ready_meanwhile=False)


@fault(1.5)
def services_conflict(run, entry):
    """Several Services on one address, protocol and port; then the one that has it is deleted."""
    address, items = run.random.choice(services.EXTERNAL4), []
    for _ in range(3):
        item = balanced(services.make(run.random), [{"name": "p", "protocol": "TCP", "port": 80}])
        item["spec"]["clusterIP"] = item["spec"].get("clusterIP", "10.96.9.9")
        item["status"]["loadBalancer"]["ingress"] = [{"ip": address}]
        run.world.api.store.put(item)
        items.append(item)
    run.settle(entry.bound, check_ready_meanwhile=False)
    first = min(items, key=lambda i: i["metadata"]["namespace"] + "/" + i["metadata"]["name"])
    run.world.api.store.remove(first["metadata"]["namespace"], first["metadata"]["name"])
    run.settle(entry.bound, check_ready_meanwhile=False)


@fault(0.25, 20, "long")
def services_ten_thousand_then_none(run, entry):
    """10,000 Services are added and deleted."""
    flood(run, entry, 10000)


@fault(0.25, 8)
def services_five_hundred_then_none(run, entry):
    flood(run, entry, 500)


def flood(run, entry, count):
    store = run.world.api.store
    for index in range(count):
        store.put({"metadata": {"name": f"flood-{index}", "namespace": "flood"},
                   "spec": {"type": "LoadBalancer", "clusterIP": f"10.97.{index // 250}.{1 + index % 250}",
                            "externalTrafficPolicy": "Local", "ports": [{"port": 80, "protocol": "TCP"}]},
                   "status": {"loadBalancer": {"ingress": [{"ip": f"100.64.{index // 250}.{1 + index % 250}"}]}}})
    run.settle(entry.bound, ready_bound=entry.bound)
    for index in range(count):
        store.remove("flood", f"flood-{index}")
    run.settle(entry.bound, ready_bound=entry.bound)
    store.compact()
    run.settle(entry.bound, ready_bound=entry.bound)


@fault(0.6, 2)
def service_undecodable(run, entry):
    """An object that cannot be read as a Service: the other Services are not affected."""
    store, name = run.world.api.store, f"odd-{run.random.randrange(100)}"
    body = run.random.choice([
        {"spec": {"ports": "none", "clusterIP": 7}},
        {"spec": None},
        {"spec": {"type": "LoadBalancer", "clusterIP": "10.96.77.77", "externalTrafficPolicy": "Local",
                  "ports": [{"port": 99999, "protocol": "TCP"}]}, "status": {"loadBalancer": {"ingress": [{"ip": "203.0.113.99"}]}}},
        {"spec": {"type": "LoadBalancer", "clusterIP": "10.96.77.78", "externalTrafficPolicy": "Local", "ports": [
            {"port": 80, "protocol": "TCP"}]}, "status": {"loadBalancer": {"ingress": "x" * 5000}}},
    ])
    with store.changed:
        odd = dict(body, metadata={"name": name, "namespace": "zz"})
    known = run.world.current_services()
    store.put(odd)
    wanted = run.expected(known)
    run.settle(entry.bound, expectation=wanted)
    store.remove("zz", name)
    change_some(run, 1)
    run.settle(entry.bound, check_ready_meanwhile=False)


@fault(0.6, 2)
def service_hostile_name(run, entry):
    """A name that the API would refuse, from a forged list: one bad Service does not delay any other."""
    store = run.world.api.store
    name = run.random.choice(["x\" -j ACCEPT\n-A INPUT -j ACCEPT\n#", "a\nb", "n" * 253, "esc\x1b[31m", "quote\"d", "back\\slash"])
    item = services.make(run.random)
    item["metadata"].update(name=name, namespace="zz")
    item["spec"].update(type="LoadBalancer", clusterIP="10.96.78.1", externalTrafficPolicy="Local", internalTrafficPolicy="Cluster")
    item["status"]["loadBalancer"]["ingress"] = [{"ip": "203.0.113.201"}]
    item["spec"].pop("externalIPs", None)
    item["spec"].pop("loadBalancerSourceRanges", None)
    store.put(item)
    change_some(run, 1)
    wanted = run.expected([i for i in run.world.current_services() if i["metadata"]["name"] != name])
    wanted.unsure = wanted.unsure | {"203.0.113.201"}  # README does not say whether such a Service gets rules
    run.settle(entry.bound, expectation=wanted)
    body = run.world.get("/status")[1] or ""
    if "\x1b" in body:
        from ..runner import Violation
        raise Violation("untrue-line", "status holds an escape sequence from a Service's name")
    store.remove("zz", name)
    run.settle(entry.bound, check_ready_meanwhile=False)


@fault(0.5, 3)
def service_many_ranges(run, entry):
    """A Service with many loadBalancerSourceRanges (S1); other Services do not wait for it."""
    item = services.make(run.random)
    count = run.random.choice([300, 1000])
    item["metadata"].update(name="ranges", namespace="zz")
    item["spec"].update(type="LoadBalancer", clusterIP="10.96.79.1", clusterIPs=["10.96.79.1"], externalTrafficPolicy="Local",
                        internalTrafficPolicy="Cluster", ports=[{"port": 80, "protocol": "TCP"}],
                        loadBalancerSourceRanges=[f"10.{100 + i // 250}.{i % 250}.0/24" for i in range(count)])
    item["spec"].pop("externalIPs", None)
    item["spec"].pop("externalName", None)
    item["metadata"].pop("labels", None)
    item["status"]["loadBalancer"]["ingress"] = [{"ip": "203.0.113.202"}]
    run.world.api.store.put(item)
    run.settle(entry.bound, check_ready_meanwhile=False)
    change_some(run, 1)
    run.settle(entry.bound, check_ready_meanwhile=False)
    run.world.api.store.remove("zz", "ranges")
    run.settle(entry.bound, check_ready_meanwhile=False)


@fault(1, 1.5)
def service_too_large(run, entry):
    """A Service with as many source ranges as its author likes: no rules above the limit; then some, with fewer of them."""
    item = balanced(services.make(run.random), [{"name": "p", "protocol": "TCP", "port": 80}, {"name": "q", "protocol": "UDP", "port": 53}])
    spec = item["spec"]
    spec.update(clusterIP="10.96.9.8", clusterIPs=["10.96.9.8"])
    spec.pop("externalIPs", None)
    item["metadata"].pop("labels", None)
    item["status"]["loadBalancer"]["ingress"] = [{"ip": address} for address in run.random.sample(services.EXTERNAL4, 2)]
    for count in (run.random.choice([2100, 9000]), run.random.randint(1, 200)):
        spec["loadBalancerSourceRanges"] = [f"172.{16 + i // 4096}.{i // 16 % 256}.{i % 16 * 16}/28" for i in range(count)]
        run.world.api.store.put(copy.deepcopy(item))
        run.settle(entry.bound, check_ready_meanwhile=False)
    run.world.api.store.remove(item["metadata"]["namespace"], item["metadata"]["name"])
    run.settle(entry.bound, check_ready_meanwhile=False)
