/** @file Every container is watched. */
import { nameOf, podTemplates } from '../manifest.ts';
import type { Rule } from '../policy.ts';

export const probesSet: Rule = (manifests) =>
  podTemplates(manifests).flatMap(({ owner, spec }) =>
    spec.containers.flatMap((container) =>
      (['startupProbe', 'readinessProbe', 'livenessProbe'] as const)
        .filter((probe) => container[probe] === undefined)
        .map((probe) => `${nameOf(owner)}/${container.name}: no ${probe}`),
    ),
  );
