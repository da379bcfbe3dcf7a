#!/usr/bin/env bash
# Checks the GPU engines on a machine that may have nothing but a driver: no network, no Node.js, no npm.
#
#   scripts/gpu-check.sh bundle [FILE]   on a machine with this repository after `npm ci`: packs everything into one archive
#                                        (default .gpu-check/bundle.tar.xz; 60 MB at most)
#   scripts/gpu-check.sh run [FILE] [-- OPTIONS]
#                                        on the GPU machine: unpacks the archive into a temporary folder and runs the check
#   scripts/gpu-check.sh here [-- OPTIONS]
#                                        the check with this repository's own node_modules
#
# The check compares every kernel and one step of each strategy with the CPU engine, repeats them for equal bits, trains a little,
# and times training steps, beside eager PyTorch where Python has it with CUDA. OPTIONS are those of scripts/gpu-check/check.ts, for
# example: --engines onnx:webgpu --batches 128,512 --steps 20 --out "$OUT/gpu-check.json"
# Exit code: 0 = all checks passed, 1 = some failed, 6 = no GPU engine could be opened.
#
# The archive holds Node.js, the check as one file, ONNX Runtime and, where Debian's packages are at hand, the Vulkan loader. Data is the
# built-in synthetic set. Libraries of CUDA are taken from the machine.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
mode=${1:-}
[ $# -gt 0 ] && shift
archive=$root/.gpu-check/bundle.tar.xz
if [ $# -gt 0 ] && [ "$1" != -- ]; then
  archive=$1
  shift
fi
[ "${1:-}" = -- ] && shift

fail() {
  echo "gpu-check: $*" >&2
  exit 2
}

# The check with everything that it imports, in one file; native packages stay outside.
compile() {
  "$root/node_modules/.bin/esbuild" "$root/scripts/gpu-check/check.ts" --bundle --platform=node --format=esm --target=node20 \
    --external:onnxruntime-node --external:@tensorflow/tfjs-node --external:@tensorflow/tfjs-node-gpu --log-level=error \
    --banner:js="import { createRequire as makeRequire } from 'node:module'; const require = makeRequire(import.meta.url);" \
    --outfile="$1/dist/check/check.mjs"
  # Its version is read two folders up, as from src/ and dist/.
  cp "$root/bench/peer/pytorch_steps.py" "$root/bench/peer/protocol.py" "$root/package.json" "$1/"
}

check_in() {
  local folder=$1 node=$2
  shift 2
  local peer=()
  # PyTorch takes part where it sees a GPU.
  if "${DEEPDEFENSE_PEER_PYTHON:-python3}" -c 'import torch, sys; sys.exit(not torch.cuda.is_available())' 2>/dev/null; then
    peer=(--peer "$folder/pytorch_steps.py")
  else
    echo 'gpu-check: no Python with PyTorch and CUDA here: no comparison with PyTorch'
  fi
  # NVIDIA's Vulkan driver may lie where the loader doesn't look.
  local icd=/usr/local/nvidia/share/vulkan/icd.d/nvidia_icd.json
  if [ -z "${VK_DRIVER_FILES:-}${VK_ICD_FILENAMES:-}" ] && [ -e "$icd" ] && [ ! -e /usr/share/vulkan/icd.d/nvidia_icd.json ] && [ ! -e /etc/vulkan/icd.d/nvidia_icd.json ]; then
    export VK_DRIVER_FILES=$icd
  fi
  LD_LIBRARY_PATH="$folder/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}" "$node" "$folder/dist/check/check.mjs" "${peer[@]}" "$@"
}

case "$mode" in
  bundle)
    [ -d "$root/node_modules/onnxruntime-node" ] || fail 'run `npm ci` first'
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    mkdir -p "$work/bundle/lib" "$work/bundle/node_modules" "$(dirname "$archive")"
    compile "$work/bundle"
    cp "$(command -v node)" "$work/bundle/node"
    strip "$work/bundle/node" 2>/dev/null || true
    cp -r "$root/node_modules/onnxruntime-common" "$work/bundle/node_modules/"
    mkdir -p "$work/bundle/node_modules/onnxruntime-node/bin/napi-v6/linux"
    cp -r "$root/node_modules/onnxruntime-node/"{package.json,dist} "$work/bundle/node_modules/onnxruntime-node/"
    cp -r "$root/node_modules/onnxruntime-node/bin/napi-v6/linux/x64" "$work/bundle/node_modules/onnxruntime-node/bin/napi-v6/linux/"
    find "$work/bundle" -name '*.map' -delete
    loader=$(ldconfig -p | awk '/libvulkan\.so\.1 .*x86-64/ && !found { print $NF; found = 1 }')
    if [ -n "$loader" ]; then cp -L "$loader" "$work/bundle/lib/libvulkan.so.1"; else echo 'gpu-check: no libvulkan.so.1 here: the GPU machine must have it'; fi
    tar -C "$work" -c bundle | xz -T0 -6 >"$archive.part"
    mv "$archive.part" "$archive"
    bytes=$(stat -c %s "$archive")
    echo "gpu-check: $archive, $((bytes / 1000000)) MB"
    [ "$bytes" -le 60000000 ] || fail "the archive is larger than 60 MB"
    ;;
  run)
    [ -e "$archive" ] || fail "no archive \"$archive\"; make it with: scripts/gpu-check.sh bundle"
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    tar -C "$work" -xJf "$archive"
    check_in "$work/bundle" "$work/bundle/node" "$@"
    ;;
  here)
    # Below the repository, so that the native packages are found.
    work=$(mktemp -d "$root/node_modules/.gpu-check-XXXXXX")
    trap 'rm -rf "$work"' EXIT
    compile "$work"
    check_in "$work" node "$@"
    ;;
  *)
    sed -n '2,18s/^# \{0,1\}//p' "$0"
    [ "$mode" = --help ] || [ "$mode" = -h ] || exit 2
    ;;
esac
