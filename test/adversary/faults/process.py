"""The program itself: killed, stopped, restarted with other settings, at its limits, without a reader of its log."""

import os
import resource
import signal
import socket
import time

from ..oracle import Settings
from ..world import LISTEN
from . import fault
from .services import change_some


def stop(run, how=signal.SIGTERM, bound=3.0):
    run.live.pause()
    process = run.world.process
    took = run.world.stop(how)
    if took is None or took > bound:
        from ..runner import Violation
        run.live.resume()
        raise Violation("slow-end", f"signal {how}: took {took} s (None: killed after 10 s)")
    if how == signal.SIGTERM and process is not None and process.returncode != 0:
        from ..runner import Violation
        run.live.resume()
        raise Violation("bad-end", f"exit code {process.returncode} after SIGTERM")


def start(run):
    run.world.start()
    run.live.resume(2.0)


@fault(2, 3)
def killed(run, entry):
    """kill -9: the rules stay; a new process takes them over without a gap."""
    before = run.expected()
    stop(run, signal.SIGKILL)
    if run.judge.problems(run.world.tables(), before):
        raise_gap("after kill -9 the rules are gone")
    change_some(run, run.random.randint(0, 2))
    start(run)
    run.settle(entry.bound, ready_bound=6)


def raise_gap(what):
    from ..runner import Violation
    raise Violation("gap", what)


@fault(2, 3)
def terminated(run, entry):
    """SIGTERM: it ends soon and the rules stay."""
    before = run.expected()
    stop(run)
    if run.judge.problems(run.world.tables(), before):
        raise_gap("after SIGTERM the rules are gone")
    change_some(run, run.random.randint(0, 2))
    start(run)
    run.settle(entry.bound, ready_bound=6)


@fault(1, 3)
def restarted_over_rules(run, entry):
    """A restart without changes never removes a rule."""
    before = run.expected()
    stop(run)
    start(run)
    run.never_other_than([before], 0.5, entry.name)
    run.settle(entry.bound, ready_bound=6)


@fault(1, 3)
def stood_still(run, entry):
    """SIGSTOP for a while; everything else continues."""
    run.live.pause()
    seconds = run.random.choice([0.1, 0.5, 2.0])
    pid = run.world.process.pid
    os.kill(pid, signal.SIGSTOP)
    change_some(run, 3)
    time.sleep(seconds)
    os.kill(pid, signal.SIGCONT)
    run.live.resume(1.0)
    run.settle(entry.bound)


def other_settings(run):
    random, old = run.random, run.world.settings
    return Settings(
        backend=old.backend,
        drop_invalid=random.choices(["true", "false", "auto"], [6, 2, 2])[0],
        drop_forward=random.choices(["auto", "true", "false"], [6, 2, 1])[0],
        exempt=tuple(random.sample(["iface:eth1", "src:192.0.2.0/24", "dst:198.51.100.0/25", "src:2001:db8:5::/48", "iface:cali7",
                                    "src:10.244.7.0/24", "src:10.0.0.0/8"],
                                   random.choice([0, 0, 1, 2, 3]))),
        external=random.choices(["auto", "true", "false"], [6, 2, 1])[0],
        match=random.choices(["port", "address"], [4, 1])[0],
        policy=random.choices(["local", "all"], [3, 1])[0],
        ip_family=random.choices(["auto", "ipv4", "ipv6", "dual"], [6, 1, 1, 1])[0],
        watch=random.choices(["event", "poll"], [12, 1])[0],
        masquerade_bit=random.choice([None, None, None, 5, 31, 0]),
        pod_cidr4=random.choice([None, None, "10.200.0.0/15"]),
        pod_cidr6=random.choice([None, None, "fd77::/48"]),
        log_format=random.choice(["text", "text", "json"]),
        file_pod_cidr4=old.file_pod_cidr4, file_pod_cidr6=old.file_pod_cidr6, file_masquerade_bit=old.file_masquerade_bit)


@fault(2, 3)
def restarted_with_other_settings(run, entry):
    stop(run)
    run.world.settings = other_settings(run)
    run.changed_settings()
    change_some(run, run.random.randint(0, 2))
    start(run)
    run.settle(entry.bound, ready_bound=6)


@fault(1, 3, needs="iptables-or-ipvs")
def restarted_with_other_backend(run, entry):
    """Everything that it wrote in another backend is removed once the new one is in place (T4)."""
    stop(run)
    usable = ["iptables-" + run.world.kube.variant] + (["nftables"] if run.world.kube.mode == "ipvs" and run.world.kube.variant == "nft" else [])
    old = run.world.settings
    run.world.settings = Settings(**{**old.__dict__, "backend": run.random.choice(usable + ["auto"])})
    run.changed_settings()
    start(run)
    run.settle(entry.bound, ready_bound=6)
    run.check_everything()


