"""kube-proxy: syncs, restarts, modes, missing chains, an endpoint that sends wrong data or nothing."""

import time

from ..shell import run as command
from . import fault

MODE_BOUND = 2.0  # a change of kube-proxy's mode is followed within 1-2 s
METRICS_BOUND = 13.0  # its metrics are read every 10 s, and when its chains change


def sync(run, how):
    with run.world.frozen():
        how()
        run.world.proxy.mark_synced()
        run.rebase()


@fault(6, needs="iptables-or-ipvs")
def kube_partial_sync(run, entry):
    sync(run, run.world.kube.partial_sync)
    run.settle(entry.bound)


@fault(2, needs="iptables-or-ipvs")
def kube_partial_sync_live(run, entry):
    """The program may act between the families."""
    run.world.kube.partial_sync()
    run.world.proxy.mark_synced()
    with run.world.frozen():
        run.rebase()
    run.settle(entry.bound)


@fault(2)
def kube_full_sync(run, entry):
    sync(run, run.world.kube.full_sync)
    run.settle(entry.bound)


@fault(0.6, 2, needs="iptables-or-ipvs")
def kube_full_sync_call_by_call(run, entry):
    """Each chain and jump by a separate call, with our repairs in between."""
    run.world.kube.full_sync(one_by_one=True)
    run.world.proxy.mark_synced()
    with run.world.frozen():
        run.rebase()
    run.settle(entry.bound)


@fault(1.5, 2, needs="iptables-or-ipvs")
def kube_restarts(run, entry):
    """Its process ends and restarts with its old chains in place."""
    run.world.proxy.down()
    time.sleep(run.random.choice([0.05, 0.3]))
    run.world.proxy.restarted()
    run.world.proxy.up()
    time.sleep(run.random.choice([0.0, 0.2]))
    sync(run, run.world.kube.full_sync)
    run.settle(entry.bound, ready_bound=8)


@fault(2, 2, needs="iptables-or-ipvs")
def kube_chains_gone(run, entry):
    """All its chains are removed, in one of several orders; not ready until they are back (T7)."""
    kube, order = run.world.kube, run.random.randrange(4)
    with run.world.frozen():
        if order == 0:
            kube.remove()
        elif order == 1:
            kube.remove("nat")
        elif order == 2:
            for family in (4, 6):
                kube.call(family, "-t", "nat", "-F")
            run.rebase()
        else:
            kube.remove("filter")
            kube.remove("nat")
        run.rebase()
    if order == 2:
        run.settle(entry.bound, ready=None)
        time.sleep(run.random.choice([0.1, 0.6]))
        with run.world.frozen():
            kube.remove()
            run.rebase()
    run.settle(entry.bound, ready=False, check_ready_meanwhile=True)
    run.stranger_rules_again()
    sync(run, kube.full_sync)
    run.settle(entry.bound)


@fault(0.8, 3, needs="iptables-or-ipvs")
def kube_starts_slowly(run, entry):
    """It starts on an empty node, chain by chain: not ready before its first sync, and no report of a broken node (T13, T17)."""
    from ..runner import Violation
    world = run.world
    with world.frozen():
        world.kube.remove()
        run.rebase()
    world.proxy.down()
    run.settle(entry.bound, ready=False)
    world.proxy.restarted()
    world.proxy.up()
    said = []

    def pause():
        time.sleep(0.05)
        status, body = world.get("/readyz?verbose")
        said.append(body or "")
        if status == 200:
            raise Violation("ready-while-kube-proxy-is-not", f"before its first sync: {body}")

    world.kube.start_slowly(pause)
    world.proxy.mark_synced()
    wrong = [body for body in said if "Services do not work" in body]
    if wrong:
        raise Violation("untrue-line", f"while kube-proxy writes: {wrong[0]}")
    with world.frozen():
        run.rebase()
    run.settle(entry.bound, ready_bound=8)


@fault(1, 2, needs="iptables-or-ipvs")
def kube_jumps_gone(run, entry):
    """No jump leads to its chains any more; the jumps return with a full sync."""
    kube = run.world.kube
    with run.world.frozen():
        for family in (4, 6):
            for hook in ("PREROUTING", "OUTPUT"):
                kube.call(family, "-t", "nat", "-D", hook, "-m", "comment", "--comment", "kubernetes service portals",
                          "-j", "KUBE-SERVICES", check=False)
        run.rebase()
    run.settle(entry.bound, ready=None)
    sync(run, kube.full_sync)
    run.settle(entry.bound)


@fault(1.2, 3)
def kube_endpoint_faulty(run, entry):
    """Its endpoint is silent, broken or partial; its chains exist, so its mode and our rules stay."""
    proxy, before = run.world.proxy, run.expected()
    what = run.random.choice(["hang", "500", "garbage", "empty", "partial", "nan", "no-timestamps", "down"])
    if what == "hang":
        proxy.faults.hang = True
    elif what == "500":
        proxy.faults.status = 500
    elif what == "down":
        proxy.down()
    else:
        proxy.faults.metrics_fault = what
    run.never_other_than([before], run.random.choice([0.3, 1.2]), f"{entry.name} {what}")
    proxy.clear()
    proxy.up()
    run.settle(entry.bound, ready_bound=8)


