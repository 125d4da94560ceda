"""Consecutive runs for a backend; the files of a failing run; totals."""

import collections
import ctypes
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time

from .shrink import shorten

BACKENDS = {"iptables-legacy": "legacy", "iptables-nft": "nft", "nftables": "nft"}
HERE = os.path.dirname(os.path.abspath(__file__))


def die_with_parent():
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


class Tally:
    def __init__(self):
        self.guard = threading.Lock()
        self.steps, self.violations = collections.Counter(), collections.Counter()
        self.unknown, self.skipped = collections.Counter(), collections.Counter()
        self.recovery, self.probes, self.passed, self.failed = {}, 0, 0, 0
        self.began = time.monotonic()

    def add(self, result):
        with self.guard:
            ended = result["steps"] if not result["kind"] else result["steps"][:-1]
            self.steps.update(name for name, _ in ended)
            self.probes += result["probes"]
            self.skipped.update(result["skipped"])
            for kind, line, count in result["unknown"]:
                self.unknown[kind, line] += count
            for name, took in result["recovery"].items():
                self.recovery[name] = max(took, self.recovery.get(name, 0))
            if result["kind"]:
                self.failed += 1
                self.violations[result["kind"], result["steps"][-1][0] if result["steps"] else "start"] += 1
            else:
                self.passed += 1

    def print(self):
        took = time.monotonic() - self.began
        print(f"== {sum(self.steps.values())} steps in {took:.0f} s, {self.probes} probes")
        for name, count in self.steps.most_common():
            print(f"  {count:6} {name}  (slowest recovery {self.recovery.get(name, 0):.2f} s)")
        for (kind, name), count in self.violations.most_common():
            print(f"  violation {kind} at {name}: {count}")
        for (kind, line), count in self.unknown.most_common(60):
            print(f"  {kind} line x{count}: {line}")
        for why, count in self.skipped.items():
            print(f"  skipped x{count}: {why}")
        print(f"{self.passed} passed, {self.failed} failed, {sum(self.skipped.values())} skipped", flush=True)


def play_in_namespaces(options, seed, backend, steps=None):
    """One run in its own network, PID and mount namespaces; all processes in them end with it."""
    with tempfile.TemporaryDirectory(prefix="adversary-job-") as folder:
        job = {"seed": seed, "backend": backend, "replay": steps, "out": folder + "/result.json",
               "until": options.until if steps is None else None,
               **{name: getattr(options, name) for name in ("binary", "steps", "only", "without", "long",
                                                            "memory_bound", "verbose")}}
        with open(folder + "/job.json", "w") as file:
            json.dump(job, file)
        subprocess.run(["unshare", "--net", "--pid", "--fork", "--kill-child", "--mount", "--mount-proc",
                        sys.executable, "-m", "adversary.worker", folder + "/job.json"], cwd=os.path.dirname(HERE), check=False,
                       preexec_fn=die_with_parent)
        try:
            with open(job["out"]) as file:
                return json.load(file)
        except OSError:
            return {"kind": "enemy-stumbled", "detail": "the worker left no result", "steps": steps or [], "probes": 0,
                    "unknown": [], "skipped": {}, "recovery": {}, "log": ""}


class Controller:
    """The runs of one backend."""

    def __init__(self, options, backend, tally):
        self.options, self.backend, self.tally = options, backend, tally

    def work(self):
        until, seed = self.options.until or 0, self.options.seed
        while True:
            ok = self.one_seed(seed)
            seed += 1
            if time.time() >= until or (not ok and not self.options.go_on):
                return

    def one_seed(self, seed):
        began = time.monotonic()
        result = play_in_namespaces(self.options, seed, self.backend)
        self.tally.add(result)
        done, took = result["steps"], time.monotonic() - began
        lines = [f"{self.backend} seed {seed}: {len(done)} steps, {took:.0f} s: {result['kind'] or 'ok'}"]
        if result["kind"]:
            lines.append(f"  {result['kind']}: {result['detail']}")
            if not self.options.no_shrink and result["kind"] != "enemy-stumbled":
                shorter = shorten(done, lambda tail: self.fails_alike(seed, tail, result), self.options.shrink_seconds)
                lines.append(f"  shortest tail ({len(shorter)} of {len(done)} steps): {' '.join(name for name, _ in shorter)}")
                done = shorter
            lines.append("  replay: test/adversary/run --replay " + self.leave(seed, done, result))
        print("\n".join(lines), flush=True)
        return not result["kind"]

    def fails_alike(self, seed, steps, result):
        return play_in_namespaces(self.options, seed, self.backend, steps)["kind"] == result["kind"]

    def leave(self, seed, steps, result):
        os.makedirs(self.options.out, exist_ok=True)
        path = f"{self.options.out}/{self.backend}-{seed}.json"
        with open(path, "w") as file:
            json.dump({"seed": seed, "backend": self.backend, "kind": result["kind"], "detail": result["detail"],
                       "steps": steps, "log": result["log"].splitlines()}, file, indent=1)
        return path
