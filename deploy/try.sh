#!/usr/bin/env bash
# Shows on this machine, without a cluster, which connections die without nmanager and survive with it, and how it keeps
# its rules in place; in its own network namespaces:
#   deploy/try.sh [nft|legacy]
# Installs what is needed (Debian 12, root), builds, and starts a stand-in API server that serves recorded traffic of a
# real one. Nothing outside the namespaces is changed.
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
pod=$ns-pod
outside=$ns-out
export XTABLES_LOCKFILE=$folder/xtables.lock
finish() {
  local job
  for job in $(jobs -p); do kill "$job" 2>/dev/null || true; done
  wait 2>/dev/null || true
  local one
  for one in "$pod" "$outside" "$ns"; do ip netns del "$one" 2>/dev/null || true; done
  rm -rf "$folder"
}
trap finish EXIT
trap 'exit 130' INT TERM

in_ns() { ip netns exec "$ns" "$@"; }
ipt() { in_ns "iptables-$variant" "$@"; }
wait_for() {  # wait_for SECONDS COMMAND...
  local end=$((SECONDS + $1)); shift
  until "$@" >/dev/null 2>&1; do
    if ((SECONDS > end)); then
      cat "$folder/log" || true
      in_ns curl -s -m 2 "http://127.0.0.1:10261/readyz?verbose" || true
      echo "gave up waiting for: $*"
      exit 1
    fi
    sleep 0.02
  done
}

nmanager=$PWD/build/release/nmanager

# link NAMESPACE DEVICE NETWORK: the node is .1, the other end .2
link() {
  ip -n "$ns" link add "$2" type veth peer name eth0 netns "$1"
  in_ns ip addr add "$3.1/24" dev "$2"
  in_ns ip link set "$2" up
  ip netns exec "$1" ip addr add "$3.2/24" dev eth0
  ip netns exec "$1" ip link set eth0 up
  ip netns exec "$1" ip link set lo up
  ip netns exec "$1" ip route add default via "$3.1"
}

# forged SERVERS-NAMESPACE CLIENTS-NAMESPACE SERVER-ADDRESS SERVER-PORT ADDRESS PORT: a connection in which one segment of
# the server is ahead of the window, as if a middlebox had reordered or delayed segments.
forged() {
  local pipe=$folder/pipe server code=0
  mkfifo "$pipe"
  ip netns exec "$1" test/scenarios/forged_segment.py server "$3" "$4" >"$pipe" 2>&1 &
  server=$!
  read -r <"$pipe"
  rm "$pipe"
  ip netns exec "$2" test/scenarios/forged_segment.py client "$5" "$6" || code=$?
  kill "$server" 2>/dev/null || true
  wait "$server" 2>/dev/null || true
  case $code in
    0) echo "the connection continues" ;;
    10) echo "the connection was RESET" ;;
    *) echo "no answer ($code)" ;;
  esac
}

for one in "$ns" "$pod" "$outside"; do ip netns add "$one"; done
in_ns ip link set lo up
link "$pod" pod0 10.244.0
link "$outside" out0 203.0.113
in_ns sysctl -qw net.ipv4.ip_forward=1
ipt -t nat -A POSTROUTING -s 10.244.0.0/16 -o out0 -j MASQUERADE
in_ns nft "add table ip services; add chain ip services pre { type nat hook prerouting priority -100; }; add rule ip services pre tcp dport 30080 dnat to 10.244.0.2:8080"

# start_keeper: an nmanager for the connections, without an API server
start_keeper() {
  RULE_DROP_INVALID_FORWARD_ENABLE=true ip netns exec "$ns" "$nmanager" run --backend "iptables-$variant" --listen 127.0.0.1:10262 \
    --pod-cidr-ipv4 10.244.0.0/16 --kubeconfig "$folder/none" --proxy-mode nftables 2>"$folder/log" &
  keeper=$!
  wait_for 10 ipt -C INPUT -j NMANAGER_INPUT
}

