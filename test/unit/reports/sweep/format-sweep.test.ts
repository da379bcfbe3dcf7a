import { describe, expect, it } from 'vitest';
import { sweepRecordOf } from '../../../../src/coordinator/index.ts';
import { finalCandidates, formatSweep } from '../../../../src/reports/index.ts';
import type { SweepRecord } from '../../../../src/sweeps/index.ts';
import { functionSweep, runSweep } from '../../../support/sweeps.ts';

function recordOf(overrides: object, fails?: Parameters<typeof runSweep>[3]): SweepRecord {
  const { state, events } = runSweep(functionSweep(overrides), 3, 1, fails);
  const [started] = events;
  if (started?.type !== 'sweep-started') throw new Error('no start');
  return sweepRecordOf({ state, started, startedAt: 'then', endedAt: 'now', outcome: 'completed' });
}

describe('final figures', () => {
  const record = recordOf({ function: 'zdt1', objectives: [{ name: 'value' }, { name: 'value2', goal: 'maximize' }], seeds: [1, 2, 3] });
  const { rung, finals } = finalCandidates(record);

  it('compare the highest rung only, by means over all seeds', () => {
    expect(rung).toBe(2);
    expect(finals.map(({ candidate }) => candidate.state)).toEqual(finals.map(() => 'completed'));
    for (const { candidate, figures, n } of finals) {
      const values = candidate.measurements.filter((each) => each.rung === 2).map((each) => each.values?.[1] as number);
      expect(n).toBe(3);
      const mean = ((values[0] as number) + (values[1] as number) + (values[2] as number)) / 3;
      expect(figures[1]?.mean).toBeCloseTo(mean, 12);
      expect(figures[1]?.deviation).toBeCloseTo(Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / 2), 12);
    }
  });

  it('put the Pareto front first, in each objective’s own sense', () => {
    const isWorse = (a: (typeof finals)[number], b: (typeof finals)[number]) => {
      const [a1 = 0, a2 = 0, b1 = 0, b2 = 0] = [...a.figures, ...b.figures].map(({ mean }) => mean);
      return b1 <= a1 && b2 >= a2 && (b1 < a1 || b2 > a2);
    };
    for (const each of finals) expect(each.isOnFront).toBe(!finals.some((other) => isWorse(each, other)));
    const front = finals.map(({ isOnFront }) => isOnFront);
    expect(front).toEqual(front.toSorted((a, b) => Number(b) - Number(a)));
  });
});

describe('text of a sweep', () => {
  it('warns of single seeds, names failures, and says what was compared', () => {
    const text = formatSweep(recordOf({}, ({ part }) => part.candidate === 5));
    expect(text).toContain('random with asha, seed 1, 5 lanes, timing-invariant');
    expect(text).toMatch(/measured after 9 epochs: \d candidates, the best is marked/);
    expect(text).toContain('one seed each');
    expect(text).toContain('candidate 5 failed: ENGINE_FAILED made up');
    expect(text.match(/^ {2}\* /gm)).toHaveLength(1);
  });

  it('gives spread and n with several seeds, and only the front when it is asked for', () => {
    const text = formatSweep(recordOf({ seeds: [1, 2] }), true);
    expect(text).toMatch(/value -?[\d.e-]+ ± [\d.e-]+ \(2\)/);
    expect(text).not.toContain('one seed each');
    expect(text.match(/^ {2}\S+ \d+: value/gm)).toHaveLength(1);
  });

  it('says so when nothing can be compared yet', () => {
    const record = recordOf({});
    expect(formatSweep({ ...record, candidates: [] })).toContain('no candidate has been measured with all seeds yet');
  });
});
