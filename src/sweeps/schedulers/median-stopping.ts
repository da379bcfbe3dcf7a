/** @file The median rule (Golovin et al. 2017, Vizier, section 3.2): what is worse than the median of the others at the same rung ends there. */
import type { Ranked } from '../ranking.ts';
import type { Scheduler, SchedulerOptions } from '../scheduler.ts';

/** With several objectives a candidate ends when it is worse than the median in each of them. */
export function createMedianStopping({ rungs, grace }: SchedulerOptions): Scheduler {
  const members: Ranked[][] = Array.from({ length: rungs }, () => []);
  return {
    next: (mayStart) => (mayStart ? { kind: 'new', rung: 0 } : { kind: 'wait' }),
    started: () => {},
    measured: (member, rung) => {
      const others = (members[rung] ?? []).flatMap(({ losses }) => (losses === undefined ? [] : [losses]));
      members[rung]?.push(member);
      if (rung === rungs - 1) return { kind: 'complete' };
      if (others.length < grace || member.losses === undefined) return { kind: 'continue' };
      const worse = member.losses.every((loss, objective) => loss > median(others.map((losses) => losses[objective] as number)));
      return worse ? { kind: 'stop', reason: `worse than the median of ${others.length} others on rung ${rung}` } : { kind: 'continue' };
    },
  };
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? (sorted[middle] as number) : ((sorted[middle - 1] as number) + (sorted[middle] as number)) / 2;
}
