"""The table of every line that nmanager prints, with the condition under which it is true.

A check gets (match, runner) and returns None when the line is true (or cannot be judged now), else what is wrong with it. It
is called after a step, when rules and readiness have settled, and again for a second before it fails. A line without an entry
fails. Lines change between versions of the program: this file is the only place that knows them, one entry each.
"""

import datetime
import json
import re
import time

from .store import Selector

UNKNOWN = "unknown line"
KUBE_PROXY_SELECTOR = Selector("!service.kubernetes.io/service-proxy-name,!service.kubernetes.io/headless")
STAMP = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"
TABLE = r"IPv(?P<family>[46]) (?P<table>filter|nat)"
SLACK = 3.0  # seconds from an event to the turn of the loop that shows it, on an idle machine
PROXY_MEMORY = 15.0  # kube-proxy's metrics are read every 10 s
VARIANT_MEMORY = 12.0  # both variants are checked every 10 s
API_MEMORY = 65.0  # pauses between tries at the API server grow to 30 s; silence counts as stale after a minute
WRITERS = r"(ip6?tables[-a-z]*|xtables-[-a-z]*|nft)"  # a process name as in the kernel: truncated to 15 characters
CAUSES = {"jump_missing", "jump_displaced", "jump_duplicated", "jump_altered", "jump_left_over", "chain_missing", "chain_left_over",
          "rule_missing", "rule_foreign", "rule_order", "table_altered", "set_missing", "set_altered", "set_left_over",
          "element_missing", "element_foreign"}
DEFAULTS = {"rule-drop-invalid-input-exempt": "", "rule-external-cluster-enable": "auto", "rule-external-cluster-match": "port",
            "external-cluster-policy": "local", "backend": "auto", "ip-family": "auto", "proxy-mode": "auto", "watch": "event",
            "masquerade-bit": "14", "lock-wait": "5s", "kube-proxy-metrics": "127.0.0.1:10249", "listen": "127.0.0.1:10261",
            "log-level": "info", "log-format": "text", "rule-drop-invalid-input-enable": "true"}


# Conditions


def fine(_match, _runner):
    """For text without a statement about the world (headings, a line that another one proves)."""
    return None


def moment(stamp):
    return datetime.datetime.strptime(stamp, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=datetime.timezone.utc).timestamp()


def clock_is_ours(runner):
    return "extra_env" not in runner.world.notes  # libfaketime shifts its clock


def proxy_was_disturbed(runner, seconds=PROXY_MEMORY):
    proxy = runner.world.proxy
    last = max(proxy.disturbed, proxy.faults.touched)
    return proxy.listener is None or proxy.in_fault() or time.monotonic() - last < seconds * runner.pace


def api_was_disturbed(runner, seconds=API_MEMORY):
    api = runner.world.api
    last = max(api.disturbed, api.store.disturbed, api.faults.touched)
    return not runner.services_are_known() or time.monotonic() - last < seconds * runner.pace


def nat_of(runner, family):
    saves = runner.tables_now().saves
    return saves[runner.world.kube.variant, family].get("nat")


def kube_chain(runner, family):
    return "KUBE-SERVICES" in getattr(nat_of(runner, family), "chains", {})


def kube_jumps(runner, family):
    nat = nat_of(runner, family)
    return all(any(re.search(r" -[jg] KUBE-", rule) for rule in nat.rules.get(hook, [])) for hook in ("PREROUTING", "OUTPUT"))


# Checks


def rules_count(match, runner):
    """The number of rules in our chains, if iptables counts the same; and verified within the time that README names."""
    if "ago" in match.groupdict() and match["ago"] and int(match["ago"]) > 310 * runner.pace:
        return "it must be checked every five minutes"
    variant = runner.world.kube.variant
    if runner.expected().backend != "iptables-" + variant:
        return None
    table = runner.tables_now().saves[variant, int(match["family"])].get(match["table"])
    count = sum(len(rules) for chain, rules in table.rules.items() if chain.startswith("NMANAGER_")) if table else 0
    return None if count == int(match["rules"]) else f"{count} rules are in place"


