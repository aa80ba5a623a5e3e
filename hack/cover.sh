#!/usr/bin/env bash
# Fails if the tests of a tree reach less of its statements than they should. Counted is what a tree's own tests reach in
# all of the tree; packages that only tests import (in folders that end in "test") are tests themselves and do not count.
# usage: hack/cover.sh               runs the tests of the trees first
#        hack/cover.sh <directory>   reads the profiles that hack/test.sh has left there
set -euo pipefail
cd "$(dirname "$0")/.."

least=${COVERLEAST:-90}
trees='transform ocm snapshot git'

if [ $# -gt 0 ]; then
  profiles=$1
else
  profiles=$(mktemp -d)
  trap 'rm -rf "$profiles"' EXIT
  for tree in $trees; do
    echo "--- cover: testing ./$tree/..."
    go test -coverpkg="./$tree/..." -coverprofile="$profiles/$tree" "./$tree/..." >"$profiles/log" 2>&1 || {
      cat "$profiles/log" >&2
      echo "error: the tests of ./$tree/... failed" >&2
      exit 1
    }
  done
fi

# Every test binary has a line for every block of the tree: a block counts if one of them has reached it.
merge() {
  awk '$1 == "mode:" || $1 ~ /test\/.*\.go:/ {next} {size[$1] = $2; if ($3 > 0) hit[$1] = 1}
    END {for (b in size) print b, size[b], (b in hit) ? 1 : 0}' "$1"
}

echo "--- cover: statements that the tests of a tree reach in it, at least $least %"
failed=0
for tree in $trees; do
  merge "$profiles/$tree" >"$profiles/$tree.blocks"
  awk -v tree="$tree" -v least="$least" '{all += $2; if ($3) hit += $2}
    END {share = all ? 100 * hit / all : 0; printf "%-12s %5.1f %%  %6d of %6d\n", tree, share, hit, all; exit share < least}' "$profiles/$tree.blocks" || {
    failed=1
    echo '  the files with the most that is not reached:'
    sed -E 's|^[^ ]*/ocm-operator/||; s|:[^ ]*||' "$profiles/$tree.blocks" |
      awk '!$3 {missed[$1] += $2} END {for (f in missed) printf "  %5d %s\n", missed[f], f}' | sort -rn | head -10
  }
done
[ "$failed" = 0 ] || {
  echo "error: a tree has less than $least %; add tests that assert what they reach" >&2
  exit 1
}
