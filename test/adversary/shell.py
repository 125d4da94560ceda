"""Commands, locks and waiting."""

import fcntl
import os
import subprocess
import time


class CommandFailed(Exception):
    pass


def run(*argv, text=None, check=True, timeout=30, env=None):
    """Runs a command; returns (exit code, stdout, stderr)."""
    done = subprocess.run(argv, input=text, capture_output=True, timeout=timeout, env=env,
                          encoding="utf-8", errors="surrogateescape")
    if check and done.returncode != 0:
        raise CommandFailed(f"{' '.join(argv)}: exit {done.returncode}: {done.stderr.strip()[:400]}")
    return done.returncode, done.stdout, done.stderr


def together(*commands, env=None):
    """Runs several commands in parallel; returns their standard outputs in order."""
    started = [subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env,
                                encoding="utf-8", errors="surrogateescape") for argv in commands]
    outputs = []
    for argv, process in zip(commands, started):
        out, err = process.communicate(timeout=60)
        if process.returncode != 0:
            raise CommandFailed(f"{' '.join(argv)}: exit {process.returncode}: {err.strip()[:400]}")
        outputs.append(out)
    return outputs


class FileLock:
    """flock on the xtables lock file, as iptables-legacy takes it."""

    def __init__(self, path):
        self.path = path

    def __enter__(self):
        self.fd = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(self.fd, fcntl.LOCK_EX)
        return self

    def __exit__(self, *_):
        os.close(self.fd)


def await_true(condition, seconds, pause=0.01):
    """Polls with decreasing frequency; returns the last result."""
    until = time.monotonic() + seconds
    while True:
        result = condition()
        if result or time.monotonic() > until:
            return result
        time.sleep(pause)
        pause = min(pause * 1.5, 0.2)
