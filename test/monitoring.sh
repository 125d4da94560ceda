#!/usr/bin/env bash
# Alerts, dashboard and documents against each other and against the program's metrics. The last line is
# "N passed, N failed, N skipped".
set -uo pipefail
cd "$(dirname "$0")/.."
passed=0 failed=0
ok() { passed=$((passed + 1)); }
bad() { failed=$((failed + 1)); echo "FAILED: $*"; }

tools=$(mktemp -d)
trap 'rm -rf "$tools"' EXIT
skipped=0
promtool=$(command -v promtool || true)
if [[ -z $promtool ]] && (cd "$tools" && apt-get download -qq prometheus >/dev/null 2>&1 && dpkg -x prometheus_*.deb .); then
  promtool=$tools/usr/bin/promtool
fi
if [[ -n $promtool ]]; then
  cd deploy/monitoring
  out=$("$promtool" check rules alerts.yaml 2>&1) && ok || bad "promtool check rules: $out"
  out=$("$promtool" test rules alerts_test.yaml 2>&1) && ok || bad "promtool test rules: $out"
  cd ../..
else
  echo "SKIP: promtool is not to be had here"
  skipped=2
fi

# What the program itself says, as Prometheus' own linter reads it.
program=build/release/nmanager
if [[ -n $promtool && -x $program ]]; then
  out=$(PROMTOOL=$promtool PROGRAM=$program unshare -n bash -c '
    ip link set lo up
    $PROGRAM run --backend iptables-nft --proxy-mode iptables --log-level error & pid=$!
    text=
    for _ in $(seq 100); do text=$(curl -sf http://127.0.0.1:10261/metrics) && break; sleep 0.05; done
    kill $pid; wait $pid
    [[ -n $text ]] && $PROMTOOL check metrics <<<"$text"' 2>&1) && ok || bad "promtool check metrics: $out"
else
  echo "SKIP: promtool check metrics: no promtool or no program"
  skipped=$((skipped + 1))
fi

names() { grep -oE '\b(nmanager|process)_[a-z_]+[a-z]' "$@" | sed -E 's/_(bucket|sum|count)$//' | sort -u; }
metrics=$(grep -oE '"(nmanager|process)_[a-z_]+"' plugin/status/metrics.cpp | tr -d '"' | sort -u)
for file in deploy/monitoring/alerts.yaml deploy/monitoring/dashboard.json deploy/monitoring/README.md README.md; do
  for name in $(names -h "$file"); do
    grep -qx "$name" <<<"$metrics" && ok || bad "$file names $name, which is no metric"
  done
done
for name in $metrics; do
  grep -q "\`$name\`" deploy/monitoring/README.md && ok || bad "$name is not documented"
  [[ $name == process_* ]] || grep -q "$name" deploy/monitoring/dashboard.json && ok || bad "$name is not on the dashboard"
done
for alert in $(sed -n 's/.*alert: //p' deploy/monitoring/alerts.yaml); do
  grep -q "^## $alert\$" deploy/monitoring/README.md && ok || bad "$alert has no section"
  (($(grep -c "alertname: $alert\$" deploy/monitoring/alerts_test.yaml) >= 2)) && ok || bad "$alert is not tested firing and silent"
done
grep -q 'deploy/monitoring/README.md' README.md && ok || bad "README.md does not lead to the runbook"
echo "$passed passed, $failed failed, $skipped skipped"
((failed == 0))
