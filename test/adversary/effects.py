"""Derives the effects of observed rules, comparable with the oracle's (form: see oracle.py)."""

import ipaddress
import re

from .oracle import DROPS, EXTERNAL_HOOKS
from .tables import HOOKS, OURS, TO_OURS

TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|\S+')
VALUE_OPTIONS = {"-s": "source", "-d": "destination", "-p": "protocol", "-i": "iface", "--dport": "ports", "--dports": "ports",
                 "--src-type": "type", "--ctstate": "state", "--to-destination": "to", "--set-xmark": "mark",
                 "-j": "jump", "-g": "goto"}


class Problem(Exception):
    """A rule without an explanation."""


class Unreadable(Problem):
    pass


def parse_rule(text):
    rule, tokens, at = {}, TOKEN.findall(text), 2
    while at < len(tokens):
        token = tokens[at]
        if token in ("-m", "--comment"):
            at += 2
        elif token == "--tcp-flags":
            rule["flags"] = tuple(tokens[at + 1:at + 3])
            at += 3
        elif token in VALUE_OPTIONS and at + 1 < len(tokens):
            rule[VALUE_OPTIONS[token]] = tokens[at + 1]
            at += 2
        else:
            raise Unreadable(f"unexpected {token!r} in {text}")
    return rule


def ports_of(text):
    ports = []
    for part in text.split(","):
        first, _, last = part.partition(":")
        ports += range(int(first), int(last or first) + 1)
    return ports


def narrow(outer, inner):
    """The intersection of two networks as text ("" is any); None if it is empty."""
    if not outer or not inner:
        return outer or inner
    a, b = ipaddress.ip_network(outer), ipaddress.ip_network(inner)
    if b.subnet_of(a):
        return inner
    return outer if a.subnet_of(b) else None


def merge(condition, rule):
    merged = dict(condition)
    for key in ("source", "destination"):
        if key in rule:
            merged[key] = narrow(merged.get(key, ""), rule[key])
            if merged[key] is None:
                return None
    for key in ("protocol", "iface", "ports", "type", "state", "flags"):
        if key in rule:
            if merged.get(key, rule[key]) != rule[key]:
                return None
            merged[key] = rule[key]
    return merged


class Flattened:
    """The rules that a packet can reach from one hook on, in order: (verdict, argument, condition)."""

    def __init__(self, table, chain):
        self.table = table
        self.reached = set()
        self.found = []
        self._walk(chain, {}, 0)

    def _walk(self, chain, condition, depth):
        if depth > 16:
            raise Problem(f"chains nest too deep at {chain}")
        self.reached.add(chain)
        gone = []
        for text in self.table.rules.get(chain, []):
            rule = parse_rule(text)
            merged = merge(condition, rule)
            if merged is None:
                raise Problem(f"{chain}: never matches: {text}")
            for network in gone:
                if narrow(network, merged.get("destination", "")) is not None:
                    raise Problem(f"{chain}: after a goto of {network}: {text}")
            target = rule.get("goto") or rule.get("jump")
            if target is None:
                raise Problem(f"{chain}: no target: {text}")
            if target.startswith(OURS):
                if target not in self.table.chains:
                    raise Problem(f"{chain}: {target} is missing")
                if "goto" in rule:
                    gone.append(merged.get("destination", ""))
                self._walk(target, merged, depth + 1)
            else:
                self.found.append((target, rule.get("to") or rule.get("mark"), merged))


NO_RESET = {"protocol": "tcp", "flags": ("RST", "NONE")}  # dropped by a separate rule with its own counter
SYN_ACK = {"protocol": "tcp", "flags": ("SYN,ACK", "SYN,ACK")}


def effects_of_drop(flat):
    returns, effects, apart = [], set(), 0
    for verdict, _, condition in flat.found:
        condition = dict(condition)
        if verdict == "RETURN":
            returns.append(condition)
        elif verdict == "DROP" and condition.pop("state", "") == "INVALID":
            source = condition.pop("source", "")
            if condition == NO_RESET:
                apart += 1
                continue
            if condition:
                raise Problem(f"the drop has more conditions: {condition}")
            effect = ("drop-invalid", source, frozenset(exemption_of(one, source) for one in returns))
            if effect in effects:
                raise Problem("a duplicate drop")
            effects.add(effect)
        else:
            raise Problem(f"unexpected {verdict} {condition}")
    told_apart = sum(1 for _, source, _ in effects if source)  # in FORWARD
    if apart != told_apart:
        raise Problem(f"{apart} separate rules for packets without RST, not {told_apart}")
    return effects


