/** @file `first` and `deep`: the training loss plus GFA. The two differ in their default layers only (`resolveGfa`). */
import { type Config, resolveGfa } from '../config/index.ts';
import { tf } from '../engine/index.ts';
import { named } from '../nn/index.ts';
import { featureGradients, gfaPenalty, LAYER_METRICS, trainingLossOf } from '../objectives/index.ts';
import { COMMON_METRICS, commonMetrics } from './benchmark.ts';
import type { Strategy } from './strategy.ts';

/** Minimises mean loss + gfaScale * strength * sum_l w_l mean phi_l. Metrics of a layer are named `gfa/<layer>/<metric>`. */
export function alignment(config: Config): Strategy {
  const gfa = resolveGfa(config);
  const network = config.model;
  const { layers, gradientOf } = gfa;
  return {
    metricNames: [...COMMON_METRICS, ...layers.flatMap((layer) => LAYER_METRICS.map((metric) => `gfa/${layer}/${metric}`))],
    extraInputs: [],
    prepareImage: (inputs) => named(inputs, 'image'),
    loss: ({ params, image, target, gfaScale }) => {
      const kept: tf.Tensor[] = [];
      const pair = featureGradients({ network, params, image, target, layers, gradientOf, kept });
      const { logits } = pair;
      const lossTerm = tf.mean(trainingLossOf(config, gradientOf, pair, target));
      const { penalty, metrics } = gfaPenalty(gfa, pair);
      const loss = tf.add(lossTerm, tf.mul(penalty, gfaScale));
      return { loss, metrics: [...commonMetrics(logits, target, lossTerm), ...metrics], kept };
    },
  };
}