def table_kept(match, runner):
    if match["waiting"]:  # the settled step has ended, and changes share commits for at most a second
        return "no change waits for longer than a second"
    if match["rival"]:
        return rival_known(match, runner)
    return rules_count(match, runner)


def not_kept(match, runner):
    """No rules are wanted in this table."""
    family, table = int(match["family"]), match["table"]
    wanted = any(key[:2] == (family, table) for key in runner.expected().effects)
    return "rules are wanted there" if wanted else None


def step_ended_otherwise(_match, runner):
    """A check must not fail if the step ended with rules in place and a node that has to be ready."""
    return "the node should be ready" if runner.ready_expected is True else None


def ready_word(match, runner):
    if runner.ready_expected is None:
        return None
    return None if (match[1] != "not ") == runner.ready_expected else "the last wait had the other result"


def backend_named(match, runner):
    wanted = runner.expected().backend
    return None if match["backend"] == wanted else f"it should be {wanted}"


def backend_because(match, runner):
    """`KUBE-SERVICES in X`: it exists there."""
    wrong = backend_named(match, runner)
    found = re.search(r"KUBE-SERVICES(?: and hint chains)? in iptables-(legacy|nft)", match[0])
    if wrong or not found or runner.world.kube.mode == "nftables" or runner.ready_expected is not True:
        return wrong
    saves = runner.tables_now().saves
    stand = any("KUBE-SERVICES" in getattr(saves[found[1], family].get("nat"), "chains", {}) for family in (4, 6))
    return None if stand else f"no KUBE-SERVICES in iptables-{found[1]}"


def mode_named(match, runner):
    wanted = runner.world.settings.proxy_mode
    wanted = runner.mode() if wanted == "auto" else wanted
    if runner.world.notes.get("mode-in-doubt"):
        return None
    return None if match["mode"] == wanted else f"it is {wanted}"


def mode_by(match, runner):
    """The source: kube-proxy itself, unless it cannot be queried; a reported difference to its file exists."""
    wrong = mode_named(match, runner)
    if wrong:
        return wrong
    if match["origin"] in ("config.conf", "kernel") and not proxy_was_disturbed(runner):
        return "kube-proxy answers /proxyMode"
    if match["origin"] == "flag" and runner.world.settings.proxy_mode == "auto":
        return "no flag sets it"
    return None


def mode_note(match, runner):
    """Its answer and its file differ, or it could not be queried recently."""
    told = re.search(r"runs in mode (\S+), its configuration says (\S+):", match[0])
    if told:
        return None if told[1] != told[2] == runner.world.kube.mode else "its configuration has the same mode"
    return None if proxy_was_disturbed(runner) else "kube-proxy answers /proxyMode"


def setting_told(match, runner):
    flags = runner.world.settings.flags()
    name, value, where = match["name"], match["value"], match["where"]
    if "--" + name in flags:
        given = flags[flags.index("--" + name) + 1]
        same = sorted(given.split(",")) == sorted(value.split(","))
        return None if same and where == "flag" else f"the flag is {given}"
    if name in ("kubeconfig", "kube-proxy-config"):
        return None if where == "flag" else "a flag sets it"
    if where == "default":
        return None if DEFAULTS.get(name, value) == value else f"the default is {DEFAULTS[name]}"
    settings = runner.world.settings
    filed = {"pod-cidr-ipv4": settings.file_pod_cidr4, "pod-cidr-ipv6": settings.file_pod_cidr6,
             "masquerade-bit": str(settings.file_masquerade_bit)}
    if where == "kube-proxy config" and name in filed and runner.world.notes.get("files-sound", True):
        return None if filed[name] == value else f"the file has {filed[name]}"
    return None


def services_counted(match, runner):
    if not runner.services_are_known():
        return None
    count = sum(1 for item in runner.world.current_services() if KUBE_PROXY_SELECTOR.takes(item))
    # Unreadable objects may or may not be included, and not yet what waits.
    unknown = runner.world.notes.get("odd-services", 0) + int(match.groupdict().get("waiting") or 0)
    return None if abs(count - int(match["count"])) <= unknown else f"there are {count}"


