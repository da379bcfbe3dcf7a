/**
 * @file The built-in dataset: ten procedurally drawn 32x32 classes, for a first run on a machine without CIFAR-10.
 * Foreground and background swap at random and colours are random, so that no pixel's mean says anything about the class and a linear
 * model fails; the contrast is low enough for attacks at 8/255 to matter.
 */
import { Random } from '../core/index.ts';
import { createDataset, type Dataset, emptyImageSet, IMAGE_BYTES, IMAGE_SIDE, type ImageSet, PLANE_BYTES } from './dataset.ts';
import { SHAPE_CLASSES } from './synthetic-shapes.ts';

/** Options of {@link syntheticDataset}. */
export interface SyntheticOptions {
  /** Training images; default 5000. */
  readonly trainCount?: number;
  /** Test images; default 1000. */
  readonly testCount?: number;
  /** Default 1. Another seed gives other images of the same classes. */
  readonly seed?: number;
}

/** Contrast between foreground and background per channel, in [0,1] pixel units. */
const CONTRAST_MIN = 0.4;
const CONTRAST_MAX = 0.75;
/** Strongest change of brightness from one side of the image to the other, in [0,1] pixel units. */
const LIGHT_MAX = 0.15;
/** Standard deviation of the noise of each pixel and channel, in [0,1] pixel units. */
const NOISE_STD = 0.03;
/** Standard deviation of the sum of two uniform integers of 0..31: sqrt(2 * (32^2 - 1) / 12). */
const TWO_DRAWS_STD = Math.sqrt((32 * 32 - 1) / 6);

/**
 * Draws the set: same options, same bytes, on every machine; under a second. Labels cycle through the classes, so both splits are balanced.
 * Image i of a split depends on (seed, split, i) only.
 */
export function syntheticDataset(options: SyntheticOptions = {}): Dataset {
  const { trainCount = 5000, testCount = 1000, seed = 1 } = options;
  return createDataset('synthetic', drawSplit(seed, 0, trainCount), drawSplit(seed, 1, testCount));
}

/** Names of the synthetic classes by label. */
export const SYNTHETIC_CLASS_NAMES: readonly string[] = SHAPE_CLASSES.map((shape) => shape.name);

function drawSplit(seed: number, split: number, count: number): ImageSet {
  const set = emptyImageSet(count);
  for (let i = 0; i < count; i++) {
    const label = i % SHAPE_CLASSES.length;
    set.labels[i] = label;
    drawImage(label, new Random('synthetic', seed, split, i), set.pixels.subarray(i * IMAGE_BYTES, (i + 1) * IMAGE_BYTES));
  }
  return set;
}

/** Draws one image into `out` (3072 bytes, RGB planes). */
function drawImage(label: number, random: Random, out: Uint8Array): void {
  const coverage = (SHAPE_CLASSES[label] as (typeof SHAPE_CLASSES)[number]).draw(random);
  const polarity = random.integer(2) === 0 ? 1 : -1;
  const contrast = [0, 0, 0].map(() => polarity * (CONTRAST_MIN + (CONTRAST_MAX - CONTRAST_MIN) * random.uniform()));
  // The background is drawn such that the foreground, too, is a colour in [0,1].
  const background = contrast.map((change) => (change < 0 ? -change : 0) + (1 - Math.abs(change)) * random.uniform());
  const lightX = ((2 * random.uniform() - 1) * LIGHT_MAX) / IMAGE_SIDE;
  const lightY = ((2 * random.uniform() - 1) * LIGHT_MAX) / IMAGE_SIDE;
  const noiseScale = (255 * NOISE_STD) / TWO_DRAWS_STD;
  for (let row = 0; row < IMAGE_SIDE; row++) {
    for (let column = 0; column < IMAGE_SIDE; column++) {
      const covered = coverage(column + 0.5, row + 0.5);
      const light = lightX * (column - 15.5) + lightY * (row - 15.5);
      // Ten bits for the noise of each channel.
      const bits = random.uint32();
      for (let channel = 0; channel < 3; channel++) {
        const noise = ((bits >>> (10 * channel)) & 31) + ((bits >>> (10 * channel + 5)) & 31) - 31;
        const value = 255 * ((background[channel] as number) + (contrast[channel] as number) * covered + light) + noise * noiseScale;
        out[channel * PLANE_BYTES + row * IMAGE_SIDE + column] = value <= 0 ? 0 : value >= 255 ? 255 : Math.floor(value + 0.5);
      }
    }
  }
}
