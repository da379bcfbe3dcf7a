/** @file Plain training, and the part of it that every strategy shares. */
import type { Config } from '../config/index.ts';
import { tf } from '../engine/index.ts';
import { forward, named } from '../nn/index.ts';
import { correctlyClassified, trainingLoss } from '../objectives/index.ts';
import type { StepInputs, StepLoss, Strategy } from './strategy.ts';

/** Metrics after `loss` that every strategy reports: share classified correctly, and the training loss without regularisers. */
export const COMMON_METRICS = ['accuracy', 'lossTerm'] as const;

/** Values of {@link COMMON_METRICS}. */
export function commonMetrics(logits: tf.Tensor, target: tf.Tensor, lossTerm: tf.Tensor): tf.Tensor[] {
  return [tf.mean(tf.cast(correctlyClassified(logits, target), 'float32')), lossTerm];
}

/** Mean training loss at an image. */
export function plainLoss(config: Config, { params, image, target }: StepInputs): StepLoss {
  const { logits } = forward(config.model, params, image);
  const loss = tf.mean(trainingLoss(config, logits, target));
  return { loss, metrics: commonMetrics(logits, target, loss) };
}

/** Minimises the mean training loss. */
export function benchmark(config: Config): Strategy {
  return {
    metricNames: COMMON_METRICS,
    extraInputs: [],
    prepareImage: (inputs) => named(inputs, 'image'),
    loss: (step) => plainLoss(config, step),
  };
}
