"""The command line: one seed in one world, many worlds one after another or side by side, replays, shortening."""

import argparse
import collections
import json
import os
import re
import subprocess
import sys
import time
import traceback

from .faults import TABLE
from .runner import MEMORY_BOUND, Runner, Violation
from .shrink import shorten

BACKENDS = {"iptables-legacy": "legacy", "iptables-nft": "nft", "nftables": "nft"}
INSIDE = "ADVERSARY_INSIDE"


def arguments(argv):
    parser = argparse.ArgumentParser(prog="run", description="A seeded random enemy of nmanager.")
    parser.add_argument("--binary", default=os.environ.get("NMANAGER", default_binary()))
    parser.add_argument("--backend", choices=[*BACKENDS, "all"], default="all")
    parser.add_argument("--seed", type=int, default=None, help="first seed; each further run takes the next one")
    parser.add_argument("--minutes", type=float, default=None, help="how long; else one run")
    parser.add_argument("--steps", type=int, default=300, help="steps of one run")
    parser.add_argument("--only", type=re.compile, help="only faults whose name matches")
    parser.add_argument("--without", type=re.compile, help="no faults whose name matches")
    parser.add_argument("--strict-lines", action="store_true", help="an unknown line of readyz, status or log fails")
    parser.add_argument("--long", action="store_true", help="also the faults that take minutes")
    parser.add_argument("--poll", action="store_true", help="also runs with --watch poll")
    parser.add_argument("--memory-bound", type=int, default=MEMORY_BOUND >> 20, help="MiB resident")
    parser.add_argument("--replay", help="a file of steps, as a failing run leaves it")
    parser.add_argument("--no-shrink", action="store_true")
    parser.add_argument("--go-on", action="store_true", help="after a violation, the next seed")
    parser.add_argument("--out", default="/tmp/adversary-failures", help="where failing runs are left")
    parser.add_argument("--list", action="store_true", help="print the table of faults")
    parser.add_argument("--verbose", action="store_true")
    options = parser.parse_args(argv)
    options.memory_bound <<= 20
    options.binary = os.path.abspath(options.binary)
    return options


def default_binary():
    return os.path.join(os.path.dirname(__file__), "../../build/release/nmanager")


class Tally:
    def __init__(self):
        self.steps = collections.Counter()
        self.violations = collections.Counter()
        self.unknown = collections.Counter()
        self.skipped = collections.Counter()
        self.recovery = {}
        self.probes = 0


def play(options, seed, backend, steps, tally=None, chosen=None):
    """Runs the given steps, or as many chosen ones; returns (steps done, violation or None)."""
    runner = Runner(options, seed, backend_setting(backend, seed), BACKENDS[backend])
    done = []
    try:
        try:
            runner.start()
            chooser = runner.start_random
            for index in range(len(steps) if steps is not None else chosen):
                name, step_seed = steps[index] if steps is not None else runner.choose(chooser)
                done.append((name, step_seed))
                began = time.monotonic()
                runner.step(name, step_seed)
                if options.verbose:
                    print(f"  {index} {name} {step_seed} {time.monotonic() - began:.2f} s", flush=True)
                if tally is not None:
                    tally.steps[name] += 1
            return done, None, runner
        except Violation as violation:
            return done, violation, runner
        except Exception as problem:  # the enemy's own fault, or the machine's: shown as such
            return done, Violation("enemy-stumbled", "".join(traceback.format_exception(problem))[-1500:]), runner
    finally:
        if tally is not None:
            tally.probes += runner.probes
            tally.unknown.update(runner.unknown)
            tally.skipped.update(runner.skipped)
            for name, took in runner.slow_recoveries.items():
                tally.recovery[name] = max(took, tally.recovery.get(name, 0))
        runner.close()


def backend_setting(backend, seed):
    """By setting, or by `auto` where that leads to the same."""
    return "auto" if backend != "nftables" and seed % 2 else backend


