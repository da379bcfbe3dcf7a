#!/usr/bin/env bash
# Builds Docker Compose from its Go module, where no package of it is at hand. Takes some minutes.
# Usage: scripts/containers/get-compose.sh FILE       the binary to write; the modules are kept in Go's own caches
set -euo pipefail
VERSION=v2.40.3
[ $# -eq 1 ] || { sed -n '2,3s/^# //p' "$0" >&2; exit 2; }
work=$(mktemp -d)
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT
export GOFLAGS=-mod=mod
folder=$(cd "$work" && go mod download -json "github.com/docker/compose/v2@$VERSION" | node -p 'JSON.parse(require("node:fs").readFileSync(0, "utf8")).Dir')
cp -r "$folder" "$work/source" && chmod -R u+w "$work/source"
(cd "$work/source" && go build -trimpath -ldflags "-s -w -X github.com/docker/compose/v2/internal.Version=$VERSION" -o "$work/docker-compose" ./cmd)
mv "$work/docker-compose" "$1"
"$1" version
