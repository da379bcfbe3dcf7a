/** @file An attack with its settings as people write it: `pgd:norm=l2:steps=100:restarts=10`. */
import { DeepDefenseError } from '../core/index.ts';
import { ATTACK_CATALOGUE, type AttackName, type AttackSetting, describeAttack, type Norm } from './attack-catalogue.ts';
import { nearestName } from './edit-distance.ts';

/** An attack ready to run, all settings resolved. */
export interface AttackSpec {
  readonly name: AttackName;
  readonly norm: Norm;
  readonly settings: Readonly<Record<string, number | string>>;
}

/**
 * Parses `name[:key=value]...`; keys are `norm` and the settings of the attack.
 * @throws DeepDefenseError USAGE for a name, key or value that the attack doesn't have.
 */
export function parseAttackSpec(text: string): AttackSpec {
  const [name = '', ...pairs] = text.split(':');
  if (!isAttackName(name)) throw unknown('attack', name, Object.keys(ATTACK_CATALOGUE), text);
  const { norms, settings } = describeAttack(name);
  let norm = norms[0] as Norm;
  const values: Record<string, number | string> = Object.fromEntries(
    Object.entries(settings).map(([key, setting]) => [key, setting.default]),
  );
  for (const pair of pairs) {
    const [key = '', value = ''] = pair.split('=');
    if (key === 'norm') {
      const chosen = norms.find((known) => known === value);
      if (chosen === undefined) throw unknown('norm', value, norms, text);
      norm = chosen;
      continue;
    }
    const setting = settings[key];
    if (setting === undefined) throw unknown('setting', key, ['norm', ...Object.keys(settings)], text);
    values[key] = settingValue(setting, key, value, text);
  }
  return { name, norm, settings: values };
}

/** The shortest text that {@link parseAttackSpec} reads as this: settings that differ from their defaults. */
export function formatAttackSpec({ name, norm, settings }: AttackSpec): string {
  const description = describeAttack(name);
  const pairs = Object.entries(settings).filter(([key, value]) => description.settings[key]?.default !== value);
  const parts = pairs.map(([key, value]) => `${key}=${value}`);
  return [name, ...(norm === description.norms[0] ? [] : [`norm=${norm}`]), ...parts].join(':');
}

function isAttackName(name: string): name is AttackName {
  return Object.hasOwn(ATTACK_CATALOGUE, name);
}

function settingValue(setting: AttackSetting, key: string, text: string, spec: string): number | string {
  if ('choices' in setting) {
    if (setting.choices.includes(text)) return text;
    throw unknown(`value of ${key}`, text, setting.choices, spec);
  }
  const value = text.trim() === '' ? Number.NaN : Number(text);
  const { min, max = Number.POSITIVE_INFINITY, integer = false } = setting;
  if (value >= min && value <= max && (!integer || Number.isInteger(value))) return value;
  throw new DeepDefenseError('USAGE', {
    what: `"${spec}": "${key}" has a wrong value`,
    expected: `${integer ? 'a whole number' : 'a number'} of at least ${min}${Number.isFinite(max) ? ` and at most ${max}` : ''}`,
    got: `"${text}"`,
    todo: `for example ${key}=${setting.default}`,
  });
}

function unknown(kind: string, got: string, known: readonly string[], spec: string): DeepDefenseError {
  const nearest = nearestName(got, known);
  return new DeepDefenseError('USAGE', {
    what: `"${spec}": there is no ${kind} "${got}"`,
    expected: known.length === 0 ? 'none' : `one of ${known.join(', ')}`,
    ...(nearest !== undefined && { todo: `did you mean "${nearest}"?` }),
  });
}
