#!/usr/bin/env bash
# Runs `go test` with a report that a person can read: a line for each package and each slow test, all output of what
# failed, and a summary. Arguments are passed on to `go test`.
set -euo pipefail
cd "$(dirname "$0")/.."

# Integration tests talk to a real API server and to Flux. Their binaries are compiled once into a cache outside the clone,
# here and not inside a test, so that one sees it. Set KUBEBUILDER_ASSETS to use other binaries of a control plane.
case " $* " in
*' ./... '* | *' ./e2e/'*)
  echo '--- test: preparing the binaries of the test cluster (minutes the first time, then seconds)'
  go run ./e2e/cluster/cmd/testcluster build
  if [ -z "${KUBEBUILDER_ASSETS:-}" ]; then
    KUBEBUILDER_ASSETS=$(go run ./e2e/cluster/cmd/testcluster assets)
    export KUBEBUILDER_ASSETS
  fi
  ;;
esac

report=$(mktemp -d)/testreport
trap 'rm -rf "$(dirname "$report")"' EXIT
go build -o "$report" ./hack/testreport

# The nested modules with tests of their own keep heavy dependencies out of go.mod; they run with "everything" only.
tests() {
  local status=0
  go test -json "$@" || status=1
  case " $* " in
  *' ./... '*)
    for module in $(git ls-files --cached --others --exclude-standard '*/go.mod' | xargs -r -n1 dirname); do
      if [ -n "$(find "$module" -name '*_test.go' -print -quit)" ]; then
        (cd "$module" && go test -json ./...) || status=1
      fi
    done
    ;;
  esac
  return "$status"
}
tests "$@" | "$report"
