"""Files of kube-proxy's volume, the clock, interfaces, and floods of kernel events."""

import glob
import os
import time

from ..oracle import Settings
from ..shell import run as command
from . import fault
from .process import start, stop
from .services import change_some


@fault(1, 3)
def config_changes(run, entry):
    """Another clusterCIDR or masquerade bit in kube-proxy's file is followed (README: Settings)."""
    world = run.world
    world.settings = Settings(**{**world.settings.__dict__, "file_pod_cidr4": run.random.choice(["10.244.0.0/16", "10.128.0.0/14"]),
                                 "file_masquerade_bit": run.random.choice([14, 14, 20])})
    run.changed_settings()
    world.write_file("config.conf", world.config_text())
    run.settle(entry.bound)


@fault(1, 3)
def config_half_written(run, entry):
    """An incomplete or missing file for a while: its previous content stays in force."""
    world, before = run.world, run.expected()
    path = world.files + "/" + run.random.choice(["config.conf", "kubeconfig.conf"])
    text = open(path).read()
    what = run.random.randrange(4)
    if what == 0:
        with open(path, "w") as file:
            file.write(text[:run.random.randrange(1, len(text) - 1)])
    elif what == 1:
        os.unlink(path)
    elif what == 2:
        with open(path, "w") as file:
            file.write("\0\xff: [}{")
    else:
        os.rename(path, path + ".away")
        os.symlink("nowhere", path)
    run.world.notes["files-broken-at"] = time.monotonic()
    run.world.notes["files-sound"] = False
    half = what == 0  # a prefix may be a whole, valid file with fewer settings
    if not half:
        run.never_other_than([before], run.random.choice([0.2, 0.8]), entry.name)
    else:
        time.sleep(0.2)
    if os.path.lexists(path):
        os.unlink(path)
    world.write_files()
    run.world.notes["files-broken-at"] = time.monotonic()
    run.world.notes["files-sound"] = True
    run.settle(entry.bound, ready_bound=8)


@fault(1, 3)
def config_swapped_by_symlink(run, entry):
    """As kubelet changes a ConfigMap volume: a new folder, and ..data renamed over the old link."""
    world = run.world
    fresh = f"{world.files}/..data-{run.random.randrange(10**6)}"
    os.mkdir(fresh)
    world.settings = Settings(**{**world.settings.__dict__, "file_pod_cidr4": run.random.choice(["10.244.0.0/16", "10.128.0.0/14"])})
    run.changed_settings()
    for name, text in (("config.conf", world.config_text()), ("kubeconfig.conf", world.kubeconfig_text())):
        with open(f"{fresh}/{name}", "w") as file:
            file.write(text)
    os.symlink(os.path.basename(fresh), world.files + "/..data.new")
    os.rename(world.files + "/..data.new", world.files + "/..data")
    for name in ("config.conf", "kubeconfig.conf"):
        os.symlink("..data/" + name, world.files + "/link.new")
        os.rename(world.files + "/link.new", world.files + "/" + name)
    run.settle(entry.bound)


@fault(0.5, 8)
def kubeconfig_leads_elsewhere(run, entry):
    """Another server with other Services; later back."""
    from ..api_server import ApiServer
    world = run.world
    old, world.api = world.api, ApiServer(world.certificate, port=6444 + run.random.randrange(100))
    world.api.token = old.token
    world.notes["api-port"] = world.api.address[1]
    change_some(run, 5)
    run.changed_settings()
    world.notes["files-broken-at"] = time.monotonic()
    world.write_file("kubeconfig.conf", world.kubeconfig_text(world.api.address[1]))
    try:
        run.settle(entry.bound, check_ready_meanwhile=False)
    finally:
        other, world.api = world.api, old
        other.down()
        run.changed_settings()
        world.write_file("kubeconfig.conf", world.kubeconfig_text())
    run.settle(entry.bound, check_ready_meanwhile=False)


FAKETIME = glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1")


@fault(0.4, 4)
def clock_steps(run, entry):
    """The wall clock jumps by hours or years; nothing depends on it."""
    if not FAKETIME:
        return run.skip("libfaketime is not installed")
    offset = run.world.folder + "/faketime"
    with open(offset, "w") as file:
        file.write("+0")
    stop(run)
    run.world.notes["extra_env"] = {"LD_PRELOAD": FAKETIME[0], "FAKETIME_TIMESTAMP_FILE": offset, "FAKETIME_NO_CACHE": "1",
                                    "FAKETIME_DONT_FAKE_MONOTONIC": "1", "DONT_FAKE_MONOTONIC": "1"}
    start(run)
    try:
        run.settle(entry.bound, ready_bound=8)
        for step in run.random.sample(["-3600", "+3600", "-100000", "+100000000"], 2):
            with open(offset, "w") as file:
                file.write(step)
            change_some(run, 1)
            run.settle(entry.bound, ready=None, check_ready_meanwhile=False)
        with open(offset, "w") as file:
            file.write("+0")
    finally:
        run.world.notes.pop("extra_env", None)
        if run.world.alive():
            stop(run)
        start(run)
    run.settle(entry.bound, ready_bound=8)


@fault(0.7, 8)
def loopback_down(run, entry):
    run.live.pause()
    command("ip", "link", "set", "lo", "down")
    change_some(run, 1)
    time.sleep(run.random.choice([0.1, 0.5, 1.5]))
    command("ip", "link", "set", "lo", "up")
    command("ip", "addr", "add", "10.244.1.1/24", "dev", "lo", check=False)
    run.live.resume(1.0)
    run.settle(entry.bound, ready_bound=12)


@fault(0.7)
def interfaces_come_and_go(run, entry):
    command("ip", "link", "add", "adv0", "type", "veth", "peer", "name", "adv1", check=False)
    for name in ("adv0", "adv1"):
        command("ip", "link", "set", name, "up", check=False)
    command("ip", "addr", "add", "203.0.113.254/24", "dev", "adv0", check=False)
    run.settle(entry.bound)
    command("ip", "link", "del", "adv0", check=False)
    run.settle(entry.bound)


@fault(0.5, 3)
def netlink_flooded(run, entry):
    """Thousands of objects in a few transactions (ENOBUFS for a listener to each)."""
    pid = run.world.process.pid
    lines = [f"add chain inet advflood c{i}" for i in range(4000)]
    run.live.pause()
    os.kill(pid, 19)
    for _ in range(3):
        command("nft", "-f", "-", text="add table inet advflood\n" + "\n".join(lines) + "\n")
        command("nft", "delete", "table", "inet", "advflood")
    if run.expected().backend == "nftables":
        command("nft", "flush", "chain", "inet", "nmanager", "NMANAGER_INPUT", check=False)
    os.kill(pid, 18)
    run.live.resume(1.0)
    run.settle(entry.bound)
