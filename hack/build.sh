#!/usr/bin/env bash
# Builds the operator: static, trimmed, and the same bytes for the same commit and Go release, wherever it is built. `make build`,
# both kinds of images and the release use it, so that there is one set of flags.
# usage: hack/build.sh <file>   GOOS and GOARCH choose another platform; VERSION, COMMIT and DATE say what git would else be asked for
#        hack/build.sh version|commit|date   prints what would be stamped
set -euo pipefail
out=$1
[ "${out#/}" != "$out" ] || out=$PWD/$out
cd "$(dirname "$0")/.."

version=${VERSION:-$(git describe --tags --match 'v*' --dirty 2>/dev/null || echo v0.0.0-dev)}
commit=${COMMIT:-$(git rev-parse HEAD 2>/dev/null || echo unknown)}
# The date of the commit, not of the build, in UTC.
date=${DATE:-$(TZ=UTC git log -1 --date=format-local:%Y-%m-%dT%H:%M:%SZ --format=%cd 2>/dev/null || echo unknown)}

case $1 in
version) echo "$version" ;;
commit) echo "$commit" ;;
date) echo "$date" ;;
*)
  mkdir -p "$(dirname "$out")"
  # What else the go command would take into the program from the environment, or, where that is empty, from its own settings.
  # DWARF would only be written to be stripped.
  export CGO_ENABLED=0 GOFLAGS=-trimpath GOAMD64=v1 GOARM64=v8.0 GOEXPERIMENT='' GOFIPS140=off
  "${GO:-go}" build -trimpath -buildvcs=false -gcflags=all=-dwarf=false \
    -ldflags "-s -w -X main.version=$version -X main.commit=$commit -X main.date=$date" -o "$out" .
  ;;
esac
