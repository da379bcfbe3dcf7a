#!/usr/bin/env bash
# Builds kustomize from the Go module proxy, where neither it nor a kubectl from 1.27 on is installed, which has it inside; the tests of
# the Kubernetes manifests look for it there.
#
# Usage:   scripts/get-kustomize.sh [target folder]        default: ${XDG_CACHE_HOME:-~/.cache}/deepdefense/go/bin
# Needs:   Go 1.24 or later, and a minute or two of two cores. On other systems set DEEPDEFENSE_KUSTOMIZE to a kustomize of version 5.
# Leaves:  30 MB in the target folder, and Go's caches; a binary that is there is kept as it is.
# Prints:  the command.
# Exits:   0 it is there and runs, 1 something failed (the last line says what), 2 wrong usage.
set -euo pipefail

version=v5.8.1

if [[ $# -gt 1 || ${1:-} == -* ]]; then
  sed -n '2,/^set /{/^#/s/^# \{0,1\}//p}' "$0" >&2
  exit 2
fi
target=${1:-${XDG_CACHE_HOME:-$HOME/.cache}/deepdefense/go/bin}
# One that is installed does as well.
if [[ $# -eq 0 ]]; then
  if kustomize version 2>/dev/null | grep -qE '^v[5-9]\.'; then echo kustomize && exit; fi
  if kubectl version --client 2>/dev/null | grep -qE '^Kustomize Version: v[5-9]\.'; then echo 'kubectl kustomize' && exit; fi
fi
mkdir -p "$target"
target=$(cd "$target" && pwd)

if [[ $("$target/kustomize" version 2>/dev/null) != "$version" ]]; then
  command -v go >/dev/null || { echo 'get-kustomize: go is missing; set DEEPDEFENSE_KUSTOMIZE to a kustomize' >&2 && exit 1; }
  GOBIN=$target GOFLAGS='' go install "sigs.k8s.io/kustomize/kustomize/v5@$version" >&2 ||
    { echo "get-kustomize: go can't build kustomize $version" >&2 && exit 1; }
fi
echo "$target/kustomize"
