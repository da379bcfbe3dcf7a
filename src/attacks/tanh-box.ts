/** @file The change of variables of Carlini and Wagner (2017, section V-B): x = (tanh w + 1) / 2 stays in [0,1] for any w. */

/** The image of w, as 1 / (1 + exp(-2 w)), which is the same with one exponential. */
export function imageOfTanh(image: Float32Array, w: Float32Array): void {
  for (let i = 0; i < image.length; i++) image[i] = 1 / (1 + Math.exp(-2 * (w[i] as number)));
}

/** @param shrink factor on 2 x - 1; below 1 pixels at 0 and 1 have a finite w and can move */
export function tanhOfImage(w: Float32Array, image: Float32Array, shrink: number): void {
  for (let i = 0; i < w.length; i++) w[i] = Math.atanh(Math.fround(2 * (image[i] as number) - 1) * shrink);
}

/**
 * Gradient with respect to w of |x - clean|^2 - weight * loss, with dx/dw = (1 - tanh^2 w) / 2 = 2 x (1 - x).
 * @param gradient of the loss, with respect to x; weight 0 leaves it out
 */
export function gradientOfTanh(
  slope: Float32Array,
  image: Float32Array,
  clean: Float32Array,
  gradient: Float32Array,
  weight: number,
): void {
  for (let i = 0; i < slope.length; i++) {
    const x = image[i] as number;
    slope[i] = 2 * x * (1 - x) * (2 * (x - (clean[i] as number)) - weight * (gradient[i] as number));
  }
}

/** |a - b|^2 */
export function squaredDistance(a: Float32Array, b: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) {
    const difference = (a[i] as number) - (b[i] as number);
    sum += difference * difference;
  }
  return sum;
}
