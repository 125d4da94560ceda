"""Runs one container of a pod spec with crun, like a kubelet's runtime: the image's entry point, a read-only root, and
the capabilities and the seccomp profile (RuntimeDefault) of the manifest."""
import json
import pathlib
import platform
import subprocess
import tempfile
import time
import uuid

DEFAULT_SECCOMP = pathlib.Path("/usr/share/containers/seccomp.json")  # golang-github-containers-common
GO_ARCHITECTURE = {"x86_64": "amd64", "aarch64": "arm64"}

# Paths that runtimes hide in every container that is not privileged (defaults of the OCI runtime tools).
MASKED = ["/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list",
          "/proc/timer_stats", "/proc/sched_debug", "/proc/scsi", "/sys/firmware"]
READ_ONLY = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]


def seccomp_profile(capabilities):
    """Resolves the conditions (capabilities, architecture) of the profile, as a runtime does before it calls crun."""
    profile = json.loads(DEFAULT_SECCOMP.read_text())
    machine = platform.machine()
    wanted = {"caps": set(capabilities), "arches": {GO_ARCHITECTURE[machine]}}
    rules = []
    for rule in profile["syscalls"]:
        includes, excludes = rule.get("includes") or {}, rule.get("excludes") or {}
        if any(not wanted[kind] & set(values) for kind, values in includes.items() if kind in wanted):
            continue
        if any(wanted[kind] & set(values) for kind, values in excludes.items() if kind in wanted):
            continue
        one = {"names": rule["names"], "action": rule["action"], "args": rule.get("args") or []}
        if "errnoRet" in rule:
            one["errnoRet"] = rule["errnoRet"]
        rules.append(one)
    native = "SCMP_ARCH_" + machine.upper()
    architectures = [native] + [a for m in profile["archMap"] if m["architecture"] == native for a in m["subArchitectures"]]
    return {"defaultAction": profile["defaultAction"], "defaultErrnoRet": profile["defaultErrnoRet"],
            "architectures": architectures, "syscalls": rules}


def runtime_config(spec, image, root, network_namespace, volumes, arguments):
    """The OCI runtime configuration for the Kubernetes container `spec`; `volumes`: name -> local path."""
    security = spec["securityContext"]
    assert security["capabilities"]["drop"] == ["ALL"] and security["privileged"] is False
    capabilities = ["CAP_" + name for name in security["capabilities"].get("add", [])]
    mounts = [
        {"destination": "/proc", "type": "proc", "source": "proc", "options": ["nosuid", "noexec", "nodev"]},
        {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "strictatime", "mode=755", "size=65536k"]},
        {"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["nosuid", "noexec", "nodev", "ro"]},
    ]
    for mount in spec.get("volumeMounts", []):
        mounts.append({"destination": mount["mountPath"], "type": "none", "source": str(volumes[mount["name"]]),
                       "options": ["rbind", "ro" if mount["readOnly"] else "rw"]})
    if "account" in volumes:  # mounted by the API server's admission, unless the pod disables it
        mounts.append({"destination": "/var/run/secrets/kubernetes.io/serviceaccount", "type": "none",
                       "source": str(volumes["account"]), "options": ["rbind", "ro"]})
    config = {
        "ociVersion": "1.0.2",
        "process": {
            "user": {"uid": security["runAsUser"], "gid": security["runAsGroup"]},
            "args": spec.get("command", image["Entrypoint"]) + arguments,
            "env": image["Env"] + [f"{v['name']}={v.get('value', platform.node())}" for v in spec.get("env", [])],
            "cwd": "/",
            "noNewPrivileges": not security["allowPrivilegeEscalation"],
            # The ambient set is empty: at exec, root gets the capabilities of the bounding set.
            "capabilities": {kind: capabilities for kind in ("bounding", "effective", "permitted")},
        },
        "root": {"path": str(root), "readonly": security["readOnlyRootFilesystem"]},
        "mounts": mounts,
        "linux": {
            "namespaces": [{"type": "pid"}, {"type": "ipc"}, {"type": "uts"}, {"type": "mount"},
                           {"type": "network", "path": network_namespace}],
            "maskedPaths": MASKED,
            "readonlyPaths": READ_ONLY,
        },
    }
    if security["seccompProfile"]["type"] == "RuntimeDefault":
        config["linux"]["seccomp"] = seccomp_profile(capabilities)
    return config


class Container:
    """Starts in the constructor; stop() sends SIGTERM and returns the exit code."""

    def __init__(self, config):
        self.name = f"nmanager-test-{uuid.uuid4().hex[:12]}"
        self.folder = tempfile.TemporaryDirectory()
        bundle = pathlib.Path(self.folder.name)
        (bundle / "config.json").write_text(json.dumps(config))
        self.log_path = bundle / "log"
        # Disable and hide cgroups: crun fails on a machine that has both versions.
        self.crun = ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs none /sys/fs/cgroup && exec crun "$@"', "crun",
                     "--root", str(bundle / "state"), "--cgroup-manager=disabled"]
        with self.log_path.open("wb") as log:
            self.process = subprocess.Popen(self.crun + ["run", "--bundle", str(bundle), self.name], stdout=log, stderr=log)

    def log(self):
        return self.log_path.read_text(errors="replace")

    def alive(self):
        return self.process.poll() is None

    def pid(self):
        """The process id of the program in this pid namespace; None if it is not running."""
        state = subprocess.run(self.crun + ["state", self.name], capture_output=True, text=True)
        return json.loads(state.stdout).get("pid") if state.returncode == 0 else None

    def wait_until(self, condition):
        """Waits for the condition; False if the program exits before."""
        while not condition():
            if not self.alive():
                return False
            time.sleep(0.02)
        return True

    def wait(self):
        return self.process.wait()

    def stop(self):
        if self.alive():
            subprocess.run(self.crun + ["kill", self.name, "TERM"], capture_output=True)
        return self.wait()

    def close(self):
        if self.alive():
            subprocess.run(self.crun + ["delete", "--force", self.name], capture_output=True)
            self.wait()
        self.folder.cleanup()