def services_not_needed(match, runner):
    settings, mode = runner.world.settings, runner.mode()
    mode = mode if settings.proxy_mode == "auto" else settings.proxy_mode
    if "are off" in match[0]:
        return None if settings.external == "false" else "they are not off"
    told = re.search(r"runs in (\S+) mode", match[0])
    return None if told and told[1] == mode != "ipvs" else f"kube-proxy runs in {mode} mode"


def services_missing(_match, runner):
    return "the API server answers" if not api_was_disturbed(runner) else None


def chains_stand(match, runner):
    """kube-proxy's chains exist, and have not changed later than reported."""
    kube = runner.world.kube
    if kube.mode == "nftables":
        return None
    gone = [family for family in runner.world.settings.families() if not kube_chain(runner, family)]
    if len(gone) == len(runner.world.settings.families()):
        return "KUBE-SERVICES does not exist"
    since = time.monotonic() - kube.touched
    for family, seconds in re.findall(r"IPv([46]) changed (\d+) s ago", match[0]):
        if int(family) in gone:
            return f"KUBE-SERVICES does not exist in IPv{family}"
        if int(seconds) < since - SLACK * runner.pace and clock_is_ours(runner):
            return f"they have not changed for {since:.0f} s"
    return None


def kube_proxy_well(match, runner):
    """It listens, has synced, and each reported sync took place, and was observable if the line says so."""
    proxy = runner.world.proxy
    if proxy.listener is None and time.monotonic() - proxy.disturbed > SLACK * runner.pace:
        return "it does not listen"
    return syncs_were(match, runner)


def syncs_were(match, runner):
    proxy, began = runner.world.proxy, runner.world.started_wall
    if not clock_is_ours(runner):
        return None
    for family, stamp, rest in re.findall(rf"(?:(IPv[46]) )?its sync at ({STAMP}) (is not verified yet|was [^;]*)", match[0]):
        at = moment(stamp)
        if not any(abs(at - known) < 0.002 for known in proxy.syncs[family] or []) if family else False:
            return f"{family} never had a sync at {stamp}"
        if "later" in rest and at < began - 0.05:
            return f"the process began {began - at:.1f} s after that sync"
        if "before nmanager started" in rest and at > began + 1:
            return f"the process began {at - began:.1f} s before that sync"
    return None


def kube_proxy_ill(match, runner):
    """A reported bad state of kube-proxy is one that it was in recently."""
    text = match[0]
    families = runner.world.settings.families()
    if "Services do not work on this node" in text:
        return "jumps lead to its chains" if all(kube_jumps(runner, f) for f in families if kube_chain(runner, f)) else None
    if "KUBE-SERVICES is empty" in text:
        return "it is not empty" if all(nat_of(runner, f).rules.get("KUBE-SERVICES") for f in families if kube_chain(runner, f)) else None
    if "iptables-restore has failed" in text:
        return None if any(runner.world.proxy.restore_failures.values()) or proxy_was_disturbed(runner) else "none has failed"
    return None if proxy_was_disturbed(runner) else "kube-proxy answers"


def chains_gone(_match, runner):
    if runner.world.kube.mode == "nftables":
        return None
    return "they exist" if all(kube_chain(runner, f) for f in runner.world.settings.families()) else None


def api_well(match, runner):
    """It answered recently, unless it was unreachable or silent."""
    if match["ago"] and int(match["ago"]) > API_MEMORY * runner.pace and not api_was_disturbed(runner):
        return "its bookmarks are more frequent"
    return None


def api_ill(_match, runner):
    return None if api_was_disturbed(runner) else "it has had no fault for a minute"


def api_not_asked(_match, runner):
    needed = any(table == "nat" for _, table, _ in runner.expected().effects)
    return "Services are needed" if needed and runner.services_are_known() else None


