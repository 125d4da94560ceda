#!/usr/bin/env bash
# Builds deploy/Dockerfile unchanged, with buildah, on a Debian base made by mmdebstrap (without a registry), and runs the
# image: test/image/check.py, and test/image/pod.py with both containers of the pod; then builds it again and compares.
# Base and compiler cache stay in build/image, so that a second run is quick; what test/run.sh compiled for build/release is
# taken over. Each part ends in a line "N passed, N failed, N skipped".
set -uo pipefail
cd "$(dirname "$0")/../.."
work=$PWD/build/image
mkdir -p "$work/tmp"

fail() { echo "FAILED: $*"; echo "0 passed, 1 failed, 0 skipped"; exit 1; }
skip() { echo "SKIP: $*"; echo "0 passed, 0 failed, 1 skipped"; exit 0; }

api_server=build/release/nmanager-test-apiserver
[[ -x $api_server ]] || fail "build/release is not built"

need=()
for package in buildah crun podman catatonit runc mmdebstrap golang-github-containers-common iptables iproute2 curl python3-yaml; do
  dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || need+=("$package")
done
if ((${#need[@]})); then
  DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=600 install -y -qq --no-install-recommends "${need[@]}" >/dev/null 2>&1 ||
    skip "cannot install: ${need[*]}"
fi

# Layers use overlayfs; if the kernel does not support that here (build/ is on an overlay itself),
# whole copies.
export TMPDIR=$work/tmp BUILDAH_ISOLATION=chroot
export STORAGE_DRIVER=overlay
image() { buildah --root "$work/storage" --runroot "$work/run" "$@"; }
image images >/dev/null 2>&1 || export STORAGE_DRIVER=vfs
containers=()
# The storage mounts its folder on itself and does not unmount it.
trap '((${#containers[@]})) && image rm "${containers[@]}" >/dev/null; umount "$work/storage/overlay" 2>/dev/null' EXIT

# Like debian:12-slim: minbase, without manuals and translations.
base_image() {
  local suite=$1 base=$work/base-$1.tar
  if [[ ! -s $base ]]; then
    mmdebstrap --variant=minbase --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/doc/*' \
      --dpkgopt='path-exclude=/usr/share/locale/*' "$suite" "$base.part" >"$work/base.log" 2>&1 ||
      { tail -n 20 "$work/base.log"; fail "mmdebstrap $suite"; }
    mv "$base.part" "$base"
  fi
  image inspect --type image "localhost/nmanager-base:$suite" >/dev/null 2>&1 && return
  local container
  container=$(image from scratch) && image add -q "$container" "$base" / >/dev/null &&
    image commit -q "$container" "localhost/nmanager-base:$suite" >/dev/null && image rm "$container" >/dev/null || fail "cannot make an image of the base $suite"
}
# /root of the steps is a folder of ours, with the settings of the compiler cache: test/run.sh fills root/ccache.
mkdir -p "$work/root/.config/ccache" "$work/root/ccache"
cat >"$work/root/.config/ccache/ccache.conf" <<'EOF'
remote_storage = file:/root/ccache|read-only
base_dir = /src
hash_dir = false
compiler_check = content
EOF
# build SUITE TAG: all files get the same time, so that two builds can be compared.
build() {
  SECONDS=0
  image bud --pull-never --timestamp 0 --volume "$work/root:/root" --build-arg "BASE=localhost/nmanager-base:$1" -f deploy/Dockerfile -t "localhost/nmanager:$2" . \
    >"$work/build-$2.log" 2>&1 || { tail -n 40 "$work/build-$2.log"; fail "buildah cannot build deploy/Dockerfile on $1"; }
  echo "deploy/Dockerfile built on $1 in $SECONDS s"
}
# root VARIABLE IMAGE: sets the variable to the directory of the image's files.
root() {
  local container
  container=$(image from --pull-never "$2") && containers+=("$container")
  printf -v "$1" %s "$(image mount "$container")"
}

code=0
# Debian 13 is built and checked only on request, since that is another full build.
for suite in ${NMANAGER_IMAGE_SUITES:-bookworm}; do
  base_image "$suite"
  build "$suite" "test-$suite"
  image inspect --type image "localhost/nmanager:test-$suite" >"$work/image.json" || fail "cannot inspect the image"
  root ours "localhost/nmanager:test-$suite"
  root base "localhost/nmanager-base:$suite"
  timeout --kill-after=10 300 /usr/bin/python3 test/image/check.py --image "$work/image.json" --base-name "localhost/nmanager-base:$suite" \
    --api-server "$api_server" --root "$ours" --base-root "$base"
  result=$?
  ((result < 124)) || fail "the checks timed out"
  ((result == 0)) || code=1
  timeout --kill-after=10 300 /usr/bin/python3 test/image/pod.py --image "localhost/nmanager:test-$suite" --root "$work/storage" \
    --runroot "$work/run" --driver "$STORAGE_DRIVER" || code=1
done
[[ ${NMANAGER_IMAGE_SUITES:-} == *trixie* ]] || { echo "SKIP: Debian 13: NMANAGER_IMAGE_SUITES=trixie builds and checks it"; echo "0 passed, 0 failed, 1 skipped"; }

# Two builds must have the same digest.
suite=${suite:-bookworm}
build "$suite" again
digest() { image inspect --type image --format '{{.FromImageDigest}}' "localhost/nmanager:$1"; }
if [[ $(digest "test-$suite") == "$(digest again)" ]]; then
  echo "two builds have the digest $(digest again)"
  echo "1 passed, 0 failed, 0 skipped"
else
  root again localhost/nmanager:again
  diff -rq --no-dereference "$ours" "$again" >"$work/differences" 2>&1
  echo "FAILED: two builds differ: $(head -n 20 "$work/differences")"
  echo "0 passed, 1 failed, 0 skipped"
  code=1
fi
image rmi --prune >/dev/null 2>&1
exit $code
