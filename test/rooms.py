#!/usr/bin/env python3
"""Compares the rooms of hooks/ and plugin/, and the arrows between them, with the includes.

An arrow that is not in ARROWS, a file over 400 lines, or a source that only grep can find (no
header of its name, and not one of several parts of a header) fails.
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
MOST_LINES = 400

# What each room may include in addition to itself. No arrow points backwards in this order.
ARROWS = {
    "hooks/values": [],
    "hooks/intent": ["hooks/values"],
    "hooks/xt": ["hooks/values"],
    "hooks/chains": ["hooks/values", "hooks/intent"],
    "hooks/sys": ["hooks/values"],
    "hooks/netlink": ["hooks/values", "hooks/intent", "hooks/xt", "hooks/sys"],
    "hooks/iptables_legacy": ["hooks/values", "hooks/intent", "hooks/xt", "hooks/chains", "hooks/sys"],
    "hooks/iptables_nft": ["hooks/values", "hooks/intent", "hooks/xt", "hooks/chains", "hooks/netlink", "hooks/sys"],
    "hooks/nftables": ["hooks/values", "hooks/intent", "hooks/netlink", "hooks/sys"],
    "hooks/detect": ["hooks/values", "hooks/intent", "hooks/sys", "hooks/netlink", "hooks/iptables_legacy"],
    "hooks/conntrack": ["hooks/values", "hooks/intent", "hooks/netlink", "hooks/sys"],
    "hooks/capture": ["hooks/values", "hooks/sys"],
    "plugin/model": ["hooks/values", "hooks/intent"],
    "plugin/services": ["hooks/values", "hooks/intent", "plugin/model"],
    "plugin/api": ["hooks/values", "hooks/sys", "plugin/model", "plugin/services"],
    "plugin/neighbour": ["hooks/values", "hooks/sys", "hooks/netlink", "plugin/model"],
    "plugin/settings": ["hooks/values", "hooks/intent", "hooks/sys", "plugin/model"],
    "plugin/reconciler": ["hooks/values", "hooks/intent", "hooks/detect", "plugin/model", "plugin/services"],
    "plugin/status": ["hooks/values", "hooks/intent", "plugin/model"],
    "plugin/diagnose": ["hooks/values", "plugin/model"],
    "plugin/run": None,  # puts everything together
}
def room_of(path):
    return "/".join(path.parts[:2])


def problems():
    files = sorted(p.relative_to(ROOT) for top in ("hooks", "plugin") for p in (ROOT / top).rglob("*")
                   if p.suffix in (".h", ".cpp"))
    rooms = {room_of(p) for p in files}
    for room in rooms - set(ARROWS):
        yield f"{room}: not a room of test/rooms.py"
    for path in files:
        text = (ROOT / path).read_text()
        lines = text.count("\n")
        if lines > MOST_LINES:
            yield f"{path}: {lines} lines, more than {MOST_LINES}"
        room = room_of(path)
        allowed = ARROWS.get(room)
        for included in re.findall(r'^#include "((?:hooks|plugin)/[^"]+)"', text, re.M):
            other = room_of(pathlib.PurePath(included))
            if not (ROOT / included).exists():
                yield f"{path}: includes {included}, which does not exist"
            if allowed is not None and other != room and other not in allowed:
                yield f"{path}: includes {included}: no arrow from {room} to {other}"
        if path.suffix == ".cpp" and path.name != "main.cpp":
            own = path.with_suffix(".h")
            first = re.search(r'^#include "([^"]+)"', text, re.M)
            if not (ROOT / own).exists() and (not first or room_of(pathlib.PurePath(first.group(1))) != room):
                yield f"{path}: no header of its name, and its first include is not from its room"


def main():
    found = sorted(set(problems()))
    for line in found:
        print(line)
    print(f"{0 if found else 1} passed, {len(found)} failed")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
