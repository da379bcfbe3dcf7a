import { describe, expect, it } from 'vitest';
import { resolveSweep } from '../../../src/config/index.ts';
import { Random } from '../../../src/core/index.ts';
import { SearchSpace } from '../../../src/sweeps/index.ts';

const LAYERS = ['input', 'conv1', 'conv2'];

function spaceOf(space: object, constraints: object[] = []): SearchSpace {
  return new SearchSpace(resolveSweep({ space, constraints, objectives: [{ name: 'clean-accuracy' }] }));
}

/** Weights of many uniform points; points that are refused are left out. */
function drawWeights(parameter: object, count = 400): number[][] {
  const space = spaceOf({ 'strategy.gfa.weights': { type: 'layer-weights', layers: LAYERS, ...parameter } });
  return Array.from({ length: count }, (_, i) => {
    const random = new Random('sweep', 1, i);
    const point = space.coordinates.map((each) => (each.kind === 'unit' ? random.uniform() : random.integer(each.choices)));
    const decoded = space.decode(point);
    return 'refused' in decoded ? [] : LAYERS.map((layer) => decoded.parameters[`strategy.gfa.weights.${layer}`] as number);
  }).filter((weights) => weights.length > 0);
}

const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;

describe('space', () => {
  const space = spaceOf({
    'optimizer.learningRate': { type: 'log-float', low: 0.001, high: 0.1 },
    'objective.labelSmoothing': { type: 'float', low: 0, high: 0.3, step: 0.1 },
    'train.batchSize': { type: 'int', low: 2, high: 5 },
    'strategy.name': { type: 'category', values: ['deep', 'adversarial'] },
    'strategy.gfa.strength': { type: 'float', low: 1, high: 3, when: { 'strategy.name': ['deep'] } },
  });

  it('decodes coordinates to values of the config', () => {
    expect(space.decode([0.5, 0.99, 0, 0, 0.25])).toEqual({
      assignments: [
        { path: 'optimizer.learningRate', value: 0.01 },
        { path: 'objective.labelSmoothing', value: 0.3 },
        { path: 'train.batchSize', value: 2 },
        { path: 'strategy.name', value: 'deep' },
        { path: 'strategy.gfa.strength', value: 1.5 },
      ],
      parameters: {
        'optimizer.learningRate': 0.01,
        'objective.labelSmoothing': 0.3,
        'train.batchSize': 2,
        'strategy.name': 'deep',
        'strategy.gfa.strength': 1.5,
      },
    });
  });

  it('leaves out a parameter whose condition does not hold', () => {
    const decoded = space.decode([0, 0, 0.999, 1, 0.25]);
    expect(decoded).toMatchObject({ parameters: { 'train.batchSize': 5, 'strategy.name': 'adversarial' } });
    expect('parameters' in decoded && 'strategy.gfa.strength' in decoded.parameters).toBe(false);
  });

  it('draws logarithmic integers by ratio, both ends included', () => {
    const ints = spaceOf({ 'train.batchSize': { type: 'int', low: 1, high: 64, log: true } });
    const at = (u: number) => (ints.decode([u]) as { parameters: Record<string, number> }).parameters['train.batchSize'];
    expect([at(0), at(0.5), at(1 - Number.EPSILON)]).toEqual([1, 8, 64]);
  });

  it('refuses points outside a constraint, and takes those on its limit', () => {
    const limited = spaceOf(
      { 'strategy.gfa.weights': { type: 'layer-weights', layers: ['conv1', 'conv2'], high: 1 }, seed: { type: 'int', low: 0, high: 9 } },
      [{ sum: ['strategy.gfa.weights'], max: 0.75 }],
    );
    expect(limited.decode([0.5, 0.25, 0])).toHaveProperty('assignments');
    expect(limited.decode([0.5, 0.26, 0])).toEqual({ refused: 'strategy.gfa.weights is 0.76, above 0.75' });
  });

  it.each([
    [{ x: { type: 'float', low: 2, high: 1 } }, [], 'low is above high'],
    [{ x: { type: 'int', low: 0, high: 9, log: true } }, [], 'low >= 1'],
    [{ weights: { type: 'layer-weights', layers: LAYERS } }, [], 'strategy.gfa.weights'],
    [{ x: { type: 'float', low: 0, high: 1, when: { y: [1] } } }, [], 'a parameter above it'],
    [{ learningRate: { type: 'float', low: 0, high: 1 } }, [{ sum: ['learningrate'], max: 1 }], 'did you mean "learningRate"?'],
    [{ x: { type: 'float', low: 0, high: 1 } }, [{ sum: ['x'] }], 'limits nothing'],
    [{}, [], 'nothing to vary'],
  ])('names what is wrong with %j', (parameters, constraints, message) => {
    expect(() => spaceOf(parameters, constraints)).toThrow(message);
  });
});

