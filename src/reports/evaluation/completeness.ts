/** @file What of an evaluation hasn't been measured yet. */
import { describeAttack } from '../../config/index.ts';
import type { EvaluationView } from './evaluation-view.ts';

/** Passes (network x attack x radius > 0, and each network without an attack) that should be there, and those that are. */
export function passesDone(view: EvaluationView): { readonly done: number; readonly all: number } {
  const { attacks, models, eps, results } = view.record;
  const keys = ['-1/null'];
  for (const [index, { name, norm }] of attacks.entries()) {
    const radii = describeAttack(name).kind === 'minimum-norm' ? [null] : (eps[norm] ?? []).filter((one) => one > 0);
    for (const radius of radii) keys.push(`${index}/${radius}`);
  }
  const measured = new Set(
    results.filter(({ correct }) => view.complete(correct)).map(({ model, attack, eps: radius }) => `${model}:${attack}/${radius}`),
  );
  const wanted = models.flatMap((_, model) => keys.map((key) => `${model}:${key}`));
  return { done: wanted.filter((key) => measured.has(key)).length, all: wanted.length };
}
