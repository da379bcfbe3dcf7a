/** @file Convolution of an image with a Gaussian kernel, each channel for itself. */
import { CHANNELS, HEIGHT, WIDTH } from './classifier.ts';

/**
 * One factor of the kernel: weights proportional to exp(-i^2 / (2 sigma^2)) for i = -reach..reach, with sum 1 and sigma = reach / sqrt(3)
 * (Dong et al. 2019, arXiv 1904.02884, section 3.3).
 * @param size 2 reach + 1, odd; 1 changes nothing
 */
export function gaussianKernel(size: number): Float64Array {
  const reach = (size - 1) / 2;
  // A single weight has no width; any variance gives 1.
  const variance = reach === 0 ? 1 : reach ** 2 / 3;
  const weights = Float64Array.from({ length: size }, (_, i) => Math.exp(-((i - reach) ** 2) / (2 * variance)));
  const sum = weights.reduce((total, weight) => total + weight, 0);
  return weights.map((weight) => weight / sum);
}

/**
 * Rows, then columns; zero outside the image.
 * @param values [32,32,3]
 * @returns [32,32,3]
 */
export function gaussianBlur(values: Float32Array, kernel: Float64Array): Float32Array {
  const rowStride = WIDTH * CHANNELS;
  return convolve(convolve(values, kernel, WIDTH, CHANNELS), kernel, HEIGHT, rowStride);
}

/** Along one axis: `stride` values from one place to the next of `length`. */
function convolve(values: Float32Array, kernel: Float64Array, length: number, stride: number): Float32Array {
  const reach = (kernel.length - 1) / 2;
  return values.map((_, i) => {
    const place = Math.trunc(i / stride) % length;
    let sum = 0;
    for (let k = Math.max(-reach, -place); k <= Math.min(reach, length - 1 - place); k++)
      sum += (kernel[k + reach] as number) * (values[i + k * stride] as number);
    return sum;
  });
}
