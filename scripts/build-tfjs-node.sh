#!/usr/bin/env bash
# Builds @tensorflow/tfjs-node for the engine "tensorflow" where its own install step can't work: that step downloads
# libtensorflow from Google's storage, this script takes it from the TensorFlow wheel of a Python registry.
#
# Usage:   scripts/build-tfjs-node.sh [target folder]        default: ${XDG_CACHE_HOME:-~/.cache}/deepdefense/tfjs-node
# Then:    export DEEPDEFENSE_TFJS_NODE=<target folder>
#
# Needs:   Linux on x64, Node.js with npm, its headers (downloaded by node-gyp unless `nodedir` of npm names a folder that
#          has them), python3 with pip, make, g++, strip; an npm and a Python registry; 2 GB of free disk while it builds.
# Leaves:  440 MB in the target folder. A finished folder of the same versions is kept as it is, so the script may run
#          again at any time; the folder is safe to cache. Everything is built beside it and renamed at the end, so a
#          failure leaves nothing half done.
# Exits:   0 the package is there and loads, 1 something failed (the last line says what), 2 wrong usage.
set -euo pipefail

readonly TFJS_VERSION=4.22.0
# The package was made against libtensorflow 2.9.1. Wheels carry a library that serves C programs (libtensorflow_cc) only
# from 2.12 on; the C functions that the package calls did not change in between.
readonly TENSORFLOW_VERSION=2.15.1
readonly WHEEL_SHA256=54660c074d7241a503e81edfd9f5ef5af88f64051b72e2945f26318c790f2d26
# N-API 8 is the newest that the package knows; it looks for its library in lib/napi-v8.
readonly NAPI_VERSION=8
# Changes with the recipe, so that folders of an older one are built again.
readonly RECIPE=1
readonly STAMP="recipe $RECIPE tfjs-node $TFJS_VERSION tensorflow $TENSORFLOW_VERSION napi $NAPI_VERSION"

fail() {
  echo "build-tfjs-node: $*" >&2
  exit 1
}

