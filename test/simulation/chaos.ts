/** @file What goes wrong in a simulated run, when, and how often: each seed gets its own mix, so that rare combinations meet. */
import type { Random } from '../../src/core/index.ts';

/** Things that happen to a run from outside. */
export const ACTIONS = [
  'kill-worker',
  'freeze-worker',
  'partition-worker',
  'reset-connection',
  'worker-leaves',
  'worker-joins',
  'kill-coordinator',
  'cut-power',
  'fill-disk',
  'slow-disk',
  'stop-run',
] as const;

export type Action = (typeof ACTIONS)[number];

/** The mix of one seed. */
export interface Chaos {
  /** Actions with their weights; empty for a calm run. */
  readonly actions: readonly Action[];
  /** Mean time between two actions. */
  readonly everyMs: number;
  /** Virtual time after which nothing goes wrong any more. */
  readonly untilMs: number;
  readonly duplicate: number;
  readonly slowestMs: number;
  readonly fail: number;
  readonly slow: number;
  readonly forge: number;
  readonly repeat: number;
  readonly stale: number;
}

export function chooseChaos(random: Random): Chaos {
  const sometimes = (probability: number, value: number) => (random.uniform() < probability ? value : 0);
  return {
    actions: ACTIONS.filter(() => random.uniform() < 0.45),
    everyMs: [40, 120, 400][random.integer(3)] as number,
    untilMs: [500, 1_500, 4_000][random.integer(3)] as number,
    duplicate: sometimes(0.4, 0.02),
    slowestMs: [2, 8, 40][random.integer(3)] as number,
    fail: [0, 0, 0.03, 0.3][random.integer(4)] as number,
    slow: [0, 0, 0.05, 0.2][random.integer(4)] as number,
    forge: sometimes(0.5, 0.15),
    repeat: sometimes(0.5, 0.3),
    stale: sometimes(0.5, 0.5),
  };
}
