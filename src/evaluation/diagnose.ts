/**
 * @file Measurements on one network that tell robustness from masked gradients (Athalye et al. 2018; Carlini et al. 2019); what they should
 * be is in docs/red-flags.md. Only what every {@link Classifier} offers is used.
 */
import { type AttackRandom, type Classifier, IMAGE_VALUES, type Samples, uniformField } from '../attacks/index.ts';
import type { MaskingDiagnostics } from '../config/index.ts';
import { crossEntropyOf, type DirectionName, directionsOf, shifted } from './diagnose-directions.ts';
import { cosine, dot, length, mean, median } from './vectors.ts';

export interface DiagnoseOptions {
  /** Streams of the samples, e.g. `sampleRandom(seed, first)`. */
  readonly random: AttackRandom;
  /** L-infinity radius, in [0,1] pixel units, at which local linearity is measured; 8/255 when absent. */
  readonly eps?: number;
  /** L2 lengths of the steps along directions; {@link STEP_LENGTHS} when absent. */
  readonly distances?: readonly number[];
}

/** From nothing to several times the distance to the nearest error of an undefended network (median 0.3 to 0.4 on CIFAR-10). */
export const STEP_LENGTHS = [0, 0.1, 0.25, 0.5, 1, 2] as const;
/** Purposes of the random streams; attacks use small numbers. */
const BALL_PURPOSE = 1_000_001;
const DIRECTION_PURPOSE = 1_000_002;
/** A gradient up to this length points nowhere. */
const ZERO_GRADIENT = 1e-8;
/** Rounding of probabilities in float32. */
const PROBABILITY_TOLERANCE = 1e-4;
/** Relative errors are cut here: where the loss doesn't change at all they would be infinite. */
const LARGEST_ERROR = 1e6;

/** Figures of single images, in order. */
interface Figures {
  readonly gradientNorm: number[];
  readonly zeroValues: number[];
  readonly majoritySign: number[];
  readonly range: number[];
  readonly largest: number[];
  readonly confidence: number[];
  readonly probability: number[];
  readonly nondeterminism: number[];
  readonly linearityCosine: number[];
  readonly linearityError: number[];
  /** Cosine of image and gradient. */
  readonly crossEntropy: number[];
  readonly mse: number[];
  /** By rank of the other logit, largest first. */
  readonly targets: number[][];
}

/**
 * Measures a network on some images. A sample's figures don't depend on the samples beside it. Points of the ball are cut to [0,1]; steps
 * along directions are not, so that their lengths are what they say. Costs 3 gradients, one of all logits and about 23 looks per image.
 * @throws RangeError without samples
 */
export async function diagnose(
  classifier: Classifier,
  samples: Samples,
  { random, eps = 8 / 255, distances = STEP_LENGTHS }: DiagnoseOptions,
): Promise<Omit<MaskingDiagnostics, 'model'>> {
  if (samples.count === 0) throw new RangeError('no samples to measure');
  const figures = emptyFigures(classifier.classes);
  const losses = new Map<DirectionName, number[][]>();
  for (let first = 0; first < samples.count; first += classifier.batchSize) {
    const count = Math.min(classifier.batchSize, samples.count - first);
    const batch: Samples = {
      count,
      images: samples.images.subarray(first * IMAGE_VALUES, (first + count) * IMAGE_VALUES),
      labels: samples.labels.subarray(first, first + count),
    };
    const own: AttackRandom = { stream: (row, purpose) => random.stream(first + row, purpose) };
    const gradient = await measureGradients(classifier, batch, own, eps, figures);
    await measureLogits(classifier, batch, figures);
    const noise = (row: number): Float32Array => {
      const stream = own.stream(row, DIRECTION_PURPOSE);
      return Float32Array.from({ length: IMAGE_VALUES }, () => stream.normal());
    };
    const directions = directionsOf(batch, gradient, noise);
    for (const { name, rows } of directions) {
      const sums = losses.get(name) ?? distances.map(() => []);
      losses.set(name, sums);
      for (const [index, distance] of distances.entries()) {
        const logits = await classifier.logits({ count, images: shifted(batch.images, rows, distance) });
        for (let row = 0; row < count; row++)
          sums[index]?.push(crossEntropyOf(logitsOf(logits, row, classifier), batch.labels[row] as number));
      }
    }
  }
  return {
    samples: samples.count,
    gradientNorm: {
      median: median(figures.gradientNorm),
      zeroShare: mean(figures.gradientNorm.map((norm) => (norm < ZERO_GRADIENT ? 1 : 0))),
      zeroValues: mean(figures.zeroValues),
    },
    majoritySign: mean(figures.majoritySign),
    logits: {
      medianRange: median(figures.range),
      largest: figures.largest.reduce((a, b) => Math.max(a, b), 0),
      medianConfidence: median(figures.confidence),
    },
    probabilityOutputs: mean(figures.probability),
    nondeterminism: figures.nondeterminism.reduce((a, b) => Math.max(a, b), 0),
    localLinearity: { eps, gradientCosine: median(figures.linearityCosine), error: median(figures.linearityError) },
    directions: [...losses].map(([name, values]) => ({ name, distances: [...distances], loss: values.map(mean) })),
    alignment: { crossEntropy: mean(figures.crossEntropy), mse: mean(figures.mse), targets: figures.targets.map(mean) },
  };
}

