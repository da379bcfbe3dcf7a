#!/usr/bin/env bash
# Builds from the Go module proxy the operators that scripts/kubernetes/check-operators.ts runs; kwok, which plays kubelets there; and Prometheus
# with promtool, because those of Debian are old and can't look for pods. What an operator needs in a cluster (kinds, rights, webhooks) is copied
# out of its Go module.
#
# Usage:   scripts/kubernetes/build-operators.sh [program ...]
#            default: kwok kueue keda-operator prometheus-operator prometheus cert-manager-controller
# Needs:   Go 1.26 or later, kubectl, 10 GB of disk, half an hour of two cores
# Leaves:  them beside what scripts/kubernetes/build-control-plane.sh builds, and Go's caches; what is there is kept as it is.
# Prints:  the folder.
# Exits:   0 all is there, 1 something failed (the last line says what).
set -euo pipefail

kwok=sigs.k8s.io/kwok@v0.7.0
kueue=sigs.k8s.io/kueue@v0.17.0
keda=github.com/kedacore/keda/v2@v2.19.0
operator=github.com/prometheus-operator/prometheus-operator@v0.85.0
# 3.5.0, as in deploy/compose.yaml.
prometheus=github.com/prometheus/prometheus@v0.305.0
cert_manager=github.com/cert-manager/cert-manager@v1.21.2

here=$(cd "$(dirname "$0")" && pwd)
target=${XDG_CACHE_HOME:-$HOME/.cache}/deepdefense/kubernetes-1.34.4
mkdir -p "$target/operators"
[[ $# -gt 0 ]] || set -- kwok kueue keda-operator prometheus-operator prometheus cert-manager-controller

say() { echo "build-operators: $*" >&2; }
fail() { say "$*" && exit 1; }
for program in go kubectl; do command -v "$program" >/dev/null || fail "$program is missing"; done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

# source_of MODULE@VERSION: a copy of the module. `go install` refuses modules that replace others. Those replaced by folders of the repository
# aren't in it; what they are published as is taken instead.
source_of() {
  local original replaced
  original=$(go mod download -json "$1" | sed -n 's/.*"Dir": "\(.*\)",*/\1/p') && [[ -n $original ]] || fail "$1 can't be had"
  cp -r "$original" source && chmod -R u+w source
  for replaced in $(sed -n 's#^\(replace\)*[[:space:]]*\([^[:space:]]*\) => \./.*#\2#p' source/go.mod); do
    (cd source && go mod edit -dropreplace "$replaced")
  done
}

# A main package of our own: that of cert-manager is in a module that the proxy doesn't have.
source_of_cert_manager() {
  mkdir source
  cp "$here/cert-manager-controller.go" source/main.go
  (cd source && go mod init deepdefense.invalid/cert-manager-controller 2>/dev/null && go get -- "$cert_manager" >&2)
}

build() { # program, package, flags of the linker
  local started=$SECONDS
  (cd source && CGO_ENABLED=0 GOFLAGS="-mod=mod ${GOFLAGS:-}" go build -trimpath -ldflags "-s -w ${3:-}" -o "$target/$1.new" "$2" >&2) || fail "go can't build $1"
  mv "$target/$1.new" "$target/$1"
  say "$1: $((SECONDS - started)) s, $(du -m "$target/$1" | cut -f1) MB"
}

# keep NAME, with the text on standard input
keep() {
  cat >"$target/operators/$1.part"
  mv "$target/operators/$1.part" "$target/operators/$1"
}

# Each document begins with three dashes, so that files can be put behind each other.
documents() { for file; do printf -- '---\n' && sed '/^---$/d' "$file" && echo; done; }

for program; do
  if [[ -x $target/$program ]]; then continue; fi
  rm -rf source
  case $program in
    kwok) source_of "$kwok" && build kwok ./cmd/kwok ;;
    kueue)
      source_of "$kueue"
      kubectl kustomize source/config/default | keep kueue.yaml
      build kueue ./cmd/kueue
      ;;
    keda-operator)
      source_of "$keda"
      documents source/config/crd/bases/*.yaml | keep keda.yaml
      build keda-operator ./cmd/operator
      ;;
    prometheus-operator)
      source_of "$operator"
      documents source/example/prometheus-operator-crd/*.yaml | keep prometheus-operator.yaml
      build prometheus-operator ./cmd/operator
      ;;
    prometheus)
      source_of "$prometheus"
      printf 'package plugins\n\nimport (\n\t_ "github.com/prometheus/prometheus/discovery/dns"\n\t_ "github.com/prometheus/prometheus/discovery/kubernetes"\n)\n' >source/plugins/plugins.go
      flags="-X github.com/prometheus/common/version.Version=$(cat source/VERSION)"
      build promtool ./cmd/promtool "$flags"
      build prometheus ./cmd/prometheus "$flags"
      ;;
    cert-manager-controller)
      source_of_cert_manager
      documents "$(cd source && go list -m -f '{{.Dir}}' github.com/cert-manager/cert-manager)"/deploy/crds/cert-manager.io_*.yaml | keep cert-manager.yaml
      build cert-manager-controller .
      ;;
    *) fail "there is no program \"$program\"" ;;
  esac
done
echo "$target"
