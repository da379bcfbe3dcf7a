/**
 * @file Which differences between two configs forbid to go on from a checkpoint: all, except keys that no result depends on.
 * `train.epochs` and `train.maxSteps` do forbid it, because learning rate and GFA warm-up are stretched over the steps of the whole run.
 */
import { type Config, FREE_KEYS } from '../config/index.ts';

/** One key that differs; values as JSON, `nothing` for an absent one. */
export interface ConfigDifference {
  readonly key: string;
  readonly before: string;
  readonly now: string;
}

/** The keys in which two resolved configs differ, except {@link FREE_KEYS} and `mayDiffer`, in alphabetical order. */
export function differingKeys(before: Config, now: Config, mayDiffer: readonly string[] = []): ConfigDifference[] {
  const free = [...FREE_KEYS, ...mayDiffer];
  return differingLeaves(before, now).filter(({ key }) => !free.some((prefix) => key === prefix || key.startsWith(`${prefix}.`)));
}

/** Everything in which two documents differ, in alphabetical order of the keys; lists are compared as wholes. */
export function differingLeaves(before: unknown, now: unknown): ConfigDifference[] {
  const [old, current] = [flatten(before), flatten(now)];
  const keys = [...new Set([...old.keys(), ...current.keys()])].sort();
  return keys
    .filter((key) => old.get(key) !== current.get(key))
    .map((key) => ({ key, before: old.get(key) ?? 'nothing', now: current.get(key) ?? 'nothing' }));
}

/** Leaves by dotted key, as JSON; lists are leaves. Keys whose value is undefined count as absent, as they don't survive JSON. */
function flatten(value: unknown, prefix = '', leaves = new Map<string, string>()): Map<string, string> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
    for (const [key, child] of Object.entries(value)) flatten(child, prefix === '' ? key : `${prefix}.${key}`, leaves);
  } else if (value !== undefined) leaves.set(prefix, JSON.stringify(value));
  return leaves;
}
