#!/usr/bin/env bash
# Builds deploy/Dockerfile as it is, with buildah, against a Debian 12 base made by mmdebstrap (no registry is asked),
# and runs the image: test/image/check.py. Base and compiler cache stay in build/image, so that a second run is
# quick. The last line is "N passed, N failed, N skipped".
set -uo pipefail
cd "$(dirname "$0")/../.."
work=$PWD/build/image
mkdir -p "$work/tmp"

fail() { echo "FAILED: $*"; echo "0 passed, 1 failed, 0 skipped"; exit 1; }
skip() { echo "SKIP: $*"; echo "0 passed, 0 failed, 1 skipped"; exit 0; }

api_server=build/release/nmanager-test-apiserver
[[ -x $api_server ]] || fail "build/release is not built"

need=()
for package in buildah crun mmdebstrap golang-github-containers-common iptables iproute2 curl python3-yaml; do
  dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || need+=("$package")
done
if ((${#need[@]})); then
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${need[@]}" >/dev/null 2>&1 ||
    skip "cannot install: ${need[*]}"
fi

# As debian:12-slim is: minbase, without manuals and translations.
base=$work/base.tar
if [[ ! -s $base ]]; then
  mmdebstrap --variant=minbase --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/doc/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' bookworm "$base.part" >"$work/base.log" 2>&1 ||
    { tail -n 20 "$work/base.log"; fail "mmdebstrap"; }
  mv "$base.part" "$base"
fi

# Layers by overlay; where the kernel cannot (build/ on an overlay itself), whole copies.
export TMPDIR=$work/tmp BUILDAH_ISOLATION=chroot
export STORAGE_DRIVER=overlay
image() { buildah --root "$work/storage" --runroot "$work/run" "$@"; }
image images >/dev/null 2>&1 || export STORAGE_DRIVER=vfs

base_name=localhost/nmanager-base:bookworm
if ! image inspect --type image "$base_name" >/dev/null 2>&1; then
  container=$(image from scratch) && image add -q "$container" "$base" / >/dev/null &&
    image commit -q "$container" "$base_name" >/dev/null && image rm "$container" >/dev/null || fail "the base as an image"
fi

SECONDS=0
image bud --pull-never --build-arg "BASE=$base_name" -f deploy/Dockerfile -t localhost/nmanager:test . \
  >"$work/build.log" 2>&1 || { tail -n 40 "$work/build.log"; fail "buildah cannot build deploy/Dockerfile"; }
echo "deploy/Dockerfile built in $SECONDS s"
# The image of the build before.
image rmi --prune >/dev/null 2>&1

container=$(image from --pull-never localhost/nmanager:test)
base_container=$(image from --pull-never "$base_name")
# The storage mounts its folder on itself, and leaves that behind.
trap 'image rm "$container" "$base_container" >/dev/null; umount "$work/storage/overlay" 2>/dev/null' EXIT
image inspect --type image localhost/nmanager:test >"$work/image.json" || fail "inspect"
timeout --kill-after=10 300 /usr/bin/python3 test/image/check.py --image "$work/image.json" --base-name "$base_name" --api-server "$api_server" \
  --root "$(image mount "$container")" --base-root "$(image mount "$base_container")"
code=$?
((code < 124)) || fail "the checks hang: what they wait for does not come"
exit "$code"
