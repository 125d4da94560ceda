"""Every command in these documents is run by the suite, or is listed here with the reason why it is not."""
import re
import subprocess

from manifests import ROOT
from report import check, skip

DOCUMENTS = ["patches/README.md", "deploy/README.md", "deploy/monitoring/README.md", "docs/install-helm.md", "docs/install-kustomize.md",
             "docs/install-package.md", "docs/platforms.md", "docs/runbooks.md", "CONTRIBUTING.md"]
PROGRAMS = r"(?:kubectl|helm|oc|docker|cmake|cpack|apt-get|systemctl|curl|nmanager|for|\(cd|(?:\.\./)?(?:deploy|test|kubeadm)/[\w./-]+|remove\.sh|\.\./deploy/remove\.sh)"

# Part of a command -> the test that runs it.
RUN = {
    "patch daemonset kube-proxy --patch-file": "commands.py", "apply --server-side --field-manager=nmanager": "commands.py",
    "remove.sh": "commands.py", "print-manifest.sh": "commands.py", "set env daemonset/kube-proxy": "commands.py",
    "rollout status daemonset/": "commands.py", "kubectl apply -k": "overlays.py renders it, commands.py applies the stand-alone form",
    "kubectl delete -k": "overlays.py renders it", "helm uninstall": "charts.py runs its hooks", "helm install": "charts.py renders it and runs its hooks",
    "cmake --preset release": "test/run.sh", "cmake --preset dev": "test/run.sh builds the other presets", "cmake --build --preset dev": "the same", "cmake -B build": "the same", "nmanager version": "package.py", "cpack -G DEB": "package.py", "cmake --install": "package.py", "test/run.sh": "test/run.sh", "test/deps.sh": "test/run.sh",
    "ctest": "test/run.sh", "test/deploy/run.sh": "this", "test/image/run.sh": "test/run.sh", "nmanager status": "test/scenarios", "nmanager cleanup": "test/scenarios, test/image",
    "nmanager --help": "check.py", "get daemonset kube-proxy -o jsonpath": "commands.py", "deploy/release.sh": "package.py", "deploy/monitoring/render.sh": "test/monitoring.py compares", "docker build ": "test/image/run.sh, by buildah",
    "for tool in iptables ip6tables": "check_raw", "for chain in": "check_raw",
}
NOT_RUN = {
    "auth can-i": "asks a real API server's authorizer", "docker buildx": "needs a registry and arm64", "delete daemonset network-node-manager": "needs the original in a cluster",
    "label namespace": "needs admission", "oc adm": "needs OpenShift", "systemctl enable": "would start a service on the machine of the suite", "helm package": "helm is not available",
    "apt-get install": "would change the machine; package.py unpacks it instead", "apt-get remove": "the same", "systemd-analyze security nmanager": "package.py runs it offline on the unit",
    "curl -k -H": "test/monitoring_scrape.py does the same by a real Prometheus",
    "get pods -o wide": "shows", " exec POD": "needs a container runtime", " logs POD": "shows",
}
NAMES = ("kubectl patch", "helm: ", "helm uninstall", "kubectl logs", "kubectl exec")  # mentioned, not to be typed


def commands(text):
    for line in text.splitlines():
        if line.startswith("    ") and re.match(rf"\s+{PROGRAMS}(?:\s|$)", line):
            yield line.split("   #")[0].strip()
    for span in re.findall(r"`([^`\n]+)`", text):
        if re.match(rf"{PROGRAMS} ", span) and span not in NAMES:
            yield span


def check_raw():
    """deploy/README.md's loop removes what network-node-manager leaves in the table raw, and nothing else."""
    text = (ROOT / "deploy/README.md").read_text()
    loop = text.split("On each node:\n\n")[1].split("\n\n")[0]
    left = """for tool in iptables ip6tables; do
      for chain in NMANAGER_PREROUTING NMANAGER_OUTPUT NMANAGER_DNS OTHER; do $tool -t raw -N $chain; done
      $tool -t raw -A NMANAGER_PREROUTING -j NMANAGER_DNS; $tool -t raw -A PREROUTING -j NMANAGER_PREROUTING
      $tool -t raw -A PREROUTING -j OTHER; $tool -t raw -A OUTPUT -j NMANAGER_OUTPUT; done"""
    show = "for tool in iptables ip6tables; do $tool -t raw -S; done"
    result = subprocess.run(["unshare", "--net", "bash", "-ec", f"{left}\n{loop}\n{show}"], capture_output=True, text=True)
    check(result.returncode == 0 and "NMANAGER" not in result.stdout and result.stdout.count("-j OTHER") == 2,
          f"deploy/README.md, the table raw: {result.stdout}{result.stderr}")


def check_documents():
    check_raw()
    not_run = set()
    for name in DOCUMENTS:
        for command in commands((ROOT / name).read_text()):
            reasons = [reason for part, reason in NOT_RUN.items() if part in command]
            if not any(part in command for part in RUN) and check(reasons, f"{name}: neither run nor listed with a reason: {command}"):
                not_run.add(reasons[0])
    for reason in sorted(not_run):
        skip(f"commands of the documents that are not run: {reason}")
