"""A cluster of one object in a file: commands as an operator types them are run, with a kubectl in front that gives the
object to the real one (--local) instead of the API server. Merging is the real kubectl's, with the types it knows."""
import os
import pathlib
import subprocess
import tempfile

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]

KUBECTL = """#!/bin/bash
# Only what the documents use.
set -euo pipefail
[[ "$1 $2" == "-n kube-system" ]] && shift 2
apply() { REAL "$@" --local -f STATE -o yaml >STATE.new && mv STATE.new STATE; }
case "$1 $2 ${3:-}" in
  "patch daemonset kube-proxy") shift 3; apply patch "$@" ;;
  "set env daemonset/kube-proxy") shift 3; apply set env "$@" ;;
  "rollout status daemonset/kube-proxy") cp STATE "ROLLED_OUT/$(ls ROLLED_OUT | wc -l)" ;;
  *) echo "kubectl $*: not in this cluster" >&2; exit 1 ;;
esac
"""


class Cluster:
    def __init__(self, kubectl, daemonset):
        self.scratch = tempfile.TemporaryDirectory()
        self.folder = pathlib.Path(self.scratch.name)
        self.state = self.folder / "state.yaml"
        self.state.write_text(yaml.safe_dump(daemonset))
        self.rolled_out = self.folder / "rolled-out"
        self.rolled_out.mkdir()
        script = KUBECTL.replace("REAL", kubectl).replace("ROLLED_OUT", str(self.rolled_out)).replace("STATE", str(self.state))
        (self.folder / "kubectl").write_text(script)
        (self.folder / "kubectl").chmod(0o755)
        # Written once by this kubectl itself, which leaves out defaults, and fields that its types do not know.
        for variable in ("PASSING=1", "PASSING-"):
            assert self.run(f"kubectl -n kube-system set env daemonset/kube-proxy {variable}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.scratch.cleanup()

    def run(self, command):
        environment = {**os.environ, "PATH": f"{self.folder}:{os.environ['PATH']}", "KUBECONFIG": "/dev/null"}
        result = subprocess.run(["bash", "-c", command], cwd=ROOT, env=environment, capture_output=True, text=True)
        if result.returncode != 0:
            print(result.stderr[:500])
        return result.returncode == 0

    def daemonset(self):
        return yaml.safe_load(self.state.read_text())

    def settings_rolled_out(self):
        """nmanager's environment at each time that a rollout was waited for."""
        found = []
        for file in sorted(self.rolled_out.iterdir()):
            spec = yaml.safe_load(file.read_text())["spec"]["template"]["spec"]
            for container in spec["containers"]:
                if container["name"] == "nmanager":
                    found.append({variable["name"]: variable["value"] for variable in container.get("env", [])})
        return found
