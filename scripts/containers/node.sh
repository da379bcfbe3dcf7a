#!/usr/bin/env bash
# The part "node" of scripts/check-containers.sh: containerd and the network of a Kubernetes node in this network namespace; what runs on the node
# is scripts/kubernetes/check-node.ts. Not to be called by itself.
# Usage: node.sh GROUP       the control group that everything stays below
set -euo pipefail
group=$1
work=/mnt/tools/work
address=192.0.2.1 # of documentation (RFC 5737); it never leaves this namespace
export XDG_CACHE_HOME=/mnt/cache

ip link set lo up
ip link add node0 type bridge && ip address add "$address/24" dev node0 && ip link set node0 up
# Addresses of Services are on no device; their packets are rewritten on the way to this one.
ip route add default dev node0
echo 1 >/proc/sys/net/ipv4/ip_forward
# What the kubelet mounts into pods has to be seen by them.
mount --make-rshared /

# Control groups of version 1: one of processors without any can hold no process.
for folder in /sys/fs/cgroup/*/; do
  mkdir -p "$folder$group"
  for name in cpuset.cpus cpuset.mems; do if [ -e "$folder$name" ]; then cat "$folder$name" >"$folder$group/$name"; fi; done
done

containerd=
cleanup() {
  local code=$?
  ctr --namespace k8s.io tasks list --quiet 2>/dev/null | xargs -r -n 1 ctr --namespace k8s.io tasks kill --signal SIGKILL >/dev/null 2>&1 || true
  [ -z "$containerd" ] || kill "$containerd" 2>/dev/null || true
  exit "$code"
}
trap cleanup EXIT

# Each pod has a route of its own, so that no packet passes by the rules of Services on a bridge.
mkdir -p /etc/cni/net.d /var/lib/kubelet "$work/volumes"
cat >/etc/cni/net.d/10-pods.conflist <<JSON
{"cniVersion": "0.4.0", "name": "pods", "plugins": [{"type": "ptp", "ipam": {"type": "host-local",
  "ranges": [[{"subnet": "10.244.0.0/24"}]], "routes": [{"dst": "0.0.0.0/0"}], "dataDir": "/run/cni"}}]}
JSON
cat >/tmp/containerd.toml <<TOML
version = 2
root = "$work/containerd"
state = "/run/containerd"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "docker.io/deepdefense/pause:stand-in"
  # Less than what this process has can't be asked for without rights over the whole machine.
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "/etc/cni/net.d"
TOML
rm -rf "$work/containerd" "$work/volumes" && mkdir -p "$work/volumes"
containerd --config /tmp/containerd.toml >"$work/results/containerd.log" 2>&1 &
containerd=$!
for _ in $(seq 100); do
  if ctr version >/dev/null 2>&1; then break; fi
  sleep 0.2
done
ctr --namespace k8s.io images import "$work/node-images.tar" >"$work/results/node-images.log"

cd /mnt/repository
NODE_ADDRESS=$address NODE_CGROUP=/$group NODE_WORK=$work NODE_OPTIONS='' node --import tsx scripts/kubernetes/check-node.ts
