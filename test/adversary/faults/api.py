"""An API server that is unreachable, denies, sends wrong data, or floods. Bounds: one growing, jittered pause after a short fault."""

import copy
import time

from . import fault
from .services import change_some


def during(run, entry, seconds, changes=2, kick=True):
    """The fault is active while Services change; then it is removed and the rules follow."""
    api = run.world.api
    candidates = [run.expected()]
    if kick:
        api.kick()
    api.wake()
    for _ in range(changes):
        change_some(run, 1)
        candidates.append(run.expected())
    run.never_other_than(candidates, seconds, entry.name)
    api.faults.clear()
    api.up()
    api.wake()
    run.settle(entry.bound, check_ready_meanwhile=False)


@fault(2, 6)
def api_away(run, entry):
    run.world.api.down()
    during(run, entry, run.random.choice([0.1, 0.3, 1.0]), kick=False)


@fault(1, 6)
def api_resets_connections(run, entry):
    run.world.api.faults.connection = "reset"
    during(run, entry, run.random.choice([0.1, 0.5]))


@fault(0.4, 12)
def api_hangs(run, entry):
    """Connections are accepted, but nothing is sent."""
    run.world.api.faults.connection = "hang"
    during(run, entry, run.random.choice([0.3, 1.5]))


@fault(0.5, 6)
def api_speaks_no_tls(run, entry):
    run.world.api.faults.connection = "no-tls"
    during(run, entry, 0.3)


@fault(1.5, 8)
def api_list_denied(run, entry):
    run.world.api.faults.list_status = run.random.choice([401, 403, 404, 410, 429, 500, 502, 503, 504])
    run.world.api.store.compact()
    during(run, entry, run.random.choice([0.3, 1.0]))


@fault(0.5, 5)
def api_lists_fail_then_first_watch_cut(run, entry):
    """A complete list ends the series of failures: a watch that is cut after it is retried soon (A3)."""
    api = run.world.api
    api.faults.list_status = 500
    api.store.compact()
    time.sleep(run.random.choice([3.0, 8.0]))
    api.faults.watch_resets = 1
    api.faults.list_status = None
    until = time.monotonic() + 20
    while api.faults.watch_resets and time.monotonic() < until:
        time.sleep(0.05)
    change_some(run, 5)
    run.settle(entry.bound, check_ready_meanwhile=False)


@fault(1.5, 8)
def api_watch_denied(run, entry):
    """Lists work, every watch is refused (A1)."""
    run.world.api.faults.watch_status = run.random.choice([401, 403, 410, 429, 500, 503, 504])
    during(run, entry, run.random.choice([0.3, 1.0]))


@fault(0.5, 40)
def api_watch_denied_long(run, entry):
    """Every watch is refused and lists work: changes are seen by listing, with delays that grow to 30 s (A1)."""
    api = run.world.api
    api.faults.watch_status = run.random.choice([403, 500, 504])
    api.kick()
    change_some(run, 2)
    run.settle(entry.bound, check_ready_meanwhile=False)
    api.faults.clear()
    api.wake()
    change_some(run, 1)
    run.settle(40, check_ready_meanwhile=False)


@fault(1, 8)
def api_watch_error_first(run, entry):
    run.world.api.faults.watch_first_error = run.random.choice([410, 500, 504])
    during(run, entry, run.random.choice([0.3, 1.0]))


@fault(1.5, 8)
def api_list_body_bad(run, entry):
    run.world.api.faults.list_body = run.random.choice(["garbage", "html", "empty", "wrong-kind", "truncated"])
    run.world.api.store.compact()
    during(run, entry, run.random.choice([0.2, 0.6]))


@fault(0.5, 10)
def api_list_drips(run, entry):
    run.world.api.faults.list_body = "drip"
    run.world.api.store.compact()
    during(run, entry, 1.0)


@fault(0.3, 10)
def api_list_endless(run, entry):
    run.world.api.faults.list_body = run.random.choice(["endless", "huge-header"])
    run.world.api.store.compact()
    during(run, entry, run.random.choice([1.0, 4.0]))


@fault(1.5, 8)
def api_watch_body_bad(run, entry):
    run.world.api.faults.watch_body = run.random.choice(["garbage", "truncated", "end-at-once", "no-object"])
    during(run, entry, run.random.choice([0.2, 0.8]))


@fault(1, 8)
def api_watch_odd_events(run, entry):
    """Events that change nothing: duplicates, unknown types, deletions of unknown, split lines."""
    api = run.world.api
    api.faults.watch_body = run.random.choice(["duplicate", "unknown-type", "unknown-deleted", "split"])
    api.wake()
    change_some(run, 3)
    run.settle(entry.bound, check_ready_meanwhile=False)
    api.faults.clear()
    api.wake()
    run.settle(entry.bound, check_ready_meanwhile=False)


@fault(0.6, 8)
def api_events_out_of_order(run, entry):
    """Events of different Services arrive in another order."""
    api, store = run.world.api, run.world.api.store
    api.faults.watch_body = "reorder"
    with store.changed:
        change_some(run, 3)
    time.sleep(0.05)
    api.faults.clear()
    store.compact()  # the client is up to date only after a new list
    run.settle(entry.bound, check_ready_meanwhile=False)


