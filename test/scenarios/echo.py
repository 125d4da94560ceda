#!/usr/bin/env python3
"""Who answers, and as whom does it see us?

  echo.py serve ADDRESS PORT...                answers every TCP connection and UDP packet with
                                               "FROM SOURCE at ADDRESS"
  echo.py ask tcp|udp ADDRESS PORT             prints the answer; exit code 1: none within a second
"""
import select
import socket
import sys


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


def ask(protocol, address, port):
    try:
        if protocol == "tcp":
            client = socket.create_connection((address, port), timeout=1)
        else:
            client = socket.socket(family_of(address), socket.SOCK_DGRAM)
            client.settimeout(1)
            client.connect((address, port))
            client.send(b"?")
        answer = client.recv(200).decode().strip()
    except OSError as error:
        print(f"none: {error}")
        return 1
    print(answer)
    return 0 if answer else 1


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(sys.argv[2], [int(port) for port in sys.argv[3:]])
    sys.exit(ask(sys.argv[2], sys.argv[3], int(sys.argv[4])))