def nothing_dropped(match, _runner):
    """The test sends no INVALID packets, but after a flush of the ruleset conntrack finds some in connections of the loopback."""
    seen = conntrack_invalid()
    counts = [int(count) for count in re.findall(r", (\d+) (?:dropped|counted)", match["counts"])]
    return f"conntrack saw {seen} INVALID packets" if any(count > seen for count in counts) else None


def conntrack_invalid():
    """In this network namespace, whatever the rules."""
    with open("/proc/net/stat/nf_conntrack") as file:
        names, *cpus = (line.split() for line in file)
    return sum(int(cpu[names.index("invalid")], 16) for cpu in cpus)


def rival_known(_match, runner):
    return None if runner.harmed_ever else "no other program has changed our rules"


def repaired(match, runner):
    causes = [part.split(" in ")[0] for part in match["what"].split(" and ")[0].split(", ")]
    if not set(causes) <= CAUSES:
        return f"unknown cause in {causes}"
    return None if runner.harmed_ever else "no other program has changed our rules"


def times(match, runner):
    causes = [part.strip().rpartition(" ")[0] for part in (match["causes"] or "").split(",") if part.strip()]
    if not set(causes) <= CAUSES:
        return f"unknown cause in {causes}"
    if int(match["repaired"]) and not runner.harmed_ever:
        return "no other program has changed our rules"
    return None


# Warnings: each describes the present state


def both_variants(_match, runner):
    saves = runner.world.tables(everything=True).saves
    def holds(variant):
        return any("KUBE-SERVICES" in t.chains or any(c in t.chains for c in ("KUBE-KUBELET-CANARY", "KUBE-PROXY-CANARY"))
                   for family in (4, 6) for t in saves[variant, family].values())
    lately = time.monotonic() - runner.world.notes.get("both-variants-at", -1e9) < VARIANT_MEMORY * runner.pace
    return None if lately or (holds("legacy") and holds("nft")) else "only one variant has chains"


def not_obeyed(_match, runner):
    return None if runner.world.settings.external == "true" and runner.mode() != "ipvs" else "it is obeyed"


def mode_unknown(_match, runner):
    return None if proxy_was_disturbed(runner) else "kube-proxy answers /proxyMode"


def contested(_match, runner):
    return None if runner.harmed_ever else "no other program has changed our rules"


def file_trouble(_match, runner):
    return None if time.monotonic() - runner.world.notes.get("files-broken-at", -1e9) < 20 * runner.pace else "the files are correct"


def pod_cidr_missing(_match, runner):
    settings = runner.world.settings
    if not runner.world.notes.get("files-sound", True):
        return None
    return None if not settings.pod_cidr(4) and not settings.pod_cidr(6) else "there is a pod CIDR"


def forward_uncured(_match, runner):
    settings = runner.world.settings
    if not runner.world.notes.get("files-sound", True) or proxy_was_disturbed(runner):
        return None
    return None if not settings.pod_cidr(4) and not settings.pod_cidr(6) else "there is a pod CIDR"


def cure_of_drop(match, setting, kept):
    """`kept`: it appears to be wanted; None: cannot be judged."""
    state = match["state"]
    if setting == "false":
        return None if state == "OFF" else "it is turned off"
    if kept is None or state == "NOT DECIDED YET":
        return None
    return None if (state in ("ON", "FAILING")) == kept else f"wanted: {kept}"


def cure_told(match, runner):
    """The line of one cure, against the setting and kube-proxy's mode."""
    settings, problem = runner.world.settings, match["problem"]
    mode = runner.mode() if settings.proxy_mode == "auto" else settings.proxy_mode
    unsure = runner.world.notes.get("mode-in-doubt") or not runner.world.notes.get("files-sound", True)
    if "keeps the rules of this node" in match[0]:
        return None
    if match["state"] == "FAILING":
        return step_ended_otherwise(match, runner)
    if problem == "1":
        return cure_of_drop(match, settings.drop_invalid, True)
    if problem == "2":
        if settings.external == "false":
            return None if match["state"] == "OFF" else "it is turned off"
        if unsure or match["state"] == "NOT DECIDED YET":
            return None
        return None if (match["state"] == "ON") == (mode == "ipvs") else f"kube-proxy runs in {mode} mode"
    pods = bool(settings.pod_cidr(4) or settings.pod_cidr(6))
    wanted = pods and (settings.drop_forward == "true" or mode == "nftables")
    return cure_of_drop(match, settings.drop_forward, None if unsure else wanted)


