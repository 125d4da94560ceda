"""Compares the observed with the expected rules: problems as text, none if all is as expected."""

from .effects import Problem, iptables_effects
from .native import native_effects
from .tables import OURS


class Judge:
    def __init__(self):
        self.good = None  # the last (ours, expectation) found good

    def problems(self, tables, expectation):
        key = (tables.ours, id(expectation))
        if self.good is not None and self.good[0] == key:
            return []
        found = list(compare(tables, expectation))
        if not found:
            self.good = (key, expectation)  # keeps the expectation alive, so that its id is not reused
        return found


def compare(tables, expectation):
    backend = expectation.backend
    effects = {}
    try:
        for (variant, family), saved in tables.saves.items():
            if backend == "iptables-" + variant and family in expectation.families:
                effects.update(iptables_effects(saved, family, expectation.bit, expectation.ignored))
            else:
                yield from left_overs(variant, family, saved)
        if backend == "nftables":
            effects.update(native_effects(tables.native, expectation.bit))
        elif any("table" in entry for entry in tables.native):
            yield "the native table is left over"
    except Problem as problem:
        yield str(problem)
        return
    for key in sorted(set(effects) | set(expectation.effects)):
        if key[1] in expectation.ignored:
            continue
        is_there, wanted = effects.get(key, set()), expectation.effects.get(key, set())
        missing = sorted(e for e in wanted - is_there if not unsure(e, expectation))
        surplus = sorted(e for e in is_there - wanted if not unsure(e, expectation))
        family, table, hook = key
        if missing:
            yield f"IPv{family} {table} {hook}: {len(missing)} missing, first {missing[0]}"
        if surplus:
            yield f"IPv{family} {table} {hook}: {len(surplus)} too many, first {surplus[0]}"


def unsure(effect, expectation):
    return effect[0] == "dnat" and effect[3] in expectation.unsure


def left_overs(variant, family, saved):
    for name, table in saved.items():
        chains = [chain for chain in table.chains if chain.startswith(OURS)]
        if chains:
            yield f"IPv{family} {name} of iptables-{variant} still holds {chains[:3]}"


def compare_apart(tables, expectation, contested):
    """As compare(), without the effects of one (family, table, hook): chains of it may be empty."""
    family, table, hook = contested
    allowed = (f"IPv{family} {table} {hook}:", f"IPv{family} {table}: nothing leads to")
    yield from (problem for problem in compare(tables, expectation) if not problem.startswith(allowed))
