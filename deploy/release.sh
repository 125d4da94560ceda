#!/usr/bin/env bash
# Releases. The version is that of project() in CMakeLists.txt.
#   deploy/release.sh version             prints it
#   deploy/release.sh check               every file that names the version names this one, and CHANGELOG.md has its section
#   deploy/release.sh set X.Y.Z           writes another version into all of these files
#   deploy/release.sh notes               prints the section of CHANGELOG.md
#   deploy/release.sh tag                 a clean tree, check, and an annotated tag vX.Y.Z with the notes
#   deploy/release.sh image REGISTRY      builds amd64 and arm64 with buildah, an SBOM (SPDX) of each, and pushes the list of both
set -euo pipefail
cd "$(dirname "$0")/.."
# The other files that name the version.
named=(deploy/helm/nmanager/Chart.yaml deploy/Dockerfile deploy/kubeadm/kustomization.yaml deploy/standalone/kustomization.yaml
  deploy/standalone/daemonset.yaml deploy/cleanup/kustomization.yaml deploy/cleanup/daemonset.yaml
  deploy/components/sidecar/container.yaml patches/kubeproxydaemonset+strategic.yaml)

version() { sed -n 's/^project(nmanager VERSION \([0-9.]*\).*/\1/p' CMakeLists.txt; }
# The places in a file that name our version, as "version" or as the image's tag.
places() { grep -noE '(nmanager:|newTag: |^version: |^appVersion: |image\.version=")[0-9]+\.[0-9]+\.[0-9]+' "$1"; }
notes() { awk -v head="## [$1]" 'index($0, head) == 1 {on = 1; next} /^## / {on = 0} on' CHANGELOG.md; }

check() {
  local wanted file line bad=0
  wanted=$(version)
  for file in "${named[@]}"; do
    [[ -n $(places "$file") ]] || { echo "$file does not name the version" >&2; bad=1; }
    while read -r line; do
      [[ ${line##*[!0-9.]} == "$wanted" ]] || { echo "$file:$line, and CMakeLists.txt says $wanted" >&2; bad=1; }
    done < <(places "$file")
  done
  [[ -n $(notes "$wanted") ]] || { echo "CHANGELOG.md has no section $wanted" >&2; bad=1; }
  return $bad
}

case ${1:-} in
  version) version ;;
  check) check ;;
  notes) notes "$(version)" ;;
  set)
    [[ ${2:-} =~ ^[0-9]+\.[0-9]+\.[0-9]+$ ]] || { echo "usage: deploy/release.sh set X.Y.Z" >&2; exit 2; }
    sed -i -E "s/^(project\(nmanager VERSION )[0-9.]+/\1$2/" CMakeLists.txt
    sed -i -E "s/(nmanager:|newTag: |^version: |^appVersion: |image\.version=\")[0-9]+\.[0-9]+\.[0-9]+/\1$2/" "${named[@]}"
    ;;
  tag)
    [[ -z $(git status --porcelain) ]] || { echo "the tree has changes that are not committed" >&2; exit 1; }
    check
    git tag -a "v$(version)" -m "nmanager $(version)" -m "$(notes "$(version)")"
    ;;
  image)
    registry=${2:?usage: deploy/release.sh image REGISTRY}
    check
    name=$registry/nmanager:$(version)
    SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
    export SOURCE_DATE_EPOCH
    mkdir -p build/release-image
    buildah manifest create "$name"
    for architecture in amd64 arm64; do
      buildah bud --timestamp "$SOURCE_DATE_EPOCH" --platform "linux/$architecture" --build-arg "REVISION=$(git rev-parse HEAD)" \
        --manifest "$name" --iidfile "build/release-image/$architecture" -f deploy/Dockerfile .
      container=$(buildah from "$(cat "build/release-image/$architecture")")
      deploy/package/sbom.py "$(buildah mount "$container")" "$(version)" >"build/release-image/nmanager-$architecture.spdx.json"
      buildah rm "$container" >/dev/null
    done
    buildah manifest push --all "$name" "docker://$name"
    echo "SBOMs: build/release-image/*.spdx.json"
    ;;
  *) sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "$0"; exit 2 ;;
esac
