#!/usr/bin/env bash
# The adversary in the test suite: seeds that once failed, then fixed seeds on the three backends side by side, about ten minutes.
#   test/adversary/suite.sh [BINARY] [MINUTES]
# The last line is "N passed, N failed, N skipped"; a case is a replayed file or a run of one seed.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
binary=${1:-$here/../../build/release/nmanager}
minutes=${2:-9}
flags=${ADVERSARY_FLAGS:-}  # e.g. --lenient-lines
passed=0 failed=0

for file in "$here"/seeds/*.json; do
  [[ -e $file ]] || continue
  if output=$("$here/run" --binary "$binary" $flags --replay "$file" 2>&1); then
    passed=$((passed + 1))
  else
    failed=$((failed + 1))
    printf '%s\n%s\n' "$file" "$output"
  fi
done

log=$(mktemp)
"$here/run" --binary "$binary" $flags --seed 1 --steps 250 --minutes "$minutes" --go-on --out "$here/../../build/adversary" 2>&1 | tee "$log"
read -r p f s < <(awk '/^[0-9]+ passed, [0-9]+ failed, [0-9]+ skipped$/ { line = $0 } END { gsub(/[^0-9 ]/, "", line); print (line == "" ? "0 1 0" : line) }' "$log")
rm -f "$log"
passed=$((passed + p)) failed=$((failed + f))
echo "$passed passed, $failed failed, $s skipped"
((failed == 0 && passed > 0))