def one_seed(options, seed, backend, tally):
    began = time.monotonic()
    done, violation, runner = play(options, seed, backend, None, tally, options.steps)
    print(f"{backend} seed {seed}: {len(done)} steps, {time.monotonic() - began:.0f} s: {violation.kind if violation else 'ok'}", flush=True)
    if violation is None:
        return True
    tally.violations[violation.kind, done[-1][0] if done else "start"] += 1
    print(f"  {violation}", flush=True)
    steps = done
    if not options.no_shrink and violation.kind != "enemy-stumbled":
        steps = shorten(done, lambda tail: fails_alike(options, seed, backend, tail, violation))
    print(f"  shortest tail ({len(steps)} of {len(done)} steps): {' '.join(name for name, _ in steps)}")
    leave(options, seed, backend, steps, violation)
    return False


def fails_alike(options, seed, backend, steps, violation):
    _, found, _ = play(options, seed, backend, steps)
    return found is not None and found.kind == violation.kind


def leave(options, seed, backend, steps, violation):
    os.makedirs(options.out, exist_ok=True)
    path = f"{options.out}/{backend}-{seed}.json"
    with open(path, "w") as file:
        json.dump({"seed": seed, "backend": backend, "kind": violation.kind, "detail": violation.detail, "steps": steps}, file, indent=1)
    print(f"  replay: test/adversary/run --replay {path}", flush=True)


def replay(options):
    with open(options.replay) as file:
        saved = json.load(file)
    options.verbose = True
    _, violation, _ = play(options, saved["seed"], saved["backend"], [tuple(step) for step in saved["steps"]])
    print(violation or "no violation")
    return 1 if violation else 0


def work(options):
    """Seeds in this process' own namespaces, until the time is over."""
    if options.replay:
        return replay(options)
    tally, until = Tally(), time.monotonic() + 60 * (options.minutes or 0)
    seed = options.seed if options.seed is not None else int(time.time())
    passed = failed = 0
    while True:
        ok = one_seed(options, seed, options.backend, tally)
        passed, failed = passed + ok, failed + (not ok)
        seed += 1
        if time.monotonic() >= until or (not ok and not options.go_on):
            break
    summary(tally, passed, failed)
    return 1 if failed else 0


def summary(tally, passed, failed):
    print(f"== {sum(tally.steps.values())} steps, {tally.probes} probes")
    for name, count in tally.steps.most_common():
        print(f"  {count:6} {name}  (slowest recovery {tally.recovery.get(name, 0):.2f} s)")
    for (kind, name), count in tally.violations.most_common():
        print(f"  violation {kind} at {name}: {count}")
    for (kind, line), count in tally.unknown.most_common(60):
        print(f"  unknown {kind} line x{count}: {line}")
    print(f"{passed} passed, {failed} failed, {sum(tally.skipped.values())} skipped", flush=True)


def enter(argv):
    """Again, in network, PID and mount namespaces of its own; everything in them ends with it."""
    environment = dict(os.environ, **{INSIDE: "1"})
    inside = ["unshare", "--net", "--pid", "--fork", "--kill-child", "--mount", "--mount-proc", sys.executable, "-m", "adversary", *argv]
    return subprocess.Popen(inside, env=environment, cwd=os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def main():
    argv = sys.argv[1:]
    options = arguments(argv)
    if options.list:
        for entry in TABLE:
            print(f"{entry.name:36} weight {entry.weight:5} bound {entry.bound:5} s  {' '.join(entry.needs):12} {entry.about.splitlines()[0] if entry.about else ''}")
        return 0
    for name in ("without",):
        pattern = getattr(options, name)
        if pattern:
            TABLE[:] = [entry for entry in TABLE if not pattern.search(entry.name)]
    if os.environ.get(INSIDE):
        return work(options)
    if not os.access(options.binary, os.X_OK):
        print(f"no binary at {options.binary}", file=sys.stderr)
        return 2
    argv = [*argv, "--binary", options.binary] + ([] if options.seed is not None else ["--seed", str(int(time.time()))])
    wanted = list(BACKENDS) if options.backend == "all" and not options.replay else [options.backend]
    worlds = [enter([*argv, "--backend", backend] if not options.replay else argv) for backend in wanted]
    return max(world.wait() for world in worlds)


if __name__ == "__main__":
    sys.exit(main())
