/**
 * @file What the simulated workers compute: gradients of a few numbers that depend on every bit of the parameters, the step, its first
 * position and the shard, so that a lost, doubled or stale contribution shows in the final weights; and the run as one machine does it.
 */
import { type Config, type ConfigInput, configSchema } from '../../src/config/index.ts';
import { createRunPlan, parametersHash, scheduleOf } from '../../src/coordinator/index.ts';
import type { TensorSpec } from '../../src/core/index.ts';
import { createRunOptimizer, startVector, vectorLength } from '../../src/optimizers/index.ts';
import { type StepSettings, sumTree } from '../../src/wire/index.ts';

export const SPECS: readonly TensorSpec[] = [
  { name: 'layer.weight', shape: [3], dtype: 'float32' },
  { name: 'layer.bias', shape: [2], dtype: 'float32' },
];
export const PARAMETERS = 5;
export const METRIC_NAMES = ['loss', 'accuracy'];
export const METRIC_SUMS_PER_SHARD = [0.5, 1];
export const TEST_SAMPLES = 40;
export const LOSS_PER_TEST_SAMPLE = 0.25;

/** What decides the arithmetic of a run; everything else of a scenario must not change a bit. */
export interface Recipe {
  readonly shards: number;
  readonly optimizer: Config['optimizer']['name'];
  readonly steps: number;
  /** Steps from one synchronisation to the next. */
  readonly everySteps: number;
}

/** 32-bit finaliser of MurmurHash3. */
function mix(value: number): number {
  let h = value | 0;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return h ^ (h >>> 16);
}

/** Floats of mixed size, so that another order of additions gives other bits. */
function values(key: number, length = PARAMETERS): Float32Array {
  const vector = new Float32Array(length);
  let h = key;
  for (let i = 0; i < length; i++) {
    h = mix(h + 0x9e3779b9);
    vector[i] = ((h >> 8) / 0x800000) * 10 ** ((h & 7) - 3);
  }
  return vector;
}

/** As workers send them: with zeros for what travels along with parameters. */
export function initialVector(length: number): Float32Array {
  const vector = new Float32Array(length);
  vector.set(values(1));
  return vector;
}

/** A hash of every bit of a vector. */
function fingerprint(parameters: Float32Array): number {
  const bits = new Uint32Array(parameters.buffer, parameters.byteOffset, parameters.length);
  let h = 0;
  for (const word of bits) h = mix(h ^ word) + 0x243f6a88;
  return h;
}

/** What a block's answer depends on. */
export interface Work {
  readonly step: number;
  readonly firstPosition: number;
  readonly schedule: readonly StepSettings[];
}

/**
 * What shards [first, first + count) answer, in the order of the tree: gradients, or with local steps whatever travels then.
 * @param start the vector that the workers begin with
 */
export function blockGradient(start: Float32Array, { step, firstPosition, schedule }: Work, first: number, count: number): Float32Array {
  let key = mix(mix(fingerprint(start) ^ step) ^ firstPosition);
  for (const { gfaScale } of schedule) key = mix(key + gfaScale + 1);
  const leaves: Float32Array[] = [];
  for (let shard = first; shard < first + count; shard++) leaves.push(values(mix(key ^ (shard + 1)), start.length));
  return sumTree(leaves);
}

/** One image in three is classified correctly. */
export function correctness(first: number, count: number): Buffer {
  return Buffer.from(Array.from({ length: count }, (_, i) => ((first + i) % 3 === 0 ? 1 : 0)));
}

/** The config of a recipe; a batch has two samples a shard, an epoch four and a half batches. */
export function configOf({ shards, optimizer, steps, everySteps }: Recipe): Config {
  const input: ConfigInput = {
    optimizer: { name: optimizer, learningRate: 0.05 },
    train: { batchSize: 2 * shards, shards, maxSteps: steps, epochs: 100 },
    sync: { everySteps },
    evaluation: { everyEpochs: 1, batchSize: 10, robustSamples: 20, attacks: ['fgsm'], epsLinf: [0.1] },
    cluster: { heartbeatMs: 50, leaseMs: 200, stepDeadlineMs: 600, graceMs: 400, workersLostMs: 3_000 },
  };
  return configSchema.parse(input);
}

export function trainSamplesOf({ shards }: Pick<Recipe, 'shards'>): number {
  return 9 * shards;
}

/** The run as one machine does it, step by step. */
export interface Reference {
  readonly config: Config;
  readonly batchSize: number;
  /** Elements of the vectors that travel. */
  readonly vectorLength: number;
  readonly samplesPerEpoch: number;
  /** Hash of the parameters after so many steps, at synchronisations. */
  readonly hashes: readonly string[];
  /** Hash of the gradient sum over shards [first, first + count) of a step. */
  blockHash(step: number, first: number, count: number): string;
}

const references = new Map<string, Reference>();

/** Computed once per recipe. */
export function referenceOf(recipe: Recipe): Reference {
  const key = `${recipe.shards}/${recipe.optimizer}/${recipe.steps}/${recipe.everySteps}`;
  const reference = references.get(key) ?? computeReference(recipe);
  references.set(key, reference);
  return reference;
}

function computeReference(recipe: Recipe): Reference {
  const { shards, steps } = recipe;
  const config = configOf(recipe);
  const { batchSize, samplesPerEpoch, stepsFrom } = createRunPlan(config, trainSamplesOf(recipe));
  const optimizer = createRunOptimizer(config, SPECS);
  const length = vectorLength(config, PARAMETERS);
  const parameters = initialVector(length).slice(0, PARAMETERS);
  const hashes = [parametersHash(parameters)];
  const rounds: { readonly start: Float32Array; readonly work: Work }[] = [];
  for (let step = 0; step < steps; step += stepsFrom(step)) {
    const schedule = scheduleOf(config, step, stepsFrom(step), steps);
    const round = { start: startVector(config, parameters, optimizer).slice(), work: { step, firstPosition: step * batchSize, schedule } };
    rounds[step] = round;
    const mean = blockGradient(round.start, round.work, 0, shards).map((value) => value / shards);
    optimizer.apply(parameters, mean, schedule[0]?.learningRate ?? 0);
    hashes[step + schedule.length] = parametersHash(parameters);
  }
  const blocks = new Map<string, string>();
  return {
    config,
    batchSize,
    vectorLength: length,
    samplesPerEpoch,
    hashes,
    blockHash: (step, first, count) => {
      const key = `${step}/${first}/${count}`;
      const round = rounds[step];
      if (round === undefined) return `nothing begins at step ${step}`;
      const known = blocks.get(key) ?? parametersHash(blockGradient(round.start, round.work, first, count));
      blocks.set(key, known);
      return known;
    },
  };
}
