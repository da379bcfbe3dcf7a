/** @file Selectors take what they are meant for. */
import { at, type Labels, type Manifest, nameOf, ofKind, podTemplates } from '../manifest.ts';
import type { Rule } from '../policy.ts';
import { type Selector, selects } from '../selector.ts';

/**
 * Workloads select their own pods, budgets and monitors and Services select some, spreading counts the pod itself.
 * Pods of coordinators are made by `deepdefense submit`, so selectors may also take those.
 */
export const selectorsMatch: Rule = (manifests) => {
  const pods = podTemplates(manifests);
  const problems: string[] = [];
  for (const { owner, labels, spec } of pods) {
    const selector = at(owner, ['spec', 'selector']) as Selector | undefined;
    if (['Deployment', 'StatefulSet', 'DaemonSet'].includes(owner.kind) && (selector === undefined || !selects(selector, labels)))
      problems.push(`${nameOf(owner)}: its selector doesn't take its own pods`);
    for (const { labelSelector, topologyKey } of spec.topologySpreadConstraints ?? [])
      if (labelSelector === undefined || !selects(labelSelector, labels))
        problems.push(`${nameOf(owner)}: spreading over ${topologyKey} doesn't count its own pods`);
  }
  const takesSome = (selector: Selector) =>
    pods.some(({ labels }) => selects(selector, labels)) || selects(selector, SUBMITTED_COORDINATOR);
  for (const manifest of ofKind(manifests, 'PodDisruptionBudget', 'PodMonitor', 'NetworkPolicy')) {
    const selector = podSelectorOf(manifest);
    if (!takesSome(selector)) problems.push(`${nameOf(manifest)}: its selector takes no pod`);
  }
  for (const service of ofKind(manifests, 'Service')) {
    const matchLabels = at(service, ['spec', 'selector']) as Labels | undefined;
    if (matchLabels === undefined || !takesSome({ matchLabels })) problems.push(`${nameOf(service)}: its selector takes no pod`);
  }
  for (const monitor of ofKind(manifests, 'ServiceMonitor')) {
    const selector = at(monitor, ['spec', 'selector']) as Selector;
    if (!ofKind(manifests, 'Service').some(({ metadata }) => selects(selector, metadata.labels ?? {})))
      problems.push(`${nameOf(monitor)}: its selector takes no Service`);
  }
  return problems;
};

/** Labels of the coordinator of a run or sweep. */
export const SUBMITTED_COORDINATOR: Labels = {
  'app.kubernetes.io/name': 'deepdefense',
  'app.kubernetes.io/part-of': 'deepdefense',
  'app.kubernetes.io/component': 'coordinator',
  'app.kubernetes.io/instance': 'RUN',
};

/** The selector of a budget, a monitor or a network policy. */
export function podSelectorOf(manifest: Manifest): Selector {
  return (at(manifest, ['spec', manifest.kind === 'NetworkPolicy' ? 'podSelector' : 'selector']) ?? {}) as Selector;
}
