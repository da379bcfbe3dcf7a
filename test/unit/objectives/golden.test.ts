/** @file Forward pass, cross-entropy and GFA against PyTorch: values and the gradients of all parameters. */
import { describe, expect, test } from 'vitest';
import { defaultNetwork, parameterSpecs, type ResolvedGfa } from '../../../src/config/index.ts';
import { sizeOf } from '../../../src/core/index.ts';
import { type EngineName, type Program, tf } from '../../../src/engine/index.ts';
import { flattenGradients, forward, type NamedTensors, named, splitParameters } from '../../../src/nn/index.ts';
import { alignmentStatistics, crossEntropy, featureGradients, gfaPenalty } from '../../../src/objectives/index.ts';
import { ENGINES, runOnce, valuesOf } from '../../support/engines.ts';
import {
  flat,
  goldenBatch,
  goldenMissing,
  goldenParameters,
  goldenTitle,
  maxDifference,
  readGolden,
  readGoldenJson,
  toChannelsLast,
} from '../../support/golden.ts';

const SAMPLES = 32;
const LAYERS = ['conv1', 'conv2', 'conv3'];
const NAMES = parameterSpecs(defaultNetwork('cnn3')).map((spec) => spec.name);

const inputs = [
  { name: 'parameters', shape: [146122], dtype: 'float32' },
  { name: 'image', shape: [SAMPLES, 32, 32, 3], dtype: 'float32' },
  { name: 'target', shape: [SAMPLES, 10], dtype: 'float32' },
] as const;

/** Features of sample 0, logits, cross-entropy of each sample and the gradient of its mean. */
const crossEntropyProgram: Program = {
  name: 'golden/cross-entropy',
  inputs,
  build: (values) => {
    const params = splitParameters(defaultNetwork('cnn3'), named(values, 'parameters'));
    const target = named(values, 'target');
    const kept: Record<string, tf.Tensor> = {};
    const gradients = gradientsOf(params, (traced) => {
      const { logits, features } = forward(defaultNetwork('cnn3'), traced, named(values, 'image'));
      const loss = crossEntropy(logits, target);
      Object.assign(kept, { logits: tf.keep(logits), loss: tf.keep(loss) });
      for (const layer of LAYERS) kept[layer] = tf.keep(firstSample(named(features, layer)));
      return tf.mean(loss);
    });
    return { gradients, ...kept };
  },
};

function firstSample(feature: tf.Tensor): tf.Tensor {
  return tf.slice(feature, [0, 0, 0, 0], [1, ...feature.shape.slice(1)] as number[]);
}

function gradientsOf(params: NamedTensors, lossOf: (traced: NamedTensors) => tf.Tensor): tf.Tensor {
  const grads = tf.grads((...weights: tf.Tensor[]) => lossOf(Object.fromEntries(NAMES.map((name, i) => [name, weights[i] as tf.Tensor]))));
  return flattenGradients(grads(NAMES.map((name) => named(params, name))));
}

/** The regulariser alone: its value, the cosines [L,b] and the gradient of all parameters. */
function gfaProgram(gfa: ResolvedGfa, signedImage = false): Program {
  return {
    name: `golden/gfa/${gfa.alignment}`,
    inputs,
    build: (values) => {
      const params = splitParameters(defaultNetwork('cnn3'), named(values, 'parameters'));
      const kept: tf.Tensor[] = [];
      const pairOf = (traced: NamedTensors) =>
        featureGradients({
          network: defaultNetwork('cnn3'),
          params: traced,
          image: named(values, 'image'),
          target: named(values, 'target'),
          layers: gfa.layers,
          gradientOf: gfa.gradientOf,
          kept,
        });
      const report: tf.Tensor[] = [];
      const gradients = gradientsOf(params, (traced) => {
        const found = pairOf(traced);
        // The reference's network takes [0,1] also where the aligned image is in [-1,1].
        const pair = signedImage ? { ...found, features: found.features.map((h, i) => (i === 0 ? tf.sub(tf.mul(h, 2), 1) : h)) } : found;
        const { penalty } = gfaPenalty(gfa, pair);
        const cosines = pair.features.map((feature, i) => alignmentStatistics(feature, pair.gradients[i] as tf.Tensor).cosine);
        report.push(tf.keep(penalty), ...cosines.map((cosine) => tf.keep(cosine)));
        // Keeps parameters that the regulariser doesn't reach (biases with a logit gradient) in the differentiated expression.
        return NAMES.reduce((sum, name) => tf.add(sum, tf.mul(tf.sum(named(traced, name)), 0)), penalty);
      });
      const [penalty, ...cosines] = report as [tf.Tensor, ...tf.Tensor[]];
      return { gradients, penalty, cosine: tf.concat(cosines.map((cosine) => tf.reshape(cosine, [1, SAMPLES]))) };
    },
  };
}

const gfaFiles: readonly { file: string; alignment: ResolvedGfa['alignment']; engines: readonly EngineName[] }[] = [
  { file: 'gfa_conv123_one_minus_cos2', alignment: 'squared', engines: ENGINES },
  { file: 'gfa_conv123_one_minus_abscos', alignment: 'absolute', engines: ENGINES },
  { file: 'gfa_conv123_one_minus_cos', alignment: 'positive', engines: ENGINES },
];

interface IndexEntry {
  readonly loss_f64: number;
  readonly cos_per_layer_mean_f64: readonly number[];
  readonly param_grad_l2_f64: Readonly<Record<string, number>>;
}

const PHI = { one_minus_cos2: 'squared', one_minus_abscos: 'absolute', one_minus_cos: 'positive' } as const;

