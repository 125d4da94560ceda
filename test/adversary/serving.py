"""Common code of the two stand-ins: a listener that can be closed, a thread for each connection, requests read one by one."""

import socket
import threading
import time


class Request:
    def __init__(self, target, headers):
        self.target, self.headers = target, headers


def read_request(stream):
    """None at the end of the connection; ValueError for data that is not a request."""
    line = stream.readline(65536).decode("latin-1")
    if not line:
        return None
    _, target, _ = line.split(" ", 2)
    headers = {}
    while True:
        header = stream.readline(65536).decode("latin-1").rstrip("\r\n")
        if not header:
            return Request(target, headers)
        name, _, value = header.partition(":")
        headers[name.strip().lower()] = value.strip()


class Server:
    """Subclasses define serve(connection), which runs in a separate thread."""

    def __init__(self, host, port):
        self.address = (host, port)
        self.listener = None
        self.open = set()
        self.guard = threading.Lock()
        self.disturbed = 0.0  # when clients last had a reason for an error

    def up(self):
        if self.listener:
            return
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(self.address)
        listener.listen(64)
        self.listener = listener
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def down(self):
        """Closes the listener and resets open connections."""
        listener, self.listener = self.listener, None
        if listener:
            try:
                listener.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            listener.close()
        self.kick()

    def kick(self):
        """Resets every open connection."""
        self.disturbed = time.monotonic()
        with self.guard:
            connections = list(self.open)
        for connection in connections:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def _accept(self, listener):
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        with self.guard:
            self.open.add(connection)
        try:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.serve(connection)
        except (OSError, ValueError, IndexError):  # ssl.SSLError is an OSError
            pass
        finally:
            self.forget(connection)

    def replace(self, connection, wrapped):
        """From now on kick() resets `wrapped`."""
        with self.guard:
            self.open.discard(connection)
            self.open.add(wrapped)

    def forget(self, connection):
        with self.guard:
            self.open.discard(connection)
        try:
            connection.close()
        except OSError:
            pass


class Switches:
    """Faults that can be switched while they are read; remembers when one was last set."""

    touched = 0.0

    def __setattr__(self, name, value):
        if vars(self).get(name, value) != value:
            type(self).touched = time.monotonic()
        object.__setattr__(self, name, value)

    def any(self):
        return vars(self) != vars(type(self)())
