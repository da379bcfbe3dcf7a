/** @file What a red flag is: a figure that an honestly robust network doesn't produce. docs/red-flags.md has a section for each. */
import type { EvaluationView } from '../evaluation/evaluation-view.ts';

/** `alarm`: the robust accuracies can't be believed as they are. `warning`: they may be too high; look closer. */
export type Severity = 'alarm' | 'warning';

export interface RedFlagRule {
  /** Heading in docs/red-flags.md. */
  readonly id: string;
  readonly title: string;
  readonly severity: Severity;
  /** When it is raised, in words with the numbers. */
  readonly threshold: string;
  /**
   * Looks at one network.
   * @returns a sentence with the numbers for every place where the rule is broken; undefined when what it looks at wasn't measured
   */
  readonly check: (view: EvaluationView, model: number) => readonly string[] | undefined;
}

/** A rule that a network breaks. */
export interface RedFlag {
  readonly rule: RedFlagRule;
  /** Index into the models of the record. */
  readonly model: number;
  readonly evidence: readonly string[];
}
