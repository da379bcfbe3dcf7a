/**
 * @file Successive halving and Hyperband (Li et al. 2018, JMLR 18-185, algorithm 1): brackets one behind the other. The first bracket of
 * Hyperband starts many candidates on the lowest rung, the last one few on the highest; successive halving repeats its first.
 */
import type { Scheduler, SchedulerOptions } from '../scheduler.ts';
import { Bracket, type BracketOptions } from './bracket.ts';

/** One bracket that all candidates are in. */
export function createSuccessiveHalving(options: SchedulerOptions): Scheduler {
  return new BracketScheduler(() => ({
    size: options.candidates,
    firstRung: 0,
    lastRung: options.rungs - 1,
    reduction: options.reduction,
  }));
}

/** Brackets of Hyperband, over and over while the budget lasts. */
export function createHyperband({ rungs, reduction }: SchedulerOptions): Scheduler {
  const highest = rungs - 1;
  return new BracketScheduler((index) => {
    const halvings = highest - (index % rungs);
    return {
      size: Math.ceil((rungs / (halvings + 1)) * reduction ** halvings),
      firstRung: highest - halvings,
      lastRung: highest,
      reduction,
    };
  });
}

class BracketScheduler implements Scheduler {
  readonly #bracketAt: (index: number) => BracketOptions;
  readonly #brackets: Bracket[] = [];
  #made = 0;

  constructor(bracketAt: (index: number) => BracketOptions) {
    this.#bracketAt = bracketAt;
  }

  next(mayStart: boolean): ReturnType<Scheduler['next']> {
    if (!mayStart) for (const bracket of this.#brackets) bracket.close();
    for (const bracket of this.#brackets) {
      const promotion = bracket.promote();
      if (promotion !== undefined) return { kind: 'promote', ...promotion };
    }
    return mayStart ? { kind: 'new', rung: this.#filling().firstRung } : { kind: 'wait' };
  }

  started(candidate: number): void {
    this.#filling().start(candidate);
  }

  measured(member: Parameters<Scheduler['measured']>[0], rung: number): ReturnType<Scheduler['measured']> {
    const bracket = this.#brackets.find((each) => each.has(member.candidate));
    bracket?.measured(member);
    return rung === this.#bracketAt(0).lastRung ? { kind: 'complete' } : { kind: 'pause' };
  }

  /** The bracket that takes new candidates; a new one when the last is full. */
  #filling(): Bracket {
    const last = this.#brackets.at(-1);
    if (last?.takesMore === true) return last;
    const bracket = new Bracket(this.#bracketAt(this.#made));
    this.#made += 1;
    this.#brackets.push(bracket);
    return bracket;
  }
}
