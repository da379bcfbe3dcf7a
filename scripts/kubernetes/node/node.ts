/** @file A node for the control plane: kubelet on a containerd that runs already, kube-proxy for Services, CoreDNS for names, volumes in folders. */
import { Resolver } from 'node:dns/promises';
import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ControlPlane } from '../api-server/control-plane.ts';

/** What scripts/containers/node.sh has prepared. */
export interface NodePlace {
  /** IP address of the node, on a device of its own. */
  readonly address: string;
  /** Control group for all pods. */
  readonly cgroup: string;
  /** Folder on a disk, for volumes and results. */
  readonly work: string;
}

export const NODE = 'node-0';
const VOLUMES = 12;

/** @returns when the node is ready. @throws Error with the end of a program's log, when one doesn't come up */
export async function startNode({ programs, kubeconfig, kubectl: { admin } }: ControlPlane, { address, cgroup, work }: NodePlace) {
  const { folder } = programs;
  const kubelet = join(folder, 'kubelet.json');
  await writeFile(kubelet, JSON.stringify(kubeletConfiguration(address, cgroup)));
  const isReady = async () => {
    const { stdout } = await admin.run(...['get', 'node', NODE, '--output', 'jsonpath={.status.conditions[?(@.type=="Ready")].status}']);
    return stdout === 'True';
  };
  const identity = ['--hostname-override', NODE, '--kubeconfig', kubeconfig];
  await programs.start('kubelet', ['--config', kubelet, '--node-ip', address, '--cert-dir', join(folder, 'kubelet'), ...identity], isReady);
  // The table of connections is the machine's, and left alone.
  const connections = [
    '--conntrack-max-per-core',
    '0',
    '--conntrack-tcp-timeout-established',
    '0',
    '--conntrack-tcp-timeout-close-wait',
    '0',
  ];
  const proxy = ['--proxy-mode', 'iptables', '--cluster-cidr', '10.244.0.0/24', ...connections, ...identity];
  await programs.start(
    'kube-proxy',
    proxy,
    async () => (await fetch('http://127.0.0.1:10256/healthz').catch(() => undefined))?.ok === true,
  );
  const corefile = join(folder, 'Corefile');
  await writeFile(
    corefile,
    `.:53 {\n bind ${address}\n errors\n cache 5\n kubernetes cluster.local {\n  kubeconfig ${kubeconfig} admin\n }\n}\n`,
  );
  const names = new Resolver({ timeout: 1000, tries: 1 });
  names.setServers([address]);
  const isServed = () =>
    names.resolve4('kubernetes.default.svc.cluster.local').then(
      (found) => found.length > 0,
      () => false,
    );
  await programs.start('coredns', ['-conf', corefile], isServed);
  const volumes = await Promise.all(Array.from({ length: VOLUMES }, (_, index) => volume(join(work, 'volumes', String(index)), index)));
  const made = await admin.send({ apiVersion: 'v1', kind: 'List', items: volumes }, 'create', '--filename', '-');
  if (made.code !== 0) throw new Error(made.stderr);
}

/** A folder that every user may write to: the kubelet gives no folder of a node to a pod's group. */
async function volume(path: string, index: number): Promise<object> {
  await mkdir(path, { recursive: true });
  await chmod(path, 0o777);
  return {
    apiVersion: 'v1',
    kind: 'PersistentVolume',
    metadata: { name: `volume-${index}` },
    spec: { capacity: { storage: '50Gi' }, accessModes: ['ReadWriteOnce', 'ReadWriteMany'], hostPath: { path } },
  };
}

function kubeletConfiguration(address: string, cgroupRoot: string): object {
  return {
    apiVersion: 'kubelet.config.k8s.io/v1beta1',
    kind: 'KubeletConfiguration',
    address,
    // The API server asks it for logs; nobody else is in this network.
    authentication: { anonymous: { enabled: true }, webhook: { enabled: false } },
    authorization: { mode: 'AlwaysAllow' },
    containerRuntimeEndpoint: 'unix:///run/containerd/containerd.sock',
    cgroupDriver: 'cgroupfs',
    cgroupRoot,
    enforceNodeAllocatable: [],
    failCgroupV1: false,
    failSwapOn: false,
    oomScoreAdj: 0,
    clusterDNS: [address],
    clusterDomain: 'cluster.local',
    resolvConf: '',
    // The disk of this machine isn't the node's to tidy.
    evictionHard: { 'memory.available': '1Mi', 'nodefs.available': '1%', 'nodefs.inodesFree': '1%', 'imagefs.available': '1%' },
    imageGCHighThresholdPercent: 100,
  };
}
