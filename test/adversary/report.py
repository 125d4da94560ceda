"""One table: every line that nmanager says, and what makes it true.

A check gets (match, runner) and returns None when the line is true (or cannot be judged), else what is wrong
with it. It is asked after a step, when rules and readiness have settled, and again for a second before it counts.
Lines change between versions of the program: this file is the only place that knows them.
"""

import datetime
import re
import time

from .api_server import Selector

UNKNOWN = "unknown line"
KUBE_PROXY_SELECTOR = Selector("!service.kubernetes.io/service-proxy-name,!service.kubernetes.io/headless")
OK, FAILED = r"\[\+\]", r"\[[-i]\]"
STAMP = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"


def fine(_match, _runner):
    return None


def rules_count(match, runner):
    """`IPv4 nat: 8 rules`: as many rules as stand in our chains, where iptables counts the same."""
    variant = runner.world.kube.variant
    if runner.expected().backend != "iptables-" + variant:
        return None
    table = runner.tables_now().saves[variant, int(match["family"])].get(match["table"])
    count = sum(len(rules) for chain, rules in table.rules.items() if chain.startswith("NMANAGER_")) if table else 0
    return None if count == int(match["rules"]) else f"{count} rules stand"


def backend_named(match, runner):
    wanted = runner.expected().backend
    return None if match["backend"] == wanted else f"it should be {wanted}"


def mode_named(match, runner):
    wanted = runner.world.settings.proxy_mode
    wanted = runner.mode() if wanted == "auto" else wanted
    if runner.world.notes.get("mode-in-doubt"):
        return None
    return None if match["mode"] == wanted else f"it is {wanted}"


def setting_told(match, runner):
    flags = runner.world.settings.flags()
    name = "--" + match["name"]
    if name in flags:
        given = flags[flags.index(name) + 1]
        same = sorted(given.split(",")) == sorted(match["value"].split(","))
        return None if same and match["where"] == "flag" else f"the flag says {given}"
    return None


def services_counted(match, runner):
    if not runner.services_are_known():
        return None
    count = sum(1 for item in runner.world.current_services() if KUBE_PROXY_SELECTOR.takes(item))
    # What cannot be read may or may not count.
    return None if abs(count - int(match["count"])) <= runner.world.notes.get("odd-services", 0) else f"there are {count}"


def chains_stand(_match, runner):
    """`kube-proxy-synced ok`: its chains are there in each family that is kept."""
    kube, tables = runner.world.kube, runner.tables_now()
    if kube.mode == "nftables":
        return None
    gone = [family for family in runner.world.settings.families()
            if "KUBE-SERVICES" not in getattr(tables.saves[kube.variant, family].get("nat"), "chains", {})]
    return f"KUBE-SERVICES is not there in IPv{gone[0]}" if gone else None


def kube_proxy_answers(match, runner):
    """`kube-proxy ok: ...`: it listens, its chains are there, and each sync it tells of can have been seen."""
    if runner.world.proxy.listener is None and time.monotonic() - runner.world.notes.get("proxy-down-at", 1e18) > 3:
        return "it does not listen"
    return chains_stand(match, runner) or syncs_were_seen(match[0], runner)


def syncs_were_seen(text, runner):
    """`its sync at T was verified N ms later`: only by one that was there at T (T17)."""
    for stamp in re.findall(rf"its sync at ({STAMP}) was verified", text):
        at = datetime.datetime.strptime(stamp, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=datetime.timezone.utc).timestamp()
        if at < runner.world.started_wall - 0.05 and "extra_env" not in runner.world.notes:
            return f"the process began {runner.world.started_wall - at:.1f} s after that sync"
    return None


def sync_of_status(match, runner):
    return syncs_were_seen(match[0], runner)