@fault(0.4, 4)
def without_a_capability(run, entry):
    """Not ready, with the name of the missing capability; unreadable objects are not reported as absent (T15)."""
    from ..runner import Violation
    legacy = run.expected().backend == "iptables-legacy"
    missing = run.random.choice(["net_admin", "net_raw"] if legacy else ["net_admin"])
    stop(run)
    run.world.prefix = ["setpriv", "--bounding-set", "-" + missing, "--inh-caps", "-" + missing]
    try:
        start(run)
        deadline, body = time.monotonic() + entry.bound * run.pace, None
        while time.monotonic() < deadline and "CAP_" not in (body or ""):
            time.sleep(0.1)
            body = run.world.get("/readyz?verbose")[1]
        status = run.world.get("/readyz")[0]
        if status == 200 or "CAP_" + missing.upper() not in (body or ""):
            raise Violation("untrue-line", f"without CAP_{missing.upper()}: {status} {body}")
        stop(run)
    finally:
        run.world.prefix = []
        if run.world.process is None:
            run.world.new_log()  # it contains the errors of that process
            start(run)
    run.settle(entry.bound, ready_bound=6)


@fault(0.5, 12)
def out_of_descriptors(run, entry):
    """No descriptor is available for a while: no busy loop, and full recovery afterwards."""
    pid = run.world.process.pid
    _, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    in_use = len(os.listdir(f"/proc/{pid}/fd"))
    run.live.pause()
    before = cpu(pid)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (in_use + run.random.choice([0, 1]), hard))
    run.world.api.kick()
    change_some(run, 2)
    callers = knock()
    seconds = run.random.choice([1.0, 3.0])
    time.sleep(seconds)
    used = (cpu(pid) - before) / seconds if run.world.alive() else 0
    if run.world.alive():
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (1024, hard))
    for caller in callers:
        caller.close()
    run.live.resume(2.0)
    if used > 0.35:
        from ..runner import Violation
        raise Violation("cpu", f"{100 * used:.0f} % of a core while no descriptor is available")
    run.settle(entry.bound, check_ready_meanwhile=False, ready_bound=12)


def knock():
    """Clients of its endpoints, which it cannot accept without descriptors."""
    callers = []
    for _ in range(5):
        caller = socket.socket()
        caller.setblocking(False)
        caller.connect_ex(LISTEN)
        callers.append(caller)
    return callers


def cpu(pid):
    with open(f"/proc/{pid}/stat") as file:
        ticks = file.read().rpartition(")")[2].split()[11:13]
    return sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")


@fault(0.4, 6)
def little_address_space(run, entry):
    """Address space limited to its current size plus a reserve, while Services change."""
    pid = run.world.process.pid
    with open(f"/proc/{pid}/statm") as file:
        size = int(file.read().split()[0]) * 4096
    resource.prlimit(pid, resource.RLIMIT_AS, (size + (24 << 20), resource.RLIM_INFINITY))
    change_some(run, 5)
    try:
        run.settle(entry.bound)
    finally:
        if run.world.alive():
            resource.prlimit(pid, resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


@fault(0.4, 3)
def stderr_unheard(run, entry):
    """No process reads its stderr, or the disk is full, or the reader has ended (T21)."""
    stop(run)
    run.world.stderr_mode = run.random.choice(["full-pipe", "full-pipe", "closed-pipe", "full-device"])
    start(run)
    try:
        run.settle(entry.bound, ready_bound=6)
        if run.world.stderr_mode == "full-pipe":
            fill_pipe(run)
        change_some(run, 2)
        run.settle(entry.bound, ready_bound=6)
        stop(run)
    finally:
        run.world.stderr_mode = "file"
        if run.world.process is None:
            start(run)
    run.settle(entry.bound, ready_bound=6)


def fill_pipe(run):
    """The 64 KiB are full before the program writes any more."""
    import fcntl
    path = f"/proc/{run.world.process.pid}/fd/2"
    fd = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
    try:
        while True:
            os.write(fd, b"x" * 4096)
    except BlockingIOError:
        pass
    try:
        while True:
            os.write(fd, b"x")
    except BlockingIOError:
        pass
    fcntl.fcntl(fd, fcntl.F_GETFL)
    os.close(fd)


@fault(0.5, 4)
def cleaned_up(run, entry):
    """Ended, `nmanager cleanup`: none of our rules are left, and nothing else has changed. Then run again."""
    from ..runner import Violation
    from ..shell import run as command
    stop(run)
    argv = [run.world.binary, "cleanup", "--kube-proxy-config", run.world.files + "/config.conf"]
    code, out, err = command(*argv, env=run.world.env, check=False)
    tables = run.world.tables(everything=True)
    left = [line for line in tables.ours[:-1]]
    if code != 0 or left or tables.native:
        start(run)
        raise Violation("cleanup-left", f"exit {code}, {left[:3]} {tables.native[:2]} {(out + err).strip()[-300:]}")
    start(run)
    run.settle(entry.bound, ready_bound=6)
