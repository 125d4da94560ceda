"""One table: every line that nmanager says, and what makes it true.

A check gets (match, runner) and returns None when the line is true (or cannot be judged now), else what is wrong.
Lines change between versions: this file is the only place that knows them.
"""

import re

UNKNOWN = "unknown line"
READY_MARK = r"\[(?P<mark>[-+i])\]"


def fine(_match, _runner):
    return None


def rules_count(match, runner):
    """`IPv4 nat: 8 rules`: as many rules as stand in our chains, where iptables counts the same."""
    tables = runner.world.tables()
    variant = runner.world.kube.variant
    if runner.expected().backend != "iptables-" + variant:
        return None
    family = int(match["family"])
    table = tables.saves[variant, family].get(match["table"])
    count = sum(len(rules) for chain, rules in table.rules.items() if chain.startswith("NMANAGER_")) if table else 0
    return None if count == int(match["rules"]) else f"{count} rules stand"


def backend_named(match, runner):
    """Settled, it is the one that README's table says."""
    wanted = runner.expected().backend
    return None if match["backend"].startswith(wanted) else f"it should be {wanted}"


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
        return None if given == match["value"] and match["where"] == "flag" else f"the flag says {given}"
    return None


TABLES = {
    "readyz": [
        (READY_MARK + r"services-listed (ok|failed).*", fine),
        (READY_MARK + r"backend ok: (?P<backend>[-a-z]+).*", backend_named),
        (READY_MARK + r"backend (failed).*", fine),
        (READY_MARK + r"table-ipv(?P<family>[46])-(?P<table>filter|nat) ok: (?P<rules>\d+) rules?, verified .* ago", rules_count),
        (READY_MARK + r"table-ipv(?P<family>[46])-(?P<table>filter|nat) .*", fine),
        (READY_MARK + r"kube-proxy-synced (ok|failed).*", fine),
        (READY_MARK + r"kube-proxy (ok|failed).*", fine),
        (READY_MARK + r"proxy-mode ok: (?P<mode>ipvs|iptables|nftables), .*", mode_named),
        (READY_MARK + r"proxy-mode .*", fine),
        (READY_MARK + r"api-server .*", fine),
        (READY_MARK + r"warning: .*", fine),
        (r"readyz check (passed|failed)", fine),
    ],
    "status": [
        (r"(not )?ready", fine),
        (r"  [-a-z0-9]+: .*", fine),
        (r"nmanager \S+, running since .*, backend (?P<backend>[-a-z]+)", backend_named),
        (r"tables:|settings:", fine),
        (r"  IPv(?P<family>[46]) (?P<table>filter|nat): (?P<rules>\d+) rules?, in place, verified .*", rules_count),
        (r"  IPv[46] (filter|nat): .*", fine),
        (r"    written \d+ times, repaired \d+ times.*", fine),
        (r"    .*", fine),
        (r"INVALID packets dropped: .*", fine),
        (r"kube-proxy: mode (?P<mode>ipvs|iptables|nftables) .*", mode_named),
        (r"kube-proxy: .*", fine),
        (r"  .*", fine),
        (r"Services: .*", fine),
        (r"API server: .*", fine),
        (r"note: .*", fine),
        (r"  (?P<name>[-a-z0-9]+) = (?P<value>.*) \((?P<where>[^)]*)\)", setting_told),
    ],
    "log": [
        (r"\S+ (debug|info|warning|error) .*", fine),
        (r'\{"time".*\}', fine),
    ],
}
COMPILED = {kind: [(re.compile(pattern), check) for pattern, check in table] for kind, table in TABLES.items()}
STATUS_SETTING = re.compile(r"  (?P<name>[-a-z0-9]+) = (?P<value>.*) \((?P<where>[^)]*)\)")


def check(kind, line, runner):
    """None: known and true; UNKNOWN; else what is wrong with it."""
    if not line.strip():
        return None
    if kind == "status" and STATUS_SETTING.fullmatch(line):
        return setting_told(STATUS_SETTING.fullmatch(line), runner)
    for pattern, judge in COMPILED[kind]:
        match = pattern.fullmatch(line)
        if match:
            return judge(match, runner)
    return UNKNOWN


def shape(line):
    """A line without what differs each time."""
    return re.sub(r"\d+", "N", line)[:160]
