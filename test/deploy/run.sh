#!/usr/bin/env bash
# Renders patches/ and deploy/ with the kustomize and the kubectl of Debian 13, runs the documents' commands with that kubectl
# and with Debian 12's (1.20), and checks the result. Neither Debian nor npm has Helm, so the chart is rendered by a program
# that uses Helm's libraries: Go's templates and sprig. Each part ends in a line "N passed, N failed, N skipped".
set -uo pipefail
cd "$(dirname "$0")/../.."
tools=$PWD/build/tools
mkdir -p "$tools"

need() { dpkg-query -W -f='${Status}' "$1" 2>/dev/null | grep -q 'install ok installed' || apt-get -o DPkg::Lock::Timeout=600 install -y -qq --no-install-recommends "$1" >/dev/null; }
need python3-yaml
need python3-jsonschema

# unpack FOLDER PACKAGE APT_OPTIONS...: unpacks without installing, so that the machine does not change.
unpack() {
  local folder=$tools/$1 package=$2
  shift 2
  [[ -e $folder/done ]] && return
  rm -rf "$folder" && mkdir -p "$folder"
  (cd "$folder" && apt-get "$@" download -qq "$package" >/dev/null 2>&1 && dpkg -x "$package"_*.deb . && rm -f ./*.deb && touch done)
}

# Packages of Debian 13, with separate package lists; they need no library that Debian 12 lacks.
later=$tools/apt-trixie
later_options=(-o "Dir::Etc::SourceList=$later/sources.list" -o Dir::Etc::SourceParts=/dev/null -o "Dir::State::Lists=$later/lists"
  -o "Dir::Cache=$later/cache" -o Dir::State::status=/dev/null)
unpack_later() {
  [[ -e $tools/$1/done ]] && return
  mkdir -p "$later/lists/partial" "$later/cache/archives/partial"
  local mirror  # the one that this machine uses
  mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Codename: bookworm' | head -n 1)
  [[ -n $mirror ]] || return
  echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror trixie main" >"$later/sources.list"
  [[ -e $later/updated ]] || { apt-get "${later_options[@]}" update -qq >/dev/null 2>&1 && touch "$later/updated"; } || return
  unpack "$1" "$1" "${later_options[@]}"
}

arguments=()
if unpack kubernetes-client kubernetes-client; then
  arguments+=(--kubectl "$tools/kubernetes-client/usr/bin/kubectl")
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

# Debian's packages of the API server's library for server-side apply and of Helm's for templates.
build_tool() {
  [[ $tools/$1 -nt test/deploy/tools/$1/main.go ]] && return
  (cd "test/deploy/tools/$1" && GO111MODULE=off GOFLAGS= GOPATH=/usr/share/gocode GOCACHE=$tools/go-cache go build -o "$tools/$1" .)
}
for package in golang-go golang-github-masterminds-sprig-dev golang-k8s-sigs-structured-merge-diff-dev golang-k8s-sigs-yaml-dev; do need "$package"; done
for tool in apply chart; do
  if build_tool "$tool"; then arguments+=("--$tool" "$tools/$tool"); else arguments+=(--missing "test/deploy/tools/$tool"); fi
done

# Kubernetes' schemas as declared in npm packages; unpacked only in memory.
schema() {
  local file=$tools/$2
  [[ -s $file ]] || (cd "$tools" && { command -v npm >/dev/null || need npm; } && npm pack "$1" >/dev/null 2>&1)
  if [[ -s $file ]]; then arguments+=(--schema "$file"); else arguments+=(--missing "$1"); fi
}
schema kubernetes-models@5.1.0 kubernetes-models-5.1.0.tgz
schema @kubernetes-models/apimachinery@3.0.2 kubernetes-models-apimachinery-3.0.2.tgz

for preset in release dev; do
  if [[ -x build/$preset/nmanager ]]; then arguments+=(--program "build/$preset/nmanager"); break; fi
done
code=0
/usr/bin/python3 test/deploy/check.py "${arguments[@]}" "$@" || code=1
if [[ -x build/release/nmanager ]]; then
  for package in binutils dpkg-dev file; do need "$package"; done
  /usr/bin/python3 test/deploy/package.py --build "$PWD/build/release" || code=1
else
  echo "SKIP: build/release is not built"; echo "0 passed, 0 failed, 1 skipped"
fi
exit $code
