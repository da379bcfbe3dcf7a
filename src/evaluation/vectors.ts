/** @file Sums over vectors and samples, in float64. */

export function dot(a: Float32Array, b: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i] as number) * (b[i] as number);
  return sum;
}

/** Euclidean length. */
export function length(a: Float32Array): number {
  return Math.sqrt(dot(a, a));
}

/** In [-1,1]; 0 when one of the two is zero. */
export function cosine(a: Float32Array, b: Float32Array): number {
  const product = length(a) * length(b);
  return product === 0 ? 0 : dot(a, b) / product;
}

/** Of at least one value. */
export function mean(values: readonly number[]): number {
  return values.reduce((a, b) => a + b, 0) / values.length;
}

/** Of at least one value; the middle between the two middle ones for an even count. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const half = sorted.length >> 1;
  return sorted.length % 2 === 1 ? (sorted[half] as number) : ((sorted[half - 1] as number) + (sorted[half] as number)) / 2;
}
