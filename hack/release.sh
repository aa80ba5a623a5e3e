#!/usr/bin/env bash
# Writes everything that a release consists of to dist/, and publishes nothing: programs and the image for every platform, the chart,
# the manifests in one file, the notes, bills of materials where syft is there, and the checksums of all of it.
# usage: hack/release.sh <version>            v0.1.0: the commit must be tagged so, and CHANGELOG.md have a section for it
#        hack/release.sh --dry-run <version>  any commit; the notes may be those of "Unreleased"; ARCHS=amd64 leaves out the other platforms
#        hack/release.sh --notes <version>    prints the notes
set -euo pipefail
cd "$(dirname "$0")/.."

platforms='amd64 arm64'
repository=${REPOSITORY:-ghcr.io/ocm-operator/ocm-operator}

fail() {
  echo "error: $*" >&2
  exit 1
}

# The lines between the heading of a version and the next heading; "[v0.1.0] - 2026-01-31", with or without the v.
notes() {
  awk -v version="$1" '
    /^## / {
      inside = 0
      heading = substr($2, 2, length($2) - 2)
      if (heading == version || "v" heading == version) inside = found = 1
      next
    }
    inside {text = text $0 "\n"}
    END {
      gsub(/^\n+|\n+$/, "", text)
      if (text == "") exit 1
      print text
    }' CHANGELOG.md
}

# Has links of the changelog, which lead from its folder, lead to the files of a version: notes are read elsewhere.
links() {
  sed -E "s|\]\(([^#):][^):]*)\)|](https://github.com/${repository#*/}/blob/$1/\1)|g"
}

# The image of these platforms, made of the programs in dist.
image() {
  go run ./hack/image -tag "$repository:$version" -platforms "linux/${2// /,linux/}" -binary 'dist/ocm-operator_linux_{arch}' -o "$1"
}

# What something contains, in both formats.
bills() {
  syft scan --quiet "$1" --source-name "$2" --source-version "$version" -o "spdx-json=$3.spdx.json" -o "cyclonedx-json=$3.cdx.json"
}

dry=
case ${1:-} in
--notes)
  version=${2:?usage: hack/release.sh --notes <version>}
  notes "$version" | links "$version" || fail "CHANGELOG.md has no section '## [${version#v}]' with text in it"
  exit
  ;;
--dry-run)
  dry=1
  platforms=${ARCHS:-$platforms}
  shift
  ;;
esac
version=${1:?usage: hack/release.sh [--dry-run] <version>}
[[ $version =~ ^v[0-9]+\.[0-9]+\.[0-9]+(-[0-9A-Za-z.-]+)?$ ]] || fail "version $version: it has to be a semantic version with a v, such as v0.1.0 or v0.2.0-rc.1"
if [ -z "$dry" ]; then
  git tag --points-at HEAD | grep -qxF "$version" || fail "this commit is not tagged $version; use --dry-run to try a release"
  [ -z "$(git status --porcelain)" ] || fail 'there are changes that are not committed, and a release is of a commit'
fi
export VERSION=$version

rm -rf dist
mkdir -p dist
echo "--- release $version: notes"
{ notes "$version" || { [ -n "$dry" ] && notes Unreleased; }; } | links "$version" >dist/release-notes.md ||
  fail "CHANGELOG.md has no section '## [${version#v}]' with text in it; move what is under Unreleased there, with the date"

for arch in $platforms; do
  echo "--- release $version: program for linux/$arch"
  GOOS=linux GOARCH=$arch hack/build.sh "dist/ocm-operator_linux_$arch"
done

echo "--- release $version: image"
image dist/ocm-operator_image.tar "$platforms" | tee dist/image.txt

echo "--- release $version: chart and manifests"
make chart
for file in "ocm-operator-${version#v}.tgz" install.yaml; do
  [ -s "dist/$file" ] || fail "make chart has not written dist/$file"
done

if command -v syft >/dev/null; then
  tmp=$(mktemp -d)
  trap 'rm -rf "$tmp"' EXIT
  for arch in $platforms; do
    echo "--- release $version: bills of materials for linux/$arch"
    bills "file:dist/ocm-operator_linux_$arch" ocm-operator "dist/ocm-operator_linux_$arch"
    # Alone in its archive, the image of a platform is the same manifest as among the others, and needs no choice.
    image "$tmp/$arch.tar" "$arch" >/dev/null
    bills "oci-archive:$tmp/$arch.tar" "$repository" "dist/image_linux_$arch"
  done
elif [ -z "$dry" ]; then
  fail 'syft is not in PATH, and a release has bills of materials'
else
  echo "--- release $version: no bills of materials, because syft is not in PATH"
fi

# The notes and the image's address are for whoever publishes, not a part of what is published.
(cd dist && sha256sum -- $(ls | grep -vE '^(image.txt|release-notes.md)$') >checksums.txt)
echo "--- release $version: what is in dist"
(cd dist && wc -c -- * | sed 's/^/  /')
