"""Damage to our chains and jumps in iptables tables, and changes of other programs around them."""

import dataclasses
import threading
import time

from ..shell import run as command
from ..tables import OURS
from . import fault

PLACES = [("filter", "INPUT"), ("nat", "PREROUTING"), ("nat", "OUTPUT")]


def tool(run, family, *argv, check=False):
    return run.world.kube.call(family, *argv, check=check)


def pick(run):
    """A family, and a table and hook with one of our jumps."""
    wanted = sorted(run.expected().effects)
    family, table, hook = run.random.choice(wanted) if wanted else (run.expected().families[0], "filter", "INPUT")
    return family, table, hook


def own_chains(run, family, table):
    saved = run.world.tables().saves[run.world.kube.variant, family].get(table)
    return [] if saved is None else sorted(chain for chain in saved.chains if chain.startswith(OURS))


@fault(5, needs="iptables")
def jump_deleted(run, entry):
    family, table, hook = pick(run)
    tool(run, family, "-t", table, "-D", hook, "-j", OURS + hook)
    run.settle(entry.bound)


@fault(3, needs="iptables")
def all_jumps_deleted(run, entry):
    for family, table, hook in sorted(run.expected().effects):
        tool(run, family, "-t", table, "-D", hook, "-j", OURS + hook)
    run.settle(entry.bound)


@fault(3, needs=("iptables", "iptables-or-ipvs"))
def jump_displaced(run, entry):
    """kube-proxy's jump is put on top, as it does when it inserts it."""
    family, table, hook = pick(run)
    variant = run.world.kube.variant
    rules = run.world.tables().saves[variant, family][table].rules[hook]
    jumps = [rule for rule in rules if " -j KUBE-" in rule]
    if jumps:
        moved = run.random.choice(jumps)
        with run.world.frozen():
            run.world.kube.restore(family, f"*{table}\n-D{moved[2:]}\n-I{moved[2:]}\nCOMMIT\n")
            run.rebase()
    run.settle(entry.bound)


@fault(2, needs="iptables")
def jump_doubled(run, entry):
    family, table, hook = pick(run)
    for _ in range(run.random.randint(1, 3)):
        tool(run, family, "-t", table, run.random.choice(["-A", "-I"]), hook, "-j", OURS + hook)
    run.settle(entry.bound)


@fault(2, needs="iptables")
def jump_altered(run, entry):
    family, table, hook = pick(run)
    match = run.random.choice([["-p", "tcp"], ["-m", "comment", "--comment", "hello"], ["-i", "eth9"] if hook != "OUTPUT" else ["-o", "eth9"]])
    tool(run, family, "-t", table, "-D", hook, "-j", OURS + hook)
    tool(run, family, "-t", table, "-I", hook, *match, "-j", OURS + hook)
    run.settle(entry.bound)


@fault(3, needs="iptables")
def chain_flushed(run, entry):
    family, table, _ = pick(run)
    chains = own_chains(run, family, table)
    if chains:
        tool(run, family, "-t", table, "-F", run.random.choice(chains))
    run.settle(entry.bound)


@fault(3, needs="iptables")
def chain_edited(run, entry):
    family, table, _ = pick(run)
    chains = own_chains(run, family, table)
    if chains:
        chain = run.random.choice(chains)
        what = run.random.randrange(3)
        if what == 0:
            tool(run, family, "-t", table, "-D", chain, "1")
        elif what == 1:
            tool(run, family, "-t", table, "-I", chain, "-p", "udp", "-j", "ACCEPT")
        else:
            tool(run, family, "-t", table, "-A", chain, "-j", "RETURN")
    run.settle(entry.bound)


@fault(2, needs="iptables")
def chain_renamed(run, entry):
    """One of our chains is renamed, to a name with our prefix or a foreign one (T9, T20)."""
    family, table, _ = pick(run)
    chains = own_chains(run, family, table)
    if chains:
        chain = run.random.choice(chains)
        new = run.random.choice([OURS + "RENAMED", "ADV-RENAMED"])
        tool(run, family, "-t", table, "-E", chain, new)
    renamed_cleanup(run, entry, family, table)


def renamed_cleanup(run, entry, family, table):
    """A chain that no longer has our prefix has no owner: the program that renamed it removes it."""
    time.sleep(0.15)
    with run.world.frozen():
        saved = run.world.tables().saves[run.world.kube.variant, family][table]
        for chain, rules in saved.rules.items():
            for rule in rules:
                if rule.endswith("-j ADV-RENAMED"):
                    tool(run, family, "-t", table, "-D", *rule.split()[1:])
        if "ADV-RENAMED" in saved.chains:
            tool(run, family, "-t", table, "-F", "ADV-RENAMED")
            tool(run, family, "-t", table, "-X", "ADV-RENAMED")
        run.rebase()
    run.settle(entry.bound)


@fault(2, needs="iptables")
def chain_replaced(run, entry):
    """Foreign rules instead of ours in one of our chains, in one transaction."""
    family, table, _ = pick(run)
    chains = own_chains(run, family, table)
    if chains:
        chain = run.random.choice(chains)
        run.world.kube.restore(family, f"*{table}\n:{chain} - [0:0]\n-A {chain} -p icmp -j ACCEPT\nCOMMIT\n")
    run.settle(entry.bound)


