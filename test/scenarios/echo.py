#!/usr/bin/env python3
"""Who answers, and as whom does it see us?

  echo.py serve ADDRESS PORT...                answers every TCP connection and UDP packet with
                                               "FROM SOURCE at ADDRESS"
  echo.py ask tcp|udp ADDRESS PORT             prints the answer; exit code 1: none within a second
  echo.py flow ADDRESS PORT SECONDS            one UDP flow; a line whenever the answer is another one
  echo.py ask-all SECONDS tcp|udp:ADDRESS:PORT...   a line for each, all at once
"""
import concurrent.futures
import select
import socket
import sys
import time


def family_of(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def serve(address, ports):
    listeners = {}
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
                connection.close()
            else:
                _, source = ready.recvfrom(100)
                ready.sendto(f"FROM {source[0]} at {address}\n".encode(), source)


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


def flow(address, port, seconds):
    """A packet every 50 ms from one port. "none": there was no answer for a second."""
    client = socket.socket(family_of(address), socket.SOCK_DGRAM)
    client.settimeout(0.05)
    client.connect((address, port))
    told = None
    start = answered = time.monotonic()
    while time.monotonic() < start + seconds:
        answer = None
        try:
            client.send(b"?")
            answer = client.recv(200).decode().strip()
            answered = time.monotonic()
            time.sleep(0.05)
        except OSError:
            if time.monotonic() > answered + 1:
                answer = "none"
        if answer and answer != told:
            print(answer, flush=True)
            told = answer
    return 0


def ask_all(seconds, targets):
    def one(target):
        protocol, rest = target.split(":", 1)
        address, port = rest.rsplit(":", 1)
        return answer_of(protocol, address, int(port), seconds)

    with concurrent.futures.ThreadPoolExecutor(len(targets)) as pool:
        for answer in pool.map(one, targets):
            print(answer)
    return 0


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(sys.argv[2], [int(port) for port in sys.argv[3:]])
    if sys.argv[1] == "flow":
        sys.exit(flow(sys.argv[2], int(sys.argv[3]), float(sys.argv[4])))
    if sys.argv[1] == "ask-all":
        sys.exit(ask_all(float(sys.argv[2]), sys.argv[3:]))
    sys.exit(ask(sys.argv[2], sys.argv[3], int(sys.argv[4])))
