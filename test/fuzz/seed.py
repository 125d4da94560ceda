#!/usr/bin/env python3
"""Writes the initial inputs of the fuzzers' corpora from recordings, and from the kernel's answers for
the recorded tables in a separate network namespace (as root):
    unshare -n test/fuzz/seed.py
"""
import ctypes
import itertools
import json
import os
import pathlib
import socket
import struct
import subprocess

HERE = pathlib.Path(__file__).parent
FIXTURES = HERE.parent / "fixtures"
OURS = """*nat
:NMANAGER_PREROUTING - [0:0]
:NMANAGER_EX_CLUS_PREROUTING - [0:0]
:NMANAGER_EX_CLUS_OUTPUT - [0:0]
:NMANAGER_MARK_MASQ - [0:0]
-A PREROUTING -j NMANAGER_PREROUTING
-A NMANAGER_PREROUTING -j NMANAGER_EX_CLUS_PREROUTING
-A NMANAGER_MARK_MASQ -j MARK --set-xmark 0x4000/0x4000
-A NMANAGER_EX_CLUS_PREROUTING -s POD -d ADDRESS -p tcp -m tcp --dport 80 -m comment --comment "default/web" -j NMANAGER_MARK_MASQ
-A NMANAGER_EX_CLUS_PREROUTING -s POD -d ADDRESS -p udp -m multiport --dports 53,80:90 -m comment --comment "default/web" -j DNAT --to-destination CLUSTER
-A NMANAGER_EX_CLUS_PREROUTING -d WIDE -p sctp -m sctp --dport 1:9 -g NMANAGER_MARK_MASQ
-A NMANAGER_EX_CLUS_OUTPUT -m addrtype --src-type LOCAL -d ADDRESS -j RETURN
COMMIT
*filter
:NMANAGER_INPUT - [0:0]
:NMANAGER_DROP_INVALID_INPUT - [0:0]
-A INPUT -j NMANAGER_INPUT
-A NMANAGER_INPUT -j NMANAGER_DROP_INVALID_INPUT
-A NMANAGER_DROP_INVALID_INPUT -i eth+ -j RETURN
-A NMANAGER_DROP_INVALID_INPUT -m conntrack --ctstate INVALID -j DROP
COMMIT
"""
ADDRESSES = {4: {"POD": "10.244.0.0/16", "ADDRESS": "192.0.2.1", "CLUSTER": "10.96.0.1", "WIDE": "192.0.0.0/7"},
             6: {"POD": "fd44::/48", "ADDRESS": "2001:db8::1", "CLUSTER": "fd96::1", "WIDE": "2000::/3"}}


def put(fuzzer, name, data):
    folder = HERE / fuzzer / "corpus"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(data)


def api():
    services = json.loads((FIXTURES / "api/list.json").read_text())
    for item in services["items"]:
        item["metadata"].pop("managedFields", None)
        page = dict(services, items=[item])
        put("service_list", item["metadata"]["name"], json.dumps(page).encode())
    put("service_list", "page-with-continue", (FIXTURES / "api/list-page-5.json").read_bytes())
    for status in ("list-401", "list-403"):
        put("service_list", status, (FIXTURES / f"api/{status}.http").read_bytes().split(b"\r\n\r\n")[-1])
    for name in ("watch", "watch-410", "watch-list-unsupported"):
        lines = (FIXTURES / f"api/{name}.ndjson").read_bytes().splitlines(keepends=True)
        for number in range(0, len(lines), 2):
            put("watch_stream", f"{name}-{number}", bytes([17 + number]) + b"".join(lines[number:number + 2]))


