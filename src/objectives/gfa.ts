/** @file The Gradient-Feature Alignment regulariser (arXiv 2511.13749; the definitions and their provenance are in docs). */
import type { ResolvedGfa } from '../config/index.ts';
import { tf } from '../engine/index.ts';
import { type AlignmentStatistics, alignmentPenalty, alignmentStatistics } from './alignment.ts';
import type { FeatureGradients } from './feature-gradients.ts';

/** What is reported for each layer, in this order; means over the samples of a shard. */
export const LAYER_METRICS = ['term', 'cosine', 'absCosine', 'gradientNorm', 'zeroGradient'] as const;

export interface GfaResult {
  /** sum_l strength * w_l * mean_b phi, a scalar; without the warm-up factor. */
  readonly penalty: tf.Tensor;
  /**
   * Scalars: for each layer the {@link LAYER_METRICS}. `term` = mean phi without weight; cosine, absCosine = means of c and |c| (0 for samples
   * without direction); gradientNorm = mean |g|; zeroGradient = share of samples with |g| < 1e-8.
   */
  readonly metrics: readonly tf.Tensor[];
}

/**
 * The regulariser over all layers of `gfa`.
 * @param pair features and gradients in the order of `gfa.layers`
 */
export function gfaPenalty(gfa: ResolvedGfa, pair: FeatureGradients): GfaResult {
  const metrics: tf.Tensor[] = [];
  let penalty: tf.Tensor = tf.scalar(0);
  for (const [i, weight] of gfa.weights.entries()) {
    const statistics = alignmentStatistics(pair.features[i] as tf.Tensor, pair.gradients[i] as tf.Tensor);
    const term = tf.mean(alignmentPenalty(gfa.alignment, statistics));
    const factor = gfa.strength * weight;
    if (factor > 0) penalty = tf.add(penalty, tf.mul(term, factor));
    metrics.push(...layerMetrics(term, statistics));
  }
  return { penalty, metrics };
}

/** The {@link LAYER_METRICS} of one layer, whatever its `term` is. */
export function layerMetrics(term: tf.Tensor, { cosine, gradientEnergy, hasGradient }: AlignmentStatistics): tf.Tensor[] {
  return [term, tf.mean(cosine), tf.mean(tf.abs(cosine)), tf.mean(tf.sqrt(gradientEnergy)), tf.sub(1, tf.mean(hasGradient))];
}