TABLES = {
    "readyz": [
        (OK + r"services-listed ok: (?P<count>\d+) Services?", services_counted),
        (OK + r"services-listed ok: not needed.*", fine),
        (FAILED + r"services-listed failed: .*", fine),
        (OK + r"backend ok: (?P<backend>[-a-z]+), .*", backend_named),
        (FAILED + r"backend failed: .*", fine),
        (OK + r"table-ipv(?P<family>[46])-(?P<table>filter|nat) ok: (?P<rules>\d+) rules?, verified \d+ s ago(, last displaced by .*)?", rules_count),
        (FAILED + r"table-ipv[46]-(filter|nat) failed: .*", fine),
        (OK + r"kube-proxy-synced ok: .*", chains_stand),
        (FAILED + r"kube-proxy-synced failed: .*", fine),
        (OK + r"kube-proxy ok: .*", kube_proxy_answers),
        (FAILED + r"kube-proxy failed: .*", fine),
        (OK + r"proxy-mode ok: (?P<mode>ipvs|iptables|nftables), told by .*", mode_named),
        (FAILED + r"proxy-mode failed: .*", fine),
        (OK + r"api-server ok: https://127\.0\.0\.1:\d+", fine),
        (FAILED + r"api-server failed: .*", fine),
        (r"\[i\]warning: .*", fine),
        (r"readyz check (passed|failed)", fine),
    ],
    "status": [
        (r"(not )?ready", fine),
        (r"  [-a-z0-9]+: .*", fine),
        (r"nmanager \S+, running since .*, backend (?P<backend>[-a-z]+)", backend_named),
        (r"tables:|settings:", fine),
        (r"  IPv(?P<family>[46]) (?P<table>filter|nat): (?P<rules>\d+) rules?, in place, verified .*", rules_count),
        (r"  IPv[46] (filter|nat): (left as it stands|.* rules?, (not in place|.*)|.*)", fine),
        (r"    written \d+ times, repaired \d+ times.*", fine),
        (r"    by its own word: .*", sync_of_status),
        (r"    .*", fine),
        (r"INVALID packets dropped: IPv4 \d+ IPv6 \d+", fine),
        (r"kube-proxy: mode (?P<mode>ipvs|iptables|nftables) \(told by .*\)", mode_named),
        (r"kube-proxy: .*", fine),
        (r"  IPv[46]: .*", fine),
        (r"  skipped, [a-z_]+: \d+", fine),
        (r"  (?P<name>[-a-z0-9]+) = (?P<value>.*) \((?P<where>[^)]*)\)", setting_told),
        (r"  .*", fine),
        (r"Services: (?P<count>\d+), \d+ of them with rules", services_counted),
        (r"Services: (the first list is not complete|not needed.*)", fine),
        (r"API server: .*", fine),
        (r"note: .*", fine),
    ],
    # README's table of failures names what is logged; errors are checked by their subject.
    "log": [
        (rf"{STAMP} (debug|info|warning) [^\x00-\x1f\x7f]*", fine),
        (rf"{STAMP} error [^\x00-\x1f\x7f]*(lock|inet nmanager|cannot|could not|failed|not ours|kernel|files)[^\x00-\x1f\x7f]*", fine),
        (r'\{[^\x00-\x1f\x7f]*"(debug|info|warning|error)"[^\x00-\x1f\x7f]*\}', fine),
    ],
}
COMPILED = {kind: [(re.compile(pattern), check) for pattern, check in table] for kind, table in TABLES.items()}


def check(kind, line, runner):
    """None: known and true; UNKNOWN; else what is wrong with it."""
    if not line.strip():
        return None
    for pattern, judge in COMPILED[kind]:
        match = pattern.fullmatch(line)
        if match:
            return judge(match, runner)
    return UNKNOWN


def contradiction(readyz):
    """/readyz?verbose against itself."""
    failing = any(line.startswith("[-]") for line in readyz.splitlines())
    return failing == ("readyz check passed" in readyz)


def shape(line):
    """A line without what differs each time."""
    line = re.sub(STAMP, "T", line)
    line = re.sub(r"\d+", "N", line)
    return re.sub(r"[a-z-]+/s[N]+\S*", "NS/NAME", line)[:200]
