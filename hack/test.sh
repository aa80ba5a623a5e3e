#!/usr/bin/env bash
# Runs `go test` with a report that a person can read: a line for each package and each slow test, all output of what
# failed, and a summary. Arguments are passed on to `go test`. With "./...", which has to be the last one, the tests also
# have to reach what hack/cover.sh asks for.
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

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
go build -o "$tmp/testreport" ./hack/testreport

# The trees of hack/cover.sh run one by one, so that a tree is measured by its own tests, and no test runs twice. The nested
# modules with tests of their own keep heavy dependencies out of go.mod; they run with "everything" only.
tests() {
  local status=0 module tree
  case " $* " in
  *' ./... ')
    module=$(go list -m)
    for tree in transform ocm snapshot git; do
      go test -json "${@:1:$#-1}" -coverpkg="./$tree/..." -coverprofile="$tmp/$tree" "./$tree/..." || status=1
    done
    # shellcheck disable=SC2046 # one argument for each package
    go test -json "${@:1:$#-1}" $(go list ./... | grep -vE "^$module/(transform|ocm|snapshot|git)(/|\$)") || status=1
    for module in $(git ls-files --cached --others --exclude-standard '*/go.mod' | xargs -r -n1 dirname); do
      if [ -n "$(find "$module" -name '*_test.go' -print -quit)" ]; then
        (cd "$module" && go test -json ./...) || status=1
      fi
    done
    ;;
  *) go test -json "$@" || status=1 ;;
  esac
  return "$status"
}
tests "$@" | "$tmp/testreport"
case " $* " in
*' ./... ') hack/cover.sh "$tmp" ;;
esac
