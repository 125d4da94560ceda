"""A stand-in for kube-apiserver over TLS, whose every behaviour can be switched while it runs.

It serves /api/v1/services (list in pages, watch, streaming list) and /api/v1/nodes/NAME, selects by
label as kube-apiserver does (a label flip arrives as ADDED or DELETED), and knows what it has sent.
"""

import json
import socket
import ssl
import threading
import time
import urllib.parse

from .serving import Server, Switches, read_request
from .store import Selector, Store

SERVICES = "/api/v1/services"
REASONS = {200: "OK", 301: "Moved Permanently", 307: "Temporary Redirect", 400: "Bad Request", 401: "Unauthorized",
           403: "Forbidden", 404: "Not Found", 410: "Gone", 422: "Unprocessable Entity", 429: "Too Many Requests",
           500: "Internal Server Error", 502: "Bad Gateway", 503: "Service Unavailable", 504: "Gateway Timeout"}


def status_object(code, message, reason=None):
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message,
            "reason": reason or REASONS.get(code, "Unknown").replace(" ", ""), "code": code}


class Faults(Switches):
    """The active faults of the server. Every field is read at each request or event."""

    def __init__(self):
        self.clear()

    def clear(self):
        self.connection = None  # "reset", "hang" (accept, then silence), "no-tls" or "slow" for new connections
        self.list_status = None  # answer every list with this code
        self.watch_status = None  # answer every watch with this code
        self.watch_first_error = None  # an ERROR event of this code as first line
        self.list_body = None  # "garbage", "truncated", "empty", "wrong-kind", "endless", "drip", "huge-header", "html"
        self.watch_body = None  # "silent", "garbage", "truncated", "duplicate", "reorder", "unknown-type",
        #                         "unknown-deleted", "old-version", "end-at-once", "bookmark-garbage", "endless",
        #                         "no-object", "split"
        self.second_page_gone = False
        self.watch_resets = 0  # number of watches to cut right after their headers
        self.chunked = True
        self.redirect_to = None
        self.future_watch = "error"  # a watch from a future version: "error" or "silent" (a rewound etcd)
        self.ignore_changes = False  # the watch cache lags: changes are not seen until this is lifted


