/** @file What is measured: the tasks and models of the comparison, with the same settings on both sides. */
import { type Config, configSchema } from '../src/config/index.ts';

export const TASK_NAMES = ['plain', 'gfa', 'pgd7', 'inference'] as const;
export type TaskName = (typeof TASK_NAMES)[number];
/** The networks that the peers have as well. */
export const MODEL_NAMES = ['cnn3', 'vgg6'] as const;
export type ModelName = (typeof MODEL_NAMES)[number];

/** Settings that both sides share. eps and step size are L-infinity in [0,1] pixel units. */
export const SETTINGS = {
  batchSize: 128,
  shards: 8,
  gfaWeights: [0.5, 0.3, 0.2],
  epsLinf: 8 / 255,
  stepSizeLinf: 2 / 255,
  attackSteps: 7,
  learningRate: 0.01,
  momentum: 0.9,
  seed: 1,
} as const;

/** The product's config of a task: SGD with momentum, GFA 1-c^2 on conv1..conv3, PGD-7 with a random start. */
export function taskConfig(task: TaskName, model: ModelName): Config {
  const { batchSize, shards, gfaWeights, epsLinf, stepSizeLinf, attackSteps, learningRate, momentum, seed } = SETTINGS;
  const strategy = {
    plain: { name: 'benchmark' },
    gfa: { name: 'deep', gfa: { alignment: 'squared', layers: ['conv1', 'conv2', 'conv3'], weights: [...gfaWeights], warmup: 0 } },
    pgd7: { name: 'adversarial', adversarial: { epsLinf, stepSizeLinf, steps: attackSteps, randomStart: true } },
    inference: { name: 'benchmark' },
  } as const;
  return configSchema.parse({
    name: `bench-${task}`,
    seed,
    model: { name: model, inputRange: 'unit' },
    strategy: strategy[task],
    optimizer: { name: 'sgd', learningRate, momentum },
    schedule: { name: 'constant' },
    train: { batchSize, shards },
    engine: { name: 'onnx:cpu', threads: 1 },
  });
}
