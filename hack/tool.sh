#!/usr/bin/env bash
# Builds one tool that hack/tools/go.mod pins into a directory outside the clone, unless it is there already.
# usage: hack/tool.sh <directory> <name of the tool>
set -euo pipefail

dir=$1
name=$2
[ -x "$dir/$name" ] && exit 0

cd "$(dirname "$0")/tools"
package=$(go list -f '{{.ImportPath}}' tool | grep "/$name\$") || {
  echo "error: hack/tools/go.mod has no tool line for $name" >&2
  exit 1
}
started=$SECONDS
echo "--- tool $name: building it once into $dir (up to some minutes)" >&2
mkdir -p "$dir"
tmp=$(mktemp -d "$dir/.build-XXXXXX")
trap 'rm -rf "$tmp"' EXIT
# A static binary runs wherever the cache is mounted; the rename makes a broken build invisible.
CGO_ENABLED=0 go build -trimpath -buildvcs=false -gcflags=all=-dwarf=false -ldflags '-s -w' -o "$tmp/$name" "$package"
mv "$tmp/$name" "$dir/$name"
echo "--- tool $name: done after $((SECONDS - started)) s" >&2
