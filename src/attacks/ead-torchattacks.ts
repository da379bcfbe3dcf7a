/**
 * @file The elastic-net attack as torchattacks 3.5.1 does it, to compare with its results. Other than the official code it
 * - starts each c where the one before ended,
 * - moves the image that distances are measured from, once, by the first gradient step,
 * - ends a descent when the loss summed over the batch stalls, so that the batch matters,
 * - takes momentum from the first step on,
 * - counts the label's logit as 0 where it is negative,
 * - attacks misclassified images too.
 * Where the label's logit is negative, torchattacks follows the gradient of the other logit alone; this follows the margin's.
 */
import { type Attack, imageOf, joinImages } from './attack.ts';
import { IMAGE_VALUES } from './classifier.ts';
import { ConstantSearch, StallCheck } from './constant-search.ts';
import { descendElasticNet, elasticSize, shrinkAndExtrapolate } from './elastic-net.ts';
import { Nearest } from './minimum-norm.ts';
import { logitMargin } from './search.ts';

const STALL_FACTOR = 0.999999;

export interface TorchattacksEadOptions {
  readonly rule: 'en' | 'l1';
  readonly steps: number;
  readonly searchSteps: number;
  readonly c: number;
  readonly beta: number;
  readonly learningRate: number;
  readonly confidence: number;
}

/** See the file's header. */
export function eadOfTorchattacks(options: TorchattacksEadOptions): Attack {
  const { rule, steps, searchSteps, c, beta, learningRate, confidence } = options;
  return async (classifier, { count, images, labels }) => {
    const { classes } = classifier;
    const rows = Array.from({ length: count }, (_, row) => {
      const clean = imageOf({ images }, row);
      return {
        label: labels[row] as number,
        reference: clean,
        x: clean.slice(),
        y: clean.slice(),
        nearest: new Nearest(clean),
        constants: new ConstantSearch(c),
        succeeded: false,
      };
    });
    const excessOf = (logits: Float32Array, row: number, label: number) =>
      logitMargin(logits.subarray(row * classes, (row + 1) * classes), label) + confidence;
    const hingeOf = (logits: Float32Array, row: number, label: number) =>
      excessOf(logits, row, label) + Math.max(-(logits[row * classes + label] as number), 0);
    const stall = new StallCheck(steps, STALL_FACTOR);
    for (let searchStep = 0; searchStep < searchSteps; searchStep++) {
      stall.restart();
      for (const row of rows) row.succeeded = false;
      for (let step = 0; step < steps; step++) {
        const seen = await classifier.gradients('margin', { count, images: joinImages(rows.map(({ y }) => y)), labels });
        const rate = learningRate * Math.sqrt(1 - step / steps);
        for (const [row, { label, reference, x, y, constants }] of rows.entries()) {
          const gradient = seen.gradient.subarray(row * IMAGE_VALUES, (row + 1) * IMAGE_VALUES);
          const weight = hingeOf(seen.logits, row, label) > 0 ? constants.constant : 0;
          descendElasticNet(y, reference, gradient, weight, rate);
          if (searchStep === 0 && step === 0) reference.set(y);
          shrinkAndExtrapolate(x, y, reference, beta, (step + 1) / (step + 4));
        }
        const logits = await classifier.logits({ count, images: joinImages(rows.map(({ x }) => x)) });
        const judged = rows.map(({ label, reference, x }, row) => ({
          size: elasticSize(x, reference, beta),
          excess: excessOf(logits, row, label),
          hinge: hingeOf(logits, row, label),
        }));
        const cost = judged.reduce(
          (sum, { size, hinge }, row) => sum + size.en + (rows[row]?.constants.constant ?? 0) * Math.max(hinge, 0),
          0,
        );
        if (stall.isStalled(step, cost)) break;
        for (const [row, { size, excess }] of judged.entries()) {
          const own = rows[row] as (typeof rows)[number];
          if (excess > 0) continue;
          own.succeeded = true;
          own.nearest.offer(own.x, size[rule]);
        }
      }
      for (const { constants, succeeded } of rows) constants.next(succeeded);
    }
    return joinImages(rows.map(({ nearest }) => nearest.image));
  };
}