def exemption_of(condition, dropped):
    """`dropped`: the source of the dropped packets."""
    condition.pop("state", None)  # only INVALID packets reach this rule, or all do: the same for an exemption
    if len(condition) > 1 and condition.get("source") == dropped:
        condition.pop("source")
    if condition == SYN_ACK:
        return "flags", "syn-ack"
    if len(condition) != 1:
        raise Problem(f"unexpected exemption {condition}")
    key, value = next(iter(condition.items()))
    return {"iface": "iface", "source": "src", "destination": "dst"}[key], value


def effects_of_dnat(flat, bit):
    marked, effects = set(), set()
    mask = f"{hex(1 << bit)}/{hex(1 << bit)}"
    for verdict, argument, condition in flat.found:
        if condition.get("type", "LOCAL") != "LOCAL" or not condition.get("destination"):
            raise Problem(f"unexpected condition {condition}")
        destination = str(ipaddress.ip_network(condition["destination"]).network_address)
        for port in ports_of(condition["ports"]) if "ports" in condition else [0]:
            key = (condition.get("source", ""), "type" in condition, destination, condition.get("protocol", ""), port)
            if verdict == "MARK":
                if argument != mask:
                    raise Problem(f"marks with {argument}, not {mask}")
                marked.add(key)
            elif verdict == "DNAT":
                effect = ("dnat", *key, argument.strip("[]"))
                if key not in marked:
                    raise Problem(f"DNAT without mark before it: {effect}")
                if effect in effects:
                    raise Problem(f"a duplicate: {effect}")
                effects.add(effect)
            else:
                raise Problem(f"unexpected {verdict} {condition}")
    if len(marked) != len(effects):
        raise Problem("a mark without DNAT")
    return effects


def iptables_effects(tables_of_family, family, bit, ignored=()):
    """{(family, table, hook): effects} of the chains of one family; raises Problem for rules that do not belong."""
    effects, hooks = {}, [("filter", drop.hook) for drop in DROPS] + [("nat", hook) for hook in EXTERNAL_HOOKS]
    reached = {}
    for name, hook in hooks:
        table = tables_of_family.get(name)
        entry = OURS + hook
        if table is None or name in ignored:
            continue
        jumps = [rule for rule in table.rules.get(hook, []) if TO_OURS.search(rule)]
        if not jumps:
            continue
        if jumps != [f"-A {hook} -j {entry}"]:
            raise Problem(f"IPv{family} {name} {hook}: jumps are {jumps}")
        check_place(table, family, name, hook, jumps[0])
        flat = Flattened(table, entry)
        reached.setdefault(name, set()).update(flat.reached)
        found = effects_of_drop(flat) if name == "filter" else effects_of_dnat(flat, bit)
        if found:
            effects[family, name, hook] = found
    for name, table in tables_of_family.items():
        if name in ignored:
            continue
        left = {chain for chain in table.chains if chain.startswith(OURS)} - reached.get(name, set())
        left.discard("NMANAGER_MARK_MASQ")  # may exist before its first user
        if left:
            raise Problem(f"IPv{family} {name}: nothing leads to {sorted(left)}")
        for hook in HOOKS.get(name, ()):
            if (name, hook) not in hooks and any(TO_OURS.search(rule) for rule in table.rules.get(hook, [])):
                raise Problem(f"IPv{family} {name} {hook}: one of our jumps, but not documented")
    return effects


def check_place(table, family, name, hook, jump):
    for rule in table.rules[hook]:
        if rule == jump:
            return
        if " -j KUBE-" in rule and not re.search(r" -j KUBE-(ROUTER|POD-FW|NWPLCY)", rule):
            raise Problem(f"IPv{family} {name} {hook}: our jump is after {rule}")
