#!/usr/bin/env bash
# The adversary in the test suite, about ten minutes: seeds that failed earlier, then fixed seeds for ADVERSARY_MINUTES (5) on
# the three backends in parallel, and for a minute the build with address and undefined-behaviour sanitizers.
#   test/adversary/suite.sh [BINARY] [ASAN_BINARY]
# The last line is "N passed, N failed, N skipped"; a case is a replayed file or a run of one seed. A failing run prints the
# shortest list of steps that still fails.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
build=$here/../../build
binary=${1:-$build/release/nmanager}
asan=${2:-$build/asan/nmanager}
common=(--go-on --shrink-seconds 60 --out "$build/adversary")
minutes=${ADVERSARY_MINUTES:-5}
passed=0 failed=0 skipped=0
log=$(mktemp)
trap 'rm -f "$log"' EXIT

# Runs the adversary and adds its last line to the counts; a run without this line has failed.
play() {
  "$here/run" "$@" 2>&1 | tee "$log" | sed -E 's/^([0-9]+ passed, .*)$/in this part: \1/'  # counted once, by the last line
  local p f s
  read -r p f s < <(awk '/^[0-9]+ passed, [0-9]+ failed, [0-9]+ skipped$/ { line = $0 }
    END { gsub(/[^0-9 ]/, "", line); print (line == "" ? "0 1 0" : line) }' "$log")
  passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
}

play --binary "$binary" --replay "$here"/seeds/*.json
if ((minutes == 0)); then
  echo "SKIP: fixed seeds: left out by ADVERSARY_MINUTES=0, and the minute with sanitizers"
  skipped=$((skipped + 1))
else
  play --binary "$binary" --seed 1 --steps 100 --minutes "$minutes" "${common[@]}"
fi
if ((minutes > 0)) && [[ -x $asan ]]; then
  export ASAN_OPTIONS=detect_leaks=1:halt_on_error=1 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
  export LSAN_OPTIONS="suppressions=$here/../lsan.supp:print_suppressions=0"
  play --binary "$asan" --memory-bound 800 --without 'little_address_space|out_of_descriptors' --seed 1001 --steps 25 \
    --minutes 1 "${common[@]}"
fi
echo "$passed passed, $failed failed, $skipped skipped"
((failed == 0 && passed > 0))
