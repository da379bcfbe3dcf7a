/**
 * @file Local SGD with an outer momentum (DiLoCo; Douillard et al. 2023, algorithm 1). From one synchronisation to the next, each
 * logical shard is a replica that takes K steps of the config's optimiser on its own samples. The coordinator takes the mean over the
 * shards of how far they went, start - end, as the gradient of an outer SGD with momentum. Shards, not workers, are the replicas, and
 * nothing of a replica outlives the synchronisation but what is averaged: so any worker can compute any shard of any round, and the
 * weights don't depend on who did. K = 1 is no local SGD: gradients are averaged in every step.
 */
import type { Config } from '../config/index.ts';
import { plainVectorMath, sizeOf, type TensorSpec, type VectorMath, WasmVectorMath } from '../core/index.ts';
import { AveragingOptimizer } from './averaging.ts';
import { createOptimizer, type Optimizer, type OptimizerSlot, restoreSlots, type UpdateReport } from './optimizer.ts';

type Settings = Pick<Config, 'optimizer' | 'sync'>;

const parameterCount = (specs: readonly TensorSpec[]): number => specs.reduce((sum, { shape }) => sum + sizeOf(shape), 0);
const isLocal = ({ sync }: Settings): boolean => sync.everySteps > 1;

/** State vectors of the inner optimiser that are averaged and sent along. */
function averagedSlots({ optimizer, sync }: Settings): readonly OptimizerSlot['name'][] {
  if (sync.everySteps === 1 || sync.innerState === 'reset') return [];
  if (optimizer.name !== 'sgd') return ['firstMoment', 'secondMoment'];
  return optimizer.momentum === 0 ? [] : ['momentum'];
}

/** Elements of the vectors that travel, in both directions: the parameters and each averaged state vector. */
export function vectorLength(config: Settings, parameterCount: number): number {
  return parameterCount * (1 + averagedSlots(config).length);
}

/** What workers start from: the parameters and behind them the averaged state vectors. */
export function startVector(config: Settings, parameters: Float32Array, { slots }: Pick<Optimizer, 'slots'>): Float32Array {
  const names = averagedSlots(config);
  if (names.length === 0) return parameters;
  const vector = new Float32Array(vectorLength(config, parameters.length));
  vector.set(parameters);
  for (const [index, name] of names.entries())
    vector.set(slots.find((slot) => slot.name === name)?.values as Float32Array, (index + 1) * parameters.length);
  return vector;
}

/**
 * What updates the run's parameters from the mean of the workers' answers: the config's optimiser, or with local steps the outer one; with
 * an average of the parameters beside it where the config asks for one.
 * @param math see {@link createOptimizer}
 */
export function createRunOptimizer(config: Settings, specs: readonly TensorSpec[], math: VectorMath = plainVectorMath): Optimizer {
  const optimizer = isLocal(config) ? new OuterOptimizer(config, specs, math) : createOptimizer(config, specs, math);
  const { emaDecay } = config.optimizer;
  return emaDecay === 0 ? optimizer : new AveragingOptimizer(optimizer, emaDecay, parameterCount(specs), math);
}

/** SGD on mean changes: v = m v + d; p -= lr (nesterov ? d + m v : v). Takes the averaged inner state over as it is. */
class OuterOptimizer implements Optimizer {
  readonly name: Optimizer['name'];
  readonly slots: readonly OptimizerSlot[];
  readonly #sgd: Optimizer;
  readonly #inner: readonly OptimizerSlot[];
  readonly #learningRate: number;

