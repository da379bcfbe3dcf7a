/**
 * @file An evaluation as tables and red flags look at it: which images a network still gets right, by attack, norm and radius. Passes that
 * aren't complete are left out, so that a record of an evaluation still running can be read.
 */
import {
  type AttackDescription,
  type AttackSpec,
  describeAttack,
  type EvaluationRecord,
  type MaskingDiagnostics,
  type Norm,
  NORMS,
} from '../../config/index.ts';

/** One attack on one network at one radius. */
export interface Measured {
  /** Index into the attacks of the record. */
  readonly attack: number;
  readonly spec: AttackSpec;
  readonly description: AttackDescription;
  readonly eps: number;
  /** One `1` (correct before and after) or `0` per image. */
  readonly correct: string;
  /** True when it follows from the distances of a minimum-norm attack. */
  readonly implied: boolean;
}

/**
 * Rounding of float32 pixels that a distance may exceed a radius by: an attack at eps = 4/255 may return images at 4/255 + 6e-8.
 */
const DISTANCE_TOLERANCE = 1e-6;

export class EvaluationView {
  readonly record: EvaluationRecord;
  /** Images of every accuracy. */
  readonly count: number;
  /** Accuracy of guessing: one over the number of classes among the labels. */
  readonly chance: number;
  readonly #measured = new Map<string, readonly Measured[]>();

  constructor(record: EvaluationRecord) {
    this.record = record;
    this.count = record.images.index.length;
    this.chance = 1 / Math.max(1, new Set(record.images.label).size);
  }

  /** Correct without an attack; undefined when not measured. */
  clean(model: number): string | undefined {
    return this.record.results.find((one) => one.model === model && one.attack === -1 && this.complete(one.correct))?.correct;
  }

  /** Norms that bounded attacks were run in, in the order of the catalogue. */
  norms(): readonly Norm[] {
    return NORMS.filter((norm) => this.radii(norm).length > 0);
  }

  /** Radii > 0 of a norm, ascending. */
  radii(norm: Norm): readonly number[] {
    const used = this.record.results.flatMap(({ attack, eps }) =>
      this.record.attacks[attack]?.norm === norm && eps !== null ? [eps] : [],
    );
    return [...new Set([...(this.record.eps[norm] ?? []), ...used])].filter((eps) => eps > 0).sort((a, b) => a - b);
  }

  /** Complete results of bounded attacks on a network, radii > 0, in the order of the record. */
  bounded(model: number): readonly Measured[] {
    return this.record.results.flatMap(({ model: own, attack, eps, correct }) => {
      const spec = this.record.attacks[attack];
      if (own !== model || spec === undefined || eps === null || eps <= 0 || !this.complete(correct)) return [];
      return [{ attack, spec, description: describeAttack(spec.name), eps, correct, implied: false }];
    });
  }

  /** What is known of a network within a radius: bounded attacks at just this one, and what the distances of minimum-norm attacks imply. */
  at(model: number, norm: Norm, eps: number): readonly Measured[] {
    const key = `${model}/${norm}/${eps}`;
    const known = this.#measured.get(key);
    if (known !== undefined) return known;
    const bounded = this.bounded(model).filter((one) => one.spec.norm === norm && one.eps === eps);
    const all = [...bounded, ...this.#implied(model, norm, eps)];
    this.#measured.set(key, all);
    return all;
  }

  /**
   * Images that withstand every attack of a norm up to a radius: an image that is misclassified at a smaller radius is so here, too.
   * @param which attacks to count; all when absent
   * @returns undefined when none was measured at this very radius
   */
  worstCase(model: number, norm: Norm, eps: number, which: (one: Measured) => boolean = () => true): string | undefined {
    if (!this.at(model, norm, eps).some(which)) return undefined;
    const smaller = this.radii(norm).filter((radius) => radius <= eps);
    return allCorrect(
      smaller.flatMap((radius) =>
        this.at(model, norm, radius)
          .filter(which)
          .map(({ correct }) => correct),
      ),
    );
  }

  diagnostics(model: number): MaskingDiagnostics | undefined {
    return this.record.diagnostics.find((one) => one.model === model);
  }

  /** A title for the model at an index. */
  label(model: number): string {
    return this.record.models[model]?.label ?? `network ${model}`;
  }

  /** One character for every image. */
  complete(correct: string): boolean {
    return this.count > 0 && correct.length === this.count;
  }

  #implied(model: number, norm: Norm, eps: number): Measured[] {
    return this.record.results.flatMap(({ model: own, attack, correct, distances }) => {
      const spec = this.record.attacks[attack];
      if (own !== model || spec === undefined || distances === undefined || !this.complete(correct)) return [];
      const within = distances[norm].map((distance) => (distance !== null && distance <= eps + DISTANCE_TOLERANCE ? '0' : '1')).join('');
      if (!this.complete(within)) return [];
      return [{ attack, spec, description: describeAttack(spec.name), eps, correct: within, implied: true }];
    });
  }
}

/** Number of `1`. */
export function countCorrect(correct: string): number {
  let count = 0;
  for (const one of correct) if (one === '1') count++;
  return count;
}

/** `1` where all have `1`. At least one string, all of one length. */
export function allCorrect(results: readonly string[]): string {
  return Array.from(results[0] ?? '', (_, image) => (results.every((one) => one[image] === '1') ? '1' : '0')).join('');
}
