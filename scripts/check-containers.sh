#!/usr/bin/env bash
# Builds the images of deploy/Dockerfile and runs them for real, on a machine without Docker: Debian's Docker engine is unpacked into a folder of
# its own and started in private namespaces, where nothing of it is seen or left outside. Base images that can't be pulled are replaced by stand-ins
# of the same layout: Debian from its package archive, Node.js of this machine.
#
# Usage:   scripts/check-containers.sh [--keep] [--only build|rebuild|train|sweep|compose|node]...
#            --only   one part, or several; images of an earlier call with --keep are used
#                     node, which the default leaves out: a Kubernetes node of one machine, with kubelet and containerd, on which the platform
#                     of k8s/overlays/kind carries a sweep and a training through; wants scripts/kubernetes/build-control-plane.sh first
#            --keep   keeps images and results in the work folder; the next call goes on with them
# Needs:   root; Debian bookworm's archive (apt-get update), the npm registry, Node.js; overlay, bridge and veth of the kernel; 6 GB of disk
# Leaves:  the unpacked engine in ${DEEPDEFENSE_CONTAINER_TOOLS:-${XDG_CACHE_HOME:-~/.cache}/deepdefense/containers}, about 0.7 GB, used again by the
#          next call; with --keep also images (2 GB) in its folder "work". Nothing else: no network device, no rule, no control group, no process.
# Exits:   0 all checks passed, 1 one failed, 2 wrong usage, 77 skipped: the last line says why.
set -euo pipefail

skip() {
  echo "check-containers: skipped: $*" >&2
  exit 77
}
fail() {
  echo "check-containers: $*" >&2
  exit 1
}

usage() {
  sed -n '2,/^set /{/^#/s/^# \{0,1\}//p}' "$0" >&2
  exit 2
}

keep=0
only=()
while [ $# -gt 0 ]; do
  case "$1" in
    --keep) keep=1 ;;
    --only)
      case "${2:-}" in build | rebuild | train | sweep | compose | node) only+=("$2") ;; *) usage ;; esac
      shift
      ;;
    *) usage ;;
  esac
  shift
