#!/usr/bin/env bash
# Renders what patches/ and deploy/ hold, with the kubectl of Debian 12 (kustomize 2.0.3) and with the kustomize and the
# kubectl of a later Debian, and checks the result. The last line is "N passed, N failed, N skipped".
set -uo pipefail
cd "$(dirname "$0")/../.."
tools=$PWD/build/tools
mkdir -p "$tools"

need() { dpkg-query -W -f='${Status}' "$1" 2>/dev/null | grep -q 'install ok installed' || apt-get install -y -qq --no-install-recommends "$1" >/dev/null; }
need python3-yaml

# Unpacked, not installed: what the machine has stays as it is. unpack FOLDER PACKAGE APT_OPTIONS...
unpack() {
  local folder=$tools/$1 package=$2
  shift 2
  [[ -e $folder/done ]] && return
  rm -rf "$folder" && mkdir -p "$folder"
  (cd "$folder" && apt-get "$@" download -qq "$package" >/dev/null 2>&1 && dpkg -x "$package"_*.deb . && rm -f ./*.deb && touch done)
}

# Debian 13 by lists of their own; its programs need no library that Debian 12 lacks.
later=$tools/apt-trixie
later_options=(-o "Dir::Etc::SourceList=$later/sources.list" -o Dir::Etc::SourceParts=/dev/null -o "Dir::State::Lists=$later/lists"
  -o "Dir::Cache=$later/cache" -o Dir::State::status=/dev/null)
unpack_later() {
  [[ -e $tools/$1/done ]] && return
  mkdir -p "$later/lists/partial" "$later/cache/archives/partial"
  echo 'deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian trixie main' >"$later/sources.list"
  [[ -e $later/updated ]] || { apt-get "${later_options[@]}" update -qq >/dev/null 2>&1 && touch "$later/updated"; } || return
  unpack "$1" "$1" "${later_options[@]}"
}

arguments=()
if unpack kubernetes-client kubernetes-client; then
  arguments+=(--kustomize "$tools/kubernetes-client/usr/bin/kubectl" --kubectl "$tools/kubernetes-client/usr/bin/kubectl")
else
  arguments+=(--missing "kubectl of Debian 12")
fi
if unpack_later kustomize; then
  arguments+=(--kustomize "$tools/kustomize/usr/bin/kustomize")
else
  arguments+=(--missing "kustomize of Debian 13")
fi
if unpack_later kubectl; then
  arguments+=(--kustomize "$tools/kubectl/usr/bin/kubectl" --kubectl "$tools/kubectl/usr/bin/kubectl")
else
  arguments+=(--missing "kubectl of Debian 13")
fi

for preset in release dev; do
  if [[ -x build/$preset/nmanager ]]; then arguments+=(--program "build/$preset/nmanager"); break; fi
done
/usr/bin/python3 test/deploy/check.py "${arguments[@]}" "$@"
