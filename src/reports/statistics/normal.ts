/** @file Tail of the normal distribution, for tests of larger samples. */

/** P(Z > z) for z >= 0, by the series of the error function below 3 and its continued fraction above; relative error below 1e-10. */
export function normalTail(z: number): number {
  const density = Math.exp((-z * z) / 2) / Math.sqrt(2 * Math.PI);
  if (z < 3) {
    // Phi(z) - 1/2 = density * (z + z^3/3 + z^5/15 + ...) (Abramowitz & Stegun 26.2.11).
    let [term, sum] = [z, z];
    for (let k = 1; Math.abs(term) > 1e-17 * Math.abs(sum); k++) {
      term *= (z * z) / (2 * k + 1);
      sum += term;
    }
    return 0.5 - density * sum;
  }
  // Mills' ratio 1/(z + 1/(z + 2/(z + ...))) (Abramowitz & Stegun 26.2.14), from its far end.
  let fraction = z;
  for (let k = 120; k >= 1; k--) fraction = z + k / fraction;
  return density / fraction;
}
