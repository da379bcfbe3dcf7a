/** @file Momentum of input gradients (Dong et al., CVPR 2018, arXiv 1710.06081), as the attacks for transfer use it. */

/** d <- decay d + g / |g|_1, starting at 0. */
export class Momentum {
  readonly direction: Float32Array;
  readonly #decay: number;

  /** @param decay share of the direction that is kept from step to step; 0 follows the last gradient alone */
  constructor(values: number, decay: number) {
    this.direction = new Float32Array(values);
    this.#decay = decay;
  }

  /** A zero gradient adds nothing. @returns the new direction */
  add(gradient: Float32Array): Float32Array {
    let sum = 0;
    for (const value of gradient) sum += Math.abs(value);
    const scale = sum === 0 ? 0 : 1 / sum;
    const { direction } = this;
    for (let i = 0; i < direction.length; i++) direction[i] = this.#decay * (direction[i] as number) + scale * (gradient[i] as number);
    return direction;
  }
}
