/**
 * @file What the simulated workers compute: gradients of a few numbers that depend on every bit of the parameters, the step, its first
 * position and the shard, so that a lost, doubled or stale contribution shows in the final weights; and the run as one machine does it.
 */
import { type Config, type ConfigInput, configSchema } from '../../src/config/index.ts';
import { createOptimizer, createRunPlan, learningRateAt, type Optimizer, parametersHash } from '../../src/coordinator/index.ts';
import type { TensorSpec } from '../../src/core/index.ts';
import { sumTree } from '../../src/wire/index.ts';

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
}

/** 32-bit finaliser of MurmurHash3. */
function mix(value: number): number {
  let h = value | 0;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return h ^ (h >>> 16);
}

/** Floats of mixed size, so that another order of additions gives other bits. */
function values(key: number): Float32Array {
  const vector = new Float32Array(PARAMETERS);
  let h = key;
  for (let i = 0; i < PARAMETERS; i++) {
    h = mix(h + 0x9e3779b9);
    vector[i] = ((h >> 8) / 0x800000) * 10 ** ((h & 7) - 3);
  }
  return vector;
}

export function initialParameters(): Float32Array {
  return values(1);
}

/** A hash of every bit of a vector. */
export function fingerprint(parameters: Float32Array): number {
  const bits = new Uint32Array(parameters.buffer, parameters.byteOffset, parameters.length);
  let h = 0;
  for (const word of bits) h = mix(h ^ word) + 0x243f6a88;
  return h;
}

/** Sum of the gradients of shards [first, first + count), in the order of the tree. */
export function blockGradient(parametersKey: number, step: number, firstPosition: number, first: number, count: number): Float32Array {
  const leaves: Float32Array[] = [];
  for (let shard = first; shard < first + count; shard++)
    leaves.push(values(mix(mix(mix(parametersKey ^ step) ^ firstPosition) ^ (shard + 1))));
  return sumTree(leaves);
}

/** One image in three is classified correctly. */
export function correctness(first: number, count: number): Buffer {
  return Buffer.from(Array.from({ length: count }, (_, i) => ((first + i) % 3 === 0 ? 1 : 0)));
}

/** The config of a recipe; a batch has two samples a shard, an epoch four and a half batches. */
export function configOf({ shards, optimizer, steps }: Recipe): Config {
  const input: ConfigInput = {
    optimizer: { name: optimizer, learningRate: 0.05 },
    train: { batchSize: 2 * shards, shards, maxSteps: steps, epochs: 100 },
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
  readonly samplesPerEpoch: number;
  /** Hash of the parameters after 0, 1, ... steps. */
  readonly hashes: readonly string[];
  /** Hash of the gradient sum over shards [first, first + count) of a step. */
  blockHash(step: number, first: number, count: number): string;
}

const references = new Map<string, Reference>();

/** Computed once per recipe. */
export function referenceOf(recipe: Recipe): Reference {
  const key = `${recipe.shards}/${recipe.optimizer}/${recipe.steps}`;
  const reference = references.get(key) ?? computeReference(recipe);
  references.set(key, reference);
  return reference;
}

function computeReference(recipe: Recipe): Reference {
  const { shards, steps } = recipe;
  const config = configOf(recipe);
  const { batchSize, samplesPerEpoch } = createRunPlan(config, trainSamplesOf(recipe));
  const optimizer: Optimizer = createOptimizer(config, SPECS);
  const parameters = initialParameters();
  const hashes = [parametersHash(parameters)];
  const keys: number[] = [];
  for (let step = 0; step < steps; step++) {
    const parametersKey = fingerprint(parameters);
    keys.push(parametersKey);
    const mean = blockGradient(parametersKey, step, step * batchSize, 0, shards).map((value) => value / shards);
    optimizer.apply(parameters, mean, learningRateAt(config, step, steps));
    hashes.push(parametersHash(parameters));
  }
  const blocks = new Map<string, string>();
  return {
    config,
    batchSize,
    samplesPerEpoch,
    hashes,
    blockHash: (step, first, count) => {
      const key = `${step}/${first}/${count}`;
      const known = blocks.get(key) ?? parametersHash(blockGradient(keys[step] as number, step, step * batchSize, first, count));
      blocks.set(key, known);
      return known;
    },
  };
}
