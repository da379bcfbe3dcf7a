/** @file Filters of feature-denoising blocks (Xie et al. 2019, arXiv 1812.03411). Run inside programs. */
import type { DenoiseFilter } from '../config/index.ts';
import { tf } from '../engine/index.ts';

/** 3x3 weights of the linear filters; each sums to 1. The Gaussian is the binomial one, [1 2 1]/4 in both directions. */
export const FILTER_WEIGHTS: Readonly<Record<'mean' | 'gaussian', readonly number[]>> = {
  mean: Array<number>(9).fill(1 / 9),
  gaussian: [1, 2, 1, 2, 4, 2, 1, 2, 1].map((weight) => weight / 16),
};

/**
 * A filtered feature of the same shape.
 * - `mean`, `gaussian`, `median`: 3x3 windows of each channel; beyond the border the border pixel is repeated. Where values of a window
 *   are equal, the median's gradient goes to one of them.
 * - `non-local`: y_i = sum_j softmax_j(x_i . x_j / sqrt(C)) x_j over all pixels j of the image (their section 4.1, Gaussian version,
 *   without embeddings). Means with weights that sum to 1 stay in the range of the feature; their dot-product version grows with
 *   its third power, too much for networks without normalisation.
 *
 * @param h [b,H,W,C] float32
 */
export function denoiseFilter(filter: DenoiseFilter, h: tf.Tensor): tf.Tensor {
  switch (filter) {
    case 'mean':
    case 'gaussian':
      return linearFilter(h, FILTER_WEIGHTS[filter]);
    case 'median':
      return medianFilter(h);
    case 'non-local':
      return nonLocalMeans(h);
    default:
      return filter satisfies never;
  }
}

/** The block: h + conv1x1(filter(h)). @param weight [C,C,1,1] @param bias [C] */
export function denoiseBlock(filter: DenoiseFilter, h: tf.Tensor, weight: tf.Tensor, bias: tf.Tensor): tf.Tensor {
  const kernel = tf.transpose(weight, [2, 3, 1, 0]);
  const change = tf.conv2d(denoiseFilter(filter, h) as tf.Tensor4D, kernel as tf.Tensor4D, 1, 'same');
  return tf.add(h, tf.add(change, bias));
}

/** One channel at a time: channels become images of the batch. */
function linearFilter(h: tf.Tensor, weights: readonly number[]): tf.Tensor {
  const [batch, height, width, channels] = h.shape as [number, number, number, number];
  const images = tf.reshape(tf.transpose(repeatBorder(h), [0, 3, 1, 2]), [batch * channels, height + 2, width + 2, 1]);
  const filtered = tf.conv2d(images as tf.Tensor4D, tf.tensor4d([...weights], [3, 3, 1, 1]), 1, 'valid');
  return tf.transpose(tf.reshape(filtered, [batch, channels, height, width]), [0, 2, 3, 1]);
}

/**
 * Sort the three pixels of each column of a window; the median of the nine is then the median of the largest minimum, the median of
 * the middles and the smallest maximum. Columns are sorted once for the three windows that share them.
 */
function medianFilter(h: tf.Tensor): tf.Tensor {
  const padded = repeatBorder(h);
  const [top, middle, bottom] = shifts(padded, 1);
  const [low, high] = [tf.minimum(top, middle), tf.maximum(top, middle)];
  const columns = {
    minimum: tf.minimum(low, bottom),
    middle: tf.maximum(low, tf.minimum(high, bottom)),
    maximum: tf.maximum(high, bottom),
  };
  const minima = shifts(columns.minimum, 2);
  const maxima = shifts(columns.maximum, 2);
  return medianOfThree(
    tf.maximum(tf.maximum(minima[0], minima[1]), minima[2]),
    medianOfThree(...shifts(columns.middle, 2)),
    tf.minimum(tf.minimum(maxima[0], maxima[1]), maxima[2]),
  );
}

function medianOfThree(a: tf.Tensor, b: tf.Tensor, c: tf.Tensor): tf.Tensor {
  const [low, high] = [tf.minimum(a, b), tf.maximum(a, b)];
  return tf.maximum(low, tf.minimum(high, c));
}

function nonLocalMeans(h: tf.Tensor): tf.Tensor {
  const [batch, height, width, channels] = h.shape as [number, number, number, number];
  const pixels = tf.reshape(h, [batch, height * width, channels]);
  const similarity = tf.div(tf.matMul(pixels, pixels, false, true), Math.sqrt(channels));
  return tf.reshape(tf.matMul(tf.softmax(similarity), pixels), h.shape);
}

/** [b,H,W,C] to [b,H+2,W+2,C], the border pixels repeated. */
function repeatBorder(h: tf.Tensor): tf.Tensor {
  const rows = tf.concat([part(h, 1, 0, 1), h, part(h, 1, (h.shape[1] as number) - 1, 1)], 1);
  return tf.concat([part(rows, 2, 0, 1), rows, part(rows, 2, (h.shape[2] as number) - 1, 1)], 2);
}

/** The three parts of an axis that are shorter by 2 and begin at 0, 1 and 2. */
function shifts(h: tf.Tensor, axis: 1 | 2): [tf.Tensor, tf.Tensor, tf.Tensor] {
  const length = (h.shape[axis] as number) - 2;
  return [part(h, axis, 0, length), part(h, axis, 1, length), part(h, axis, 2, length)];
}

function part(h: tf.Tensor, axis: 1 | 2, start: number, length: number): tf.Tensor {
  const begin = h.shape.map((_, i) => (i === axis ? start : 0));
  const size = h.shape.map((full, i) => (i === axis ? length : full));
  return tf.slice(h, begin, size);
}
