#!/usr/bin/env python3
"""Shows who answers, and the source address that it sees.

  echo.py serve ADDRESS PORT...                answers every TCP connection and UDP packet with
                                               "FROM SOURCE at ADDRESS", and sends back what it receives
                                               after that on a connection
  echo.py ask tcp|udp ADDRESS PORT             prints the answer; exit code 1: none within a second
  echo.py flow SECONDS ADDRESS:PORT...         a UDP flow to each; a line "ADDRESS: ANSWER" whenever the
                                               answer is another one
  echo.py late-flow SECONDS ADDRESS:PORT...    the same, but the second packet of each is answered only after
                                               "release", and the flow waits for that answer
  echo.py release ADDRESS PORT                 tells the server there to send the answers that it kept back
  echo.py hold tcp:ADDRESS:PORT...             connections, all at once, used until standard input ends;
                                               prints "up" first, at the end a line for each: held or lost
  echo.py ask-all SECONDS tcp|udp:ADDRESS:PORT...   a line for each, all at once
"""
import select
import socket
import sys
import threading
import time


def family_of(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def all_at_once(function, items):
    """The results, in the order of the items."""
    results = [None] * len(items)

    def one(index):
        results[index] = function(items[index])

    threads = [threading.Thread(target=one, args=(index,)) for index in range(len(items))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def serve(address, ports):
    listeners = {}
    kept_back = []
    for port in ports:
        tcp = socket.create_server((address, port), family=family_of(address))
        udp = socket.socket(family_of(address), socket.SOCK_DGRAM)
        udp.bind((address, port))
        listeners[tcp] = "tcp"
        listeners[udp] = "udp"
    print("listening", flush=True)
    while True:
        for ready in select.select(list(listeners), [], [])[0]:
            if listeners[ready] == "tcp":
                connection, source = ready.accept()
                connection.sendall(f"FROM {source[0]} at {address}\n".encode())
                listeners[connection] = "connection"
            elif listeners[ready] == "connection":
                try:
                    data = ready.recv(100)
                    ready.sendall(data)
                except OSError:
                    data = b""
                if not data:
                    del listeners[ready]
                    ready.close()
            else:
                data, source = ready.recvfrom(100)
                kept_back.append((ready, source))
                if data == b"later":
                    continue
                for listener, client in kept_back if data == b"release" else kept_back[-1:]:
                    listener.sendto(f"FROM {client[0]} at {address}\n".encode(), client)
                kept_back = [] if data == b"release" else kept_back[:-1]


def ask(protocol, address, port, seconds=1.0):
    answer = answer_of(protocol, address, port, seconds)
    print(answer)
    return 0 if answer.startswith("FROM") else 1


def answer_of(protocol, address, port, seconds):
    try:
        if protocol == "tcp":
            client = socket.create_connection((address, port), timeout=seconds)
        else:
            client = socket.socket(family_of(address), socket.SOCK_DGRAM)
            client.settimeout(seconds)
            client.connect((address, port))
            client.send(b"?")
        return client.recv(200).decode().strip() or "none: closed"
    except OSError as error:
        return f"none: {error}"


def flow(seconds, target, late=False):
    """Sends a packet every 0.2 s from one port. "none": no answer for a second."""
    address, port = target.rsplit(":", 1)
    client = socket.socket(family_of(address), socket.SOCK_DGRAM)
    client.connect((address, int(port)))
    told = None
    if late:
        client.send(b"?")
        told = client.recv(200).decode().strip()
        client.send(b"later")
        print(f"{address}: {told}\n", end="", flush=True)
        client.recv(200)
    client.settimeout(0.2)
    start = answered = time.monotonic()
    while time.monotonic() < start + seconds:
        answer = None
        sent = time.monotonic()
        try:
            client.send(b"?")
            answer = client.recv(200).decode().strip()
            answered = time.monotonic()
        except OSError:
            if time.monotonic() > answered + 1:
                answer = "none"
        time.sleep(max(0, sent + 0.2 - time.monotonic()))
        if answer and answer != told:
            print(f"{address}: {answer}\n", end="", flush=True)
            told = answer


def flows(seconds, targets, late):
    all_at_once(lambda target: flow(seconds, target, late), targets)
    return 0


def hold(targets):
    held = {}
    for target in targets:
        address, port = target.split(":", 1)[1].rsplit(":", 1)
        connection = socket.create_connection((address, int(port)), timeout=5)
        connection.recv(200)  # FROM
        held[target] = connection
    print("up", flush=True)
    lost = {}
    while not select.select([sys.stdin], [], [], 0.3)[0]:
        for target, connection in held.items():
            if target in lost:
                continue
            try:
                connection.sendall(b"!")
                if connection.recv(1) != b"!":
                    lost[target] = "closed"
            except OSError as error:
                lost[target] = str(error)
    for target in targets:
        print(f"lost {target}: {lost[target]}" if target in lost else f"held {target}")
    return 1 if lost else 0


def ask_all(seconds, targets):
    def one(target):
        protocol, rest = target.split(":", 1)
        address, port = rest.rsplit(":", 1)
        return answer_of(protocol, address, int(port), seconds)

    for answer in all_at_once(one, targets):
        print(answer)
    return 0


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(sys.argv[2], [int(port) for port in sys.argv[3:]])
    if sys.argv[1] in ("flow", "late-flow"):
        sys.exit(flows(float(sys.argv[2]), sys.argv[3:], sys.argv[1] == "late-flow"))
    if sys.argv[1] == "release":
        with socket.socket(family_of(sys.argv[2]), socket.SOCK_DGRAM) as client:
            client.sendto(b"release", (sys.argv[2], int(sys.argv[3])))
        sys.exit(0)
    if sys.argv[1] == "hold":
        sys.exit(hold(sys.argv[2:]))
    if sys.argv[1] == "ask-all":
        sys.exit(ask_all(float(sys.argv[2]), sys.argv[3:]))
    sys.exit(ask(sys.argv[2], sys.argv[3], int(sys.argv[4])))
