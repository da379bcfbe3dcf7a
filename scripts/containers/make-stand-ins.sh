#!/usr/bin/env bash
# Makes the file systems of stand-ins for base images that can't be pulled: slim Debian, and the same with Node.js and npm 10, as
# docker.io/library/node has them. They differ from the originals in the versions of Debian's packages and in this machine's Node.js.
# Usage: scripts/containers/make-stand-ins.sh DEBIAN.tar FOLDER       writes FOLDER/debian and FOLDER/node
set -euo pipefail
NPM_VERSION=10.8.2
[ $# -eq 2 ] || { sed -n '2,4s/^# //p' "$0" >&2; exit 2; }
tar=$1 target=$2 folder=$2.part
rm -rf "$folder" && mkdir -p "$folder/debian" "$folder/npm"
# As the slim images: no pages, no translations, no lists of packages.
tar -C "$folder/debian" -xf "$tar" --exclude='./dev/*'
(cd "$folder/debian" && find usr/share/doc -type f ! -name copyright -delete && find usr/share/doc -type d -empty -delete &&
  rm -rf usr/share/{man,info,locale}/* var/lib/apt/lists/* var/cache/apt/*.bin var/cache/debconf/*-old var/log/*.log var/log/apt)
cp -a "$folder/debian" "$folder/node"
cp "$(command -v node)" "$folder/node/usr/local/bin/node"
(cd "$folder/npm" && npm pack --silent "npm@$NPM_VERSION" >/dev/null && tar -xzf npm-*.tgz)
mkdir -p "$folder/node/usr/local/lib/node_modules"
mv "$folder/npm/package" "$folder/node/usr/local/lib/node_modules/npm"
for name in npm npx; do ln -s "../lib/node_modules/npm/bin/$name-cli.js" "$folder/node/usr/local/bin/$name"; done
# A registry behind an own authority is trusted as on this machine.
if [ -e /etc/ssl/certs/ca-certificates.crt ]; then
  mkdir -p "$folder/node/etc/ssl/certs"
  cp /etc/ssl/certs/ca-certificates.crt "$folder/node/etc/ssl/certs/"
fi
rm -rf "$folder/npm"
mv "$folder" "$target"
