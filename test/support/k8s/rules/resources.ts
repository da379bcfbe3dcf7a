/** @file Every container says what it needs and what it may take. */
import type { IIoK8sApiCoreV1LimitRangeItem as LimitRangeItem } from 'kubernetes-models/v1/LimitRangeItem';
import { at, type Manifest, nameOf, ofKind, podTemplates } from '../manifest.ts';
import type { Rule } from '../policy.ts';

const NEEDED = ['cpu', 'memory', 'ephemeral-storage'] as const;
const FACTORS: Readonly<Record<string, number>> = {
  '': 1,
  m: 1e-3,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
};

/**
 * Requests and limits of cpu, memory and disk are set and in order; GPUs are asked for as Kubernetes wants them, request equal to limit; and no
 * LimitRange gives a container more than it asks for.
 */
export const resourcesSet: Rule = (manifests) => [...ofContainers(manifests), ...ofLimitRanges(manifests)];

/** The server takes a maximum that has no default for the default. */
function ofLimitRanges(manifests: readonly Manifest[]): string[] {
  return ofKind(manifests, 'LimitRange').flatMap((range) => {
    const limits = (at(range, ['spec', 'limits']) ?? []) as readonly LimitRangeItem[];
    return limits.flatMap(({ type, max = {}, default: defaults = {} }) =>
      Object.keys(max)
        .filter((resource) => type === 'Container' && defaults[resource] === undefined)
        .map((resource) => `${nameOf(range)}: a container that names no ${resource} gets its maximum`),
    );
  });
}

function ofContainers(manifests: readonly Manifest[]): string[] {
  return podTemplates(manifests).flatMap(({ owner, containers }) =>
    containers.flatMap(({ name, resources: { requests = {}, limits = {} } = {} }) => {
      const where = `${nameOf(owner)}/${name}`;
      const missing = NEEDED.flatMap((resource) => [
        ...(requests[resource] === undefined ? [`${where}: no request of ${resource}`] : []),
        ...(limits[resource] === undefined ? [`${where}: no limit of ${resource}`] : []),
      ]);
      const above = Object.entries(requests)
        .filter(([resource, request]) => amountOf(request) > amountOf(limits[resource] ?? Number.POSITIVE_INFINITY))
        .map(([resource]) => `${where}: the request of ${resource} is above its limit`);
      const gpus = ['nvidia.com/gpu']
        .filter((resource) => amountOf(requests[resource] ?? limits[resource] ?? 0) !== amountOf(limits[resource] ?? 0))
        .map((resource) => `${where}: request and limit of ${resource} differ`);
      return [...missing, ...above, ...gpus];
    }),
  );
}

/** A quantity of Kubernetes as a number. @throws Error when it isn't one */
export function amountOf(quantity: string | number): number {
  if (typeof quantity === 'number') return quantity;
  const match = /^([\d.]+)([mkMGT]|[KMGT]i)?$/.exec(quantity);
  if (match === null) throw new Error(`not a quantity: "${quantity}"`);
  return Number(match[1]) * (FACTORS[match[2] ?? ''] as number);
}
