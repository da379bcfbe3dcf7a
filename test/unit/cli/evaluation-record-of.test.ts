import { describe, expect, it } from 'vitest';
import { evaluationRecordOf } from '../../../src/cli/evaluation-record-of.ts';
import { parseAttackSpec } from '../../../src/config/index.ts';
import { syntheticDataset } from '../../../src/data/index.ts';

const pass = { network: 0, targets: [], targetCorrect: [], passesPerImage: 1, queries: { forward: 1, gradient: 2 }, seconds: 3 };
const model = {
  label: 'deep',
  source: 's',
  strategy: 'deep',
  model: 'cnn3',
  inputRange: 'unit' as const,
  loss: 'mse',
  seed: 1,
  weightsSha256: 'w',
  config: {},
};
const record = evaluationRecordOf({
  command: 'deepdefense evaluate',
  seed: 4,
  dataset: syntheticDataset({ trainCount: 10, testCount: 20 }),
  onlyCorrectByAll: false,
  models: [model, { ...model, label: 'plain' }],
  attacks: [parseAttackSpec('fgsm')],
  radii: { linf: [0, 8 / 255] },
  outcome: {
    state: 'completed',
    images: [13, 2],
    passes: [
      { ...pass, attack: -1, eps: null, correct: '11' },
      { ...pass, network: 1, attack: -1, eps: null, correct: '10' },
      { ...pass, attack: 0, eps: 8 / 255, correct: '01', targets: [1], targetCorrect: ['10'], distances: [[1, 2, 3, 4, 5], null] },
    ],
    diagnoses: [{ network: 1, json: '{"samples":2}' }],
    engineFingerprint: 'e',
    workers: 2,
    seconds: 9,
  },
});

describe('evaluationRecordOf', () => {
  it('gives the clean results at radius 0, for no queries', () => {
    const zero = record.results.filter(({ eps }) => eps === 0);
    expect(zero).toEqual([
      { model: 0, attack: 0, eps: 0, correct: '11', queries: { forward: 0, gradient: 0 }, seconds: 0 },
      { model: 1, attack: 0, eps: 0, correct: '10', queries: { forward: 0, gradient: 0 }, seconds: 0 },
    ]);
  });

  it('has labels, distances by norm, transfer and measurements at their networks', () => {
    expect(record.images).toEqual({ index: [13, 2], label: [3, 2] });
    expect(record.results.find(({ eps }) => eps === 8 / 255)?.distances).toEqual({
      linf: [1, null],
      l2: [2, null],
      l1: [3, null],
      mse: [4, null],
      l0: [5, null],
    });
    expect(record.transfer).toEqual([{ source: 0, target: 1, attack: 0, eps: 8 / 255, correct: '10' }]);
    expect(record.diagnostics).toEqual([{ model: 1, samples: 2 }]);
  });
});