function emptyFigures(classes: number): Figures {
  return {
    gradientNorm: [],
    zeroValues: [],
    majoritySign: [],
    range: [],
    largest: [],
    confidence: [],
    probability: [],
    nondeterminism: [],
    linearityCosine: [],
    linearityError: [],
    crossEntropy: [],
    mse: [],
    targets: Array.from({ length: classes - 1 }, () => []),
  };
}

const rowOf = (values: Float32Array, row: number): Float32Array => values.subarray(row * IMAGE_VALUES, (row + 1) * IMAGE_VALUES);
const logitsOf = (logits: Float32Array, row: number, { classes }: Classifier): Float32Array =>
  logits.subarray(row * classes, (row + 1) * classes);

/** @returns the gradient of the cross-entropy, [count,32,32,3] */
async function measureGradients(
  classifier: Classifier,
  batch: Samples,
  random: AttackRandom,
  eps: number,
  figures: Figures,
): Promise<Float32Array> {
  const here = await classifier.gradients('cross-entropy', batch);
  const [gradient, loss] = [here.gradient.slice(), here.loss.slice()];
  const points = batch.images.slice();
  for (let row = 0; row < batch.count; row++) {
    const field = uniformField(random.stream(row, BALL_PURPOSE));
    const point = rowOf(points, row);
    for (let i = 0; i < IMAGE_VALUES; i++) point[i] = Math.min(Math.max((point[i] as number) + eps * (field[i] as number), 0), 1);
  }
  const there = await classifier.gradients('cross-entropy', { ...batch, images: points });
  for (let row = 0; row < batch.count; row++) {
    const [g, image, point] = [rowOf(gradient, row), rowOf(batch.images, row), rowOf(points, row)];
    const change = (there.loss[row] as number) - (loss[row] as number);
    const predicted = dot(g, point) - dot(g, image);
    const error = Math.abs(predicted - change);
    figures.gradientNorm.push(length(g));
    measureSigns(g, figures);
    figures.linearityCosine.push(cosine(g, rowOf(there.gradient, row)));
    figures.linearityError.push(error === 0 ? 0 : Math.min(LARGEST_ERROR, error / Math.abs(change)));
    figures.crossEntropy.push(cosine(image, g));
  }
  const squared = await classifier.gradients('mse', batch);
  for (let row = 0; row < batch.count; row++) figures.mse.push(cosine(rowOf(batch.images, row), rowOf(squared.gradient, row)));
  return gradient;
}

function measureSigns(gradient: Float32Array, figures: Figures): void {
  let [positive, negative] = [0, 0];
  for (const value of gradient) {
    if (value > 0) positive++;
    else if (value < 0) negative++;
  }
  const signed = positive + negative;
  figures.zeroValues.push(1 - signed / gradient.length);
  figures.majoritySign.push(signed === 0 ? 0.5 : Math.max(positive, negative) / signed);
}

async function measureLogits(classifier: Classifier, batch: Samples, figures: Figures): Promise<void> {
  const { classes } = classifier;
  const once = (await classifier.logits(batch)).slice();
  const again = await classifier.logits(batch);
  for (let row = 0; row < batch.count; row++) {
    const own = logitsOf(once, row, classifier);
    const sum = own.reduce((a, b) => a + b, 0);
    const [low, high] = [Math.min(...own), Math.max(...own)];
    const second = logitsOf(again, row, classifier);
    figures.range.push(high - low);
    figures.largest.push(Math.max(Math.abs(low), Math.abs(high)));
    figures.confidence.push(1 / own.reduce((total, z) => total + Math.exp(z - high), 0));
    figures.probability.push(low >= -PROBABILITY_TOLERANCE && Math.abs(sum - 1) <= PROBABILITY_TOLERANCE ? 1 : 0);
    figures.nondeterminism.push(own.reduce((worst, z, k) => Math.max(worst, Math.abs(z - (second[k] as number))), 0));
  }
  const { jacobian } = await classifier.logitGradients(batch);
  for (let row = 0; row < batch.count; row++) {
    const [own, image, label] = [logitsOf(once, row, classifier), rowOf(batch.images, row), batch.labels[row] as number];
    const gradientOf = (k: number): Float32Array => rowOf(jacobian, row * classes + k);
    const ranked = Array.from({ length: classes }, (_, k) => k)
      .filter((k) => k !== label)
      .sort((a, b) => (own[b] as number) - (own[a] as number) || a - b);
    const labelGradient = gradientOf(label);
    for (const [rank, target] of ranked.entries()) {
      const difference = gradientOf(target).map((value, i) => value - (labelGradient[i] as number));
      figures.targets[rank]?.push(cosine(image, difference));
    }
  }
}
