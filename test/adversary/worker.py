"""One run: `python3 -m adversary.worker JOB`, inside its namespaces."""

import argparse
import json
import re
import sys
import time
import traceback

from .faults import TABLE
from .runner import Runner, Violation
from .runs import BACKENDS


def backend_setting(backend, seed):
    """By setting, or by `auto` if it has the same result."""
    return "auto" if backend != "nftables" and seed % 2 else backend


def play(options):
    done, violation, runner = [], None, None
    try:
        runner = Runner(options, options.seed, backend_setting(options.backend, options.seed), BACKENDS[options.backend])
        runner.start()
        for index in range(len(options.replay) if options.replay is not None else options.steps):
            name, seed = options.replay[index] if options.replay is not None else runner.choose(runner.start_random)
            if options.until and time.time() > options.until:
                break
            done.append((name, seed))
            began = time.monotonic()
            runner.step(name, seed)
            if options.verbose:
                print(f"  {index} {name} {seed} {time.monotonic() - began:.2f} s", flush=True)
    except Violation as found:
        violation = found
    except Exception as problem:  # an error of the test itself or of the machine: reported as such
        violation = Violation("enemy-stumbled", "".join(traceback.format_exception(problem))[-1500:])
    return done, violation, runner


def main():
    with open(sys.argv[1]) as file:
        options = argparse.Namespace(**json.load(file))
    options.only = re.compile(options.only) if options.only else None
    options.memory_bound <<= 20
    if options.without:
        TABLE[:] = [entry for entry in TABLE if not re.search(options.without, entry.name) or options.replay]
    done, violation, runner = play(options)
    log = ""
    if runner:
        with open(runner.world.log_path, "a+", errors="replace") as file:
            file.seek(0)
            log = "".join(file.readlines()[-30:]) if violation else ""
    result = {"steps": done, "kind": violation.kind if violation else None, "detail": violation.detail if violation else "",
              "probes": runner.probes if runner else 0, "skipped": runner.skipped if runner else {},
              "unknown": [[kind, line, count] for (kind, line), count in runner.unknown.items()] if runner else [],
              "recovery": runner.slow_recoveries if runner else {}, "log": log}
    with open(options.out, "w", errors="replace") as file:
        json.dump(result, file)
    if runner:
        runner.close()


if __name__ == "__main__":
    main()
