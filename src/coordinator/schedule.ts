/** @file Learning rate and GFA factor of a step: pure functions of the config and the number of steps, equal on every machine. */
import type { Config } from '../config/index.ts';
import type { StepSettings } from '../wire/index.ts';

/**
 * Learning rate of a step.
 * During the warm-up of W = round(warmup * totalSteps) steps: peak * (step + 1) / W, so that the first step does something and step
 * W - 1 has the peak. Then, with progress p = (step - W) / (totalSteps - W) in [0, 1):
 * `constant`: peak; `step`: peak * gamma^k for the k milestones m with step >= round(m * totalSteps); `cosine`:
 * peak * (f + (1 - f) * (1 + cos(pi p)) / 2) with f = finalFraction (Loshchilov and Hutter 2017, equation 5, one period).
 * @param step number of the step, from 0.
 */
export function learningRateAt(config: Pick<Config, 'schedule' | 'optimizer'>, step: number, totalSteps: number): number {
  const { schedule } = config;
  const peak = config.optimizer.learningRate;
  const warmupSteps = Math.round(schedule.warmup * totalSteps);
  if (step < warmupSteps) return (peak * (step + 1)) / warmupSteps;
  switch (schedule.name) {
    case 'constant':
      return peak;
    case 'step': {
      let rate = peak;
      for (const milestone of schedule.milestones) if (step >= Math.round(milestone * totalSteps)) rate *= schedule.gamma;
      return rate;
    }
    case 'cosine': {
      const progress = Math.min(1, (step - warmupSteps) / (totalSteps - warmupSteps));
      return peak * (schedule.finalFraction + (1 - schedule.finalFraction) * 0.5 * (1 + cosPi(progress)));
    }
    default:
      return schedule.name satisfies never;
  }
}

type StrategyName = Config['strategy']['name'];
const GFA_STRATEGIES: ReadonlySet<StrategyName> = new Set(['first', 'deep', 'gaie']);
const ATTACKING_STRATEGIES: ReadonlySet<StrategyName> = new Set(['adversarial', 'fgsm-rs', 'grad-align', 'trades', 'mart', 'awp']);

/**
 * Warm-up factor of a step: on all GFA weights, on the penalty of `gaie`, or on radius and step size of the attack inside training. Rises
 * linearly from 0 at step 0 to 1 at step round(warmup * totalSteps), then 1; 0 for strategies without any. A float32 value, because it travels as one.
 * @param step number of the step, from 0.
 */
export function gfaScaleAt(config: Pick<Config, 'strategy'>, step: number, totalSteps: number): number {
  const { name, gfa, adversarial } = config.strategy;
  const warmup = GFA_STRATEGIES.has(name) ? gfa.warmup : ATTACKING_STRATEGIES.has(name) ? adversarial.warmup : undefined;
  if (warmup === undefined) return 0;
  const warmupSteps = Math.round(warmup * totalSteps);
  return step >= warmupSteps ? 1 : Math.fround(step / warmupSteps);
}

/** Settings of the steps [first, first + count). */
export function scheduleOf(config: Config, first: number, count: number, totalSteps: number): StepSettings[] {
  return Array.from({ length: count }, (_, index) => ({
    learningRate: learningRateAt(config, first + index, totalSteps),
    gfaScale: gfaScaleAt(config, first + index, totalSteps),
  }));
}

/**
 * cos(pi x) for x in [0, 1] within 1e-15, from additions and multiplications only: the last bits of Math.cos may differ between
 * versions of V8, and with them all weights after the first step.
 */
function cosPi(x: number): number {
  if (x > 0.5) return -cosPi(1 - x);
  const square = Math.PI * x * (Math.PI * x);
  let term = 1;
  let sum = 1;
  // Taylor series; at x = 0.5 the 13th term is below 1e-18.
  for (let k = 1; k <= 13; k++) {
    term *= -square / ((2 * k - 1) * (2 * k));
    sum += term;
  }
  return sum;
}
