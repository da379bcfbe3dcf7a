/** @file Filling network input from uint8 images: channel planes to float32 NHWC in [0,1], with augmentation for training. */
import { DeepDefenseError, Random } from '../core/index.ts';
import { IMAGE_BYTES, IMAGE_SIDE, type ImageSet, PLANE_BYTES } from './dataset.ts';
import type { SamplePick } from './sample-order.ts';

/** Augmentation of training images. */
export interface Augmentation {
  /** The run's seed. */
  readonly seed: number;
  /** Pixels of zero padding on each side before a random 32x32 crop; 0 = none. */
  readonly padCrop: number;
  /** Mirror left-right with probability 1/2. */
  readonly flip: boolean;
}

/** float32(value / 255), the correctly rounded quotient. */
const UNIT = Float32Array.from({ length: 256 }, (_, value) => value / 255);

/**
 * Writes augmented training images: zero padding, crop, then flip. Shift and flip of a sample depend on (seed, epoch, sample) only, so any
 * worker makes the same batch; the flip doesn't depend on `padCrop`.
 *
 * @param out [picks.length, 32, 32, 3] float32, overwritten with values in [0,1]
 * @param labels [picks.length] int32, overwritten
 */
export function fillTrainBatch(
  set: ImageSet,
  picks: readonly SamplePick[],
  augmentation: Augmentation,
  out: Float32Array,
  labels: Int32Array,
): void {
  checkLengths(picks.length, out, labels);
  const { seed, padCrop, flip } = augmentation;
  for (let i = 0; i < picks.length; i++) {
    const { epoch, sample } = picks[i] as SamplePick;
    checkSample(sample, set);
    labels[i] = set.labels[sample] as number;
    if (padCrop === 0 && !flip) {
      copyImage(set.pixels, sample * IMAGE_BYTES, out, i * IMAGE_BYTES);
      continue;
    }
    const random = new Random('augmentation', seed, epoch, sample);
    const mirrored = random.integer(2) === 1 && flip;
    const shiftX = random.integer(2 * padCrop + 1) - padCrop;
    const shiftY = random.integer(2 * padCrop + 1) - padCrop;
    cropImage(set.pixels, sample * IMAGE_BYTES, out, i * IMAGE_BYTES, shiftX, shiftY, mirrored);
  }
}

/**
 * Writes images [first, first + count) as they are.
 *
 * @param out [count, 32, 32, 3] float32 or longer, overwritten with values in [0,1]; what is beyond `count` images stays
 * @param labels [count] int32 or longer
 */
export function fillTestBatch(set: ImageSet, first: number, count: number, out: Float32Array, labels: Int32Array): void {
  checkLengths(count, out, labels);
  if (count > 0) {
    checkSample(first, set);
    checkSample(first + count - 1, set);
  }
  for (let i = 0; i < count; i++) {
    labels[i] = set.labels[first + i] as number;
    copyImage(set.pixels, (first + i) * IMAGE_BYTES, out, i * IMAGE_BYTES);
  }
}

function copyImage(pixels: Uint8Array, from: number, out: Float32Array, to: number): void {
  for (let p = 0; p < PLANE_BYTES; p++) {
    const target = to + 3 * p;
    out[target] = UNIT[pixels[from + p] as number] as number;
    out[target + 1] = UNIT[pixels[from + PLANE_BYTES + p] as number] as number;
    out[target + 2] = UNIT[pixels[from + 2 * PLANE_BYTES + p] as number] as number;
  }
}

/** Output pixel (row, column) is input pixel (row + shiftY, column' + shiftX), column' mirrored where asked; 0 outside the image. */
function cropImage(
  pixels: Uint8Array,
  from: number,
  out: Float32Array,
  to: number,
  shiftX: number,
  shiftY: number,
  mirrored: boolean,
): void {
  for (let row = 0; row < IMAGE_SIDE; row++) {
    const sourceRow = row + shiftY;
    const rowInside = sourceRow >= 0 && sourceRow < IMAGE_SIDE;
    let target = to + row * IMAGE_SIDE * 3;
    for (let column = 0; column < IMAGE_SIDE; column++, target += 3) {
      const sourceColumn = (mirrored ? IMAGE_SIDE - 1 - column : column) + shiftX;
      if (rowInside && sourceColumn >= 0 && sourceColumn < IMAGE_SIDE) {
        const source = from + sourceRow * IMAGE_SIDE + sourceColumn;
        out[target] = UNIT[pixels[source] as number] as number;
        out[target + 1] = UNIT[pixels[source + PLANE_BYTES] as number] as number;
        out[target + 2] = UNIT[pixels[source + 2 * PLANE_BYTES] as number] as number;
      } else {
        out[target] = 0;
        out[target + 1] = 0;
        out[target + 2] = 0;
      }
    }
  }
}

// A write beyond a typed array is ignored silently, and a read gives undefined: both would train on wrong pixels.
function checkLengths(count: number, out: Float32Array, labels: Int32Array): void {
  if (out.length >= count * IMAGE_BYTES && labels.length >= count) return;
  throw new DeepDefenseError('INTERNAL', {
    what: 'the arrays for a batch are too short',
    expected: `${count * IMAGE_BYTES} pixel values and ${count} labels`,
    got: `${out.length} and ${labels.length}`,
  });
}

function checkSample(sample: number, set: ImageSet): void {
  if (sample >= 0 && sample < set.count) return;
  throw new DeepDefenseError('INTERNAL', {
    what: 'a batch asks for an image that the set has not',
    expected: `0..${set.count - 1}`,
    got: String(sample),
  });
}
