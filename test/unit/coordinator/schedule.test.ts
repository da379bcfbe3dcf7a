import { describe, expect, it } from 'vitest';
import { type Config, configSchema } from '../../../src/config/index.ts';
import { gfaScaleAt, learningRateAt } from '../../../src/coordinator/schedule.ts';

const configWith = (schedule: object, learningRate = 0.4): Config => configSchema.parse({ schedule, optimizer: { learningRate } });
const rates = (config: Config, totalSteps: number) =>
  Array.from({ length: totalSteps }, (_, step) => learningRateAt(config, step, totalSteps));
const close = (actual: number[], expected: number[]) => {
  expect(actual).toHaveLength(expected.length);
  actual.forEach((value, i) => expect(value).toBeCloseTo(expected[i] as number, 14));
};

describe('learning rate', () => {
  it('constant: stays at the peak', () => {
    close(rates(configWith({ name: 'constant' }), 4), [0.4, 0.4, 0.4, 0.4]);
  });

  it('warm-up: rises linearly and reaches the peak at its last step', () => {
    close(rates(configWith({ name: 'constant', warmup: 0.4 }), 10), [0.1, 0.2, 0.3, 0.4, 0.4, 0.4, 0.4, 0.4, 0.4, 0.4]);
  });

  it('step: multiplies by gamma at each milestone', () => {
    close(
      rates(configWith({ name: 'step', milestones: [0.1, 0.7], gamma: 0.5 }, 1), 10),
      [1, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25],
    );
    // 0.1 * 30 is above 3 in float64; the milestone is still step 3.
    expect(learningRateAt(configWith({ name: 'step', milestones: [0.1] }, 1), 3, 30)).toBeCloseTo(0.1, 14);
  });

  it('cosine: has the values of torch.optim.lr_scheduler.CosineAnnealingLR(T_max=8, eta_min=0.04)', () => {
    // Printed by torch 1.13.0, base rate 0.4.
    const torch = [
      0.4, 0.3862983158520316, 0.3472792206135785, 0.2888830178257162, 0.22, 0.15111698217428385, 0.09272077938642145, 0.05370168414796839,
    ];
    close(rates(configWith({ name: 'cosine', finalFraction: 0.1 }), 8), torch);
  });

  it('cosine: starts at the peak after a warm-up and follows Math.cos', () => {
    const config = configWith({ name: 'cosine', warmup: 0.1 });
    expect(learningRateAt(config, 100, 1000)).toBe(0.4);
    for (let step = 100; step < 1000; step += 13) {
      expect(learningRateAt(config, step, 1000)).toBeCloseTo(0.2 * (1 + Math.cos((Math.PI * (step - 100)) / 900)), 14);
    }
  });

  it('schedules: work for runs of one and two steps', () => {
    for (const name of ['constant', 'step', 'cosine']) {
      expect(learningRateAt(configWith({ name }), 0, 1)).toBeGreaterThan(0);
      expect(learningRateAt(configWith({ name, warmup: 1 }), 1, 2)).toBe(0.4);
    }
  });
});

describe('warm-up factor', () => {
  const config = (name: string, warmup: number): Config => configSchema.parse({ strategy: { name, gfa: { warmup } } });

  it('warm-up: rises from 0 to 1 in float32', () => {
    const scales = [0, 1, 2, 3, 4, 9].map((step) => gfaScaleAt(config('deep', 0.3), step, 10));
    expect(scales).toEqual([0, Math.fround(1 / 3), Math.fround(2 / 3), 1, 1, 1]);
  });

  it('warm-up: is 1 at once when off, and 0 for strategies that have none', () => {
    expect(gfaScaleAt(config('first', 0), 0, 10)).toBe(1);
    expect(gfaScaleAt(config('gaie', 0.3), 1, 10)).toBe(Math.fround(1 / 3));
    for (const name of ['benchmark', 'denoise', 'gradient-norm']) expect(gfaScaleAt(config(name, 0), 5, 10)).toBe(0);
  });

  it.each(['adversarial', 'fgsm-rs', 'grad-align', 'trades', 'mart', 'awp'])('warm-up: of the attack inside training (%s)', (name) => {
    const attacking = (warmup: number): Config => configSchema.parse({ strategy: { name, adversarial: { warmup } } });
    expect([0, 1, 2, 4, 9].map((step) => gfaScaleAt(attacking(0.4), step, 10))).toEqual([0, 0.25, 0.5, 1, 1]);
    expect(gfaScaleAt(attacking(0), 0, 10)).toBe(1);
  });
});
