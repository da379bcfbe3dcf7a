/** @file What one training sample costs by strategy, counted in passes: forward and backward through the network together are one. */
import type { Config } from '../config/index.ts';

/** An attack step inside training needs the gradient of the image alone. */
const ATTACK_STEP = 0.75;

/**
 * Passes of one sample in one training step. A gradient of a gradient counts as one more pass. Measured ratios on cnn3 (docs/benchmarks.md,
 * what strategies cost): GFA 2.0 to 2.1, adversarial 6.2 (here 6.25), trades, mart and awp 9.1 to 9.4 (here 9.5).
 */
export function trainingPasses({ strategy }: Config): number {
  const { name, adversarial, trades, mart, awp } = strategy;
  switch (name) {
    case 'benchmark':
    case 'denoise':
      return 1;
    case 'first':
    case 'deep':
    case 'gaie':
    case 'gradient-norm':
      return 2;
    case 'fgsm-rs':
      return 1 + ATTACK_STEP;
    case 'grad-align':
      // Besides the step of fgsm-rs two input gradients, and their gradient.
      return 3 + ATTACK_STEP;
    case 'adversarial':
      return 1 + ATTACK_STEP * adversarial.steps;
    case 'trades':
      return 2 + ATTACK_STEP * trades.steps;
    case 'mart':
      return 2 + ATTACK_STEP * mart.steps;
    case 'awp':
      return 2 + ATTACK_STEP * awp.steps;
    default:
      return name satisfies never;
  }
}