say "Problem 1, without nmanager: a pod, a server outside, one segment of the server ahead of the window"
ip netns exec "$ns" "$nmanager" diagnose --for 60s --proxy-mode nftables --pod-cidr-ipv4 10.244.0.0/16 >"$folder/diagnosis" 2>&1 &
diagnosis=$!
watches() { (($(in_ns cat /proc/net/packet | wc -l) > 1)); }
wait_for 10 watches
forged "$outside" "$pod" 203.0.113.2 7001 203.0.113.2 7001

say "Problem 3, without nmanager: a client outside, a NodePort, the same with a segment of the pod (kube-proxy in nftables mode)"
forged "$pod" "$outside" 10.244.0.2 8080 203.0.113.1 30080

say "The report of nmanager diagnose, which watched without any installed rule"
kill -INT "$diagnosis" 2>/dev/null || true
wait "$diagnosis" || true
cat "$folder/diagnosis"

say "The same with nmanager"
start_keeper
forged "$outside" "$pod" 203.0.113.2 7002 203.0.113.2 7002
forged "$pod" "$outside" 10.244.0.2 8080 203.0.113.1 30080
kill "$keeper"
wait "$keeper" 2>/dev/null || true
in_ns "$nmanager" cleanup
in_ns nft delete table ip services

say "A stand-in API server with a recorded list of Services, over TLS"
ip netns exec "$ns" build/release/nmanager-test-apiserver --tls --list test/fixtures/api/list.json \
  --watch test/fixtures/api/watch.ndjson --interval 700 --kubeconfig-out "$folder/kubeconfig" &
wait_for 10 test -s "$folder/kubeconfig"
grep server: "$folder/kubeconfig"

say "nmanager starts: kube-proxy has not started yet, so it is not ready; its rules are in place nevertheless"
ip netns exec "$ns" build/release/nmanager run --backend "iptables-$variant" --proxy-mode ipvs \
  --pod-cidr-ipv4 10.244.0.0/16 --pod-cidr-ipv6 fd44::/48 \
  --kubeconfig "$folder/kubeconfig" 2>"$folder/log" &
sidecar=$!
ready() { in_ns curl -sf -m 2 "http://127.0.0.1:10261/readyz"; }
listed() { in_ns curl -s -m 2 "http://127.0.0.1:10261/metrics" | grep -q '^nmanager_services_listed 1'; }
wait_for 10 listed
in_ns curl -s "http://127.0.0.1:10261/readyz?verbose" | grep kube-proxy-synced || true

say "kube-proxy starts: it inserts its chains, and its jumps before ours"
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
wait_for 30 ready  # its first sync may take ten seconds, since no kube-proxy tells when it has ended
echo "ready"
ipt -t nat -S PREROUTING

say "One of our jumps is displaced, another is deleted, a chain is flushed"
ipt -t nat -D PREROUTING -j NMANAGER_PREROUTING
ipt -D INPUT -j NMANAGER_INPUT
ipt -t nat -F NMANAGER_EX_CLUS_OUTPUT
wait_for 10 ipt -C INPUT -j NMANAGER_INPUT
wait_for 10 ipt -t nat -C PREROUTING -j NMANAGER_PREROUTING
wait_for 10 ready
ipt -t nat -S PREROUTING
ipt -S INPUT

say "Recorded events arrive: addresses change, Services are added and deleted"
applied() { in_ns curl -s -m 2 "http://127.0.0.1:10261/metrics" | grep -q '^nmanager_api_events_total [5-9]'; }
wait_for 30 applied

say "The chains as iptables lists them"
ipt -nvL NMANAGER_DROP_INVALID_INPUT
ipt -t nat -S | grep NMANAGER

say "nmanager status"
in_ns build/release/nmanager status | head -n 30 || true
in_ns build/release/nmanager explain --skipped || true

say "The log of nmanager"
cut -c1-200 "$folder/log"

say "cleanup removes all of it, and nothing else"
kill "$sidecar" && wait "$sidecar" 2>/dev/null || true
in_ns build/release/nmanager cleanup --backend "iptables-$variant"
ipt -t nat -S
