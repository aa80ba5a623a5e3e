#!/usr/bin/env bash
# Runs the limits of the machine first, then every benchmark: shared disks and cores vary severalfold between minutes, so
# a number says something only beside the limit that was measured in the same run.
set -euo pipefail
cd "$(dirname "$0")/.."

benchtime=${BENCHTIME:-1s}
# From inside the package, so that those of nested modules work too.
bench() { (cd "$1" && go test -run '^$' -bench . -benchmem -benchtime "$benchtime" -timeout 60m .); }

echo '--- limits of this machine'
bench hack/limits
echo '--- benchmarks'
for dir in $(grep -rlE --include='*_test.go' '^func Benchmark' . | xargs -n1 dirname | sort -u); do
  [ "$dir" = ./hack/limits ] || bench "$dir"
done