  constructor(config: Settings, specs: readonly TensorSpec[], math: VectorMath) {
    const { outerLearningRate, outerMomentum, outerNesterov } = config.sync;
    this.name = config.optimizer.name;
    this.#learningRate = outerLearningRate;
    const { gradientClipNorm: _, ...settings } = config.optimizer;
    const outer = { ...settings, name: 'sgd' as const, momentum: outerMomentum, nesterov: outerNesterov, weightDecay: 0 };
    // Running statistics become the mean of the replicas' own.
    this.#sgd = createOptimizer({ optimizer: outer }, specs, math, 1);
    this.#inner = averagedSlots(config).map((name) => ({ name, values: math.allocate(parameterCount(specs)) }));
    this.slots = [...this.#sgd.slots.map(({ values }) => ({ name: 'outerMomentum' as const, values })), ...this.#inner];
  }

  get updates(): number {
    return this.#sgd.updates;
  }

  /** @param mean [vectorLength]: mean change of the parameters, then the mean inner state. The learning rate of the steps is not used. */
  apply(parameters: Float32Array, mean: Float32Array): UpdateReport {
    const report = this.#sgd.apply(parameters, mean.subarray(0, parameters.length), this.#learningRate);
    for (const [index, { values }] of this.#inner.entries())
      values.set(mean.subarray((index + 1) * parameters.length, (index + 2) * parameters.length));
    return report;
  }

  restore(slots: ReadonlyMap<string, Float32Array>, updates: number): void {
    restoreSlots(this.slots, slots);
    this.#sgd.restore(new Map(this.#sgd.slots.map(({ name, values }) => [name, values])), updates);
  }
}

/** One shard between two synchronisations, on a worker. Used again for shard after shard. */
export class LocalReplica {
  /** [P] float32: where the shard is now. Memory that can be handed to an engine. */
  readonly parameters: Float32Array;
  readonly #slotNames: readonly OptimizerSlot['name'][];
  readonly #optimizer: Optimizer;
  readonly #values: Float32Array;
  readonly #gradients: Float32Array;
  #start: Float32Array = new Float32Array(0);

  /** @returns undefined when the config has no local steps. */
  static create(config: Settings, specs: readonly TensorSpec[]): LocalReplica | undefined {
    return isLocal(config) ? new LocalReplica(config, specs) : undefined;
  }

  private constructor(config: Settings, specs: readonly TensorSpec[]) {
    const math = new WasmVectorMath();
    this.#optimizer = createOptimizer(config, specs, math);
    this.#slotNames = averagedSlots(config);
    const length = parameterCount(specs);
    this.parameters = new Float32Array(length);
    this.#values = math.allocate(length);
    this.#gradients = math.allocate(length);
  }

  /**
   * Begins a shard.
   * @param start [vectorLength], see {@link startVector}; not changed.
   * @param step steps of the run before this one: updates that averaged state has seen.
   */
  begin(start: Float32Array, step: number): void {
    const length = this.parameters.length;
    this.#start = start;
    this.#values.set(start.subarray(0, length));
    this.parameters.set(this.#values);
    const averaged = new Map<string, Float32Array>(
      this.#slotNames.map((name, index) => [name, start.subarray((index + 1) * length, (index + 2) * length)]),
    );
    const zeros = new Float32Array(length);
    const slots = new Map(this.#optimizer.slots.map(({ name }) => [name as string, averaged.get(name) ?? zeros]));
    this.#optimizer.restore(slots, averaged.size === 0 ? 0 : step);
  }

  /**
   * One local step.
   * @param gradients [P] at {@link parameters}
   * @throws DeepDefenseError NON_FINITE_LOSS when they are not finite.
   */
  update(gradients: Float32Array, learningRate: number): void {
    this.#gradients.set(gradients);
    this.#optimizer.apply(this.#values, this.#gradients, learningRate);
    this.parameters.set(this.#values);
  }

  /** Writes the shard's answer, [vectorLength]: start - end of the parameters, then the averaged state vectors. */
  finish(out: Float32Array): void {
    const length = this.parameters.length;
    const [start, end] = [this.#start, this.parameters];
    for (let i = 0; i < length; i++) out[i] = (start[i] as number) - (end[i] as number);
    for (const [index, name] of this.#slotNames.entries())
      out.set(this.#optimizer.slots.find((slot) => slot.name === name)?.values as Float32Array, (index + 1) * length);
  }
}
