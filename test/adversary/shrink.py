"""Delta debugging: the shortest list of steps that still fails in the same way."""

import time


def shorten(steps, fails, seconds, attempts=40):
    """`fails(steps)` runs them in a fresh world. The last step is the one that failed and stays."""
    budget, until = [attempts], time.monotonic() + seconds

    def check(candidate):
        if budget[0] <= 0 or time.monotonic() > until:
            return False
        budget[0] -= 1
        return fails(candidate)

    # Most violations need few steps before them: short tails first.
    for length in (1, 2, 4, 8, 16, 32):
        if length < len(steps) and check(steps[-length:]):
            steps = steps[-length:]
            break
    pieces = 2
    while len(steps) > 1 and budget[0] > 0:
        size = max(1, len(steps) // pieces)
        for start in range(0, len(steps), size):
            candidate = steps[:start] + steps[start + size:]
            if candidate and check(candidate):
                steps, pieces = candidate, max(pieces - 1, 2)
                break
        else:
            if size == 1:
                break
            pieces = min(pieces * 2, len(steps))
    return steps
