/** @file Nothing is open that no policy names. */
import { at, nameOf, ofKind, podTemplates } from '../manifest.ts';
import type { Rule } from '../policy.ts';
import { selects } from '../selector.ts';
import { podSelectorOf } from './selectors.ts';

/** One policy denies everything for all pods, every pod has another one that lets it do its work, and none lets everybody in. */
export const networkClosed: Rule = (manifests) => {
  const policies = ofKind(manifests, 'NetworkPolicy');
  const problems: string[] = [];
  const denies = policies.some(
    (policy) =>
      selects(podSelectorOf(policy), {}) &&
      ['Ingress', 'Egress'].every((type) => (at(policy, ['spec', 'policyTypes']) as readonly string[]).includes(type)) &&
      at(policy, ['spec', 'ingress']) === undefined &&
      at(policy, ['spec', 'egress']) === undefined,
  );
  if (!denies) problems.push('no NetworkPolicy denies everything by default');
  for (const { owner, labels } of podTemplates(manifests))
    if (!policies.some((policy) => !selects(podSelectorOf(policy), {}) && selects(podSelectorOf(policy), labels)))
      problems.push(`${nameOf(owner)}: no NetworkPolicy names its pods`);
  for (const policy of policies)
    for (const [rules, peers] of [
      ['ingress', 'from'],
      ['egress', 'to'],
    ] as const)
      for (const rule of (at(policy, ['spec', rules]) ?? []) as readonly Readonly<Record<string, readonly unknown[] | undefined>>[]) {
        if ((rule[peers] ?? []).length === 0) problems.push(`${nameOf(policy)}: ${rules} is open to everybody`);
        if ((rule.ports ?? []).length === 0) problems.push(`${nameOf(policy)}: ${rules} is open on every port`);
      }
  return problems;
};
