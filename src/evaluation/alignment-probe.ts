/** @file Measures alignment on any trained network, whether or not it was trained for it. */
import { type Config, resolveGfa } from '../config/index.ts';
import { type Program, tf } from '../engine/index.ts';
import { named, splitParameters } from '../nn/index.ts';
import { alignmentStatistics, featureGradients } from '../objectives/index.ts';
import { batchInputs } from './predict.ts';

/** Per-sample arrays of one layer. */
export interface LayerSamples {
  readonly layer: string;
  readonly cosine: ArrayLike<number>;
  readonly gradientNorm: ArrayLike<number>;
  readonly zeroGradient: ArrayLike<number>;
}

/** Means over samples of one layer. */
export interface LayerAlignment {
  readonly layer: string;
  /** Mean c and |c| over the samples that have a gradient; 0 when none has. */
  readonly cosine: number;
  readonly absCosine: number;
  /** Mean |g| over all samples. */
  readonly gradientNorm: number;
  /** Share of samples with |g| < 1e-8. */
  readonly zeroGradient: number;
}

/**
 * Inputs as `createPredict`. Outputs, each [L,b] float32 with L layers in the given order: `cosine` between feature and gradient of the
 * config's gradient source, `gradientNorm`, `zeroGradient` (1 where the norm is below 1e-8).
 */
export function createAlignmentProbe(config: Config, batch: number, layers: readonly string[]): Program {
  const network = config.model;
  const { gradientOf } = resolveGfa(config);
  return {
    name: `alignment-probe/${network.name}/${batch}`,
    inputs: batchInputs(config, batch),
    stableInputs: ['parameters'],
    build: (inputs) => {
      const kept: tf.Tensor[] = [];
      const params = splitParameters(network, named(inputs, 'parameters'));
      const [image, target] = [named(inputs, 'image'), named(inputs, 'target')];
      const pair = featureGradients({ network, params, image, target, layers, gradientOf, kept });
      const statistics = pair.features.map((feature, i) => alignmentStatistics(feature, pair.gradients[i] as tf.Tensor));
      const rows = (values: tf.Tensor[]): tf.Tensor => tf.concat(values.map((value) => tf.reshape(value, [1, batch])));
      const outputs = {
        cosine: rows(statistics.map(({ cosine }) => cosine)),
        gradientNorm: rows(statistics.map(({ gradientEnergy }) => tf.sqrt(gradientEnergy))),
        zeroGradient: rows(statistics.map(({ hasGradient }) => tf.sub(1, hasGradient))),
      };
      for (const tensor of kept) tensor.dispose();
      return outputs;
    },
  };
}

/** Means of one layer over the samples of one or more batches. */
export function meanAlignment({ layer, cosine, gradientNorm, zeroGradient }: LayerSamples): LayerAlignment {
  const count = cosine.length;
  const sums = { cosine: 0, absCosine: 0, gradientNorm: 0, zeroGradient: 0 };
  for (let i = 0; i < count; i++) {
    sums.cosine += cosine[i] as number;
    sums.absCosine += Math.abs(cosine[i] as number);
    sums.gradientNorm += gradientNorm[i] as number;
    sums.zeroGradient += zeroGradient[i] as number;
  }
  const directed = Math.max(count - sums.zeroGradient, 1);
  const all = Math.max(count, 1);
  return {
    layer,
    cosine: sums.cosine / directed,
    absCosine: sums.absCosine / directed,
    gradientNorm: sums.gradientNorm / all,
    zeroGradient: sums.zeroGradient / all,
  };
}
