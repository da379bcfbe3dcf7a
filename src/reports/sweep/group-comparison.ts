/** @file Groups of candidates against each other: what a choice does, whatever the other parameters are. */
import type { SweepRecord } from '../../sweeps/index.ts';
import { mannWhitney } from '../statistics/mann-whitney.ts';
import { holm } from '../statistics/mcnemar.ts';
import { type Median, medianOf } from '../statistics/median.ts';
import { type CandidateResult, completeResults, lossOf } from './candidate-result.ts';
import type { CandidateGroup } from './layer-groups.ts';

export interface GroupSummary {
  readonly name: string;
  readonly members: readonly CandidateResult[];
  /** Per objective, over the candidates' means. */
  readonly medians: readonly Median[];
  /** Per objective the best candidate. */
  readonly best: readonly CandidateResult[];
}

export interface GroupTest {
  readonly objective: number;
  readonly first: string;
  readonly second: string;
  /** Chance that a candidate of the first group is better than one of the second, ties half; 0.5 = no tendency. */
  readonly firstBetter: number;
  /** Mann-Whitney, two-sided; and Holm-adjusted over all tests of the comparison. */
  readonly p: number;
  readonly adjusted: number;
}

export interface GroupComparison {
  readonly rung: number;
  /** Those with candidates. */
  readonly groups: readonly GroupSummary[];
  readonly tests: readonly GroupTest[];
}

/** Compares candidates that are complete on the rung; a candidate that fits several groups counts in each. */
export function compareGroups(record: SweepRecord, groups: readonly CandidateGroup[], rung: number): GroupComparison {
  const results = completeResults(record, rung);
  const summaries = groups.flatMap(({ name, holds }): GroupSummary[] => {
    const members = results.filter(({ candidate }) => holds(candidate.parameters));
    if (members.length === 0) return [];
    const loss = (member: CandidateResult, index: number): number =>
      lossOf(record.objectives[index] as SweepRecord['objectives'][number], meanAt(member, index));
    return [
      {
        name,
        members,
        medians: record.objectives.map((_, index) => medianOf(members.map((member) => meanAt(member, index)))),
        best: record.objectives.map((_, index) => members.reduce((best, one) => (loss(one, index) < loss(best, index) ? one : best))),
      },
    ];
  });
  return { rung, groups: summaries, tests: testsOf(record, summaries) };
}

function testsOf({ objectives }: SweepRecord, groups: readonly GroupSummary[]): readonly GroupTest[] {
  const tests = objectives.flatMap(({ goal }, objective) =>
    groups.flatMap((first, index) =>
      groups.slice(index + 1).map((second) => {
        const values = (group: GroupSummary): number[] => group.members.map((member) => meanAt(member, objective));
        const { p, superiority } = mannWhitney(values(first), values(second));
        return { objective, first: first.name, second: second.name, firstBetter: goal === 'maximize' ? superiority : 1 - superiority, p };
      }),
    ),
  );
  const adjusted = holm(tests.map(({ p }) => p));
  return tests.map((test, index) => ({ ...test, adjusted: adjusted[index] as number }));
}

function meanAt({ estimates }: CandidateResult, objective: number): number {
  return estimates[objective]?.mean as number;
}
