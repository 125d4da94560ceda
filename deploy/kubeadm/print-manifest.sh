#!/usr/bin/env bash
# Prints kubeadm's kube-proxy addon with the settings of the running cluster:
#   deploy/kubeadm/print-manifest.sh [FLAGS OF KUBECTL...] >kube-proxy.yaml
# Without --config, `kubeadm init phase addon kube-proxy --print-manifest` prints kubeadm's defaults, which would empty
# clusterCIDR and the mode. A manifest whose clusterCIDR or mode differs from the cluster's is refused with exit code 1;
# every other difference of config.conf is shown on stderr.
# Run the kubeadm of the cluster's version. KUBEADM names another program.
set -euo pipefail
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
kube() { kubectl -n kube-system "$@"; }

kube get configmap kubeadm-config -o go-template='{{.data.ClusterConfiguration}}' "$@" >"$scratch/cluster"
kube get configmap kube-proxy -o go-template='{{index .data "config.conf"}}' "$@" >"$scratch/proxy"
grep -q '^kind: ClusterConfiguration' "$scratch/cluster" || { echo "print-manifest.sh: ConfigMap kubeadm-config holds no ClusterConfiguration" >&2; exit 1; }
grep -q '^kind: KubeProxyConfiguration' "$scratch/proxy" || { echo "print-manifest.sh: ConfigMap kube-proxy holds no KubeProxyConfiguration" >&2; exit 1; }
{ cat "$scratch/cluster"; printf '\n---\n'; cat "$scratch/proxy"; echo; } >"$scratch/config"

"${KUBEADM:-kubeadm}" init phase addon kube-proxy --print-manifest --config "$scratch/config" >"$scratch/manifest"

# The lines of config.conf in the printed ConfigMap, without indentation.
awk '/^  config\.conf: \|/ {on = 1; next} on && (/^    / || /^$/) {sub(/^    /, ""); print; next} {on = 0}' \
  "$scratch/manifest" >"$scratch/printed"
value() { sed -n "s/^$1: *//p" "$2" | tr -d "\"'" | head -n 1; }
for key in clusterCIDR mode; do
  [[ $(value $key "$scratch/proxy") == "$(value $key "$scratch/printed")" ]] || {
    echo "print-manifest.sh: $key is '$(value $key "$scratch/proxy")' in the cluster and '$(value $key "$scratch/printed")' in what kubeadm prints; nothing is printed" >&2
    exit 1
  }
done
diff <(sed '/^[[:space:]]*\(#.*\)\?$/d' "$scratch/proxy") <(sed '/^[[:space:]]*\(#.*\)\?$/d' "$scratch/printed") >"$scratch/differences" || {
  echo "print-manifest.sh: note: config.conf differs from the cluster's (<); compare before you apply it:" >&2
  cat "$scratch/differences" >&2
}
cat "$scratch/manifest"