@fault(0.7, 12)
def api_bookmark_then_garbage(run, entry):
    """Every watch ends this way; lists keep their intervals (A16)."""
    api = run.world.api
    api.faults.watch_body = "bookmark-garbage"
    began = time.monotonic()
    api.wake()
    change_some(run, 1)
    time.sleep(3.0)
    lists = api.lists_since(began)
    api.faults.clear()
    api.wake()
    if lists > 8:
        from ..runner import Violation
        raise Violation("list-storm", f"{lists} lists in 3 s while every watch ends in garbage")
    run.settle(entry.bound, check_ready_meanwhile=False)


@fault(0.35, 45)
def api_watch_silent(run, entry):
    """A watch is accepted and silent; then the connection is cut: missed events are recovered (A2)."""
    api = run.world.api
    api.faults.watch_body = "silent"
    api.kick()
    change_some(run, 2)
    time.sleep(run.random.choice([0.5, 2.0]))
    api.faults.clear()
    api.wake()
    run.settle(entry.bound, check_ready_meanwhile=False)


@fault(0.2, 130, "long")
def api_rewound_and_silent(run, entry):
    """etcd was restored, and watches from future versions are accepted and permanently silent (A2)."""
    api, store = run.world.api, run.world.api.store
    items = copy.deepcopy(store.items)
    for key in sorted(items)[::3]:
        del items[key]
    api.faults.future_watch = "silent"
    store.restore(items, max(1, store.version - 50))
    run.settle(entry.bound, check_ready_meanwhile=False)
    api.faults.clear()
    store.compact()
    run.settle(20, check_ready_meanwhile=False)


@fault(2, 2)
def api_compacted(run, entry):
    """The history is gone: watches get 410, a new list follows."""
    run.world.api.store.compact()
    change_some(run, run.random.randint(0, 3))
    run.settle(entry.bound + 4, check_ready_meanwhile=False)


@fault(1, 8)
def api_restored_from_backup(run, entry):
    """etcd was restored: an older version, other Services."""
    store = run.world.api.store
    items = copy.deepcopy(store.items)
    for key in sorted(items):
        if run.random.random() < 0.4:
            del items[key]
    # Far enough back: a client cannot detect that other changes have reached its version again.
    store.restore(items, store.version - run.random.randint(20, 60))
    run.world.api.kick()
    run.settle(entry.bound, check_ready_meanwhile=False)
    change_some(run, 1)
    run.settle(entry.bound, check_ready_meanwhile=False)


@fault(0.7, 8)
def api_second_page_gone(run, entry):
    """The second page of each list is 410; a list without limit works (A4)."""
    api = run.world.api
    cap, api.page_cap = api.page_cap, 2
    api.faults.second_page_gone = True
    api.store.compact()
    change_some(run, 2)
    try:
        run.settle(entry.bound, check_ready_meanwhile=False)
    finally:
        api.page_cap = cap
        api.faults.clear()
    run.settle(30, check_ready_meanwhile=False)


@fault(0.7, 3)
def api_without_chunks(run, entry):
    """A proxy sends bodies without chunking (A13)."""
    api = run.world.api
    api.faults.chunked = False
    api.kick()
    time.sleep(0.5)
    run.settle(8, check_ready_meanwhile=False)
    change_some(run, 1)
    run.settle(entry.bound, check_ready_meanwhile=False)
    api.faults.clear()
    api.kick()
    run.settle(8, check_ready_meanwhile=False)


@fault(0.5, 8)
def api_redirects(run, entry):
    """To another address: never followed (A8)."""
    import socket
    import threading
    api, visited = run.world.api, []
    trap = socket.create_server(("127.0.0.1", 0))

    def serve():
        try:
            visited.append(trap.accept())
        except OSError:
            pass

    threading.Thread(target=serve, daemon=True).start()
    api.faults.redirect_to = f"https://127.0.0.1:{trap.getsockname()[1]}"
    api.kick()
    time.sleep(1.0)
    trap.close()
    if visited:
        run.report("redirect-followed", "a redirect of the API server was followed")
    during(run, entry, 0.2)


@fault(0.5, 8)
def api_token_rotated(run, entry):
    """The token file changes, then the server wants the new one."""
    world = run.world
    world.api.token = f"token-{run.random.randrange(10**6)}"
    world.write_file("token", world.api.token)
    world.api.kick()
    change_some(run, 1)
    run.settle(entry.bound, check_ready_meanwhile=False)


@fault(0.4, 8)
def api_watch_cache_lags(run, entry):
    api = run.world.api
    api.faults.ignore_changes = True
    before = run.expected()
    watching = run.services_are_known()  # otherwise it may be about to list
    change_some(run, 2)
    if watching:
        run.never_other_than([before], 0.3, entry.name)
    api.faults.clear()
    api.wake()
    run.settle(entry.bound, check_ready_meanwhile=False)
