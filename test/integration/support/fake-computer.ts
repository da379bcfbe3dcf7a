/** @file A computer without tensors: gradients are a hash of (step, shard, element) plus a part of the parameters, in float32. */
import { MODELS, parameterSpecs, type Config } from '../../../src/config/index.ts';
import { sizeOf } from '../../../src/core/index.ts';
import { vectorLength } from '../../../src/optimizers/index.ts';
import type { Dataset } from '../../../src/data/index.ts';
import { roundLeaf, type ShardBlock, TreeReducer } from '../../../src/wire/index.ts';
import type { ComputerLike } from '../../../src/worker/index.ts';

export interface FakeOptions {
  readonly fingerprint?: string;
  /** Milliseconds of each block. */
  readonly blockMs?: number;
  /** Called before each block; may throw or wait. */
  readonly onBlock?: (step: number, block: ShardBlock) => Promise<void> | void;
  /** From this step on the loss is NaN. */
  readonly nanFromStep?: number;
}

export function parameterCount(config: Config): number {
  return parameterSpecs(config.model).reduce((sum, { shape }) => sum + sizeOf(shape), 0);
}

/** Uniform in [-0.5, 0.5), a function of its arguments. */
function noise(a: number, b: number, c: number): number {
  let h = Math.imul(a + 1, 0x9e3779b1) ^ Math.imul(b + 1, 0x85ebca6b) ^ Math.imul(c + 1, 0xc2b2ae35);
  h = Math.imul(h ^ (h >>> 15), 0x2c1b3c6d);
  h = Math.imul(h ^ (h >>> 12), 0x297a2d39);
  return ((h ^ (h >>> 15)) >>> 0) / 0x100000000 - 0.5;
}

export function createFakeComputer(options: FakeOptions = {}): (config: Config, dataset: Dataset) => Promise<ComputerLike> {
  return async (config, dataset) => {
    const trained = parameterCount(config);
    const length = vectorLength(config, trained);
    let parameters: Float32Array = new Float32Array(length);
    let version = -1;
    const leaf = (step: number, shard: number): Float32Array => {
      const gradient = new Float32Array(length);
      for (let i = 0; i < length; i++) gradient[i] = noise(step, shard, i) + 0.1 * (parameters[i] as number);
      roundLeaf(gradient, config.train.gradients);
      return gradient;
    };
    return {
      fingerprint: options.fingerprint ?? 'fake engine',
      metricNames: ['loss', 'accuracy', 'lossTerm'],
      captureMs: 1,
      compileMs: 2,
      initialParameters: () => Float32Array.from({ length }, (_, i) => (i < trained ? noise(config.seed, 999, i) * 0.1 : 0)),
      setParameters: (next, values) => {
        version = next;
        parameters = values;
      },
      trainBlock: async ({ step, firstPosition, schedule }, block) => {
        if (version !== step) throw new Error(`block of step ${step} with parameters ${version}`);
        const planned = Math.min(config.sync.everySteps, schedule.length);
        if (schedule.length !== planned) throw new Error(`step ${step} with ${schedule.length} steps`);
        if (firstPosition !== step * config.train.batchSize) throw new Error(`step ${step} at position ${firstPosition}`);
        await options.onBlock?.(step, block);
        if (options.blockMs !== undefined) await new Promise((resolve) => setTimeout(resolve, options.blockMs));
        const reducer = new TreeReducer({ root: block, length, metrics: 3, precision: config.train.gradients });
        for (let shard = block.first; shard < block.first + block.count; shard++) {
          const loss = step >= (options.nanFromStep ?? Number.POSITIVE_INFINITY) ? Number.NaN : 2 + noise(step, shard, 7);
          reducer.add({ first: shard, count: 1 }, leaf(step * 1000 + schedule.length, shard), [loss, 0.5, loss]);
        }
        return { ...reducer.sum(), computeMs: 1 };
      },
      evaluate: async (attack, epsLinf, first, count) => {
        const correct = Uint8Array.from({ length: count }, (_, i) => {
          const label = dataset.test.labels[first + i] as number;
          return label < (attack === 'clean' ? MODELS[config.model.name].classes - 2 : 4 - 100 * epsLinf) ? 1 : 0;
        });
        return { correct, lossSum: count * 0.5, computeMs: 1 };
      },
      dispose: async () => {},
    };
  };
}
