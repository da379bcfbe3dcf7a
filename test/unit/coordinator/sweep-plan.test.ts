import { describe, expect, it } from 'vitest';
import { planSweep } from '../../../src/coordinator/index.ts';
import { functionSweep, runSweep } from '../../support/sweeps.ts';

describe('plan of a sweep', () => {
  const pace = { secondsPerMillionPasses: 10, secondsPerPart: 2 };

  it('has as many trials on each rung as successive halving will measure', () => {
    const source = functionSweep({ scheduler: { name: 'successive-halving' }, sampler: { name: 'tpe' } });
    const { candidates, measurements, workerHours } = planSweep(source, { workers: [1], ...pace });
    expect(candidates).toBe(30);
    expect(measurements.map(({ trials }) => [trials.low, trials.high])).toEqual([
      [30, 30],
      [10, 10],
      [3, 3],
    ]);
    const measured = [...runSweep(source, 2, 1).state.measurements.values()];
    expect([0, 1, 2].map((rung) => measured.filter((each) => each.rung === rung).length)).toEqual([30, 10, 3]);
    // 43 parts of 12 s each, with noise of a fifth.
    expect(Math.abs(workerHours.median * 3600 - 43 * 12)).toBeLessThan(40);
  });

  it('ends sooner with more workers, not with more than there are lanes', () => {
    const { finish } = planSweep(functionSweep(), { workers: [1, 2, 5, 20], ...pace });
    const [one = 0, two = 0, five = 0, twenty = 0] = finish.map(({ hours }) => hours.median);
    expect(one / two).toBeGreaterThan(1.6);
    expect(two).toBeGreaterThan(five);
    expect(Math.abs(five / twenty - 1)).toBeLessThan(0.2);
  });
});
