"""The effects of `table inet nmanager`, from nft's JSON (form: see oracle.py)."""

import ipaddress

from .effects import Problem, Unreadable, effects_of_drop, exemption_of, merge
from .oracle import DROPS, EXTERNAL_HOOKS
from .tables import OURS

FAMILY = {"ipv4": 4, "ipv6": 6, "ip": 4, "ip6": 6}
TCP_FLAGS = {"payload": {"protocol": "tcp", "field": "flags"}}
PRIORITY = {"filter": 0, "nat": -101}


class NativeTable:
    def __init__(self, objects):
        self.chains, self.rules, self.sets = {}, {}, {}
        for entry in objects:
            kind, body = next(iter(entry.items()))
            if kind == "chain":
                self.chains[body["name"]] = body
            elif kind == "rule":
                self.rules.setdefault(body["chain"], []).append(body["expr"])
            elif kind in ("set", "map"):
                self.sets[body["name"]] = body

    def elements(self, name):
        """The elements of a set as tuples of text and numbers; of a map, (key, value)."""
        if name not in self.sets:
            raise Problem(f"no set {name}")
        body = self.sets[name]
        for element in body.get("elem", []):
            if "map" in body:
                yield key_of(element[0]), element[1]
            else:
                yield key_of(element)


def key_of(element):
    if isinstance(element, dict) and "elem" in element:
        element = element["elem"]["val"]
    parts = element["concat"] if isinstance(element, dict) and "concat" in element else [element]
    return tuple(network_of(part) if isinstance(part, dict) else part for part in parts)


def network_of(value):
    if isinstance(value, str):
        return str(ipaddress.ip_network(value))
    if "prefix" in value:
        return f"{value['prefix']['addr']}/{value['prefix']['len']}"
    if "range" in value:
        first, last = (ipaddress.ip_address(x) for x in value["range"])
        networks = list(ipaddress.summarize_address_range(first, last))
        if len(networks) == 1:
            return str(networks[0])
    raise Unreadable(f"unexpected address {value}")


def field_of(left):
    if "payload" in left:
        return {"saddr": "source", "daddr": "destination", "dport": "ports"}[left["payload"]["field"]]
    if "meta" in left and left["meta"]["key"] == "l4proto":
        return "protocol"
    raise Unreadable(f"unexpected field {left}")


def read_match(match, rule):
    left, right, op = match["left"], match["right"], match["op"]
    if op == "==" and isinstance(right, str) and right.startswith("@"):
        fields = [field_of(part) for part in left["concat"]] if "concat" in left else [field_of(left)]
        rule["set"] = (right[1:], tuple(fields))
        first = left["concat"][0] if "concat" in left else left
        rule["family"] = FAMILY[first["payload"]["protocol"]]
    elif op == "==" and left == {"meta": {"key": "nfproto"}}:
        rule["family"] = FAMILY[right]
    elif op == "==" and left == {"meta": {"key": "iifname"}}:
        rule["iface"] = right
    elif op == "==" and left.get("fib") == {"result": "type", "flags": ["saddr"]} and right == "local":
        rule["type"] = "LOCAL"
    elif op == "in" and left == {"ct": {"key": "state"}} and right == "invalid":
        rule["state"] = "INVALID"
    elif left == TCP_FLAGS and (op, right) == ("!", "rst"):
        rule.update(protocol="tcp", flags=("RST", "NONE"))
    elif left == {"&": [TCP_FLAGS, ["syn", "ack"]]} and (op, right) == ("==", ["syn", "ack"]):
        rule.update(protocol="tcp", flags=("SYN,ACK", "SYN,ACK"))
    elif op == "==" and "payload" in left and left["payload"]["protocol"] in FAMILY:
        rule["family"] = FAMILY[left["payload"]["protocol"]]
        rule[field_of(left)] = network_of(right)
    else:
        raise Unreadable(f"unexpected match {match}")