if [[ $# -gt 1 || ${1:-} == -* ]]; then
  sed -n '2,/^set /{/^#/s/^# \{0,1\}//p}' "$0" >&2
  exit 2
fi
target=${1:-${XDG_CACHE_HOME:-$HOME/.cache}/deepdefense/tfjs-node}
mkdir -p "$(dirname "$target")"
target=$(cd "$(dirname "$target")" && pwd)/$(basename "$target")

# Loads the native part in a process of its own and prints the version of libtensorflow.
check() {
  TF_CPP_MIN_LOG_LEVEL=3 node -e '
    const binding = require(process.argv[1]);
    if (typeof binding.executeOp !== "function") throw new Error("the native part has no executeOp");
    console.log(binding.TF_Version);
  ' "$1/node_modules/@tensorflow/tfjs-node/lib/napi-v$NAPI_VERSION/tfjs_binding.node"
}

if [[ -f $target/.stamp && $(<"$target/.stamp") == "$STAMP" ]] && check "$target" >/dev/null 2>&1; then
  echo "build-tfjs-node: $target is up to date"
  exit 0
fi
if [[ -e $target && ! -f $target/.stamp && -n $(ls -A "$target") ]]; then
  fail "$target is not empty and was not made by this script; name another folder"
fi

[[ $(node -p 'process.platform + process.arch') == linuxx64 ]] ||
  fail 'only Linux on x64 is served; elsewhere install @tensorflow/tfjs-node with its own install step'
for tool in node npm python3 make g++ strip sha256sum; do
  command -v "$tool" >/dev/null || fail "$tool is missing; install it"
done
python3 -m pip --version >/dev/null 2>&1 || fail 'python3 has no pip; install it'

work=$(mktemp -d "$target.build-XXXXXX")
trap 'rm -rf "$work"' EXIT
package=$work/node_modules/@tensorflow/tfjs-node

echo "build-tfjs-node: installing @tensorflow/tfjs-node $TFJS_VERSION without its install step"
# deepdefense puts its own copy of TensorFlow.js in the place of these (src/engine/tensorflow-package.ts): two copies would
# not know each other's tensors. So the second one, 200 MB, is never installed.
for name in tfjs tfjs-core; do
  mkdir -p "$work/placeholders/$name"
  cat >"$work/placeholders/$name/package.json" <<JSON
{ "name": "@tensorflow/$name", "version": "$TFJS_VERSION", "main": "index.js" }
JSON
  cat >"$work/placeholders/$name/index.js" <<'JS'
throw new Error('This folder serves deepdefense, which puts its own TensorFlow.js in the place of this file.');
JS
done
cat >"$work/package.json" <<JSON
{
  "private": true,
  "dependencies": {
    "@tensorflow/tfjs": "file:./placeholders/tfjs",
    "@tensorflow/tfjs-core": "file:./placeholders/tfjs-core",
    "@tensorflow/tfjs-node": "$TFJS_VERSION"
  },
  "overrides": { "@tensorflow/tfjs": "\$@tensorflow/tfjs" }
}
JSON
(cd "$work" && npm install --ignore-scripts --omit=dev --no-audit --no-fund --loglevel=error) >"$work/npm.log" 2>&1 || {
  cat "$work/npm.log" >&2
  fail 'npm could not install @tensorflow/tfjs-node; is the npm registry reachable?'
}

echo "build-tfjs-node: fetching libtensorflow $TENSORFLOW_VERSION from the Python registry"
python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: --implementation cp \
  --python-version 3.11 --platform manylinux2014_x86_64 --platform manylinux_2_17_x86_64 \
  --dest "$work/wheel" "tensorflow-cpu==$TENSORFLOW_VERSION" ||
  fail "pip could not download tensorflow-cpu $TENSORFLOW_VERSION; is a Python registry reachable?"
wheel=$(echo "$work"/wheel/*.whl)
echo "$WHEEL_SHA256  $wheel" | sha256sum --check --status || fail "$(basename "$wheel") is not the file that this script knows"

# What binding.gyp expects: headers under deps/include, libraries named libtensorflow and libtensorflow_framework.
mkdir -p "$package/deps/lib"
python3 - "$wheel" "$package/deps" <<'PYTHON' || fail 'the wheel does not hold what was expected'
import pathlib, shutil, sys, zipfile
wheel, deps = zipfile.ZipFile(sys.argv[1]), pathlib.Path(sys.argv[2])
headers = tuple(f"tensorflow/include/{part}/" for part in ("tensorflow/c", "tensorflow/tsl", "tsl", "tensorflow/core/platform"))
for name in (name for name in wheel.namelist() if not name.endswith("/")):
    if name.startswith(("tensorflow/libtensorflow_cc.so", "tensorflow/libtensorflow_framework.so")):
        to = deps / "lib" / pathlib.PurePath(name).name
    elif name.startswith(headers):
        to = deps / pathlib.PurePath(name).relative_to("tensorflow")
    else:
        continue
    to.parent.mkdir(parents=True, exist_ok=True)
    with wheel.open(name) as source, open(to, "wb") as sink:
        shutil.copyfileobj(source, sink)
PYTHON
rm -rf "$work/wheel"
strip --strip-unneeded "$package"/deps/lib/*.so.2 || fail 'strip failed on libtensorflow'
# The linker follows -ltensorflow to the file and writes down its own name, libtensorflow_cc.so.2, for the loader.
ln -s libtensorflow_cc.so.2 "$package/deps/lib/libtensorflow.so"
ln -s libtensorflow_framework.so.2 "$package/deps/lib/libtensorflow_framework.so"

echo 'build-tfjs-node: compiling the native part'
gyp=$(npm root -g 2>/dev/null)/npm/node_modules/node-gyp/bin/node-gyp.js
[[ -f $gyp ]] || gyp=$(node -p 'require("node:path").join(require("node:fs").realpathSync(process.argv[1]), "../../node_modules/node-gyp/bin/node-gyp.js")' "$(command -v npm)")
[[ -f $gyp ]] || fail 'npm came without node-gyp; install a complete npm'
nodedir=$(npm config get nodedir 2>/dev/null)
options=("--napi_build_version=$NAPI_VERSION" --module_name=tfjs_binding "--module_path=$package/lib/napi-v$NAPI_VERSION")
[[ -d $nodedir ]] && options+=("--nodedir=$nodedir")
(cd "$package" && node "$gyp" rebuild "${options[@]}") >"$work/gyp.log" 2>&1 || {
  tail -n 40 "$work/gyp.log" >&2
  fail 'node-gyp could not compile the native part'
}
# The compiled library refers to its parts by paths relative to itself, so the folder may be renamed.
rm -rf "$package/build" "$package/deps/include" "$work/npm.log" "$work/gyp.log"
find "$package/dist" -name '*_test.*' -delete

version=$(check "$work") || fail 'the compiled package does not load'
echo "$STAMP" >"$work/.stamp"
chmod 755 "$work"
rm -rf "$target"
mv -T "$work" "$target"
trap - EXIT
echo "build-tfjs-node: $target holds @tensorflow/tfjs-node $TFJS_VERSION with libtensorflow $version"
echo "export DEEPDEFENSE_TFJS_NODE=$target"
