/** @file Adam (Kingma and Ba 2015, arXiv 1412.6980, algorithm 1) on the values of one image, float32. */

const BETA1 = 0.9;
const BETA2 = 0.999;
const EPSILON = 1e-8;

export class Adam {
  readonly #rate: number;
  readonly #mean: Float32Array;
  readonly #square: Float32Array;
  #step = 0;

  constructor(size: number, learningRate: number) {
    this.#rate = learningRate;
    this.#mean = new Float32Array(size);
    this.#square = new Float32Array(size);
  }

  /** Forgets all steps. */
  reset(): void {
    this.#mean.fill(0);
    this.#square.fill(0);
    this.#step = 0;
  }

  /** One step down the gradient, in place. */
  descend(values: Float32Array, gradient: Float32Array): void {
    this.#step += 1;
    const mean = this.#mean;
    const square = this.#square;
    const rate = this.#rate / (1 - BETA1 ** this.#step);
    const scale = 1 / Math.sqrt(1 - BETA2 ** this.#step);
    for (let i = 0; i < values.length; i++) {
      const slope = gradient[i] as number;
      const first = BETA1 * (mean[i] as number) + (1 - BETA1) * slope;
      const second = BETA2 * (square[i] as number) + (1 - BETA2) * slope * slope;
      mean[i] = first;
      square[i] = second;
      values[i] = (values[i] as number) - (rate * first) / (Math.sqrt(second) * scale + EPSILON);
    }
  }
}
