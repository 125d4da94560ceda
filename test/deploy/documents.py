"""Every command in the documents of this area is run by the suite, or stands here with the reason why it is not."""
import re

from manifests import ROOT
from report import check, skip

DOCUMENTS = ["patches/README.md", "deploy/README.md", "deploy/monitoring/README.md", "docs/install-helm.md", "docs/install-kustomize.md",
             "docs/install-package.md", "docs/platforms.md", "docs/runbooks.md", "CONTRIBUTING.md"]
PROGRAMS = r"(?:kubectl|helm|oc|docker|cmake|cpack|apt-get|systemctl|curl|nmanager|for|\(cd|(?:\.\./)?(?:deploy|test|kubeadm)/[\w./-]+|remove\.sh|\.\./deploy/remove\.sh)"

# Part of a command -> what runs it.
RUN = {
    "patch daemonset kube-proxy --patch-file": "commands.py", "apply --server-side --field-manager=nmanager": "commands.py",
    "remove.sh": "commands.py", "print-manifest.sh": "commands.py", "set env daemonset/kube-proxy": "commands.py",
    "rollout status daemonset/": "commands.py", "kubectl apply -k": "overlays.py renders it, commands.py applies the stand-alone form",
    "kubectl delete -k": "overlays.py renders it", "helm uninstall": "charts.py runs its hooks", "helm install": "charts.py renders it and runs its hooks",
    "cmake --preset release": "test/run.sh", "cpack -G DEB": "package.py", "cmake --install": "package.py", "test/run.sh": "test/run.sh", "test/deps.sh": "test/run.sh",
    "ctest": "test/run.sh", "test/deploy/run.sh": "this", "test/image/run.sh": "test/run.sh", "nmanager status": "test/scenarios", "nmanager cleanup": "test/scenarios, test/image",
    "nmanager --help": "check.py", "deploy/release.sh": "package.py", "deploy/monitoring/render.sh": "test/monitoring.py compares", "docker build ": "test/image/run.sh, by buildah",
    "for tool in iptables ip6tables": "test/scenarios/migration_test.cpp has these tables",
}
NOT_RUN = {
    "auth can-i": "asks a real API server's authorizer", "docker buildx": "there is no registry, and no arm64", "delete daemonset network-node-manager": "needs the original in a cluster",
    "label namespace": "needs admission", "oc adm": "needs OpenShift", "systemctl enable": "the machine of the suite is not the place for a service", "helm package": "helm is not to be had",
    "apt-get install": "installs into the machine; package.py unpacks it instead", "apt-get remove": "the same", "systemd-analyze security nmanager": "package.py runs it offline on the unit",
    "curl -k -H": "test/monitoring_scrape.py does the same by a real Prometheus", "get daemonset kube-proxy -o jsonpath": "commands.py asks the same of the object",
    "get pods -o wide": "shows", "kubectl logs": "shows", "kubectl exec": "needs a container runtime", " exec POD": "needs a container runtime", " logs POD": "shows", "kubectl patch": "a name, not a command",
    "helm: ": "a name",
}


def commands(text):
    for line in text.splitlines():
        if line.startswith("    ") and re.match(rf"\s+{PROGRAMS}(?:\s|$)", line):
            yield line.split("   #")[0].strip()
    for span in re.findall(r"`([^`\n]+)`", text):
        if re.match(rf"{PROGRAMS} ", span):
            yield span


def check_documents():
    not_run = set()
    for name in DOCUMENTS:
        for command in commands((ROOT / name).read_text()):
            reasons = [reason for part, reason in NOT_RUN.items() if part in command]
            if not any(part in command for part in RUN) and check(reasons, f"{name}: neither run nor excused: {command}"):
                not_run.add(reasons[0])
    for reason in sorted(not_run):
        skip(f"commands of the documents that are not run: {reason}")
