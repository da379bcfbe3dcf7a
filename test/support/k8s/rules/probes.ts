/** @file Every container is watched, but for one that serves nothing and ends by itself. */
import { nameOf, podTemplates } from '../manifest.ts';
import type { Rule } from '../policy.ts';

const PROBES = ['startupProbe', 'readinessProbe', 'livenessProbe'] as const;

export const probesSet: Rule = (manifests) =>
  podTemplates(manifests).flatMap(({ owner, spec }) =>
    spec.containers.flatMap((container) =>
      (owner.kind === 'Job' && container.ports === undefined ? [] : PROBES)
        .filter((probe) => container[probe] === undefined)
        .map((probe) => `${nameOf(owner)}/${container.name}: no ${probe}`),
    ),
  );