def kubeconfig():
    documents = (FIXTURES / "kubeadm/kube-proxy-1.36.yaml").read_text().split("kubeconfig.conf: |-\n")
    lines = itertools.takewhile(lambda line: line.startswith("    "), documents[1].splitlines())
    put("kubeconfig", "kubeadm", "\n".join(line[4:] for line in lines).encode())
    put("kubeconfig", "everything", b"""current-context: c
contexts: [{name: c, context: {cluster: k, user: u}}]
clusters: [{name: k, cluster: {server: 'https://[fd00::1]:6443/', certificate-authority-data: YWJj,
  tls-server-name: n, insecure-skip-tls-verify: true}}]
users: [{name: u, user: {tokenFile: t, token: x, client-certificate: c.pem, client-key-data: YWI=}}]
""")
    put("kubeconfig", "refused", b"""current-context: c
contexts: [{name: c, context: {cluster: k, user: u}}]
clusters: [{name: k, cluster: {server: h, proxy-url: p, certificate-authority-data: '===='}}]
users: [{name: u, user: {exec: {}, auth-provider: {}, username: a, client-key: k}}]
""")
    put("kubeconfig", "loop", b"a: &a {contexts: *a, name: c}\ncurrent-context: c\ncontexts: [*a]\n")


def tables(variant):
    for version, program in ((4, "iptables"), (6, "ip6tables")):
        text = OURS
        for word, address in ADDRESSES[version].items():
            text = text.replace(word, address) if word != "ADDRESS" else text.replace("-d ADDRESS", "-d " + address)
        restore = ["xtables-" + variant + "-multi", program + "-restore", "--noflush"]
        subprocess.run(restore, input=text.encode(), check=True)
    end = FIXTURES / f"kube-proxy/iptables-1.36-{variant}/12-end"
    for table in ("filter", "nat"):
        lines = (end / f"after-{table}.save").read_text().splitlines()
        kept = [line for line in lines if "NMANAGER" not in line and "nfacct" not in line]
        subprocess.run(["xtables-" + variant + "-multi", "iptables-restore", "--noflush"],
                       input="\n".join(kept + [""]).encode(), check=True)


def getsockopt(sock, level, option, data):
    buffer = ctypes.create_string_buffer(data, len(data))
    size = ctypes.c_uint32(len(data))
    result = ctypes.CDLL(None, use_errno=True).getsockopt(sock.fileno(), level, option, buffer, ctypes.byref(size))
    if result != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return buffer.raw


def legacy_tables():
    for version, family, level in ((4, socket.AF_INET, 0), (6, socket.AF_INET6, 41)):
        sock = socket.socket(family, socket.SOCK_RAW, socket.IPPROTO_RAW)
        for table in ("filter", "nat"):
            info = getsockopt(sock, level, 64, table.encode().ljust(84, b"\0"))
            size = struct.unpack_from("I", info, 80)[0]
            head = table.encode().ljust(32, b"\0") + struct.pack("II", size, 0)
            entries = getsockopt(sock, level, 65, head + bytes(size))[40:]
            put("legacy_table", f"{table}-{version}", bytes([version]) + info[32:84] + entries)


def nft_messages():
    sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12)
    sock.bind((0, 0))
    for version, family in ((4, 2), (6, 10)):
        for table in ("filter", "nat"):
            name = table.encode() + b"\0"
            attribute = struct.pack("HH", 4 + len(name), 1) + name + bytes(-len(name) % 4)
            body = struct.pack("BBH", family, 0, 0) + attribute
            # NFT_MSG_GETRULE of NFNL_SUBSYS_NFTABLES; NLM_F_REQUEST | NLM_F_DUMP
            sock.send(struct.pack("IHHII", 16 + len(body), (10 << 8) | 7, 0x301, 1, 0) + body)
            messages = []
            while not messages or struct.unpack_from("H", messages[-1], 4)[0] != 3:  # NLMSG_DONE
                data = sock.recv(1 << 20)
                while data:
                    length = struct.unpack_from("I", data)[0]
                    messages.append(data[:length])
                    data = data[(length + 3) & ~3:]
            for number, message in enumerate(messages[:-1]):
                own = b"NMANAGER" in message
                if own or number % 3 == 0:
                    put("nft_message", f"{table}-{version}-{number}", message)


api()
kubeconfig()
tables("legacy")
legacy_tables()
tables("nft")
nft_messages()
