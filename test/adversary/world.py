"""One node: its files, its stand-ins, the program, and their true state.

Runs inside its own network and PID namespaces (see __main__.py), so ports are the real ones.
"""

import http.client
import os
import resource
import shutil
import signal
import subprocess
import tempfile
import time

from . import services
from .api_server import ApiServer
from .kube_proxy import Endpoint, KubeChains
from .oracle import Settings
from .shell import FileLock, run
from .tables import read_tables

LISTEN = ("127.0.0.1", 10261)


class Certificate:
    """A CA and a server certificate for 127.0.0.1, made with openssl."""

    def __init__(self, folder):
        self.ca, self.ca_key = folder + "/ca.crt", folder + "/ca.key"
        self.cert, self.key = folder + "/server.crt", folder + "/server.key"
        request, extensions = folder + "/server.csr", folder + "/server.ext"
        run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "3650",
            "-subj", "/CN=adversary-ca", "-keyout", self.ca_key, "-out", self.ca)
        run("openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
            "-subj", "/CN=kube-apiserver", "-keyout", self.key, "-out", request)
        with open(extensions, "w") as file:
            file.write("subjectAltName=IP:127.0.0.1,DNS:localhost\n")
        run("openssl", "x509", "-req", "-in", request, "-CA", self.ca, "-CAkey", self.ca_key, "-CAcreateserial",
            "-days", "3650", "-extfile", extensions, "-out", self.cert)


CONFIG = """\
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
bindAddress: 0.0.0.0
clientConnection:
  kubeconfig: {folder}/kubeconfig.conf
clusterCIDR: {cidr}
iptables:
  masqueradeBit: {bit}
ipvs:
  strictARP: false
metricsBindAddress: ""
mode: "{mode}"
"""
KUBECONFIG = """\
apiVersion: v1
kind: Config
clusters:
- cluster:
    certificate-authority: {folder}/ca.crt
    server: https://127.0.0.1:{port}
  name: default
contexts:
- context:
    cluster: default
    namespace: default
    user: default
  name: default
current-context: default
users:
- name: default
  user:
    tokenFile: {folder}/token
"""


class World:
    def __init__(self, binary, variant, backend, seed):
        self.folder = tempfile.mkdtemp(prefix="adversary-", dir="/tmp")
        self.files = self.folder + "/kube-proxy"
        os.mkdir(self.files)
        self.lock_file = self.folder + "/xtables.lock"
        self.env = {"PATH": os.environ["PATH"], "XTABLES_LOCKFILE": self.lock_file, "NODE_NAME": "node-1", "HOME": "/root"}
        self.binary = binary
        self.seed = seed
        run("ip", "link", "set", "lo", "up")
        run("ip", "addr", "add", "10.244.1.1/24", "dev", "lo")
        open(self.lock_file, "a").close()
        self.certificate = Certificate(self.folder)
        shutil.copy(self.certificate.ca, self.files + "/ca.crt")
        self.api = ApiServer(self.certificate)
        self.api.token = "adversary-token"
        self.proxy = Endpoint()
        self.kube = KubeChains(self.env, variant, seed)
        self.settings = Settings(backend=backend)
        self.process = None
        self.limits = []
        self.prefix = []  # a program that starts it with fewer privileges
        self.log_path = self.folder + "/nmanager.log"
        self.log_at = 0
        self.stderr_mode = "file"
        self.started_at = self.started_wall = 0.0
        self.notes = {}  # data that faults keep between steps
        self.foreign = None
        self.kube_synced = False
        self.allowed_services = None
        self.write_files()

    # Files of kube-proxy's volume

    def write_file(self, name, text):
        path = f"{self.files}/{name}"
        with open(path + ".new", "w") as file:
            file.write(text)
        os.rename(path + ".new", path)

    def config_text(self):
        # kube-proxy's own name of its mode; an empty mode is iptables.
        cidr = ",".join(c for c in (self.settings.file_pod_cidr4, self.settings.file_pod_cidr6) if c)
        return CONFIG.format(folder=self.files, cidr=cidr or '""', bit=self.settings.file_masquerade_bit, mode=self.kube.mode)

    def kubeconfig_text(self, port=6443):
        return KUBECONFIG.format(folder=self.files, port=port)

    def write_files(self):
        self.write_file("config.conf", self.config_text())
        self.write_file("kubeconfig.conf", self.kubeconfig_text())
        self.write_file("token", self.api.token)

    # The program

    def start(self):
        argv = [*self.prefix, self.binary, "run", "--kube-proxy-config", self.files + "/config.conf",
                "--kubeconfig", self.files + "/kubeconfig.conf", *self.settings.flags()]
        log = open(self.log_path, "ab")
        limits = list(self.limits)

        def prepare():
            for what, value in limits:
                resource.setrlimit(what, (value, value))
            signal.signal(signal.SIGPIPE, signal.SIG_DFL)

        target = log
        if self.stderr_mode == "full-pipe":
            reader, writer = os.pipe()
            self.notes["pipe"] = reader  # no process reads it
            target = os.fdopen(writer, "wb")
        elif self.stderr_mode == "closed-pipe":
            reader, writer = os.pipe()
            os.close(reader)
            target = os.fdopen(writer, "wb")
        elif self.stderr_mode == "full-device":
            target = open("/dev/full", "wb")
        env = dict(self.env, **self.notes.get("extra_env", {}))
        self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=target, stderr=target, env=env,
                                        cwd="/", preexec_fn=prepare if limits else None)
        target.close()
        if target is not log:
            log.close()
        self.started_at, self.started_wall = time.monotonic(), time.time()

    def stop(self, how=signal.SIGTERM, seconds=10):
        """Ends the program; returns how long that took, or None if it had to be killed."""
        if not self.process:
            return 0.0
        began = time.monotonic()
        self.process.send_signal(how)
        try:
            self.process.wait(seconds)
            took = time.monotonic() - began
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            took = None
        self.process = None
        reader = self.notes.pop("pipe", None)
        if reader is not None:
            os.close(reader)
        return took

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def frozen(self):
        """The program is stopped inside this block, without holding the lock."""
        return Frozen(self)

    # Its reports

    def get(self, path, timeout=2.0):
        """(status, body) or (None, reason)."""
        connection = http.client.HTTPConnection(*LISTEN, timeout=timeout)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode("utf-8", "surrogateescape")
        except (OSError, http.client.HTTPException) as problem:
            return None, repr(problem)
        finally:
            connection.close()

    def new_log(self):
        with open(self.log_path, "rb") as file:
            file.seek(self.log_at)
            data = file.read()
        end = data.rfind(b"\n") + 1
        self.log_at += end
        return data[:end].decode("utf-8", "surrogateescape").splitlines()

    # Tables

    def tables(self, everything=False):
        return read_tables(self.env, self.kube.variant, everything)

    # Services

    def current_services(self):
        return list(self.api.store.items.values())

    def close(self, keep):
        if self.process:
            self.process.kill()
            self.process.wait()
        self.api.down()
        self.proxy.down()
        if not keep:
            shutil.rmtree(self.folder, ignore_errors=True)


class Frozen:
    def __init__(self, world):
        self.world = world

    def __enter__(self):
        self.pid = self.world.process.pid if self.world.alive() else None
        if self.pid:
            with FileLock(self.world.lock_file):
                os.kill(self.pid, signal.SIGSTOP)
                time.sleep(0.002)

    def __exit__(self, *_):
        if self.pid:
            os.kill(self.pid, signal.SIGCONT)