WARNINGS = [
    (r"both variants of iptables are populated: .*", both_variants),
    (r"RULE_EXTERNAL_CLUSTER_ENABLE=true is not obeyed: .*", not_obeyed),
    (r"kube-proxy's mode is not known.*", mode_unknown),
    (r"HALF OF PROBLEM 2 IS NOT CURED: no pod CIDR is known .*", pod_cidr_missing),
    (r"PROBLEM 3 IS NOT CURED: no pod CIDR is known .*", forward_uncured),
    (r"kube-proxy's rule that drops INVALID packets is missing from KUBE-FORWARD: .*", fine),
    (r"kube-proxy knows pods by detectLocalMode .*", fine),
    (r".*the certificate of the API server.*|.*insecure-skip-tls-verify.*|.*token is sent in clear text.*", fine),
    (TABLE + r": .* keeps undoing our chains; repairs are spaced out", contested),
    (r"the setting proxy-mode says \S+, but kube-proxy itself says \S+", fine),
    (r"nothing is taken from kube-proxy's configuration: .*", file_trouble),
    (r"kube-proxy's configuration cannot be read any more, what it said before stays in force: .*", file_trouble),
    (r"\S*(config|kubeconfig)\.conf: .*", file_trouble),
    (r"kube-proxy's kubeconfig .*", file_trouble),
    (r"access to the API server: .*", file_trouble),
    (r"the pod CIDR .* does not cover .*", fine),
    (r"this node's pods are in .*", fine),
    (r"iptables-(nft|legacy) cannot be used.*|.*in place of iptables.*", step_ended_otherwise),
]

READYZ = [
    (r"\[\+\]services-listed ok: (?P<count>\d+) Services(; changes waiting: (?P<waiting>\d+))?", services_counted),
    (r"\[\+\]services-listed ok: not needed: .*", services_not_needed),
    (r"\[-\]services-listed failed: the first list of Services is not complete: .*", services_missing),
    (r"\[\+\]backend ok: (?P<backend>[-a-z]+)(, .*)?", backend_because),
    (r"\[-\]backend failed.*", step_ended_otherwise),
    (r"\[\+\]table-ipv(?P<family>[46])-(?P<table>filter|nat) ok: (?P<rules>\d+) rules?, verified (?P<ago>\d+) s ago"
     r"(?P<rival>, last displaced by " + WRITERS + r")?(?P<waiting>; changes waiting: \d+)?", table_kept),
    (r"\[\+\]table-ipv(?P<family>[46])-(?P<table>filter|nat) ok: not used: .*", not_kept),
    (r"\[-\]table-ipv[46]-(filter|nat) failed: .*", step_ended_otherwise),
    (r"\[\+\]kube-proxy-synced ok: .*", chains_stand),
    (r"\[-\]kube-proxy-synced failed: no KUBE-SERVICES chain in nat: kube-proxy has not synced yet", chains_gone),
    (r"\[-\]kube-proxy-synced failed: .*", step_ended_otherwise),
    (r"\[\+\]kube-proxy ok: .*|\[\+\]kube-proxy ok", kube_proxy_well),
    (r"\[i\]kube-proxy failed: .*", kube_proxy_ill),
    (r"\[\+\]proxy-mode ok: (?P<mode>ipvs|iptables|nftables), reported by (?P<origin>.*)", mode_by),
    (r"\[[-i]\]proxy-mode failed: (ipvs|iptables|nftables), reported by .*; .*|\[[-i]\]proxy-mode failed: not known.*", mode_note),
    (r"\[\+\]api-server ok: https://127\.0\.0\.1:\d+(, last word (?P<ago>\d+) s ago)?", api_well),
    (r"\[\+\]api-server ok: not asked: no Services are needed", api_not_asked),
    (r"\[i\]api-server failed: .*", api_ill),
    (r"\[-\]only-instance failed: .*", step_ended_otherwise),
    *[(r"\[i\]warning [a-z0-9_]+: (?:" + pattern + ")", check) for pattern, check in WARNINGS],
    (r"waiting for kube-proxy, and for nothing else: .*", step_ended_otherwise),
    (r"readyz check (passed|failed)", fine),  # contradiction() compares it with the lines
]

