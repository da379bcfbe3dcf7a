/** @file How much the quick start trains: chosen so that all of it takes under four minutes on two cores. */
import type { ConfigInput } from '../config/index.ts';

/** Strategies that are trained, in this order. */
export const QUICKSTART_STRATEGIES = ['benchmark', 'deep'] as const;

/** Worker processes, unless --workers says otherwise. */
export const QUICKSTART_WORKERS = 2;

/** Config of every run of the quick start, but for name, strategy and data source. */
export const QUICKSTART_CONFIG = {
  seed: 1,
  data: { trainSamples: 10_000, testSamples: 2000 },
  model: { name: 'cnn3' },
  optimizer: { name: 'adam', learningRate: 0.002 },
  schedule: { name: 'cosine', warmup: 0.05 },
  train: { epochs: 4, batchSize: 128, shards: 8 },
  evaluation: { everyEpochs: 1, batchSize: 100, robustSamples: 500, attacks: ['fgsm', 'pgd'], epsLinf: [2 / 255, 8 / 255] },
} as const satisfies ConfigInput;

/** A download of CIFAR-10 that takes longer is left for later (`data get` goes on with it), and the synthetic set is used. */
export const QUICKSTART_DOWNLOAD_LIMIT_MS = 60_000;