/** Settings that a name in the index stands for, e.g. `gfa_image_conv12_pm1_one_minus_cos`. */
function settingsOf(name: string): { gfa: ResolvedGfa; signedImage: boolean } {
  const [, formula] = /(one_minus_\w+)$/.exec(name) as unknown as [string, keyof typeof PHI];
  const gfa: ResolvedGfa = {
    alignment: PHI[formula],
    gradientOf: name.includes('logit') ? 'true-logit' : 'cross-entropy',
    layers: name.includes('image') ? ['input', 'conv1', 'conv2'] : LAYERS,
    weights: [0.5, 0.3, 0.2],
    strength: 1,
    warmup: 0,
  };
  return { gfa, signedImage: name.includes('pm1') };
}

describe.skipIf(goldenMissing)(goldenTitle('golden'), () => {
  const batch = (): Record<string, ReturnType<typeof goldenParameters>> => {
    const { image, target } = goldenBatch(0, SAMPLES);
    return { parameters: goldenParameters(), image, target };
  };

  test.each(ENGINES)(
    'network: has the logits, features and cross-entropy gradients of PyTorch on %s',
    async (engine) => {
      const outputs = await runOnce(engine, crossEntropyProgram, batch());
      const forwardFile = readGolden('forward_std');
      expect(maxDifference(valuesOf(outputs, 'logits'), forwardFile.tensor('logits_f64').data)).toBeLessThan(1e-5);
      for (const [i, layer] of LAYERS.entries()) {
        const { shape, data } = forwardFile.tensor(`h${i + 1}_img0`);
        expect(maxDifference(valuesOf(outputs, layer), toChannelsLast(data, [1, ...(shape as [number, number, number])]))).toBeLessThan(
          1e-5,
        );
      }
      const file = readGolden('ce_grads_std');
      const loss = valuesOf(outputs, 'loss');
      expect(maxDifference(loss, file.tensor('ce_per_sample').data)).toBeLessThan(1e-5);
      expect(Math.abs(loss.reduce((sum, value) => sum + value, 0) / SAMPLES - (file.json.mean_ce_f64 as number))).toBeLessThan(1e-6);
      expectGradients(valuesOf(outputs, 'gradients'), (name) => file.tensor(`dmeance/${name}`).data);
    },
    180_000,
  );

  const cases = gfaFiles.flatMap(({ engines, ...rest }) => engines.map((engine) => ({ engine, ...rest })));
  test.each(cases)(
    'gfa: has the value, cosines and gradients of PyTorch for $alignment on $engine',
    async ({ engine, file: name, alignment }) => {
      const program = gfaProgram({
        alignment,
        gradientOf: 'cross-entropy',
        layers: LAYERS,
        weights: [0.5, 0.3, 0.2],
        strength: 1,
        warmup: 0,
      });
      const outputs = await runOnce(engine, program, batch());
      const file = readGolden(name);
      expect(Math.abs((valuesOf(outputs, 'penalty')[0] as number) - (file.json.loss_f64 as number))).toBeLessThan(1e-6);
      const cosine = file.tensor('cos_f64').data;
      const byLayer = LAYERS.flatMap((_, l) => Array.from({ length: SAMPLES }, (_, b) => cosine[b * LAYERS.length + l] as number));
      expect(maxDifference(valuesOf(outputs, 'cosine'), byLayer)).toBeLessThan(1e-6);
      expectGradients(valuesOf(outputs, 'gradients'), (parameter) => file.tensor(`dgfa/${parameter}`).data);
    },
    300_000,
  );

  test.each(goldenMissing ? [] : Object.entries(readGoldenJson<Record<string, IndexEntry>>('index_gfa')))(
    'gfa: has the value, mean cosines and gradient norms of PyTorch for %s',
    async (name, entry) => {
      const { gfa, signedImage } = settingsOf(name);
      const outputs = await runOnce('onnx:cpu', gfaProgram(gfa, signedImage), batch());
      expect(Math.abs((valuesOf(outputs, 'penalty')[0] as number) - entry.loss_f64)).toBeLessThan(1e-6);
      const cosine = valuesOf(outputs, 'cosine');
      for (const [l, expected] of entry.cos_per_layer_mean_f64.entries()) {
        const mean = cosine.subarray(l * SAMPLES, (l + 1) * SAMPLES).reduce((sum, value) => sum + value, 0) / SAMPLES;
        expect(Math.abs(mean - expected)).toBeLessThan(1e-6);
      }
      const gradients = valuesOf(outputs, 'gradients');
      let offset = 0;
      for (const { name: parameter, shape } of parameterSpecs(defaultNetwork('cnn3'))) {
        const part = gradients.subarray(offset, offset + sizeOf(shape));
        offset += part.length;
        const norm = Math.sqrt(part.reduce((sum, value) => sum + value * value, 0));
        expect(Math.abs(norm - (entry.param_grad_l2_f64[parameter] ?? 0)), parameter).toBeLessThan(5e-6);
      }
    },
  );
});

/** Within 5e-6 for every parameter tensor, the tolerance that the reference's own float32-float64 gap suggests. */
function expectGradients(actual: Float32Array, expectedOf: (name: string) => ArrayLike<number>): void {
  const expected = flat(expectedOf).data;
  let offset = 0;
  for (const { name, shape } of parameterSpecs(defaultNetwork('cnn3'))) {
    const end = offset + sizeOf(shape);
    expect(maxDifference(actual.subarray(offset, end), expected.subarray(offset, end)), name).toBeLessThan(5e-6);
    offset = end;
  }
}
