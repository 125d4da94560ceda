#!/usr/bin/env bash
# Compares alerts, dashboard and documents with each other and with the running program's metrics (test/monitoring.py), and
# checks all of them with Prometheus' own tools. The last lines are "N passed, N failed, N skipped".
set -uo pipefail
cd "$(dirname "$0")/.."
passed=0 failed=0 skipped=0
ok() { passed=$((passed + 1)); }
bad() { failed=$((failed + 1)); echo "FAILED: $*"; }
result() { echo "$passed passed, $failed failed, $skipped skipped"; }

build=build/release
[[ -x $build/nmanager && -x $build/nmanager-test-apiserver ]] || { bad "$build is not built"; result; exit 1; }
tools=$(mktemp -d)
trap 'rm -rf "$tools"' EXIT
dpkg-query -W -f='${Status}' python3-yaml 2>/dev/null | grep -q 'install ok installed' ||
  apt-get -o DPkg::Lock::Timeout=600 install -y -qq --no-install-recommends python3-yaml >/dev/null
timeout --kill-after=10 300 /usr/bin/python3 test/monitoring.py --build "$PWD/$build" --metrics-out "$tools/metrics" \
  --queries-out "$tools/queries.yaml" ||
  bad "the metrics of the running program"

# Prometheus and its promtool are unpacked, not installed, if the machine has none.
if ! command -v prometheus >/dev/null; then
  (cd "$tools" && apt-get download -qq prometheus >/dev/null 2>&1 && dpkg -x prometheus_*.deb .)
  PATH=$tools/usr/bin:$PATH
fi
promtool=$(command -v promtool || true)
if [[ -n $promtool ]]; then
  out=$("$promtool" check metrics <"$tools/metrics" 2>&1) && [[ -s $tools/metrics ]] && ok || bad "promtool check metrics: $out"
  out=$("$promtool" check rules "$tools/queries.yaml" 2>&1) && ok || bad "promtool, the dashboard's queries: $out"
  timeout --kill-after=10 300 unshare --net /usr/bin/python3 test/monitoring_scrape.py --build "$PWD/$build" || bad "a real Prometheus cannot scrape the running program"
  cd deploy/monitoring
  out=$("$promtool" check rules alerts.yaml 2>&1) && ok || bad "promtool check rules: $out"
  out=$("$promtool" test rules alerts_test.yaml 2>&1) && ok || bad "promtool test rules: $out"
else
  echo "SKIP: promtool is not available here"
  skipped=5
fi
result
((failed == 0))
