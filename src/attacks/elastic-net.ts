/** @file The arithmetic of the elastic-net attack (Chen et al., AAAI 2018, arXiv 1709.04114, section 4.2) on one image. */

/** y -= rate * gradient of |y - clean|^2 - weight * loss, in place. */
export function descendElasticNet(y: Float32Array, clean: Float32Array, gradient: Float32Array, weight: number, rate: number): void {
  for (let i = 0; i < y.length; i++) {
    const value = y[i] as number;
    y[i] = value - rate * (2 * (value - (clean[i] as number)) - weight * (gradient[i] as number));
  }
}

/** Equation 5 on y gives the next x, in [0,1]; y is then carried on by `momentum` times the change of x. Both in place. */
export function shrinkAndExtrapolate(x: Float32Array, y: Float32Array, clean: Float32Array, beta: number, momentum: number): void {
  for (let i = 0; i < x.length; i++) {
    const value = y[i] as number;
    const centre = clean[i] as number;
    const difference = value - centre;
    let next = centre;
    if (difference > beta) next = Math.min(value - beta, 1);
    else if (difference < -beta) next = Math.max(value + beta, 0);
    y[i] = next + momentum * (next - (x[i] as number));
    x[i] = next;
  }
}

/** Distances by both rules. */
export function elasticSize(x: Float32Array, clean: Float32Array, beta: number): { readonly en: number; readonly l1: number } {
  let squares = 0;
  let l1 = 0;
  for (let i = 0; i < x.length; i++) {
    const difference = (x[i] as number) - (clean[i] as number);
    squares += difference * difference;
    l1 += Math.abs(difference);
  }
  return { en: squares + beta * l1, l1 };
}
