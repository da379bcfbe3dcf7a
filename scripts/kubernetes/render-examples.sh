#!/bin/sh
# Renders k8s/examples anew, after a change of `deepdefense submit` or of the files in examples/. A test compares them.
# Needs the built command line (npm run build).
set -eu
cd "$(dirname "$0")/../.."
render() { node dist/cli/main.js submit --dry-run "$@"; }
render -c examples/sweep-gfa-weights.yaml -o k8s/examples/sweep.yaml
render -c examples/cluster.yaml --workers 4 -o k8s/examples/run.yaml
render -c examples/cluster.yaml --workers 4 --gpus 1 --cpu 2 --memory 8Gi --queue deepdefense --priority high -o k8s/examples/run-gpu.yaml