@fault(1, needs="iptables")
def chain_made(run, entry):
    """A chain with our prefix that we did not create."""
    family, table, _ = pick(run)
    name = OURS + run.random.choice(["STRAY", "PRE_FF", "EX_CLUS_OLD"])
    run.world.kube.restore(family, f"*{table}\n:{name} - [0:0]\n-A {name} -j RETURN\nCOMMIT\n")
    run.settle(entry.bound)


@fault(1.5, needs="iptables")
def chain_held(run, entry):
    """A foreign rule jumps to one of our chains, which is then flushed."""
    if not run.expected().effects:
        return run.settle(entry.bound)  # there is none to jump to
    family, table, hook = pick(run)
    with run.world.frozen():
        run.world.kube.restore(family, f"*{table}\n:ADV-HOLD - [0:0]\n-A ADV-HOLD -m comment --comment adv-hold -j {OURS}{hook}\nCOMMIT\n")
        run.rebase()
    tool(run, family, "-t", table, "-F", OURS + hook)
    run.settle(entry.bound)
    with run.world.frozen():
        tool(run, family, "-t", table, "-F", "ADV-HOLD")
        tool(run, family, "-t", table, "-X", "ADV-HOLD")
        run.rebase()
    run.settle(entry.bound)


@fault(2, 3, needs=("iptables", "iptables-or-ipvs"))
def table_flushed(run, entry):
    """`-F` of one table; kube-proxy syncs it again a moment later."""
    family, (table, _) = run.random.choice([4, 6]), run.random.choice(PLACES)
    with run.world.frozen():
        tool(run, family, "-t", table, "-F")
        run.rebase()
    run.settle(entry.bound, ready=None)
    sync_again(run, entry)


def sync_again(run, entry):
    with run.world.frozen():
        run.world.kube.full_sync()
        run.world.proxy.mark_synced()
        run.rebase()
    run.settle(entry.bound)


@fault(1, 3, needs=("iptables", "iptables-or-ipvs"))
def administrator_flushes_and_deletes(run, entry):
    """`-F` and then `-X` of a table succeed with nmanager as they do without it (T22)."""
    family, (table, _) = run.random.choice([4, 6]), run.random.choice(PLACES)
    tool(run, family, "-t", table, "-F")
    code, _, said = tool(run, family, "-t", table, "-X")
    run.rebase()
    if code != 0 and "NMANAGER" in said + str(own_chains(run, family, table)):
        run.settle(entry.bound, ready=None)
        sync_again(run, entry)
        run.report("administrator-hindered", f"-t {table} -F; -X: exit {code}: {said.strip()}")
        return
    run.settle(entry.bound, ready=None)
    sync_again(run, entry)


@fault(1, 3, needs=("nft", "iptables-or-ipvs"))
def ruleset_flushed(run, entry):
    with run.world.frozen():
        command("nft", "flush", "ruleset")
        run.rebase()
    run.settle(entry.bound, ready=False)
    run.stranger_rules_again()
    sync_again(run, entry)


@fault(1, 3, needs=("nft", "iptables-or-ipvs"))
def table_deleted(run, entry):
    with run.world.frozen():
        command("nft", "delete", "table", run.random.choice(["ip", "ip6"]), run.random.choice(["nat", "filter"]), check=False)
        run.rebase()
    run.settle(entry.bound, ready=None)
    run.stranger_rules_again()
    sync_again(run, entry)


@fault(3)
def stranger_rules_come_and_go(run, entry):
    family, table = run.random.choice([4, 6]), run.random.choice(["filter", "nat", "raw"])
    hook = {"filter": "INPUT", "nat": "OUTPUT", "raw": "PREROUTING"}[table]
    name = f"ADV-{run.random.randrange(1000)}"
    with run.world.frozen():
        run.world.kube.restore(family, f"*{table}\n:{name} - [0:0]\n[9:900] -A {name} -m comment --comment adv-x -j RETURN\nCOMMIT\n")
        tool(run, family, "-t", table, run.random.choice(["-A", "-I"]), hook, "-p", "tcp", "--dport", "7", "-m", "comment",
             "--comment", "plain stranger", "-j", name)
        run.rebase()
    run.settle(entry.bound)
    with run.world.frozen():
        tool(run, family, "-t", table, "-D", hook, "-p", "tcp", "--dport", "7", "-m", "comment", "--comment", "plain stranger", "-j", name)
        tool(run, family, "-t", table, "-F", name)
        tool(run, family, "-t", table, "-X", name)
        run.rebase()
    run.settle(entry.bound)


