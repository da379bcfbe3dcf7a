#!/usr/bin/env bash
# The folder /app of the coordinator's image, made without containers: installed without optional packages, pruned, listed, and tried.
# Fails when a tensor package is in it, when a command of a coordinator needs one, or when another command doesn't say what it needs.
# Usage: scripts/containers/check-coordinator.sh       needs a build (dist) and the npm registry or npm's cache
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp "$root"/{package.json,package-lock.json,.npmrc} "$work/"
cp -r "$root"/{dist,proto,examples} "$work/"
cd "$work"
npm ci --ignore-scripts --omit=dev --omit=optional --prefer-offline --silent
node "$root/scripts/prune-container-packages.mjs" .
node "$root/scripts/container-sbom.mjs" --image coordinator --version check --app . --omit optional --out sbom.cdx.json

deepdefense() { node --v8-pool-size=0 dist/cli/main.js "$@"; }
# Arguments: expected exit code, command.
try() {
  local expected=$1 code=0
  shift
  deepdefense "$@" >output 2>&1 || code=$?
  [ "$code" -eq "$expected" ] || { echo "check-coordinator: deepdefense $*: exit code $code, expected $expected" && tail -5 output && exit 1; } >&2
}
try 0 --help
try 0 config show --preset smoke
try 0 certs init certs
try 0 certs issue certs --role coordinator --name main
try 2 report
try 2 audit no-such-run
try 3 sweep -c no-such-file.yaml
for command in 'worker --coordinator 127.0.0.1:1' 'train --preset smoke --workers 1' doctor; do
  # shellcheck disable=SC2086
  try 6 $command
  grep -q 'deepdefense/worker-cpu' output || { echo "check-coordinator: deepdefense $command does not name the image to use" && cat output && exit 1; } >&2
done
# Starts, listens, waits for workers, and ends cleanly when asked to.
# Not through the function: the signal is for Node.js, not for a shell around it.
node --v8-pool-size=0 dist/cli/main.js coordinator --preset smoke --set runsFolder=runs >output 2>&1 &
coordinator=$!
for _ in $(seq 150); do grep -q 'metrics on http' output && break || sleep 0.2; done
kill -TERM "$coordinator"
wait "$coordinator" || { echo "check-coordinator: the coordinator ended with code $?" && tail -5 output && exit 1; } >&2
echo 'check-coordinator: ok'