STATUS = [
    (r"problem (?P<problem>[123]), [^:]*: (?P<state>ON|OFF|FAILING|NOT NEEDED|NOT DECIDED YET)(, [^:]*)?(: .*)?", cure_told),
    (r"(not )?ready", ready_word),
    (r"not ready, only because kube-proxy has not synced: .*", step_ended_otherwise),
    (r"  (services-listed|backend|table-ipv[46]-(filter|nat)|kube-proxy-synced|proxy-mode|only-instance): .*", step_ended_otherwise),
    (r"nmanager \S+, running since .*, backend (?P<backend>[-a-z]+)", backend_named),
    (r"tables:|settings:", fine),
    (r"  " + TABLE + r": (?P<rules>\d+) rules?, in place, verified .*", rules_count),
    (r"  " + TABLE + r": (not changed|no rules wanted, none present|not used: .*)", not_kept),
    (r"  " + TABLE + r": (FAILED: .*|\d+ rules, NOT .*)", step_ended_otherwise),
    (r"    written \d+ times, repaired (?P<repaired>\d+) times(?P<causes>(, [a-z_]+ \d+)*)(; last displaced by " + WRITERS +
     r")?(; CONTESTED, repairs are spaced out)?", times),
    (r"INVALID packets:", fine),
    (r"  IPv[46] (INPUT|FORWARD): (on|off|counting|not decided) \(.*?\)(?P<counts>(, \d+ (dropped|counted)( \(.*?\))?)*)", nothing_dropped),
    (r"kube-proxy: mode (?P<mode>ipvs|iptables|nftables) \(from (?P<origin>.*?)\)(, version \S+)?", mode_by),
    (r"  IPVS mode is deprecated since Kubernetes 1\.35 .*", lambda m, run: None if run.mode() == "ipvs" else "it is not in use"),
    (r"  IPv[46]: its chains (changed|have not changed since nmanager started).*", chains_stand),
    (r"  IPv[46]: no KUBE-SERVICES chain in nat", chains_gone),
    (r"  IPv[46]: could not be read: .*", step_ended_otherwise),
    (r"    as it reports: .*", syncs_were),
    (r"    its iptables-restore has failed \d+ times since", kube_proxy_ill),
    (r"  it (answers|has not synced|has failed).*|  no usable answer.*|  its KUBE-\* chains exist.*|  IPv[46] (its iptables-restore|KUBE-SERVICES).*", kube_proxy_ill),
    (r"Services: (?P<count>\d+), \d+ of them with rules", services_counted),
    (r"Services: not needed .*", services_not_needed),
    (r"Services: the first list is not complete", services_missing),
    (r"  skipped, (external_name|headless|no_external_address|pending|hostname_only|ip_mode_proxy|external_policy_cluster|"
     r"internal_policy_local|no_cluster_ip_of_family|unusable_address|no_ports|source_ranges|malformed|conflict|api_server|too_large): \d+", fine),
    (r"    [^ ]+/[^ ]+( [^ ]+)?: .*", fine),
    (r"  could not be decoded: \d+", fine),
    (r"API server: https://127\.0\.0\.1:\d+, connected \(lists \d+, watches \d+, events \d+\)", fine),
    (r"API server: not asked", api_not_asked),
    (r"API server: .*", api_ill),
    *[(r"warning [a-z0-9_]+: (?:" + pattern + ")", check) for pattern, check in WARNINGS],
    (r"  (?P<name>[-a-z0-9]+) = (?P<value>.*) \((?P<where>[^)]*)\)", setting_told),
]

