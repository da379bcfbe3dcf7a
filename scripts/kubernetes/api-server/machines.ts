/** @file Nodes and volumes that are entries of the API server alone, without a machine or a disk. */

/** @param index gives the zone, one of three. @param gpus of NVIDIA; their node is tainted as NVIDIA's operator does it */
export function node(name: string, index: number, gpus = 0): object {
  const amounts = { cpu: '8', memory: '32Gi', 'ephemeral-storage': '100Gi', pods: '110', ...(gpus > 0 && { 'nvidia.com/gpu': `${gpus}` }) };
  const zone = { 'topology.kubernetes.io/zone': `zone-${index % 3}` };
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name, labels: { 'kubernetes.io/hostname': name, ...zone, ...(gpus > 0 && { 'nvidia.com/gpu.present': 'true' }) } },
    spec: gpus > 0 ? { taints: [{ key: 'nvidia.com/gpu', value: 'present', effect: 'NoSchedule' }] } : {},
    status: { capacity: amounts, allocatable: amounts, conditions: [{ type: 'Ready', status: 'True' }] },
  };
}

type AccessMode = 'ReadWriteOnce' | 'ReadWriteMany';

/** For claims that name no storage class, in a cluster without any. */
export function volume(name: string, storage: string, accessMode: AccessMode): object {
  const spec = { capacity: { storage }, accessModes: [accessMode], hostPath: { path: `/volumes/${name}` } };
  return { apiVersion: 'v1', kind: 'PersistentVolume', metadata: { name }, spec };
}

/** As many as the claims of the platform: NATS, dataset, trials. */
export function platformVolumes(): readonly object[] {
  const nats = [0, 1, 2].map((index) => volume(`nats-${index}`, '10Gi', 'ReadWriteOnce'));
  return [...nats, volume('dataset', '2Gi', 'ReadWriteMany'), volume('trials', '50Gi', 'ReadWriteMany')];
}
