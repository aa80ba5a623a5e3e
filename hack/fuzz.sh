#!/usr/bin/env bash
# Runs every fuzz target of the module for FUZZTIME, one after another; `go test` accepts only one at a time.
set -euo pipefail
cd "$(dirname "$0")/.."

fuzztime=${FUZZTIME:-10s}
targets=$(grep -rHoE --include='*_test.go' '^func Fuzz[A-Za-z0-9_]+' . | sed -E 's|/[^/]+:func |\t|' | sort -u)
[ -n "$targets" ] || { echo 'error: no fuzz target found' >&2; exit 1; }

failed=()
while IFS=$'\t' read -r dir name; do
  echo "--- fuzz $dir $name for $fuzztime"
  # From inside the package, so that those of nested modules work too.
  (cd "$dir" && go test -run '^$' -fuzz "^$name\$" -fuzztime "$fuzztime" .) || failed+=("$dir $name")
done <<<"$targets"

echo "--- fuzz: $(wc -l <<<"$targets") targets, ${#failed[@]} failed"
if [ ${#failed[@]} -gt 0 ]; then
  printf 'error: %s failed; the input is below its testdata/fuzz, commit it with the repair\n' "${failed[@]}" >&2
  exit 1
fi
