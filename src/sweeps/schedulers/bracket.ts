/** @file One bracket of successive halving (Jamieson and Talwalkar 2016): all candidates of a rung are measured, then the best 1/reduction go on. */
import { rankCandidates, type Ranked } from '../ranking.ts';

export interface BracketOptions {
  /** Candidates at the beginning, >= 1. */
  readonly size: number;
  /** First rung that is measured. */
  readonly firstRung: number;
  readonly lastRung: number;
  readonly reduction: number;
}

/** See the file's header. Its owner starts candidates and hands in measurements. */
export class Bracket {
  readonly #options: BracketOptions;
  /** Started or promoted to the current rung; not yet measured there. */
  readonly #open = new Set<number>();
  #measured: Ranked[] = [];
  #promotions: number[] = [];
  #rung: number;
  #started = 0;
  #closed = false;

  constructor(options: BracketOptions) {
    this.#options = options;
    this.#rung = options.firstRung;
  }

  /** First rung that is measured. */
  get firstRung(): number {
    return this.#options.firstRung;
  }

  /** True while it takes new candidates. */
  get takesMore(): boolean {
    return !this.#closed && this.#started < this.#options.size;
  }

  /** No further candidates: goes on with those that it has. */
  close(): void {
    this.#closed = true;
    this.#proceed();
  }

  start(candidate: number): void {
    this.#started += 1;
    this.#open.add(candidate);
  }

  has(candidate: number): boolean {
    return this.#open.has(candidate);
  }

  /** The next promotion that is due, if any. */
  promote(): { readonly candidate: number; readonly rung: number } | undefined {
    const candidate = this.#promotions.shift();
    if (candidate === undefined) return undefined;
    this.#open.add(candidate);
    return { candidate, rung: this.#rung };
  }

  measured(member: Ranked): void {
    this.#open.delete(member.candidate);
    this.#measured.push(member);
    this.#proceed();
  }

  /** To the next rung when this one is complete. */
  #proceed(): void {
    const { lastRung, reduction } = this.#options;
    if (this.takesMore || this.#open.size > 0 || this.#promotions.length > 0 || this.#rung >= lastRung || this.#measured.length === 0)
      return;
    const places = Math.max(1, Math.floor(this.#measured.length / reduction));
    this.#promotions = rankCandidates(this.#measured)
      .slice(0, places)
      .flatMap(({ candidate, losses }) => (losses === undefined ? [] : [candidate]));
    this.#measured = [];
    this.#rung += 1;
  }
}
