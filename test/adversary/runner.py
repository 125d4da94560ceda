"""Runs steps in a world and checks the invariants after each."""

import os
import random
import threading
import time

from . import report, services
from .faults import TABLE, usable
from .judge import Judge, compare_apart
from .oracle import expect
from .shell import CommandFailed
from .tables import Table
from .world import World

READY_BOUND = 3.0  # seconds from correct rules to a correct answer of /readyz
LIVE_BOUND = 1.0
LOG_LINES_BOUND = 1500  # in one step
CONTESTED_BOUND = 14.0
LOOK_SECONDS = 0.05  # one reading of all tables on an idle machine takes less
WORDS_BOUND = 2.0  # seconds after which an untrue line is a violation: kube-proxy is queried every second
NOTICE_BOUND = 1.0  # seconds after which wrong rules and "ready" contradict each other
MEMORY_BOUND = 160 << 20
LIST_PAUSES = (6.0, 12.0, 24.0, 35.0)  # README: pauses grow with the faults of the API server of the last minute
THREADS_BOUND = 24
DESCRIPTORS_BOUND = 96


EMPTY = Table()


class Violation(Exception):
    def __init__(self, kind, detail):
        super().__init__(f"{kind}: {detail}")
        self.kind = kind
        self.detail = detail


class LiveWatch(threading.Thread):
    """Queries /livez continuously and records answers that were late or bad."""

    def __init__(self, world):
        super().__init__(daemon=True)
        self.world, self.paused, self.ended, self.bad = world, 1, False, []
        self.quiet_until = 0.0

    def run(self):
        row = 0
        while not self.ended:
            time.sleep(0.25)
            if self.paused or not self.world.alive():
                row = 0
                continue
            began = time.monotonic()
            status, body = self.world.get("/livez", timeout=LIVE_BOUND)
            if self.paused or began < self.quiet_until or not self.world.alive() or status == 200:
                row = 0
                continue
            row += 1
            if row == 2:  # a single one may be caused by the machine
                self.bad.append((status, body))

    def pause(self):
        self.paused += 1

    def resume(self, grace=0.5):
        self.quiet_until = time.monotonic() + grace
        self.paused -= 1


