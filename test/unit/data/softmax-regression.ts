/** @file A linear classifier for the test of how hard the synthetic set is: softmax regression on standardised pixels, trained with Adam. */
import type { ImageSet } from '../../../src/data/dataset.ts';

const CLASSES = 10;
const FEATURES = 3072;

/** Trains on one set; returns the accuracies on the first 1000 images of it and on the other set. */
export function softmaxRegression(train: ImageSet, test: ImageSet, epochs: number): { trainAccuracy: number; testAccuracy: number } {
  const mean = average(train.pixels, (value) => value);
  const std = Math.sqrt(average(train.pixels, (value) => (value - mean) * (value - mean)));
  const weights = new Float64Array(CLASSES * (FEATURES + 1));
  const gradient = new Float64Array(weights.length);
  const first = new Float64Array(weights.length);
  const second = new Float64Array(weights.length);
  const x = new Float64Array(FEATURES);
  const logits = new Float64Array(CLASSES);

  const predict = (set: ImageSet, image: number): void => {
    for (let j = 0; j < FEATURES; j++) x[j] = ((set.pixels[image * FEATURES + j] as number) - mean) / std;
    for (let k = 0; k < CLASSES; k++) {
      const row = k * (FEATURES + 1);
      // Four sums, as one would wait for each addition.
      let a = weights[row + FEATURES] as number;
      let b = 0;
      let c = 0;
      let d = 0;
      for (let j = 0; j < FEATURES; j += 4) {
        a += (weights[row + j] as number) * (x[j] as number);
        b += (weights[row + j + 1] as number) * (x[j + 1] as number);
        c += (weights[row + j + 2] as number) * (x[j + 2] as number);
        d += (weights[row + j + 3] as number) * (x[j + 3] as number);
      }
      logits[k] = a + b + c + d;
    }
  };

  const batch = 50;
  let step = 0;
  for (let epoch = 0; epoch < epochs; epoch++) {
    for (let start = 0; start + batch <= train.count; start += batch) {
      gradient.fill(0);
      for (let image = start; image < start + batch; image++) {
        predict(train, image);
        const top = Math.max(...logits);
        const total = logits.reduce((sum, logit) => sum + Math.exp(logit - top), 0);
        for (let k = 0; k < CLASSES; k++) {
          const error = (Math.exp((logits[k] as number) - top) / total - (train.labels[image] === k ? 1 : 0)) / batch;
          const row = k * (FEATURES + 1);
          for (let j = 0; j < FEATURES; j++) gradient[row + j] = (gradient[row + j] as number) + error * (x[j] as number);
          gradient[row + FEATURES] = (gradient[row + FEATURES] as number) + error;
        }
      }
      step++;
      const firstScale = 1e-3 / (1 - 0.9 ** step);
      const secondScale = 1 / (1 - 0.999 ** step);
      for (let i = 0; i < weights.length; i++) {
        const g = gradient[i] as number;
        first[i] = 0.9 * (first[i] as number) + 0.1 * g;
        second[i] = 0.999 * (second[i] as number) + 0.001 * g * g;
        weights[i] = (weights[i] as number) - (firstScale * (first[i] as number)) / (Math.sqrt(secondScale * (second[i] as number)) + 1e-8);
      }
    }
  }

  const accuracy = (set: ImageSet, count: number): number => {
    let correct = 0;
    for (let image = 0; image < count; image++) {
      predict(set, image);
      if (logits.indexOf(Math.max(...logits)) === set.labels[image]) correct++;
    }
    return correct / count;
  };
  return { trainAccuracy: accuracy(train, Math.min(1000, train.count)), testAccuracy: accuracy(test, test.count) };
}

function average(values: Uint8Array, of: (value: number) => number): number {
  let sum = 0;
  for (const value of values) sum += of(value);
  return sum / values.length;
}
