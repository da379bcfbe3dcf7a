/** @file A linear classifier, on which the results of attacks are known in closed form. */
import { type Classifier, IMAGE_VALUES } from '../../src/attacks/index.ts';

/** Two classes: logits (w x + b, 0). The distance of an image to the boundary is |w x + b| / |w| in the dual norm. */
export function linearClassifier(weights: Float32Array, bias: number): Classifier {
  const logitsOf = (images: Float32Array, count: number): Float32Array => {
    const logits = new Float32Array(2 * count);
    for (let row = 0; row < count; row++) {
      let sum = bias;
      for (let i = 0; i < IMAGE_VALUES; i++) sum += (weights[i] as number) * (images[row * IMAGE_VALUES + i] as number);
      logits[2 * row] = sum;
    }
    return logits;
  };
  return {
    classes: 2,
    batchSize: 4,
    logits: ({ count, images }) => Promise.resolve(logitsOf(images, count)),
    // The gradient of the margin, whatever is asked for.
    gradients: (_, { count, images, labels }) => {
      const logits = logitsOf(images, count);
      const gradient = new Float32Array(count * IMAGE_VALUES);
      const loss = new Float32Array(count);
      for (let row = 0; row < count; row++) {
        const sign = labels[row] === 0 ? -1 : 1;
        loss[row] = sign * (logits[2 * row] as number);
        for (let i = 0; i < IMAGE_VALUES; i++) gradient[row * IMAGE_VALUES + i] = sign * (weights[i] as number);
      }
      return Promise.resolve({ logits, loss, gradient });
    },
    logitGradients: ({ count, images }) => {
      const jacobian = new Float32Array(count * 2 * IMAGE_VALUES);
      for (let row = 0; row < count; row++) jacobian.set(weights, row * 2 * IMAGE_VALUES);
      return Promise.resolve({ logits: logitsOf(images, count), jacobian });
    },
  };
}