class Runner:
    def __init__(self, options, seed, backend, variant):
        self.options = options
        self.seed, self.backend, self.variant = seed, backend, variant
        self.start_random = random.Random(seed)
        self.world = World(options.binary, variant, "auto" if backend == "auto" else backend, seed)
        self.judge = Judge()
        self.random = self.start_random  # the random numbers of the current step
        self.expectation = None
        self.expectation_key = None
        self.baseline = None
        self.steps = 0
        self.probes = 0
        self.pace = 1.0  # how much slower the machine is than when idle; bounds grow with it
        self.step_name = "start"
        self.live = LiveWatch(self.world)
        self.cpu_mark = None
        self.unknown = {}
        self.seen_now = self.last_good = None
        self.harms = []  # (time, step) of steps that changed our rules
        self.harmed_ever = False
        self.api_harms = []  # when steps disturbed the API server
        self.ready_expected = None  # result of the last wait for readiness; None: there was no wait
        self.skipped = {}
        self.slow_recoveries = {}
        self.listing_from = time.monotonic()

    # Begin and end

    def start(self):
        world = self.world
        services.set_up(self.start_random, world.api.store, self.start_random.choice([3, 8, 12, 30]))
        world.kube.full_sync()
        world.proxy.mark_synced()
        self.stranger_rules()
        world.start()
        self.live.start()
        self.rebase()
        self.live.resume(2.0)
        self.settle(5.0)

    def close(self, keep=False):
        self.live.ended = True
        self.world.close(keep)

    def stranger_rules(self, families=(4, 6)):
        """Rules of others, with counters that no packet moves."""
        kube = self.world.kube
        for family in families:
            address = "203.0.113.250" if family == 4 else "2001:db8:99::1"
            kube.restore(family, f"""*filter
:ADV-FILTER - [0:0]
[7:420] -A INPUT -s {address} -m comment --comment adv-input -j ADV-FILTER
[11:660] -A ADV-FILTER -p tcp -m tcp --dport 9 -m comment --comment "adv-drop" -j DROP
COMMIT
*nat
:ADV-NAT - [0:0]
[3:180] -A PREROUTING -s {address} -m comment --comment adv-nat -j ADV-NAT
[5:300] -A OUTPUT -d {address} -m comment --comment adv-out -j ADV-NAT
COMMIT
*raw
[2:99] -A PREROUTING -s {address} -m comment --comment adv-raw -j ACCEPT
COMMIT
""")

    # Expectations

    def expected(self, items=None):
        world = self.world
        key = (id(world.settings), world.kube.mode, world.proxy.mode, world.proxy.faults.mode_text, world.kube.variant,
               world.api.store.version, world.api.store.epoch, world.notes.get("mode"))
        if items is None and key == self.expectation_key:
            return self.expectation
        made = expect(world.settings, self.mode(), world.kube.variant, world.current_services() if items is None else items)
        if items is None:
            self.expectation, self.expectation_key = made, key
        return made

    def mode(self):
        """kube-proxy's mode as it reports it."""
        text = self.world.proxy.faults.mode_text
        return text if text in ("ipvs", "iptables", "nftables") else self.world.proxy.mode

    def changed_settings(self):
        self.expectation_key = None

    # Foreign rules

    def rebase(self):
        """Accepts the current foreign rules as correct."""
        self.baseline = self.world.tables().foreign

    def check_foreign(self, tables):
        if tables.foreign == self.baseline:
            return
        # A legacy commit sets counters to 0 for a moment before it adds them again: read again.
        for pause in (0.03, 0.1, 0.3):
            time.sleep(pause)
            foreign = self.world.tables().foreign
            if foreign == self.baseline:
                break
        else:
            before, after = set(self.baseline), set(foreign)
            raise Violation("foreign-changed", f"missing {sorted(map(str, before - after))[:4]} new {sorted(map(str, after - before))[:4]}"
                            + ("" if before != after else " (order)"))

    # Awaiting

    def look(self):
        began = time.monotonic()
        tables = self.world.tables()
        self.probes += 1
        now = min(6.0, max(1.0, (time.monotonic() - began) / LOOK_SECONDS))
        self.pace = max(now, 0.8 * self.pace + 0.2 * now)  # grows at once, shrinks gradually
        return tables

    def settle(self, bound, ready=True, expectation=None, ready_bound=READY_BOUND, check_ready_meanwhile=True,
               notice=NOTICE_BOUND, strict=False):
        """Waits until the rules are right, then until readiness says so; raises a Violation if either takes too long."""
        if self.seen_as_rival() and not strict:
            bound, ready_bound = max(bound, CONTESTED_BOUND), max(ready_bound, CONTESTED_BOUND)
        bound, notice = (max(limit, self.list_pause()) for limit in (bound, notice))
        began, pause = time.monotonic(), 0.005
        while True:
            self.check_alive()
            wanted = expectation or self.expected()
            late = time.monotonic() - began
            ready_before = check_ready_meanwhile and late > notice * self.pace and self.world.get("/readyz")[0] == 200
            tables = self.look()
            self.check_foreign(tables)
            problems = self.judge.problems(tables, wanted)
            if not problems:
                self.last_good = tables
                break
            if ready_before and self.world.get("/readyz")[0] == 200 and self.judge.problems(self.world.tables(), wanted):
                raise Violation("ready-while-wrong", f"{late:.1f} s after {self.step_name}: {problems[:3]}")
            if late > bound * self.pace:
                raise Violation("rules-wrong", f"{late:.1f} s after {self.step_name}: {problems[:3]}")
            time.sleep(pause)
            pause = min(pause * 1.6, 0.15)
        took = time.monotonic() - began
        self.slow_recoveries[self.step_name] = max(took, self.slow_recoveries.get(self.step_name, 0.0))
        self.ready_expected = None
        if ready is not None:
            self.await_ready(ready, ready_bound)

    def list_pause(self):
        """While the API server is disturbed, the client waits up to this long before it lists again, and stays ready."""
        if self.services_are_known():
            return 0
        return LIST_PAUSES[min(len([when for when in self.api_harms if time.monotonic() - when < 75]), len(LIST_PAUSES) - 1)]

    def settle_apart(self, bound, expectation, contested):
        """As settle(), except for the rules of one hook, which another agent keeps changing; readiness is not checked."""
        bound = max(bound, self.list_pause())
        began = time.monotonic()
        while True:
            self.check_alive()
            tables = self.look()
            problems = [problem for problem in compare_apart(tables, expectation, contested)]
            if not problems:
                return
            if time.monotonic() - began > bound * self.pace:
                raise Violation("rules-wrong", f"{time.monotonic() - began:.1f} s after {self.step_name}, apart from the contested hook: "
                                f"{problems[:3]}")
            time.sleep(0.02)

    def seen_as_rival(self):
        """README: the delays between repairs grow up to 10 s while an agent undoes our rules again and again.

        Steps follow each other so fast that several of them look like such an agent."""
        now = time.monotonic()
        self.harms = [(when, step) for when, step in self.harms if now - when < 60]
        return sum(1 for _, step in self.harms if step != self.steps) >= 2

    def await_ready(self, ready, bound):
        began, pause = time.monotonic(), 0.005
        self.ready_expected = ready
        while True:
            status, body = self.world.get("/readyz?verbose")
            if status is not None and (status == 200) == ready:
                return body
            self.check_alive()
            if time.monotonic() - began > bound * self.pace:
                kind = "not-ready-while-right" if ready else "ready-while-kube-proxy-is-not"
                failing = [line for line in (body or "").splitlines() if line.startswith("[-]")]
                raise Violation(kind, f"{time.monotonic() - began:.1f} s after the rules were right: {status} {failing[:3]}")
            time.sleep(pause)
            pause = min(pause * 1.6, 0.1)

    def never_other_than(self, candidates, seconds, what):
        """During a fault the rules are always those of one of the candidates."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self.check_alive()
            tables = self.look()
            found = [self.judge.problems(tables, candidate) for candidate in candidates]
            if all(found):
                time.sleep(0.1)
                again = self.world.tables()
                if all(self.judge.problems(again, candidate) for candidate in candidates):
                    raise Violation("rules-wrong-during", f"{what}: {found[0][:2]}")
            time.sleep(0.1)

    # Invariants

    def check_alive(self):
        if self.world.process is not None and self.world.process.poll() is not None:
            code = self.world.process.returncode
            tail = "".join(open(self.world.log_path, errors="replace").readlines()[-5:])
            raise Violation("died", f"exit code {code} in {self.step_name}; log: {tail[-1200:]}")

    def check_after_step(self):
        self.check_alive()
        if self.live.bad:
            raise Violation("not-live", f"/livez: {self.live.bad[0]} in {self.step_name}")
        if not self.world.alive():
            return
        self.check_usage()
        self.check_words()
        lists = self.world.api.lists_since(time.monotonic() - 10)
        if lists > 60:
            raise Violation("list-storm", f"{lists} lists in 10 s after {self.step_name}")

    def check_usage(self):
        pid = self.world.process.pid
        try:
            with open(f"/proc/{pid}/status") as file:
                fields = dict(line.split(":", 1) for line in file)
            descriptors = len(os.listdir(f"/proc/{pid}/fd"))
            with open(f"/proc/{pid}/stat") as file:
                ticks = file.read().rpartition(")")[2].split()[11:13]
        except (OSError, KeyError):
            return
        memory, threads = int(fields["VmRSS"].split()[0]) << 10, int(fields["Threads"])
        if memory > self.options.memory_bound:
            raise Violation("memory", f"{memory >> 20} MiB resident after {self.step_name}")
        if threads > THREADS_BOUND or descriptors > DESCRIPTORS_BOUND:
            raise Violation("handles", f"{threads} threads, {descriptors} descriptors")
        cpu, now = sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK"), time.monotonic()
        if self.cpu_mark and self.cpu_mark[0] == pid:
            _, cpu0, now0 = self.cpu_mark
            if now - now0 < 20:
                return
            if (cpu - cpu0) / (now - now0) > 0.6:
                raise Violation("cpu", f"{100 * (cpu - cpu0) / (now - now0):.0f} % of a core over {now - now0:.0f} s")
        self.cpu_mark = (pid, cpu, now)

    def check_words(self):
        """Every line of /readyz?verbose, /status and the log is known, and true if that can be checked."""
        for kind, path in (("readyz", "/readyz?verbose"), ("status", "/status")):
            text = self.world.get(path)[1]
            until = time.monotonic() + WORDS_BOUND * self.pace
            self.seen_now = self.seen_now or self.last_good  # of this step
            while any(report.check(kind, line, self) not in (None, report.UNKNOWN) for line in text.splitlines()) \
                    and time.monotonic() < until:
                time.sleep(0.03)
                self.seen_now = None
                text = self.world.get(path)[1]
            if kind == "readyz" and report.contradiction(text):
                self._line(kind, text.splitlines()[-1], "its lines contradict it")
            for line in text.splitlines():
                self._line(kind, line, report.check(kind, line, self))
        lines = self.world.new_log()
        if len(lines) > LOG_LINES_BOUND:
            raise Violation("log-flood", f"{len(lines)} lines in {self.step_name}")
        for line in lines:
            self._line("log", line, report.check("log", line, self))

    def _line(self, kind, line, problem):
        if problem is None:
            return
        unknown = problem == report.UNKNOWN
        key = ("unknown " + kind if unknown else "untrue " + kind, report.shape(line + ("" if unknown else ": " + problem)))
        self.unknown[key] = self.unknown.get(key, 0) + 1
        raise Violation("unknown-line" if unknown else "untrue-line", f"{kind}: {line!r}: {problem}")

    # For faults

    def stranger_rules_again(self):
        """Restores the foreign rules after a flush or a deletion."""
        kube = self.world.kube
        with self.world.frozen():
            for family in (4, 6):
                saved = self.world.tables().saves[kube.variant, family]
                if "ADV-FILTER" in saved.get("filter", EMPTY).chains and "ADV-NAT" in saved.get("nat", EMPTY).chains:
                    continue
                for table, hook in (("filter", "INPUT"), ("nat", "PREROUTING"), ("nat", "OUTPUT"), ("raw", "PREROUTING")):
                    for rule in saved.get(table, EMPTY).rules.get(hook, []):
                        if "adv-" in rule:
                            kube.restore(family, f"*{table}\n-D{rule[2:]}\nCOMMIT\n")
                for table, chain in (("filter", "ADV-FILTER"), ("nat", "ADV-NAT")):
                    if chain in saved.get(table, EMPTY).chains:
                        kube.call(family, "-t", table, "-F", chain)
                self.stranger_rules((family,))
            self.rebase()

    def tables_now(self):
        """One reading for all lines that are checked together."""
        if self.seen_now is None:
            self.seen_now = self.world.tables()
        return self.seen_now

    def services_are_known(self):
        """The API server works, so the program has seen every Service by now."""
        api = self.world.api
        return time.monotonic() - max(api.store.disturbed, api.faults.touched) > 15 and api.listener is not None and not api.faults.any()

    def hold_still(self, seconds):
        """Nothing happens, and the rules stay right."""
        self.never_other_than([self.expected()], seconds, self.step_name)

    def check_everything(self):
        """No rules of ours are left in the variant that is not in use."""
        problems = self.judge.problems(self.world.tables(everything=True), self.expected())
        if problems:
            raise Violation("left-over", f"after {self.step_name}: {problems[:3]}")

    def await_true_mode(self):
        time.sleep(0.05)

    def report(self, kind, detail):
        raise Violation(kind, detail)

    def skip(self, why):
        self.skipped[why] = self.skipped.get(why, 0) + 1

    # Steps

    def choose(self, chooser):
        table = [fault for fault in TABLE if usable(fault, self)]
        if self.options.only:
            table = [fault for fault in table if self.options.only.search(fault.name)]
        if not table:
            raise Violation("enemy-stumbled", "no fault can be chosen")
        fault = chooser.choices(table, [fault.weight for fault in table])[0]
        return fault.name, chooser.randrange(1 << 30)

    def step(self, name, seed):
        fault = next(fault for fault in TABLE if fault.name == name)
        if not usable(fault, self):
            return False  # a shortened run may lack what this step needs
        self.random = random.Random(seed)
        self.step_name = name
        self.steps += 1
        self.seen_now = self.last_good = None
        if fault.group not in ("api", "services"):
            self.harmed_ever = True
        if fault.group == "api" or "kubeconfig" in name:
            self.api_harms = self.api_harms[-20:] + [time.monotonic()]
        if fault.harms:
            self.harms += [(time.monotonic(), self.steps)] * (3 if "rival" in name or "fought" in name else 1)
        try:
            fault.act(self, fault)
            self.check_after_step()
        except CommandFailed as problem:
            raise Violation("command-failed", f"{name}: {problem}") from problem
        return True
