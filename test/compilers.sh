#!/usr/bin/env bash
# Checks that no compiler of Debian 12 and 13 prints a warning, nor one for arm64, whose tests of the pure rooms run in
# qemu-user. Uses chroots made by mmdebstrap, which stay in build/compilers. Takes about twenty minutes of a core for each
# compiler, so it is run by hand, or by `test/run.sh --compilers`.
#   test/compilers.sh [SUITE/COMPILER...]      e.g. trixie/g++-14, arm64; none: all
# Files are checked without optimisation (-fsyntax-only); the suite itself (this machine's g++) and test/image/run.sh (g++ 12
# and 14) compile the product with it. The last line is "N passed, N failed, N skipped".
set -uo pipefail
cd "$(dirname "$0")/.."
source=$PWD work=$PWD/build/compilers
mkdir -p "$work"
passed=0 failed=0 skipped=0

all=(bookworm/g++-12 bookworm/clang++-14 bookworm/clang++-19 trixie/g++-12 trixie/g++-14 trixie/clang++-19 arm64)
(($#)) || set -- "${all[@]}"

tools=(cmake ninja-build pkg-config)
headers=(libcpprest-dev libspdlog-dev libboost-dev libyaml-cpp-dev prometheus-cpp-dev libsimdjson-dev libssl-dev libip4tc-dev
  libip6tc-dev libiptc-dev libmnl-dev libnftnl-dev libnetfilter-conntrack-dev)
headers_of_any=(doctest-dev libcli11-dev nlohmann-json3-dev)  # the same for every architecture

pass() { echo "ok: $*"; passed=$((passed + 1)); }
fail() { echo "FAILED: $*"; failed=$((failed + 1)); }
skip() { echo "SKIP: $*"; skipped=$((skipped + 1)); }

# Runs a command in a chroot with the source mounted read-only; the mounts end with the command.
inside() {
  local root=$1
  shift
  mkdir -p "$root/src" "$root/build"
  unshare --mount bash -c 'mount --bind "$1" "$2/src" && mount -o remount,bind,ro "$2/src" && mount -t proc proc "$2/proc" &&
    root=$2 && shift 2 && exec chroot "$root" env DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8 "$@"' _ "$source" "$root" "$@"
}

# make_root NAME SUITE PACKAGE...: returns 1, and counts a skip, if the chroot cannot be made.
make_root() {
  local name=$1 suite=$2 root=$work/$1
  shift 2
  if [[ ! -e $root.made ]]; then
    rm -rf "$root"
    local foreign=()
    [[ $name == *arm64 ]] && foreign=(--architectures=amd64,arm64)
    mmdebstrap --variant=minbase "${foreign[@]}" --include="$(IFS=,; echo "$*")" "$suite" "$root" >"$work/$name.log" 2>&1 || {
      skip "$name: the chroot cannot be made: $(grep -m1 -E '^E: ' "$work/$name.log")"
      return 1
    }
    touch "$root.made"
  fi
}

# check ROOT BUILD CMAKE-ARGUMENT...: checks every file of product and tests.
check() {
  local root=$1 build=$2 log=$work/$3.log what=$3
  shift 3
  inside "$root" cmake -S /src -B "/build/$build" -G Ninja -DCMAKE_COMPILE_WARNING_AS_ERROR=ON -DNMANAGER_CCACHE=NMANAGER_CCACHE-NOTFOUND \
    -DNMANAGER_REVISION=unknown "$@" >"$log" 2>&1 || { tail -n 20 "$log"; fail "$what: cmake"; return 1; }
  sed -n 's/^ *"command": "\(.*\)",\{0,1\}$/\1/p' "$root/build/$build/compile_commands.json" |
    sed 's/\\\\/\\/g; s/\\"/"/g; s/ -o [^ ]* -c / -fsyntax-only /' >"$root/build/$build/commands"
  local files
  files=$(wc -l <"$root/build/$build/commands")
  inside "$root" sh -c "cd /build/$build && xargs -a commands -d '\n' -P $(nproc) -n 1 sh -c 'eval \"\$0\" || echo \"FAILED: \$0\"'" >"$log" 2>&1
  if ((files > 0)) && [[ ! -s $log ]]; then
    pass "$what: $files files"
  else
    grep -E 'warning:|error:' "$log" | sort | uniq -c | sort -rn | head -n 20
    fail "$what: $(grep -c '^FAILED' "$log") of $files files: $log"
  fi
}

for one in "$@"; do
  suite=${one%/*} compiler=${one#*/}
  case $one in
    arm64)
      make_root trixie-arm64 trixie crossbuild-essential-arm64 qemu-user-static "${tools[@]}" "${headers_of_any[@]}" "${headers[@]/%/:arm64}" || continue
      root=$work/trixie-arm64
      check "$root" arm64 arm64 -DCMAKE_SYSTEM_NAME=Linux -DCMAKE_SYSTEM_PROCESSOR=aarch64 -DCMAKE_CXX_COMPILER=aarch64-linux-gnu-g++ \
        -DCMAKE_C_COMPILER=aarch64-linux-gnu-gcc -DPKG_CONFIG_EXECUTABLE=/usr/bin/aarch64-linux-gnu-pkg-config || continue
      if ! inside "$root" cmake --build /build/arm64 --target nmanager_unit_pure >"$work/arm64-build.log" 2>&1; then
        tail -n 20 "$work/arm64-build.log"
        fail "arm64: the tests of the pure rooms cannot be built"
      elif inside "$root" qemu-aarch64-static /build/arm64/test/unit/pure/nmanager_unit_pure >"$work/arm64-run.log" 2>&1; then
        pass "arm64: $(grep -a 'test cases:' "$work/arm64-run.log")"
      else
        tail -n 40 "$work/arm64-run.log"
        fail "arm64: the tests of the pure rooms, in qemu-user"
      fi
      ;;
    bookworm/* | trixie/*)
      make_root "$suite" "$suite" g++ "${tools[@]}" "${headers[@]}" "${headers_of_any[@]}" || continue
      package=${compiler/clang++/clang} c_compiler=${compiler/clang++/clang}
      if ! inside "$work/$suite" sh -c "command -v $compiler || { apt-get update -qq; apt-get install -y -qq --no-install-recommends $package; }" >"$work/install.log" 2>&1; then
        skip "$one: $package cannot be installed on $suite"
        continue
      fi
      check "$work/$suite" "$compiler" "$suite-$compiler" -DCMAKE_CXX_COMPILER="$compiler" -DCMAKE_C_COMPILER="${c_compiler/g++/gcc}"
      ;;
    *) echo "usage: test/compilers.sh [${all[*]}]" >&2; exit 2 ;;
  esac
done
echo "$passed passed, $failed failed, $skipped skipped"
((failed == 0))
