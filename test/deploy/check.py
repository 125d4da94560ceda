#!/usr/bin/env python3
"""Checks the manifests as rendered and as applied: what they may request, and that the program supports what they name."""
import argparse
import pathlib
import re
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))  # report.py
from charts import check_charts, check_version
from commands import check_commands, check_kubeadm_script
from documents import check_documents
from manifests import ROOT, documents, recorded, render
from overlays import check_overlays
from pods import SWITCHES
from report import check, skip, summary
from schema import Schemas


def containers_of(text):
    for document in documents(text):
        if document["kind"] == "DaemonSet":
            yield from document.get("spec", {"template": {"spec": {"containers": []}}})["template"]["spec"].get("containers", [])


def check_against_program(program):
    """All that the manifests and documents name must exist: environment variables, flags, commands, the endpoint."""
    help_text = subprocess.run([program, "--help"], capture_output=True, text=True).stdout
    variables = set(re.findall(r"Environment: (\w+)", help_text))
    flags = set(re.findall(r"^  (--[\w-]+)", help_text, re.M))
    commands = set(re.findall(r"^  (\w+)  ", help_text, re.M))
    listen = re.search(r"--listen.*?Default: ([\d.]+):(\d+)", help_text, re.S)
    if not check(listen and variables and flags and commands, "--help shows flags, variables and the address of the endpoint"):
        return
    def exists(variable, where):
        check(variable in variables | {"NODE_NAME"}, f"{where}: no variable {variable}")

    paths = [path for pattern in ("patches/*", "deploy/**/*", "docs/*") for path in ROOT.glob(pattern) if path.is_file()]
    name = r"((?:RULE|POD_CIDR|NMANAGER|EXTERNAL_CLUSTER)_[A-Z0-9_]*[A-Z0-9])"
    for path in (p for p in paths if p.suffix in (".yaml", ".md") or p.name in ("remove.sh", "settings.env")):
        # Names of chains begin with NMANAGER_, too; a variable is set, or is the whole code span.
        where = rf"\b{name}\b(?!_?\*)" if path.suffix == ".yaml" else rf"\b{name}=|`{name}`"
        for match in re.finditer(where, path.read_text()):
            variable = next(filter(None, match.groups()))
            exists(variable, path.relative_to(ROOT))
    for line in (ROOT / "deploy/standalone/settings.env").read_text().splitlines():
        if not line.startswith("#"):
            exists(line.partition("=")[0], "settings.env")
    switches = {variable for variable in variables if re.fullmatch(r"RULE_\w+_ENABLE", variable)}
    check(switches == SWITCHES, f"the manifests turn off {sorted(SWITCHES)}, but the program has {sorted(switches)}")
    whole = [p for p in paths if p.suffix == ".yaml" and "templates" not in p.parts]  # the chart's are checked as rendered
    for path in (p for p in whole if "kind: DaemonSet" in p.read_text()):
        where = path.relative_to(ROOT)
        for container in (c for c in containers_of(path.read_text()) if c["name"] == "nmanager"):
            for probe in {"startupProbe", "livenessProbe", "readinessProbe"} & container.keys():
                get = container[probe]["httpGet"]
                check((get["host"], str(get["port"])) == listen.groups(), f"{where}: {probe}: not the address of the endpoint")
            for argument in container.get("args", []):
                check(argument in commands or argument.split("=")[0] in flags, f"{where}: no argument {argument}")
            for variable in container.get("env", []):
                exists(variable["name"], where)
        for container in (c for c in containers_of(path.read_text()) if c["name"] == "kube-rbac-proxy"):
            check(f"--upstream=http://{listen[1]}:{listen[2]}/" in container["args"], f"{where}: upstream is not the address of the endpoint")
    table = (ROOT / "README.md").read_text().split("## Settings")[1].split("\n## ")[0]
    named = set(re.findall(r"--[a-z][\w-]+", table)) | {f"--pod-cidr-ipv{n}" for n in (4, 6)}
    check(named - {"--help"} == flags - {"--help", "--version"}, f"README.md's settings: {sorted(named ^ flags)}")
    check(variables - {"POD_CIDR_IPV6"} <= set(re.findall(r"[A-Z0-9_]{5,}", table)), "README.md's variables")


def check_try_out():
    """deploy/try.sh shows what README.md describes."""
    for variant in ("nft", "legacy"):
        result = subprocess.run([ROOT / "deploy/try.sh", variant], capture_output=True, text=True)
        label = f"deploy/try.sh {variant}"
        if not check(result.returncode == 0, f"{label}: {result.stdout[-5000:]}{result.stderr[-500:]}"):
            continue
        shown, _, after = result.stdout.partition("cleanup removes all of it")
        for part in ("the connection was RESET", "the connection continues", "are reset: YES", "\nready\n", "repaired after", "jump_displaced", "-A INPUT -j NMANAGER_INPUT", "-j DNAT --to-destination"):
            check(part in shown, f"{label} does not show {part!r}")
        check("KUBE-SERVICES" in after and "NMANAGER" not in after, f"{label}: cleanup")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--kustomize", action="append", default=[], help="a kubectl or kustomize to render with; it must support components")
    parser.add_argument("--kubectl", action="append", default=[], help="a kubectl to run the commands with; the newest last")
    parser.add_argument("--missing", action="append", default=[], help="something that is not available here")
    parser.add_argument("--schema", action="append", default=[], help="an npm package with Kubernetes' schemas")
    parser.add_argument("--chart", help="test/deploy/tools/chart")
    parser.add_argument("--apply", help="test/deploy/tools/apply")
    parser.add_argument("--program", default="")
    parser.add_argument("--write-golden", action="store_true")
    arguments = parser.parse_args()

    for what in arguments.missing:
        skip(f"{what}: not available here")
    check_documents()
    check_overlays(arguments.kustomize, arguments.write_golden)
    if arguments.kubectl and arguments.kustomize and arguments.apply:
        check_commands(arguments.kubectl, arguments.apply, arguments.kustomize[0])
        check_kubeadm_script(arguments.kubectl[-1])
    if len(arguments.schema) == 2:
        schemas = Schemas(*arguments.schema)
        schemas.check_itself(next(d for d in recorded() if d["kind"] == "DaemonSet"))
        for folder in ("standalone", "kubeadm", "cleanup", "monitoring", "monitoring/proxy", "monitoring/prometheus", "monitoring/operator"):
            schemas.check(render(arguments.kustomize[0], ROOT / "deploy" / folder, folder) or [], folder)
        if arguments.chart:
            check_charts(arguments.chart, schemas, arguments.kubectl[-1], arguments.apply)
    if arguments.program:
        version = subprocess.run([arguments.program, "version"], capture_output=True, text=True).stdout.split()[1]
        check_version(version)
        check_against_program(arguments.program)
        check_try_out()
    else:
        skip("the program is not built")
    # The rights of kube-proxy's own account: kubeadm binds it to the role that Kubernetes defines.
    binding = next(d for d in recorded() if d["kind"] == "ClusterRoleBinding")
    check(binding["roleRef"]["name"] == "system:node-proxier", "kube-proxy's account is bound to system:node-proxier")
    return summary()


if __name__ == "__main__":
    sys.exit(main())
