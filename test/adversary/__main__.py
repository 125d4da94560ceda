"""The command line. A run is one seed in one world; each run is a process in its own namespaces (worker.py)."""

import argparse
import concurrent.futures
import json
import os
import re
import sys
import threading
import time

from .faults import TABLE
from .runs import BACKENDS, Controller, Tally, play_in_namespaces
from .runner import MEMORY_BOUND


def arguments(argv):
    parser = argparse.ArgumentParser(prog="run", description="A seeded random enemy of nmanager.")
    parser.add_argument("--binary", default=os.environ.get("NMANAGER", default_binary()))
    parser.add_argument("--backend", choices=[*BACKENDS, "all"], default="all", help="all: three worlds in parallel")
    parser.add_argument("--seed", type=int, default=None, help="first seed; each further run takes the next one")
    parser.add_argument("--minutes", type=float, default=0, help="duration; without it one run")
    parser.add_argument("--steps", type=int, default=300, help="steps of one run")
    parser.add_argument("--only", help="only faults whose name matches")
    parser.add_argument("--without", help="no faults whose name matches")
    parser.add_argument("--long", action="store_true", help="also the faults that take minutes")
    parser.add_argument("--memory-bound", type=int, default=MEMORY_BOUND >> 20, help="MiB resident")
    parser.add_argument("--replay", nargs="+", metavar="FILE", help="files of steps, as failing runs leave them")
    parser.add_argument("--no-shrink", action="store_true")
    parser.add_argument("--shrink-seconds", type=float, default=240, help="limit of the search for the shortest list of steps")
    parser.add_argument("--go-on", action="store_true", help="after a violation, continue with the next seed")
    parser.add_argument("--out", default="/tmp/adversary-failures", help="folder for the files of failing runs")
    parser.add_argument("--list", action="store_true", help="print the table of faults")
    parser.add_argument("--verbose", action="store_true")
    options = parser.parse_args(argv)
    options.until = time.time() + 60 * options.minutes if options.minutes else None
    options.binary = os.path.abspath(options.binary)
    if options.seed is None:
        options.seed = int(time.time())
    return options


def default_binary():
    return os.path.join(os.path.dirname(__file__), "../../build/release/nmanager")


def print_table():
    for entry in TABLE:
        about = " ".join(entry.about.split())
        print(f"{entry.name:34} weight {entry.weight:5} bound {entry.bound:5} s  {' '.join(entry.needs):24} {about}")


def replay_one(options, path):
    with open(path) as file:
        saved = json.load(file)
    result = play_in_namespaces(options, saved["seed"], saved["backend"], saved["steps"])
    said = f"{result['kind']}: {result['detail']}" if result["kind"] else "no violation"
    print(f"{os.path.basename(path)}: {said}", flush=True)
    return result


def replay(options):
    """Each file is a separate case; two run in parallel."""
    options.verbose = options.verbose or len(options.replay) == 1
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        results = list(pool.map(lambda path: replay_one(options, path), options.replay))
    failed = sum(1 for result in results if result["kind"])
    skipped = sum(1 for result in results if not result["kind"] and result["skipped"])
    print(f"{len(results) - failed - skipped} passed, {failed} failed, {skipped} skipped")
    return 1 if failed else 0


def main():
    options = arguments(sys.argv[1:])
    if options.list:
        print_table()
        return 0
    if not os.access(options.binary, os.X_OK):
        print(f"no binary at {options.binary}", file=sys.stderr)
        return 2
    if options.replay:
        return replay(options)
    for pattern in (options.only, options.without):
        re.compile(pattern or "")
    tally = Tally()
    backends = list(BACKENDS) if options.backend == "all" else [options.backend]
    workers = [threading.Thread(target=Controller(options, backend, tally).work) for backend in backends]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    tally.print()
    return 1 if tally.failed or not tally.passed else 0


if __name__ == "__main__":
    sys.exit(main())