class ApiServer(Server):
    def __init__(self, certificate, port=6443, host="127.0.0.1"):
        super().__init__(host, port)
        self.store = Store()
        self.faults = Faults()
        self.streaming_list = "yes"  # "yes", "422", "error-500", "ignored"
        self.token = None  # requests without this bearer token get 401
        self.page_cap = 500
        self.bookmark_period = 5.0
        self.requests = []  # (time, "list" / "watch" / other path)
        self.seen_watch = threading.Event()
        self.agents = set()
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(certificate.cert, certificate.key)
        self.up()

    def kick(self):
        self.store.disturbed = time.monotonic()
        super().kick()

    def wake(self):
        """Makes watchers read the faults again."""
        self.store.disturbed = time.monotonic()
        with self.store.changed:
            self.store.changed.notify_all()

    def lists_since(self, when):
        return sum(1 for at, what in list(self.requests) if what == "list" and at >= when)

    # Connections

    def serve(self, raw):
        fault = self.faults.connection
        if fault == "reset":
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            return
        if fault == "hang":
            while self.faults.connection == "hang":
                time.sleep(0.05)
            return
        if fault == "no-tls":
            raw.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
            return
        raw.settimeout(120)
        connection = self.context.wrap_socket(raw, server_side=True)
        self.replace(raw, connection)
        try:
            stream = connection.makefile("rb")
            while self._one_request(connection, stream):
                pass
        finally:
            self.forget(connection)

    def _one_request(self, connection, stream):
        request = read_request(stream)
        if request is None:
            return False
        url = urllib.parse.urlsplit(request.target)
        query = dict(urllib.parse.parse_qsl(url.query, keep_blank_values=True))
        self.agents.add(request.headers.get("user-agent", ""))
        return self._answer(connection, url.path, query, request.headers)

    def _answer(self, connection, path, query, headers):
        faults = self.faults
        watching = query.get("watch") in ("1", "true")
        what = path if path != SERVICES else "watch" if watching else "list"
        self.requests.append((time.monotonic(), what))
        if faults.redirect_to:
            return send(connection, 307, b"", extra=f"Location: {faults.redirect_to}{path}\r\n")
        if self.token and headers.get("authorization") != "Bearer " + self.token:
            return send_json(connection, 401, status_object(401, "Unauthorized"))
        if path.startswith("/api/v1/nodes"):
            return self._node(connection, path)
        if path != SERVICES:
            return send_json(connection, 404, status_object(404, "the server could not find the requested resource"))
        if watching:
            return self._watch(connection, query)
        return self._list(connection, query)

    @staticmethod
    def _node(connection, path):
        name = path.rsplit("/", 1)[1]
        if name == "nodes":
            return send_json(connection, 403, status_object(403, "nodes is forbidden"))
        return send_json(connection, 200, {
            "kind": "Node", "apiVersion": "v1", "metadata": {"name": name, "resourceVersion": "5"},
            "spec": {"podCIDR": "10.244.1.0/24", "podCIDRs": ["10.244.1.0/24", "fd00:10:244:1::/64"]}})

    # Lists

    def _list(self, connection, query):
        faults = self.faults
        if faults.list_status:
            return send_json(connection, faults.list_status,
                             status_object(faults.list_status, f"adversary says {faults.list_status}"),
                             extra="Retry-After: 1\r\n" if faults.list_status in (429, 503) else "")
        token = query.get("continue")
        if token and faults.second_page_gone:
            return send_json(connection, 410, status_object(410, "The provided continue parameter is too old", "Expired"))
        version, items = self.store.list(Selector(query.get("labelSelector", "")))
        start = 0
        if token:
            version, _, at = token.partition("@")
            start = int(at)
        limit = min(int(query.get("limit", "0")) or 10**9, self.page_cap if "limit" in query else 10**9)
        page = items[start:start + limit]
        metadata = {"resourceVersion": version}
        if start + limit < len(items):
            metadata["continue"] = f"{version}@{start + limit}"
            metadata["remainingItemCount"] = len(items) - start - limit
        body = json.dumps({"kind": "ServiceList", "apiVersion": "v1", "metadata": metadata, "items": page}).encode()
        return self._send_list(connection, body)

    def _send_list(self, connection, body):
        wrong = self.faults.list_body
        if wrong is None:
            return send(connection, 200, body)
        if wrong == "garbage":
            return send(connection, 200, b"\x00\xff{{{[[" + bytes(range(256)))
        if wrong == "html":
            return send(connection, 200, b"<html><body>captive portal</body></html>", kind="text/html")
        if wrong == "empty":
            return send(connection, 200, b"")
        if wrong == "wrong-kind":
            return send(connection, 200, b'{"kind":"PodList","apiVersion":"v1","metadata":{"resourceVersion":"7"},"items":[]}')
        if wrong == "truncated":
            connection.sendall(head(200, f"Content-Length: {len(body)}\r\n") + body[:len(body) // 2])
            return False
        if wrong == "drip":
            connection.sendall(head(200, f"Content-Length: {len(body)}\r\n"))
            at = 0
            while at < len(body) and self.faults.list_body == "drip":
                connection.sendall(body[at:at + 16])
                at += 16
                time.sleep(0.05)
            connection.sendall(body[at:])
            return True
        if wrong == "endless":
            connection.sendall(head(200, "Transfer-Encoding: chunked\r\n") + chunk(body[:-2] + b","))
            filler = b" " * 65536
            while self.faults.list_body == "endless":
                connection.sendall(chunk(filler))
                time.sleep(0.005)
            return False
        if wrong == "huge-header":
            connection.sendall(b"HTTP/1.1 200 OK\r\nX-Filler: ")
            while self.faults.list_body == "huge-header":
                connection.sendall(b"a" * 65536)
                time.sleep(0.005)
            return False
        raise ValueError(wrong)

    # Watches

    def _watch(self, connection, query):
        faults = self.faults
        if faults.watch_status:
            return send_json(connection, faults.watch_status,
                             status_object(faults.watch_status, "Too large resource version" if faults.watch_status == 504
                                           else f"adversary says {faults.watch_status}"))
        if faults.watch_resets > 0:
            faults.watch_resets -= 1
            Chunks(connection, faults.chunked).start()
            return False
        streaming = query.get("sendInitialEvents") == "true"
        if streaming and self.streaming_list == "422":
            return send_json(connection, 422, status_object(422, "sendInitialEvents is forbidden", "Invalid"))
        if streaming and faults.list_status:
            return send_json(connection, faults.list_status, status_object(faults.list_status, "adversary"))
        out = Chunks(connection, faults.chunked)
        out.start()
        if faults.watch_first_error or (streaming and self.streaming_list == "error-500"):
            code = faults.watch_first_error or 500
            out.event({"type": "ERROR", "object": status_object(code, "adversary", "Expired" if code == 410 else None)})
            return out.end()
        selector = Selector(query.get("labelSelector", ""))
        with self.store.changed:
            epoch = self.store.epoch
            since = int(query.get("resourceVersion") or 0)
            if streaming and self.streaming_list == "yes":
                initial = [i for _, i in sorted(self.store.items.items()) if selector.takes(i)]
                since = self.store.version
            else:
                initial = None
                if since in (0, self.store.version) or since > self.store.version:
                    pass
                elif since < self.store.oldest:
                    initial = "gone"
        if initial == "gone":
            out.event({"type": "ERROR", "object": status_object(410, f"too old resource version: {since}", "Expired")})
            return out.end()
        if since > self.store.version:
            return self._too_large(out, since)
        if initial is not None:
            for item in initial:
                out.event({"type": "ADDED", "object": item})
            out.event(bookmark(since, {"k8s.io/initial-events-end": "true"}))
        self.seen_watch.set()
        return self._stream(out, selector, since, epoch)

    def _too_large(self, out, since):
        epoch = self.store.epoch
        while self.faults.future_watch == "silent" and self.store.epoch == epoch:
            time.sleep(0.1)
        out.event({"type": "ERROR", "object": status_object(504, f"Too large resource version: {since}", "Timeout")})
        return out.end()

    def _stream(self, out, selector, since, epoch):
        store, faults = self.store, self.faults
        next_bookmark = time.monotonic() + self.bookmark_period
        sent = since
        while True:
            with store.changed:
                if store.epoch != epoch:
                    return False  # the history of this watch is gone: the connection is cut
                due = [] if faults.ignore_changes or faults.watch_body == "silent" else \
                    [entry for entry in store.history if entry[0] > sent]
                if not due and faults.watch_body not in OWN_INITIATIVE:
                    store.changed.wait(max(0.01, min(next_bookmark - time.monotonic(), 1.0)))
                    due = [] if faults.ignore_changes or faults.watch_body == "silent" else \
                        [entry for entry in store.history if entry[0] > sent]
            if store.epoch != epoch:
                return False
            events = []
            for version, before, after in due:
                event = store.event(selector, before, after)
                if event:
                    events.append(event)
                sent = version
            if not self._send_events(out, events, sent):
                return False
            if time.monotonic() >= next_bookmark:
                next_bookmark = time.monotonic() + self.bookmark_period
                if faults.watch_body != "silent":
                    out.event(bookmark(sent))

    def _send_events(self, out, events, sent):
        """False if the stream has to end."""
        wrong = self.faults.watch_body
        if wrong is None or wrong == "silent":
            for event in events:
                out.event(event)
            return True
        if wrong == "duplicate":
            for event in events:
                out.event(event)
                out.event(event)
        elif wrong == "reorder":
            for event in reversed(events):
                out.event(event)
        elif wrong == "split":
            for event in events:
                line = json.dumps(event).encode() + b"\n"
                for at in range(0, len(line), 97):
                    out.bytes(line[at:at + 97])
        elif wrong == "unknown-type":
            out.event({"type": "SURPRISE", "object": {"kind": "Service", "metadata": {"name": "x", "namespace": "y"}}})
            for event in events:
                out.event(event)
            time.sleep(0.2)
        elif wrong == "unknown-deleted":
            out.event({"type": "DELETED", "object": {"kind": "Service", "apiVersion": "v1", "metadata": {
                "name": "never-was", "namespace": "default", "resourceVersion": str(sent)}, "spec": {}}})
            for event in events:
                out.event(event)
            time.sleep(0.2)
        elif wrong == "no-object":
            out.event({"type": "MODIFIED"})
            time.sleep(0.2)
            return False
        elif wrong == "garbage":
            out.bytes(b'\xff\xfe{"type": nonsense\n')
            return False
        elif wrong == "bookmark-garbage":
            out.event(bookmark(sent))
            out.bytes(b"}}garbage{{\n")
            return False
        elif wrong == "truncated":
            line = json.dumps(bookmark(sent)).encode()
            out.bytes(line[:len(line) // 2])
            return False
        elif wrong == "end-at-once":
            out.end()
            return False
        elif wrong == "endless":
            for _ in range(20):
                out.bytes(b'{"type":"MODIFIED","object":{"kind":"Service","metadata":{"annotations":{"x":"' + b"y" * 65536)
                time.sleep(0.005)
        else:
            raise ValueError(wrong)
        return True


OWN_INITIATIVE = {"unknown-type", "unknown-deleted", "no-object", "garbage", "bookmark-garbage", "truncated",
                  "end-at-once", "endless"}


def bookmark(version, annotations=None):
    metadata = {"resourceVersion": str(version), "creationTimestamp": None}
    if annotations:
        metadata["annotations"] = annotations
    return {"type": "BOOKMARK", "object": {"kind": "Service", "apiVersion": "v1", "metadata": metadata,
                                           "spec": {}, "status": {"loadBalancer": {}}}}


def head(code, extra="", kind="application/json"):
    return (f"HTTP/1.1 {code} {REASONS.get(code, 'Odd')}\r\nContent-Type: {kind}\r\nCache-Control: no-cache, private\r\n"
            f"{extra}\r\n").encode()


def chunk(data):
    return b"%x\r\n%s\r\n" % (len(data), data)


def send(connection, code, body, extra="", kind="application/json"):
    connection.sendall(head(code, extra + f"Content-Length: {len(body)}\r\n", kind) + body)
    return True


def send_json(connection, code, body, extra=""):
    return send(connection, code, json.dumps(body).encode(), extra)


class Chunks:
    """A response body without a length, by chunks or (as some proxies send it) until the end of the connection."""

    def __init__(self, connection, chunked):
        self.connection = connection
        self.chunked = chunked

    def start(self):
        self.connection.sendall(head(200, "Transfer-Encoding: chunked\r\n" if self.chunked else "Connection: close\r\n"))

    def bytes(self, data):
        self.connection.sendall(chunk(data) if self.chunked else data)

    def event(self, event):
        self.bytes(json.dumps(event).encode() + b"\n")

    def end(self):
        if self.chunked:
            self.connection.sendall(b"0\r\n\r\n")
        return self.chunked
