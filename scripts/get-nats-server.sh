#!/usr/bin/env bash
# Unpacks nats-server from Debian's package, without installing it or starting a service; the tests of the queue and journal on
# NATS look for it there.
#
# Usage:   scripts/get-nats-server.sh [target folder]        default: ${XDG_CACHE_HOME:-~/.cache}/deepdefense/nats-server
# Needs:   apt-get with a package list (apt-get update), dpkg. On other systems set DEEPDEFENSE_NATS_SERVER to a binary of 2.9 or later.
# Leaves:  12 MB in the target folder; a finished folder is kept as it is.
# Prints:  the path of the binary.
# Exits:   0 it is there and runs, 1 something failed (the last line says what), 2 wrong usage.
set -euo pipefail

fail() {
  echo "get-nats-server: $*" >&2
  exit 1
}

if [[ $# -gt 1 || ${1:-} == -* ]]; then
  sed -n '2,/^set /{/^#/s/^# \{0,1\}//p}' "$0" >&2
  exit 2
fi
target=${1:-${XDG_CACHE_HOME:-$HOME/.cache}/deepdefense/nats-server}
mkdir -p "$(dirname "$target")"
target=$(cd "$(dirname "$target")" && pwd)/$(basename "$target")
binary=$target/usr/sbin/nats-server

if ! "$binary" --version >/dev/null 2>&1; then
  command -v apt-get >/dev/null && command -v dpkg >/dev/null || fail 'apt-get or dpkg is missing; set DEEPDEFENSE_NATS_SERVER to a nats-server'
  work=$(mktemp -d "$target.XXXXXX")
  trap 'rm -rf "$work"' EXIT
  (cd "$work" && apt-get download nats-server >&2) || fail "apt-get can't download nats-server; run apt-get update first"
  dpkg -x "$work"/nats-server_*.deb "$work/unpacked"
  "$work/unpacked/usr/sbin/nats-server" --version >&2 || fail 'the unpacked nats-server does not run here'
  # Beside the target and renamed at the end, so that a failure leaves nothing half done.
  rm -rf "$target"
  mv "$work/unpacked" "$target"
fi
echo "$binary"
