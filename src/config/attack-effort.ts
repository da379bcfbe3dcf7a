/** @file What an attack costs, by estimate. */
import { describeAttack } from './attack-catalogue.ts';
import type { AttackSpec } from './attack-spec.ts';

/** Settings that an attack's time grows with in proportion. */
const FACTORS = ['steps', 'restarts', 'queries', 'targets', 'searchSteps'];

/** Passes of one image at full length, forward and backward counted as one; 1 without an attack. */
export function attackPasses(spec: AttackSpec | undefined): number {
  if (spec === undefined) return 1;
  const { passes, settings } = describeAttack(spec.name);
  let factor = 1;
  for (const key of FACTORS) {
    const [value, setting] = [spec.settings[key], settings[key]?.default];
    if (typeof value === 'number' && typeof setting === 'number') factor *= value / setting;
  }
  return passes * factor;
}
