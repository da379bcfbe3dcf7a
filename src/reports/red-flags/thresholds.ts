/** @file Comparisons that several red flags, and the findings of a training run, share. */
import type { AttackName } from '../../config/index.ts';
import { countCorrect, type Measured } from '../evaluation/evaluation-view.ts';
import { formatEps, formatPercent } from '../format.ts';
import { mcnemarExact, pairedCounts } from '../statistics/mcnemar.ts';
import { wilsonInterval } from '../wilson.ts';

/** By so much an attack that sees less may do better than one that sees more: the 0.2 points at which AutoAttack warns, too. */
export const MASKING_MARGIN = 0.002;

/** Attacks of which the first should do at least as much harm as the second. */
export const ATTACK_ORDER: readonly (readonly [strong: AttackName, weak: AttackName])[] = [
  ['pgd', 'fgsm'],
  ['bim', 'fgsm'],
  ['apgd', 'fgsm'],
  ['apgd-t', 'pgd'],
  ['apgd-t', 'apgd'],
];

/** Share of images by which `high` beats `low`. */
export function lead(high: string, low: string): number {
  return (countCorrect(high) - countCorrect(low)) / high.length;
}

/** `high` leaves more images correct than `low` by more than a margin (a share) and by more than chance: McNemar's exact p < 0.05. */
export function clearlyMore(high: string, low: string, margin = MASKING_MARGIN): boolean {
  return lead(high, low) > margin + 1e-12 && mcnemarExact(pairedCounts(high, low)) < 0.05;
}

/** The 95 % interval lies above guessing. */
export function aboveChance(correct: string, chance: number): boolean {
  return wilsonInterval(countCorrect(correct), correct.length).low > chance;
}

/** The attack climbs a gradient in more than one step: what single steps and attacks without gradients are measured against. */
export function isIterated({ description, spec }: Pick<Measured, 'description' | 'spec'>): boolean {
  return description.sees === 'gradients' && spec.name !== 'fgsm' && spec.settings.steps !== 1;
}

/** `31.2 % (312 of 1000)`. */
export function share(correct: string): string {
  const count = countCorrect(correct);
  return `${formatPercent(count / correct.length)} % (${count} of ${correct.length})`;
}

/** `L∞ 8/255`, `L2 0.5`. */
export function radius(norm: string, eps: number): string {
  return norm === 'linf' ? `L∞ ${formatEps(eps)}` : `${norm.toUpperCase()} ${Number(eps.toPrecision(4))}`;
}
