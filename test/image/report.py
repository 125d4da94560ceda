"""Counts, and what both scripts of this folder do with a condition."""

counts = {"passed": 0, "failed": 0}


def check(condition, what):
    counts["passed" if condition else "failed"] += 1
    if not condition:
        print("FAILED:", what)
    return bool(condition)
