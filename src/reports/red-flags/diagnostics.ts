/** @file Red flags of the measurements on gradients and logits. Figures of the reference network are of an undefended one on CIFAR-10, 32 images. */
import type { MaskingDiagnostics } from '../../config/index.ts';
import type { EvaluationView } from '../evaluation/evaluation-view.ts';
import { formatEps, formatNumber, formatPercent } from '../format.ts';
import type { RedFlagRule } from './red-flag.ts';

type Sentence = string | false;

function measured(look: (diagnostics: MaskingDiagnostics) => readonly Sentence[]): RedFlagRule['check'] {
  return (view: EvaluationView, model) => {
    const diagnostics = view.diagnostics(model);
    return diagnostics === undefined ? undefined : look(diagnostics).filter((sentence) => sentence !== false);
  };
}

/** Ten images in a thousand that no gradient attack on the cross-entropy can move are five times the 0.2 points of other flags. */
const ZERO_SHARE = 0.01;
/** Convolutions spread gradients over all pixels: the reference network has no zeros. */
const ZERO_VALUES = 0.5;

export const zeroGradients: RedFlagRule = {
  id: 'zero-gradients',
  title: 'Gradients are zero',
  severity: 'alarm',
  threshold:
    'the cross-entropy has a gradient below 1e-8 on more than 1 % of the images, or half of its values are exactly 0 (reference network: none)',
  check: measured(({ gradientNorm: { median, zeroShare, zeroValues }, samples }) => [
    zeroShare > ZERO_SHARE &&
      `${formatPercent(zeroShare)} % of ${samples} images have a gradient below 1e-8; the median length is ${formatNumber(median)}`,
    zeroValues > ZERO_VALUES && `${formatPercent(zeroValues)} % of the gradients' values are exactly 0`,
  ]),
};

/** 0.51 on the reference network; 1 is a mere change of brightness. */
const MAJORITY = 0.75;

export const constantSign: RedFlagRule = {
  id: 'constant-sign',
  title: 'Gradients have one sign nearly everywhere',
  severity: 'alarm',
  threshold: 'the majority sign covers more than 75 % of an image on average (reference network: 51 %)',
  check: measured(({ majoritySign }) => [
    majoritySign > MAJORITY &&
      `${formatPercent(majoritySign)} % of an image's gradient has one sign: sign attacks only change the brightness`,
  ]),
};

/** exp(-88) is 0 in float32: the softmax of such logits has no gradient left. */
const LARGEST_RANGE = 88;
const SMALLEST_RANGE = 0.05;
/** 1.7 on the reference network. */
const LARGEST_NORM = 100;
const SMALLEST_NORM = 1e-5;

export const outOfScale: RedFlagRule = {
  id: 'out-of-scale',
  title: 'Logits or gradients are out of scale',
  severity: 'warning',
  threshold:
    'median range of the logits above 88, where a float32 softmax is exactly 0, or below 0.05; median gradient above 100 or below 1e-5 (reference network: 6.8 and 1.7)',
  check: measured(({ logits, gradientNorm: { median } }) => [
    (logits.medianRange > LARGEST_RANGE || logits.medianRange < SMALLEST_RANGE) &&
      `the logits of an image span ${formatNumber(logits.medianRange)} (median), the largest is ${formatNumber(logits.largest)}, the median confidence ${formatNumber(logits.medianConfidence)}`,
    (median > LARGEST_NORM || median < SMALLEST_NORM) && `the gradient has a median length of ${formatNumber(median)}`,
  ]),
};

/** 0.84 at 8/255 on the reference network; near 0 after the overfitting of single-step training (Andriushchenko and Flammarion 2020). */
const SMALLEST_COSINE = 0.3;

export const lowLinearity: RedFlagRule = {
  id: 'low-linearity',
  title: 'Gradients point elsewhere a little further on',
  severity: 'warning',
  threshold:
    'median cosine between the gradients at an image and at a random point of the ball below 0.3 (reference network: 0.84 at 8/255)',
  check: measured(({ localLinearity: { eps, gradientCosine, error } }) => [
    gradientCosine < SMALLEST_COSINE &&
      `cosine ${formatNumber(gradientCosine)} at L∞ ${formatEps(eps)}; the linear prediction of the loss is wrong by ${formatPercent(error)} % (median)`,
  ]),
};

/** Mean cross-entropy by which another direction must beat the gradient's; rounding of means. */
const LOSS_MARGIN = 0.01;

export const otherDirections: RedFlagRule = {
  id: 'other-directions-steeper',
  title: 'The loss rises more along other directions than along the gradient',
  severity: 'alarm',
  threshold:
    'at any length, the mean cross-entropy along a random or the radial direction is above that along the gradient by more than 0.01',
  check: measured(({ directions }) => {
    const gradient = directions.find(({ name }) => name === 'gradient');
    if (gradient === undefined) return [];
    return directions
      .filter(({ name }) => name === 'random' || name === 'radial')
      .map(({ name, distances, loss }) => {
        const at = distances.findIndex((_, index) => (loss[index] as number) > (gradient.loss[index] as number) + LOSS_MARGIN);
        if (at === -1) return false;
        return `at an L2 distance of ${formatNumber(distances[at] as number)} the loss is ${formatNumber(loss[at] as number)} along the ${name} direction and ${formatNumber(gradient.loss[at] as number)} along the gradient`;
      });
  }),
};

/** Relative to the largest logit: rounding of float32 sums in another order stays below. */
const REPEATABLE = 1e-5;

export const nondeterministic: RedFlagRule = {
  id: 'nondeterministic',
  title: 'The same image gives different logits',
  severity: 'alarm',
  threshold: 'two runs of the same batch differ by more than 1e-5 of the largest logit',
  check: measured(({ nondeterminism, logits }) => [
    nondeterminism > REPEATABLE * Math.max(1, logits.largest) &&
      `logits differ by up to ${formatNumber(nondeterminism)} between two runs; attacks need averages over the randomness`,
  ]),
};

export const probabilities: RedFlagRule = {
  id: 'probabilities-as-logits',
  title: 'The outputs are probabilities, not logits',
  severity: 'alarm',
  threshold: 'all outputs of at least half of the images are 0 or more and sum up to 1',
  check: measured(({ probabilityOutputs }) => [
    probabilityOutputs >= 0.5 &&
      `${formatPercent(probabilityOutputs)} % of the images: a second softmax in the attacked loss flattens its gradient`,
  ]),
};
