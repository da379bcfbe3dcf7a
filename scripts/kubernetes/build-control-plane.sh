#!/usr/bin/env bash
# Builds a Kubernetes control plane from the Go module proxy, and copies the definitions of the kinds of KEDA, Kueue and the Prometheus operator
# out of their Go modules; scripts/kubernetes/check-api-server.ts looks for them there, and scripts/check-containers.sh for a node's programs
# besides.
#
# Usage:   scripts/kubernetes/build-control-plane.sh [program ...]      default: etcd kube-apiserver kube-controller-manager kube-scheduler
#            for a node, too: kubelet kube-proxy coredns kube-network-policies
# Needs:   Go 1.24 or later (see go.mod of the version), 8 GB of disk, half an hour of two cores.
# Leaves:  ${XDG_CACHE_HOME:-~/.cache}/deepdefense/kubernetes-VERSION, and Go's caches; what is there is kept as it is.
# Prints:  the folder.
# Exits:   0 all is there, 1 something failed (the last line says what).
set -euo pipefail

version=1.34.4
# The version that Kubernetes wants; an older one can't tell a watch how far it is.
etcd=go.etcd.io/etcd/server/v3@v3.6.5
keda=github.com/kedacore/keda/v2@v2.19.0
kueue=sigs.k8s.io/kueue@v0.17.0
coredns=github.com/coredns/coredns@v1.13.1
policies=sigs.k8s.io/kube-network-policies/cmd@v0.8.0
operator=github.com/prometheus-operator/prometheus-operator@v0.85.0

target=${XDG_CACHE_HOME:-$HOME/.cache}/deepdefense/kubernetes-$version
mkdir -p "$target"
[[ $# -gt 0 ]] || set -- etcd kube-apiserver kube-controller-manager kube-scheduler

say() { echo "build-control-plane: $*" >&2; }
fail() { say "$*" && exit 1; }
command -v go >/dev/null || fail 'go is missing'
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

# module FIELD MODULE@VERSION: where Go has put it
module() { go mod download -json "$2" | sed -n "s/.*\"$1\": \"\(.*\)\",*/\1/p"; }

# Its go.mod replaces k8s.io/* by folders of its own repository, so `go install` refuses it; a module of ours can name their published versions.
require_kubernetes() {
  [[ ! -f go.mod ]] || return 0
  local original
  original=$(module GoMod "k8s.io/kubernetes@v$version") && [[ -n $original ]] || fail "k8s.io/kubernetes@v$version can't be had"
  {
    echo 'module deepdefense.invalid/control-plane'
    sed -n '/^go /p; /^godebug /p' "$original"
    echo "require k8s.io/kubernetes v$version"
    sed -n "s#^[[:space:]]*\(k8s.io/[a-z0-9-]*\) => ./staging/.*#replace \1 => \1 v0.${version#*.}#p" "$original"
  } >go.mod
}

build() {
  local started=$SECONDS flags='-s -w' major=${version%%.*} minor=${version#*.} package
  require_kubernetes
  for package in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
    flags+=" -X $package.gitVersion=v$version -X $package.gitMajor=$major -X $package.gitMinor=${minor%%.*} -X $package.gitTreeState=clean"
  done
  CGO_ENABLED=0 GOFLAGS="-mod=mod ${GOFLAGS:-}" go build -trimpath -ldflags "$flags" -o "$target/$1.new" "k8s.io/kubernetes/cmd/$1" >&2 || fail "go can't build $1"
  mv "$target/$1.new" "$target/$1"
  say "$1: $((SECONDS - started)) s, $(du -m "$target/$1" | cut -f1) MB"
}

# A main package of our own, because that of its module replaces others.
build_etcd() {
  local started=$SECONDS
  mkdir etcd
  (
    cd etcd
    go mod init deepdefense.invalid/etcd 2>/dev/null
    printf 'package main\n\nimport (\n\t"os"\n\n\t"go.etcd.io/etcd/server/v3/etcdmain"\n)\n\nfunc main() { etcdmain.Main(os.Args) }\n' >main.go
    go get -- "$etcd" >&2 && CGO_ENABLED=0 GOFLAGS="-mod=mod ${GOFLAGS:-}" go build -trimpath -ldflags '-s -w' -o "$target/etcd.new" . >&2
  ) || fail "go can't build etcd"
  mv "$target/etcd.new" "$target/etcd"
  say "etcd: $((SECONDS - started)) s, $(du -m "$target/etcd" | cut -f1) MB"
}

# With the plugins that a cluster's names need, and no more: all of them would bring the libraries of every cloud.
build_coredns() {
  local started=$SECONDS plugin
  mkdir coredns
  (
    cd coredns
    go mod init deepdefense.invalid/coredns 2>/dev/null
    {
      printf 'package main\n\nimport (\n\t"github.com/coredns/coredns/coremain"\n'
      for plugin in bind cache errors kubernetes; do printf '\t_ "github.com/coredns/coredns/plugin/%s"\n' "$plugin"; done
      printf ')\n\nfunc main() { coremain.Run() }\n'
    } >main.go
    go get -- "$coredns" >&2 && go mod tidy >&2 && CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o "$target/coredns.new" . >&2
  ) || fail "go can't build coredns"
  mv "$target/coredns.new" "$target/coredns"
  say "coredns: $((SECONDS - started)) s, $(du -m "$target/coredns" | cut -f1) MB"
}

build_policies() {
  local started=$SECONDS
  GOBIN=$PWD/policies CGO_ENABLED=0 go install -trimpath -ldflags '-s -w' "$policies" >&2 || fail "go can't build kube-network-policies"
  mv policies/cmd "$target/kube-network-policies"
  say "kube-network-policies: $((SECONDS - started)) s, $(du -m "$target/kube-network-policies" | cut -f1) MB"
}

for program; do
  if [[ -x $target/$program ]]; then continue; fi
  case $program in
    etcd) build_etcd ;;
    coredns) build_coredns ;;
    kube-network-policies) build_policies ;;
    *) build "$program" ;;
  esac
done

if [[ ! -d $target/kinds ]]; then
  mkdir kinds
  cp "$(module Dir "$keda")"/config/crd/bases/keda.sh_scaledjobs.yaml kinds/
  cp "$(module Dir "$kueue")"/config/components/crd/bases/kueue.x-k8s.io_{clusterqueues,localqueues,resourceflavors}.yaml kinds/
  cp "$(module Dir "$operator")"/example/prometheus-operator-crd/monitoring.coreos.com_{podmonitors,prometheusrules,servicemonitors}.yaml kinds/
  chmod -R u+w kinds
  mv kinds "$target/kinds"
fi
echo "$target"
