"""Reads the kernel's tables and separates our rules from all others."""

import json
import re
import time
from dataclasses import dataclass, field

from .shell import together

OURS = "NMANAGER_"
HOOKS = {"filter": ("INPUT", "FORWARD", "OUTPUT"), "nat": ("PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"),
         "mangle": ("PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"), "raw": ("PREROUTING", "OUTPUT")}
COMPAT = {"filter", "nat", "mangle", "raw", "security"}
TO_OURS = re.compile(r" -[jg] NMANAGER_")
INCOMPATIBLE = "contains incompatible base-chains"  # a comment of iptables-nft-save
LINE = re.compile(r"^\[(\d+:\d+)\] (-A (\S+).*)$")


@dataclass
class Table:
    chains: dict = field(default_factory=dict)  # name -> policy ("-" for a chain that is not a hook)
    rules: dict = field(default_factory=dict)  # chain -> rules without counters


@dataclass
class Tables:
    variant: str
    saves: dict  # (variant, family) -> {table: Table}
    native: list  # the JSON objects of table inet nmanager
    foreign: tuple  # lines that are not ours, with counters that must not change
    ours: tuple  # our lines, as a key for caches


def read_tables(env, variant, everything=False):
    """One reading. `everything`: also the other variant, else only the one in use. While a table changes, iptables-nft-save
    may take it for one that it cannot list, and nft print what is not JSON: what they say again after a while is so."""
    for pause in (0.03, 0.1, 0.3):
        try:
            tables = read_once(env, variant, everything)
            if not any(INCOMPATIBLE in str(line) for line in tables.foreign):
                return tables
        except json.JSONDecodeError:
            pass
        time.sleep(pause)
    return read_once(env, variant, everything)


def read_once(env, variant, everything):
    variants = [variant] + ([{"legacy": "nft", "nft": "legacy"}[variant]] if everything else [])
    commands = [(f"{tool}-{v}-save", "-c") for v in variants for tool in ("iptables", "ip6tables")]
    outputs = together(*commands, ("nft", "-j", "list", "ruleset"), env=env)
    keys = [(v, family) for v in variants for family in (4, 6)]
    saves, foreign, ours = {}, [], []
    for key, text in zip(keys, outputs):
        saves[key] = parse_save(key, text, foreign, ours)
    native, others = split_ruleset(json.loads(outputs[-1])["nftables"])
    foreign += others
    ours.append(json.dumps(native, sort_keys=True))
    return Tables(variant, saves, native, tuple(foreign), tuple(ours))


def parse_save(key, text, foreign, ours):
    tables, table, name = {}, None, None
    for line in text.splitlines():
        if line.startswith("*"):
            name = line[1:]
            table = tables[name] = Table()
        elif line.startswith(":"):
            chain, policy, _ = line[1:].split(" ", 2)
            table.chains[chain] = policy
            table.rules.setdefault(chain, [])
            if policy == "ACCEPT":
                continue  # a hook with policy accept is equivalent to a missing one
            (ours if chain.startswith(OURS) else foreign).append((key, name, f":{chain} {policy}"))
        else:
            match = LINE.match(line)
            if not match:
                if line.startswith("#") and INCOMPATIBLE in line:
                    foreign.append((key, name, line))
                continue
            counters, rule, chain = match.groups()
            table.rules[chain].append(rule)
            mine = chain.startswith(OURS) or (chain in HOOKS.get(name, ()) and TO_OURS.search(rule))
            if mine:
                ours.append((key, name, rule))
            else:
                still = "adv-" in rule
                foreign.append((key, name, f"[{counters}] {rule}" if still else rule))
    return tables


def split_ruleset(objects):
    native, others = [], []
    for entry in objects:
        kind, body = next(iter(entry.items()))
        if kind == "metainfo":
            continue
        table = body.get("table", body["name"] if kind == "table" else None)
        if body.get("family") == "inet" and table == "nmanager":
            native.append(entry)
        elif table in COMPAT and body.get("family") in ("ip", "ip6"):
            continue  # seen through iptables-nft-save
        else:
            others.append(json.dumps(entry, sort_keys=True))
    return native, others
