/**
 * @file `gaie`: the training loss plus the squared norm of the input gradient. The formula of the paper's GAIE is unpublished, so this is
 * ours under that name: double backpropagation (Drucker and LeCun 1992), with the warm-up and the scale of GFA, so that `first`
 * minus `gaie` shows what alignment adds to a small gradient.
 */
import { type Config, INPUT_LAYER, resolveGfa } from '../config/index.ts';
import { tf } from '../engine/index.ts';
import { named } from '../nn/index.ts';
import { alignmentStatistics, featureGradients, LAYER_METRICS, layerMetrics, trainingLossOf } from '../objectives/index.ts';
import { COMMON_METRICS, commonMetrics } from './benchmark.ts';
import type { Strategy } from './strategy.ts';

/**
 * Minimises mean loss + gfaScale * strength * mean_b |ds_b/dx_b|_2^2, with s_b the scalar `gfa.gradientOf` of sample b (by default its
 * training loss) and x_b the image as the network sees it. Metrics are those of the layer `input` in GFA; `term` is mean |ds/dx|^2.
 */
export function gaie(config: Config): Strategy {
  const { gradientOf, strength } = resolveGfa(config);
  const layers = [INPUT_LAYER];
  return {
    metricNames: [...COMMON_METRICS, ...LAYER_METRICS.map((metric) => `gfa/${INPUT_LAYER}/${metric}`)],
    extraInputs: [],
    prepareImage: (inputs) => named(inputs, 'image'),
    loss: ({ params, image, target, gfaScale }) => {
      const kept: tf.Tensor[] = [];
      const pair = featureGradients({ network: config.model, params, image, target, layers, gradientOf, kept });
      const { logits } = pair;
      const lossTerm = tf.mean(trainingLossOf(config, gradientOf, pair, target));
      const statistics = alignmentStatistics(pair.features[0] as tf.Tensor, pair.gradients[0] as tf.Tensor);
      const term = tf.mean(statistics.gradientEnergy);
      const loss = tf.add(lossTerm, tf.mul(tf.mul(term, strength), gfaScale));
      return { loss, metrics: [...commonMetrics(logits, target, lossTerm), ...layerMetrics(term, statistics)], kept };
    },
  };
}
