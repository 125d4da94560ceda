#!/usr/bin/env bash
# Renders what patches/ and deploy/ hold, with the kubectl of Debian 12 (kustomize 2.0.3) and with a newer one where the
# machine has it, and checks the result. The last line is "N passed, N failed, N skipped".
set -euo pipefail
cd "$(dirname "$0")/../.."

tools=$(mktemp -d)
trap 'rm -rf "$tools"' EXIT

need() { dpkg-query -W -f='${Status}' "$1" 2>/dev/null | grep -q 'install ok installed' || apt-get install -y -qq --no-install-recommends "$1" >/dev/null; }
need python3-yaml

# Unpacked, not installed: another kubectl of the machine stays as it is.
old=
if (cd "$tools" && apt-get download -qq kubernetes-client >/dev/null 2>&1 && dpkg -x kubernetes-client_*.deb unpacked); then
  old=$tools/unpacked/usr/bin/kubectl
fi
new=$(command -v kubectl || true)

program=
for preset in release dev; do
  if [[ -x build/$preset/nmanager ]]; then program=build/$preset/nmanager; break; fi
done
exec_python=/usr/bin/python3
"$exec_python" test/deploy/check.py --old "$old" --new "$new" --program "$program"
