#!/bin/sh
# Builds a Kubernetes control plane (kube-apiserver, kube-controller-manager, kube-scheduler) and kubectl from
# the Go module proxy, and unpacks etcd from Debian's package, for tests that need a real API server. Nothing
# is installed: all lies in ~/.cache/deepdefense/kubernetes-<version>. k8s.io/kubernetes cannot be installed
# by `go install ...@version`, because its go.mod replaces its own staging modules by folders; here a module
# of our own requires it and replaces each of them by its published version.
#
#   scripts/kubernetes/build-control-plane.sh [program ...]     prints the folder on stdout, the rest on stderr
#
# Needs Go (as new as the go line of that version's go.mod), and apt-get for etcd.
set -eu

version="${DEEPDEFENSE_KUBERNETES_VERSION:-1.34.4}"
target="${DEEPDEFENSE_KUBERNETES:-${XDG_CACHE_HOME:-$HOME/.cache}/deepdefense/kubernetes-$version}"
programs="${*:-kube-apiserver kube-controller-manager kube-scheduler kubelet kubectl}"
mkdir -p "$target"

say() { echo "$*" >&2; }

build() {
  program="$1"
  if [ -x "$target/$program" ]; then return 0; fi
  if [ ! -f "$work/go.mod" ]; then
    module="$(cd / && go mod download -json "k8s.io/kubernetes@v$version" | sed -n 's/.*"GoMod": "\(.*\)",/\1/p')"
    {
      echo "module deepdefense.invalid/control-plane"
      echo
      sed -n 's/^go .*/&/p; s/^godebug .*/&/p' "$module"
      echo
      echo "require k8s.io/kubernetes v$version"
      sed -n "s#^[[:space:]]*\(k8s.io/[a-z0-9-]*\) => ./staging/.*#replace \1 => \1 v0.${version#*.}#p" "$module"
    } > "$work/go.mod"
    # `go mod tidy` reads the imports; without a file of ours there are none.
    printf '// +build tools\n\npackage tools\n' > "$work/tools.go"
  fi
  say "building $program v$version"
  start="$(date +%s)"
  minor="${version%.*}"
  flags="-s -w"
  for package in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
    flags="$flags -X $package.gitVersion=v$version -X $package.gitMajor=${minor%.*} -X $package.gitMinor=${minor#*.} -X $package.gitTreeState=clean"
  done
  (cd "$work" && CGO_ENABLED=0 GOFLAGS=-mod=mod go build -trimpath -ldflags "$flags" -o "$target/$program.new" "k8s.io/kubernetes/cmd/$program")
  mv "$target/$program.new" "$target/$program"
  say "  $(($(date +%s) - start)) s, $(du -m "$target/$program" | cut -f1) MB"
}

work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
for program in $programs; do build "$program"; done

if [ ! -x "$target/etcd" ]; then
  (cd "$work" && apt-get download -q etcd-server >&2 && dpkg -x etcd-server_*.deb etcd)
  cp "$work/etcd/usr/bin/etcd" "$target/etcd"
fi
echo "$target"
