#!/usr/bin/env python3
"""A connection through a translating node, and a segment in it that is ahead of the window.

  forged_segment.py server ADDRESS PORT [quiet]   serves one connection: reads a line, answers, sends the
                                                  forged segment (quiet: sends none), then answers the
                                                  second line
  forged_segment.py client ADDRESS PORT [SOURCE] [forging]
                                                  sends two lines, with the forged segment between them if
                                                  forging; exit code 0: both were answered, 10: the connection
                                                  was reset, 11: no answer
  forged_segment.py stray SOURCE TARGET PORT FLAGS
                                                  sends one segment that belongs to no connection, from
                                                  port 9 to PORT, with TCP's flags as a number
"""
import socket
import struct
import sys
import time

TCP_REPAIR, TCP_REPAIR_QUEUE, TCP_QUEUE_SEQ = 19, 20, 21  # linux/tcp.h
RECEIVE_QUEUE, SEND_QUEUE = 1, 2
AHEAD = 1 << 28
ACK = 0x10


def sequence_numbers(connection):
    """Next to send, next to receive (CAP_NET_ADMIN)."""
    connection.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, 1)
    numbers = []
    for queue in (SEND_QUEUE, RECEIVE_QUEUE):
        connection.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR_QUEUE, queue)
        numbers.append(connection.getsockopt(socket.IPPROTO_TCP, TCP_QUEUE_SEQ) & 0xFFFFFFFF)
    connection.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, -1)  # off, without a window probe
    # The end of repair clears it (net/ipv4/tcp.c), and the port would stay in use while in TIME-WAIT.
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    return numbers


def checksum(data):
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def forge(connection):
    source, source_port = connection.getsockname()[:2]
    target, target_port = connection.getpeername()[:2]
    sent, received = sequence_numbers(connection)
    send_segment(connection.family, (source, source_port), (target, target_port), (sent + AHEAD) & 0xFFFFFFFF,
                 received, ACK, b"x")


def send_segment(family, origin, end, sequence, acknowledged, flags, payload):
    source, source_port = origin
    target, target_port = end

    def segment(check):
        return struct.pack("!HHIIBBHHH", source_port, target_port, sequence, acknowledged, 5 << 4, flags, 500,
                           check, 0) + payload

    addresses = socket.inet_pton(family, source) + socket.inet_pton(family, target)
    length = len(segment(0))
    if family == socket.AF_INET:
        pseudo = addresses + struct.pack("!BBH", 0, socket.IPPROTO_TCP, length)
    else:
        pseudo = addresses + struct.pack("!IHBB", length, 0, 0, socket.IPPROTO_TCP)
    raw = socket.socket(family, socket.SOCK_RAW, socket.IPPROTO_TCP)
    raw.bind((source, 0))
    raw.sendto(segment(checksum(pseudo + segment(0))), (target, 0))


def family_of(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def serve(address, port, quiet):
    family = family_of(address)
    listener = socket.create_server((address, port), family=family)
    print("listening", flush=True)
    connection, _ = listener.accept()
    connection.recv(100)
    connection.sendall(b"first\n")
    time.sleep(0.1)  # until the client's acknowledgement is here: it changes nothing, only the count
    if not quiet:
        forge(connection)
    connection.settimeout(5)
    if connection.recv(100):
        connection.sendall(b"second\n")


def connect(address, port, source, forging):
    connection = socket.create_connection((address, port), timeout=5, source_address=(source, 0) if source else None)
    try:
        connection.sendall(b"one\n")
        if not connection.recv(100):
            return 11
        if forging:
            forge(connection)
        time.sleep(0.4)  # the forged segment is on its way
        connection.sendall(b"two\n")
        return 0 if connection.recv(100) else 10
    except ConnectionError:
        return 10
    except TimeoutError:
        return 11


if __name__ == "__main__":
    role, host, *rest = sys.argv[1:]
    if role == "stray":
        send_segment(family_of(host), (host, 9), (rest[0], int(rest[1])), 1000, 1000, int(rest[2]), b"")
        sys.exit()
    words = rest[1:]
    if role == "server":
        sys.exit(serve(host, int(rest[0]), "quiet" in words))
    named = [word for word in words if word != "forging"]
    sys.exit(connect(host, int(rest[0]), named[0] if named else None, "forging" in words))
