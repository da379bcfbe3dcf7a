import { describe, expect, it } from 'vitest';
import { completeResults, finalResult, highestRung, resultOn, widestRung } from '../../../../src/reports/sweep/candidate-result.ts';
import { frontOf, kneeOf, paretoFront } from '../../../../src/reports/sweep/pareto-front.ts';
import type { CandidateRecord, SweepRecord } from '../../../../src/sweeps/index.ts';
import { type MadeUpCandidate, madeUpSweep } from '../../../support/sweep-records.ts';

const at = (record: SweepRecord, candidate: number): CandidateRecord => record.candidates[candidate] as CandidateRecord;

const inRows = (values: readonly number[], width: number): number[][] =>
  Array.from({ length: values.length / width }, (_, row) => values.slice(row * width, (row + 1) * width));

describe('results of a candidate', () => {
  const three = [
    [0.71, 0.3],
    [0.69, 0.34],
    [0.73, 0.29],
  ];
  const record = madeUpSweep({
    rungs: 3,
    candidates: [
      { values: [three, [...three.slice(0, 2), [0.8, 0.4]], [[0.9, 0.5]]] },
      { values: [[[0.6, 0.2], undefined, [0.62, 0.22]]], state: 'failed' },
      { values: [three], state: 'paused' },
      { values: [], state: 'running' },
    ],
  });

  it('finalResult: is that of the highest rung with all seeds, when one seed is ahead', () => {
    const result = finalResult(record, at(record, 0));
    expect(result).toMatchObject({ rung: 1, epochs: 3, seeds: 3, allSeeds: 3, complete: true });
    expect(result?.estimates[0]?.mean).toBeCloseTo((0.71 + 0.69 + 0.8) / 3, 12);
    expect(result?.estimates[0]?.n).toBe(3);
  });

  it('finalResult: is incomplete when a seed failed, and absent when nothing was measured', () => {
    expect(finalResult(record, at(record, 1))).toMatchObject({ rung: 0, seeds: 2, complete: false });
    expect(finalResult(record, at(record, 3))).toBeUndefined();
  });

  it('resultOn: cuts intervals of shares to [0, 1] and of nothing else', () => {
    const near = madeUpSweep({
      candidates: [
        {
          values: [
            [
              [0.01, 1],
              [0.2, 30],
            ],
          ],
        },
      ],
      fields: {
        objectives: [
          { name: 'clean-accuracy', goal: 'maximize', unit: 'share' },
          { name: 'training-cost', goal: 'minimize', unit: 'million passes' },
        ],
      },
    });
    const [share, cost] = resultOn(near, at(near, 0), 0)?.estimates ?? [];
    expect(share?.interval).toEqual({ low: 0, high: 1 });
    expect(cost?.interval?.low).toBeLessThan(0);
  });

  it('resultOn: leaves values out that JSON holds as null', () => {
    const read = JSON.parse(
      JSON.stringify(
        madeUpSweep({
          candidates: [
            {
              values: [
                [
                  [0.5, Number.NaN],
                  [0.6, 0.2],
                ],
              ],
            },
          ],
        }),
      ),
    ) as SweepRecord;
    expect(resultOn(read, at(read, 0), 0)).toMatchObject({ seeds: 1, complete: false });
  });

  it('highestRung, widestRung: count candidates with all seeds only', () => {
    expect(highestRung(record)).toBe(1);
    expect(widestRung(record)).toBe(0);
    expect(completeResults(record, 0).map(({ candidate }) => candidate.candidate)).toEqual([0, 2]);
    expect(highestRung(madeUpSweep({ candidates: [] }))).toBeUndefined();
  });
});

