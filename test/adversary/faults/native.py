"""Harm to `table inet nmanager`."""

import time

from ..native import NativeTable
from ..shell import run as command
from . import fault
from .tables import rival

TABLE = ("inet", "nmanager")


def nft(*argv, text=None):
    return command("nft", *argv, text=text, check=False)


def owners_mark():
    """The current comment of the table, which marks its owner."""
    for line in nft("list", "table", *TABLE)[1].splitlines():
        if line.strip().startswith("comment "):
            return line.strip() + ";"
    return ""


def parts(run):
    return NativeTable(run.world.tables().native)


@fault(4, needs="native")
def native_table_deleted(run, entry):
    nft("delete", "table", *TABLE)
    run.settle(entry.bound)


@fault(4, needs="native")
def native_chain_flushed(run, entry):
    chains = sorted(parts(run).chains)
    if chains:
        nft("flush", "chain", *TABLE, run.random.choice(chains))
    run.settle(entry.bound)


@fault(3, needs="native")
def native_element_deleted(run, entry):
    table = parts(run)
    names = sorted(name for name, body in table.sets.items() if body.get("elem"))
    if names:
        name = run.random.choice(names)
        kind = "map" if "map" in table.sets[name] else "set"
        nft("flush", kind, *TABLE, name)
    run.settle(entry.bound)


@fault(3, needs="native")
def native_element_added(run, entry):
    name = run.random.choice(["external_ipv4", "external_ipv6"])
    address = "203.0.113.77" if name.endswith("4") else "2001:db8::77"
    nft("add", "element", *TABLE, name, f"{{ {address} . tcp . 77 }}")
    run.settle(entry.bound)


@fault(3, needs="native")
def native_rule_added(run, entry):
    chains = sorted(chain for chain in parts(run).chains if chain.startswith("NMANAGER_"))
    if chains:
        verb = run.random.choice(["add", "insert"])
        rule = run.random.choice(["tcp dport 99 accept", "counter", "ip saddr 192.0.2.66 return"])
        nft(verb, "rule", *TABLE, run.random.choice(chains), *rule.split())
    run.settle(entry.bound)


@fault(2, needs="native")
def native_anonymous_chain_added(run, entry):
    """A foreign anonymous chain in one of our chains (T5)."""
    chains = sorted(chain for chain in parts(run).chains if chain.startswith("NMANAGER_"))
    if chains:
        nft("add", "rule", *TABLE, run.random.choice(chains), "jump", "{", "counter;", "}")
    run.settle(entry.bound)


@fault(1.5, 1.5, needs="native")
def native_strangers_things_inside(run, entry):
    """A foreign chain, set and verdict map in our table that lead to one of our chains (T5)."""
    chains = sorted(chain for chain in parts(run).chains if chain.startswith("NMANAGER_"))
    if chains:
        chain = run.random.choice(chains)
        nft("-f", "-", text=f"""add chain inet nmanager adv
add rule inet nmanager adv jump {chain}
add set inet nmanager advset {{ type ipv4_addr ; }}
add map inet nmanager advmap {{ type ipv4_addr : verdict ; }}
add element inet nmanager advmap {{ 192.0.2.5 : jump {chain} }}
""")
        nft("flush", "chain", *TABLE, chain)
    from .services import change_some
    change_some(run, 1)
    run.settle(entry.bound, ready=None, check_ready_meanwhile=False)
    nft("delete", "map", *TABLE, "advmap")
    nft("flush", "chain", *TABLE, "adv")
    nft("delete", "chain", *TABLE, "adv")
    nft("delete", "set", *TABLE, "advset")
    run.settle(entry.bound)


@fault(1.5, needs="native")
def native_table_made_anew(run, entry):
    """Deleted and created again by another program, with its own objects in it, in one transaction."""
    inside = run.random.choice(["", "chain NMANAGER_INPUT { type filter hook input priority 50; }", "set external_ipv4 { type ipv4_addr; }",
                                "map cluster_ipv4 { type ipv4_addr . inet_proto . inet_service : ipv4_addr; flags timeout; }"])
    comment = owners_mark() if run.random.random() < 0.5 else ""
    if nft("list", "table", *TABLE)[0] != 0:
        return run.skip("nmanager has no table: every cure is off")
    nft("-f", "-", text=f"delete table inet nmanager\ntable inet nmanager {{ {comment} {inside}\n}}\n")
    if not comment:
        time.sleep(0.2)
        run.await_ready(False, 3)
        nft("delete", "table", *TABLE)
    run.settle(entry.bound)


@fault(0.8, 2, needs="native")
def native_table_fought_over(run, entry):
    """Deleted and created again many times in 2 s; rules within a second of its end (T25)."""
    mark = run.random.choice(["", owners_mark()])
    made = f"add table inet nmanager {{ {mark} }}\n" if mark else "add table inet nmanager\n"
    rival(run, run.random.choice([0.5, 2.5]), lambda: nft("-f", "-", text=f"{made}delete table inet nmanager\n{made}"),
          run.random.choice([0.005, 0.07]))
    if not mark or run.random.random() < 0.5:
        nft("delete", "table", *TABLE)
    run.settle(entry.bound, check_ready_meanwhile=False, ready_bound=3, strict=True)


@fault(0.8, 12, needs="native")
def native_rival_flushes(run, entry):
    chains = sorted(chain for chain in parts(run).chains if chain.startswith("NMANAGER_"))
    if chains:
        chain = run.random.choice(chains)
        rival(run, run.random.choice([0.3, 1.0]), lambda: nft("flush", "chain", *TABLE, chain))
    run.settle(entry.bound, check_ready_meanwhile=False, ready_bound=15)


@fault(0.7, needs="native")
def native_table_dormant(run, entry):
    nft("add", "table", *TABLE, "{", "flags", "dormant;", "}")
    time.sleep(0.1)
    nft("delete", "table", *TABLE)
    run.settle(entry.bound)
