#!/usr/bin/env bash
# Unpacks prometheus and promtool from Debian's package, without installing it or starting a service; the tests of metrics, dashboards and
# alert rules look for them there.
#
# Usage:   scripts/get-prometheus.sh [target folder]        default: ${XDG_CACHE_HOME:-~/.cache}/deepdefense/prometheus
# Needs:   apt-get with a package list (apt-get update), dpkg. On other systems set DEEPDEFENSE_PROMETHEUS to a folder with the binaries
#          prometheus and promtool, 2.42 or later.
# Leaves:  94 MB in the target folder; a finished folder is kept as it is.
# Prints:  the folder of the two binaries.
# Exits:   0 they are there and run, 1 something failed (the last line says what), 2 wrong usage.
set -euo pipefail

fail() {
  echo "get-prometheus: $*" >&2
  exit 1
}

if [[ $# -gt 1 || ${1:-} == -* ]]; then
  sed -n '2,/^set /{/^#/s/^# \{0,1\}//p}' "$0" >&2
  exit 2
fi
target=${1:-${XDG_CACHE_HOME:-$HOME/.cache}/deepdefense/prometheus}
mkdir -p "$(dirname "$target")"
target=$(cd "$(dirname "$target")" && pwd)/$(basename "$target")
binaries=$target/usr/bin

runs() { "$1/prometheus" --version >/dev/null 2>&1 && "$1/promtool" --version >/dev/null 2>&1; }

if ! runs "$binaries"; then
  command -v apt-get >/dev/null && command -v dpkg >/dev/null ||
    fail 'apt-get or dpkg is missing; set DEEPDEFENSE_PROMETHEUS to a folder with prometheus and promtool'
  work=$(mktemp -d "$target.XXXXXX")
  trap 'rm -rf "$work"' EXIT
  (cd "$work" && apt-get download prometheus >&2) || fail "apt-get can't download prometheus; run apt-get update first"
  dpkg -x "$work"/prometheus_*.deb "$work/unpacked"
  # Of the package only the binaries are needed.
  rm -rf "$work/unpacked/etc" "$work/unpacked/lib" "$work/unpacked/var" "$work/unpacked/usr/share"
  runs "$work/unpacked/usr/bin" || fail 'the unpacked prometheus does not run here'
  # Beside the target and renamed at the end, so that a failure leaves nothing half done.
  rm -rf "$target"
  mv "$work/unpacked" "$target"
fi
echo "$binaries"
