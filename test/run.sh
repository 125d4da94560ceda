#!/usr/bin/env bash
# Installs the required packages, builds, and runs every test: plain, with address and
# undefined-behaviour sanitizers, and with the thread sanitizer; then the checks of form, the virtual
# machine, the image, the manifests and the monitoring.
#   test/run.sh [--quick] [--only REGEX]
# --quick: the plain build only. --only: tests whose name matches, in each build.
#   test/run.sh --compilers     only test/compilers.sh: other compilers, Debian 13, arm64; takes hours
# The last line is "N passed, N failed, N skipped", counted over all test cases.
set -uo pipefail
cd "$(dirname "$0")/.."

presets=(release asan tsan)
only=()
quick=false
while (($#)); do
  case "$1" in
    --quick) presets=(release); quick=true ;;
    --only) only=(-R "$2"); shift ;;
    --compilers) exec test/compilers.sh ;;
    *) echo "usage: test/run.sh [--quick] [--only REGEX] | --compilers" >&2; exit 2 ;;
  esac
  shift
done

logs=build/test-logs
mkdir -p "$logs"
rm -f "$logs"/*.log "$logs"/*.rc "$logs"/*.end
form=(check_rooms check_format check_tidy)
whole=true
if $quick || ((${#only[@]} > 0)); then whole=false; fi
failed=0
passed_cases=0 failed_cases=0 skipped_cases=0

step() { printf '\n=== %s\n' "$*"; }

# Adds the counts of every doctest summary and every plain "N passed, N failed, N skipped" in a log.
count() {
  local counts
  counts=$(sed -E 's/^[0-9]+: //' "$1" | awk '
    /^\[doctest\] test cases:/ { gsub(/[^0-9|]/, ""); split($0, n, "|"); p += n[2]; f += n[3]; s += n[4] }
    /^\[cases that could not run here\]/ { s += $NF; p -= $NF }
    /^[0-9]+ passed, [0-9]+ failed(, [0-9]+ skipped)?$/ { p += $1; f += $3; s += $5 }
    END { print p + 0, f + 0, s + 0 }')
  read -r p f s <<<"$counts"
  passed_cases=$((passed_cases + p))
  failed_cases=$((failed_cases + f))
  skipped_cases=$((skipped_cases + s))
}

# Configures and builds a preset. What release compiles is kept for the image, where the same compiler compiles the same files
# in another folder (test/image/run.sh).
build() {
  if [[ $1 == release ]]; then
    export CCACHE_REMOTE_STORAGE=file:$PWD/build/image/root/ccache CCACHE_RESHARE=1
    export CCACHE_BASEDIR=$PWD CCACHE_NOHASHDIR=1 CCACHE_COMPILERCHECK=content
    unset LANG LC_ALL LC_CTYPE LC_MESSAGES  # they are part of the key
  fi
  cmake --preset "$1" >"$logs/$1-configure.txt" 2>&1 && cmake --build --preset "$1" >"$logs/$1-build.txt" 2>&1
}

# Runs the tests of a preset that is built. Scenarios mostly wait, each in its own namespaces; the longest start first (COST).
test_preset() {
  local preset=$1 log="$logs/$1.log"
  step "$preset: test"
  export ASAN_OPTIONS=detect_leaks=1:halt_on_error=1 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
  export LSAN_OPTIONS="suppressions=$PWD/test/lsan.supp:print_suppressions=0"
  export TSAN_OPTIONS="halt_on_error=1:second_deadlock_stack=1:suppressions=$PWD/test/tsan.supp"
  (cd "build/$preset" && ctest -V -j 4 --timeout 900 "${only[@]}") >"$log" 2>&1 || failed=1
  grep -aE '^ *[0-9]+/[0-9]+ Test|^[0-9]+% tests passed|SKIP' "$log"
  grep -aE 'ERROR:|FATAL|FAILED|WARNING: ThreadSanitizer|runtime error' "$log" | head -n 40
  count "$log"
}

# Runs a function in the background at the lowest priority, so that the tests come first.
beside() { (renice -n 19 "$BASHPID" >/dev/null; "$@") & }

# Builds and tests every preset; while one is tested, the next is built, and during the last the form is checked.
run_presets() {
  local i preset built building
  build "${presets[0]}" & building=$!
  for i in "${!presets[@]}"; do
    preset=${presets[i]}
    step "$preset: build"
    built=true
    wait "$building" || built=false
    if ((i + 1 < ${#presets[@]})); then
      beside build "${presets[i + 1]}"
      building=$!
    elif $whole; then
      beside lane "${form[@]}"
    fi
    if $built; then
      echo "done at $SECONDS s"
      test_preset "$preset"
    else
      tail -n 60 "$logs/$preset-configure.txt" "$logs/$preset-build.txt"
      failed=1
      failed_cases=$((failed_cases + 1))
    fi
  done
}

check_rooms() { test/rooms.py; }

check_format() {
  local files
  mapfile -t files < <(git ls-files '*.cpp' '*.h')
  clang-format --dry-run -Werror "${files[@]}" && echo "1 passed, 0 failed" || echo "0 passed, 1 failed"
}

# The units of the sanitizer build have the same files, and each header once: a third of the time.
check_tidy() {
  local units
  mapfile -t units < <(sed -n 's/^ *"file": "\(.*\)",\{0,1\}$/\1/p' build/asan/compile_commands.json | grep -v '/build/asan/test/')
  ((${#units[@]} > 0)) && printf '%s\n' "${units[@]}" |
    xargs -P 2 -n 4 clang-tidy --quiet --extra-arg=-Wno-everything -p build/asan 2>/dev/null &&
    echo "1 passed, 0 failed" || echo "0 passed, 1 failed"
}

# Runs its arguments, which are commands without arguments, one after another; a log for each.
lane() {
  local part name
  for part in "$@"; do
    name=$(echo "$part" | tr '/' '-')
    "$part" >"$logs/$name.log" 2>&1
    echo $? >"$logs/$name.rc"
    echo "$SECONDS" >"$logs/$name.end"
  done
}

# Runs what needs no more builds, in parallel lanes: each lane leaves its core idle for much of its time.
run_rest() {
  local first=(test/vm/run.sh)
  local second=(test/image/run.sh test/deploy/run.sh test/monitoring.sh)
  local third=(test/adversary/suite.sh)
  local part name lines
  lane "${third[@]}" &
  lane "${first[@]}" &
  lane "${second[@]}"
  wait
  for part in "${form[@]}" "${second[@]}" "${first[@]}" "${third[@]}"; do
    name=$(echo "$part" | tr '/' '-')
    step "$part: done at $(<"$logs/$name.end") s"
    lines=40
    [[ $(<"$logs/$name.rc") == 0 ]] || { failed=1; lines=200; }
    tail -n "$lines" "$logs/$name.log"
    count "$logs/$name.log"
  done
}

step "packages"
test/deps.sh --tests || exit 1
run_presets
if $whole; then run_rest; fi

step "result (logs in $logs)"
echo "$passed_cases passed, $failed_cases failed, $skipped_cases skipped"
((failed == 0 && failed_cases == 0 && passed_cases > 0))