@fault(0.6, 2, needs="iptables-or-ipvs")
def kube_family_fails(run, entry):
    """Its iptables-restore fails for one family: the sync of that family is not reported as verified (T8)."""
    from ..runner import Violation
    proxy, kube = run.world.proxy, run.world.kube
    proxy.restarted()
    with run.world.frozen():
        kube.restore(6, kube.rules(6))
        kube.restore(4, "*nat\n:KUBE-SERVICES - [0:0]\nCOMMIT\n")
        run.rebase()
    proxy.mark_synced(("IPv6",))
    asked_by = time.monotonic() + METRICS_BOUND * run.pace
    lines = None
    while time.monotonic() < asked_by and not (lines and "IPv4 its iptables-restore has failed" in lines[0]):
        proxy.restore_failures["IPv4"] += 1
        time.sleep(0.2)
        body = run.world.get("/readyz?verbose")[1] or ""
        lines = [line for line in body.splitlines() if "]kube-proxy " in line]
    proxy.restore_failures["IPv4"] = 0
    proxy.disturbed = time.monotonic()  # its metrics are read seconds later
    sync(run, kube.partial_sync)
    if "IPv4 its iptables-restore has failed" not in lines[0] or "[+]" in lines[0]:
        raise Violation("untrue-line", f"failing restores of IPv4 are not reported: {lines}")
    run.settle(entry.bound, ready_bound=8)


@fault(0.8, 3)
def kube_mode_text_odd(run, entry):
    """/proxyMode sends an invalid answer: the mode cannot be determined from it, the rules stay as they are."""
    proxy, before = run.world.proxy, run.expected()
    proxy.faults.mode_text = run.random.choice(["", "banana", "IPVS\n", "ipvs iptables", "x" * 100000, "userspace"])
    run.world.notes["mode-in-doubt"] = True
    try:
        run.never_other_than([before], run.random.choice([0.3, 1.2]), entry.name)
    finally:
        proxy.clear()
    run.settle(entry.bound)
    run.await_true_mode()
    run.world.notes.pop("mode-in-doubt")


def change_mode(run, mode, lay):
    """kube-proxy restarts in another mode. Its own file follows; `lay`: its chains move too."""
    world = run.world
    old = world.kube.mode
    if lay:
        with world.frozen():
            if old == "nftables":
                world.kube.native_remove()
            elif mode == "nftables":
                world.kube.remove()
            else:
                world.kube.remove()
            world.kube.mode = mode
            world.kube.full_sync()
            run.rebase()
    else:
        world.kube.mode = mode
    world.proxy.mode = mode
    world.write_files()
    if lay:
        world.proxy.restarted()
        world.proxy.mark_synced()
    run.changed_settings()


@fault(1, MODE_BOUND + 0.5, needs="auto")
def kube_mode_changes(run, entry):
    """To another mode and back, its chains with it."""
    old = run.world.kube.mode
    other = run.random.choice([mode for mode in ("ipvs", "iptables", "nftables") if mode != old])
    change_mode(run, other, lay=True)
    run.settle(entry.bound, notice=MODE_BOUND, ready_bound=8)
    if run.random.random() < 0.8:
        change_mode(run, "ipvs", lay=True)
        run.settle(entry.bound, notice=MODE_BOUND, ready_bound=8)


@fault(0.8, MODE_BOUND + 0.5, needs="ipvs")
def kube_mode_changes_chains_stay(run, entry):
    """The mode changes but the chains do not (T24)."""
    world = run.world
    time.sleep(run.random.choice([0.0, 0.0, 3.0, 6.5]))  # for a program that queries rarely while nothing changes
    world.proxy.mode = "iptables"
    run.changed_settings()
    try:
        run.settle(entry.bound, notice=MODE_BOUND, ready=None)
    finally:
        world.proxy.mode = "ipvs"
        run.changed_settings()
    run.settle(entry.bound, notice=MODE_BOUND, ready_bound=8)


@fault(0.4, MODE_BOUND + 1, needs="ipvs")
def kube_mode_flaps(run, entry):
    world = run.world
    for _ in range(run.random.randint(3, 8)):
        world.proxy.mode = run.random.choice(["ipvs", "iptables"])
        time.sleep(0.15)
    world.proxy.mode = "ipvs"
    run.changed_settings()
    run.settle(entry.bound, notice=MODE_BOUND, ready_bound=8, check_ready_meanwhile=False)


@fault(0.5, 3, needs=("auto", "iptables-or-ipvs"))
def kube_other_variant_has_leftovers(run, entry):
    """kubelet's chains in the other variant as well: the one with KUBE-SERVICES decides."""
    kube = run.world.kube
    other = {"legacy": "nft", "nft": "legacy"}[kube.variant]
    for family in ("iptables", "ip6tables"):
        command(f"{family}-{other}", "-w", "5", "-t", "mangle", "-N", "KUBE-KUBELET-CANARY", env=run.world.env, check=False)
    run.settle(entry.bound)
    run.hold_still(0.5)
    run.world.notes["both-variants-at"] = time.monotonic()
    for family in ("iptables", "ip6tables"):
        command(f"{family}-{other}", "-w", "5", "-t", "mangle", "-X", "KUBE-KUBELET-CANARY", env=run.world.env, check=False)
    run.settle(entry.bound)


@fault(0.4, 5, needs=("auto", "iptables-or-ipvs"))
def kube_variant_changes(run, entry):
    """kube-proxy writes with the other variant of iptables from now on, and its old chains are removed."""
    world = run.world
    world.notes["both-variants-at"] = time.monotonic()
    with world.frozen():
        world.kube.remove()
        world.kube.variant = {"legacy": "nft", "nft": "legacy"}[world.kube.variant]
        world.kube.full_sync()
        world.proxy.mark_synced()
        run.rebase()
    run.changed_settings()
    run.settle(entry.bound, ready_bound=8)
    run.check_everything()
