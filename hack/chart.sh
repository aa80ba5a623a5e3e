#!/usr/bin/env bash
# Writes what a release has of the chart. VERSION, or else what hack/build.sh takes from git, is the version of both the chart and
# the operator in it.
# usage: hack/chart.sh package <folder>      the chart as <folder>/ocm-operator-<version>.tgz
#        hack/chart.sh install-yaml <file>   all that it installs with its defaults, in one file for kubectl
set -euo pipefail
what=${1:-}
out=${2:?usage: hack/chart.sh package <folder> | install-yaml <file>}
[ "${out#/}" != "$out" ] || out=$PWD/$out
cd "$(dirname "$0")/.."

version=$(hack/build.sh version)
if ! [[ $version =~ ^v[0-9]+\.[0-9]+\.[0-9]+([-+][0-9A-Za-z.+-]+)?$ ]]; then
  echo "error: version $version: it has to be a semantic version with a v, such as v0.1.0" >&2
  exit 1
fi
helm=${HELM:-$(go run ./e2e/cluster/cmd/testcluster helm)}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

# A copy, so that the chart in the repository keeps its own version and has no list of changes, which would be a diff a day.
chart=$tmp/ocm-operator
cp -R charts/ocm-operator "$chart"
sed -i -e "s/^version: .*/version: ${version#v}/" -e "s/^appVersion: .*/appVersion: $version/" "$chart/Chart.yaml"
go run ./hack/chartgen -chart "$chart" -changes CHANGELOG.md
# The same commit gives the same archive: helm keeps the times of files.
find "$chart" -exec touch -d "@$(git log -1 --format=%ct)" {} +

case $what in
package)
  mkdir -p "$out"
  "$helm" package "$chart" --destination "$out" >/dev/null
  echo "--- chart: $out/ocm-operator-${version#v}.tgz"
  ;;
install-yaml)
  mkdir -p "$(dirname "$out")"
  "$helm" template ocm-operator "$chart" --namespace ocm-system >"$tmp/rendered.yaml"
  go run ./hack/installyaml -title "ocm-operator $version" <"$tmp/rendered.yaml" >"$tmp/install.yaml"
  mv "$tmp/install.yaml" "$out"
  echo "--- chart: $out"
  ;;
*)
  echo "error: $what: it has to be package or install-yaml" >&2
  exit 1
  ;;
esac
