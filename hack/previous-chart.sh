#!/usr/bin/env bash
# Packages the chart that tests of upgrades begin with, into e2e/chart/testdata. A release runs it when it is out, so that the next
# one is tested against it:
#   hack/previous-chart.sh v0.1.0
# Without an argument it packages a chart that never was released: that of the last commit with the custom resource definitions of an
# earlier state of development, for tests before there is a first release.
set -euo pipefail
cd "$(dirname "$0")/.."

# There was no ComponentSubscription and no GitSync yet, and the other kinds but one lacked fields or defaults. Definitions must not be
# older: the operator of now, which runs with them in the tests, can't do without the origins of content and whether they are verified.
before=29b9c44f1150
name=ocm-operator
target=$PWD/e2e/chart/testdata
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
chart=$tmp/charts/$name
version=${1:-v0.0.1}

if [ $# -gt 0 ]; then
  git archive "$version" "charts/$name" | tar -x -C "$tmp"
else
  git archive "$before" apis/crds | tar -x -C "$tmp"
  git archive HEAD "charts/$name" | tar -x -C "$tmp"
  sed -i -e 's/^\( *ComponentSubscription:\) true$/\1 false/' -e 's/^\( *GitSync:\) true$/\1 false/' "$chart/values.yaml"
fi
# A release is called by its tag, whatever Chart.yaml says there.
sed -i -e "s/^version: .*/version: ${version#v}/" -e "s/^appVersion: .*/appVersion: $version/" "$chart/Chart.yaml"
if [ $# -eq 0 ]; then
  go run ./hack/chartgen -chart "$chart" -crds "$tmp/apis/crds"
fi
helm=${HELM:-$(go run ./e2e/cluster/cmd/testcluster helm)}
mkdir -p "$target"
rm -f "$target/$name"-*.tgz
# The same commit gives the same package: helm keeps the times of files.
find "$chart" -exec touch -d "@$(git log -1 --format=%ct)" {} +
"$helm" package "$chart" --destination "$target"