done
[ ${#only[@]} -gt 0 ] || only=(build rebuild train sweep compose)

root=$(cd "$(dirname "$0")/.." && pwd)
[ "$(id -u)" -eq 0 ] || skip 'needs root, to unpack Debian and to make namespaces'
for command in apt-get dpkg perl unshare chroot mount npm node; do command -v "$command" >/dev/null || skip "\"$command\" is missing"; done
[ -e "$root/dist/cli/main.js" ] || fail 'no build: run npm ci first'
grep -qw overlay /proc/filesystems || skip 'the kernel has no overlay file system'
unshare --mount --pid --net --fork true 2>/dev/null || skip 'namespaces are not allowed here'

cache=${XDG_CACHE_HOME:-$HOME/.cache}/deepdefense
tools=${DEEPDEFENSE_CONTAINER_TOOLS:-$cache/containers}
mkdir -p "$tools"
tools=$(cd "$tools" && pwd)
exec 9>"$tools/lock"
flock --nonblock 9 || fail "another check works in \"$tools\""

# Debian itself, and the same with the engine; each is renamed when it is complete.
if [ ! -e "$tools/debian.tar" ]; then
  echo '=== Debian for stand-ins of base images'
  rm -rf "$tools/mmdebstrap" && mkdir "$tools/mmdebstrap"
  (cd "$tools/mmdebstrap" && apt-get download -qq mmdebstrap 2>/dev/null && dpkg -x mmdebstrap_*.deb .) || skip "apt-get can't download mmdebstrap; run apt-get update first"
  # With usr-is-merged, as the official image has it, in the place of usrmerge, which brings 50 MB of Perl.
  "$tools/mmdebstrap/usr/bin/mmdebstrap" --quiet --variant=minbase --include=usr-is-merged --dpkgopt=force-unsafe-io \
    --customize-hook='DEBIAN_FRONTEND=noninteractive chroot "$1" apt-get purge -qq --yes usrmerge perl perl-modules-5.36 libperl5.36 libgdbm6 libgdbm-compat4 libfile-find-rule-perl libnumber-compare-perl libtext-glob-perl >/dev/null' \
    bookworm "$tools/debian.part.tar" ||
    skip 'mmdebstrap failed; see above'
  rm -rf "$tools/mmdebstrap"
  mv "$tools/debian.part.tar" "$tools/debian.tar"
fi
if [ ! -e "$tools/engine/.complete" ]; then
  echo "=== Docker engine of Debian"
  rm -rf "$tools/engine" && mkdir "$tools/engine"
  tar -C "$tools/engine" -xf "$tools/debian.tar"
  cp /etc/resolv.conf "$tools/engine/etc/resolv.conf"
  # No service may be started.
  printf '#!/bin/sh\nexit 101\n' >"$tools/engine/usr/sbin/policy-rc.d" && chmod +x "$tools/engine/usr/sbin/policy-rc.d"
  unshare --mount --pid --fork --kill-child bash -ec '
    mount --make-rprivate /
    mount -t proc proc "$1/proc" && mount --rbind /dev "$1/dev"
    chroot "$1" apt-get update -qq
    DEBIAN_FRONTEND=noninteractive chroot "$1" apt-get install -qq --yes --no-install-recommends -o Dpkg::Options::=--force-unsafe-io \
      docker.io docker-compose containernetworking-plugins iptables iproute2 >/dev/null' - "$tools/engine" || skip "Debian's Docker engine could not be unpacked; see above"
  touch "$tools/engine/.complete"
fi
work=$tools/work
[ "$keep" -eq 1 ] || rm -rf "$work"
mkdir -p "$work/docker" "$work/results"
# The control group that the engine puts its containers below.
group=deepdefense-check-$$
# What a kubelet sets for the whole machine, as it was before.
tunables=(kernel/panic kernel/panic_on_oops kernel/keys/root_maxkeys kernel/keys/root_maxbytes vm/overcommit_memory vm/panic_on_oom)
before=()
if [[ " ${only[*]} " == *' node '* ]]; then for name in "${tunables[@]}"; do before+=("$(cat "/proc/sys/$name")"); done; fi
# unshare waits for its child whatever it is asked; killed, it takes the whole process namespace with it.
inside=
cleanup() {
  local code=$? i
  [ -z "$inside" ] || { kill -KILL "$inside" && wait "$inside"; } 2>/dev/null || true
  for i in "${!before[@]}"; do echo "${before[$i]}" >"/proc/sys/${tunables[$i]}" || true; done
  # The kernel takes a moment to see that they are empty.
  for _ in $(seq 20); do
    find /sys/fs/cgroup -depth -type d -path "*/$group*" -exec rmdir {} + 2>/dev/null || true
    [ -n "$(find /sys/fs/cgroup -type d -path "*/$group*" -print -quit)" ] || break
    sleep 0.2
  done
  [ "$keep" -eq 1 ] || rm -rf "$work"
  exit "$code"
}
trap cleanup EXIT
trap 'exit 1' INT TERM

if [[ " ${only[*]} " == *' build '* ]] && [ ! -e "$work/stand-ins" ]; then
  echo '=== stand-ins for the base images'
  "$root/scripts/containers/make-stand-ins.sh" "$tools/debian.tar" "$work/stand-ins"
fi
# What the same training and the same sweep give on this machine, without containers.
if [ ! -e "$work/results/host-train.json" ] && [[ " ${only[*]} " == *' train '* || " ${only[*]} " == *' compose '* ]]; then
  echo '=== the same training without containers'
  (cd "$work/results" && rm -rf runs && node --v8-pool-size=0 "$root/dist/cli/main.js" train -c "$root/scripts/containers/train.yaml" --workers 2 --json >host-train.part 2>host-train.log && mv host-train.part host-train.json) ||
    fail "the training failed: $(tail -3 "$work/results/host-train.log")"
fi
if [ ! -e "$work/results/host-sweep.json" ] && [[ " ${only[*]} " == *' sweep '* || " ${only[*]} " == *' compose '* ]]; then
  echo '=== the same sweep without containers'
  (cd "$work/results" && rm -rf sweep && node --v8-pool-size=0 "$root/dist/cli/main.js" sweep -c "$root/examples/sweep-synthetic.yaml" --out sweep --workers 2 --json >host-sweep.part 2>host-sweep.log && mv host-sweep.part host-sweep.json) ||
    fail "the sweep failed: $(tail -3 "$work/results/host-sweep.log")"
fi

if [[ " ${only[*]} " == *' node '* ]]; then
  [ -x "$cache/kubernetes-1.34.4/kube-network-policies" ] || skip 'no programs of Kubernetes: run scripts/kubernetes/build-control-plane.sh etcd kube-apiserver kube-controller-manager kube-scheduler kubelet kube-proxy coredns kube-network-policies'
  for command in node kubectl; do install "$(readlink -f "$(command -v $command)")" "$tools/engine/usr/local/bin/$command"; done
fi

# Everything from here on lives in its own mount and process namespace, and ends with it. In the background, so that a signal is acted on at once.
unshare --mount --pid --fork --kill-child bash -ec '
  tools=$1 root=$2 group=$3 cache=$4
  shift 4
  engine=$tools/engine
  mount --make-rprivate /
  # The engine wants its root folder to be a mount.
  mount --bind "$engine" "$engine"
  mount -t proc proc "$engine/proc"
  for path in sys dev; do mount --rbind "/$path" "$engine/$path"; done
  for path in run tmp; do mount -t tmpfs tmpfs "$engine/$path"; done
  mkdir -p "$engine/mnt/repository" "$engine/mnt/tools" "$engine/mnt/cache/deepdefense" "$engine/var/lib/docker"
  mount --bind "$root" "$engine/mnt/repository"
  mount -o remount,bind,ro "$engine/mnt/repository"
  mount --bind "$tools" "$engine/mnt/tools"
  mount --bind "$cache" "$engine/mnt/cache/deepdefense"
  mount --bind "$tools/work/docker" "$engine/var/lib/docker"
  cp /etc/resolv.conf "$engine/etc/resolv.conf"
  # Not chroot alone: a process that joins a container starts at the root of the namespace, which has to be that of the container.
  mkdir -p "$engine/mnt/machine"
  cd "$engine"
  pivot_root . mnt/machine
  exec chroot . /bin/bash -ec "umount --lazy /mnt/machine; exec bash /mnt/repository/scripts/containers/inside.sh \"\$@\"" - "$group" "$@"
' - "$tools" "$root" "$group" "$cache" "${only[@]}" &
inside=$!
wait "$inside"
