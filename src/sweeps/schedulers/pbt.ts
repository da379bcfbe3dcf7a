/**
 * @file Population based training (Jaderberg et al. 2017, arXiv:1711.09846, truncation selection): when all of a population have been
 * measured on a rung, the worst of them end, and forks of the best, with changed parameters, go on in their places.
 */
import { Random } from '../../core/index.ts';
import { rankCandidates, type Ranked } from '../ranking.ts';
import type { Decision, Scheduler, SchedulerOptions } from '../scheduler.ts';

/** What a member of the population does next; a fork in place of `replaces`, which has failed or is one of the worst. */
type Step =
  | Extract<Decision, { kind: 'promote' }>
  | (Extract<Decision, { kind: 'fork' }> & {
      /** Has failed: it can't go on when nobody may take its place. */
      readonly failed: boolean;
    });

/** Keeps these draws apart from those of samplers with the same seed. */
const FORK_DRAWS = 0x666f726b;

export function createPbt({ rungs, population, quantile, seed }: SchedulerOptions): Scheduler {
  /** Sent to the current rung and not measured there yet. */
  const open = new Set<number>();
  let measured: Ranked[] = [];
  let steps: Step[] = [];
  let rung = 0;
  let started = 0;
  let closed = false;

  const exploit = (): void => {
    const isComplete = (closed || started === population) && open.size === 0 && steps.length === 0;
    if (!isComplete || measured.length === 0 || rung === rungs - 1) return;
    steps = nextSteps(rankCandidates(measured), rung, quantile, seed);
    measured = [];
    rung += 1;
  };

  return {
    next: (mayStart, mayFork) => {
      if (!mayStart && started < population) closed = true;
      exploit();
      for (let [step] = steps; step !== undefined; [step] = steps) {
        if (step.kind === 'fork' && mayFork) return step;
        steps.shift();
        if (step.kind === 'fork' && step.failed) continue;
        const candidate = step.kind === 'fork' ? step.replaces : step.candidate;
        open.add(candidate);
        return { kind: 'promote', candidate, rung };
      }
      return mayStart && !closed && started < population ? { kind: 'new', rung: 0 } : { kind: 'wait' };
    },
    started: (candidate) => {
      open.add(candidate);
      if (steps[0]?.kind === 'fork') steps.shift();
      else started += 1;
    },
    measured: (member, at) => {
      open.delete(member.candidate);
      measured.push(member);
      return at === rungs - 1 ? { kind: 'complete' } : { kind: 'pause' };
    },
  };
}

/** The best and the middle go on; each of the worst, and each that has failed, makes room for a fork of one of the best. */
function nextSteps(ranked: readonly Ranked[], rung: number, quantile: number, seed: number): Step[] {
  const alive = ranked.filter(({ losses }) => losses !== undefined);
  if (alive.length === 0) return [];
  const share = ranked.length < 2 ? 0 : Math.max(1, Math.floor(quantile * ranked.length));
  const best = alive.slice(0, share);
  const places = Math.max(share, ranked.length - alive.length);
  const staying = ranked.slice(0, ranked.length - places).toSorted((a, b) => a.candidate - b.candidate);
  const leaving = ranked.slice(ranked.length - places);
  return [
    ...staying.map(({ candidate }): Step => ({ kind: 'promote', candidate, rung: rung + 1 })),
    ...leaving.map(({ candidate, losses }): Step => {
      const drawn = new Random('sweep', seed, FORK_DRAWS, rung, candidate).integer(best.length);
      const parent = (best[drawn] as Ranked).candidate;
      return { kind: 'fork', parent, rung: rung + 1, replaces: candidate, failed: losses === undefined };
    }),
  ];
}
