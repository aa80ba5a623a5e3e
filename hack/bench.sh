#!/usr/bin/env bash
# Runs the limits of the machine first, then every benchmark: shared disks and cores vary severalfold between minutes, so
# a number says something only beside the limit that was measured in the same run.
set -euo pipefail
cd "$(dirname "$0")/.."

benchtime=${BENCHTIME:-1s}
bench() { go test -run '^$' -bench . -benchmem -benchtime "$benchtime" -timeout 60m -p 1 "$@"; }

echo '--- limits of this machine'
bench ./hack/limits
dirs=$(grep -rlE --include='*_test.go' '^func Benchmark' . | xargs -n1 dirname | sort -u | grep -v '^./hack/limits$')
echo '--- benchmarks'
# shellcheck disable=SC2086 # a list of directories without blanks
bench $dirs
