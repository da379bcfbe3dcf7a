/**
 * @file The L2 attack of Carlini and Wagner as torchattacks 3.5.1 does it, to compare with its results. Other than the paper's it
 * - tries one c only,
 * - takes maxima over logits with zeros in place of those left out, so that f has no slope where all logits are negative,
 * - leaves pixels at 0 and 1 where they are, as their w is infinite,
 * - ends when the loss summed over the batch rises, so that the batch matters,
 * - attacks misclassified images too.
 * Where only one of the two maxima is such a zero, torchattacks follows the gradient of the other logit alone; this follows the margin's.
 */
import { Adam } from './adam.ts';
import { type Attack, imageOf, joinImages } from './attack.ts';
import { IMAGE_VALUES } from './classifier.ts';
import { StallCheck } from './constant-search.ts';
import { Nearest } from './minimum-norm.ts';
import { logitMargin } from './search.ts';
import { gradientOfTanh, imageOfTanh, squaredDistance, tanhOfImage } from './tanh-box.ts';

export interface TorchattacksCwOptions {
  readonly steps: number;
  readonly c: number;
  readonly learningRate: number;
  readonly confidence: number;
}

/** See the file's header. */
export function cwOfTorchattacks({ steps, c, learningRate, confidence }: TorchattacksCwOptions): Attack {
  return async (classifier, samples) => {
    const { classes } = classifier;
    const rows = Array.from({ length: samples.count }, (_, row) => {
      const clean = imageOf(samples, row);
      const w = new Float32Array(IMAGE_VALUES);
      tanhOfImage(w, clean, 1);
      const image = new Float32Array(IMAGE_VALUES);
      imageOfTanh(image, w);
      const label = samples.labels[row] as number;
      return {
        clean,
        label,
        w,
        image,
        slope: new Float32Array(IMAGE_VALUES),
        adam: new Adam(IMAGE_VALUES, learningRate),
        nearest: new Nearest(clean),
      };
    });
    const stall = new StallCheck(steps, 1);
    for (let step = 0; step < steps; step++) {
      const images = joinImages(rows.map(({ image }) => image));
      const seen = await classifier.gradients('margin', { count: samples.count, images, labels: samples.labels });
      let cost = 0;
      for (const [row, { clean, label, w, image, slope, adam, nearest }] of rows.entries()) {
        const logits = seen.logits.subarray(row * classes, (row + 1) * classes);
        const hinge = maskedMargin(logits, label);
        const distance = squaredDistance(image, clean);
        cost += distance + c * Math.max(hinge, -confidence);
        if (!(logitMargin(logits, label) > 0)) nearest.offer(image, distance);
        const active = hinge > -confidence && Math.max(...logits) > 0;
        gradientOfTanh(slope, image, clean, seen.gradient.subarray(row * IMAGE_VALUES, (row + 1) * IMAGE_VALUES), active ? c : 0);
        adam.descend(w, slope);
        imageOfTanh(image, w);
      }
      if (stall.isStalled(step, cost)) break;
    }
    return joinImages(rows.map(({ nearest }) => nearest.image));
  };
}

/** The label's logit or 0 less the best other logit or 0. */
function maskedMargin(logits: Float32Array, label: number): number {
  const own = logits[label] as number;
  const other = own - logitMargin(logits, label);
  return Math.max(own, 0) - Math.max(other, 0);
}