# README's table of failures names the log lines. The log covers a whole step, so a line is checked against all possible events.
MESSAGES = [
    (r"nmanager \S+ starts: .*", fine),
    (r"stops; the rules stay", fine),
    (r"kube-proxy's mode is (ipvs|iptables|nftables) \(reported by .*\)", fine),
    (r"rules are kept through (iptables-legacy|iptables-nft|nftables)( \(.*\))?", fine),
    (TABLE + r": now holds \d+ rules, written in [\d.]+ ms", fine),
    (TABLE + r": repaired after [\d.]+ ms: (?P<what>.*?)( \(changed by " + WRITERS + r"\))?", repaired),
    (TABLE + r": works again", fine),
    (TABLE + r": (?P<error>.*); retried in \d+ ms", fine),
    (TABLE + r": chain \S+ was emptied but not deleted: a rule of another program jumps to it", contested),
    (TABLE + r": .* of another program could not be removed from our table", contested),
    (TABLE + r": our chains (were removed from|could not be removed from) .*", fine),
    (TABLE + r": our chains were removed", fine),
    (r"IPv[46]: kube-proxy has synced", fine),
    (r"IPv[46]: kube-proxy's chains are gone \(no KUBE-SERVICES in nat\)", fine),
    (r"IPv[46]: \d+ UDP flows were forgotten, so that changed rules apply to them", fine),
    (r"IPv[46]: UDP flows that began before a change .*", fine),
    (r"kube-proxy: .*", fine),
    (r"listed \d+ Services of https://\S+( through \S+)?", fine),
    (r"Service .* is skipped, its present rules stay: .*", fine),
    (r"API server .*: .*|API server .* answers again|API server: .*", fine),
    (r"access to the API server.*", fine),
    (r"setting \S+ is now .*, was .*", fine),
    (r"the status endpoint is served now|.*; tried again each second, the rules are kept meanwhile", fine),
    (r"the other nmanager has ended: this one keeps the rules|.* keeps the rules of this node: this one waits until it ends", fine),
    *[(pattern, fine) for pattern, _ in WARNINGS],
    (r"\S*(config|kubeconfig)\S*: .*", fine),
]
PRINTABLE = re.compile(r"[^\x00-\x1f\x7f]*")
TABLES = {"readyz": READYZ, "status": STATUS, "log": MESSAGES}
COMPILED = {kind: [(re.compile(pattern), check) for pattern, check in table] for kind, table in TABLES.items()}
LEVELS = ("debug", "info", "warning", "error")
LOG_LINE = re.compile(rf"{STAMP} ({'|'.join(LEVELS)}) (?P<text>.*)")


def said_in(line):
    """The message of a log line, in either format; None: not a log line."""
    match = LOG_LINE.fullmatch(line)
    if match:
        return match["text"]
    try:
        told = json.loads(line)
        known = set(told) == {"ts", "level", "msg"} and re.fullmatch(STAMP, told["ts"]) and told["level"] in LEVELS
        return told["msg"] if known else None
    except (ValueError, TypeError, KeyError):
        return None


def check(kind, line, runner):
    """None: known and true; UNKNOWN; else the problem."""
    if not line.strip():
        return None
    if not PRINTABLE.fullmatch(line):
        return "a control character"
    if kind == "log":
        said = said_in(line)
        if said is None:
            return UNKNOWN
        line = said
    for pattern, judge in COMPILED[kind]:
        match = pattern.fullmatch(line)
        if match:
            return judge(match, runner)
    return UNKNOWN


def contradiction(readyz):
    """Checks that /readyz?verbose is consistent."""
    failing = any(line.startswith("[-]") for line in readyz.splitlines())
    return failing == ("readyz check passed" in readyz)


def shape(line):
    """A line without its variable parts."""
    line = re.sub(STAMP, "T", line)
    line = re.sub(r"\d+", "N", line)
    return re.sub(r"[a-z-]+/s[N]+\S*", "NS/NAME", line)[:200]