describe('layer weights', () => {
  it('form simplex: shares that sum to 1, every layer with the same distribution', () => {
    const weights = drawWeights({ form: 'simplex' }, 4000);
    for (const each of weights) expect(each.reduce((sum, weight) => sum + weight, 0)).toBeCloseTo(1, 5);
    // Of a uniform point of the simplex each share has mean 1/3 and standard deviation 0.236.
    for (const [i] of LAYERS.entries()) expect(Math.abs(mean(weights.map((each) => each[i] as number)) - 1 / 3)).toBeLessThan(0.012);
  });

  it('form monotone: never rising, with the means of order statistics', () => {
    const weights = drawWeights({ form: 'monotone', high: 2 }, 4000);
    for (const [a = 0, b = 0, c = 0] of weights) expect(a >= b && b >= c).toBe(true);
    // Of three uniform numbers in [0, 2] the largest has mean 3/4 of 2, then 2/4, then 1/4.
    for (const [i, expected] of [1.5, 1, 0.5].entries())
      expect(Math.abs(mean(weights.map((each) => each[i] as number)) - expected)).toBeLessThan(0.03);
  });

  it('form tied: one weight per group', () => {
    for (const [input, conv1, conv2] of drawWeights({ form: 'tied', groups: [['input'], ['conv1', 'conv2']] })) {
      expect(conv1).toBe(conv2);
      expect(input).not.toBe(conv1);
    }
  });

  it('form sparse: as many layers on as asked for, each with a weight in range', () => {
    const weights = drawWeights({ form: 'sparse', low: 0.1, high: 1, minLayers: 1, maxLayers: 2 });
    const counts = weights.map((each) => each.filter((weight) => weight > 0).length);
    expect(new Set(counts)).toEqual(new Set([1, 2]));
    for (const weight of weights.flat()) expect(weight === 0 || (weight >= 0.1 && weight <= 1)).toBe(true);
  });

  it('form sparse: layers that are off are left out of the config', () => {
    const space = spaceOf({ 'strategy.gfa.weights': { type: 'layer-weights', layers: LAYERS, form: 'sparse', low: 0.5, high: 1 } });
    expect(space.decode([1, 0.5, 0, 0.1, 1, 0])).toMatchObject({
      assignments: [
        { path: 'strategy.gfa.layers', value: ['input', 'conv2'] },
        { path: 'strategy.gfa.weights', value: [0.75, 0.5] },
      ],
    });
  });

  it('form ablation: all, without each and each alone, equal ones once', () => {
    const space = spaceOf({ 'strategy.gfa.weights': { type: 'layer-weights', layers: LAYERS, form: 'ablation', base: [0.5, 0.3, 0] } });
    expect(space.coordinates).toMatchObject([{ kind: 'choice', choices: 3 }]);
    const all = [0, 1, 2].map((choice) => {
      const decoded = space.decode([choice]);
      return 'refused' in decoded ? [] : decoded.assignments[1]?.value;
    });
    // Without the second layer is the first alone, and the other way round.
    expect(all).toEqual([[0.5, 0.3], [0.3], [0.5]]);
  });

  it.each([
    [{ form: 'tied' }, 'every layer in exactly one group'],
    [{ form: 'tied', groups: [['input'], ['conv1']] }, 'every layer in exactly one group'],
    [{ form: 'ablation' }, 'base: 3 weights'],
    [{ form: 'ablation', base: [0, 0, 0] }, 'a weight above 0'],
    [{ form: 'sparse' }, 'low > 0'],
    [{ form: 'sparse', low: 0.1, minLayers: 3, maxLayers: 2 }, 'minLayers <= maxLayers'],
    [{ log: true }, 'low > 0'],
    [{ form: 'monotone', low: 0.1, log: true }, 'log: false'],
    [{ layers: ['conv1', 'conv1'] }, 'named twice'],
  ])('name what is wrong with %j', (parameter, message) => {
    expect(() => spaceOf({ 'strategy.gfa.weights': { type: 'layer-weights', layers: LAYERS, ...parameter } })).toThrow(message);
  });
});
