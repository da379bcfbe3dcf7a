/** @file Every container says what it needs and what it may take. */
import { nameOf, podTemplates } from '../manifest.ts';
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

/** Requests and limits of cpu, memory and disk are set and in order; GPUs are asked for as Kubernetes wants them, request equal to limit. */
export const resourcesSet: Rule = (manifests) =>
  podTemplates(manifests).flatMap(({ owner, containers }) =>
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

/** A quantity of Kubernetes as a number. @throws Error when it isn't one */
export function amountOf(quantity: string | number): number {
  if (typeof quantity === 'number') return quantity;
  const match = /^([\d.]+)([mkMGT]|[KMGT]i)?$/.exec(quantity);
  if (match === null) throw new Error(`not a quantity: "${quantity}"`);
  return Number(match[1]) * (FACTORS[match[2] ?? ''] as number);
}
