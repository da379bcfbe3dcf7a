/** @file Every training strategy with settings for tests: one row each. */
import type { ConfigInput } from '../../src/config/index.ts';

/**
 * `difference` is the distance of the central differences; small enough that no ReLU switches, because behind a large penalty a switch is a
 * jump of the slope.
 * Weights of penalties are large, so that a wrong gradient of the penalty can't hide behind that of the loss.
 */
export const STRATEGY_ROWS: readonly { readonly title: string; readonly input: ConfigInput; readonly difference?: number }[] = [
  { title: 'benchmark', input: { strategy: { name: 'benchmark' } } },
  { title: 'benchmark, smoothed labels', input: { strategy: { name: 'benchmark' }, objective: { labelSmoothing: 0.3 } } },
  { title: 'first', input: { strategy: { name: 'first' } } },
  { title: 'deep', input: { strategy: { name: 'deep' } } },
  { title: 'gaie', input: { strategy: { name: 'gaie', gfa: { strength: 20 } } } },
  {
    title: 'gaie, signed inputs, smoothed labels',
    input: { strategy: { name: 'gaie', gfa: { strength: 20 } }, model: { inputRange: 'signed' }, objective: { labelSmoothing: 0.3 } },
  },
  { title: 'gradient-norm l1', input: { strategy: { name: 'gradient-norm', gradientNorm: { strength: 0.3 } } } },
  {
    title: 'gradient-norm l2, mse',
    input: { strategy: { name: 'gradient-norm', gradientNorm: { norm: 'l2', strength: 3 } }, objective: { loss: 'mse' } },
  },
  { title: 'denoise', input: { strategy: { name: 'denoise' }, model: { denoise: { filter: 'mean' } } } },
  { title: 'adversarial', input: { strategy: { name: 'adversarial', adversarial: { steps: 2 } } } },
  { title: 'fgsm-rs', input: { strategy: { name: 'fgsm-rs' } } },
  { title: 'grad-align', input: { strategy: { name: 'grad-align', gradAlign: { lambda: 20 } } }, difference: 2e-5 },
  { title: 'trades', input: { strategy: { name: 'trades', trades: { steps: 2, beta: 60 } } }, difference: 2e-5 },
  { title: 'mart', input: { strategy: { name: 'mart', mart: { steps: 2, lambda: 50 } } } },
  { title: 'awp', input: { strategy: { name: 'awp', awp: { steps: 2, gamma: 0.02 } } } },
];
