/** @file The L1 ball around an image, cut to [0,1]: the nearest point in it, and a sparse direction of ascent. Sums are taken in float64. */

/** Largest share of the values that one step moves. */
const MOVED_SHARE = 0.01;

/**
 * The point of {d : |d|_1 <= eps, -clean <= d <= 1 - clean} nearest to image - clean in the Euclidean norm, added to `clean`; in place.
 * With b_i the room that value i has towards its own sign, the point is d_i = sgn(v_i) min(max(|v_i| - t, 0), b_i) for the smallest t >= 0
 * that brings the sum to eps (the conditions of Karush, Kuhn and Tucker; compare Croce and Hein 2021, arXiv 2103.01208, section 3). The sum
 * is linear in t between the sorted values |v_i| and |v_i| - b_i, so t is found without iterating.
 * @param image [32,32,3]; `clean` of the same length in [0,1]
 * @param eps radius in [0,1] pixel units, summed over the values
 */
export function projectToL1Ball(image: Float32Array, clean: Float32Array, eps: number): void {
  const size = Float64Array.from(image, (value, i) => Math.abs(value - (clean[i] as number)));
  const room = Float64Array.from(image, (value, i) => (value > (clean[i] as number) ? 1 - (clean[i] as number) : (clean[i] as number)));
  const sumAt = (threshold: number): number => {
    let sum = 0;
    for (let i = 0; i < size.length; i++) sum += Math.min(Math.max((size[i] as number) - threshold, 0), room[i] as number);
    return sum;
  };
  const threshold = sumAt(0) <= eps ? 0 : thresholdFor(size, room, eps, sumAt);
  for (let i = 0; i < image.length; i++) {
    const centre = clean[i] as number;
    const change = Math.min(Math.max((size[i] as number) - threshold, 0), room[i] as number);
    image[i] = Math.min(Math.max(centre + Math.sign((image[i] as number) - centre) * change, 0), 1);
  }
}

/** The t > 0 with sumAt(t) = eps; the sum falls from more than eps at 0. */
function thresholdFor(size: Float64Array, room: Float64Array, eps: number, sumAt: (threshold: number) => number): number {
  const bends = new Float64Array(2 * size.length + 1);
  for (let i = 0; i < size.length; i++) {
    bends[2 * i] = size[i] as number;
    bends[2 * i + 1] = Math.max((size[i] as number) - (room[i] as number), 0);
  }
  bends.sort();
  let low = 0;
  let high = bends.length - 1;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (sumAt(bends[middle] as number) > eps) low = middle;
    else high = middle;
  }
  const from = bends[low] as number;
  const to = bends[high] as number;
  const above = sumAt(from);
  const below = sumAt(to);
  return above === below ? to : from + ((above - eps) / (above - below)) * (to - from);
}

/**
 * target = from + step of L1 length `size` along the signs of the largest gradients, in equal parts: of the values that can still move that
 * way inside [0,1], the 1 % with the largest gradients (the sparse ascent of SLIDE, Tramèr and Boneh 2019, arXiv 1904.13000, section 3). The
 * steepest step of all would move one value only, and would need a step for each value.
 */
export function ascendSparsely(target: Float32Array, from: Float32Array, gradient: Float32Array, size: number): void {
  target.set(from);
  const free: number[] = [];
  for (let i = 0; i < gradient.length; i++) {
    const slope = gradient[i] as number;
    const value = from[i] as number;
    if ((slope > 0 && value < 1) || (slope < 0 && value > 0)) free.push(i);
  }
  const count = Math.min(Math.max(Math.round(MOVED_SHARE * gradient.length), 1), free.length);
  free.sort((a, b) => Math.abs(gradient[b] as number) - Math.abs(gradient[a] as number) || a - b);
  for (const i of free.slice(0, count)) target[i] = (from[i] as number) + (size / count) * Math.sign(gradient[i] as number);
}