def read_rule(expressions):
    rule = {}
    for expression in expressions:
        if not isinstance(expression, dict):
            raise Unreadable(f"unexpected {expression}")
        kind, body = next(iter(expression.items()))
        if kind == "match":
            read_match(body, rule)
        elif kind == "mangle" and body["key"] == {"meta": {"key": "mark"}}:
            rule["mark"] = body["value"]
        elif kind == "dnat":
            rule["to"] = body["addr"]["map"]
            rule["verdict"] = "DNAT"
        elif kind in ("jump", "goto"):
            if "target" not in body:
                raise Unreadable(f"an anonymous chain: {body}")
            rule["jump"] = body["target"]
        elif kind in ("return", "drop"):
            rule["verdict"] = kind.upper()
        elif kind != "counter":
            raise Unreadable(f"unexpected {expression}")
    return rule


class NativeFlattened:
    def __init__(self, table, chain, family):
        self.table, self.family, self.found, self.reached = table, family, [], set()
        self._walk(chain, {}, 0)

    def _walk(self, chain, condition, depth):
        if depth > 16 or chain not in self.table.chains:
            raise Problem(f"chain {chain} is missing or nests too deep")
        self.reached.add(chain)
        for expressions in self.table.rules.get(chain, []):
            rule = read_rule(expressions)
            if rule.get("family", self.family) != self.family:
                continue
            merged = merge(condition, rule)
            if merged is None:
                raise Problem(f"{chain}: never matches: {expressions}")
            if "set" in rule:
                merged["set"] = rule["set"]
            if "jump" in rule:
                self._walk(rule["jump"], merged, depth + 1)
            elif "verdict" in rule:
                self.found.append((rule["verdict"], (rule.get("to"), rule.get("mark")), merged))
            else:
                raise Problem(f"{chain}: no verdict: {expressions}")


def native_effects(objects, bit):
    table, effects, reached = NativeTable(objects), {}, set()
    for name, hook in [("filter", drop.hook) for drop in DROPS] + [("nat", hook) for hook in EXTERNAL_HOOKS]:
        chain = table.chains.get(OURS + hook)
        if chain is None:
            continue
        base = (chain.get("type"), chain.get("hook"), chain.get("prio"), chain.get("policy"))
        if base != (name, hook.lower(), PRIORITY[name], "accept"):
            raise Problem(f"{OURS + hook} is {base}")
        for family in (4, 6):
            flat = NativeFlattened(table, OURS + hook, family)
            reached |= flat.reached
            found = effects_of_drop(flat) if name == "filter" else dnat_effects(flat, bit)
            if found:
                effects[family, name, hook] = found
    left = {chain for chain in table.chains if chain.startswith(OURS)} - reached
    if left:
        raise Problem(f"nothing leads to {sorted(left)}")
    check_maps(table, effects)
    return effects


def dnat_effects(flat, bit):
    effects = set()
    for verdict, (to, mark), condition in flat.found:
        if verdict != "DNAT" or "set" not in condition or condition.get("type", "LOCAL") != "LOCAL":
            raise Problem(f"unexpected {verdict} {condition}")
        if mark != {"|": [{"meta": {"key": "mark"}}, 1 << bit]}:
            raise Problem(f"marks with {mark}")
        targets = dict(flat.table.elements(to["data"][1:]))
        name, fields = condition["set"]
        for element in flat.table.elements(name):
            values = dict(zip(fields, element))
            key = (values["destination"], values["protocol"], values["ports"]) if "ports" in values else (values["destination"],)
            if key not in targets:
                raise Problem(f"{key} of {name} has no target")
            within = str(ipaddress.ip_network(values["source"])) if "source" in values else ""
            source = merge({"source": condition.get("source", "")}, {"source": within})
            if source is None:
                continue  # a range without a pod has no effect here
            effects.add(("dnat", source["source"], "type" in condition, key[0], *(key[1:] or ("", 0)), targets[key]))
    return effects


def check_maps(table, effects):
    """An element of a map that no rule uses is a leftover."""
    used = {effect[3:6] for found in effects.values() for effect in found if effect[0] == "dnat"}
    for name, body in table.sets.items():
        if "map" in body and name.startswith("cluster_"):
            for key, _ in table.elements(name):
                if (*key, *(("", 0) if len(key) == 1 else ())) not in used:
                    raise Problem(f"{key} of {name} is left over")
