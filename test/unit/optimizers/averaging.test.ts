import { describe, expect, it } from 'vitest';
import { configSchema } from '../../../src/config/index.ts';
import { createRunOptimizer, weightsToUse } from '../../../src/optimizers/index.ts';

const specs = [{ name: 'fc.weight', shape: [2], dtype: 'float32' as const }];
const configOf = (emaDecay: number) =>
  configSchema.parse({ model: { name: 'cnn3' }, optimizer: { name: 'sgd', momentum: 0, learningRate: 1, emaDecay } });

describe('average of the weights', () => {
  it('is the recursion of its definition, from the parameters before the first update', () => {
    const optimizer = createRunOptimizer(configOf(0.2), specs);
    const parameters = Float32Array.of(8, -4);
    expect(weightsToUse(parameters, optimizer)).toBe(parameters);
    // Updates subtract the gradient: 7, 5, 5. Decays: min(0.2, 2/11), then min(0.2, 3/12), then 0.2.
    let expected = 8;
    for (const [gradient, value, decay] of [
      [1, 7, 2 / 11],
      [2, 5, 0.2],
      [0, 5, 0.2],
    ] as const) {
      optimizer.apply(parameters, Float32Array.of(gradient, -gradient), 1);
      expected = decay * expected + (1 - decay) * value;
      expect(weightsToUse(parameters, optimizer)[0]).toBeCloseTo(expected, 6);
    }
    expect([...parameters]).toEqual([5, -1]);
    expect(weightsToUse(parameters, optimizer)[1]).toBeCloseTo(4 - expected, 6);
  });

  it('goes on from saved state as if nothing had happened', () => {
    const [whole, half] = [createRunOptimizer(configOf(0.9), specs), createRunOptimizer(configOf(0.9), specs)];
    const [all, before] = [Float32Array.of(1, 2), Float32Array.of(1, 2)];
    const gradient = (step: number) => Float32Array.of(0.1 * step, -0.3);
    for (let step = 0; step < 6; step++) whole.apply(all, gradient(step), 1);
    for (let step = 0; step < 3; step++) half.apply(before, gradient(step), 1);
    const resumed = createRunOptimizer(configOf(0.9), specs);
    resumed.restore(new Map(half.slots.map(({ name, values }) => [name, values.slice()])), half.updates);
    for (let step = 3; step < 6; step++) resumed.apply(before, gradient(step), 1);
    expect(before).toEqual(all);
    expect(weightsToUse(before, resumed)).toEqual(weightsToUse(all, whole));
  });

  it('has no state when it is off', () => {
    expect(createRunOptimizer(configOf(0), specs).slots).toEqual([]);
  });
});