describe('Pareto front', () => {
  it('frontOf: keeps what nothing dominates, and equal vectors', () => {
    expect(
      frontOf([
        [1, 5],
        [2, 2],
        [3, 3],
        [2, 2],
        [5, 1],
        [1, 6],
      ]),
    ).toEqual([0, 1, 3, 4]);
  });

  it('paretoFront: has the hypervolume of pymoo, as a share of the box of observed values', () => {
    const share = (points: readonly (readonly number[])[]): number | undefined =>
      paretoFront(
        madeUpSweep({
          candidates: points.map((point) => ({ values: [[point]] })),
          fields: { objectives: (points[0] ?? []).map((_, i) => ({ name: `value${i}`, goal: 'minimize', unit: '' })) },
        }),
      )?.hypervolume;
    // pymoo 0.6.2, HV(ref_point)(points) with the worst of each column as reference: 0.585 of 0.8 and 48 of 100.
    const two = [0.1, 0.7, 0.2, 0.35, 0.5, 0.3, 0.9, 0.1, 0.4, 0.8, 1.1, 0.9];
    expect(share(inRows(two, 2))).toBeCloseTo(0.585 / 0.8, 12);
    const three = [1, 5, 2, 3, 2, 4, 2, 4, 1, 4, 1, 3, 2, 3, 5, 5, 6, 6];
    expect(share(inRows(three, 3))).toBeCloseTo(0.48, 12);
    expect(share(inRows(three.toReversed(), 3).map((row) => row.toReversed()))).toBeCloseTo(0.48, 12);
  });

  it('kneeOf: is the point farthest before the chord, whatever the scales', () => {
    // Scaled to the ends: (0.2, 0.4) and (0.5, 0.2) lie 0.4 and 0.3 before the chord.
    expect(
      kneeOf([
        [0, 10],
        [20, 4],
        [50, 2],
        [100, 0],
      ]),
    ).toBe(1);
    expect(
      kneeOf([
        [0, 10],
        [60, 9],
        [100, 0],
      ]),
    ).toBeUndefined();
    expect(
      kneeOf([
        [0, 10],
        [100, 0],
      ]),
    ).toBeUndefined();
    expect(
      kneeOf([
        [1, 2, 3],
        [2, 1, 3],
        [3, 3, 0],
      ]),
    ).toBeUndefined();
  });

  it('paretoFront: compares on the highest rung only, in the sense of each goal', () => {
    const one = (clean: number, cost: number, rungs = 2): MadeUpCandidate => ({
      values: Array.from({ length: rungs }, () => [[clean, cost]]),
    });
    const record = madeUpSweep({
      rungs: 2,
      // The third would dominate all, but it hasn't got that far.
      candidates: [one(0.5, 4), one(0.7, 9), one(0.9, 1, 1), one(0.4, 6), one(0.68, 5), one(0.6, 2)],
      fields: {
        objectives: [
          { name: 'clean-accuracy', goal: 'maximize', unit: 'share' },
          { name: 'training-cost', goal: 'minimize', unit: 'million passes' },
        ],
      },
    });
    const front = paretoFront(record);
    expect(front?.rung).toBe(1);
    expect(front?.compared).toHaveLength(5);
    expect(front?.front.map(({ candidate }) => candidate.candidate)).toEqual([1, 4, 5]);
    expect(front?.worst).toEqual([0.4, 9]);
    // Box 0.3 x 7: 0.2 * 7 by the sixth, and what the fifth adds, 0.08 * 4. The second is at the edge of the box.
    expect(front?.hypervolume).toBeCloseTo((0.2 * 7 + 0.08 * 4) / 2.1, 12);
    expect(front?.hypervolumes).toHaveLength(5);
    expect(front?.knee?.candidate.candidate).toBe(4);
  });

  it('paretoFront: has no hypervolume when all values are equal', () => {
    const record = madeUpSweep({ candidates: [{ values: [[[0.5, 0.2]]] }, { values: [[[0.5, 0.2]]] }] });
    expect(paretoFront(record)).toMatchObject({ hypervolume: undefined, knee: undefined });
    expect(paretoFront(record)?.front).toHaveLength(2);
  });
});
