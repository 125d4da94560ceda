#!/usr/bin/env bash
# Shows the main job on this machine, with no cluster, in a network namespace of its own:
#   deploy/try.sh [nft|legacy]
# Installs what is needed (Debian 12, root), builds, and starts a stand-in API server that serves
# recorded traffic of a real one. Nothing outside the namespace is touched.
set -euo pipefail
cd "$(dirname "$0")/.."

variant=${1:-nft}
case $variant in nft | legacy) ;; *) echo "usage: deploy/try.sh [nft|legacy]" >&2; exit 2 ;; esac
if ((EUID != 0)); then echo "deploy/try.sh: network namespaces need root" >&2; exit 1; fi

say() { printf '\n\033[1m== %s\033[0m\n' "$*"; }

say "Installing what is missing, and building (the first time takes a few minutes)"
test/deps.sh
mkdir -p build
{ cmake --preset release && cmake --build --preset release --target nmanager nmanager-test-apiserver; } \
  >build/try.log 2>&1 || { tail -n 40 build/try.log; exit 1; }

folder=$(mktemp -d)
ns=nmanager-try-$$
export XTABLES_LOCKFILE=$folder/xtables.lock
finish() {
  local job
  for job in $(jobs -p); do kill "$job" 2>/dev/null || true; done
  wait 2>/dev/null || true
  ip netns del "$ns" 2>/dev/null || true
  rm -rf "$folder"
}
trap finish EXIT
trap 'exit 130' INT TERM

in_ns() { ip netns exec "$ns" "$@"; }
ipt() { in_ns "iptables-$variant" "$@"; }
wait_for() {  # wait_for SECONDS COMMAND...
  local end=$((SECONDS + $1)); shift
  until "$@" >/dev/null 2>&1; do
    if ((SECONDS > end)); then echo "gave up waiting for: $*"; cat "$folder/log"; exit 1; fi
    sleep 0.02
  done
}

ip netns add "$ns"
in_ns ip link set lo up

say "A stand-in API server with a recorded list of Services, over TLS"
ip netns exec "$ns" build/release/nmanager-test-apiserver --tls --list test/fixtures/api/list.json \
  --watch test/fixtures/api/watch.ndjson --interval 700 --kubeconfig-out "$folder/kubeconfig" &
wait_for 10 test -s "$folder/kubeconfig"
grep server: "$folder/kubeconfig"

say "nmanager starts: kube-proxy is not there yet, so it is not ready; its rules stand all the same"
ip netns exec "$ns" build/release/nmanager run --backend "iptables-$variant" --proxy-mode ipvs \
  --pod-cidr-ipv4 10.244.0.0/16 --pod-cidr-ipv6 fd44::/48 \
  --kubeconfig "$folder/kubeconfig" 2>"$folder/log" &
ready() { in_ns curl -sf -m 2 "http://127.0.0.1:10261/readyz"; }
listed() { in_ns curl -s -m 2 "http://127.0.0.1:10261/metrics" | grep -q '^nmanager_services_listed 1'; }
wait_for 10 listed
in_ns curl -s "http://127.0.0.1:10261/readyz?verbose" | grep kube-proxy-synced || true

say "kube-proxy comes: its chains and its jumps, on top of ours"
ipt-restore() { in_ns "iptables-$variant-restore" --noflush; }
ipt-restore <<'RULES'
*nat
:KUBE-SERVICES - [0:0]
:KUBE-POSTROUTING - [0:0]
:KUBE-MARK-MASQ - [0:0]
-A KUBE-MARK-MASQ -j MARK --set-xmark 0x4000/0x4000
-A KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN
-A KUBE-POSTROUTING -j MASQUERADE --random-fully
-I PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
-I OUTPUT -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
-I POSTROUTING -m comment --comment "kubernetes postrouting rules" -j KUBE-POSTROUTING
COMMIT
*filter
:KUBE-FIREWALL - [0:0]
-I INPUT -j KUBE-FIREWALL
COMMIT
RULES
wait_for 10 ready
echo "ready"
ipt -t nat -S PREROUTING

say "A jump of ours is displaced, another deleted, a chain flushed"
ipt -t nat -D PREROUTING -j NMANAGER_PREROUTING
ipt -D INPUT -j NMANAGER_INPUT
ipt -t nat -F NMANAGER_EX_CLUS_OUTPUT
wait_for 10 ipt -C INPUT -j NMANAGER_INPUT
wait_for 10 ipt -t nat -C PREROUTING -j NMANAGER_PREROUTING
wait_for 10 ready
ipt -t nat -S PREROUTING
ipt -S INPUT

say "Recorded events come in: addresses change, Services come and go"
applied() { in_ns curl -s -m 2 "http://127.0.0.1:10261/metrics" | grep -q '^nmanager_api_events_total [5-9]'; }
wait_for 30 applied

say "The chains, as the administrator sees them"
ipt -nvL NMANAGER_DROP_INVALID_INPUT
ipt -t nat -S | grep NMANAGER

say "nmanager status"
in_ns build/release/nmanager status | head -n 30 || true

say "What it wrote to its log"
cut -c1-200 "$folder/log"

say "cleanup takes all of it away, and nothing else"
kill %2 && wait %2 2>/dev/null || true
in_ns build/release/nmanager cleanup --backend "iptables-$variant"
ipt -t nat -S
