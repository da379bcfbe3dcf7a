/** @file What a disturbed run withstood, beside the same run undisturbed. */
import type { AuditReport, GoodputReport } from '../../coordinator/index.ts';
import { describeGoodput } from '../train-command.ts';
import type { SeenStep } from './chaos-cluster.ts';
import type { Fault, FaultKind } from './fault-schedule.ts';

/** A fault that hit something. */
export interface AppliedFault extends Fault {
  /** Monotonic milliseconds. */
  readonly atMs: number;
  /** Seconds to the next committed step; undefined when none came. */
  readonly recoverySeconds: number | undefined;
}

/** Percentiles of seconds. */
export interface Recovery {
  readonly count: number;
  readonly median: number;
  readonly p99: number;
  readonly max: number;
}

export interface ResilienceReport {
  readonly runFolder: string;
  /** Seed of the schedule. */
  readonly seed: number;
  readonly workers: number;
  /** Steps that count in the end. */
  readonly steps: number;
  /** Steps that were committed and computed again after a crash of the coordinator. */
  readonly recomputedSteps: number;
  /** From the first committed step to the last. */
  readonly seconds: number;
  /** That hit something, by kind. */
  readonly faults: Readonly<Partial<Record<FaultKind, number>>>;
  readonly coordinatorRestarts: number;
  readonly recovery: Recovery;
  /** After kills of the coordinator alone. */
  readonly coordinatorRecovery: Recovery;
  readonly weightsSha256: string;
  /** Where the workers' time went, over all processes of the coordinator. */
  readonly goodput: GoodputReport;
  readonly audit: AuditReport;
  /** The undisturbed run; absent when it was not asked for. */
  readonly reference?: {
    readonly weightsSha256: string;
    readonly seconds: number;
    readonly sameWeights: boolean;
    readonly goodput: GoodputReport;
  };
  /** Steps per second as a share of the undisturbed run's. */
  readonly throughputKept?: number;
  /** True when nothing was lost or doubled and the weights are those of the undisturbed run. */
  readonly passed: boolean;
}

/** Each fault with the time to the first step that was committed after it. */
export function withRecovery(faults: readonly (Fault & { readonly atMs: number })[], steps: readonly SeenStep[]): AppliedFault[] {
  return faults.map((fault) => {
    const next = steps.find(({ atMs }) => atMs > fault.atMs);
    return { ...fault, recoverySeconds: next && (next.atMs - fault.atMs) / 1000 };
  });
}

export function recoveryOf(faults: readonly AppliedFault[]): Recovery {
  const seconds = faults.flatMap(({ recoverySeconds }) => (recoverySeconds === undefined ? [] : [recoverySeconds])).sort((a, b) => a - b);
  const at = (share: number): number => seconds[Math.min(seconds.length - 1, Math.ceil(share * seconds.length) - 1)] ?? 0;
  return { count: seconds.length, median: at(0.5), p99: at(0.99), max: seconds.at(-1) ?? 0 };
}

export function countKinds(faults: readonly Fault[]): Partial<Record<FaultKind, number>> {
  const counts: Partial<Record<FaultKind, number>> = {};
  for (const { kind } of faults) counts[kind] = (counts[kind] ?? 0) + 1;
  return counts;
}

const seconds = (value: number): string => `${value.toFixed(1)} s`;
const around = ({ count, median, p99, max }: Recovery): string =>
  count === 0 ? 'none' : `${count}: median ${seconds(median)}, p99 ${seconds(p99)}, longest ${seconds(max)}`;

/** For people. */
export function describeResilience(report: ResilienceReport): string {
  const { steps, recomputedSteps, faults, coordinatorRestarts, recovery, coordinatorRecovery, audit, reference, throughputKept } = report;
  const kinds = Object.entries(faults).map(([kind, count]) => `${count} ${kind}`);
  const failed = audit.checks.filter(({ passed }) => passed === false);
  const lines = [
    `${steps} steps in ${seconds(report.seconds)} with ${report.workers} workers, seed ${report.seed}`,
    `faults: ${kinds.length === 0 ? 'none' : kinds.join(', ')}`,
    `recovery, from a fault to the next committed step: ${around(recovery)}`,
    `recovery of the coordinator, killed: ${around(coordinatorRecovery)}; started again ${coordinatorRestarts} times, ${recomputedSteps} steps computed again`,
    `${describeGoodput(report.goodput)}${reference === undefined ? '' : `; undisturbed ${Math.round(reference.goodput.usefulShare * 100)} % useful`}`,
    `ledger: ${audit.passed ? 'every sample of every epoch exactly once, all hashes agree' : `FAILED: ${failed.flatMap(({ findings }) => findings).join('; ')}`}`,
  ];
  if (reference !== undefined && throughputKept !== undefined) {
    lines.push(
      `throughput kept: ${(throughputKept * 100).toFixed(1)} % of the undisturbed run's ${(steps / reference.seconds).toFixed(2)} steps/s`,
      `weights: ${reference.sameWeights ? `${report.weightsSha256}, as undisturbed` : `DIFFERENT: ${report.weightsSha256} against ${reference.weightsSha256}`}`,
    );
  } else lines.push(`weights: ${report.weightsSha256}`);
  lines.push(report.passed ? 'passed' : 'FAILED');
  return lines.join('\n');
}
