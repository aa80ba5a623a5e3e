#!/usr/bin/env bash
# Runs every fuzz target for FUZZTIME, one after another; `go test` accepts only one at a time. Ends with a table of them.
# usage: hack/fuzz.sh [directory ...]   those below the directories only, such as transform snapshot
set -euo pipefail
cd "$(dirname "$0")/.."

fuzztime=${FUZZTIME:-10s}
targets=$(grep -rHoE --include='*_test.go' '^func Fuzz[A-Za-z0-9_]+' "${@:-.}" | sed -E 's|^\./||; s|/[^/]+:func |\t|' | sort -u)
[ -n "$targets" ] || { echo 'error: no fuzz target found' >&2; exit 1; }
count=$(wc -l <<<"$targets")

log=$(mktemp)
table=$(mktemp)
trap 'rm -f "$log" "$table"' EXIT

i=0
failed=()
while IFS=$'\t' read -r dir name; do
  i=$((i + 1))
  echo "--- fuzz $i of $count: $dir $name for $fuzztime"
  started=$SECONDS
  result=ok
  # From inside the package, so that those of nested modules work too. Inputs that are new are made small for a moment only:
  # with the minute that is the default, a target that reads archives spends all its time on the first of them.
  (cd "$dir" && go test -run '^$' -fuzz "^$name\$" -fuzztime "$fuzztime" -fuzzminimizetime 10x .) >"$log" 2>&1 || result=FAILED
  if [ "$result" = ok ]; then
    grep '^fuzz: elapsed' "$log" | tail -1 || true
  else
    cat "$log"
    failed+=("$dir $name")
  fi
  execs=$(grep -oE 'execs: [0-9]+' "$log" | tail -1 | grep -oE '[0-9]+' || echo 0)
  corpus=$(grep -oE 'total: [0-9]+' "$log" | tail -1 | grep -oE '[0-9]+' || echo 0)
  printf '%-32s %-28s %12d %8d %5d s  %s\n' "$dir" "$name" "$execs" "$corpus" $((SECONDS - started)) "$result" >>"$table"
done <<<"$targets"

printf -- '--- fuzz: %d targets, %d failed\n' "$count" "${#failed[@]}"
printf '%-32s %-28s %12s %8s %7s  %s\n' package target inputs corpus time result
cat "$table"
if [ ${#failed[@]} -gt 0 ]; then
  printf 'error: %s failed; the input is below its testdata/fuzz, commit it with the repair\n' "${failed[@]}" >&2
  exit 1
fi
