#!/usr/bin/env bash
# Runs `go test` with a report that a person can read: a line for each package and each slow test, all output of what
# failed, and a summary. Arguments are passed on to `go test`. With "./...", which has to be the last one, the tests also
# have to reach what hack/cover.sh asks for.
set -euo pipefail
cd "$(dirname "$0")/.."

# Tests of whole clusters wait more than they compute, so more packages of them than of others run at the same time, and more
# tests in each.
e2eparallel=${E2EPARALLEL:-3}
e2etests=${E2ETESTS:-4}

tmp=$(mktemp -d)
building=
clean() {
  if [ -n "$building" ]; then
    kill "$building" 2>/dev/null || true
    wait "$building" || true # it ends its compilers first
  fi
  rm -rf "$tmp"
}
trap clean EXIT

# Integration tests talk to a real API server, to Flux, and to other programs, which are compiled once into a cache outside the
# clone. KUBEBUILDER_ASSETS names other binaries of a control plane.
case " $* " in
*' ./... '*)
  # The first time that is half an hour of computing. It goes on with what the tests leave of the machine; a package that needs a
  # program waits until it is there.
  echo '--- test: building what is missing of the programs of the test cluster, beside the first tests'
  go build -o "$tmp/testcluster" ./e2e/cluster/cmd/testcluster
  # Of this script that is killed, nothing is left to end it but the kernel.
  setpriv --pdeathsig TERM nice -n 19 "$tmp/testcluster" build >"$tmp/programs" 2>&1 &
  building=$!
  ;;
*' ./e2e/'*)
  echo '--- test: building what is missing of the programs of the test cluster (minutes the first time, then seconds)'
  go run ./e2e/cluster/cmd/testcluster build
  ;;
esac

# The operator that the tests start is linked once, not by every package.
case " $* " in
*' ./... '* | *' ./e2e/'*)
  CGO_ENABLED=0 go build -buildvcs=false -o "$tmp/ocm-operator" .
  export OCM_OPERATOR_BINARY=$tmp/ocm-operator
  ;;
esac
go build -o "$tmp/testreport" ./hack/testreport

# Everything but the trees that are measured: first what needs at most an API server, then whole clusters, those that take
# longest first and those at the end whose programs are built last.
others() {
  local status=0 module rest clusters long first last
  module=$(go list -m)
  rest=$(go list ./... | grep -vE "^$module/(transform|ocm|snapshot|git)(/|\$)")
  clusters=$(grep "^$module/e2e/" <<<"$rest")
  long="^$module/e2e/(endurance|trust)\$"
  last="^$module/e2e/(external|registrybench|chartcheck|adopt|chart|chart/.*|giteaserver|gitsync)\$"
  # shellcheck disable=SC2046 # one argument for each package
  go test -json "$@" $(grep -v "^$module/e2e/" <<<"$rest") || status=1
  first="^$module/e2e/chart\$" # of the last: it takes longest
  # shellcheck disable=SC2046
  go test -json "$@" -p "$e2eparallel" -parallel "$e2etests" $(grep -E "$long" <<<"$clusters") $(grep -vE "$long|$last" <<<"$clusters") \
    $(grep -E "$first" <<<"$clusters") $(grep -E "$last" <<<"$clusters" | grep -vE "$first") || status=1
  return "$status"
}

# The trees of hack/cover.sh run one by one, so that a tree is measured by its own tests, and no test runs twice. The nested
# modules with tests of their own keep heavy dependencies out of go.mod; they run with "everything" only.
tests() {
  local status=0 module tree
  case " $* " in
  *' ./... ')
    for tree in transform ocm snapshot git; do
      go test -json "${@:1:$#-1}" -coverpkg="./$tree/..." -coverprofile="$tmp/$tree" "./$tree/..." || status=1
    done
    others "${@:1:$#-1}" || status=1
    for module in $(git ls-files --cached --others --exclude-standard '*/go.mod' | xargs -r -n1 dirname); do
      if [ -n "$(find "$module" -name '*_test.go' -print -quit)" ]; then
        (cd "$module" && go test -json "${@:1:$#-1}" ./...) || status=1
      fi
    done
    ;;
  *) go test -json "$@" || status=1 ;;
  esac
  return "$status"
}
tests "$@" | "$tmp/testreport"
if [ -n "$building" ]; then
  wait "$building" || {
    echo 'error: not all programs of the test cluster could be built:' >&2
    cat "$tmp/programs" >&2
    exit 1
  }
  building=
  grep -E 'built in|compiler' "$tmp/programs" || true
fi
case " $* " in
*' ./... ') hack/cover.sh "$tmp" ;;
esac
