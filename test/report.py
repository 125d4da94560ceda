"""Counts the checks of the scripts in test/, and prints the line that test/run.sh adds up."""
import threading

lock = threading.Lock()
counts = {"passed": 0, "failed": 0, "skipped": 0}


def check(condition, what):
    with lock:
        counts["passed" if condition else "failed"] += 1
    if not condition:
        print("FAILED:", what, flush=True)
    return bool(condition)


def skip(reason):
    counts["skipped"] += 1
    print("SKIP:", reason)


def summary():
    print(f"{counts['passed']} passed, {counts['failed']} failed, {counts['skipped']} skipped", flush=True)
    return counts["failed"] != 0