@fault(1.5)
def stranger_native_table(run, entry):
    """Another program's native table with sets, maps and counters is added, stays, is removed."""
    if run.random.random() < 0.6:
        text = """table inet adv {
  set hosts { type ipv4_addr; elements = { 192.0.2.1, 192.0.2.7 } }
  map where { type inet_service : ipv4_addr; elements = { 80 : 192.0.2.9 } }
  counter seen { packets 7 bytes 700 }
  chain in {
    type filter hook input priority 5;
    ip saddr @hosts counter packets 3 bytes 300 drop
  }
}
"""
        with run.world.frozen():
            command("nft", "-f", "-", text=text)
            run.rebase()
    else:
        with run.world.frozen():
            command("nft", "delete", "table", "inet", "adv", check=False)
            run.rebase()
    run.settle(entry.bound)


@fault(0.8, 12, needs="iptables")
def rival_deletes_our_jump(run, entry):
    """Every 5 ms for a while; then it ends, and the rules are back within the longest delay between repairs."""
    family, table, hook = pick(run)
    rival(run, run.random.choice([0.3, 1.0]), lambda: tool(run, family, "-t", table, "-D", hook, "-j", OURS + hook))
    run.settle(entry.bound, check_ready_meanwhile=False, ready_bound=15)


@fault(0.8, 12, needs="iptables")
def rival_flushes_our_chain(run, entry):
    family, table, hook = pick(run)
    rival(run, run.random.choice([0.3, 1.0]), lambda: tool(run, family, "-t", table, "-F", OURS + hook))
    run.settle(entry.bound, check_ready_meanwhile=False, ready_bound=15)


def while_services_change(run, entry, flushed, judge):
    """Another agent keeps flushing our chain `flushed` = (table, chain) while Services change; `judge` checks after each change."""
    from .services import change_some
    ended = threading.Event()

    def work():
        while not ended.is_set():
            tool(run, 4, "-t", flushed[0], "-F", OURS + flushed[1])
            time.sleep(0.02)

    worker = threading.Thread(target=work, daemon=True)
    worker.start()
    try:
        for _ in range(3):
            time.sleep(0.5)
            change_some(run, 1)
            judge(run.expected())
    finally:
        ended.set()
        worker.join(30)
    run.settle(entry.bound, check_ready_meanwhile=False, ready_bound=15)


@fault(0.5, 12, needs="iptables")
def rival_in_filter_while_services_change(run, entry):
    """A chain of filter is contested; nat still follows changes of Services (T23)."""
    while_services_change(run, entry, ("filter", "INPUT"), lambda wanted: run.settle(
        2, ready=None, expectation=dataclasses.replace(wanted, ignored=("filter",)), check_ready_meanwhile=False, strict=True))


@fault(0.5, 12, needs=("iptables", "ipvs"))
def rival_in_nat_while_services_change(run, entry):
    """A chain of nat is contested; the other chains of nat still follow changes of Services (T23)."""
    contested = (4, "nat", "OUTPUT")

    def judge(wanted):
        others = {key: effects for key, effects in wanted.effects.items() if key != contested}
        run.settle_apart(2, dataclasses.replace(wanted, effects=others), contested)

    while_services_change(run, entry, ("nat", "EX_CLUS_OUTPUT"), judge)


@fault(0.5, 3, needs=("nft", "iptables"))
def table_made_dormant(run, entry):
    """A table whose rules have no effect: not ready, with the reason."""
    from ..runner import Violation
    family, table, _ = pick(run)
    name = f"{'ip' if family == 4 else 'ip6'} {table}"
    with run.world.frozen():
        if command("nft", f"add table {name} {{ flags dormant ; }}", check=False)[0] != 0:
            return run.skip("this nft cannot make a table dormant")
        run.rebase()
    try:
        said_by = time.monotonic() + entry.bound * run.pace
        body = run.await_ready(False, entry.bound)
        while "dormant" not in body and time.monotonic() < said_by:
            time.sleep(0.02)
            body = run.world.get("/readyz?verbose")[1] or ""
        if "dormant" not in body or "readyz check failed" not in body:
            raise Violation("untrue-line", f"the dormant table {name} is not reported: {body}")
    finally:
        with run.world.frozen():
            command("nft", f"add table {name}")
            run.rebase()
    run.settle(entry.bound)


@fault(0.8, 2)
def rival_is_busy_elsewhere(run, entry):
    """A harmless program writes every few milliseconds; rules still follow Services."""
    from .services import change_some
    family = run.random.choice([4, 6])
    run.world.kube.restore(family, "*nat\n:ADV-BUSY - [0:0]\nCOMMIT\n")
    with run.world.frozen():
        run.rebase()

    def busy():
        tool(run, family, "-t", "nat", "-A", "ADV-BUSY", "-j", "RETURN")
        tool(run, family, "-t", "nat", "-F", "ADV-BUSY")

    change_some(run, 1)
    rival(run, 0.5, busy)
    with run.world.frozen():
        tool(run, family, "-t", "nat", "-F", "ADV-BUSY")
        tool(run, family, "-t", "nat", "-X", "ADV-BUSY")
        run.rebase()
    run.settle(entry.bound)


def rival(run, seconds, act, pause=0.005):
    ended = threading.Event()

    def work():
        while not ended.is_set():
            act()
            time.sleep(pause)

    worker = threading.Thread(target=work, daemon=True)
    worker.start()
    time.sleep(seconds)
    ended.set()
    worker.join(30)
