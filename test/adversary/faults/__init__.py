"""The table of faults. Each is a function `act(run, fault)` that injects the fault, removes it if this
is part of it, and awaits the recovery within `fault.bound` seconds.

@fault(weight, bound, needs): weight is its share among the steps; bound is what README promises or what an
operator may expect; needs is a test on the runner ("legacy", "nft", "iptables", "native", "ipvs" or none).
All random choices come from run.random, so that the seed reproduces a step.
"""

from dataclasses import dataclass


@dataclass
class Fault:
    name: str
    weight: float
    bound: float
    needs: tuple
    act: object
    about: str
    harms: bool = False  # changes our rules, as another agent does
    group: str = ""  # the file it is in


TABLE = []
SECONDS = 1.0  # readiness and rules after an ordinary event; README: milliseconds

CONDITIONS = {
    "legacy": lambda run: run.world.kube.variant == "legacy",
    "nft": lambda run: run.world.kube.variant == "nft",
    "iptables": lambda run: run.expected().backend != "nftables",
    "native": lambda run: run.expected().backend == "nftables",
    "ipvs": lambda run: run.mode() == "ipvs",
    "auto": lambda run: run.world.settings.backend == "auto",
    "iptables-or-ipvs": lambda run: run.world.kube.mode != "nftables",
    "long": lambda run: run.options.long,
}


def fault(weight, bound=SECONDS, needs=()):
    def register(function):
        needed = (needs,) if isinstance(needs, str) else needs
        group = function.__module__.rsplit(".", 1)[1]
        harms = group in ("tables", "native") or "kube_full" in function.__name__
        TABLE.append(Fault(function.__name__, weight, bound, needed, function, (function.__doc__ or "").strip(), harms, group))
        return function
    return register


def usable(entry, run):
    return all(CONDITIONS[need](run) for need in entry.needs)


from . import api, clock_and_files, kube, lock, native, process, services, tables  # noqa: E402,F401
