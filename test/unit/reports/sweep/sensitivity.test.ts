import { describe, expect, it } from 'vitest';
import { parameterColumns, parameterText } from '../../../../src/reports/sweep/parameter-columns.ts';
import { sensitivities } from '../../../../src/reports/sweep/sensitivity.ts';
import { layerSweep, madeUpSweep } from '../../../support/sweep-records.ts';

describe('parameterColumns', () => {
  it('parameterColumns: places numbers on their scale, what is off outside, categories by index', () => {
    const record = madeUpSweep({
      candidates: [
        { 'a.rate': 0.01, 'strategy.gfa.weights.input': 0, kind: 'x', same: 3, layers: [1, 2] },
        { 'a.rate': 0.1, 'strategy.gfa.weights.input': 0.5, kind: 'y', same: 3, layers: [2] },
        { 'strategy.gfa.weights.input': 2, kind: 'x', same: 3, layers: [1, 2] },
      ].map((parameters) => ({ parameters: parameters as Record<string, string | number | number[]>, values: [[[0.5, 0.5]]] })),
      fields: {
        parameters: [
          { name: 'a.rate', scale: 'log', low: 0.001, high: 1 },
          { name: 'strategy.gfa.weights.input', scale: 'linear', low: 0, high: 2 },
          { name: 'kind', scale: 'category' },
          { name: 'same', scale: 'linear', low: 0, high: 9 },
          { name: 'layers', scale: 'category' },
        ],
      },
    });
    const columns = parameterColumns(record, record.candidates);
    expect(columns.map(({ name }) => name)).toEqual(['a.rate', 'strategy.gfa.weights.input', 'kind', 'layers']);
    const values = columns.map((column) => [...column.values].map((value) => Number(value.toFixed(12))));
    expect(values).toEqual([
      [0.333333333333, 0.666666666667, -1],
      [-1, 0.25, 1],
      [0, 1, 0],
      [0, 1, 0],
    ]);
    expect(columns[0]?.measure).toEqual({ kind: 'numeric', atom: 1 / 3 });
    expect(columns[2]?.measure).toEqual({ kind: 'category', weights: [0.5, 0.5] });
  });

  it('parameterText: writes numbers shortly, lists with spaces, absence as off', () => {
    expect([0.123456, [1, 2], undefined, true, 'a'].map(parameterText)).toEqual(['0.1235', '1 2', 'off', 'true', 'a']);
  });
});

describe('sensitivities', () => {
  it('sensitivities: finds the parameters that matter, on the rung with most candidates', () => {
    const [clean, robust] = sensitivities(layerSweep());
    expect(clean).toMatchObject({ rung: 0, candidates: 59, refusal: undefined });
    expect(clean?.r2).toBeGreaterThan(0.7);
    expect(clean?.importances[0]?.parameter).toBe('strategy.gfa.strength');
    expect(robust?.importances.slice(0, 2).map(({ parameter }) => parameter)).toEqual([
      'strategy.gfa.strength',
      'strategy.gfa.weights.input',
    ]);
    const rate = robust?.importances.find(({ parameter }) => parameter === 'optimizer.learningRate');
    expect(rate?.permutation.value).toBeLessThan(0.05);
    expect(rate?.permutation.interval.low).toBeLessThan(0.001);
    for (const { permutation, mainEffect } of robust?.importances ?? [])
      for (const { value, interval } of [permutation, mainEffect]) {
        expect(interval.low).toBeLessThanOrEqual(value);
        expect(interval.high).toBeGreaterThanOrEqual(value);
      }
    expect(robust?.importances[1]?.permutation.interval.low).toBeGreaterThan(0.1);
  });

  it('sensitivities: are the same twice', () => {
    const record = layerSweep({ count: 24, seeds: 1 });
    expect(sensitivities(record)).toEqual(sensitivities(record));
  });

  it('sensitivities: refuse below 20 candidates', () => {
    const [clean] = sensitivities(layerSweep({ count: 20, seeds: 1 }));
    expect(clean).toMatchObject({ candidates: 19, r2: undefined, importances: [] });
    expect(clean?.refusal).toContain('below 20');
  });

  it('sensitivities: refuse when the forest explains nothing, and say its R^2', () => {
    const record = madeUpSweep({
      candidates: Array.from({ length: 40 }, (_, i) => ({
        parameters: { x: ((i * 17) % 40) / 40, y: ((i * 7) % 40) / 40 },
        values: [[[((i * 7919) % 83) / 83, 0.5]]],
      })),
      fields: { parameters: ['x', 'y'].map((name) => ({ name, scale: 'linear' as const, low: 0, high: 1 })) },
    });
    const [noise, constant] = sensitivities(record);
    expect(noise?.r2).toBeLessThanOrEqual(0);
    expect(noise?.importances).toEqual([]);
    expect(noise?.refusal).toContain(`R² = ${noise?.r2?.toFixed(2)}`);
    expect(constant?.refusal).toBe('All candidates have the same value.');
  });

  it('sensitivities: are none before anything is complete', () => {
    expect(sensitivities(madeUpSweep({ candidates: [{ values: [] }] }))).toEqual([]);
  });
});
