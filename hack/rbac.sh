#!/usr/bin/env bash
# Writes the rules that the operator needs in a cluster, from the markers +kubebuilder:rbac beside the code that needs them:
# one file for each feature and each option, named by roleName. The chart renders those that are switched on.
# usage: hack/rbac.sh CONTROLLER-GEN
set -euo pipefail
cd "$(dirname "$0")/.."
dir=charts/ocm-operator/files/rbac

rules=$("$1" rbac:roleName=unnamed output:stdout paths=. paths=./reconcilers/...)
if grep -q '^  name: unnamed$' <<<"$rules"; then
  echo 'error: a marker +kubebuilder:rbac has no roleName: name the feature or the option that needs the rule' >&2
  exit 1
fi
if ! grep -q '^- apiGroups:$' <<<"$rules"; then
  echo 'error: no marker +kubebuilder:rbac was found beside the code: look at the paths that this script has; nothing was written' >&2
  exit 1
fi
# Beside the folder, and moved when all is written: a chart with half of the rules would look whole.
new=$(mktemp -d "$dir.XXXXXX")
trap 'rm -rf "$new"' EXIT
awk -v dir="$new" '
  function flush() {
    if (name == "") return
    file = dir "/" name ".yaml"
    if (!(file in begun)) {
      begun[file] = 1
      print "# Made by `make generate` from the markers +kubebuilder:rbac in the code." > file
    }
    printf "---\n%s", text > file
  }
  $0 == "---" { flush(); text = name = ""; next }
  /^  name: / { name = $2 }
  { text = text $0 "\n" }
  END { flush() }
' <<<"$rules"
mkdir -p "$dir"
rm -f "$dir"/*.yaml
mv "$new"/*.yaml "$dir"
