#!/usr/bin/env bash
# Runs every generator and formatter and fails if that changed a file: what is committed must be what they would write.
# It compares the work tree before and after, so it also works on a tree with changes that are not committed yet.
set -euo pipefail
cd "$(dirname "$0")/.."

snapshot() {
  git ls-files -z --cached --others --exclude-standard | sort -z |
    xargs -0 sh -c 'for f; do [ -f "$f" ] && sha256sum "$f"; done; true' sh
}

before=$(snapshot)
make generate
make fmt
after=$(snapshot)
if [ "$before" != "$after" ]; then
  {
    echo 'error: these files were not what `make generate fmt` writes; they are now, so review and commit them:'
    diff <(echo "$before") <(echo "$after") | awk '/^[<>]/ {print "  " $3}' | sort -u
  } >&2
  exit 1
fi
make tidy-check
make lint || {
  echo 'error: lint found problems; `make fmt` repairs the layout, the rest is listed above' >&2
  exit 1
}
echo '--- verify: everything is up to date'
