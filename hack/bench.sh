#!/usr/bin/env bash
# Runs the limits of the machine first, then every benchmark: shared disks and cores vary severalfold between minutes, so
# a number says something only beside the limit that was measured in the same run. Ends with a table.
# usage: hack/bench.sh [directory ...]   those below the directories only, such as transform snapshot
set -euo pipefail
cd "$(dirname "$0")/.."

benchtime=${BENCHTIME:-1s}
log=$(mktemp)
trap 'rm -f "$log"' EXIT

# From inside the package, so that those of nested modules work too.
bench() {
  echo "--- bench $1"
  (cd "$1" && go test -run '^$' -bench . -benchmem -benchtime "$benchtime" -timeout 60m .) | tee -a "$log"
}

bench hack/limits
for dir in $(grep -rlE --include='*_test.go' '^func Benchmark' "${@:-.}" | xargs -n1 dirname | sed 's|^\./||' | sort -u); do
  [ "$dir" = hack/limits ] || bench "$dir"
done

# A line of `go test -bench` is a name, a count, and then pairs of a number and its unit.
echo '--- benchmarks: x/sha256 and x/gzip are the speed beside that of hashing and of compressing the same bytes in the same run'
awk '
  function size(n) {return n == "" ? "" : n < 1024 ? n " B" : n < 1048576 ? sprintf("%.1f KiB", n / 1024) : sprintf("%.1f MiB", n / 1048576)}
  function time(n) {return n < 1e3 ? sprintf("%.1f ns", n) : n < 1e6 ? sprintf("%.1f us", n / 1e3) : n < 1e9 ? sprintf("%.1f ms", n / 1e6) : sprintf("%.2f s", n / 1e9)}
  BEGIN {printf "%-64s %10s %10s %9s %8s %12s %12s %10s\n", "benchmark", "time", "MB/s", "x/sha256", "x/gzip", "alive at most", "allocated", "allocs"}
  $1 == "pkg:" {pkg = $2; sub(/.*\/ocm-operator\//, "", pkg)}
  /^Benchmark/ && NF >= 4 {
    split("", v)
    for (i = 3; i < NF; i += 2) v[$(i + 1)] = $i
    name = $1; sub(/^Benchmark/, "", name); sub(/-[0-9]+$/, "", name)
    printf "%-64s %10s %10s %9s %8s %13s %12s %10s\n", pkg " " name, time(v["ns/op"]), v["MB/s"], v["x/sha256"], v["x/gzip"], \
      ("MiB-live" in v) ? sprintf("%.1f MiB", v["MiB-live"]) : "", size(v["B/op"]), v["allocs/op"]
  }' "$log"
