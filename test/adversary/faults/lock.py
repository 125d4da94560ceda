"""The xtables lock: held, removed, replaced, a directory."""

import fcntl
import os
import time

from ..tables import OURS
from . import fault
from .tables import pick, tool


def remove(path):
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass  # no process has created it again


def hold(path):
    fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(fd, fcntl.LOCK_EX)
    return fd


@fault(0.8, 4, needs="iptables")
def lock_held(run, entry):
    """Another process holds the lock; live during this time, and the rules follow soon after it (T6)."""
    from .services import change_some
    seconds = run.random.choice([0.3, 0.8, 2, 6])
    fd = hold(run.world.lock_file)
    try:
        change_some(run, 1)
        time.sleep(seconds)
    finally:
        os.close(fd)
    run.settle(entry.bound + seconds, check_ready_meanwhile=False, ready_bound=6)


@fault(0.5, 4, needs=("iptables", "legacy"))
def lock_held_and_jump_deleted(run, entry):
    """A process holds the lock while another one, without the lock, deletes our jumps: not ready during this time (T6)."""
    fd = hold(run.world.lock_file)
    other = dict(run.world.env, XTABLES_LOCKFILE=run.world.folder + "/other.lock")
    seconds = run.random.choice([3, 8])
    try:
        family, table, hook = pick(run)
        from ..shell import run as command
        failed, _, _ = command(run.world.kube.tool(family), "-t", table, "-D", hook, "-j", OURS + hook, env=other, check=False)
        time.sleep(seconds)
        from ..runner import Violation
        if not failed and run.world.get("/readyz")[0] == 200:
            raise Violation("ready-while-wrong", f"{seconds} s after a jump was deleted while the lock was held")
    finally:
        os.close(fd)
    run.settle(entry.bound + seconds, check_ready_meanwhile=False, ready_bound=6)


@fault(0.15, 12, needs=("iptables", "legacy"))
def lock_held_long(run, entry):
    """40 s: live all the time, ends on SIGTERM at once (T6)."""
    fd = hold(run.world.lock_file)
    try:
        tool_env = dict(run.world.env, XTABLES_LOCKFILE=run.world.folder + "/other.lock")
        from ..shell import run as command
        family, table, hook = pick(run)
        command(run.world.kube.tool(family), "-t", table, "-D", hook, "-j", OURS + hook, env=tool_env, check=False)
        time.sleep(42)
    finally:
        os.close(fd)
    run.settle(entry.bound + 30, check_ready_meanwhile=False, ready_bound=6)


@fault(1, 3)
def lock_file_removed(run, entry):
    """The file is removed and created again by the next process that locks it: the old descriptor has no effect."""
    from .services import change_some
    remove(run.world.lock_file)
    change_some(run, 1)
    run.settle(entry.bound)
    if run.world.kube.variant == "legacy":
        tool(run, 4, "-t", "nat", "-L", "-n")
    change_some(run, 1)
    run.settle(entry.bound)


@fault(0.6, 3)
def lock_file_replaced(run, entry):
    from .services import change_some
    path = run.world.lock_file
    open(path + ".new", "w").close()
    os.rename(path + ".new", path)
    change_some(run, 1)
    run.settle(entry.bound)


@fault(0.4, 8)
def lock_file_is_a_directory(run, entry):
    from .services import change_some
    path = run.world.lock_file
    remove(path)
    os.mkdir(path)
    change_some(run, 1)
    time.sleep(run.random.choice([0.2, 1.0]))
    os.rmdir(path)
    open(path, "w").close()
    run.settle(entry.bound, check_ready_meanwhile=False, ready_bound=8)


@fault(1, 2)
def lock_taken_again_and_again(run, entry):
    """Short holds in a row, as a program that calls iptables once for each rule."""
    from .services import change_some
    until = time.monotonic() + 0.5
    change_some(run, 1)
    while time.monotonic() < until:
        os.close(hold(run.world.lock_file))
        time.sleep(0.002)
    run.settle(entry.bound)
