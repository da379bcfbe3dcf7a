/** @file Nodes can be drained: budgets exist, and none blocks for ever. */
import { at, nameOf, ofKind, podTemplates } from '../manifest.ts';
import type { Rule } from '../policy.ts';
import { selects } from '../selector.ts';
import { podSelectorOf } from './selectors.ts';

export const drainsEnd: Rule = (manifests) => {
  const budgets = ofKind(manifests, 'PodDisruptionBudget');
  const problems: string[] = [];
  for (const { owner, labels } of podTemplates(manifests)) {
    const own = budgets.filter((budget) => selects(podSelectorOf(budget), labels));
    if (!['Deployment', 'StatefulSet'].includes(owner.kind)) {
      // Jobs have no scale that the disruption controller could count: it then lets no pod go.
      for (const budget of own)
        problems.push(`${nameOf(budget)}: lets no pod of ${nameOf(owner)} leave, because it isn't a Deployment or StatefulSet`);
      continue;
    }
    // The eviction API refuses pods with several budgets.
    if (own.length !== 1) problems.push(`${nameOf(owner)}: has ${own.length} PodDisruptionBudgets instead of one`);
    const replicas = (at(owner, ['spec', 'replicas']) ?? 1) as number;
    for (const budget of own) {
      const { minAvailable, maxUnavailable } = budget.spec as Readonly<Record<string, string | number | undefined>>;
      const mayLeave =
        maxUnavailable === undefined ? replicas - ceilingOf(minAvailable ?? 0, replicas) : ceilingOf(maxUnavailable, replicas);
      if (mayLeave < 1) problems.push(`${nameOf(budget)}: lets none of ${replicas} pods of ${nameOf(owner)} leave`);
    }
  }
  for (const budget of budgets)
    if (at(budget, ['spec', 'unhealthyPodEvictionPolicy']) !== 'AlwaysAllow')
      problems.push(`${nameOf(budget)}: pods that aren't ready can't be evicted (unhealthyPodEvictionPolicy)`);
  return problems;
};

/** A number or a percentage of replicas, rounded up as the disruption controller does. */
function ceilingOf(value: string | number, replicas: number): number {
  return typeof value === 'number' ? value : Math.ceil((Number.parseFloat(value) / 100) * replicas);
}
