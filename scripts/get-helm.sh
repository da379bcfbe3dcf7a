#!/usr/bin/env bash
# Builds Helm from the Go module proxy, where none is installed; the tests of the Helm chart look for it there.
#
# Usage:   scripts/get-helm.sh [target folder]        default: ${XDG_CACHE_HOME:-~/.cache}/deepdefense/go/bin
# Needs:   Go 1.26 or later, and about five minutes of processor time. On other systems set DEEPDEFENSE_HELM to a Helm of version 3 or 4.
# Leaves:  90 MB in the target folder, and Go's caches; a binary that is there is kept as it is.
# Prints:  the command.
# Exits:   0 it is there and runs, 1 something failed (the last line says what), 2 wrong usage.
set -euo pipefail

version=v3.22.0

if [[ $# -gt 1 || ${1:-} == -* ]]; then
  sed -n '2,/^set /{/^#/s/^# \{0,1\}//p}' "$0" >&2
  exit 2
fi
target=${1:-${XDG_CACHE_HOME:-$HOME/.cache}/deepdefense/go/bin}
# One that is installed does as well.
if [[ $# -eq 0 ]] && helm version --short 2>/dev/null | grep -qE '^v[34]\.'; then echo helm && exit; fi
mkdir -p "$target"
target=$(cd "$target" && pwd)

if ! "$target/helm" version >/dev/null 2>&1; then
  command -v go >/dev/null || { echo 'get-helm: go is missing; set DEEPDEFENSE_HELM to a helm' >&2 && exit 1; }
  GOBIN=$target GOFLAGS='' go install "helm.sh/helm/v3/cmd/helm@$version" >&2 || { echo "get-helm: go can't build Helm $version" >&2 && exit 1; }
fi
echo "$target/helm"
