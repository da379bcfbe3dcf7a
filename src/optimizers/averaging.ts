/**
 * @file Exponential moving average of the parameters beside any optimiser (Polyak and Juditsky 1992; as a moving average in Adam's paper,
 * Kingma and Ba 2015, section 7.2): average = d average + (1 - d) parameters after each update, with d = min(decay, (1 + t) / (10 + t)) after
 * update t, so that the random start doesn't linger. Training goes on from the parameters; evaluations and the final weights are the average.
 * It is part of the optimiser's state, so checkpoints and resumes have it. Running statistics of batch normalisations are averaged like all others.
 */
import type { VectorMath } from '../core/index.ts';
import { type Optimizer, type OptimizerSlot, restoreSlots, type UpdateReport } from './optimizer.ts';

export class AveragingOptimizer implements Optimizer {
  readonly name: Optimizer['name'];
  readonly slots: readonly OptimizerSlot[];
  readonly #inner: Optimizer;
  readonly #decay: number;
  readonly #average: OptimizerSlot;

  /** @param length of the parameters */
  constructor(inner: Optimizer, decay: number, length: number, math: VectorMath) {
    this.name = inner.name;
    this.#inner = inner;
    this.#decay = decay;
    this.#average = { name: 'average', values: math.allocate(length) };
    this.slots = [...inner.slots, this.#average];
  }

  get updates(): number {
    return this.#inner.updates;
  }

  apply(parameters: Float32Array, gradients: Float32Array, learningRate: number): UpdateReport {
    const average = this.#average.values;
    const isFirst = this.updates === 0;
    const start = isFirst ? parameters.slice() : undefined;
    const report = this.#inner.apply(parameters, gradients, learningRate);
    if (start !== undefined) average.set(start);
    const decay = Math.min(this.#decay, (1 + this.updates) / (10 + this.updates));
    for (let i = 0; i < average.length; i++) average[i] = decay * (average[i] as number) + (1 - decay) * (parameters[i] as number);
    return report;
  }

  restore(slots: ReadonlyMap<string, Float32Array>, updates: number): void {
    restoreSlots([this.#average], slots);
    this.#inner.restore(slots, updates);
  }
}

/** What a run evaluates and leaves: the average where there is one, else the parameters themselves. */
export function weightsToUse(parameters: Float32Array, { slots, updates }: Pick<Optimizer, 'slots' | 'updates'>): Float32Array {
  const average = slots.find(({ name }) => name === 'average');
  return average === undefined || updates === 0 ? parameters : average.values;
}
