/**
 * @file Asynchronous successive halving (Li et al. 2020, MLSys, algorithm 2): a free place goes to the best candidate of the highest rung
 * that is in the top 1/reduction there and hasn't been promoted, else to a new candidate.
 */
import { Ranking } from '../ranking.ts';
import type { Scheduler, SchedulerOptions } from '../scheduler.ts';

interface Rung {
  readonly members: Ranking;
  readonly promoted: Set<number>;
}

export function createAsha({ rungs: count, reduction }: SchedulerOptions): Scheduler {
  const rungs: Rung[] = Array.from({ length: count }, () => ({ members: new Ranking(), promoted: new Set<number>() }));
  const promotable = ({ members, promoted }: Rung): number | undefined =>
    members.top(Math.floor(members.size / reduction)).find(({ candidate, losses }) => losses !== undefined && !promoted.has(candidate))
      ?.candidate;
  return {
    next: (mayStart) => {
      for (let rung = count - 2; rung >= 0; rung--) {
        const candidate = promotable(rungs[rung] as Rung);
        if (candidate === undefined) continue;
        rungs[rung]?.promoted.add(candidate);
        return { kind: 'promote', candidate, rung: rung + 1 };
      }
      return mayStart ? { kind: 'new', rung: 0 } : { kind: 'wait' };
    },
    started: () => {},
    measured: (member, rung) => {
      rungs[rung]?.members.add(member);
      return rung === count - 1 ? { kind: 'complete' } : { kind: 'pause' };
    },
  };
}
